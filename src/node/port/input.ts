import { allocBytes, asBytes } from '../../util/bytes.ts';

/** Room for a frame that is not complete begins with this size, bytes. */
const FIRST_BYTES = 1024;

const EMPTY = asBytes(new Uint8Array(0));

/**
 * The bytes that have come on one connection and are not used yet. Whole frames in a chunk are read where they lie; what is left of a chunk is copied, for the chunk may be
 * used again.
 */
export class Input {
  buf: Uint8Array = EMPTY;
  pos = 0;
  end = 0;
  /** Whether `buf` is our own, and not a chunk of the network's. */
  #own = false;

  get length(): number {
    return this.end - this.pos;
  }

  /** Adds a chunk; {@link keep} must be called before the turn is over. */
  push(chunk: Uint8Array): void {
    if (this.pos === this.end) {
      this.buf = asBytes(chunk);
      this.pos = 0;
      this.end = chunk.length;
      this.#own = false;
      return;
    }
    this.#reserve(chunk.length);
    this.buf.set(chunk, this.end);
    this.end += chunk.length;
  }

  /** Makes what is left our own. */
  keep(): void {
    if (this.pos === this.end) {
      this.buf = EMPTY;
      this.pos = this.end = 0;
      this.#own = false;
    } else if (!this.#own) {
      this.#reserve(0);
    }
  }

  /** Room for `more` bytes behind what is there, in a buffer of our own. */
  #reserve(more: number): void {
    const { length } = this;
    if (this.#own && this.buf.length - this.end >= more) return;
    const fits = this.#own && this.buf.length >= length + more;
    const target = fits ? this.buf : allocBytes(Math.max(FIRST_BYTES, 2 * (length + more)));
    target.set(this.buf.subarray(this.pos, this.end));
    this.buf = target;
    this.pos = 0;
    this.end = length;
    this.#own = true;
  }

  /** The next four bytes as a number; there must be as many. */
  peekInt(): number {
    const b = this.buf;
    const at = this.pos;
    return (b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3];
  }

  /** Drops up to `n` bytes; returns how many. */
  drop(n: number): number {
    const dropped = Math.min(n, this.length);
    this.pos += dropped;
    return dropped;
  }

  clear(): void {
    this.pos = this.end;
    this.keep();
  }
}
