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
  /** Bytes to come that are dropped. */
  #skip = 0;

  get length(): number {
    return this.end - this.pos;
  }

  /** Adds a chunk; {@link keep} must be called before the turn is over. */
  push(chunk: Uint8Array): void {
    if (this.#skip > 0) {
      const dropped = Math.min(this.#skip, chunk.length);
      this.#skip -= dropped;
      chunk = chunk.subarray(dropped);
    }
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

  /** Four bytes as a number, from `offset` on; there must be as many. */
  peekInt(offset: number): number {
    const b = this.buf;
    const at = this.pos + offset;
    return (b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3];
  }

  /** Drops the next `n` bytes, those too that have not come yet. */
  skip(n: number): void {
    const dropped = Math.min(n, this.length);
    this.pos += dropped;
    this.#skip = n - dropped;
  }

  clear(): void {
    this.#skip = 0;
    this.pos = this.end;
    this.keep();
  }
}
