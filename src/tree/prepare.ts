import type Long from 'long';
import { CreateFlag, Err, Op, Perms } from '../model/codes.ts';
import type {
  CloseSessionTxn,
  CreateRequest,
  CreateTxn,
  DeleteContainerRequest,
  DeleteRequest,
  Id,
  MultiOp,
  MultiRequest,
  SetAclRequest,
  SetDataRequest,
  Txn,
  TxnBody,
  TxnDigest,
  WriteRequest,
} from '../model/records.ts';
import { compareZxid } from '../model/zxid.ts';
import { assert } from '../util/assert.ts';
import { allocBytes, readUtf8, writeUtf8 } from '../util/bytes.ts';
import { LongMap } from '../util/long-map.ts';
import { checkAcl, fixAcl } from './acl.ts';
import { DIGEST_VERSION } from './digest.ts';
import { type Change, Outstanding } from './outstanding.ts';
import { inner, isSpecial, parentOf, pathProblem, sequenceSuffix } from './paths.ts';
import {
  AVERSION,
  CVERSION,
  childCreated,
  childDeleted,
  dataSet,
  initRow,
  isDisposable,
  MAX_TTL,
  OWNER,
  OwnerKind,
  ownerHigh,
  ownerKind,
  ownerLow,
  VERSION,
} from './row.ts';
import type { ZnodeTree } from './tree.ts';

export interface PrepareOptions {
  /** Whether znodes may have a TTL; otherwise -6. @default true */
  readonly extendedTypes?: boolean;
  /** Whether hard limits of quotas refuse a write (-125). @default false */
  readonly enforceQuota?: boolean;
  /** Turns every permission check off. @default false */
  readonly skipAcl?: boolean;
  /** A digest id (see `digestId`) whose owner may do everything. @default null */
  readonly superDigest?: string | null;
  /** Whether transactions carry the tree's digest; the tree must keep one then. @default the tree's setting */
  readonly digest?: boolean;
  /** Most bytes of data and paths in one request; a larger one fails with -8. @default 1048575 */
  readonly maxData?: number;
}

interface SessionChange {
  readonly id: Long;
  readonly open: boolean;
  readonly zxid: Long;
}

/** Whether an operation may stand in a multi (PROTOCOL 3.3). */
const isMultiOp = (op: number): boolean =>
  op === Op.create ||
  op === Op.delete ||
  op === Op.setData ||
  op === Op.check ||
  op === Op.create2 ||
  op === Op.createContainer ||
  op === Op.createTtl;

/**
 * The leader's first step: makes an idempotent transaction of a request, by the checks of PROTOCOL 7 against the tree as it will be when everything prepared before
 * has been applied. It never throws for what is in a request: one that fails becomes a transaction too (an ErrorTxn, or a multi with errors in it; PROTOCOL 17).
 */
export class Preparer {
  readonly #tree: ZnodeTree;
  readonly #out: Outstanding;
  readonly #extendedTypes: boolean;
  readonly #enforceQuota: boolean;
  readonly #skipAcl: boolean;
  readonly #superDigest: string | null;
  readonly #digest: boolean;
  readonly #maxData: number;
  /** Sessions as they will be, where the tree has them otherwise; `#sessionQueue` holds the same in order of the transactions. */
  readonly #sessions = new LongMap<SessionChange>();
  #sessionQueue: SessionChange[] = [];
  #scratch = allocBytes(256);
  /** What a request's lists may grow by: a transaction must fit into a frame, whatever the few bytes of `auth` stand for. */
  readonly #aclRoom = { bytes: 0 };
  /** The request at hand: who, under which identities, its zxid and time, and why it fails (0: it does not). */
  #session: Long;
  #auth: readonly Id[] = [];
  #zxid: Long;
  #time = 0;
  #err = 0;

