import type Long from 'long';
import { Perms } from '../../model/codes.ts';
import type { Acl, CreateTxn, Id, Stat, Txn, TxnBody } from '../../model/records.ts';
import { ZXID_NONE, zxidEquals, zxidHex } from '../../model/zxid.ts';
import type { WatchEvent } from '../../node/api.ts';
import type { Octets } from '../../util/bytes.ts';

/** A znode as it was from one transaction to the next one that changed it. Never changed: a change makes another one. */
export interface Znode {
  readonly data: Octets | null;
  /** Without `dataLength`, which `data` tells; `cversion` and the times as in {@link Stat}. */
  readonly stat: Omit<Stat, 'dataLength'>;
  readonly acl: readonly Acl[];
  readonly kind: 'persistent' | 'ephemeral' | 'container' | 'ttl';
  /** ms; 0 unless `kind` is `ttl`. */
  readonly ttl: number;
}

/** A change as watches see it. */
export type TreeEvent = Pick<WatchEvent, 'type' | 'path'>;

/** What one transaction did. */
export interface Change {
  /** In the order of PROTOCOL 10. */
  readonly events: readonly TreeEvent[];
  /** Every path whose znode was made, changed or removed. */
  readonly touched: ReadonlySet<string>;
}

interface Version {
  /** Position of the transaction that made it so. */
  readonly since: number;
  readonly znode: Znode | null;
}

/** A session of the committed history. Positions are numbers of transactions. */
export interface ReferenceSession {
  readonly id: Long;
  /** ms */
  readonly timeout: number;
  readonly opened: number;
  closed: number | null;
}

export const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/';

/** Whether `path` is `top` or below it. */
export const isWithin = (path: string, top: string): boolean => path === top || path.startsWith(top === '/' ? '/' : `${top}/`);

/** Whether a Stat is that of the znode, in every field. */
export function sameStat({ data, stat }: Znode, other: Stat): boolean {
  return (
    zxidEquals(stat.czxid, other.czxid) &&
    zxidEquals(stat.mzxid, other.mzxid) &&
    zxidEquals(stat.pzxid, other.pzxid) &&
    zxidEquals(stat.ephemeralOwner, other.ephemeralOwner) &&
    stat.ctime === other.ctime &&
    stat.mtime === other.mtime &&
    stat.version === other.version &&
    stat.cversion === other.cversion &&
    stat.aversion === other.aversion &&
    stat.numChildren === other.numChildren &&
    (data === null ? 0 : data.length) === other.dataLength
  );
}

/** World with all permissions. */
export const OPEN: Acl = { perms: Perms.ALL, scheme: 'world', id: 'anyone' };

export const sameAcl = (a: readonly Acl[], b: readonly Acl[]): boolean =>
  a.length === b.length && a.every(({ perms, scheme, id }, i) => perms === b[i].perms && scheme === b[i].scheme && id === b[i].id);

/** Whether the znode's list gives a permission to somebody with these identities (PROTOCOL 9). */
export const allows = ({ acl }: Znode, perm: number, ids: readonly Id[]): boolean =>
  acl.some(
    (entry) =>
      (entry.perms & perm) !== 0 && (entry.scheme === 'world' || ids.some(({ scheme, id }) => scheme === entry.scheme && id === entry.id)),
  );

/** Says what is wrong with a transaction. */
export type Complain = (rule: string, what: string) => void;

/**
 * The tree that the committed transactions describe, at every point of their history: written from PROTOCOL 5, 6, 10 and 11 alone and sharing nothing with the tree that it judges. Position
 * n is the state after n transactions. The root's own Stat and what is below /zookeeper are not kept.
 */
export class ReferenceTree {
  readonly sessions = new Map<string, ReferenceSession>();
  /** Paths that there have ever been, and their versions in order. */
  readonly #versions = new Map<string, Version[]>();
  /** Every child there has ever been. */
  readonly #children = new Map<string, Set<string>>();
  readonly #ephemerals = new Map<string, Set<string>>();
  readonly #complain: Complain;
  #position = 0;
  #events: TreeEvent[] = [];
  #touched = new Set<string>();

  constructor(complain: Complain) {
    this.#complain = complain;
    const stat = { czxid: ZXID_NONE, mzxid: ZXID_NONE, pzxid: ZXID_NONE, ctime: 0, mtime: 0, ephemeralOwner: ZXID_NONE };
    const empty = { ...stat, version: 0, cversion: 0, aversion: 0, numChildren: 0 };
    for (const path of ['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config']) {
      this.#versions.set(path, [{ since: 0, znode: { data: null, stat: empty, acl: [OPEN], kind: 'persistent', ttl: 0 } }]);
    }
  }

  // ---- looking ----

  /** The znode as it was at a position; null when there was none. */
  at(path: string, position: number): Znode | null {
    const versions = this.#versions.get(path);
    if (versions === undefined) return null;
    let index = versions.length - 1;
    while (index >= 0 && versions[index].since > position) index--;
    return index < 0 ? null : versions[index].znode;
  }

