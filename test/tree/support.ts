import { readFileSync } from 'node:fs';
import Long from 'long';
import type { Acl, CreateRequest, Id, Stat, Txn, TxnBody, WriteRequest } from '../../src/model/records.ts';
import { makeZxid, parseZxidHex } from '../../src/model/zxid.ts';
import { OPEN_ACL } from '../../src/tree/acl.ts';
import { type PrepareOptions, Preparer } from '../../src/tree/prepare.ts';
import { longAt, STAT_WORDS } from '../../src/tree/row.ts';
import { type TxnResult, ZnodeTree } from '../../src/tree/tree.ts';
import { TreeLoader } from '../../src/tree/tree-loader.ts';
import { type Octets, octetsFromBytes, octetsFromText } from '../../src/util/bytes.ts';

export const SERVER = Long.UZERO;
export const session = (n: number): Long => new Long(n, 0x01000000, true);
export const text = (value: string): Octets => octetsFromText(value);

export function create(path: string, more: Partial<CreateRequest> = {}): CreateRequest {
  return { op: 1, path, data: text('x'), acl: OPEN_ACL, flags: 0, ttl: -1, ...more };
}
export const del = (path: string, version = -1): WriteRequest & { op: 2 } => ({ op: 2, path, version });
export const set = (path: string, data: string | null, version = -1): WriteRequest & { op: 5 } => ({
  op: 5,
  path,
  data: data === null ? null : text(data),
  version,
});
export const check = (path: string, version: number): WriteRequest & { op: 13 } => ({ op: 13, path, version });
export const setAcl = (path: string, acl: readonly Acl[] | null, version = -1): WriteRequest => ({ op: 7, path, acl, version });

/** A leader's tree with its preparer. `run` prepares and applies at once, `propose` leaves the transaction outstanding. */
export class Rig {
  readonly tree: ZnodeTree;
  readonly preparer: Preparer;
  readonly log: Txn[] = [];
  counter = 0;
  time = 1_700_000_000_000;
  #outstanding: Txn[] = [];

  constructor(options: PrepareOptions = {}, tree = new ZnodeTree({ digest: true })) {
    this.tree = tree;
    this.preparer = new Preparer(tree, options);
  }

  propose(record: WriteRequest, from: Long = SERVER, auth: readonly Id[] = []): Txn {
    this.counter++;
    this.time += 7;
    const txn = this.preparer.prepare(from, this.counter, auth, record, makeZxid(1, this.counter), this.time);
    this.log.push(txn);
    this.#outstanding.push(txn);
    return txn;
  }

  /** Applies the oldest `count` outstanding transactions. */
  commit(count = this.#outstanding.length): TxnResult[] {
    return this.#outstanding.splice(0, count).map((txn) => {
      const result = this.tree.apply(txn, true) as TxnResult;
      this.preparer.applied(txn.header.zxid);
      return result;
    });
  }

  run(record: WriteRequest, from: Long = SERVER, auth: readonly Id[] = []): TxnResult {
    this.propose(record, from, auth);
    return this.commit().at(-1) as TxnResult;
  }

  /** The error code of a request, 0 when it is done. */
  err(record: WriteRequest, from: Long = SERVER, auth: readonly Id[] = []): number {
    return this.run(record, from, auth).err;
  }

  open(n: number): Long {
    this.run({ op: -10, timeout: 4000 }, session(n));
    return session(n);
  }

  get outstanding(): number {
    return this.#outstanding.length;
  }
}

/** Everything that replicas must agree on, in a form that can be compared. */
export function dump(tree: ZnodeTree): unknown {
  const { table } = tree;
  const nodes: Record<string, unknown> = {};
  const owners: Record<string, string> = {};
  const top = table.find('');
  for (let slot = top; slot !== 0; slot = table.following(slot, top)) {
    const words = [...table.page(slot).subarray(table.at(slot), table.at(slot) + STAT_WORDS)];
    const path = table.path(slot);
    // The stats of a quota that was taken away stay as they happened to be.
    const stale = path.endsWith('/zookeeper_stats') && !tree.has(path.replace(/stats$/, 'limits'));
    nodes[path] = { words, data: stale ? '' : table.data(slot), acl: tree.aclOf(slot), children: (tree.getChildren(path) ?? []).sort() };
    if (tree.owners.containers.has(slot)) owners[path] = 'container';
    if (tree.owners.ttls.has(slot)) owners[path] = 'ttl';
  }
  for (const slots of tree.owners.sets()) {
    for (const slot of slots) owners[table.path(slot)] = longAt(table.page(slot), table.at(slot) + 13).toString(16);
  }
  const sessions = [...tree.sessions.values()].map((s) => `${s.id.toString(16)} ${s.timeout}`).sort();
  return { nodes, owners, sessions, digest: tree.digest().toString(16), lastZxid: tree.lastZxid.toString(16), count: tree.nodeCount };
}

