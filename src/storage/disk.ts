import type { FileSystem, OpenFile, OpenMode } from '../seams/file-system.ts';
import type { NewGunzip } from '../seams/gunzip.ts';
import { allocBytes, readUtf8 } from '../util/bytes.ts';
import { Cancelled, release, type Steps, step } from './steps.ts';

/** A file operation failed: the message says which, where and why. */
export class DiskError extends Error {
  override readonly name = 'DiskError';
  /** The system's name for the error (`ENOSPC`, `EIO` ...), empty if there is none. */
  readonly code: string;

  constructor(operation: string, path: string, cause: Error) {
    super(`${operation} ${path}: ${cause.message}`, { cause });
    this.code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  }
}

/** Bytes per read: small enough that working through them leaves the event loop free again after a few ms. */
export const READ_BYTES = 0x20000;

/** The file system in the form of steps, whose errors name operation and path. */
export class Disk {
  readonly #fs: FileSystem;
  /** False: nothing is synced, for data that may be lost with the machine. */
  readonly fsync: boolean;
  /** Undefined: the host cannot unpack. */
  readonly gunzip: NewGunzip | undefined;

  constructor(fs: FileSystem, fsync: boolean, gunzip?: NewGunzip) {
    this.#fs = fs;
    this.fsync = fsync;
    this.gunzip = gunzip;
  }

  *open(path: string, mode: OpenMode): Steps<DiskFile> {
    const effective = mode === 'createDurable' && !this.fsync ? 'create' : mode;
    const file = yield* named(
      'open',
      path,
      step<OpenFile>((done) => this.#fs.open(path, effective, done)),
    );
    return new DiskFile(path, file, this.fsync);
  }

  *readdir(path: string): Steps<readonly string[]> {
    return yield* named(
      'list',
      path,
      step<readonly string[]>((done) => this.#fs.readdir(path, done)),
    );
  }

  /** Bytes of a file; -1 if there is none. */
  *size(path: string): Steps<number> {
    return yield* named(
      'stat',
      path,
      step<number>((done) => this.#fs.stat(path, done)),
    );
  }

  *rename(from: string, to: string): Steps<void> {
    yield* named(
      'rename',
      from,
      step((done) => this.#fs.rename(from, to, done)),
    );
  }

  *unlink(path: string): Steps<void> {
    yield* named(
      'delete',
      path,
      step((done) => this.#fs.unlink(path, done)),
    );
  }

  *mkdir(path: string): Steps<void> {
    yield* named(
      'create',
      path,
      step((done) => this.#fs.mkdir(path, done)),
    );
  }

  *syncDir(path: string): Steps<void> {
    if (this.fsync)
      yield* named(
        'sync',
        path,
        step((done) => this.#fs.fsyncDir(path, done)),
      );
  }

  *lock(path: string): Steps<Steps<void>> {
    const unlock = yield* step<(done: (error: Error | null) => void) => void>((done) => this.#fs.lock(path, done));
    return named('unlock', path, release(unlock));
  }

  /** The whole of a small file as text; undefined if there is none. */
  *readText(path: string): Steps<string | undefined> {
    const size = yield* this.size(path);
    if (size < 0) return undefined;
    const file = yield* this.open(path, 'read');
    try {
      const bytes = allocBytes(Math.min(size, 4096));
      const count = yield* file.read(bytes, 0, bytes.length, 0);
      return readUtf8(bytes, 0, count);
    } finally {
      yield* file.close();
    }
  }

  /**
   * Gives a file new content, so that after a crash it has the old or the new one, whole: a temporary file, its sync, a rename, the sync of the folder
   * (faults 2307, 4269). `folder` must hold `name`; the temporary name is `name.tmp`, as ZooKeeper's.
   */
  *replace(folder: string, name: string, content: Uint8Array): Steps<void> {
    const temporary = `${folder}/${name}.tmp`;
    if ((yield* this.size(temporary)) >= 0) yield* this.unlink(temporary);
    const file = yield* this.open(temporary, 'create');
    try {
      yield* file.write(content, content.length, 0);
      yield* file.sync();
    } finally {
      yield* file.close();
    }
    yield* this.rename(temporary, `${folder}/${name}`);
    yield* this.syncDir(folder);
  }

  /** Reads `path` from its start up to byte `end` in fresh chunks; `take` returns false to stop. */
  *readChunks(path: string, end: number, take: (chunk: Uint8Array) => boolean): Steps<void> {
    const file = yield* this.open(path, 'read');
    try {
      for (let at = 0; at < end; ) {
        const want = Math.min(READ_BYTES, end - at);
        const chunk = allocBytes(want);
        const count = yield* file.read(chunk, 0, want, at);
        if (count === 0) return;
        at += count;
        if (!take(count === want ? chunk : chunk.subarray(0, count))) return;
      }
    } finally {
      yield* file.close();
    }
  }
}

/** An open file in the form of steps. */
export class DiskFile {
  readonly #fsync: boolean;

  constructor(
    readonly path: string,
    readonly file: OpenFile,
    fsync: boolean,
  ) {
    this.#fsync = fsync;
  }

  *read(into: Uint8Array, at: number, length: number, position: number): Steps<number> {
    return yield* named(
      'read',
      this.path,
      step<number>((done) => this.file.read(into, at, length, position, done)),
    );
  }

  *write(bytes: Uint8Array, length: number, position: number): Steps<void> {
    yield* named(
      'write',
      this.path,
      step((done) => this.file.write(bytes, length, position, done)),
    );
  }

  *truncate(size: number): Steps<void> {
    yield* named(
      'truncate',
      this.path,
      step((done) => this.file.truncate(size, done)),
    );
  }

  *sync(): Steps<void> {
    if (this.#fsync)
      yield* named(
        'sync',
        this.path,
        step((done) => this.file.datasync(done)),
      );
  }

  *close(): Steps<void> {
    yield* named(
      'close',
      this.path,
      release((done) => this.file.close(done)),
    );
  }
}

function* named<T>(operation: string, path: string, steps: Steps<T>): Steps<T> {
  try {
    return yield* steps;
  } catch (error) {
    // A cancellation passes through here as well; it is no failure of the disk.
    if (error instanceof Cancelled || !(error instanceof Error)) throw error;
    throw new DiskError(operation, path, error);
  }
}
