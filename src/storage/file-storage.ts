import type Long from 'long';
import type { SnapshotSource } from '../model/records.ts';
import type { Clock } from '../seams/clock.ts';
import type { FileSystem } from '../seams/file-system.ts';
import type { NewGunzip } from '../seams/gunzip.ts';
import type { DiskUsage, Done, Recovered, RecoverySink, Storage, StorageOptions } from '../seams/storage.ts';
import type { LogEntry } from '../zab/entry.ts';
import { FileStore, type FileStoreSettings } from './file-store.ts';
import { later } from './later.ts';

/** Options of {@link fileStorage}. */
export interface FileStorageOptions {
  /** The data directory, as ZooKeeper's `dataDir`: holds `myid` and `version-2`. Made if missing. */
  readonly dataDir: string;
  /**
   * Where the transaction log goes, as ZooKeeper's `dataLogDir`; best on a device of its own.
   * @default dataDir
   */
  readonly dataLogDir?: string;
  /**
   * Bytes by which a log file is extended with zeros ahead of the writes; 0 turns that off.
   * @default 67108864 (64 MiB, as ZooKeeper)
   */
  readonly preAllocSize?: number;
  /**
   * A log file that has reached this many bytes is followed by a new one.
   * @default 67108864
   */
  readonly logSizeLimit?: number;
  /**
   * False: nothing is ever synced to disk, and "durable" only means handed to the operating system. Data then survives the end of the process, not that of the
   * machine: an ensemble may lose acknowledged writes. For tests and for data that can be made again.
   * @default true
   */
  readonly fsync?: boolean;
  /** The file system to work on. */
  readonly fs: FileSystem;
  /** Unpacks snapshots that are compressed with gzip. Without it such a snapshot cannot be used, and is passed over like a damaged one. */
  readonly gunzip?: NewGunzip;
}

/** Storage in a ZooKeeper data directory, which Apache ZooKeeper can open as well (PROTOCOL 15, 16). One at a time may have it open. */
export function fileStorage(options: FileStorageOptions): Storage {
  const { dataDir, dataLogDir = dataDir, preAllocSize = 0x4000000, logSizeLimit = 0x4000000, fsync = true, fs, gunzip } = options;
  for (const [name, value] of Object.entries({ preAllocSize, logSizeLimit })) {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new RangeError(`fileStorage: ${name} must be a whole number of bytes, not ${value}`);
  }
  if (dataDir === '' || dataLogDir === '') throw new RangeError('fileStorage: the name of a data directory is empty');
  return new FileStorage({ dataDir, dataLogDir, preAllocSize, logSizeLimit, fsync, fs, gunzip });
}

/** Hands every call to the store that is open. Each `open` makes a new one, so nothing of an earlier one can write into it (faults 4712, 4541, 4502). */
class FileStorage implements Storage {
  readonly #settings: FileStoreSettings;
  #store: FileStore | null = null;
  /** That of the last `open`. */
  #clock: Clock | null = null;

  constructor(settings: FileStoreSettings) {
    this.#settings = settings;
  }

  get logBytesSinceSnapshot(): number {
    return this.#store?.logBytesSinceSnapshot ?? 0;
  }

  open(options: StorageOptions, done: Done): void {
    if (this.#store !== null) {
      options.clock.defer(() => done(new Error(`${this.#settings.dataDir}: the store is open already`)));
      return;
    }
    const store = new FileStore(this.#settings, options);
    this.#store = store;
    this.#clock = options.clock;
    store.open((error) => {
      // A store that did not open holds nothing and may be opened again.
      if (error !== null && this.#store === store) this.#store = null;
      done(error);
    });
  }

  recover(sink: RecoverySink, done: (error: Error | null, found?: Recovered) => void): void {
    if (this.#store === null) this.#refuse(done);
    else this.#store.recover(sink, done);
  }

  append(entries: readonly LogEntry[], done: Done): void {
    if (this.#store === null) this.#refuse(done);
    else this.#store.append(entries, done);
  }

  truncate(zxid: Long, done: Done): void {
    if (this.#store === null) this.#refuse(done);
    else this.#store.truncate(zxid, done);
  }

  setAcceptedEpoch(epoch: number, done: Done): void {
    if (this.#store === null) this.#refuse(done);
    else this.#store.setEpoch('acceptedEpoch', epoch, done);
  }

  setCurrentEpoch(epoch: number, done: Done): void {
    if (this.#store === null) this.#refuse(done);
    else this.#store.setEpoch('currentEpoch', epoch, done);
  }

  installSnapshot(source: SnapshotSource, done: Done): void {
    if (this.#store !== null) return this.#store.installSnapshot(source, done);
    source.close();
    this.#refuse(done);
  }

  saveSnapshot(source: SnapshotSource, done: Done): void {
    if (this.#store !== null) return this.#store.saveSnapshot(source, done);
    source.close();
    this.#refuse(done);
  }

  readLog(after: Long, upTo: Long, maxBytes: number, sink: (entry: LogEntry) => boolean, done: Done): void {
    if (this.#store === null) this.#refuse(done);
    else this.#store.readLog(after, upTo, maxBytes, sink, done);
  }

  purge(keep: number, done: Done): void {
    if (this.#store === null) this.#refuse(done);
    else this.#store.purge(keep, done);
  }

  usage(done: (error: Error | null, usage?: DiskUsage) => void): void {
    if (this.#store === null) this.#refuse(done);
    else this.#store.usage(done);
  }

  close(done: () => void): void {
    const store = this.#store;
    if (store === null) {
      later(this.#clock, done);
      return;
    }
    store.close(() => {
      if (this.#store === store) this.#store = null;
      done();
    });
  }

  #refuse(done: Done): void {
    later(this.#clock, () => done(new Error(`${this.#settings.dataDir}: the store is not open`)));
  }
}
