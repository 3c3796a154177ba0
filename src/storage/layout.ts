import type Long from 'long';
import { compareZxid, parseZxidHex, zxidHex } from '../model/zxid.ts';
import type { Disk } from './disk.ts';
import type { Steps } from './steps.ts';

/*
 * Names in a ZooKeeper data directory (PROTOCOL 15, 16). Two kinds are ours, and ZooKeeper overlooks them: `tmp.*` are files being written, and
 * `install.<zxid>` is a complete snapshot that is about to replace the whole history.
 */

const SNAPSHOT = /^snapshot\.([0-9a-f]{1,16})(\.gz|\.snappy)?$/;
const LOG = /^log\.([0-9a-f]{1,16})$/;
const INSTALL = /^install\.([0-9a-f]{1,16})$/;
/** What an interrupted write leaves: our own, and ZooKeeper's epoch files. */
const LEFTOVER = /^tmp\.|^(?:acceptedEpoch|currentEpoch|myid)\.tmp$/;

export interface SnapshotFile {
  readonly path: string;
  readonly zxid: Long;
  readonly compression: 'none' | 'gzip' | 'snappy';
}

/** `zxid` is the one in the name: that of the first record. */
export interface LogFile {
  readonly path: string;
  readonly zxid: Long;
}

/** The folders of one store; the two may be the same. */
export interface Folders {
  /** `<dataDir>/version-2` */
  readonly snapshots: string;
  /** `<dataLogDir>/version-2` */
  readonly logs: string;
}

export const snapshotPath = (folders: Folders, zxid: Long): string => `${folders.snapshots}/snapshot.${zxidHex(zxid)}`;
export const installPath = (folders: Folders, zxid: Long): string => `${folders.snapshots}/install.${zxidHex(zxid)}`;
export const temporaryPath = (folders: Folders, zxid: Long): string => `${folders.snapshots}/tmp.${zxidHex(zxid)}`;
export const logPath = (folders: Folders, zxid: Long): string => `${folders.logs}/log.${zxidHex(zxid)}`;

/** All snapshots, newest first. */
export function* listSnapshots(disk: Disk, folders: Folders): Steps<SnapshotFile[]> {
  const found: SnapshotFile[] = [];
  for (const name of yield* disk.readdir(folders.snapshots)) {
    const [, hex, suffix] = SNAPSHOT.exec(name) ?? [];
    const zxid = parseZxidHex(hex ?? '');
    if (zxid === undefined) continue;
    const compression = suffix === '.gz' ? 'gzip' : suffix === '.snappy' ? 'snappy' : 'none';
    found.push({ path: `${folders.snapshots}/${name}`, zxid, compression });
  }
  return found.sort((a, b) => compareZxid(b.zxid, a.zxid));
}

/** All log files, oldest first. */
export function* listLogs(disk: Disk, folders: Folders): Steps<LogFile[]> {
  const found: LogFile[] = [];
  for (const name of yield* disk.readdir(folders.logs)) {
    const zxid = parseZxidHex(LOG.exec(name)?.[1] ?? '');
    if (zxid !== undefined) found.push({ path: `${folders.logs}/${name}`, zxid });
  }
  return found.sort((a, b) => compareZxid(a.zxid, b.zxid));
}

/** The snapshots whose installation has begun and not ended; at most one, unless somebody copied files. */
export function* listInstalls(disk: Disk, folders: Folders): Steps<SnapshotFile[]> {
  const found: SnapshotFile[] = [];
  for (const name of yield* disk.readdir(folders.snapshots)) {
    const zxid = parseZxidHex(INSTALL.exec(name)?.[1] ?? '');
    if (zxid !== undefined) found.push({ path: `${folders.snapshots}/${name}`, zxid, compression: 'none' });
  }
  return found;
}

/** Index of the file to begin with when the records after `zxid` are wanted: the last whose name is not above it; 0 if there is none. */
export function firstLogFor(logs: readonly LogFile[], zxid: Long): number {
  let index = 0;
  for (let i = 1; i < logs.length; i++) if (compareZxid(logs[i].zxid, zxid) <= 0) index = i;
  return index;
}

/** Bytes of all files in a folder, whatever they are. */
export function* bytesIn(disk: Disk, folder: string): Steps<number> {
  let bytes = 0;
  // One that is gone meanwhile counts for nothing.
  for (const name of yield* disk.readdir(folder)) bytes += Math.max(0, yield* disk.size(`${folder}/${name}`));
  return bytes;
}

/** Removes what interrupted writes have left. */
export function* removeLeftovers(disk: Disk, folder: string): Steps<void> {
  for (const name of yield* disk.readdir(folder)) {
    if (LEFTOVER.test(name)) yield* disk.unlink(`${folder}/${name}`);
  }
}
