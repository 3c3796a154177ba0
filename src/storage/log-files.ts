import type Long from 'long';
import { compareZxid, epochOf, followsInHistory, formatZxid, nextZxid, ZXID_NONE, zxidEquals } from '../model/zxid.ts';
import { allocBytes } from '../util/bytes.ts';
import { LOG_HEADER_BYTES, type LogEnd, LogReader, MAX_TORN_BYTES, RECORD_OVERHEAD, type RecordSink } from '../wire/txnlog.ts';
import { LogEntry } from '../zab/entry.ts';
import { type Disk, READ_BYTES } from './disk.ts';
import { type Folders, firstLogFor, type LogFile, listLogs, listSnapshots } from './layout.ts';
import type { Steps } from './steps.ts';

/** Reads one file up to byte `limit`. Errors name the file. */
function* readLogFile(disk: Disk, file: LogFile, limit: number, sink: RecordSink): Steps<{ end: LogEnd; records: number }> {
  const reader = new LogReader(sink);
  const size = Math.min(limit, yield* disk.size(file.path));
  yield* disk.readChunks(file.path, size, (chunk) => {
    reader.push(chunk);
    return reader.wantsMore;
  });
  return { end: reader.end(), records: reader.records };
}

const damage = (file: LogFile, end: LogEnd): Error => new Error(`${file.path}: damaged at offset ${end.offset}: ${end.reason}`);

/** What a replay found. */
export interface Replay {
  readonly last: Long;
  /** Bytes of the records given out. */
  readonly bytes: number;
  /** zxid of the first record in all the logs read; undefined if there is none. */
  readonly first: Long | undefined;
  /** zxid in the name of the first file that was read; undefined if there is none. */
  readonly firstFile: Long | undefined;
  /** Whether each of the zxids that had to be met was met. */
  readonly met: readonly boolean[];
  /** What has to be done so that the newest file ends with its last record. */
  readonly repairs: readonly Place[];
  /** Where the last record ends; undefined if there is none. */
  readonly end: Place | undefined;
}

/** A place in a log file; as a place to cut at, 0 means that the file goes altogether. */
interface Place {
  readonly file: LogFile;
  readonly offset: number;
}

/**
 * Gives out every record after `base`, in order. Records that do not increase are passed over: ZooKeeper 3.8 can write the same ones twice (PROTOCOL 19). A record
 * that leaves a gap is an error, and so is damage, except a torn write at the end of the newest file that holds anything. `meet` are zxids whose presence in the logs
 * is looked for. Changes nothing.
 */
export function* replay(
  disk: Disk,
  folders: Folders,
  base: Long,
  meet: readonly Long[],
  sink: (zxid: Long, payload: Uint8Array) => void,
): Steps<Replay> {
  const logs = yield* listLogs(disk, folders);
  const start = firstLogFor(logs, base);
  const met = meet.map(() => false);
  let last = base;
  let first: Long | undefined;
  let bytes = 0;
  let repairs: Place[] = [];
  let torn: { file: LogFile; end: LogEnd } | undefined;
  let ending: Place | undefined;
  for (const file of logs.slice(start)) {
    let error: Error | undefined;
    const { end, records } = yield* readLogFile(disk, file, Number.MAX_SAFE_INTEGER, (zxid, payload, offset) => {
      first ??= zxid;
      for (let i = 0; i < meet.length; i++) if (zxidEquals(zxid, meet[i])) met[i] = true;
      if (compareZxid(zxid, last) <= 0) return true;
      // What was torn was never acknowledged if the history goes on with the very zxid it would have had.
      const follows = followsInHistory(last, zxid);
      if (torn !== undefined && !(follows && zxid.high === last.high)) error = damage(torn.file, torn.end);
      else if (!follows) error = gap(file, offset, last, zxid);
      if (error !== undefined) return false;
      torn = undefined;
      last = zxid;
      bytes += payload.length + RECORD_OVERHEAD;
      sink(zxid, payload);
      return true;
    });
    if (error !== undefined) throw error;
    if (end.kind === 'corrupt') throw damage(file, end);
    if (records > 0) {
      repairs = [];
      ending = { file, offset: end.offset };
    }
    if (end.kind === 'torn') torn = { file, end };
    if (end.kind === 'torn' || records === 0) {
      repairs.push({ file, offset: records === 0 || end.offset < LOG_HEADER_BYTES ? 0 : end.offset });
    }
  }
  return { last, bytes, first, firstFile: logs[start]?.zxid, met, repairs, end: ending };
}

function gap(file: LogFile, offset: number, last: Long, next: Long): Error {
  const where = zxidEquals(last, ZXID_NONE) ? 'there is no snapshot and' : `after ${formatZxid(last)}`;
  return new Error(`${file.path}: ${where} transactions are missing before ${formatZxid(next)} at offset ${offset}`);
}

/**
 * Whether a log that begins with `first` in a file named `firstFile` is known to be complete from the very first transaction: epoch 0 is a
 * server on its own, 1 the first epoch of every ensemble; for the name see LogWriter.
 */
export const beginsHistory = (first: Long, firstFile: Long): boolean =>
  followsInHistory(ZXID_NONE, first) && (epochOf(first) <= 1 || (firstFile.high === 0 && firstFile.low >>> 0 <= 1));

/** Cuts away a torn write, newest file first; until that is durable nothing may be appended. */
export function* repair(disk: Disk, folders: Folders, repairs: readonly Place[]): Steps<void> {
  for (const { file, offset } of [...repairs].reverse()) yield* cut(disk, folders, file, offset);
}

