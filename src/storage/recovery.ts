import type Long from 'long';
import { compareZxid, formatZxid, ZXID_NONE, zxidEquals } from '../model/zxid.ts';
import type { RecoverySink } from '../seams/storage.ts';
import type { SnapshotError } from '../wire/snapshot.ts';
import { LogEntry } from '../zab/entry.ts';
import { type Disk, DiskError } from './disk.ts';
import { type Folders, firstLogFor, listLogs, listSnapshots, type SnapshotFile } from './layout.ts';
import { beginsHistory, type Cut, findCut, type Replay, repair, replay, secure } from './log-files.ts';
import { describeFault, findFault, finishInstall, loadSnapshot } from './snapshots.ts';
import { Cancelled, type Steps } from './steps.ts';

interface Rejected {
  readonly file: SnapshotFile;
  readonly fault: SnapshotError;
}

/** The history as it stands on disk. */
export interface History {
  readonly last: Long;
  /** zxid of the snapshot it starts with; undefined if there is none. */
  readonly base: Long | undefined;
  /** Bytes of log records after the snapshot. */
  readonly logBytes: number;
  /** Nothing has ever been stored. */
  readonly fresh: boolean;
}

/** The newest sound snapshot that is not newer than `upTo`, and those that were found bad on the way. */
function* newestSound(disk: Disk, folders: Folders, upTo?: Long): Steps<{ file: SnapshotFile | undefined; rejected: Rejected[] }> {
  const rejected: Rejected[] = [];
  for (const file of yield* listSnapshots(disk, folders)) {
    if (upTo !== undefined && compareZxid(file.zxid, upTo) > 0) continue;
    const fault = yield* findFault(disk, file);
    if (fault === null) return { file, rejected };
    rejected.push({ file, fault });
  }
  return { file: undefined, rejected };
}

/**
 * Plays the history into `sink` and makes the log end with its last record. What it reports is durable: others are told of it. `warn` is told of every snapshot that was passed over.
 */
export function* recoverHistory(disk: Disk, folders: Folders, sink: RecoverySink, warn: (message: string) => void): Steps<History> {
  // Names that a killed process has left in the system's cache only: the epoch files' too.
  for (const folder of new Set([folders.snapshots, folders.logs])) yield* disk.syncDir(folder);
  yield* finishInstall(disk, folders);
  const { file, rejected } = yield* newestSound(disk, folders);
  for (const bad of rejected) warn(`passed over snapshot ${describeFault(bad.file, bad.fault)}`);
  if (file !== undefined) yield* loadSnapshot(disk, file, sink);
  const base = file?.zxid;
  const meet = rejected.map((bad) => bad.file.zxid);
  const steps = replay(disk, folders, base ?? ZXID_NONE, meet, (zxid, payload) => sink.entry(new LogEntry(zxid, payload)));
  const found = yield* blaming(rejected, steps);
  if (base === undefined) checkComplete(folders, found, rejected);
  for (const [i, bad] of rejected.entries()) checkPassedOver(bad, found, found.met[i]);
  yield* repair(disk, folders, found.repairs);
  if (found.end !== undefined) yield* secure(disk, found.end);
  return { last: found.last, base, logBytes: found.bytes, fresh: base === undefined && found.first === undefined };
}

/** Adds to an error the snapshots that were passed over: one of them may be the reason. */
function* blaming<T>(rejected: readonly Rejected[], steps: Steps<T>): Steps<T> {
  try {
    return yield* steps;
  } catch (error) {
    if (rejected.length === 0 || !(error instanceof Error) || error instanceof DiskError || error instanceof Cancelled) throw error;
    const list = rejected.map(({ file, fault }) => describeFault(file, fault)).join('; ');
    throw new Error(`${error.message}; snapshots that cannot be used: ${list}`, { cause: error });
  }
}

/** Without a snapshot only a log from the very first transaction on is a history; anything else must not pass for an empty one (faults 2325, 3056). */
function checkComplete(folders: Folders, found: Replay, rejected: readonly Rejected[]): void {
  const { first, firstFile } = found;
  const bad = rejected.map(({ file, fault }) => `; ${describeFault(file, fault)}`).join('');
  if (first === undefined || firstFile === undefined) {
    if (bad !== '') throw new Error(`${folders.snapshots}: no snapshot can be used, and there is no log${bad}`);
    return;
  }
  if (!beginsHistory(first, firstFile)) {
    throw new Error(`${folders.logs}: the log starts at ${formatZxid(first)}, and there is no usable snapshot for what was before${bad}`);
  }
}

