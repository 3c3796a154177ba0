import { EventEmitter } from 'eventemitter3';
import type Long from 'long';
import { Err, Op } from '../model/codes.ts';
import { ZabError } from '../model/errors.ts';
import type { Acl, Id, Stat, SyncRequest, WriteRequest } from '../model/records.ts';
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
  WatchKind,
  WatchOptions,
} from '../node/api.ts';
import { abortError, Call, CallKind, type CallKindCode, nextCxid, overloaded } from '../node/calls.ts';
import { checkedPath, createRequest, deleteRequest, multiOp, setAclRequest, setDataRequest } from '../node/operations.ts';
import { WatchOwner, watchOf } from '../node/watch-owner.ts';
import type { Logger } from '../seams/logger.ts';
import { outer } from '../tree/paths.ts';
import type { ZnodeData } from '../tree/znode-data.ts';
import { decodeWatcherEvent, type ReplyHeader, readChildrenAndStat, readStat } from '../wire/client-replies.ts';
import { Xid } from '../wire/client-requests.ts';
import type { JuteReader } from '../wire/jute.ts';
import { Chroot, type ClientRequest } from './chroot.ts';
import type { Connection } from './connection.ts';
import { Identities } from './identities.ts';
import { type KeeperHost, SessionKeeper } from './keeper.ts';
import type { ResolvedConnectOptions } from './options.ts';
import { lostCall, notSent, type ReadReply, RemoteCall, RemoteCalls, resultOf, runLocal, type WantedWatch } from './remote-calls.ts';
import { RemoteWatches, type WatchHost } from './remote-watches.ts';
import * as replies from './replies.ts';

/** A session over the wire: sends its calls to whichever server the {@link SessionKeeper} has found, and answers them in order. */
export class RemoteSession extends EventEmitter<SessionEvents> implements Session, KeeperHost, WatchHost {
  readonly chroot: Chroot;
  readonly logger: Logger;
  readonly #options: ResolvedConnectOptions;
  readonly #keeper: SessionKeeper;
  readonly #identities: Identities;
  readonly #remoteWatches: RemoteWatches;
  readonly #watches: WatchOwner;
  readonly #calls = new RemoteCalls();
  /** Told once: the session is there, or never will be. */
  #opened: ((error: ZabError | null) => void) | null;
  #connection: Connection | null = null;
  #state: SessionState = 'suspended';
  #lastXid: number;
  #closing: Promise<void> | null = null;
  /** Why calls are refused once the state is final. */
  #end: { readonly code: 'SESSION_EXPIRED' | 'SESSION_MOVED' | 'AUTH_FAILED'; readonly why: string } | null = null;

  constructor(options: ResolvedConnectOptions, opened: (error: ZabError | null) => void) {
    super();
    this.#options = options;
    this.#opened = opened;
    this.logger = options.logger;
    // Requests that an earlier handle of the session made may still be carried out: numbers from elsewhere keep the answers apart.
    this.#lastXid = options.resume === null ? 0 : options.random.below(0x40000000);
    this.chroot = new Chroot(options.chroot);
    this.#keeper = new SessionKeeper(options, this);
    this.#identities = new Identities(options.auth);
    this.#remoteWatches = new RemoteWatches(this);
    this.#watches = new WatchOwner(this.#remoteWatches);
  }

  get id(): Long {
    return this.#keeper.id;
  }

  get password(): Uint8Array {
    return this.#keeper.password;
  }

  get timeout(): number {
    return this.#keeper.timeout;
  }

  get state(): SessionState {
    return this.#state;
  }

  get readOnly(): boolean {
    return this.#keeper.readOnly;
  }

  get lastZxid(): Long {
    return this.#keeper.lastZxid;
  }

  /** Looks for a server. */
  start(): void {
    this.#keeper.start();
  }

  /** What is known about why there is no connection. */
  get trouble(): string {
    return this.#keeper.trouble;
  }

  /** Gives up what has not been opened yet. */
  abandon(): void {
    this.#opened = null;
    this.#finish('closed', 'SESSION_EXPIRED', 'it was never opened');
  }

  // ---- writes ----

  create(path: string, data?: DataInput, options?: CreateOptions & CallOptions): Promise<{ path: string; stat: Stat }> {
    return this.#write(CallKind.create, path, options, () => createRequest(path, data, options, Op.create2), replies.created(this.chroot));
  }