/** Loads a tree from another's snapshot, taken in slices of `slice` with `between` called after each. */
export function reload(tree: ZnodeTree, slice = 1000, between: () => void = () => {}): ZnodeTree {
  const source = tree.openSnapshot();
  const loader = new TreeLoader({ digest: tree.digestOn });
  loader.begin(source.zxid, source.head);
  for (let batch = source.next(slice); batch.length > 0; batch = source.next(slice)) {
    loader.nodes(batch);
    between();
  }
  loader.end(source.digest());
  source.close();
  return loader.tree as ZnodeTree;
}

// ---- the recorded vectors ----

// biome-ignore lint/suspicious/noExplicitAny: rows of recordings have as many shapes as there are packets
export type Row = any;

export const readVector = (name: string): string => readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8');
export const readRows = (name: string): Row[] =>
  readVector(name)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

export const hexLong = (hex: string): Long => parseZxidHex(hex.slice(2)) as Long;
export const hexOctets = (hex: string | null): Octets | null => (hex === null ? null : octetsFromBytes(Buffer.from(hex, 'hex')));
export const rowAcl = (acl: Row[] | null): Acl[] | null => acl?.map((a) => ({ perms: a.perms, scheme: a.id.scheme, id: a.id.id })) ?? null;

/** A Stat of the recordings in our form. */
export function rowStat(stat: Row): Stat {
  return {
    czxid: hexLong(stat.czxid),
    mzxid: hexLong(stat.mzxid),
    ctime: Number(stat.ctime),
    mtime: Number(stat.mtime),
    version: stat.version,
    cversion: stat.cversion,
    aversion: stat.aversion,
    ephemeralOwner: hexLong(stat.ephemeralOwner),
    dataLength: stat.dataLength,
    numChildren: stat.numChildren,
    pzxid: hexLong(stat.pzxid),
  };
}

function rowBody(type: number, txn: Row): TxnBody {
  switch (type) {
    case 1:
    case 15:
    case 19:
    case 21: {
      const { path, parentCVersion } = txn;
      const data = hexOctets(txn.data);
      return { type, path, data, acl: rowAcl(txn.acl) ?? [], ephemeral: txn.ephemeral ?? false, parentCVersion, ttl: Number(txn.ttl ?? 0) };
    }
    case 2:
    case 20:
      return { type, path: txn.path };
    case 5:
    case 16:
      return { type, path: txn.path, data: hexOctets(txn.data), version: txn.version };
    case 7:
      return { type, path: txn.path, acl: rowAcl(txn.acl) ?? [], version: txn.version };
    case 13:
      return { type, path: txn.path, version: txn.version };
    case 14:
      return { type, txns: txn.txns.map((part: Row) => rowBody(part.type, part.decoded)) };
    case -10:
      return { type, timeout: txn.timeOut };
    case -11:
      return { type, paths: txn.paths2Delete ?? null };
    case -1:
      return { type, err: txn.err };
  }
  throw new Error(`a transaction of type ${type} in a recording`);
}

/** A transaction of the recordings in our form. */
export function rowTxn({ hdr, txn, digest }: Row): Txn {
  return {
    header: { clientId: hexLong(hdr.clientId), cxid: hdr.cxid, zxid: hexLong(hdr.zxid), time: Number(hdr.time), type: hdr.type },
    body: rowBody(hdr.type, txn),
    digest: digest === undefined || digest === null ? null : { version: digest.version, value: hexLong(digest.treeDigest) },
  };
}

/** A client's write request of the recordings; null for anything that is no write or has no readable body. */
export function rowRequest(type: number, body: Row): WriteRequest | null {
  switch (type) {
    case 1:
    case 15:
    case 19:
    case 21:
      return {
        op: type,
        path: body.path,
        data: hexOctets(body.data),
        acl: rowAcl(body.acl),
        flags: body.flags,
        ttl: Number(body.ttl ?? -1),
      };
    case 2:
      return { op: 2, path: body.path, version: body.version };
    case 5:
      return { op: 5, path: body.path, data: hexOctets(body.data), version: body.version };
    case 7:
      return { op: 7, path: body.path, acl: rowAcl(body.acl), version: body.version };
    case 13:
      return { op: 13, path: body.path, version: body.version };
    case 14:
      return {
        op: 14,
        ops: body
          .filter((part: Row) => !part.header.done)
          .map((part: Row) => rowRequest(part.header.type, part.body) ?? { op: part.header.type }),
      };
    case -11:
      return { op: -11 };
  }
  return null;
}
