import type Long from 'long';
import type { SnapshotSink, SnapshotSource } from '../model/records.ts';
import type { LogEntry } from '../zab/entry.ts';
import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';

/** Called exactly once, never before the call that it belongs to has returned. */
export type Done = (error: Error | null) => void;

/** What a recovery found. */
export interface Recovered {
  /** Last zxid in snapshot and log; zero for an empty store. */
  readonly lastZxid: Long;
  /** zxid of the snapshot it began with; zero if there was none. */
  readonly snapshotZxid: Long;
  /** The two epochs of Zab (PROTOCOL 16, faults 335, 3608). 0 for an empty store. */
  readonly acceptedEpoch: number;
  readonly currentEpoch: number;
}

/** Receives the history: the newest good snapshot, then every entry after it in order. `begin` again starts over with an older snapshot. */
export interface RecoverySink extends SnapshotSink {
  entry(entry: LogEntry): void;
}

/** Where a store keeps its data, and how much of it, bytes. The two folders may be one; then both numbers are of all that is in it. */
export interface DiskUsage {
  /** Holds the snapshots. */
  readonly dataDir: string;
  readonly dataBytes: number;
  readonly logDir: string;
  readonly logBytes: number;
}

export interface StorageOptions {
  readonly serverId: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * A server's durable state: the transaction log, snapshots and the two epochs. Nothing here blocks the event loop for long, and every method that takes a
 * `Done` reports errors there. Calls are carried out in the order made, except {@link saveSnapshot}, {@link readLog} and {@link purge}, which run beside them.
 *
 * After the first failed write the store is broken: every later call fails with the same error and nothing more is written. A failed fsync is never retried.
 */
export interface Storage {
  /** Opens the store and locks it against a second opener. Must come first and may be called again after `close`. */
  open(options: StorageOptions, done: Done): void;
  /**
   * Plays the history into `sink`, in slices that leave the event loop free between them. A damaged record at the very end of the log is a torn write and is cut off; damage
   * anywhere else is an error that names file and offset, and nothing is deleted. May be called again after a truncation.
   */
  recover(sink: RecoverySink, done: (error: Error | null, found?: Recovered) => void): void;
  /** Appends entries, each following the last one in history (see `followsInHistory`); a gap is an error. `done` means durable. Calls that wait are written together. */
  append(entries: readonly LogEntry[], done: Done): void;
  /** Removes every entry after `zxid`, durably. `zxid` must be in the log, or be where the snapshot stands; otherwise an error and nothing is removed. */
  truncate(zxid: Long, done: Done): void;
  /** Durable replacement of one epoch. Lowering one is an error. */
  setAcceptedEpoch(epoch: number, done: Done): void;
  setCurrentEpoch(epoch: number, done: Done): void;
  /**
   * Replaces the whole history by a snapshot, durably: afterwards the store holds the snapshot and an empty log that continues at its zxid. Until it is done, a
   * crash leaves the old history. `source` is closed in any case.
   */
  installSnapshot(source: SnapshotSource, done: Done): void;
  /** Writes a snapshot beside the log, in the background. At most one at a time. */
  saveSnapshot(source: SnapshotSource, done: Done): void;
  /**
   * Reads durable entries after `after` up to and with `upTo`, for a learner that is behind. Calls `sink` for each in order; `sink` returns false to stop early. An error if the entry
   * `after` itself is not in the log (then nobody can know that nothing is missing), the log has a hole on the way (fault 2846), or a limit of `maxBytes` is exceeded.
   */
  readLog(after: Long, upTo: Long, maxBytes: number, sink: (entry: LogEntry) => boolean, done: Done): void;
  /** Deletes snapshots older than the newest `keep`, and the logs that only they need. */
  purge(keep: number, done: Done): void;
  /** Looks at the disk, for reports; an error if that can't be done now. A store without a disk has no such method. */
  usage?(done: (error: Error | null, usage?: DiskUsage) => void): void;
  /** Bytes of log written since the last snapshot began, for the snapshot rule. */
  readonly logBytesSinceSnapshot: number;
  /** Finishes nothing, releases everything: after `done` no file handle is open and nothing is written any more. */
  close(done: () => void): void;
}
