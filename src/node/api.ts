import type { EventEmitter } from 'eventemitter3';
import type Long from 'long';
import type { ZabError } from '../model/errors.ts';
import type { Acl, Id, Stat } from '../model/records.ts';
import type { Clock } from '../seams/clock.ts';
import type { Logger } from '../seams/logger.ts';
import type { Random } from '../seams/random.ts';
import type { Sockets } from '../seams/sockets.ts';
import type { Storage } from '../seams/storage.ts';
import type { ServerAddress, Transport } from '../seams/transport.ts';
import type { ZnodeData } from '../tree/znode-data.ts';

/** One server of the ensemble. */
export interface ServerSpec extends ServerAddress {
  /** An observer forwards writes and gets every change, but takes part in no vote and no quorum. @default 'participant' */
  readonly role?: 'participant' | 'observer';
  /** Weight in a hierarchical quorum; only with groups. @default 1 */
  readonly weight?: number;
  /** Group in a hierarchical quorum (PROTOCOL 14.4). Either every participant names one or none does. */
  readonly group?: number;
  /** Where its clients connect, to be told in /zookeeper/config (PROTOCOL 18.1); it opens no port. */
  readonly client?: { readonly host: string; readonly port: number };
}

/** What makes a replica. Every server of an ensemble must be given the same `servers`, `election` and time limits. */
export interface EnsembleOptions {
  /** This server's id, one of `servers`: 1..255, and at most 254 for TTL znodes. */
  readonly id: number;
  /** At least one and at most 31 participants, and any number of observers. */
  readonly servers: readonly ServerSpec[];
  /**
   * Version of `servers`, if the ensemble has agreed on them: see the event `config`. With a lower one than the data knows, with other members, a quorum must be one of both until
   * somebody tells which count.
   * @default 0
   */
  readonly configVersion?: Long;
  /** A single server that nobody will join, as ZooKeeper's standalone server; over TCP it opens no port for other servers. @default false */
  readonly standalone?: boolean;
  readonly transport: Transport;
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger?: Logger;
  /** The unit of the limits below and of session expiry, ms. @default 2000 */
  readonly tickTime?: number;
  /** Ticks that a learner may take to connect and synchronise. @default 10 */
  readonly initLimit?: number;
  /** Ticks that a learner may be silent, and a leader without a quorum. @default 5 */
  readonly syncLimit?: number;
  /** @default 'fast' */
  readonly election?: 'fast' | 'basic';
  /** How long a fast election with a quorum waits for a better vote from a server that is connected but has not voted, ms. @default 200 */
  readonly finalizeWait?: number;
  /** Bounds of a session's timeout, ms. @default 2 and 20 ticks */
  readonly minSessionTimeout?: number;
  readonly maxSessionTimeout?: number;
  /** Transactions between snapshots; each server draws its own between half and all of it. @default 100000 */
  readonly snapCount?: number;
  /** Snapshots kept, with the logs they need; at least 3. Infinity keeps them all. @default 3 */
  readonly snapRetainCount?: number;
  /** Committed transactions kept in memory for learners that are a little behind. @default 500 */
  readonly commitLogCount?: number;
  /** Largest request and so largest znode data, bytes (jute.maxbuffer). @default 1048575 */
  readonly maxRequestBytes?: number;
  /** Requests of this process that may be under way at once; past it calls fail with OVERLOADED. @default 100000 */
  readonly maxOutstanding?: number;
  /** Bytes that may wait for one learner before it is dropped. @default 268435456 */
  readonly maxLearnerBacklog?: number;
  /** Learners that are sent a snapshot at the same time. @default 2 */
  readonly snapshotConcurrency?: number;
  /** `user:base64(sha1(user:password))` of the identity that passes every ACL (see `digestId`). */
  readonly superDigest?: string;
  /** @default false */
  readonly skipAcl?: boolean;
  /** Accept znodes with a TTL; otherwise they are refused with UNIMPLEMENTED. Must be the same on every server. @default true */
  readonly extendedTypes?: boolean;
  /** Refuse writes over a hard quota with QUOTA_EXCEEDED. @default false, as ZooKeeper's */
  readonly enforceQuota?: boolean;
  /** Keep ZooKeeper's tree digest in log and snapshots. @default false */
  readonly digest?: boolean;
  /** Time between two looks of the leader for empty containers and expired TTL znodes, ms. @default 60000 */
  readonly containerCheckInterval?: number;
  /** Serves ZooKeeper's client protocol on this port, to clients in any language. @default no port */
  readonly clientPort?: number;
  /** Address to listen on for clients; '::' is every address of both families. @default '0.0.0.0' */
  readonly clientHost?: string;
  /** Connections under the client port; needed with `clientPort`. */
  readonly sockets?: Sockets;
  /** Clients that may be connected from one address at a time; 0 is no limit. @default 60 */
  readonly maxClientCnxns?: number;
  /** Clients that may be connected at a time, from all addresses; 0 is no limit. @default 0 */
  readonly maxCnxns?: number;
  /**
   * Requests of clients that may be under way at once, writes and what was sent behind them; past it the next one of a connection waits until some are answered. Pings and reads that
   * can be answered at once go on.
   * @default 10000
   */
  readonly globalOutstandingLimit?: number;
  /**
   * Four-letter words that the client port answers; '*' is all of them: ruok srvr stat mntr conf cons crst srst dump envi isro wchs wchc wchp dirs hash. Others are told that they
   * are not on the list. As with ZooKeeper `srvr` is always answered, and `isro` in `readOnlyMode`.
   * @default ['srvr']
   */
  readonly fourLetterWords?: readonly string[];
  /** What the word `envi` tells of the host, beside the version. @default nothing; with `createEnsembleNode` what Node knows of the machine and the user */
  readonly environment?: () => Iterable<readonly [name: string, value: string]>;
  /**
   * Serves reads to clients that ask for it while there is no quorum: what they see is committed, may be old, and does not move (ZooKeeper's `readonlymode.enabled`).
   * @default false
   */
  readonly readOnlyMode?: boolean;
}

