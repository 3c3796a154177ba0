import Long from 'long';
import { allocBytes, type Octets, writeOctets, writeUtf8 } from '../util/bytes.ts';
import { STAT_WORDS } from './row.ts';

/** The number of the only way to compute digests that exists (PROTOCOL 17.1). */
export const DIGEST_VERSION = 2;

/** Eight tables of 256: entry `k * 256 + b` is the CRC-32 of byte b followed by k zero bytes. */
const TABLE = makeTable();

function makeTable(): Int32Array {
  const table = new Int32Array(2048);
  for (let b = 0; b < 256; b++) {
    let c = b;
    for (let i = 0; i < 8; i++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    table[b] = c;
  }
  for (let i = 256; i < 2048; i++) {
    const c = table[i - 256];
    table[i] = (c >>> 8) ^ table[c & 255];
  }
  return table;
}

/** CRC-32 (zip polynomial) of the first `length` bytes, eight at a time, as an int32. */
function crc32(view: DataView, length: number): number {
  let c = -1;
  let i = 0;
  for (const end = length - 7; i < end; i += 8) {
    const a = view.getInt32(i, true) ^ c;
    const b = view.getInt32(i + 4, true);
    c =
      TABLE[1792 + (a & 255)] ^
      TABLE[1536 + ((a >>> 8) & 255)] ^
      TABLE[1280 + ((a >>> 16) & 255)] ^
      TABLE[1024 + (a >>> 24)] ^
      TABLE[768 + (b & 255)] ^
      TABLE[512 + ((b >>> 8) & 255)] ^
      TABLE[256 + ((b >>> 16) & 255)] ^
      TABLE[b >>> 24];
  }
  for (; i < length; i++) c = (c >>> 8) ^ TABLE[(c ^ view.getUint8(i)) & 255];
  return ~c;
}

/** Whether the znode counts: those below /zookeeper do not, so that data which each server keeps by itself makes no difference. */
export const isDigested = (path: string): boolean => !path.startsWith('/zookeeper/');

/** Computes node digests, on one buffer that grows with the largest znode. */
export class NodeDigester {
  #bytes = allocBytes(1024);
  #view = viewOf(this.#bytes);

  /** The node digest (PROTOCOL 17.1) as an int32: path ("" for the root), data and the stat words at `at`. Not for paths that don't count. */
  digest(path: string, data: Octets | null, words: Int32Array, at: number): number {
    const most = 3 * path.length + (data === null ? 0 : data.length) + 4 * STAT_WORDS;
    if (most > this.#bytes.length) {
      this.#bytes = allocBytes(2 * most);
      this.#view = viewOf(this.#bytes);
    }
    let length = writeUtf8(this.#bytes, path, 0);
    if (data !== null) {
      writeOctets(this.#bytes, data, length);
      length += data.length;
    }
    const view = this.#view;
    for (let i = 0; i < STAT_WORDS; i++) view.setInt32(length + 4 * i, words[at + i]);
    return crc32(view, length + 4 * STAT_WORDS);
  }
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** A sum modulo 2^64 of unsigned 32-bit numbers. */
export class Sum64 {
  high = 0;
  low = 0;

  add(n: number): void {
    const low = (this.low >>> 0) + (n >>> 0);
    if (low > 0xffffffff) this.high = (this.high + 1) | 0;
    this.low = low | 0;
  }

  subtract(n: number): void {
    const low = (this.low >>> 0) - (n >>> 0);
    if (low < 0) this.high = (this.high - 1) | 0;
    this.low = low | 0;
  }

  copy(other: Sum64): void {
    this.high = other.high;
    this.low = other.low;
  }

  toLong(): Long {
    return new Long(this.low, this.high, true);
  }

  equals(value: Long): boolean {
    return value.low === this.low && value.high === this.high;
  }
}
