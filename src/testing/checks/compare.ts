import type { Acl } from '../../model/records.ts';
import { formatZxid } from '../../model/zxid.ts';
import { outer } from '../../tree/paths.ts';
import {
  AVERSION,
  CTIME,
  CVERSION,
  CZXID,
  longAt,
  MTIME,
  MZXID,
  numberAt,
  OWNER,
  OwnerKind,
  ownerKind,
  PZXID,
  VERSION,
} from '../../tree/row.ts';
import type { ZnodeTree } from '../../tree/tree.ts';
import { CHILDREN } from '../../tree/znode-table.ts';

/** Each server writes it by itself when it starts to show a tree, so it says nothing about replication (PROTOCOL 18.1). */
const LOCAL = '/zookeeper/config';

/**
 * Compares two trees in everything that is replicated: znodes, their data, ACLs and Stat fields, sessions, and the zxid they stand at. Returns the first difference (path and field, then
 * the two values), or null. The order of children is none of it.
 */
export function compareTrees(a: ZnodeTree, b: ZnodeTree): string | null {
  const zxids = differ('lastZxid', formatZxid(a.lastZxid), formatZxid(b.lastZxid));
  return zxids ?? compareSessions(a, b) ?? compareZnodes(a, b) ?? checkTree(a) ?? checkTree(b);
}

function differ(what: string, a: unknown, b: unknown): string | null {
  return a === b ? null : `${what}: ${short(a)} and ${short(b)}`;
}

function short(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length <= 100 ? text : `${text.slice(0, 100)}... (${text.length})`;
}

function compareSessions(a: ZnodeTree, b: ZnodeTree): string | null {
  for (const { id, timeout } of a.sessions.values()) {
    const difference = differ(`session ${formatZxid(id)}, timeout`, timeout, b.sessions.get(id)?.timeout ?? null);
    if (difference !== null) return difference;
  }
  for (const { id, timeout } of b.sessions.values())
    if (!a.sessions.has(id)) return differ(`session ${formatZxid(id)}, timeout`, null, timeout);
  return null;
}

function compareZnodes(a: ZnodeTree, b: ZnodeTree): string | null {
  const top = a.table.find('');
  for (let slot = top; slot !== 0; slot = a.table.following(slot, top)) {
    const path = a.table.path(slot);
    const other = b.table.find(path);
    if (other === 0) return `${outer(path)}: only in the first`;
    const difference = path === LOCAL ? null : compareZnode(a, slot, b, other);
    if (difference !== null) return `${outer(path)}, ${difference}`;
  }
  if (a.nodeCount === b.nodeCount) return null;
  const otherTop = b.table.find('');
  for (let slot = otherTop; slot !== 0; slot = b.table.following(slot, otherTop)) {
    const path = b.table.path(slot);
    if (a.table.find(path) === 0) return `${outer(path)}: only in the second`;
  }
  return differ('number of znodes', a.nodeCount, b.nodeCount);
}

function compareZnode(a: ZnodeTree, slotA: number, b: ZnodeTree, slotB: number): string | null {
  const fieldsA = fieldsOf(a, slotA);
  const fieldsB = fieldsOf(b, slotB);
  for (let i = 0; i < fieldsA.length; i++) {
    const difference = differ(fieldsA[i][0], fieldsA[i][1], fieldsB[i][1]);
    if (difference !== null) return difference;
  }
  return null;
}

/** All that a row says, under the names of Stat; cversion and owner as they are stored, which tells more. */
function fieldsOf(tree: ZnodeTree, slot: number): [name: string, value: string | number | null][] {
  const page = tree.table.page(slot);
  const at = tree.table.at(slot);
  return [
    ['data', tree.table.data(slot)],
    ['czxid', formatZxid(longAt(page, at + CZXID))],
    ['mzxid', formatZxid(longAt(page, at + MZXID))],
    ['pzxid', formatZxid(longAt(page, at + PZXID))],
    ['ctime', numberAt(page, at + CTIME)],
    ['mtime', numberAt(page, at + MTIME)],
    ['version', page[at + VERSION]],
    ['cversion', page[at + CVERSION]],
    ['aversion', page[at + AVERSION]],
    ['ephemeralOwner', formatZxid(longAt(page, at + OWNER))],
    ['numChildren', page[at + CHILDREN]],
    ['ACL', tree.aclOf(slot).map(showAcl).join(' ')],
  ];
}

const showAcl = ({ perms, scheme, id }: Acl): string => `${perms}:${scheme}:${id}`;

/** Whether a tree agrees with itself: the lists of owned znodes and the digest with the znodes. Returns what does not, or null. */
export function checkTree(tree: ZnodeTree): string | null {
  const { table, owners } = tree;
  const top = table.find('');
  let listed = owners.containers.size + owners.ttls.size;
  for (const slots of owners.sets()) listed += slots.size;
  let owned = 0;
  let count = 0;
  for (let slot = top; slot !== 0; slot = table.following(slot, top)) {
    count++;
    const list = ownerList(tree, slot);
    if (list === null) continue;
    owned++;
    if (list?.has(slot) !== true) return `${outer(table.path(slot))}: missing among what its owner has`;
  }
  const difference =
    differ('owned znodes (listed and there)', listed, owned) ?? differ('znodes (counted and linked)', tree.nodeCount, count);
  if (difference !== null || !tree.digestOn) return difference;
  return differ('digest (kept and computed)', tree.digest().toString(), tree.recomputeDigest().toString());
}

/** The list in which an owned znode must be; null for one that nobody owns. */
function ownerList({ table, owners }: ZnodeTree, slot: number): ReadonlySet<number> | undefined | null {
  const page = table.page(slot);
  const at = table.at(slot) + OWNER;
  switch (ownerKind(page[at], page[at + 1])) {
    case OwnerKind.session:
      return owners.of(longAt(page, at));
    case OwnerKind.container:
      return owners.containers;
    case OwnerKind.ttl:
      return owners.ttls;
    default:
      return null;
  }
}