  constructor(tree: ZnodeTree, options: PrepareOptions = {}) {
    this.#tree = tree;
    this.#extendedTypes = options.extendedTypes ?? true;
    this.#enforceQuota = options.enforceQuota ?? false;
    this.#skipAcl = options.skipAcl ?? false;
    this.#superDigest = options.superDigest ?? null;
    this.#digest = options.digest ?? tree.digestOn;
    this.#maxData = options.maxData ?? 0xfffff;
    assert(tree.digestOn || !this.#digest, 'a tree without digest cannot give digests to transactions');
    this.#out = new Outstanding(tree, this.#digest);
    this.#zxid = this.#session = tree.lastZxid;
  }

  /**
   * Turns a request into its transaction. `zxid` follows the one before and is used up in any case; `time` is the wall clock in ms. `auth` are the requester's identities. Session 0 is the
   * server itself; a request of any other session that is not open, or is being closed, fails with -112.
   */
  prepare(sessionId: Long, cxid: number, auth: readonly Id[], record: WriteRequest, zxid: Long, time: number): Txn {
    this.#session = sessionId;
    this.#auth = auth;
    this.#zxid = zxid;
    this.#time = time;
    this.#aclRoom.bytes = this.#maxData / 2;
    this.#out.begin();
    let body: TxnBody | null;
    if (record.op === Op.multi) {
      body = this.#multi(record);
    } else {
      this.#err = 0;
      body = this.#prepareOne(record);
    }
    this.#out.end();
    body ??= { type: Op.error, err: this.#err };
    const digest = this.#digest && body.type !== Op.error ? this.#digestNow() : null;
    return { header: { clientId: sessionId, cxid, zxid, time, type: body.type }, body, digest };
  }

  #digestNow(): TxnDigest {
    return { version: DIGEST_VERSION, value: this.#out.sum.toLong() };
  }

  /** To be called after the tree has applied everything up to `zxid`: what was foreseen for it is dropped. */
  applied(zxid: Long): void {
    this.#out.applied(zxid);
    const queue = this.#sessionQueue;
    let done = 0;
    for (; done < queue.length && compareZxid(queue[done].zxid, zxid) <= 0; done++) {
      const change = queue[done];
      if (this.#sessions.get(change.id) === change) this.#sessions.delete(change.id);
    }
    if (done > 0) queue.splice(0, done);
  }

  /** Forgets everything outstanding: the tree alone counts. */
  reset(): void {
    this.#out.reset();
    this.#sessions.clear();
    this.#sessionQueue = [];
  }

  /** Whether a session will be open once everything prepared has been applied. */
  isOpen(sessionId: Long): boolean {
    return this.#sessions.get(sessionId)?.open ?? this.#tree.sessions.has(sessionId);
  }

  #fail(err: number): null {
    this.#err = err;
    return null;
  }

  #prepareOne(record: WriteRequest): TxnBody | null {
    switch (record.op) {
      case Op.createSession:
        this.#setSession(true);
        return { type: Op.createSession, timeout: record.timeout };
      case Op.closeSession:
        return this.#closeSession();
      case Op.error:
        return this.#fail(record.err);
      case Op.deleteContainer:
        return this.#deleteContainer(record);
      case Op.check:
        // ZooKeeper 3.8.0 logs a bare check and cannot read it back (PROTOCOL 2.1, 17): it is only good within a multi.
        return this.#fail(Err.unimplemented);
      case Op.multi:
        return this.#fail(Err.marshallingError);
    }
    if (!this.#sessionOk()) return this.#fail(Err.sessionExpired);
    if (sizeOf(record) > this.#maxData) return this.#fail(Err.badArguments);
    if (record.op === Op.setAcl) return this.#setAcl(record);
    return this.#prepareOp(record);
  }

  #prepareOp(record: MultiOp): TxnBody | null {
    switch (record.op) {
      case Op.setData:
        return this.#setData(record);
      case Op.delete:
        return this.#delete(record);
      case Op.check: {
        const change = this.#findValid(record.path, Perms.READ);
        if (change === null || !this.#versionOk(change.words[VERSION], record.version)) return null;
        return { type: Op.check, path: record.path, version: (change.words[VERSION] + 1) | 0 };
      }
      default:
        return this.#create(record, record.op);
    }
  }

  // ---- checks ----

  #sessionOk(): boolean {
    const id = this.#session;
    return (id.low === 0 && id.high === 0) || this.isOpen(id);
  }

  #allowed(change: Change, perm: number): boolean {
    if (this.#skipAcl || (this.#out.worldPerms(change) & perm) !== 0) return true;
    const acl = this.#out.acl(change);
    if (acl === undefined) return checkAcl([{ perms: 0, scheme: 'world', id: 'anyone' }], perm, this.#auth, this.#superDigest);
    return checkAcl(acl, perm, this.#auth, this.#superDigest);
  }

  /** The znode of a valid path on which the requester has `perm`; null with the reason noted. */
  #findValid(path: string, perm: number): Change | null {
    if (pathProblem(path) !== null) return this.#fail(Err.badArguments);
    const change = this.#out.find(path === '/' ? '' : path);
    if (change === null) return this.#fail(Err.noNode);
    return this.#allowed(change, perm) ? change : this.#fail(Err.noAuth);
  }

  #versionOk(version: number, expected: number): boolean {
    if (expected === -1 || expected === version) return true;
    this.#err = Err.badVersion;
    return false;
  }

  // ---- operations ----

  #setData(record: SetDataRequest): TxnBody | null {
    const { path, data } = record;
    const change = this.#findValid(path, Perms.WRITE);
    if (change === null) return null;
    if (this.#enforceQuota) {
      const more = (data?.length ?? 0) - (change.data?.length ?? 0);
      if (this.#tree.quotas.exceeded(change.path, more, 0)) return this.#fail(Err.quotaExceeded);
    }
    if (!this.#versionOk(change.words[VERSION], record.version)) return null;
    const version = (change.words[VERSION] + 1) | 0;
    this.#out.touch(change, this.#zxid);
    dataSet(change.words, 0, version, this.#zxid, this.#time);
    change.data = data;
    this.#out.redigest(change);
    return { type: Op.setData, path, data, version };
  }

  /** `type` is the transaction's type: the request's operation, except within a multi. */
  #create(record: CreateRequest, type: CreateTxn['type']): CreateTxn | null {
    const err = this.#createModeProblem(record, type);
    if (err !== 0) return this.#fail(err);
    const { flags, data } = record;
    const slash = record.path.lastIndexOf('/');
    if (slash === -1 || record.path.includes('\0')) return this.#fail(Err.badArguments);
    const acl = fixAcl(record.acl, this.#auth, this.#aclRoom);
    if (acl === null) return this.#fail(Err.invalidAcl);
    const parent = this.#out.find(inner(record.path.slice(0, slash)));
    if (parent === null) return this.#fail(Err.noNode);
    if (!this.#allowed(parent, Perms.CREATE)) return this.#fail(Err.noAuth);
    const sequential =
      flags === CreateFlag.persistentSequential || flags === CreateFlag.ephemeralSequential || flags === CreateFlag.persistentSequentialTtl;
    const counter = parent.words[CVERSION];
    const path = this.#flat(sequential ? record.path + sequenceSuffix(counter) : record.path);
    if (pathProblem(path) !== null) return this.#fail(Err.badArguments);
    if (this.#out.has(inner(path))) return this.#fail(Err.nodeExists);
    if (ownerKind(parent.words[OWNER], parent.words[OWNER + 1]) === OwnerKind.session) return this.#fail(Err.noChildrenForEphemerals);
    if (this.#enforceQuota && this.#tree.quotas.exceeded(path, data?.length ?? 0, 1)) return this.#fail(Err.quotaExceeded);

    const ephemeral =
      (type === Op.create || type === Op.create2) && (flags === CreateFlag.ephemeral || flags === CreateFlag.ephemeralSequential);
    const ttl = type === Op.createTtl ? record.ttl : 0;
    const parentCVersion = (counter + 1) | 0;
    this.#out.touch(parent, this.#zxid);
    parent.children++;
    childCreated(parent.words, 0, parentCVersion, this.#zxid);
    this.#out.redigest(parent);
    const change = this.#out.create(path, this.#zxid);
    const high = ownerHigh(type, ephemeral, this.#session, ttl);
    initRow(change.words, 0, this.#zxid, this.#time, high, ownerLow(type, ephemeral, this.#session, ttl));
    change.acl = acl;
    change.data = data;
    this.#out.redigest(change);
    return { type, path, data, acl, ephemeral, parentCVersion, ttl };
  }

  /** The flags and TTL of a create (PROTOCOL 5): 0 when they are in order. */
  #createModeProblem(record: CreateRequest, type: number): number {
    const { flags } = record;
    if (!Number.isInteger(flags) || flags < 0 || flags > 6) return Err.badArguments;
    const wantsTtl = flags === CreateFlag.persistentTtl || flags === CreateFlag.persistentSequentialTtl;
    if (wantsTtl && !this.#extendedTypes) return Err.unimplemented;
    // A TTL transaction without a TTL, which 3.8.0 would write for op 21 with other flags and a negative ttl, is one that nobody could apply.
    if (wantsTtl !== (type === Op.createTtl)) return Err.badArguments;
    if (wantsTtl && !(record.ttl > 0 && record.ttl <= MAX_TTL)) return Err.badArguments;
    return 0;
  }

  /**
   * A copy of a path that shares memory with no other string. Names come out of concatenations and slices of whatever the application had, and the
   * tree would keep all of that alive.
   */
  #flat(path: string): string {
    if (this.#scratch.length < 3 * path.length) this.#scratch = allocBytes(6 * path.length);
    return readUtf8(this.#scratch, 0, writeUtf8(this.#scratch, path, 0));
  }

  #delete(record: DeleteRequest): TxnBody | null {
    const { path } = record;
    if (!path.includes('/') || path.includes('\0') || isSpecial(path)) return this.#fail(Err.badArguments);
    const parent = this.#out.find(inner(parentOf(path)));
    if (parent === null) return this.#fail(Err.noNode);
    if (!this.#allowed(parent, Perms.DELETE)) return this.#fail(Err.noAuth);
    const change = this.#out.find(path);
    if (change === null) return this.#fail(Err.noNode);
    if (!this.#versionOk(change.words[VERSION], record.version)) return null;
    if (change.children > 0) return this.#fail(Err.notEmpty);
    this.#remove(change, parent);
    return { type: Op.delete, path };
  }

  #remove(change: Change, parent: Change | null): void {
    if (parent !== null) {
      this.#out.touch(parent, this.#zxid);
      parent.children--;
      childDeleted(parent.words, 0, this.#zxid);
      this.#out.redigest(parent);
    }
    this.#out.touch(change, this.#zxid);
    change.exists = false;
    change.acl = null;
    change.data = null;
    this.#out.redigest(change);
  }

  #setAcl(record: SetAclRequest): TxnBody | null {
    const { path } = record;
    if (pathProblem(path) !== null) return this.#fail(Err.badArguments);
    const acl = fixAcl(record.acl, this.#auth, this.#aclRoom);
    if (acl === null) return this.#fail(Err.invalidAcl);
    const change = this.#findValid(path, Perms.ADMIN);
    if (change === null || !this.#versionOk(change.words[AVERSION], record.version)) return null;
    const version = (change.words[AVERSION] + 1) | 0;
    this.#out.touch(change, this.#zxid);
    change.words[AVERSION] = version;
    change.acl = acl;
    this.#out.redigest(change);
    return { type: Op.setAcl, path, acl, version };
  }

  /**
   * The cleaner's deletion (PROTOCOL 5). Stricter than ZooKeeper: only the server itself may ask, and the znode must still be one that the cleaner may take, since it can have been written or made
   * anew after the cleaner chose it.
   */
  #deleteContainer(record: DeleteContainerRequest): TxnBody | null {
    const { path } = record;
    if (this.#session.low !== 0 || this.#session.high !== 0) return this.#fail(Err.badArguments);
    if (!path.includes('/') || path.includes('\0') || isSpecial(path)) return this.#fail(Err.badArguments);
    const change = this.#out.find(path);
    if (change === null) return this.#fail(Err.noNode);
    if (change.children > 0) return this.#fail(Err.notEmpty);
    if (!isDisposable(change.words, 0, this.#time)) return this.#fail(Err.badVersion);
    this.#remove(change, this.#out.find(inner(parentOf(path))));
    return { type: Op.deleteContainer, path };
  }

  #setSession(open: boolean): void {
    const change = { id: this.#session, open, zxid: this.#zxid };
    this.#sessions.set(change.id, change);
    this.#sessionQueue.push(change);
  }

  /**
   * Lists the ephemerals that the session will have by then. A list beyond the size limit is cut: who applies it deletes what is left as well, and a transaction too large for a frame
   * would be one that nobody can receive (faults 3496, 4306).
   */
  #closeSession(): CloseSessionTxn {
    this.#setSession(false);
    const paths: string[] = [];
    let room = this.#maxData;
    for (const path of this.#out.ephemerals(this.#session)) {
      const change = this.#out.find(path);
      if (change !== null) this.#remove(change, this.#out.find(parentOf(path)));
      room -= 3 * path.length + 4;
      if (room >= 0) paths.push(path);
    }
    return { type: Op.closeSession, paths };
  }

  // ---- multi ----

  /** All parts or none. A failed one is a transaction too: the parts before stay as they are, the failed one and those after it become errors (PROTOCOL 17). */
  #multi(record: MultiRequest): TxnBody {
    let size = 0;
    for (const op of record.ops) {
      if (!isMultiOp(op.op)) return { type: Op.error, err: Err.marshallingError };
      size += sizeOf(op);
    }
    if (size > this.#maxData) return { type: Op.error, err: Err.badArguments };
    if (record.ops.length === 0 && !this.#sessionOk()) return { type: Op.error, err: Err.sessionExpired };
    const txns: TxnBody[] = [];
    let failed = false;
    this.#out.beginMulti();
    for (const op of record.ops) {
      this.#err = failed ? Err.runtimeInconsistency : 0;
      const body = failed ? null : this.#multiPart(op);
      if (body === null && !failed) {
        failed = true;
        this.#out.rollBack();
      }
      txns.push(body ?? { type: Op.error, err: this.#err });
    }
    this.#out.endMulti();
    return { type: Op.multi, txns };
  }

  /** Within a multi, 3.8.0 goes by the flags of a create and not by its operation code: create2 becomes create, a container is one by its flag. */
  #multiPart(op: MultiOp): TxnBody | null {
    if (!this.#sessionOk()) return this.#fail(Err.sessionExpired);
    if (op.op === Op.setData || op.op === Op.delete || op.op === Op.check) return this.#prepareOp(op);
    const wantsTtl = op.flags === CreateFlag.persistentTtl || op.flags === CreateFlag.persistentSequentialTtl;
    if (op.op === Op.createTtl && wantsTtl) return this.#create(op, Op.createTtl);
    return this.#create(op, op.flags === CreateFlag.container ? Op.createContainer : Op.create);
  }
}

function sizeOf(record: MultiOp | SetAclRequest): number {
  return record.path.length + ('data' in record && record.data !== null ? record.data.length : 0);
}
