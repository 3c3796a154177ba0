import { allocBytes } from '../util/bytes.ts';

const BLOCK_BYTES = 64 * 1024;

/**
 * Makes small copies that share blocks of 64 KiB. Memory of its own costs about a microsecond per copy in Node, a share of a block a tenth of that; in return a copy
 * that is kept keeps its block alive. So it is for things that are dropped in about the order they were made: log entries, requests.
 */
export class ByteBlocks {
  #block: Uint8Array = allocBytes(0);
  #used = 0;

  /** A copy of `bytes[start..end)`. Large ones get memory of their own. */
  copy(bytes: Uint8Array, start: number, end: number): Uint8Array {
    const length = end - start;
    let copy: Uint8Array;
    if (length > BLOCK_BYTES / 4) {
      copy = allocBytes(length);
    } else {
      if (this.#used + length > this.#block.length) {
        this.#block = allocBytes(BLOCK_BYTES);
        this.#used = 0;
      }
      copy = this.#block.subarray(this.#used, this.#used + length);
      this.#used += length;
    }
    copy.set(bytes.subarray(start, end));
    return copy;
  }
}
