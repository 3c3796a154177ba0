import type { Mutant } from './mutant.ts';

const store = 'src/storage/file-store.ts';
const logs = 'src/storage/log-files.ts';
const writer = 'src/storage/log-writer.ts';
const snapshots = 'src/storage/snapshots.ts';
const recovery = 'src/storage/recovery.ts';

/** Faults in the data directory. */
export const storageMutants: readonly Mutant[] = [
  {
    name: 'no fsync of the log',
    why: 'what is called durable survives a power loss',
    file: writer,
    find: 'if (file.durableWrites || !this.#disk.fsync) return this.#complete(null);',
    replace: 'if (file.durableWrites || this.#position >= 0) return this.#complete(null);',
    seeds: 15,
  },
  {
    name: 'no fsync of snapshots',
    why: 'a snapshot gets its name when it is durable',
    file: snapshots,
    find: `    yield* file.sync();
  } finally {`,
    replace: '  } finally {',
    seeds: 10,
  },
  {
    name: 'no fsync of the epoch files',
    why: 'an epoch file has the old or the new content, whole (faults 2307, 4269)',
    file: 'src/storage/disk.ts',
    find: '      yield* file.sync();\n',
    replace: '',
    seeds: 10,
  },
  {
    name: 'no fsync of the folder behind a rename',
    why: 'a rename is durable when its folder is',
    file: 'src/storage/disk.ts',
    find: '    yield* this.syncDir(folder);\n',
    replace: '',
    seeds: 40,
  },
  {
    name: 'no fsync of the folder behind a new log file',
    why: 'a log without its name is lost',
    file: writer,
    find: '      yield* this.#disk.syncDir(this.#folders.logs);\n',
    replace: '',
    seeds: 10,
  },
  {
    name: 'no fsync of the cut of a log',
    why: 'what TRUNC has cut off must not come back',
    file: logs,
    find: `    yield* open.truncate(offset);
    yield* open.sync();`,
    replace: '    yield* open.truncate(offset);',
    seeds: 320,
  },
  {
    name: 'a start reports what is in the cache only',
    why: 'what a start reports is durable: others are told of it',
    file: recovery,
    find: '  if (found.end !== undefined) yield* secure(disk, found.end);\n',
    replace: '',
    seeds: 460,
  },
  {
    name: 'a torn tail stays',
    why: 'the log ends with its last whole record before anything is appended',
    file: recovery,
    find: '  yield* repair(disk, folders, found.repairs);\n',
    replace: '',
    seeds: 40,
  },
  {
    name: 'checksums of log records are not checked',
    why: 'a damaged record is not a transaction (PROTOCOL 15)',
    file: 'src/wire/txnlog.ts',
    find: "if (int(b, at) !== 0 || int(b, at + 4) >>> 0 !== adler32(b, at + 12, end)) return 'a wrong checksum';",
    replace: '',
    seeds: 280,
    from: 89,
  },
  {
    name: 'TRUNC cuts one too few',
    why: 'everything after the zxid goes',
    file: logs,
    find: '      if (compareZxid(found, zxid) > 0) {\n',
    replace: '      if (compareZxid(found, nextZxid(zxid)) > 0) {\n',
    seeds: 90,
  },
  {
    name: 'TRUNC cuts one too many',
    why: 'the entry of the zxid itself stays',
    file: logs,
    find: '      if (compareZxid(found, zxid) > 0) {\n',
    replace: '      met ||= zxidEquals(found, zxid);\n      if (compareZxid(found, zxid) >= 0) {\n',
    seeds: 90,
  },
  {
    name: 'TRUNC leaves later files',
    why: 'everything after the zxid goes (fault 1156)',
    file: logs,
    find: 'return met ? { repairs: [cutAt, ...later], empty } : undefined;',
    replace: 'return met ? { repairs: [cutAt, ...later.slice(1)], empty } : undefined;',
    seeds: 130,
    from: 38,
  },
  {
    name: 'a snapshot is named after the log’s end',
    why: 'a snapshot’s zxid is the last that is applied in it, not the last logged',
    file: store,
    find: 'yield* this.#disk.rename(temporary, snapshotPath(this.#folders, source.zxid));',
    replace: 'yield* this.#disk.rename(temporary, snapshotPath(this.#folders, this.#recovered("save").durable));',
    seeds: 10,
  },
  {
    name: 'an installation is not finished at the start',
    why: 'from its first rename on the old history is dead',
    file: recovery,
    find: '  yield* finishInstall(disk, folders);\n',
    replace: '',
    seeds: 75,
  },
  {
    name: 'the purge deletes a log that is needed',
    why: 'the oldest kept snapshot needs the log that was current when it began',
    file: recovery,
    find: 'for (const file of logs.slice(0, firstLogFor(logs, oldest.zxid))) {',
    replace: 'for (const file of logs.slice(0, firstLogFor(logs, oldest.zxid) + 1)) {',
    seeds: 10,
  },
  {
    name: 'a log file is lost at roll-over',
    why: 'the log goes on in the next file without a gap',
    file: logs,
    find: '  for (const file of logs.slice(start)) {\n',
    replace: '  for (const file of logs.slice(start).filter((_, i) => i !== 1)) {\n',
    seeds: 10,
  },
  {
    name: 'a log file goes on where the last one ended',
    why: 'a new file begins behind its header',
    file: writer,
    find: '      this.#position = LOG_HEADER_BYTES;\n',
    replace: '      this.#position = Math.max(LOG_HEADER_BYTES, this.#position);\n',
    seeds: 10,
  },
  {
    name: 'a failed write is passed over',
    why: 'a failed write stops the replica; nothing is known of what is on disk',
    file: writer,
    find: "if (error !== null) return this.#complete(new DiskError('write', path, error));",
    replace: 'if (error !== null) return this.#complete(null);',
    seeds: 40,
  },
];
