import Long from 'long';
import { allocBytes, asBytes, type Octets, octetsFromBytes, readOctets, readUtf8, writeOctets, writeUtf8 } from '../util/bytes.ts';

/** The bytes do not follow the format. `offset` is where in the buffer it was seen. */
export class JuteError extends Error {
  override readonly name = 'JuteError';
  constructor(
    message: string,
    readonly offset: number,
  ) {
    super(`${message} at byte ${offset}`);
  }
}

/** There are not enough bytes yet: for the readers of a stream, which try again with more. */
export class JuteUnderflow extends JuteError {}

const TWO_32 = 4294967296;

/** Appends jute primitives (PROTOCOL 1) to one growing buffer. */
export class JuteWriter {
  buf: Uint8Array;
  pos = 0;

  constructor(capacity = 1024) {
    this.buf = allocBytes(capacity);
  }

  /** Makes room for `n` more bytes. */
  reserve(n: number): void {
    if (this.pos + n <= this.buf.length) return;
    const grown = allocBytes(Math.max(this.buf.length * 2, this.pos + n));
    grown.set(this.buf.subarray(0, this.pos));
    this.buf = grown;
  }

  byte(v: number): void {
    this.reserve(1);
    this.buf[this.pos++] = v;
  }

  bool(v: boolean): void {
    this.byte(v ? 1 : 0);
  }

  int(v: number): void {
    this.reserve(4);
    this.setInt(this.pos, v);
    this.pos += 4;
  }

  /** Overwrites the int at `at`, for lengths known only afterwards. */
  setInt(at: number, v: number): void {
    const b = this.buf;
    b[at] = v >>> 24;
    b[at + 1] = v >>> 16;
    b[at + 2] = v >>> 8;
    b[at + 3] = v;
  }

  long(v: Long): void {
    this.reserve(8);
    this.setInt(this.pos, v.high);
    this.setInt(this.pos + 4, v.low);
    this.pos += 8;
  }

  /** A 64-bit field that is a plain number here (times, ids): whole, of any size that a double holds exactly. */
  longNumber(v: number): void {
    this.reserve(8);
    this.setInt(this.pos, Math.floor(v / TWO_32) | 0);
    this.setInt(this.pos + 4, v | 0);
    this.pos += 8;
  }

  octets(v: Octets | null): void {
    if (v === null) return this.int(-1);
    this.reserve(4 + v.length);
    this.setInt(this.pos, v.length);
    writeOctets(this.buf, v, this.pos + 4);
    this.pos += 4 + v.length;
  }

  /** A buffer field: length, then the bytes. */
  bytes(v: Uint8Array | null): void {
    if (v === null) return this.int(-1);
    this.int(v.length);
    this.raw(v);
  }

  /** Bytes as they are, without a length. */
  raw(v: Uint8Array): void {
    this.reserve(v.length);
    this.buf.set(v, this.pos);
    this.pos += v.length;
  }

  string(v: string | null): void {
    if (v === null) return this.int(-1);
    this.reserve(4 + 3 * v.length);
    const n = writeUtf8(this.buf, v, this.pos + 4);
    this.setInt(this.pos, n);
    this.pos += 4 + n;
  }

  vector<T>(items: readonly T[] | null, write: (w: JuteWriter, item: T) => void): void {
    if (items === null) return this.int(-1);
    this.int(items.length);
    for (const item of items) write(this, item);
  }

  /** What has been written, as a view; valid until the next write. */
  view(): Uint8Array {
    return this.buf.subarray(0, this.pos);
  }

  /** What has been written, as a copy of its own. */
  copy(): Uint8Array {
    const out = allocBytes(this.pos);
    out.set(this.view());
    return out;
  }

  reset(): void {
    this.pos = 0;
  }
}

/** Reads jute primitives from `buf[pos..end)`. Throws {@link JuteUnderflow} at the end of the bytes and {@link JuteError} for bad lengths. */
export class JuteReader {
  buf: Uint8Array;
  pos: number;
  end: number;

  /** `maxLength` bounds a single string, buffer or vector count. */
  constructor(
    buf: Uint8Array,
    pos = 0,
    end = buf.length,
    readonly maxLength = 0x7fffffff,
  ) {
    this.buf = asBytes(buf);
    this.pos = pos;
    this.end = end;
  }

  get remaining(): number {
    return this.end - this.pos;
  }

  #take(n: number): number {
    const at = this.pos;
    if (at + n > this.end) throw new JuteUnderflow(`${n} bytes wanted, ${this.end - at} left`, at);
    this.pos = at + n;
    return at;
  }

  byte(): number {
    return this.buf[this.#take(1)];
  }

  bool(): boolean {
    return this.byte() !== 0;
  }

  int(): number {
    const at = this.#take(4);
    const b = this.buf;
    return (b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3];
  }

  /** A 64-bit value, unsigned: zxids, session ids, owners. */
  long(): Long {
    const high = this.int();
    return new Long(this.int(), high, true);
  }

  /** A signed 64-bit field as a number; beyond 2^53 it is rounded. */
  longNumber(): number {
    const high = this.int();
    return high * TWO_32 + (this.int() >>> 0);
  }

  /** The length of a string or buffer or the count of a vector: -1 is null, below that or above the limit an error. */
  length(): number {
    const at = this.pos;
    const n = this.int();
    if (n < -1 || n > this.maxLength) throw new JuteError(`length ${n} out of range`, at);
    return n;
  }

  octets(): Octets | null {
    const n = this.length();
    if (n === -1) return null;
    const at = this.#take(n);
    return readOctets(this.buf, at, at + n);
  }

  /** A buffer field as a copy of its own, so that it keeps no socket chunk alive. */
  bytes(): Uint8Array | null {
    const view = this.bytesView();
    if (view === null) return null;
    const copy = allocBytes(view.length);
    copy.set(view);
    return copy;
  }

  /** A buffer field as a view into the same memory. */
  bytesView(): Uint8Array | null {
    const n = this.length();
    if (n === -1) return null;
    const at = this.#take(n);
    return this.buf.subarray(at, at + n);
  }

  string(): string | null {
    const n = this.length();
    if (n === -1) return null;
    const at = this.#take(n);
    return readUtf8(this.buf, at, at + n);
  }

  /** A string that may not be null. */
  text(): string {
    const at = this.pos;
    const s = this.string();
    if (s === null) throw new JuteError('null string', at);
    return s;
  }

  vector<T>(read: (r: JuteReader) => T): T[] | null {
    const at = this.pos;
    const n = this.length();
    if (n === -1) return null;
    if (n > this.remaining) throw new JuteUnderflow(`${n} elements cannot fit`, at);
    const out: T[] = [];
    for (let i = 0; i < n; i++) out.push(read(this));
    return out;
  }
}

/** The bytes that `write` produces, as {@link Octets}: for records nested inside a buffer field. */
export function nestedOctets(write: (w: JuteWriter) => void): Octets {
  const w = new JuteWriter(128);
  write(w);
  return octetsFromBytes(w.view());
}
