import type Long from 'long';
import { Err, EventType, type EventTypeCode } from '../model/codes.ts';
import type {
  Acl,
  CloseSessionTxn,
  CreateTxn,
  MultiTxn,
  SetAclTxn,
  SetDataTxn,
  SnapshotDigest,
  SnapshotSource,
  Stat,
  Txn,
  TxnBody,
  TxnDigest,
  TxnHeader,
} from '../model/records.ts';
import { compareZxid, ZXID_NONE } from '../model/zxid.ts';
import type { Octets } from '../util/bytes.ts';
import { LongMap } from '../util/long-map.ts';
import { READ_ACL } from './acl.ts';
import { AclTable, OPEN_KEY } from './acl-table.ts';
import { DIGEST_VERSION, isDigested, NodeDigester, Sum64 } from './digest.ts';
import { Owners } from './owners.ts';
import { inner, isBelowRoot, outer, parentOf } from './paths.ts';
import { Quotas } from './quota.ts';
import { AVERSION, childCreated, childDeleted, dataSet, initRow, isDisposable, OWNER, ownerHigh, ownerLow, statOf } from './row.ts';
import { TreeSnapshot } from './snapshot-source.ts';
import { ZnodeData } from './znode-data.ts';
import { ACL_KEY, CHILDREN, CRC, FIRST_CHILD, ZnodeTable } from './znode-table.ts';

/** What became of one part of a multi (PROTOCOL 3.3). `type` is that of the result: -1 for an error, 1, 15, 2, 5 or 13 otherwise. */
export interface OpResult {
  readonly type: number;
  readonly err: number;
  readonly path: string | null;
  readonly stat: Stat | null;
}

/**
 * What applying a transaction gave. `path` is the znode's (with the sequence suffix), `stat` its Stat right after for create, setData and setACL. `results` is
 * there for a multi, a failed one too; then `err` is the first error among them.
 */
export interface TxnResult {
  readonly zxid: Long;
  readonly err: number;
  readonly path: string | null;
  readonly stat: Stat | null;
  readonly results: readonly OpResult[] | null;
}

export interface SessionInfo {
  readonly id: Long;
  /** ms */
  readonly timeout: number;
}

export interface TreeOptions {
  /** Whether to keep the tree's digest (PROTOCOL 17.1). @default false */
  readonly digest?: boolean;
  /** Leaves the built-in znodes out: for a snapshot to be loaded. @default false */
  readonly blank?: boolean;
}

/** Called for each change as it applies, in ZooKeeper's order (PROTOCOL 10). Must not throw and must not change the tree. `path` is "/" for the root; `acl` is the znode's. */
export type TreeListener = (type: EventTypeCode, path: string, zxid: Long, acl: readonly Acl[]) => void;

const sizeOf = (data: Octets | null): number => (data === null ? 0 : data.length);

/**
 * The replicated state: znodes, sessions and ACLs (PROTOCOL 5, 6, 16, 17). Everything is synchronous. It changes only by {@link apply}, which never refuses a transaction
 * and may be given one again: replaying the log over a fuzzy snapshot gives exactly the tree that the log alone gives, Stat fields included.
 */
export class ZnodeTree {
  /** The rows themselves: for the other parts of this layer. */
  readonly table = new ZnodeTable();
  readonly acls = new AclTable();
  readonly owners = new Owners();
  readonly quotas = new Quotas(this.table);
  readonly digestOn: boolean;
  /** The digest's running sum. */
  readonly sum = new Sum64();
  readonly #digester = new NodeDigester();
  /** The sessions that are open, by id. */
  readonly sessions = new LongMap<SessionInfo>();
  /** The last transaction applied. */
  lastZxid: Long = ZXID_NONE;
  onEvent: TreeListener | null = null;
  /** Called when the digest after `zxid` is not what the transaction or the snapshot says; replication goes on. */
  onDigestMismatch: ((zxid: Long, expected: Long, actual: Long) => void) | null = null;
  digestMismatches = 0;
  /** False while parts of later transactions may still be in the tree, after a fuzzy snapshot. */
  #exact = true;
  #snapshotDigest: SnapshotDigest | null = null;
  /** Slot that the last applied part created or changed, for its result. */
  #touched = 0;

