import * as fs from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { FileDone, FileSystem, OpenFile, OpenMode } from '../seams/file-system.ts';
import { takeLock } from './process-lock.ts';

/** Where O_DSYNC brings data to the disk's platter. On macOS only F_FULLFSYNC does, which `fsync` uses there; Windows has no such flag. */
const DSYNC = process.platform === 'linux' || process.platform === 'freebsd' ? (fs.constants.O_DSYNC ?? 0) : 0;

/** The real file system. */
export function nodeFileSystem(): FileSystem {
  return {
    open(path, mode, done) {
      fs.open(path, flagsOf(mode), 0o644, (error, fd) => {
        if (error) done(error);
        else done(null, new NodeFile(fd, mode === 'createDurable' && DSYNC !== 0));
      });
    },
    readdir: (path, done) => fs.readdir(path, done),
    stat(path, done) {
      fs.stat(path, (error, stats) => {
        if (!error) done(null, stats.size);
        else if (error.code === 'ENOENT') done(null, -1);
        else done(error);
      });
    },
    rename: (from, to, done) => fs.rename(from, to, done),
    unlink: (path, done) => fs.unlink(path, done),
    mkdir,
    fsyncDir,
    lock: takeLock,
  };
}

function flagsOf(mode: OpenMode): number {
  const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = fs.constants;
  switch (mode) {
    case 'read':
      return O_RDONLY;
    case 'modify':
      return O_RDWR;
    case 'create':
      return O_RDWR | O_CREAT | O_EXCL;
    case 'createDurable':
      return O_RDWR | O_CREAT | O_EXCL | DSYNC;
  }
}

function mkdir(path: string, done: FileDone): void {
  fs.mkdir(path, { recursive: true }, (error, first) => {
    if (error !== null || first === undefined) return done(error);
    const top = resolve(first);
    const syncAbove = (made: string): void =>
      fsyncDir(dirname(made), (syncError) => {
        const above = dirname(made);
        if (syncError !== null || made === top || made === above) done(syncError);
        else syncAbove(above);
      });
    syncAbove(resolve(path));
  });
}

/** Windows cannot open a folder to sync it; there a rename is durable with the next flush of the volume. */
function fsyncDir(path: string, done: FileDone): void {
  if (process.platform === 'win32') {
    setImmediate(done, null);
    return;
  }
  fs.open(path, fs.constants.O_RDONLY, (openError, fd) => {
    if (openError) return done(openError);
    fs.fsync(fd, (syncError) => fs.close(fd, (closeError) => done(syncError ?? closeError)));
  });
}

class NodeFile implements OpenFile {
  readonly #fd: number;

  constructor(
    fd: number,
    readonly durableWrites: boolean,
  ) {
    this.#fd = fd;
  }

  read(into: Uint8Array, at: number, length: number, position: number, done: (error: Error | null, count: number) => void): void {
    const next = (from: number): void => {
      fs.read(this.#fd, into, at + from, length - from, position + from, (error, n) => {
        if (error) done(error, 0);
        else if (n === 0 || from + n === length) done(null, from + n);
        else next(from + n);
      });
    };
    next(0);
  }

  write(bytes: Uint8Array, length: number, position: number, done: FileDone): void {
    const next = (from: number): void => {
      fs.write(this.#fd, bytes, from, length - from, position + from, (error, n) => {
        if (error) done(error);
        else if (from + n < length) next(from + n);
        else done(null);
      });
    };
    next(0);
  }

  truncate(size: number, done: FileDone): void {
    fs.ftruncate(this.#fd, size, done);
  }

  datasync(done: FileDone): void {
    fs.fdatasync(this.#fd, done);
  }

  close(done: FileDone): void {
    fs.close(this.#fd, done);
  }
}
