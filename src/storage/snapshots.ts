import type Long from 'long';
import type { SnapshotSink, SnapshotSource } from '../model/records.ts';
import { formatZxid } from '../model/zxid.ts';
import { type Gunzip, GunzipError, type NewGunzip } from '../seams/gunzip.ts';
import { allocBytes } from '../util/bytes.ts';
import {
  checkSnapshotHeader,
  isSeal,
  SEAL_BYTES,
  SNAPSHOT_HEADER_BYTES,
  SnapshotError,
  SnapshotFileReader,
  SnapshotFileWriter,
} from '../wire/snapshot.ts';
import { adler32 } from '../wire/txnlog.ts';
import type { Disk } from './disk.ts';
import { type Folders, installPath, listInstalls, listLogs, listSnapshots, type SnapshotFile } from './layout.ts';
import { type Steps, step } from './steps.ts';

/** Compressed input per turn: it unpacks to several times as much. */
const PACKED_BYTES = 0x4000;

/** Writes a snapshot file, durable but for its name. The event loop is free between pieces. */
export function* writeSnapshot(disk: Disk, path: string, source: SnapshotSource): Steps<void> {
  if ((yield* disk.size(path)) >= 0) yield* disk.unlink(path);
  const file = yield* disk.open(path, 'create');
  try {
    const writer = new SnapshotFileWriter(source);
    let at = 0;
    for (let piece = writer.next(); piece !== null; piece = writer.next()) {
      yield* file.write(piece, piece.length, at);
      at += piece.length;
    }
    yield* file.sync();
  } finally {
    yield* file.close();
  }
}

/** Removes a file that was not finished, if the disk lets that happen; the next start does otherwise. */
export function* discard(disk: Disk, path: string): Steps<void> {
  try {
    if ((yield* disk.size(path)) >= 0) yield* disk.unlink(path);
  } catch {
    // What brought us here is the error to report.
  }
}

/**
 * Replaces the whole history by the snapshot at `temporary`. From the first rename on the old history is dead: a crash anywhere behind it is finished by
 * {@link finishInstall} at the next start, before anything is read. The old files go before the snapshot gets its name, because a log or a snapshot that
 * reaches beyond its zxid would otherwise be taken for its continuation.
 */
export function* install(disk: Disk, folders: Folders, temporary: string, zxid: Long): Steps<void> {
  yield* disk.rename(temporary, installPath(folders, zxid));
  yield* disk.syncDir(folders.snapshots);
  yield* finishInstall(disk, folders);
}

/** Carries an installation to its end that was past its point of no return. */
export function* finishInstall(disk: Disk, folders: Folders): Steps<void> {
  const pending = yield* listInstalls(disk, folders);
  if (pending.length === 0) return;
  if (pending.length > 1)
    throw new Error(`${pending.map((file) => file.path).join(' and ')}: only one of these can be the snapshot to install`);
  const [file] = pending;
  // Snapshots go first: a log without any snapshot is refused by every reader, so no crash in between can make an old part look whole.
  for (const old of yield* listSnapshots(disk, folders)) yield* disk.unlink(old.path);
  yield* disk.syncDir(folders.snapshots);
  for (const old of yield* listLogs(disk, folders)) yield* disk.unlink(old.path);
  yield* disk.syncDir(folders.logs);
  yield* disk.rename(file.path, file.path.replace(/install(\.[0-9a-f]+)$/, 'snapshot$1'));
  yield* disk.syncDir(folders.snapshots);
}

/** Plays a snapshot into `sink`. Throws {@link SnapshotError} if it cannot be used. */
export function* loadSnapshot(disk: Disk, file: SnapshotFile, sink: SnapshotSink): Steps<void> {
  const reader = new SnapshotFileReader(file.zxid, sink);
  if (file.compression === 'snappy') throw new SnapshotError('it is compressed with snappy, which is not supported', false);
  const size = yield* disk.size(file.path);
  if (file.compression === 'gzip') {
    if (disk.gunzip === undefined)
      throw new SnapshotError('it is compressed with gzip, and there is nothing here to unpack that with', false);
    yield* unpack(disk, disk.gunzip, file.path, size, reader);
  } else {
    yield* disk.readChunks(file.path, size, (chunk) => {
      reader.push(chunk);
      return true;
    });
  }
  reader.end();
}

function* unpack(disk: Disk, gunzip: NewGunzip, path: string, size: number, reader: SnapshotFileReader): Steps<void> {
  const unpacker: Gunzip = gunzip((chunk) => reader.push(chunk));
  const file = yield* disk.open(path, 'read');
  try {
    for (let at = 0; at < size; at += PACKED_BYTES) {
      const chunk = allocBytes(Math.min(PACKED_BYTES, size - at));
      const count = yield* file.read(chunk, 0, chunk.length, at);
      yield* unpacking(step((done) => unpacker.push(chunk.subarray(0, count), done)));
    }
    yield* unpacking(step((done) => unpacker.end(done)));
  } finally {
    unpacker.close();
    yield* file.close();
  }
}

function* unpacking(steps: Steps<void>): Steps<void> {
  try {
    yield* steps;
  } catch (error) {
    if (error instanceof GunzipError) throw new SnapshotError(`bad gzip data: ${error.message}`, error.incomplete);
    throw error;
  }
}

const NOWHERE: SnapshotSink = { begin() {}, nodes() {}, end() {} };

/** What keeps a snapshot file from being used; null if it is sound. Reads all of it. */
export function* findFault(disk: Disk, file: SnapshotFile): Steps<SnapshotError | null> {
  try {
    if (file.compression === 'none' && (yield* endsInGoodSeal(disk, file.path))) return null;
    // Not the plain case: read it in full to learn whether and where it is bad.
    yield* loadSnapshot(disk, file, NOWHERE);
    return null;
  } catch (error) {
    if (error instanceof SnapshotError) return error;
    throw error;
  }
}

/** Every snapshot ends in a seal over all that stands before it, so most need no decoding to be checked. */
function* endsInGoodSeal(disk: Disk, path: string): Steps<boolean> {
  const size = yield* disk.size(path);
  if (size < SNAPSHOT_HEADER_BYTES + SEAL_BYTES) return false;
  const sealAt = size - SEAL_BYTES;
  let at = 0;
  let sum = 1;
  let sealed = false;
  const seal = allocBytes(SEAL_BYTES);
  yield* disk.readChunks(path, size, (chunk) => {
    if (at === 0 && chunk.length >= SNAPSHOT_HEADER_BYTES) checkSnapshotHeader(chunk);
    const covered = Math.max(0, Math.min(chunk.length, sealAt - at));
    sum = adler32(chunk, 0, covered, sum);
    if (covered < chunk.length) seal.set(chunk.subarray(covered), at + covered - sealAt);
    at += chunk.length;
    sealed = at === size;
    return true;
  });
  return sealed && isSeal(seal, 0, sum);
}

/** How a bad snapshot is named in messages. */
export const describeFault = (file: SnapshotFile, fault: SnapshotError): string =>
  `${file.path} (${formatZxid(file.zxid)}): ${fault.message}`;
