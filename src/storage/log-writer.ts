import Long from 'long';
import { followsInHistory, formatZxid, ZXID_NONE } from '../model/zxid.ts';
import type { Clock } from '../seams/clock.ts';
import type { Done } from '../seams/storage.ts';
import { JuteWriter } from '../wire/jute.ts';
import { appendRecord, LOG_HEADER_BYTES, MAX_TORN_BYTES, payloadIsOf, writeLogHeader } from '../wire/txnlog.ts';
import type { LogEntry } from '../zab/entry.ts';
import type { Appender } from './calls.ts';
import { type Disk, DiskError, type DiskFile } from './disk.ts';
import { type Folders, logPath } from './layout.ts';
import { Cancelled, type Running, run, type Steps } from './steps.ts';

/** No more than this is gathered for one write; the rest waits. */
const MAX_BATCH_BYTES = 0x200000;
/** One append may hold more than that; it is written in pieces of this size, half of what a reader takes for one torn write. */
const MAX_WRITE_BYTES = MAX_TORN_BYTES / 2;
/** ZooKeeper extends a file when less than this is left of it (PROTOCOL 15). */
const SPARE_BYTES = 4096;
/** Zeros that are written ahead at a time, with a batch of at most half as many bytes. */
const ZERO_BYTES = 0x20000;
/** The name of a first file whose first transaction cannot be known to be the very first by its zxid: see {@link LogWriter}. */
const FIRST_OF_ALL = Long.fromInt(1, true);

export interface LogOptions {
  readonly preAllocSize: number;
  readonly logSizeLimit: number;
}

/** What the writer tells the store. */
export interface LogWriterHost {
  /** A batch has been written, or there is nothing left to do: look what can go on. */
  progress(): void;
  /** A write has failed: the writer has stopped for good. */
  failed(error: Error): void;
}

/**
 * Appends to the log by group commit: at most one write is in flight, and what arrives meanwhile is the next batch. Entries are encoded at once into one of two
 * buffers that change places.
 *
 * Each start, each snapshot and each truncation begins a new file. A file is named after its first zxid, but the first file of an empty store that joins an
 * ensemble later than its first epoch is called `log.1`: readers find records in it all the same, and without any snapshot that name is the proof that
 * nothing older is missing (faults 2325, 3056).
 */
export class LogWriter implements Appender {
  readonly #disk: Disk;
  readonly #folders: Folders;
  readonly #clock: Clock;
  readonly #options: LogOptions;
  readonly #host: LogWriterHost;
  /** Entries up to here have been taken. */
  #last: Long = ZXID_NONE;
  /** The history is empty: nothing in snapshot or log. */
  #fresh = true;
  #durable: Long = ZXID_NONE;
  #file: DiskFile | null = null;
  #position = 0;
  #allocated = 0;
  /** Up to here bytes have been written; the rest of what is allocated is a hole. */
  #written = 0;
  #startNewFile = true;
  /** The batch being gathered. */
  #fill = new JuteWriter(0x20000);
  #waiting: Done[] = [];
  #first: Long | null = null;
  /** The batch being written. */
  #flight = new JuteWriter(0x20000);
  #finishing: Done[] = [];
  #flightLast: Long = ZXID_NONE;
  #busy = false;
  #scheduled = false;
  #stopped: Error | null = null;
  #preparing: Running | null = null;
  #onStopped: (() => void) | null = null;
  /** Bytes taken since the last snapshot began. */
  bytesSinceSnapshot = 0;

  constructor(disk: Disk, folders: Folders, clock: Clock, options: LogOptions, host: LogWriterHost) {
    this.#disk = disk;
    this.#folders = folders;
    this.#clock = clock;
    this.#options = options;
    this.#host = host;
  }

  /** Last durable entry. */
  get durable(): Long {
    return this.#durable;
  }

  /** Path of the current file, null if there is none yet. */
  get path(): string | null {
    return this.#file === null ? null : this.#file.path;
  }

  /** Where the durable part of the current file ends, bytes. */
  get position(): number {
    return this.#position;
  }

