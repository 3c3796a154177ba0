import { EventEmitter } from 'eventemitter3';
import type Long from 'long';
import { Op } from '../model/codes.ts';
import type { ZabError } from '../model/errors.ts';
import type { Request, Txn } from '../model/records.ts';
import { ZXID_NONE } from '../model/zxid.ts';
import type { TxnResult, ZnodeTree } from '../tree/tree.ts';
import type { SessionTouch } from '../zab/messages.ts';
import { Access } from './access.ts';
import type { EnsembleNode, NodeEvents, Role, Session, SessionOptions, TreeReader, WatchEvent, WatchOptions } from './api.ts';
import { abortError, Call, CallKind, lostError, nextCxid, notServing, overloaded, stoppedError } from './calls.ts';
import type { ReplicaControl, ReplicaHooks, SessionHolder } from './hooks.ts';
import { LocalTree } from './local-tree.ts';
import type { ResolvedOptions } from './options.ts';
import { ClientPort } from './port/client-port.ts';
import { SessionIds } from './session-id.ts';
import { Sessions } from './sessions.ts';
import { TreeEvents } from './tree-events.ts';
import { WatchOwner, watchOf } from './watch-owner.ts';
import { Watches } from './watches.ts';

/** The replica as the public node runs it. */
export interface Engine extends ReplicaControl {
  /** Opens ports and storage and joins the ensemble. `done` once, never before this returns: with an error if that is not possible. */
  start(done: (error: Error | null) => void): void;
  /** Leaves the ensemble, from whatever state. `done` once, never before this returns: when nothing of it is left. */
  stop(done: () => void): void;
  metrics(): Record<string, number>;
}

/** The public face of a replica: joins it with sessions, watches and the application's events. */
export class LocalNode extends EventEmitter<NodeEvents> implements EnsembleNode {
  readonly id: number;
  readonly tree: TreeReader;
  readonly closed: Promise<void>;
  readonly #options: ResolvedOptions;
  readonly #engine: Engine;
  readonly #events = new TreeEvents();
  readonly #watches: Watches;
  readonly #ownWatches: WatchOwner;
  readonly #sessions: Sessions;
  /** Null: no clients are served. */
  readonly #port: ClientPort | null;
  /** All who have sessions here. */
  readonly #holders: readonly SessionHolder[];
  readonly #tree: LocalTree;
  /** Syncs of the node itself, by cxid. */
  readonly #syncs = new Map<number, Call>();
  #lastCxid = 0;
  #starting: Promise<void> | null = null;
  #hasServed = false;
  #serving = false;
  #role: Role = 'stopped';
  #leaderId: number | undefined;
  #epoch = 0;
  /** Set when the node has been stopped, or has stopped because of `cause`. */
  #ended: { readonly cause: Error | null } | null = null;
  /** Resolves when the replica has released everything; never rejects. */
  readonly #released: Promise<void>;
  #resolveReleased!: () => void;
  #resolveStart: () => void = () => {};
  #rejectStart: (error: unknown) => void = () => {};

  constructor(options: ResolvedOptions, engine: (hooks: ReplicaHooks) => Engine) {
    super();
    this.id = options.id;
    this.#options = options;
    this.#watches = new Watches(this.#events, options.logger);
    this.#ownWatches = new WatchOwner(this.#watches);
    this.#engine = engine(this.#hooks());
    const access = new Access(() => this.#engine.tree, options.skipAcl, options.superDigest);
    const ids = new SessionIds(options.id, options.clock, options.random);
    const taken = (id: Long, by: SessionHolder) => {
      for (const holder of this.#holders) if (holder !== by) holder.taken(id);
    };
    this.#sessions = new Sessions(options, { control: this.#engine, access, ids, taken }, this.#watches, (id, state) =>
      this.#tell('session', id, state),
    );
    this.#port =
      options.port === null ? null : new ClientPort(options, options.port, { control: this.#engine, access, ids, taken }, this.#events);
    this.#holders = this.#port === null ? [this.#sessions] : [this.#port, this.#sessions];
    this.#tree = new LocalTree(this.#engine);
    this.tree = this.#tree;
    this.#released = new Promise((resolve) => {
      this.#resolveReleased = resolve;
    });
    this.closed = this.#released.then(() => {
      if (this.#ended!.cause !== null) throw this.#ended!.cause;
    });
    // Whoever awaits `closed` sees the rejection; that nobody does must not end the process.
    this.closed.catch(() => {});
  }

