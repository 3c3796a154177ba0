import type Long from 'long';
import type { SnapshotSource } from '../model/records.ts';
import { compareZxid, ZXID_NONE } from '../model/zxid.ts';
import type { FileSystem } from '../seams/file-system.ts';
import type { NewGunzip } from '../seams/gunzip.ts';
import type { DiskUsage, Done, Recovered, RecoverySink, StorageOptions } from '../seams/storage.ts';
import { octetsFromText, octetsToBytes } from '../util/bytes.ts';
import type { LogEntry } from '../zab/entry.ts';
import { Barrier, Calls } from './calls.ts';
import { Disk, DiskError } from './disk.ts';
import { checkEpoch, type EpochName, type Epochs, readEpochs, writeEpoch } from './epochs.ts';
import { bytesIn, type Folders, removeLeftovers, snapshotPath, temporaryPath } from './layout.ts';
import { readRange } from './log-files.ts';
import { type LogOptions, LogWriter } from './log-writer.ts';
import { planTruncation, purgeHistory, recoverHistory, truncateHistory } from './recovery.ts';
import { discard, install, writeSnapshot } from './snapshots.ts';
import { run, type Steps, step } from './steps.ts';

export interface FileStoreSettings extends LogOptions {
  readonly dataDir: string;
  readonly dataLogDir: string;
  readonly fsync: boolean;
  readonly fs: FileSystem;
  readonly gunzip: NewGunzip | undefined;
}

/** An open data directory, from `open` to `close`. It ends at `close` or with the first write that fails. */
export class FileStore {
  readonly #settings: FileStoreSettings;
  readonly #options: StorageOptions;
  readonly #disk: Disk;
  readonly #folders: Folders;
  readonly #calls: Calls;
  #saving = false;
  #purging = false;
  #unlocks: Steps<void>[] = [];
  /** Null until the first recovery. */
  #writer: LogWriter | null = null;
  #epochs: Epochs = { acceptedEpoch: 0, currentEpoch: 0 };
  /** A write has failed: the files are left as they are. */
  #broken = false;

  constructor(settings: FileStoreSettings, options: StorageOptions) {
    this.#settings = settings;
    this.#options = options;
    this.#disk = new Disk(settings.fs, settings.fsync, settings.gunzip);
    this.#folders = { snapshots: `${settings.dataDir}/version-2`, logs: `${settings.dataLogDir}/version-2` };
    this.#calls = new Calls(options.clock, (error) => this.#isFatal(error));
  }

  get logBytesSinceSnapshot(): number {
    return this.#writer?.bytesSinceSnapshot ?? 0;
  }

  open(done: Done): void {
    this.#calls.chain({ chain: () => this.#open(), done });
  }