  /** Nothing is being written and nothing waits. */
  get idle(): boolean {
    return !this.#busy && this.#waiting.length === 0;
  }

  /** Enough is gathered: take no more until the next {@link LogWriterHost.progress}. */
  get full(): boolean {
    return this.#fill.pos >= MAX_BATCH_BYTES;
  }

  /** Takes entries; an error if they do not continue the history, and then none is taken. */
  append(entries: readonly LogEntry[], done: Done): Error | null {
    let last = this.#last;
    for (const entry of entries) {
      if (!followsInHistory(last, entry.zxid)) return new Error(`append: ${formatZxid(entry.zxid)} cannot follow ${formatZxid(last)}`);
      if (!payloadIsOf(entry.bytes, entry.zxid)) return new Error(`append: the bytes of ${formatZxid(entry.zxid)} are not its transaction`);
      last = entry.zxid;
    }
    const fill = this.#fill;
    if (entries.length > 0) this.#first ??= entries[0].zxid;
    const before = fill.pos;
    for (const entry of entries) appendRecord(fill, entry.bytes);
    this.bytesSinceSnapshot += fill.pos - before;
    this.#last = last;
    this.#waiting.push(done);
    if (!this.#busy && !this.#scheduled) {
      this.#scheduled = true;
      this.#clock.defer(this.#flush);
    }
    return null;
  }

  /** The next entry starts a new file; called when a snapshot begins. */
  roll(): void {
    this.#startNewFile = true;
    this.bytesSinceSnapshot = 0;
  }

  /** Stops for good: a write in flight ends, everything else fails with `error`, then `done`, which may come before this returns. */
  stop(error: Error, done: () => void): void {
    this.#stopped ??= error;
    this.#preparing?.cancel(new Cancelled('the log has been stopped'));
    if (this.#busy) this.#onStopped = done;
    else {
      this.#failWaiting();
      done();
    }
  }

  /** Cuts the padding off the current file and closes it. Only while idle. */
  *closeFile(trim: boolean): Steps<void> {
    const file = this.#file;
    if (file === null) return;
    this.#file = null;
    this.#startNewFile = true;
    try {
      if (trim && this.#allocated > this.#position) yield* file.truncate(this.#position);
    } finally {
      yield* file.close();
    }
  }

  #flush = (): void => {
    this.#scheduled = false;
    if (this.#busy || this.#stopped !== null || this.#waiting.length === 0) return;
    this.#busy = true;
    const batch = this.#fill;
    this.#fill = this.#flight;
    this.#flight = batch;
    this.#finishing = this.#waiting;
    this.#waiting = [];
    this.#flightLast = this.#last;
    const first = this.#first;
    this.#first = null;
    if (first === null) {
      // Empty appends only: everything before them is durable already.
      this.#clock.defer(() => this.#complete(null));
    } else if (this.#wantsNewFile || this.#position + batch.pos > this.#allocated) {
      this.#preparing = run(this.#clock, this.#prepare(first, batch.pos), (error) => {
        this.#preparing = null;
        if (error === null && this.#stopped === null) this.#write();
        else this.#complete(error ?? this.#stopped);
      });
    } else this.#write();
  };

  get #wantsNewFile(): boolean {
    return this.#file === null || this.#startNewFile || this.#position >= this.#options.logSizeLimit;
  }