/**
 * A history from an older snapshot must run through the point where the bad one stood: there may be a hole in the logs that only that snapshot covered. Where
 * epochs change, a hole does not show in the zxids. One that just stops was never finished, so nothing has been built on it, unless the log goes on behind it.
 */
function checkPassedOver({ file, fault }: Rejected, found: Replay, met: boolean): void {
  if (met || zxidEquals(file.zxid, ZXID_NONE)) return;
  if (fault.incomplete && compareZxid(found.last, file.zxid) < 0) return;
  throw new Error(`${describeFault(file, fault)}; older snapshots and logs do not lead to it`);
}

/** What a truncation has to do. */
export interface Truncation {
  /** Snapshots beyond the new end. */
  readonly snapshots: readonly SnapshotFile[];
  readonly cut: Cut;
  readonly fresh: boolean;
}

/** Plans to end the history at `zxid`; throws if that is no point of it. Changes nothing. */
export function* planTruncation(disk: Disk, folders: Folders, zxid: Long): Steps<Truncation> {
  const { file } = yield* newestSound(disk, folders, zxid);
  const all = yield* listSnapshots(disk, folders);
  const snapshots = all.filter((snapshot) => compareZxid(snapshot.zxid, zxid) > 0);
  const base = file?.zxid ?? ZXID_NONE;
  if (file === undefined) {
    // There must be a complete log to rebuild the state from, once the snapshots beyond the cut are gone.
    const found = yield* replay(disk, folders, ZXID_NONE, [], () => {});
    const { first, firstFile } = found;
    if (first !== undefined && firstFile !== undefined && !beginsHistory(first, firstFile)) {
      throw new Error(`truncate: no snapshot is left before ${formatZxid(zxid)}`);
    }
  }
  const cut = yield* findCut(disk, folders, base, zxid);
  if (cut === undefined) throw new Error(`truncate: ${formatZxid(zxid)} is not in the log`);
  return { snapshots, cut, fresh: file === undefined && cut.empty };
}

/**
 * Ends the history at the planned point. Every state on the way is a shorter history that is still whole: first the snapshots beyond the end go, newest first,
 * then later files, newest first, then the tail of the file that holds the last record (fault 1156).
 */
export function* truncateHistory(disk: Disk, folders: Folders, plan: Truncation): Steps<void> {
  for (const snapshot of plan.snapshots) yield* disk.unlink(snapshot.path);
  if (plan.snapshots.length > 0) yield* disk.syncDir(folders.snapshots);
  yield* repair(disk, folders, plan.cut.repairs);
}

/**
 * Removes all but the newest `keep` sound snapshots, with the bad ones older than these, and the logs that only they need: those before the last file that begins at or
 * before the oldest kept snapshot (PROTOCOL 16). Snapshots go first, durably, so that none is ever left whose logs are gone. `current` is never removed.
 */
export function* purgeHistory(disk: Disk, folders: Folders, keep: number, current: () => string | null): Steps<void> {
  // A snapshot whose name is not durable yet must not be what others are deleted for.
  yield* disk.syncDir(folders.snapshots);
  const snapshots = yield* listSnapshots(disk, folders);
  let sound = 0;
  let oldest: SnapshotFile | undefined;
  const unneeded: SnapshotFile[] = [];
  for (const file of snapshots) {
    if (sound >= keep) unneeded.push(file);
    else if ((yield* findFault(disk, file)) === null) {
      sound++;
      oldest = file;
    }
  }
  if (oldest === undefined) return;
  for (const file of unneeded.reverse()) yield* disk.unlink(file.path);
  if (unneeded.length > 0) yield* disk.syncDir(folders.snapshots);
  const logs = yield* listLogs(disk, folders);
  let removed = 0;
  for (const file of logs.slice(0, firstLogFor(logs, oldest.zxid))) {
    if (file.path === current()) continue;
    yield* disk.unlink(file.path);
    removed++;
  }
  if (removed > 0) yield* disk.syncDir(folders.logs);
}