/** `looking` is electing or synchronising; the others serve, unless {@link EnsembleNode.serving} says otherwise. */
export type Role = 'stopped' | 'looking' | 'leading' | 'following' | 'observing';

export interface NodeEvents {
  /** The role changed. */
  role: [role: Role];
  /** Another leader, or none (undefined), and the epoch it leads. */
  leader: [leaderId: number | undefined, epoch: number];
  /** The replica began to serve or stopped serving. */
  serving: [serving: boolean];
  /** A session of this process changed its state. */
  session: [sessionId: Long, state: SessionState];
  /**
   * The ensemble, led by a ZooKeeper server with reconfig enabled, has given its configuration this version; the members or their addresses may be others than in the options. The
   * replica goes on among them by itself. Keep both, as ZooKeeper does in its `zoo.cfg.dynamic`: they are the options `servers` and `configVersion` of the next start.
   */
  config: [version: Long, servers: readonly ServerSpec[]];
  /** The replica has stopped for good because of this error. */
  fatal: [error: Error];
}

/** Reads the local replica, synchronously. What it shows is committed, may lag behind the leader, and never goes back while the node serves. */
export interface TreeReader {
  /** zxid of the last transaction applied here. */
  readonly lastZxid: Long;
  /** Number of znodes, the built-in ones included. */
  readonly nodeCount: number;
  /** Data and Stat; undefined when there is no such znode. The result is a private copy. */
  getData(path: string): ZnodeData | undefined;
  exists(path: string): Stat | undefined;
  /** Names, without the path, in no promised order; undefined when there is no such znode. */
  getChildren(path: string): string[] | undefined;
  getAcl(path: string): { acl: readonly Acl[]; stat: Stat } | undefined;
  /** Number of all descendants; undefined when there is no such znode. */
  getAllChildrenNumber(path: string): number | undefined;
  /** Every znode at and below `path`, parents first. The tree may change between two steps; a znode there all the time is seen once. */
  walk(path: string): Iterable<[path: string, node: ZnodeData]>;
  /** Resolves when the replica has applied `zxid` or more. Rejects with ABORTED by the signal, NODE_STOPPED at the node's end. */
  reached(zxid: Long, options?: { signal?: AbortSignal }): Promise<void>;
}

/**
 * A change that a watch saw. `zxid` is the transaction's; 0 over the wire from servers that do not tell it (ZooKeeper up to 3.8). `overflow` says that events were dropped because the consumer
 * was slower than `capacity` allows, or, over the wire, may have been missed while there was no connection: read the state again; events after it are complete again.
 */
export interface WatchEvent {
  readonly type: 'created' | 'deleted' | 'dataChanged' | 'childrenChanged' | 'overflow';
  readonly path: string;
  readonly zxid: Long;
}

export interface WatchOptions {
  /** The subtree instead of the one znode; then there are no `childrenChanged` events (PROTOCOL 10, persistent recursive). @default false */
  readonly recursive?: boolean;
  /** Ends the watch. */
  readonly signal?: AbortSignal;
  /** Events an async iterator keeps for a slow consumer. @default 10000 */
  readonly capacity?: number;
}