  /** Opens a new file if it is time for one, and makes room for `bytes` more. */
  *#prepare(first: Long, bytes: number): Steps<void> {
    if (this.#file === null || this.#wantsNewFile) {
      yield* this.closeFile(true);
      this.#startNewFile = false;
      const fromStart = this.#fresh && (first.high >>> 0 > 1 || first.low !== 1);
      const file = yield* this.#disk.open(logPath(this.#folders, fromStart ? FIRST_OF_ALL : first), 'createDurable');
      this.#file = file;
      this.#fresh = false;
      this.#position = LOG_HEADER_BYTES;
      this.#allocated = 0;
      this.#written = 0;
      yield* this.#allocate(file, bytes);
      const header = new JuteWriter(LOG_HEADER_BYTES);
      writeLogHeader(header);
      yield* file.write(header.buf, LOG_HEADER_BYTES, 0);
      if (!file.file.durableWrites) yield* file.sync();
      yield* this.#disk.syncDir(this.#folders.logs);
    } else yield* this.#allocate(this.#file, bytes);
  }

  *#allocate(file: DiskFile, bytes: number): Steps<void> {
    const needed = this.#position + bytes + SPARE_BYTES;
    const unit = this.#options.preAllocSize;
    if (unit === 0) {
      this.#allocated = Number.MAX_SAFE_INTEGER;
      return;
    }
    // Zeros allocated ahead spare each write the change of the file's size: 30 % less time per durable write on ext4.
    const size = Math.ceil(needed / unit) * unit;
    yield* file.truncate(size);
    this.#allocated = size;
  }

  #write(): void {
    const file = this.#file as DiskFile;
    const batch = this.#flight;
    if (batch.pos > MAX_WRITE_BYTES) {
      run(this.#clock, this.#writePieces(file, batch.view()), (error) => this.#complete(error));
      return;
    }
    const length = this.#withZeros(batch);
    file.file.write(batch.buf, length, this.#position, this.#onWritten);
  }

  /**
   * The length of the batch with the zeros that go with it when it reaches into the hole. A write into a hole costs a commit of the file system's journal, so a small
   * one fills enough of it for many to come: a fifth less time per write of 2 to 20 KiB on ext4. A large one would only write twice as much.
   */
  #withZeros(batch: JuteWriter): number {
    const end = this.#position + batch.pos;
    if (end <= this.#written || batch.pos > ZERO_BYTES / 2) return batch.pos;
    if (this.#options.preAllocSize === 0 || !this.#disk.fsync) return batch.pos;
    this.#written = Math.min(end + ZERO_BYTES, this.#allocated);
    const length = this.#written - this.#position;
    batch.reserve(length - batch.pos);
    batch.buf.fill(0, batch.pos, length);
    return length;
  }

  /** Each piece is durable before the next is written, so that a crash tears one of them at most. */
  *#writePieces(file: DiskFile, bytes: Uint8Array): Steps<void> {
    for (let at = 0; at < bytes.length; at += MAX_WRITE_BYTES) {
      const piece = bytes.subarray(at, at + MAX_WRITE_BYTES);
      yield* file.write(piece, piece.length, this.#position + at);
      if (!file.file.durableWrites) yield* file.sync();
    }
  }

  #onWritten = (error: Error | null): void => {
    const { path, file } = this.#file as DiskFile;
    if (error !== null) return this.#complete(new DiskError('write', path, error));
    if (file.durableWrites || !this.#disk.fsync) return this.#complete(null);
    file.datasync((syncError) => this.#complete(syncError === null ? null : new DiskError('sync', path, syncError)));
  };

  #complete(error: Error | null): void {
    const finished = this.#finishing;
    const failedNow = error !== null && this.#stopped === null;
    if (failedNow) this.#stopped = error;
    if (error === null) {
      this.#position += this.#flight.pos;
      this.#durable = this.#flightLast;
    }
    this.#flight.reset();
    this.#finishing = [];
    this.#busy = false;
    // The disk works on the next batch while the callbacks of this one run.
    this.#flush();
    const outcome = error === null ? null : this.#stopped;
    for (const done of finished) done(outcome);
    if (failedNow) this.#host.failed(error);
    if (this.#stopped === null) this.#host.progress();
    else if (!this.#busy) {
      this.#failWaiting();
      const onStopped = this.#onStopped;
      this.#onStopped = null;
      onStopped?.();
    }
  }

  #failWaiting(): void {
    const error = this.#stopped as Error;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#fill.reset();
    this.#first = null;
    for (const done of waiting) done(error);
  }

  /** Continues the history on disk, which ends at `last` now. Only while idle and with the file closed. */
  reset(last: Long, fresh: boolean, bytesSinceSnapshot: number): void {
    this.#last = last;
    this.#durable = last;
    this.#flightLast = last;
    this.#fresh = fresh;
    this.bytesSinceSnapshot = bytesSinceSnapshot;
  }
}
