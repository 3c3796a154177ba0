import type Long from 'long';
import type { DiskUsage } from '../../seams/storage.ts';

/** What a server is to its clients. */
export type ServerMode = 'standalone' | 'leader' | 'follower' | 'observer' | 'read-only';

/** Smallest, mean and largest of something; all 0 when there was nothing. */
export interface Spread {
  readonly min: number;
  readonly average: number;
  readonly max: number;
}

/** Last, smallest and largest size, bytes; all -1 when there was nothing. */
export interface Sizes {
  readonly last: number;
  readonly min: number;
  readonly max: number;
}

/** One client's connection, as reports show it. Times are in ms. */
export interface ConnectionView {
  /** Address and port. */
  readonly remote: string;
  /** What the socket waits for, as bits: 1 to read, 4 to write. */
  readonly interest: number;
  /** Requests that are not answered yet. */
  readonly queued: number;
  readonly received: number;
  readonly sent: number;
  /** When it is closed if nothing comes, by the wall clock. */
  readonly expires: number;
  /** Zero before there is one; then what follows does not count. */
  readonly sessionId: Long;
  readonly timeout: number;
  /** When it was accepted, by the wall clock. */
  readonly established: number;
  /** Four letters, or NA. */
  readonly lastOp: string;
  /** Of the last ordinary request; -1 before there was one. */
  readonly lastXid: number;
  readonly lastZxid: Long;
  /** When the last answer was given, by a clock that begins anywhere. */
  readonly lastResponse: number;
  readonly lastLatency: number;
  readonly latency: Spread;
}

/** The sessions of the ensemble: the leader knows when each expires, the others only which there are. */
export type SessionsView =
  | { readonly kind: 'expiring'; readonly buckets: readonly { readonly at: number; readonly ids: readonly Long[] }[] }
  | { readonly kind: 'known'; readonly sessions: readonly { readonly id: Long; readonly timeout: number }[] };

/** The settings that `conf` shows; times in ms, limits in ticks. */
export interface SettingsView {
  readonly id: number;
  readonly clientPort: number;
  readonly tickTime: number;
  /** 0 is no limit. */
  readonly maxClientCnxns: number;
  readonly minSessionTimeout: number;
  readonly maxSessionTimeout: number;
  readonly initLimit: number;
  readonly syncLimit: number;
  readonly election: 'fast' | 'basic';
  readonly electionPort: number;
  readonly quorumPort: number;
  readonly role: 'participant' | 'observer';
  /** The servers in ZooKeeper's text (PROTOCOL 18.1). */
  readonly membership: string;
}

/** What the port offers to whoever reports on it. Nothing but `isAllowed`, `version` and `environment` is asked for while `mode` is null. */
export interface PortView {
  /** Null: it does not serve. */
  readonly mode: ServerMode | null;
  /** After `3.8.0-`: who this is, and since when. */
  readonly version: string;
  /** What the host says of itself: names with a dot, and values that are true. */
  environment(): Iterable<readonly [name: string, value: string]>;
  readonly lastZxid: Long;
  readonly nodeCount: number;
  /** Requests of all connections that are not answered yet. */
  readonly outstanding: number;
  /** Since the start, or since `srst`: packets, and the time from request to answer, ms. */
  readonly received: number;
  readonly sent: number;
  readonly latency: Spread;
  /** Sizes of the leader's proposals. */
  readonly proposals: Sizes;
  readonly settings: SettingsView;
  /** The one that asks is among them. */
  readonly connectionCount: number;
  connections(): readonly ConnectionView[];
  sessions(): SessionsView;
  /** Each session that has ephemerals, and their paths. */
  ephemerals(): readonly (readonly [owner: Long, paths: readonly string[]])[];
  /** The paths that are watched for data (PROTOCOL 10), and the sessions that do. */
  watches(): readonly (readonly [path: string, sessions: readonly Long[]])[];
  /** Further numbers for `mntr`, by ZooKeeper's names without `zk_`. */
  gauges(): Iterable<readonly [name: string, value: number]>;
  /** The digest of the tree as it is, if digests are kept. */
  digest(): { readonly zxid: Long; readonly value: Long } | null;
  /** Looks at the disk. `done` once, never before this returns; null if nothing is kept there or it can't be read. */
  usage(done: (usage: DiskUsage | null) => void): void;
  /** Begins the server's counters anew. */
  resetServer(): void;
  /** Begins the counters of every connection anew. */
  resetConnections(): void;
}