  delete(path: string, options?: VersionOptions): Promise<void> {
    return this.#write(CallKind.delete, path, options, () => deleteRequest(path, options?.version), replies.nothing);
  }

  setData(path: string, data: DataInput, options?: VersionOptions): Promise<Stat> {
    return this.#write(CallKind.setData, path, options, () => setDataRequest(path, data, options?.version), readStat);
  }

  setAcl(path: string, acl: readonly Acl[], options?: VersionOptions): Promise<Stat> {
    return this.#write(CallKind.setAcl, path, options, () => setAclRequest(path, acl, options?.version), readStat);
  }

  multi(operations: readonly MultiOperation[], options?: CallOptions): Promise<MultiResult[]> {
    if (operations.length === 0) return this.#local('', () => [], options);
    try {
      const ops = operations.map(multiOp);
      const reply = replies.multi(this.chroot, ops);
      return this.#write(CallKind.multi, operations[0].path, options, () => ({ op: Op.multi, ops }), reply);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  sync(path = '/', options?: CallOptions): Promise<void> {
    return this.#write(CallKind.sync, path, options, () => ({ op: Op.sync, path: checkedPath(path) }), replies.nothing);
  }

  /** `request` may throw what the arguments are to blame for. */
  #write<T>(
    kind: CallKindCode,
    path: string,
    options: CallOptions | undefined,
    request: () => WriteRequest | SyncRequest,
    reply: ReadReply,
  ): Promise<T> {
    return this.#submit(kind, path, () => this.chroot.request(request()), reply, options, null);
  }