/**
 * Makes durable what stands in front of `end`. A process before this one may have been killed in the middle of a write, or have stopped because a sync had failed, and what has been
 * read may stand in the system's cache only. It is written once more, because Linux takes pages for clean after a sync that failed, and the next sync would do nothing. All but
 * the last write was durable before.
 */
export function* secure(disk: Disk, end: Place): Steps<void> {
  if (!disk.fsync) return;
  const open = yield* disk.open(end.file.path, 'modify');
  try {
    const bytes = allocBytes(Math.min(READ_BYTES, end.offset));
    for (let at = Math.max(0, end.offset - MAX_TORN_BYTES); at < end.offset; ) {
      const count = yield* open.read(bytes, 0, Math.min(bytes.length, end.offset - at), at);
      if (count === 0) break;
      yield* open.write(bytes, count, at);
      at += count;
    }
    yield* open.sync();
  } finally {
    yield* open.close();
  }
}

function* cut(disk: Disk, folders: Folders, file: LogFile, offset: number): Steps<void> {
  if (offset === 0) {
    yield* disk.unlink(file.path);
    // One by one: if a later file outlived an earlier one, history would have a hole.
    yield* disk.syncDir(folders.logs);
    return;
  }
  const open = yield* disk.open(file.path, 'modify');
  try {
    yield* open.truncate(offset);
    yield* open.sync();
  } finally {
    yield* open.close();
  }
}

/** Where the log has to be cut to end at `zxid`, found without changing anything. */
export interface Cut {
  /** Files behind the cut, and last the file that is cut, if any. */
  readonly repairs: readonly Place[];
  /** Whether anything is left in the logs that were read. */
  readonly empty: boolean;
}

/**
 * Finds the cut after `zxid` in a history that starts at `base` (a snapshot not newer than `zxid`, or nothing). The cut is at the first record beyond `zxid`, wherever it
 * stands, so that repeated records behind it go as well (fault 1156). Undefined if `zxid` is neither `base` nor in the log.
 */
export function* findCut(disk: Disk, folders: Folders, base: Long, zxid: Long): Steps<Cut | undefined> {
  const logs = yield* listLogs(disk, folders);
  let met = zxidEquals(base, zxid);
  let cutAt: Place | undefined;
  let empty = true;
  const files = logs.slice(firstLogFor(logs, base));
  for (const [index, file] of files.entries()) {
    const { end, records } = yield* readLogFile(disk, file, Number.MAX_SAFE_INTEGER, (found, _payload, offset) => {
      if (compareZxid(found, zxid) > 0) {
        cutAt = { file, offset: offset === LOG_HEADER_BYTES ? 0 : offset };
        return false;
      }
      met ||= zxidEquals(found, zxid);
      empty = false;
      return true;
    });
    if (end.kind === 'corrupt' || end.kind === 'torn') throw damage(file, end);
    if (records === 0) continue;
    if (cutAt !== undefined) {
      const later = files.slice(index + 1).map((behind) => ({ file: behind, offset: 0 }));
      return met ? { repairs: [cutAt, ...later], empty } : undefined;
    }
  }
  return met ? { repairs: [], empty } : undefined;
}

/** The current log file and how far it is durable. */
export interface DurablePart {
  readonly path: string | null;
  readonly position: number;
}

/**
 * Gives out the entries after `after` up to `upTo`; see Storage.readLog. ZooKeeper keeps its log when it is brought up to date by a snapshot, which leaves a hole in front of that snapshot; where
 * epochs change, the zxids don't show it. So the log must run through every snapshot on its way (fault 2846).
 */
export function* readRange(
  disk: Disk,
  folders: Folders,
  durable: DurablePart,
  after: Long,
  upTo: Long,
  maxBytes: number,
  sink: (entry: LogEntry) => boolean,
): Steps<void> {
  const logs = yield* listLogs(disk, folders);
  const snapshots = yield* listSnapshots(disk, folders);
  /** Whether a snapshot stands behind `from` and before `to`. */
  const passesOver = (from: Long, to: Long): boolean =>
    snapshots.some(({ zxid }) => compareZxid(zxid, from) > 0 && compareZxid(zxid, to) < 0);
  let last: Long | undefined;
  let bytes = 0;
  let isEnough = false;
  let error: Error | undefined;
  for (const file of logs.slice(firstLogFor(logs, after))) {
    const limit = file.path === durable.path ? durable.position : Number.MAX_SAFE_INTEGER;
    const { end } = yield* readLogFile(disk, file, limit, (zxid, payload, offset) => {
      if (last === undefined) {
        if (zxidEquals(zxid, after)) last = after;
        return compareZxid(zxid, after) <= 0;
      }
      if (compareZxid(zxid, last) <= 0) return true;
      if (compareZxid(zxid, upTo) > 0) return false;
      if (!followsInHistory(last, zxid) || passesOver(last, zxid)) error = gap(file, offset, last, zxid);
      bytes += payload.length;
      if (bytes > maxBytes) error = new Error(`readLog: more than ${maxBytes} bytes after ${formatZxid(after)}`);
      if (error !== undefined) return false;
      last = zxid;
      isEnough = !sink(new LogEntry(zxid, payload)) || zxidEquals(zxid, upTo);
      return !isEnough;
    });
    if (error !== undefined) throw error;
    if (end.kind === 'corrupt' || end.kind === 'torn') throw damage(file, end);
    if (end.kind === 'stopped' || file.path === durable.path) break;
  }
  if (last === undefined) throw new Error(`readLog: ${formatZxid(after)} is not in the log`);
  if (!isEnough && passesOver(last, nextZxid(upTo))) throw new Error(`readLog: transactions are missing after ${formatZxid(last)}`);
}