  /** A tree as a new server has it: the root, /zookeeper, /zookeeper/quota and /zookeeper/config, all of zxid 0 (PROTOCOL 6, 18.1). */
  constructor(options: TreeOptions = {}) {
    this.digestOn = options.digest ?? false;
    if (options.blank === true) return;
    this.#addBuiltIn('', 0);
    this.addMissingBuiltIns();
  }

  #addBuiltIn(path: string, parent: number): number {
    const slot = this.table.insert(path, parent, '' as Octets);
    this.table.set(slot, ACL_KEY, OPEN_KEY);
    this.redigest(slot);
    return slot;
  }

  /** Adds those of the built-in znodes that are not there; the root must be. */
  addMissingBuiltIns(): void {
    const { table } = this;
    const top = table.find('/zookeeper') || this.#addBuiltIn('/zookeeper', table.find(''));
    if (table.find('/zookeeper/quota') === 0) this.#addBuiltIn('/zookeeper/quota', top);
    if (table.find('/zookeeper/config') !== 0) return;
    const config = this.#addBuiltIn('/zookeeper/config', top);
    table.set(config, ACL_KEY, this.acls.acquire(READ_ACL));
    table.set(config, AVERSION, -1);
  }

  /**
   * Sets the text of /zookeeper/config, which each server does by itself when it starts, without a transaction (PROTOCOL 18.1). `version` is the
   * configuration's, `time` in ms.
   */
  setConfig(text: Octets, version: Long, time: number): void {
    const slot = this.table.find('/zookeeper/config');
    this.table.setData(slot, text);
    dataSet(this.table.page(slot), this.table.at(slot), -1, version, time);
  }

  // ---- reads: "/" or "" is the root; a path that is no znode's gives undefined ----

  /** Number of znodes, the built-in ones included. (ZooKeeper's own report counts the root twice.) */
  get nodeCount(): number {
    return this.table.size;
  }

  has(path: string): boolean {
    return this.table.find(inner(path)) !== 0;
  }

  getData(path: string): ZnodeData | undefined {
    const slot = this.table.find(path === '/' ? '' : path);
    return slot === 0 ? undefined : this.#read(slot);
  }

  #read(slot: number): ZnodeData {
    const { table } = this;
    const page = table.page(slot);
    const at = table.at(slot);
    return new ZnodeData(table.data(slot), page, at, page[at + CHILDREN]);
  }

  exists(path: string): Stat | undefined {
    const slot = this.table.find(inner(path));
    return slot === 0 ? undefined : this.stat(slot);
  }

  /** The Stat of a row. */
  stat(slot: number): Stat {
    const page = this.table.page(slot);
    const at = this.table.at(slot);
    return statOf(page, at, sizeOf(this.table.data(slot)), page[at + CHILDREN]);
  }

  /** Names of the children, oldest first. */
  getChildren(path: string): string[] | undefined {
    const slot = this.table.find(inner(path));
    return slot === 0 ? undefined : this.table.childNames(slot);
  }

  /** How many znodes are below `path`. */
  getAllChildrenNumber(path: string): number | undefined {
    const top = this.table.find(inner(path));
    if (top === 0) return undefined;
    let count = -1;
    for (let slot = top; slot !== 0; slot = this.table.following(slot, top)) count++;
    return count;
  }

  getAcl(path: string): { acl: readonly Acl[]; stat: Stat } | undefined {
    const slot = this.table.find(inner(path));
    return slot === 0 ? undefined : { acl: this.aclOf(slot), stat: this.stat(slot) };
  }

  /** The ACL of a row. Somebody whose list is not known has no rights at all. */
  aclOf(slot: number): readonly Acl[] {
    return this.acls.get(this.table.get(slot, ACL_KEY)) ?? [{ perms: 0, scheme: 'world', id: 'anyone' }];
  }

  /** Paths of a session's ephemerals that begin with the text `prefix`; all for null, "" and "/". */
  getEphemerals(session: Long, prefix: string | null = null): string[] {
    const all = prefix === null || prefix.trim() === '' || prefix.trim() === '/';
    const out: string[] = [];
    for (const slot of this.owners.of(session) ?? []) {
      const path = this.table.path(slot);
      if (all || path.startsWith(prefix as string)) out.push(path);
    }
    return out;
  }

  /** Sessions that own ephemerals but are not open: none, unless a log or snapshot of a faulty server was loaded. */
  orphanedSessions(): Long[] {
    const out: Long[] = [];
    for (const slots of this.owners.sets()) {
      for (const slot of slots) {
        const owner = this.stat(slot).ephemeralOwner;
        if (!this.sessions.has(owner)) out.push(owner);
        break;
      }
    }
    return out;
  }

  /**
   * The subtree of `path`, parents before children, each as it is when it comes up. The tree may change meanwhile: a znode that is there all the time comes
   * exactly once, a new or deleted one perhaps. Leave it with `return()` (as `for..of` does) or walk it to its end.
   */
  *walk(path: string): Generator<[path: string, data: ZnodeData]> {
    const walk = this.table.walk(this.table.find(inner(path)));
    try {
      for (let slot = this.table.step(walk); slot !== 0; slot = this.table.step(walk))
        yield [outer(this.table.path(slot)), this.#read(slot)];
    } finally {
      this.table.close(walk);
    }
  }

  /** Znodes that the leader's cleaner should delete (PROTOCOL 5): containers that had children and have none, expired TTL znodes. `now` as the leader's wall clock, ms. */
  cleanupCandidates(now: number): string[] {
    const out: string[] = [];
    for (const slot of this.owners.containers) if (this.isCleanable(slot, now)) out.push(this.table.path(slot));
    for (const slot of this.owners.ttls) if (this.isCleanable(slot, now)) out.push(this.table.path(slot));
    return out;
  }

  isCleanable(slot: number, now: number): boolean {
    const page = this.table.page(slot);
    const at = this.table.at(slot);
    return page[at + CHILDREN] === 0 && isDisposable(page, at, now);
  }

  // ---- changes ----

  /**
   * Applies a transaction. Null when `wantResult` is false. A failed one (type -1, or a multi with an error in it) only moves `lastZxid`. What a
   * replay finds already done, or its znode gone, is no error to anybody: `err` tells it.
   */
  apply(txn: Txn, wantResult: boolean): TxnResult | null {
    const { header, body } = txn;
    let results: OpResult[] | null = null;
    let err: number;
    if (body.type === 14) {
      if (wantResult) results = [];
      err = this.#applyMulti(header, body, results);
    } else {
      err = this.#applyPart(header, body);
    }
    // Only now, with every part of a multi in: a snapshot's zxid must not cover half of one (fault 3127).
    if (compareZxid(header.zxid, this.lastZxid) > 0) this.lastZxid = header.zxid;
    if (this.digestOn) this.#checkDigest(header.zxid, txn.digest);
    if (!wantResult) return null;
    if (results !== null) return { zxid: header.zxid, err, path: null, stat: null, results };
    const stat = this.#touched === 0 ? null : this.stat(this.#touched);
    return { zxid: header.zxid, err, path: 'path' in body ? body.path : null, stat, results };
  }

  #applyMulti(header: TxnHeader, body: MultiTxn, results: OpResult[] | null): number {
    let failed = false;
    for (const part of body.txns) if (part.type === -1) failed = true;
    let first = 0;
    for (const part of body.txns) {
      let err: number;
      if (part.type === -1) err = part.err;
      else err = failed ? 0 : this.#applyPart(header, part);
      if (first === 0) first = err;
      if (results === null) continue;
      if (failed) results.push({ type: -1, err, path: null, stat: null });
      else results.push(this.#partResult(part, err));
    }
    return first;
  }

  #partResult(part: TxnBody, err: number): OpResult {
    if (err !== 0) return { type: -1, err, path: null, stat: null };
    const path = 'path' in part ? part.path : null;
    const type = part.type === 19 || part.type === 21 ? 15 : part.type;
    const withStat = type === 15 || type === 5;
    return { type, err, path, stat: withStat && this.#touched !== 0 ? this.stat(this.#touched) : null };
  }

  #applyPart(header: TxnHeader, body: TxnBody): number {
    this.#touched = 0;
    switch (body.type) {
      case 5:
      case 16:
        return this.#setData(header, body);
      case 1:
      case 15:
      case 19:
      case 21:
        return this.#create(header, body);
      case 2:
      case 20:
        return this.#delete(inner(body.path), header.zxid);
      case 7:
        return this.#setAcl(body);
      case -10:
        this.sessions.set(header.clientId, { id: header.clientId, timeout: body.timeout });
        return Err.ok;
      case -11:
        this.#closeSession(header, body);
        return Err.ok;
      case -1:
        return body.err;
      default:
        return Err.ok;
    }
  }

  #create(header: TxnHeader, body: CreateTxn): number {
    const { table } = this;
    const path = body.path;
    const parent = table.find(parentOf(path));
    if (parent === 0 || !isBelowRoot(path)) return Err.noNode;
    childCreated(table.page(parent), table.at(parent), body.parentCVersion, header.zxid);
    let slot = table.find(path);
    if (slot !== 0) {
      // A fuzzy snapshot already had it. Its ACL table, written earlier, may lack the list, so the list comes from here.
      this.#replaceAcl(slot, body.acl);
      this.redigest(parent);
      return Err.nodeExists;
    }
    slot = table.insert(path, parent, body.data);
    const page = table.page(slot);
    const at = table.at(slot);
    const high = ownerHigh(body.type, body.ephemeral, header.clientId, body.ttl);
    const low = ownerLow(body.type, body.ephemeral, header.clientId, body.ttl);
    initRow(page, at, header.zxid, header.time, high, low);
    page[at + ACL_KEY] = this.acls.acquire(body.acl);
    if ((high | low) !== 0) this.owners.add(table, slot);
    this.redigest(parent);
    this.redigest(slot);
    this.quotas.created(slot);
    this.#touched = slot;
    if (this.onEvent !== null) {
      this.onEvent(EventType.nodeCreated, path, header.zxid, body.acl);
      this.onEvent(EventType.nodeChildrenChanged, outer(table.path(parent)), header.zxid, this.aclOf(parent));
    }
    return Err.ok;
  }

  #delete(path: string, zxid: Long): number {
    const { table } = this;
    if (!isBelowRoot(path)) return Err.badArguments;
    const parent = table.find(parentOf(path));
    if (parent === 0) return Err.noNode;
    // The parent may have come into a fuzzy snapshot before this deletion and the child not at all: pzxid rises all the same (fault 3145).
    childDeleted(table.page(parent), table.at(parent), zxid);
    this.redigest(parent);
    const slot = table.find(path);
    if (slot === 0) return Err.noNode;
    // Only in a replay over a fuzzy snapshot can there be children: those of a later znode of this name, which will be created again.
    while (table.get(slot, FIRST_CHILD) !== 0) this.#delete(table.path(table.get(slot, FIRST_CHILD)), zxid);
    const bytes = sizeOf(table.data(slot));
    if (this.digestOn) this.sum.subtract(table.get(slot, CRC));
    if ((table.get(slot, OWNER) | table.get(slot, OWNER + 1)) !== 0) this.owners.remove(table, slot);
    const acl = this.aclOf(slot);
    this.acls.release(table.get(slot, ACL_KEY));
    table.remove(slot);
    this.quotas.deleted(path, bytes);
    if (this.onEvent !== null) {
      this.onEvent(EventType.nodeDeleted, path, zxid, acl);
      this.onEvent(EventType.nodeChildrenChanged, outer(table.path(parent)), zxid, this.aclOf(parent));
    }
    return Err.ok;
  }

  #setData(header: TxnHeader, body: SetDataTxn): number {
    const { table } = this;
    const path = body.path === '/' ? '' : body.path;
    const slot = table.find(path);
    if (slot === 0) return Err.noNode;
    if (this.quotas.any) this.quotas.adjust(path, sizeOf(body.data) - sizeOf(table.data(slot)), 0);
    table.setData(slot, body.data);
    dataSet(table.page(slot), table.at(slot), body.version, header.zxid, header.time);
    if (this.digestOn) this.redigest(slot);
    this.#touched = slot;
    if (this.onEvent !== null) this.onEvent(EventType.nodeDataChanged, body.path, header.zxid, this.aclOf(slot));
    return Err.ok;
  }

  #setAcl(body: SetAclTxn): number {
    const slot = this.table.find(inner(body.path));
    if (slot === 0) return Err.noNode;
    this.table.set(slot, AVERSION, body.version);
    this.#replaceAcl(slot, body.acl);
    this.redigest(slot);
    this.#touched = slot;
    return Err.ok;
  }

  #replaceAcl(slot: number, acl: readonly Acl[]): void {
    const old = this.table.get(slot, ACL_KEY);
    this.table.set(slot, ACL_KEY, this.acls.acquire(acl));
    this.acls.release(old);
  }

  #closeSession(header: TxnHeader, body: CloseSessionTxn): void {
    this.sessions.delete(header.clientId);
    for (const path of body.paths ?? []) this.#delete(inner(path), header.zxid);
    const left = this.owners.of(header.clientId);
    if (left === undefined) return;
    for (const path of [...left].map((slot) => this.table.path(slot))) this.#delete(path, header.zxid);
  }

  // ---- digest ----

  /** Computes the node digest of a row anew, after it changed. */
  redigest(slot: number): void {
    const { table } = this;
    const path = table.path(slot);
    if (!this.digestOn || !isDigested(path)) return;
    const page = table.page(slot);
    const at = table.at(slot);
    this.sum.subtract(page[at + CRC]);
    page[at + CRC] = this.#digester.digest(path, table.data(slot), page, at);
    this.sum.add(page[at + CRC]);
  }

  /** Sum of the node digests (PROTOCOL 17.1); meaningless when digests are off. */
  digest(): Long {
    return this.sum.toLong();
  }

  /** The digest for a transaction or a snapshot; null when digests are off. */
  txnDigest(): TxnDigest | null {
    return this.digestOn ? { version: DIGEST_VERSION, value: this.sum.toLong() } : null;
  }

  /** The same sum computed from all znodes: for checks of the running one. */
  recomputeDigest(): Long {
    const { table } = this;
    const sum = new Sum64();
    const top = table.find('');
    for (let slot = top; slot !== 0; slot = table.following(slot, top)) {
      const path = table.path(slot);
      if (isDigested(path)) sum.add(this.#digester.digest(path, table.data(slot), table.page(slot), table.at(slot)));
    }
    return sum.toLong();
  }

  /** Compares where a comparison means anything: in the fuzzy range after a snapshot the sum is nobody's. */
  #checkDigest(zxid: Long, digest: TxnDigest | null): void {
    const block = this.#snapshotDigest;
    if (block !== null && compareZxid(zxid, block.zxid) >= 0) {
      this.#exact = true;
      this.#snapshotDigest = null;
      if (compareZxid(zxid, block.zxid) === 0) this.#compareDigest(zxid, block);
    }
    if (digest === null || digest.version !== DIGEST_VERSION) return;
    if (this.#exact) this.#compareDigest(zxid, digest);
    else if (block === null && this.sum.equals(digest.value)) this.#exact = true;
  }

  #compareDigest(zxid: Long, digest: TxnDigest): void {
    if (digest.version !== DIGEST_VERSION || this.sum.equals(digest.value)) return;
    this.digestMismatches++;
    this.onDigestMismatch?.(zxid, digest.value, this.sum.toLong());
  }

  // ---- snapshots ----

  /** Begins a fuzzy snapshot of the tree as it is from now on. */
  openSnapshot(): SnapshotSource {
    const sessions = [...this.sessions.values()];
    return new TreeSnapshot(this.table, this.lastZxid, { sessions, acls: this.acls.entries() }, () => {
      const digest = this.txnDigest();
      if (digest === null) return null;
      // ZooKeeper's snapshot of an empty history says 0.
      const none = compareZxid(this.lastZxid, ZXID_NONE) === 0;
      return { ...digest, value: none ? ZXID_NONE : digest.value, zxid: this.lastZxid };
    });
  }

  /** Says that the tree holds a snapshot of `zxid` now, with the digest block `digest`: from where on digests are compared. */
  loaded(zxid: Long, digest: SnapshotDigest | null): void {
    this.lastZxid = zxid;
    // A block of zxid 0 says nothing: ZooKeeper writes one while it knows no digest, into the first snapshot and into that of a first synchronisation.
    const known = digest === null || digest.zxid.isZero() ? null : digest;
    this.#exact = zxid.isZero() && known === null;
    if (known === null || !this.digestOn) return;
    this.#snapshotDigest = known;
    if (compareZxid(known.zxid, zxid) <= 0) this.#checkDigest(known.zxid, null);
  }
}