  recover(sink: RecoverySink, done: (error: Error | null, found?: Recovered) => void): void {
    let found: Recovered | undefined;
    const finish = (value: Recovered): void => {
      found = value;
    };
    this.#calls.chain({
      chain: () => this.#recover(sink, finish),
      done: (error) => (error === null ? done(null, found) : done(error)),
      exclusive: true,
    });
  }

  append(entries: readonly LogEntry[], done: Done): void {
    this.#calls.append(entries, done);
  }

  truncate(zxid: Long, done: Done): void {
    this.#calls.chain({ chain: () => this.#truncate(zxid), done, exclusive: true });
  }

  setEpoch(name: EpochName, epoch: number, done: Done): void {
    this.#calls.chain({ chain: () => this.#setEpoch(name, epoch), done });
  }

  installSnapshot(source: SnapshotSource, done: Done): void {
    this.#calls.chain({ chain: () => this.#install(source), done, exclusive: true, drop: () => source.close() });
  }

  saveSnapshot(source: SnapshotSource, done: Done): void {
    const refusal = this.#saving ? new Error('saveSnapshot: one is under way already') : this.#calls.refusal('saveSnapshot');
    if (refusal !== null) {
      source.close();
      return this.#calls.fail(done, refusal);
    }
    this.#saving = true;
    this.#writer?.roll();
    // What the snapshot holds must be in the log before the snapshot counts: the log would have a hole there if the machine stopped in between.
    const logged = new Barrier(this.#options.clock);
    this.#calls.append([], logged.pass);
    this.#calls.job(this.#save(source, logged), (error) => {
      this.#saving = false;
      done(error);
    });
  }

  readLog(after: Long, upTo: Long, maxBytes: number, sink: (entry: LogEntry) => boolean, done: Done): void {
    const writer = this.#writer;
    const refusal = this.#calls.refusal('readLog');
    if (writer === null || refusal !== null) return this.#calls.fail(done, refusal ?? new Error('readLog: not recovered yet'));
    const durable = { path: writer.path, position: writer.position };
    const end = compareZxid(upTo, writer.durable) > 0 ? writer.durable : upTo;
    this.#calls.job(readRange(this.#disk, this.#folders, durable, after, end, maxBytes, sink), done);
  }

  purge(keep: number, done: Done): void {
    let refusal = this.#purging ? new Error('purge: one is under way already') : this.#calls.refusal('purge');
    if (!Number.isSafeInteger(keep) || keep < 1) refusal ??= new Error(`purge: cannot keep ${keep} snapshots`);
    if (refusal !== null) return this.#calls.fail(done, refusal);
    this.#purging = true;
    this.#calls.job(
      purgeHistory(this.#disk, this.#folders, keep, () => this.#writer?.path ?? null),
      (error) => {
        this.#purging = false;
        done(error);
      },
    );
  }

  usage(done: (error: Error | null, usage?: DiskUsage) => void): void {
    const refusal = this.#calls.refusal('usage');
    if (refusal !== null) return this.#calls.fail(done, refusal);
    const { snapshots, logs } = this.#folders;
    let usage: DiskUsage | undefined;
    const disk = this.#disk;
    const look = function* (): Steps<void> {
      const dataBytes = yield* bytesIn(disk, snapshots);
      const logBytes = logs === snapshots ? dataBytes : yield* bytesIn(disk, logs);
      usage = { dataDir: snapshots, dataBytes, logDir: logs, logBytes };
    };
    this.#calls.job(look(), (error) => (error === null ? done(null, usage) : done(error)));
  }

  close(done: () => void): void {
    this.#calls.end(new Error(`${this.#settings.dataDir}: the store has been closed`));
    this.#calls.whenQuiet(() => run(this.#options.clock, this.#release(), () => done()));
  }

  /** A failed write, sync, rename ... ends the store: what is on disk is no longer known, and trying again would hide that. */
  #isFatal(error: Error): boolean {
    if (!(error instanceof DiskError)) return false;
    this.#broken = true;
    const { dataDir } = this.#settings;
    this.#options.logger('error', 'the store has failed and writes nothing more', { dataDir, error: error.message });
    return true;
  }

  #fatal(error: Error): void {
    if (this.#calls.ended === null && this.#isFatal(error)) this.#calls.end(error);
  }

  #warn(message: string, error: unknown): void {
    this.#options.logger('warn', message, {
      dataDir: this.#settings.dataDir,
      error: error instanceof Error ? error.message : String(error),
    });
  }

  // ---- the chains

  *#open(): Steps<void> {
    const { dataDir, dataLogDir } = this.#settings;
    const { snapshots, logs } = this.#folders;
    const disk = this.#disk;
    try {
      for (const folder of new Set([snapshots, logs])) yield* disk.mkdir(folder);
      for (const folder of new Set([dataDir, dataLogDir])) this.#unlocks.push(yield* disk.lock(`${folder}/zab-ensemble.lock`));
      for (const folder of new Set([dataDir, dataLogDir])) yield* disk.syncDir(folder);
      for (const folder of new Set([dataDir, snapshots, logs])) yield* removeLeftovers(disk, folder);
      yield* this.#checkId();
    } catch (error) {
      yield* this.#unlock();
      throw error;
    }
  }

  *#checkId(): Steps<void> {
    const { dataDir } = this.#settings;
    const own = String(this.#options.serverId);
    const stored = yield* this.#disk.readText(`${dataDir}/myid`);
    if (stored === undefined) yield* this.#disk.replace(dataDir, 'myid', octetsToBytes(octetsFromText(own)));
    else if (stored.trim() !== own) throw new Error(`${dataDir}/myid: the directory belongs to server ${stored.trim()}, not to ${own}`);
  }

  *#release(): Steps<void> {
    try {
      if (this.#writer !== null) yield* this.#writer.closeFile(!this.#broken);
    } catch (error) {
      this.#warn('the log file did not close well', error);
    }
    yield* this.#unlock();
  }

  *#unlock(): Steps<void> {
    for (const unlock of this.#unlocks.splice(0)) {
      try {
        yield* unlock;
      } catch (error) {
        this.#warn('a lock was not released', error);
      }
    }
  }

  *#recover(sink: RecoverySink, finish: (found: Recovered) => void): Steps<void> {
    yield* this.#calls.stopJobs('the history is read anew');
    if (this.#writer !== null) yield* this.#writer.closeFile(true);
    const warn = (message: string): void => this.#options.logger('warn', message);
    const history = yield* recoverHistory(this.#disk, this.#folders, sink, warn);
    this.#epochs = yield* readEpochs(this.#disk, this.#folders.snapshots, history.last);
    if (this.#writer === null) {
      this.#writer = new LogWriter(this.#disk, this.#folders, this.#options.clock, this.#settings, {
        progress: () => this.#calls.pump(),
        failed: (error) => this.#fatal(error),
      });
      this.#calls.setAppender(this.#writer);
    }
    this.#writer.reset(history.last, history.fresh, history.logBytes);
    finish({ lastZxid: history.last, snapshotZxid: history.base ?? ZXID_NONE, ...this.#epochs });
  }

  *#truncate(zxid: Long): Steps<void> {
    const writer = this.#recovered('truncate');
    yield* this.#calls.stopJobs('the log is cut');
    yield* writer.closeFile(true);
    const plan = yield* planTruncation(this.#disk, this.#folders, zxid);
    yield* truncateHistory(this.#disk, this.#folders, plan);
    writer.reset(zxid, plan.fresh, writer.bytesSinceSnapshot);
  }

  *#setEpoch(name: EpochName, epoch: number): Steps<void> {
    this.#recovered(name);
    checkEpoch(this.#epochs, name, epoch);
    yield* writeEpoch(this.#disk, this.#folders.snapshots, name, epoch);
    this.#epochs = { ...this.#epochs, [name]: epoch };
  }

  *#install(source: SnapshotSource): Steps<void> {
    const temporary = temporaryPath(this.#folders, source.zxid);
    let complete = false;
    try {
      const writer = this.#recovered('installSnapshot');
      yield* this.#calls.stopJobs('the history is replaced');
      yield* writer.closeFile(true);
      yield* writeSnapshot(this.#disk, temporary, source);
      complete = true;
      yield* install(this.#disk, this.#folders, temporary, source.zxid);
      writer.reset(source.zxid, false, 0);
    } finally {
      source.close();
      if (!complete) yield* this.#discard(temporary);
    }
  }

  /** Until the rename nothing depends on the file, so that its failure is no failure of the store; from then on a purge may trust it. */
  *#save(source: SnapshotSource, logged: Barrier): Steps<void> {
    const temporary = temporaryPath(this.#folders, source.zxid);
    let complete = false;
    try {
      yield* writeSnapshot(this.#disk, temporary, source);
      yield* step(logged.wait);
      complete = true;
    } finally {
      source.close();
      if (!complete) yield* this.#discard(temporary);
    }
    try {
      yield* this.#disk.rename(temporary, snapshotPath(this.#folders, source.zxid));
      yield* this.#disk.syncDir(this.#folders.snapshots);
    } catch (error) {
      if (error instanceof DiskError) this.#fatal(error);
      throw error;
    }
  }

  /** Removes a file that was given up, unless the store has ended: then the next start does it. */
  *#discard(path: string): Steps<void> {
    if (this.#calls.ended === null) yield* discard(this.#disk, path);
  }

  #recovered(name: string): LogWriter {
    if (this.#writer === null) throw new Error(`${name}: not recovered yet`);
    return this.#writer;
  }
}