/** One replica of the ensemble, in this process. */
export interface EnsembleNode extends EventEmitter<NodeEvents>, AsyncDisposable {
  readonly id: number;
  readonly role: Role;
  readonly leaderId: number | undefined;
  /** Epoch of the current or last leader. */
  readonly epoch: number;
  readonly serving: boolean;
  readonly tree: TreeReader;
  /** Resolves when the node has been stopped; rejects with the error that stopped it. */
  readonly closed: Promise<void>;
  /** Resolves when the replica serves for the first time. Rejects if it can't start (port in use, damaged log) or is stopped before. */
  start(): Promise<void>;
  /** Leaves the ensemble and releases everything. Sessions of this process are not closed: they live on until they expire. */
  stop(): Promise<void>;
  /**
   * Resolves when this replica has applied everything that was committed when the call was made; a quorum has confirmed the leadership in between.
   * Resolves to the zxid reached. Rejects with CONNECTION_LOSS when there is no ensemble.
   */
  sync(options?: { signal?: AbortSignal }): Promise<Long>;
  /** Opens a session, or goes on with one by its id and password. */
  openSession(options?: SessionOptions): Promise<Session>;
  /**
   * Calls `listener` for every change from now on, or from when the node first serves; without a session. Returns the function that ends it. A throwing listener is logged. Events
   * wait while the node does not serve. It is called after the whole transaction has been applied, in the replica's turn. Throws NODE_STOPPED.
   */
  watch(path: string, listener: (event: WatchEvent) => void, options?: WatchOptions): () => void;
  /** The same as an async iterator; it ends by the signal, by leaving the loop, or when the node stops. */
  watch(path: string, options?: WatchOptions): AsyncIterableIterator<WatchEvent>;
  /** Counters since the start, for monitoring. */
  metrics(): Readonly<Record<string, number>>;
}

/**
 * `connected`; `suspended`: the replica has lost its ensemble or the node was stopped, the session may live on or expire meanwhile: only the leader knows, so it stays
 * suspended until the leader has said. Over the wire: there is no connection, another server is looked for, and if none is reached for 4/3 of the session's timeout the session has
 * `expired`, by the clock of this process; `expired` and `closed` are final: the session's ephemeral znodes are gone or going, unless it is `closed` because another handle goes on with the
 * session (calls then reject with SESSION_MOVED).
 */
export type SessionState = 'connected' | 'suspended' | 'expired' | 'closed';

export interface SessionOptions {
  /** Wanted timeout, ms; the ensemble's bounds apply. @default 10 ticks */
  readonly timeout?: number;
  /** Goes on with a session that exists. Rejects with SESSION_EXPIRED when it does not. */
  readonly resume?: { readonly id: Long; readonly password: Uint8Array };
  readonly signal?: AbortSignal;
}

export interface SessionEvents {
  state: [state: SessionState];
}

/** Data to store: bytes, a text (stored as UTF-8) or null. It is copied before the call returns. */
export type DataInput = Uint8Array | string | null;

export type CreateMode =
  | 'persistent'
  | 'ephemeral'
  | 'persistentSequential'
  | 'ephemeralSequential'
  | 'container'
  | 'persistentTtl'
  | 'persistentSequentialTtl';

export interface CreateOptions {
  /** @default 'persistent' */
  readonly mode?: CreateMode;
  /** @default world:anyone, all permissions */
  readonly acl?: readonly Acl[];
  /** ms, 1..2^40-1, only with a TTL mode. */
  readonly ttl?: number;
}

export interface CallOptions {
  /** Stops waiting with ABORTED. A write that was sent may still happen: then the outcome is 'unknown'. */
  readonly signal?: AbortSignal;
}

export interface VersionOptions extends CallOptions {
  /** Version that the znode must have (the aversion for setAcl); -1 for any. @default -1 */
  readonly version?: number;
}

/** A one-shot watch: called once with the next change, before any read of this session can see it. */
export type Watcher = (event: WatchEvent) => void;

export interface ReadOptions extends CallOptions {
  readonly watch?: Watcher;
}

export type MultiOperation =
  | ({ readonly type: 'create'; readonly path: string; readonly data?: DataInput } & CreateOptions)
  | { readonly type: 'delete'; readonly path: string; readonly version?: number }
  | { readonly type: 'setData'; readonly path: string; readonly data: DataInput; readonly version?: number }
  | { readonly type: 'check'; readonly path: string; readonly version?: number };

