/** Called exactly once, never before the call that it belongs to has returned. An error carries the system's name for it in `code` (`ENOSPC`, `EIO`, `ENOENT` ...). */
export type FileDone = (error: Error | null) => void;

/**
 * - `read`: an existing file.
 * - `create`: a new file for writing; an error with code EEXIST if it exists.
 * - `createDurable`: the same, and where the system can do it each write is durable when it is done.
 * - `modify`: an existing file for writing.
 */
export type OpenMode = 'read' | 'create' | 'createDurable' | 'modify';

/** An open file. One write or truncation at a time; reads may run beside. No method throws. */
export interface OpenFile {
  /** Whether a finished {@link write} is durable already, so that no {@link datasync} is needed. */
  readonly durableWrites: boolean;
  /** Reads up to `length` bytes at `position` into `into` from `at` on. `count` is less only at the end of the file. */
  read(into: Uint8Array, at: number, length: number, position: number, done: (error: Error | null, count: number) => void): void;
  /** Writes the first `length` bytes of `bytes` at `position`, all of them or an error. `bytes` must not change until it is done. */
  write(bytes: Uint8Array, length: number, position: number, done: FileDone): void;
  /** Cuts the file to `size`, or extends it with zeros. Durable after the next {@link datasync}. */
  truncate(size: number, done: FileDone): void;
  /** What was written is durable, and so is the file's size. */
  datasync(done: FileDone): void;
  close(done: FileDone): void;
}

/**
 * The byte level under the file storage, so that a simulator can tear writes, lose what was not synced, and fill disks below the real code. Paths use `/`. A
 * new name, a rename or an unlink is durable only after {@link fsyncDir} of its folder.
 */
export interface FileSystem {
  open(path: string, mode: OpenMode, done: (error: Error | null, file?: OpenFile) => void): void;
  /** Names in a folder, in no order. */
  readdir(path: string, done: (error: Error | null, names?: readonly string[]) => void): void;
  /** Size of a file in bytes; -1 if there is no such file. */
  stat(path: string, done: (error: Error | null, size?: number) => void): void;
  /** Replaces `to` if it exists. */
  rename(from: string, to: string, done: FileDone): void;
  unlink(path: string, done: FileDone): void;
  /** Makes a folder and those above it, durably; no error if it exists. */
  mkdir(path: string, done: FileDone): void;
  fsyncDir(path: string, done: FileDone): void;
  /**
   * Takes the lock `path` for this store object, against others in this and in other processes; an error that says who has it otherwise. The lock of a process that
   * is gone does not count. `unlock` gives it back.
   */
  lock(path: string, done: (error: Error | null, unlock?: (done: FileDone) => void) => void): void;
}