  get role(): Role {
    return this.#role;
  }

  get leaderId(): number | undefined {
    return this.#leaderId;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get serving(): boolean {
    return this.#serving;
  }

  // ---- life ----

  start(): Promise<void> {
    // A node that has served and was stopped does not start again; one that failed to start says the same every time.
    if (this.#ended !== null && (this.#starting === null || this.#hasServed)) {
      return Promise.reject(stoppedError('not-done', this.#ended.cause));
    }
    if (this.#starting !== null) return this.#starting;
    this.#starting = new Promise((resolve, reject) => {
      this.#resolveStart = resolve;
      this.#rejectStart = reject;
    });
    const done = (error: Error | null) => {
      if (error !== null) this.#fail(error);
    };
    try {
      this.#port?.open(done);
      this.#engine.start(done);
    } catch (error) {
      this.#fail(error as Error);
    }
    return this.#starting;
  }

  stop(): Promise<void> {
    this.#end(null);
    return this.#released;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #fail(error: Error): void {
    if (this.#ended !== null) return;
    this.#end(error);
    this.#tell('fatal', error);
  }

  /** Settles everything that waits and takes nothing more, then lets the replica go. */
  #end(cause: Error | null): void {
    if (this.#ended !== null) return;
    this.#ended = { cause };
    this.#rejectStart(cause ?? stoppedError('not-done', null));
    this.#ownWatches.end();
    this.#sessions.stop(cause);
    this.#tree.stop(stoppedError('not-done', cause));
    this.#failSyncs(() => stoppedError('unknown', cause));
    this.#serves(false);
    const released = () => {
      this.#changeRole('stopped', undefined, this.#epoch);
      this.#resolveReleased();
    };
    if (this.#starting === null) return released();
    const stopEngine = () => this.#engine.stop(released);
    // The application may have called from inside one of its callbacks, so in the middle of the replica's turn.
    this.#options.clock.defer(() => (this.#port === null ? stopEngine() : this.#port.close(stopEngine)));
  }

  // ---- calls ----

  sync(options?: { signal?: AbortSignal }): Promise<Long> {
    const signal = options?.signal;
    if (this.#ended !== null) return Promise.reject(stoppedError('not-done', this.#ended.cause));
    if (signal?.aborted) return Promise.reject(abortError(signal, undefined, 'not-done'));
    if (!this.#sessions.take()) return Promise.reject(overloaded());
    const cxid = nextCxid(this.#lastCxid);
    const record = { op: Op.sync, path: '/' } as const;
    const request: Request = { sessionId: ZXID_NONE, cxid, op: Op.sync, auth: [], record, body: null };
    if (!this.#engine.submit(request)) {
      this.#sessions.release();
      return Promise.reject(notServing());
    }
    this.#lastCxid = cxid;
    return new Promise<Long>((resolve, reject) => {
      const call = new Call(CallKind.sync, cxid, '/', null, resolve as (value: never) => void, reject);
      if (signal !== undefined) call.listen(signal);
      this.#syncs.set(cxid, call);
    });
  }

  #synced(cxid: number): void {
    const call = this.#syncs.get(cxid);
    if (call === undefined) return;
    this.#syncs.delete(cxid);
    this.#sessions.release();
    call.succeed(this.#engine.tree.lastZxid);
  }

  #failSyncs(errorOf: (call: Call) => ZabError): void {
    const calls = [...this.#syncs.values()];
    this.#syncs.clear();
    for (const call of calls) {
      this.#sessions.release();
      call.fail(errorOf(call));
    }
  }

  openSession(options?: SessionOptions): Promise<Session> {
    try {
      return this.#sessions.open(options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  watch(path: string, listener: (event: WatchEvent) => void, options?: WatchOptions): () => void;
  watch(path: string, options?: WatchOptions): AsyncIterableIterator<WatchEvent>;
  watch(
    path: string,
    listener?: ((event: WatchEvent) => void) | WatchOptions,
    options?: WatchOptions,
  ): (() => void) | AsyncIterableIterator<WatchEvent> {
    if (this.#ended !== null) throw stoppedError('not-done', this.#ended.cause, path);
    return watchOf(this.#ownWatches, path, listener, options);
  }

  metrics(): Readonly<Record<string, number>> {
    return {
      ...this.#engine.metrics(),
      znodes: this.#engine.tree.nodeCount,
      localSessions: this.#sessions.size,
      ...this.#port?.metrics(),
      callsUnderWay: this.#sessions.underWay,
      watches: this.#watches.size,
      watchEvents: this.#watches.delivered,
    };
  }

  // ---- what the replica tells ----

  #hooks(): ReplicaHooks {
    return {
      roleChanged: (role, leaderId, epoch) => {
        if (this.#ended === null) this.#changeRole(role, leaderId, epoch);
      },
      servingChanged: (serving) => {
        if (this.#ended === null) this.#serves(serving);
      },
      applying: (header) => this.#sessions.applying(header) || this.#port?.applying(header) === true,
      applied: (txn, result) => this.#applied(txn, result),
      treeReplaced: (oldTree, newTree) => this.#treeReplaced(oldTree, newTree),
      synced: (request) => {
        this.#watches.flush();
        if (request.sessionId.isZero()) this.#synced(request.cxid);
        else this.#holders.some((holder) => holder.synced(request));
      },
      revalidated: (sessionId, valid) => {
        for (const holder of this.#holders) holder.revalidated(sessionId, valid);
      },
      liveSessions: () => {
        const touches: SessionTouch[] = [];
        for (const holder of this.#holders) holder.live(touches);
        return touches;
      },
      configChanged: (version, servers) => this.#tell('config', version, servers),
      fatal: (error) => this.#fail(error),
    };
  }

  #changeRole(role: Role, leaderId: number | undefined, epoch: number): void {
    const roleIsNew = role !== this.#role;
    const leaderIsNew = leaderId !== this.#leaderId || epoch !== this.#epoch;
    this.#role = role;
    this.#leaderId = leaderId;
    this.#epoch = epoch;
    if (roleIsNew) this.#tell('role', role);
    if (leaderIsNew) this.#tell('leader', leaderId, epoch);
  }

  #serves(serving: boolean): void {
    if (serving === this.#serving) return;
    this.#serving = serving;
    if (serving) {
      // Only from now on: what happened before the first time is recovery, no change that anybody could have missed.
      this.#events.attach(this.#engine.tree);
      this.#hasServed = true;
      this.#ownWatches.release();
      this.#tree.advanced();
      for (const holder of this.#holders) holder.resume();
      this.#resolveStart();
    } else {
      this.#watches.flush();
      this.#ownWatches.hold();
      for (const holder of this.#holders) holder.suspend();
      this.#failSyncs(lostError);
    }
    this.#tell('serving', serving);
  }

  /** First the events, then those who wait for the zxid, then the answer: nobody can see a change before its event. */
  #applied(txn: Txn, result: TxnResult | null): void {
    this.#watches.flush();
    this.#tree.advanced();
    if (result !== null) for (const holder of this.#holders) holder.applied(txn, result);
  }

  #treeReplaced(oldTree: ZnodeTree, newTree: ZnodeTree): void {
    if (!this.#hasServed) return;
    this.#watches.treeReplaced(oldTree, newTree);
    this.#events.attach(newTree);
    this.#watches.flush();
  }

  /** Emits an event; what a listener throws is logged and does not reach the replica. */
  #tell<E extends keyof NodeEvents>(event: E, ...args: NodeEvents[E]): void {
    try {
      this.emit(event, ...(args as never));
    } catch (error) {
      this.#options.logger('error', `a listener of the event ${event} threw`, { error });
    }
  }
}