export type MultiResult =
  | { readonly type: 'create'; readonly path: string; readonly stat: Stat | null }
  | { readonly type: 'delete' | 'check' }
  | { readonly type: 'setData'; readonly stat: Stat };

export type ReadOperation = { readonly type: 'getData' | 'getChildren'; readonly path: string };
export type ReadResult =
  | { readonly type: 'getData'; readonly value: ZnodeData }
  | { readonly type: 'getChildren'; readonly children: string[] }
  | { readonly type: 'error'; readonly error: ZabError };

/** A multi failed as a whole and nothing of it was applied; `results[k]` tells the error of part k (`OK` parts were not at fault). */
export interface MultiErrorResults {
  readonly results: readonly (ZabError | null)[];
}

export type WatchKind = 'children' | 'data' | 'any';

/**
 * A ZooKeeper session. Calls are answered in the order they are made and may be pipelined; a read sees all earlier writes of its session. Rejections are `ZabError`s; their
 * `outcome` tells whether a write surely did not happen. While `suspended` calls are refused with CONNECTION_LOSS, after `expired` with SESSION_EXPIRED.
 */
export interface Session extends EventEmitter<SessionEvents>, AsyncDisposable {
  /** Changes only when a session over the wire that began at a server without a quorum gets to one with a quorum. */
  readonly id: Long;
  /** 16 bytes; whoever has them and the id can take the session over. */
  readonly password: Uint8Array;
  /** Negotiated timeout, ms. */
  readonly timeout: number;
  readonly state: SessionState;
  /** Over the wire: served by a server without a quorum. Reads show what it has, writes fail with NOT_READ_ONLY. */
  readonly readOnly: boolean;

  /** `path` in the result has the sequence suffix. */
  create(path: string, data?: DataInput, options?: CreateOptions & CallOptions): Promise<{ path: string; stat: Stat }>;
  delete(path: string, options?: VersionOptions): Promise<void>;
  setData(path: string, data: DataInput, options?: VersionOptions): Promise<Stat>;
  setAcl(path: string, acl: readonly Acl[], options?: VersionOptions): Promise<Stat>;
  /** All or nothing. Rejects with the first failing part's error, which also has {@link MultiErrorResults}. */
  multi(operations: readonly MultiOperation[], options?: CallOptions): Promise<MultiResult[]>;

  /** The Stat, or null when there is no such znode (a watch then waits for its creation). */
  exists(path: string, options?: ReadOptions): Promise<Stat | null>;
  getData(path: string, options?: ReadOptions): Promise<ZnodeData>;
  getChildren(path: string, options?: ReadOptions): Promise<{ children: string[]; stat: Stat }>;
  getAllChildrenNumber(path: string, options?: CallOptions): Promise<number>;
  /** Paths of this session's ephemeral znodes that begin with `prefix`. */
  getEphemerals(prefix?: string, options?: CallOptions): Promise<string[]>;
  /** Without ADMIN permission the hashes of digest ids are hidden. */
  getAcl(path: string, options?: CallOptions): Promise<{ acl: readonly Acl[]; stat: Stat }>;
  multiRead(operations: readonly ReadOperation[], options?: CallOptions): Promise<ReadResult[]>;
  /** Resolves when this replica has everything that was committed when the call was made; `path` is only echoed. */
  sync(path?: string, options?: CallOptions): Promise<void>;

  /** Adds an identity to the session's; `credential` is `user:password` for digest. Rejects with AUTH_FAILED for other schemes, and for more than 100 identities or 10,000 characters in all. */
  addAuth(scheme: string, credential: string | Uint8Array): Promise<void>;
  whoAmI(): Promise<Id[]>;

  /** A watch that stays (PROTOCOL 10, persistent and persistent recursive); returns the function that ends it. */
  watch(path: string, listener: (event: WatchEvent) => void, options?: WatchOptions): () => void;
  /** The same as an async iterator; ends by the signal, by leaving the loop, or with the session. */
  watch(path: string, options?: WatchOptions): AsyncIterableIterator<WatchEvent>;
  /** Removes this session's watches of a kind on `path`. Rejects with NO_WATCHER when there are none. */
  removeWatches(path: string, kind?: WatchKind): Promise<void>;

  /**
   * Closes the session and so deletes its ephemeral znodes, in one transaction. Over the wire it never rejects: without a connection, or when that ends before the answer, the session is
   * left to expire at the servers.
   */
  close(): Promise<void>;
}
