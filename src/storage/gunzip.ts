import { createGunzip, type Gunzip } from 'node:zlib';

/** Unpacks gzip data piece by piece. An error of `take` or of the data ends it. */
export class Unpacker {
  readonly #gunzip: Gunzip = createGunzip();
  #waiting: ((error: Error | null) => void) | null = null;
  #failure: Error | null = null;

  /** `take` gets the unpacked bytes in order. */
  constructor(take: (chunk: Uint8Array) => void) {
    this.#gunzip.on('data', (chunk: Uint8Array) => {
      if (this.#failure !== null) return;
      try {
        take(chunk);
      } catch (error) {
        this.#fail(error instanceof Error ? error : new Error(String(error)));
      }
    });
    this.#gunzip.on('error', (error) => this.#fail(error));
    this.#gunzip.on('end', () => this.#settle(this.#failure));
  }

  /** Unpacks some more; `done` when there is room for the next. */
  push(chunk: Uint8Array, done: (error: Error | null) => void): void {
    this.#waiting = done;
    this.#gunzip.write(chunk, () => this.#settle(this.#failure));
  }

  /** The data is complete; `done` when everything has been unpacked and taken. */
  end(done: (error: Error | null) => void): void {
    this.#waiting = done;
    this.#gunzip.end();
  }

  close(): void {
    this.#gunzip.destroy();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#settle(this.#failure);
  }

  #settle(error: Error | null): void {
    const done = this.#waiting;
    this.#waiting = null;
    done?.(error);
  }
}
