import { createGunzip, type Gunzip as GunzipStream } from 'node:zlib';
import { type Gunzip, GunzipError } from '../seams/gunzip.ts';

/** Unpacks with the host's zlib. */
export const nodeGunzip = (take: (chunk: Uint8Array) => void): Gunzip => new NodeGunzip(take);

class NodeGunzip implements Gunzip {
  readonly #gunzip: GunzipStream = createGunzip();
  #waiting: ((error: Error | null) => void) | null = null;
  #failure: Error | null = null;

  constructor(take: (chunk: Uint8Array) => void) {
    this.#gunzip.on('data', (chunk: Uint8Array) => {
      if (this.#failure !== null) return;
      try {
        take(chunk);
      } catch (error) {
        this.#fail(error instanceof Error ? error : new Error(String(error)));
      }
    });
    this.#gunzip.on('error', (error: NodeJS.ErrnoException) => {
      // zlib's own errors have codes such as Z_BUF_ERROR (the data just ends) and Z_DATA_ERROR.
      const isData = error.code?.startsWith('Z_') === true;
      this.#fail(isData ? new GunzipError(error.message, error.code === 'Z_BUF_ERROR') : error);
    });
    this.#gunzip.on('end', () => this.#settle(this.#failure));
  }

  push(chunk: Uint8Array, done: (error: Error | null) => void): void {
    this.#waiting = done;
    this.#gunzip.write(chunk, () => this.#settle(this.#failure));
  }

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