  /** Closes the session; without a connection it is left to expire. Never rejects. */
  close(): Promise<void> {
    if (this.#end !== null) return Promise.resolve();
    if (this.#closing !== null) return this.#closing;
    if (this.#connection === null) {
      this.#finish('closed', 'SESSION_EXPIRED', 'the session is closed');
      return Promise.resolve();
    }
    this.#closing = this.#submit<void>(CallKind.close, '', () => ({ op: Op.closeSession }), replies.nothing, undefined, null);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // ---- reads ----

  exists(path: string, options?: ReadOptions): Promise<Stat | null> {
    return this.#watchingRead(Op.exists, path, 'data', options, readStat);
  }

  getData(path: string, options?: ReadOptions): Promise<ZnodeData> {
    return this.#watchingRead(Op.getData, path, 'data', options, replies.data);
  }

  getChildren(path: string, options?: ReadOptions): Promise<{ children: string[]; stat: Stat }> {
    return this.#watchingRead(Op.getChildren2, path, 'child', options, readChildrenAndStat);
  }

  getAllChildrenNumber(path: string, options?: CallOptions): Promise<number> {
    return this.#read(path, () => ({ op: Op.getAllChildrenNumber, path: this.#onWire(path) }), replies.number, options);
  }

  getEphemerals(prefix = '/', options?: CallOptions): Promise<string[]> {
    return this.#read(prefix, () => ({ op: Op.getEphemerals, prefix: this.#onWire(prefix) }), replies.ephemerals(this.chroot), options);
  }

  getAcl(path: string, options?: CallOptions): Promise<{ acl: readonly Acl[]; stat: Stat }> {
    return this.#read(path, () => ({ op: Op.getAcl, path: this.#onWire(path) }), replies.acl, options);
  }

  multiRead(operations: readonly ReadOperation[], options?: CallOptions): Promise<ReadResult[]> {
    if (operations.length === 0) return this.#local('', () => [], options);
    const paths = operations.map(({ path }) => path);
    const request = (): ClientRequest => ({
      op: Op.multiRead,
      ops: operations.map(({ type, path }) => ({ op: type === 'getData' ? Op.getData : Op.getChildren, path: this.#onWire(path) })),
    });
    return this.#read('', request, replies.multiRead(paths), options);
  }

  #onWire(path: string): string {
    return this.chroot.toServer(checkedPath(path));
  }

  #read<T>(path: string, request: () => ClientRequest, reply: ReadReply, options: CallOptions | undefined): Promise<T> {
    return this.#submit(CallKind.read, path, request, reply, options, null);
  }

  #watchingRead<T>(op: 3 | 4 | 12, path: string, table: 'data' | 'child', options: ReadOptions | undefined, reply: ReadReply): Promise<T> {
    const callback = options?.watch;
    if (callback === undefined) return this.#read(path, () => ({ op, path: this.#onWire(path), watch: false }), reply, options);
    const request = (): ClientRequest => ({ op, path: this.#onWire(path), watch: !this.#remoteWatches.isRegistered(outer(path)) });
    return this.#submit(CallKind.read, path, request, reply, options, { table, path, callback });
  }

  // ---- identities ----

  addAuth(scheme: string, credential: string | Uint8Array): Promise<void> {
    const refusal = this.#refusal('', undefined);
    if (refusal !== null) return Promise.reject(refusal);
    return this.#identities.add(this.#connection!, scheme, credential);
  }

  whoAmI(): Promise<Id[]> {
    return this.#read('', () => ({ op: Op.whoAmI }), replies.identities, undefined);
  }

  // ---- watches ----

  watch(path: string, listener: (event: WatchEvent) => void, options?: WatchOptions): () => void;
  watch(path: string, options?: WatchOptions): AsyncIterableIterator<WatchEvent>;
  watch(
    path: string,
    listener?: ((event: WatchEvent) => void) | WatchOptions,
    options?: WatchOptions,
  ): (() => void) | AsyncIterableIterator<WatchEvent> {
    if (this.#end !== null || this.#closing !== null) throw this.#endError('not-done', path);
    this.#onWire(path);
    return watchOf(this.#watches, path, listener, options);
  }

  removeWatches(path: string, kind: WatchKind = 'any'): Promise<void> {
    const remove = (): void => {
      if (!this.#watches.remove(path, kind)) throw ZabError.fromNumber(Err.noWatcher, path);
    };
    return this.#local(path, remove, undefined);
  }

  ask(record: ClientRequest, done: (answer: Long | Error) => void): void {
    const connection = this.#connection;
    if (connection === null) return;
    // The connection's end is none of the asker's business: it is told of that in another way.
    const failed = (error: unknown): void => {
      if (error instanceof ZabError && error.code !== 'CONNECTION_LOSS') done(error);
    };
    this.#lastXid = nextCxid(this.#lastXid);
    const call = new RemoteCall(CallKind.read, this.#lastXid, '', record.op, (_body, header) => header.zxid, done, failed);
    call.index = connection.send(call.cxid, record);
    this.#calls.push(call);
  }

  unsupported(path: string, error: Error): void {
    this.logger('error', 'the server refused a persistent watch: it has ended', { path, error });
    this.#watches.endPersistent(path);
  }

  // ---- calls ----

  /** Sends a request and queues its call. `request` may throw what the arguments are to blame for. */
  #submit<T>(
    kind: CallKindCode,
    path: string,
    request: () => ClientRequest,
    reply: ReadReply,
    options: CallOptions | undefined,
    watch: WantedWatch | null,
  ): Promise<T> {
    const signal = options?.signal;
    return new Promise<T>((resolve, reject) => {
      const refusal = this.#refusal(path, signal) ?? (kind === CallKind.close ? null : this.#overload(path));
      if (refusal !== null) return reject(refusal);
      const record = request();
      const call = new RemoteCall(kind, nextCxid(this.#lastXid), path, record.op, reply, resolve as (value: never) => void, reject);
      call.watch = watch;
      if (record.op === Op.multi) call.ops = record.ops;
      call.index = this.#connection!.send(call.cxid, record);
      this.#lastXid = call.cxid;
      if (watch !== null) this.#remoteWatches.reading(outer(path));
      if (signal !== undefined) call.listen(signal);
      this.#calls.push(call);
    });
  }

  /** Runs what needs no server after the calls that are under way. */
  #local<T>(path: string, run: () => T, options: CallOptions | undefined): Promise<T> {
    const signal = options?.signal;
    return new Promise<T>((resolve, reject) => {
      checkedPath(path);
      const refusal = this.#refusal(path, signal) ?? this.#overload(path);
      if (refusal !== null) return reject(refusal);
      const call = new Call(CallKind.read, 0, path, run, resolve as (value: never) => void, reject);
      if (this.#calls.length === 0) return runLocal(call);
      if (signal !== undefined) call.listen(signal);
      this.#calls.push(call);
    });
  }

  /** Why a new call can't be taken; null if it can. */
  #refusal(path: string, signal: AbortSignal | undefined): ZabError | null {
    if (this.#end !== null || this.#closing !== null) return this.#endError('not-done', path);
    if (this.#state === 'suspended') return notSent(path, 'the session has no connection to a server');
    if (signal?.aborted) return abortError(signal, path, 'not-done');
    return null;
  }

  #overload(path: string): ZabError | null {
    return this.#calls.length >= this.#options.maxOutstanding ? overloaded(path) : null;
  }

  #endError(outcome: 'not-done' | 'unknown', path: string): ZabError {
    const { code, why } = this.#end ?? { code: 'SESSION_EXPIRED', why: 'the session is being closed' };
    return new ZabError(code, `${code} ${path}: ${why}`, outcome, path);
  }

  // ---- what the keeper tells ----

  connected(connection: Connection): void {
    this.#connection = connection;
    this.#identities.prove(connection);
    this.#remoteWatches.restore();
    if (this.#identities.isProven) this.#announce();
  }

  received(header: ReplyHeader, body: JuteReader): void {
    if (header.xid === Xid.notification) {
      const { type, path } = decodeWatcherEvent(body);
      return this.#remoteWatches.event(type, path, header.zxid);
    }
    this.#remoteWatches.noEvent();
    if (header.xid === Xid.auth) this.#authAnswered(header.err);
    else this.#answered(header, body);
  }

  #authAnswered(err: number): void {
    const failure = this.#identities.answered(err);
    if (failure !== null) this.#finish('closed', 'AUTH_FAILED', failure);
    else if (this.#identities.isProven) this.#announce();
  }

  #answered(header: ReplyHeader, body: JuteReader): void {
    const call = this.#calls.answered(header);
    const result = resultOf(call, header, body);
    if (call.watch !== null) this.#enterWatch(call, call.watch, header.err);
    if (call.kind === CallKind.close) return this.#closed();
    this.#calls.settle(result);
    if (header.err === Err.sessionMoved) this.#finish('closed', 'SESSION_MOVED', 'another handle goes on with the session');
  }

  /** As in ZooKeeper, a failed read leaves no watch, but for `exists` on what is not there. */
  #enterWatch(call: RemoteCall, { table, path, callback }: WantedWatch, err: number): void {
    const isAbsent = err === Err.noNode && call.op === Op.exists;
    if (!call.settled && (err === Err.ok || isAbsent)) this.#watches.once(table, path, callback);
    this.#remoteWatches.hasRead(outer(path), isAbsent || (err === Err.ok ? false : null));
  }

  /** The state is `connected` from now on. */
  #announce(): void {
    if (this.#state === 'connected') return;
    const opened = this.#opened;
    this.#opened = null;
    this.#become('connected');
    opened?.(null);
  }

  lost(connection: Connection, reason: string): void {
    this.#connection = null;
    this.#remoteWatches.lost();
    this.#identities.lost(connection);
    if (this.#closing !== null) this.#calls.succeed(CallKind.close);
    this.#calls.failAll((call) => lostCall(call, connection, reason));
    if (this.#closing !== null) this.#closed();
    else this.#become('suspended');
  }

  expired(reason: string): void {
    this.#finish('expired', 'SESSION_EXPIRED', reason);
  }

  /** The server has closed the session, or can't be asked any more. */
  #closed(): void {
    this.#finish('closed', 'SESSION_EXPIRED', 'the session is closed');
  }

  /** Nothing goes on after this. */
  #finish(state: 'expired' | 'closed', code: 'SESSION_EXPIRED' | 'SESSION_MOVED' | 'AUTH_FAILED', why: string): void {
    if (this.#end !== null) return;
    this.#end = { code, why };
    this.#calls.succeed(CallKind.close);
    this.#connection = null;
    this.#closing = null;
    this.#remoteWatches.lost();
    this.#watches.end();
    this.#keeper.stop();
    this.#identities.end(this.#endError('not-done', ''));
    this.#calls.failAll((call) => this.#endError(call.kind === CallKind.read ? 'not-done' : 'unknown', call.path));
    const opened = this.#opened;
    this.#opened = null;
    this.#become(state);
    opened?.(this.#endError('not-done', ''));
  }

  #become(state: SessionState): void {
    if (this.#state === state) return;
    this.#state = state;
    try {
      this.emit('state', state);
    } catch (error) {
      this.logger('error', 'a listener of a session’s state threw', { error });
    }
  }
}