  /**
   * The first position from `low` to `high` at which the znode was as `wanted`; undefined when it never was.
   */
  find(path: string, low: number, high: number, wanted: (znode: Znode | null, position: number) => boolean): number | undefined {
    const versions = this.#versions.get(path) ?? [];
    if ((versions[0]?.since ?? Number.POSITIVE_INFINITY) > low && wanted(null, low)) return low;
    // Most look for what was a moment ago.
    let i = versions.length - 1;
    while (i > 0 && versions[i].since > low) i--;
    for (; i < versions.length && versions[i].since <= high; i++) {
      const { since, znode } = versions[i];
      const position = Math.max(since, low);
      if (wanted(znode, position)) return position;
    }
    return undefined;
  }

  /** Names of the children at a position, in no order. */
  childNames(path: string, position: number): string[] {
    const names: string[] = [];
    for (const child of this.#children.get(path) ?? []) {
      if (this.at(child, position) !== null) names.push(child.slice(child.lastIndexOf('/') + 1));
    }
    return names;
  }

  /** Every path that existed at a position; without the root and /zookeeper. */
  paths(position: number): string[] {
    return [...this.#versions.keys()].filter((path) => !isBuiltIn(path) && this.at(path, position) !== null);
  }

  /**
   * What a persistent watch must be told when a replica goes from one position to another at once (a snapshot): what differs. Deletions first, children before parents, then creations and changes, parents
   * before children; a znode that was deleted and made again counts as both.
   */
  difference(top: string, recursive: boolean, from: number, to: number): TreeEvent[] {
    const gone: TreeEvent[] = [];
    const fresh: TreeEvent[] = [];
    const paths = recursive ? [...this.#versions.keys()].filter((path) => isWithin(path, top)) : [top];
    for (const path of paths.sort((a, b) => a.length - b.length)) {
      const old = this.at(path, from)?.stat;
      const now = this.at(path, to)?.stat;
      const kept = old !== undefined && now !== undefined && zxidEquals(old.czxid, now.czxid);
      if (old !== undefined && !kept) gone.unshift({ type: 'deleted', path });
      if (now === undefined) continue;
      if (!kept) fresh.push({ type: 'created', path });
      else if (!zxidEquals(old.mzxid, now.mzxid)) fresh.push({ type: 'dataChanged', path });
      if (!recursive && !zxidEquals(now.pzxid, kept ? old.pzxid : now.czxid)) fresh.push({ type: 'childrenChanged', path });
    }
    return [...gone, ...fresh];
  }

  // ---- the transactions, one after the other ----

  apply(txn: Txn): Change {
    this.#position++;
    this.#events = [];
    this.#touched = new Set();
    const { body } = txn;
    if (body.type !== 14) this.#applyPart(txn, body);
    else if (body.txns.every((part) => part.type !== -1)) for (const part of body.txns) this.#applyPart(txn, part);
    return { events: this.#events, touched: this.#touched };
  }

  #applyPart(txn: Txn, body: TxnBody): void {
    this.#checkSession(txn, body);
    switch (body.type) {
      case 1:
      case 15:
      case 19:
      case 21:
        return this.#create(txn, body);
      case 2:
        return this.#delete(body.path, txn);
      case 20:
        this.#checkCleanup(body.path, txn);
        return this.#delete(body.path, txn);
      case 5:
        return this.#change(body.path, txn, 'dataChanged', ({ stat, ...znode }) => {
          this.#mustBe(txn, body.path, 'version', stat.version + 1, body.version);
          return {
            ...znode,
            data: body.data,
            stat: { ...stat, version: body.version, mzxid: txn.header.zxid, mtime: txn.header.time },
          };
        });
      case 7:
        return this.#change(body.path, txn, null, ({ stat, ...znode }) => {
          this.#mustBe(txn, body.path, 'aversion', stat.aversion + 1, body.version);
          return { ...znode, acl: body.acl, stat: { ...stat, aversion: body.version } };
        });
      case -10:
        return this.#openSession(txn, body.timeout);
      case -11:
        return this.#closeSession(txn, body.paths);
    }
  }

  #fault(txn: Txn, what: string): void {
    this.#complain('TransactionsMakeSense', `transaction 0x${zxidHex(txn.header.zxid)}: ${what}`);
  }

  #mustBe(txn: Txn, path: string, field: string, right: number, is: number): void {
    if (is !== right) this.#fault(txn, `${field} of ${path} becomes ${is} instead of ${right}`);
  }

  /** Nothing happens in the name of a session that is not open (PROTOCOL 7); but it may be closed twice, by its client and because it expired. */
  #checkSession({ header }: Txn, { type }: TxnBody): void {
    if (header.clientId.isZero() || type === -1 || type === -10 || type === -11) return;
    const session = this.sessions.get(zxidHex(header.clientId));
    if (session !== undefined && session.closed === null) return;
    const state = session === undefined ? 'was never opened' : 'is closed';
    this.#complain(
      'SessionExpiry',
      `transaction 0x${zxidHex(header.zxid)} of session 0x${zxidHex(header.clientId)}, which ${state}, succeeded`,
    );
  }

  #put(path: string, znode: Znode | null): void {
    let versions = this.#versions.get(path);
    if (versions === undefined) this.#versions.set(path, (versions = []));
    // Parts of one multi follow each other at one position, which nobody can see between.
    if (versions.at(-1)?.since === this.#position) versions.pop();
    versions.push({ since: this.#position, znode });
    this.#touched.add(path);
  }

  #now(path: string): Znode | null {
    return this.#versions.get(path)?.at(-1)?.znode ?? null;
  }

  #change(path: string, txn: Txn, event: WatchEvent['type'] | null, change: (znode: Znode) => Znode): void {
    const znode = this.#now(path);
    if (znode === null) return this.#fault(txn, `changes ${path}, which is not there`);
    this.#put(path, change(znode));
    if (event !== null) this.#events.push({ type: event, path });
  }

  #create(txn: Txn, body: CreateTxn): void {
    const { path, data, acl, ttl } = body;
    const { zxid, time, clientId } = txn.header;
    const parentPath = parentOf(path);
    if (this.#now(path) !== null) return this.#fault(txn, `creates ${path}, which is there`);
    if (this.#now(parentPath)?.kind === 'ephemeral') this.#fault(txn, `creates ${path} below an ephemeral znode`);
    this.#change(parentPath, txn, null, ({ stat, ...parent }) => ({
      ...parent,
      stat: { ...stat, numChildren: stat.numChildren + 1, cversion: stat.cversion + 1, pzxid: zxid },
    }));
    const kind = body.type === 19 ? 'container' : body.type === 21 ? 'ttl' : body.ephemeral ? 'ephemeral' : 'persistent';
    const ephemeralOwner = kind === 'ephemeral' ? clientId : ZXID_NONE;
    const counters = { version: 0, cversion: 0, aversion: 0, numChildren: 0 };
    const stat = { czxid: zxid, mzxid: zxid, pzxid: zxid, ctime: time, mtime: time, ephemeralOwner, ...counters };
    this.#put(path, { data, acl, kind, ttl: kind === 'ttl' ? ttl : 0, stat });
    addTo(this.#children, parentPath, path);
    if (kind === 'ephemeral') addTo(this.#ephemerals, zxidHex(clientId), path);
    this.#events.push({ type: 'created', path }, { type: 'childrenChanged', path: parentPath });
  }

  #delete(path: string, txn: Txn): void {
    const znode = this.#now(path);
    if (znode === null) return this.#fault(txn, `deletes ${path}, which is not there`);
    if (znode.stat.numChildren > 0) this.#fault(txn, `deletes ${path}, which has children`);
    this.#put(path, null);
    if (znode.kind === 'ephemeral') this.#ephemerals.get(zxidHex(znode.stat.ephemeralOwner))?.delete(path);
    const parentPath = parentOf(path);
    this.#change(parentPath, txn, null, ({ stat, ...parent }) => ({
      ...parent,
      stat: { ...stat, numChildren: stat.numChildren - 1, cversion: stat.cversion + 1, pzxid: txn.header.zxid },
    }));
    this.#events.push({ type: 'deleted', path }, { type: 'childrenChanged', path: parentPath });
  }

  /** The cleaner takes containers that have had children, and TTL znodes whose time is over (PROTOCOL 5). */
  #checkCleanup(path: string, txn: Txn): void {
    const znode = this.#now(path);
    if (znode === null) return;
    const { stat, kind, ttl } = znode;
    const over = kind === 'ttl' ? txn.header.time - stat.mtime > ttl : kind === 'container' && stat.cversion > 0;
    if (!over) this.#fault(txn, `the cleaner deletes ${path}, whose time has not come`);
  }

  #openSession({ header }: Txn, timeout: number): void {
    const key = zxidHex(header.clientId);
    if (this.sessions.has(key)) this.#complain('SessionExpiry', `session 0x${key} is opened again`);
    this.sessions.set(key, { id: header.clientId, timeout, opened: this.#position, closed: null });
  }

  /** `paths` must be all that the session has: who applies an incomplete list still deletes the rest, so only the list itself can tell. */
  #closeSession(txn: Txn, paths: readonly string[] | null): void {
    const key = zxidHex(txn.header.clientId);
    const session = this.sessions.get(key);
    if (session !== undefined) session.closed ??= this.#position;
    const owned = this.#ephemerals.get(key) ?? new Set();
    for (const path of paths ?? []) {
      if (owned.has(path)) this.#delete(path, txn);
      else this.#fault(txn, `the end of session 0x${key} deletes ${path}, which is not its own`);
    }
    for (const path of [...owned]) {
      this.#fault(txn, `the end of session 0x${key} forgets ${path}`);
      this.#delete(path, txn);
    }
  }
}

export const isBuiltIn = (path: string): boolean => path === '/' || isWithin(path, '/zookeeper');

function addTo(map: Map<string, Set<string>>, key: string, value: string): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([value]));
  else set.add(value);
}
