import { EventEmitter } from 'eventemitter3';
import type Long from 'long';
import { Err, Op, Perms } from '../model/codes.ts';
import { ZabError } from '../model/errors.ts';
import type { Acl, Id, Request, Stat, SyncRequest, Txn, WriteRequest } from '../model/records.ts';
import type { Logger } from '../seams/logger.ts';
import { inner } from '../tree/paths.ts';
import type { TxnResult } from '../tree/tree.ts';
import type { ZnodeData } from '../tree/znode-data.ts';
import { octetsFromBytes, octetsFromText } from '../util/bytes.ts';
import { type Access, namesOf } from './access.ts';
import type {
  CallOptions,
  CreateOptions,
  DataInput,
  MultiOperation,
  MultiResult,
  ReadOperation,
  ReadOptions,
  ReadResult,
  Session,
  SessionEvents,
  SessionState,
  VersionOptions,
  WatchEvent,
  Watcher,
  WatchKind,
  WatchOptions,
} from './api.ts';
import { CallQueue } from './call-queue.ts';
import { abortError, Call, CallKind, type CallKindCode, lostError, nextCxid, notServing, overloaded, stoppedError } from './calls.ts';
import type { ReplicaControl } from './hooks.ts';
import { checkedPath, checkSize, createRequest, deleteRequest, multiOp, setAclRequest, setDataRequest } from './operations.ts';
import { sessionPassword } from './session-id.ts';
import { WatchOwner, watchOf } from './watch-owner.ts';
import type { Watches } from './watches.ts';

/** What a session needs of the process it lives in. */
export interface SessionHost {
  readonly control: ReplicaControl;
  readonly watches: Watches;
  readonly logger: Logger;
  readonly maxRequestBytes: number;
  readonly access: Access;
  /** Counts one more call under way; false when there are too many. */
  take(): boolean;
  release(): void;
  /** Set when the node has stopped. */
  readonly stopped: { readonly cause: Error | null } | null;
  stateChanged(session: LocalSession, state: SessionState): void;
}

/** Who everybody in this process is: it comes from here. */
const IN_PROCESS: Id = Object.freeze({ scheme: 'ip', id: '127.0.0.1' });

/** A session of this process: sends its requests, and answers them in order by way of its {@link CallQueue}. */
export class LocalSession extends EventEmitter<SessionEvents> implements Session {
  readonly id: Long;
  readonly timeout: number;
  readonly password: Uint8Array;
  readonly readOnly = false;
  readonly #host: SessionHost;
  readonly #watches: WatchOwner;
  readonly #calls: CallQueue;
  #state: SessionState = 'connected';
  #auth: readonly Id[] = [IN_PROCESS];
  #lastCxid: number;
  #closing: Promise<void> | null = null;
  /** Why calls are refused once the state is final. */
  #finalCode: 'SESSION_EXPIRED' | 'SESSION_MOVED' = 'SESSION_EXPIRED';

  /** `lastCxid` is the number before that of the first request. */
  constructor(host: SessionHost, id: Long, timeout: number, lastCxid: number) {
    super();
    this.#host = host;
    this.id = id;
    this.timeout = timeout;
    this.password = sessionPassword(id);
    this.#lastCxid = lastCxid;
    this.#watches = new WatchOwner(host.watches);
    this.#calls = new CallQueue(() => host.release());
  }

  get state(): SessionState {
    return this.#state;
  }

  get isFinal(): boolean {
    return this.#state === 'closed' || this.#state === 'expired';
  }

  /** Calls that are not answered yet. */
  get pendingCalls(): number {
    return this.#calls.length;
  }

  // ---- writes ----

