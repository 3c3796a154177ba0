import Long from 'long';
import type { Octets } from '../util/bytes.ts';
import { octetsFromText } from '../util/bytes.ts';
import { STAT_WORDS } from './row.ts';

/** The number of the only way to compute digests that exists (PROTOCOL 17.1). */
export const DIGEST_VERSION = 2;

/** Four tables of 256: entry `k * 256 + b` is the CRC-32 of byte b followed by k zero bytes. */
const TABLE = makeTable();

function makeTable(): Int32Array {
  const table = new Int32Array(1024);
  for (let b = 0; b < 256; b++) {
    let c = b;
    for (let i = 0; i < 8; i++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    table[b] = c;
  }
  for (let i = 256; i < 1024; i++) {
    const c = table[i - 256];
    table[i] = (c >>> 8) ^ table[c & 255];
  }
  return table;
}

function crcOctets(crc: number, octets: string): number {
  const end = octets.length & ~3;
  let c = crc;
  let i = 0;
  for (; i < end; i += 4) {
    c ^= octets.charCodeAt(i) | (octets.charCodeAt(i + 1) << 8) | (octets.charCodeAt(i + 2) << 16) | (octets.charCodeAt(i + 3) << 24);
    c = TABLE[768 + (c & 255)] ^ TABLE[512 + ((c >>> 8) & 255)] ^ TABLE[256 + ((c >>> 16) & 255)] ^ TABLE[c >>> 24];
  }
  for (; i < octets.length; i++) c = (c >>> 8) ^ TABLE[(c ^ octets.charCodeAt(i)) & 255];
  return c;
}

/** Whether the znode counts: those below /zookeeper do not, so that data which each server keeps by itself makes no difference. */
export const isDigested = (path: string): boolean => !path.startsWith('/zookeeper/');

/** The node digest (PROTOCOL 17.1) as an int32: path ("" for the root), data and the stat words at `at`. Not for paths that don't count. */
export function nodeDigest(path: string, data: Octets | null, words: Int32Array, at: number): number {
  let c = crcOctets(-1, octetsFromText(path));
  if (data !== null) c = crcOctets(c, data);
  for (let i = at; i < at + STAT_WORDS; i++) {
    const w = words[i];
    // The words count in big-endian order, the CRC takes the first byte at the bottom.
    c ^= (w >>> 24) | ((w >>> 8) & 0xff00) | ((w << 8) & 0xff0000) | (w << 24);
    c = TABLE[768 + (c & 255)] ^ TABLE[512 + ((c >>> 8) & 255)] ^ TABLE[256 + ((c >>> 16) & 255)] ^ TABLE[c >>> 24];
  }
  return ~c;
}

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