  create(path: string, data?: DataInput, options?: CreateOptions & CallOptions): Promise<{ path: string; stat: Stat }> {
    try {
      return this.#submit(CallKind.create, path, createRequest(path, data, options, Op.create2), options?.signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  delete(path: string, options?: VersionOptions): Promise<void> {
    try {
      return this.#submit(CallKind.delete, path, deleteRequest(path, options?.version), options?.signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  setData(path: string, data: DataInput, options?: VersionOptions): Promise<Stat> {
    try {
      return this.#submit(CallKind.setData, path, setDataRequest(path, data, options?.version), options?.signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  setAcl(path: string, acl: readonly Acl[], options?: VersionOptions): Promise<Stat> {
    try {
      return this.#submit(CallKind.setAcl, path, setAclRequest(path, acl, options?.version), options?.signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  multi(operations: readonly MultiOperation[], options?: CallOptions): Promise<MultiResult[]> {
    try {
      if (operations.length === 0) return this.#read('', () => [], options?.signal);
      const path = operations[0].path;
      return this.#submit(CallKind.multi, path, { op: Op.multi, ops: operations.map(multiOp) }, options?.signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  sync(path = '/', options?: CallOptions): Promise<void> {
    try {
      return this.#submit(CallKind.sync, path, { op: Op.sync, path: checkedPath(path) }, options?.signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  close(): Promise<void> {
    if (this.isFinal) return Promise.resolve();
    if (this.#closing !== null) return this.#closing;
    const before = this.#lastCxid;
    const closing = this.#submit<void>(CallKind.close, '', { op: Op.closeSession }, undefined);
    if (this.#lastCxid !== before) this.#closing = closing;
    return closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Sends a request and queues its call. */
  #submit<T>(kind: CallKindCode, path: string, record: WriteRequest | SyncRequest, signal: AbortSignal | undefined): Promise<T> {
    const refusal = this.#refusal(path, signal);
    if (refusal !== null) return Promise.reject(refusal);
    const host = this.#host;
    if (record.op !== Op.sync) checkSize(record, path, host.maxRequestBytes);
    if (!host.take()) return Promise.reject(overloaded(path));
    const cxid = nextCxid(this.#lastCxid);
    const request: Request = { sessionId: this.id, cxid, op: record.op, auth: this.#auth, record, body: null };
    if (!host.control.submit(request)) {
      host.release();
      return Promise.reject(notServing(path));
    }
    this.#lastCxid = cxid;
    return new Promise<T>((resolve, reject) => {
      const call = new Call(kind, cxid, path, null, resolve as (value: never) => void, reject);
      if (record.op === Op.multi) call.ops = record.ops;
      if (signal !== undefined) call.listen(signal);
      this.#calls.push(call);
    });
  }

  /** Why a new call can't be taken; null if it can. */
  #refusal(path: string, signal: AbortSignal | undefined): ZabError | null {
    const { stopped } = this.#host;
    if (stopped !== null) return stoppedError('not-done', stopped.cause, path);
    if (this.isFinal || this.#closing !== null) return this.#endError('not-done', path);
    if (this.#state === 'suspended') return notServing(path);
    if (signal?.aborted) return abortError(signal, path, 'not-done');
    return null;
  }

  #endError(outcome: 'not-done' | 'unknown', path: string): ZabError {
    const why = this.#finalCode === 'SESSION_MOVED' ? 'another handle goes on with the session' : `the session is ${this.#describe()}`;
    return new ZabError(this.#finalCode, `${this.#finalCode} ${path}: ${why}`, outcome, path);
  }

  #describe(): string {
    return this.#closing !== null && !this.isFinal ? 'being closed' : this.#state;
  }

  // ---- reads ----

  exists(path: string, options?: ReadOptions): Promise<Stat | null> {
    return this.#read(
      path,
      () => {
        const stat = this.#host.control.tree.exists(path) ?? null;
        this.#watches.once('data', path, options?.watch);
        return stat;
      },
      options?.signal,
    );
  }

  getData(path: string, options?: ReadOptions): Promise<ZnodeData> {
    return this.#read(path, () => this.#dataOf(path, options?.watch), options?.signal);
  }

  getChildren(path: string, options?: ReadOptions): Promise<{ children: string[]; stat: Stat }> {
    return this.#read(
      path,
      () => {
        this.#demand(path, Perms.READ);
        const { tree } = this.#host.control;
        const result = { children: tree.getChildren(path)!, stat: tree.exists(path)! };
        this.#watches.once('child', path, options?.watch);
        return result;
      },
      options?.signal,
    );
  }

  getAllChildrenNumber(path: string, options?: CallOptions): Promise<number> {
    return this.#read(
      path,
      () => {
        this.#demand(path, Perms.READ);
        return this.#host.control.tree.getAllChildrenNumber(path)!;
      },
      options?.signal,
    );
  }

  getEphemerals(prefix = '/', options?: CallOptions): Promise<string[]> {
    return this.#read(prefix, () => this.#host.control.tree.getEphemerals(this.id, prefix), options?.signal);
  }

  getAcl(path: string, options?: CallOptions): Promise<{ acl: readonly Acl[]; stat: Stat }> {
    return this.#read(
      path,
      () => {
        this.#demand(path, Perms.READ | Perms.ADMIN);
        const { tree } = this.#host.control;
        const slot = tree.table.find(inner(path));
        return { acl: this.#host.access.shownAcl(slot, this.#auth), stat: tree.stat(slot) };
      },
      options?.signal,
    );
  }

  multiRead(operations: readonly ReadOperation[], options?: CallOptions): Promise<ReadResult[]> {
    try {
      const copy = operations.map(({ type, path }) => ({ type, path: checkedPath(path) }));
      return this.#read('', () => copy.map((operation) => this.#readOne(operation)), options?.signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #readOne({ type, path }: ReadOperation): ReadResult {
    try {
      if (type === 'getData') return { type, value: this.#dataOf(path, undefined) };
      this.#demand(path, Perms.READ);
      return { type, children: this.#host.control.tree.getChildren(path)! };
    } catch (error) {
      if (error instanceof ZabError) return { type: 'error', error };
      throw error;
    }
  }

  #dataOf(path: string, watch: Watcher | undefined): ZnodeData {
    this.#demand(path, Perms.READ);
    const data = this.#host.control.tree.getData(path)!;
    this.#watches.once('data', path, watch);
    return data;
  }

  /** Throws unless the znode exists and the session has a permission of `perm` on it. */
  #demand(path: string, perm: number): void {
    const allowed = this.#host.access.permits(path, perm, this.#auth);
    if (allowed === undefined) throw ZabError.fromNumber(Err.noNode, path);
    if (!allowed) throw ZabError.fromNumber(Err.noAuth, path);
  }

  /** Runs a read now, or after the calls that are under way. */
  #read<T>(path: string, run: () => T, signal: AbortSignal | undefined): Promise<T> {
    try {
      const refusal = this.#refusal(checkedPath(path), signal);
      if (refusal !== null) return Promise.reject(refusal);
      if (this.#calls.length === 0) return Promise.resolve(run());
    } catch (error) {
      return Promise.reject(error);
    }
    if (!this.#host.take()) return Promise.reject(overloaded(path));
    return new Promise<T>((resolve, reject) => {
      const call = new Call(CallKind.read, 0, path, run, resolve as (value: never) => void, reject);
      if (signal !== undefined) call.listen(signal);
      this.#calls.push(call);
    });
  }

  // ---- identities ----

  addAuth(scheme: string, credential: string | Uint8Array): Promise<void> {
    if (this.isFinal) return Promise.reject(this.#endError('not-done', ''));
    if (scheme !== 'digest' || !(typeof credential === 'string' || credential instanceof Uint8Array)) {
      return Promise.reject(new ZabError('AUTH_FAILED', `AUTH_FAILED (${Err.authFailed}): scheme ${String(scheme)} with this credential`));
    }
    const octets = typeof credential === 'string' ? octetsFromText(credential) : octetsFromBytes(credential);
    const proven = this.#host.access.proven(octets, this.#auth);
    if (proven === null) return Promise.reject(new ZabError('AUTH_FAILED', `AUTH_FAILED (${Err.authFailed}): too many identities`));
    this.#auth = proven;
    return Promise.resolve();
  }

  whoAmI(): Promise<Id[]> {
    return this.#read('', () => namesOf(this.#auth), undefined);
  }

  // ---- watches ----

  watch(path: string, listener: (event: WatchEvent) => void, options?: WatchOptions): () => void;
  watch(path: string, options?: WatchOptions): AsyncIterableIterator<WatchEvent>;
  watch(
    path: string,
    listener?: ((event: WatchEvent) => void) | WatchOptions,
    options?: WatchOptions,
  ): (() => void) | AsyncIterableIterator<WatchEvent> {
    const { stopped } = this.#host;
    if (stopped !== null) throw stoppedError('not-done', stopped.cause, path);
    if (this.isFinal) throw this.#endError('not-done', path);
    return watchOf(this.#watches, path, listener, options);
  }

  removeWatches(path: string, kind: WatchKind = 'any'): Promise<void> {
    return this.#read(
      path,
      () => {
        if (!this.#watches.remove(path, kind)) throw ZabError.fromNumber(Err.noWatcher, path);
      },
      undefined,
    );
  }

  // ---- what the replica tells (called by Sessions) ----

  /** A transaction of this session is about to be applied. */
  applying(cxid: number): void {
    this.#calls.answerBefore(cxid);
  }

  /** A transaction of this session was applied; all events of it are delivered. */
  applied(txn: Txn, result: TxnResult): void {
    const answered = this.#calls.answerWrite(txn.header.cxid, result);
    if (answered?.kind === CallKind.close) this.#closing = null;
    if (txn.header.type === Op.closeSession) this.#wasClosed(answered !== null);
    else if (answered !== null && result.err === Err.sessionMoved) this.moved();
  }

  /** A sync of this session came back. */
  synced(cxid: number): void {
    this.#calls.answerSync(cxid);
  }

  /** The replica lost its ensemble: what is under way is lost, and the session may live on or expire. */
  suspend(): void {
    if (this.isFinal || this.#state === 'suspended') return;
    this.#watches.hold();
    this.#become('suspended', lostError);
  }

  /** The leader says that the session lives: nothing was missed, the events since then come now. */
  resume(): void {
    if (this.#state !== 'suspended') return;
    this.#state = 'connected';
    this.#watches.release();
    this.#host.stateChanged(this, 'connected');
  }

  /** The session does not exist any more. */
  expired(): void {
    if (this.isFinal) return;
    this.#watches.end();
    // The leader refuses requests that it gets after it decided to close the session, and it got the others before.
    this.#become('expired', (call) => this.#endError('not-done', call.path));
  }

  /** Another handle, here or elsewhere, goes on with the session: this one must not close it, and is of no more use. */
  moved(): void {
    if (this.isFinal) return;
    this.#finalCode = 'SESSION_MOVED';
    this.#watches.end();
    this.#become('closed', (call) => this.#endError(call.kind === CallKind.read ? 'not-done' : 'unknown', call.path));
  }

  /**
   * The session's closeSession transaction was applied: because this handle asked (`isAnswer`), or because the leader expired the session or somebody else closed it. Then a `close` under
   * way has what it wants all the same.
   */
  #wasClosed(isAnswer: boolean): void {
    if (this.isFinal) return;
    if (!isAnswer && this.#closing === null) return this.expired();
    this.#calls.succeed(CallKind.close);
    this.#watches.end();
    this.#become('closed', (call) => this.#endError('not-done', call.path));
  }

  /** The node has stopped. The session is not closed: it lives on until it expires or another handle goes on with it. */
  stop(cause: Error | null): void {
    if (this.isFinal) return;
    this.#watches.end();
    this.#become('suspended', (call) => stoppedError(call.kind === CallKind.read ? 'not-done' : 'unknown', cause, call.path));
  }

  /** Changes the state and fails every call that waits. */
  #become(state: SessionState, errorOf: (call: Call) => Error): void {
    const before = this.#state;
    this.#state = state;
    this.#closing = null;
    this.#calls.failAll(errorOf);
    if (before !== state) this.#host.stateChanged(this, state);
  }
}
