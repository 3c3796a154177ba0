import Long from 'long';
import { allocBytes, asBytes } from '../util/bytes.ts';
import type { JuteWriter } from './jute.ts';

/*
 * Transaction log files (PROTOCOL 15): a 16-byte header, then records of checksum, length, payload and an end byte, then zeros up to the size that was
 * allocated ahead. The payload is opaque here but for its zxid.
 */

export const LOG_HEADER_BYTES = 16;
/** What a record adds to its payload: 8 bytes of checksum, 4 of length, 1 at the end. */
export const RECORD_OVERHEAD = 13;
const LOG_MAGIC = 0x5a4b4c47;
const LOG_VERSION = 2;
const END_OF_RECORD = 0x42;
/** A TxnHeader has 32 bytes; its zxid stands at 12 (PROTOCOL 17). */
const MIN_PAYLOAD = 32;
const ZXID_AT = 12;
/** Longer than any transaction: such a length is damage. */
const MAX_PAYLOAD = 0x10000000;
/** The unit in which a disk loses part of a write. */
const SECTOR = 512;

/** The most that one torn write can have left behind. Writers of logs keep a batch well below this. */
export const MAX_TORN_BYTES = 0x1000000;

/** As many bytes as two 32-bit sums can take before they must be reduced (zlib's 5552 is for unsigned sums). */
const ADLER_RUN = 3792;
const ADLER_BASE = 65521;

/** Adler-32 of `bytes[start..end)`, continued from `seed` (1 for a fresh sum); unsigned. */
export function adler32(bytes: Uint8Array, start: number, end: number, seed = 1): number {
  let a = seed & 0xffff;
  let b = seed >>> 16;
  let i = start | 0;
  while (i < end) {
    const stop = Math.min(end, i + ADLER_RUN) | 0;
    const whole = (stop - 7) | 0;
    // With `| 0` at each step V8 stays in 32-bit integers: 0.45 ns a byte against 0.7.
    for (; i < whole; i = (i + 8) | 0) {
      a = (a + bytes[i]) | 0;
      b = (b + a) | 0;
      a = (a + bytes[i + 1]) | 0;
      b = (b + a) | 0;
      a = (a + bytes[i + 2]) | 0;
      b = (b + a) | 0;
      a = (a + bytes[i + 3]) | 0;
      b = (b + a) | 0;
      a = (a + bytes[i + 4]) | 0;
      b = (b + a) | 0;
      a = (a + bytes[i + 5]) | 0;
      b = (b + a) | 0;
      a = (a + bytes[i + 6]) | 0;
      b = (b + a) | 0;
      a = (a + bytes[i + 7]) | 0;
      b = (b + a) | 0;
    }
    for (; i < stop; i = (i + 1) | 0) {
      a = (a + bytes[i]) | 0;
      b = (b + a) | 0;
    }
    a %= ADLER_BASE;
    b %= ADLER_BASE;
  }
  return ((b << 16) | a) >>> 0;
}

/** Appends the 16 bytes that a log file begins with. */
export function writeLogHeader(w: JuteWriter): void {
  w.int(LOG_MAGIC);
  w.int(LOG_VERSION);
  w.int(0);
  w.int(0);
}

/** Appends one record: `payload` is TxnHeader, txn and optional digest. */
export function appendRecord(w: JuteWriter, payload: Uint8Array): void {
  const length = payload.length;
  w.reserve(length + RECORD_OVERHEAD);
  const at = w.pos;
  w.buf.set(payload, at + 12);
  w.setInt(at, 0);
  w.setInt(at + 4, adler32(w.buf, at + 12, at + 12 + length));
  w.setInt(at + 8, length);
  w.buf[at + 12 + length] = END_OF_RECORD;
  w.pos = at + length + RECORD_OVERHEAD;
}

/** The zxid that a payload of at least 32 bytes carries. */
export const payloadZxid = (payload: Uint8Array): Long => new Long(int(payload, ZXID_AT + 4), int(payload, ZXID_AT), true);

/** Whether `payload` can be a log record of `zxid`: long enough for a TxnHeader, and that header names the zxid. */
export const payloadIsOf = (payload: Uint8Array, zxid: Long): boolean =>
  payload.length >= MIN_PAYLOAD && int(payload, ZXID_AT) === zxid.high && int(payload, ZXID_AT + 4) === zxid.low;

function int(b: Uint8Array, at: number): number {
  return (b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3];
}

/**
 * Takes one intact record: `payload` is a view that keeps its chunk alive, `offset` where in the file the record starts. Returning false ends the reading.
 */
export type RecordSink = (zxid: Long, payload: Uint8Array, offset: number) => boolean;

/** How a log file ended. `offset` is where the first record stands that is not intact; the end of the file for 'end'. */
export interface LogEnd {
  /**
   * 'end': with the last record. 'padding': zeros follow the last record. 'torn': what follows is a write that was cut off, nothing intact lies behind it; it may
   * be cut away if this is the newest file. 'corrupt': damage that no interrupted write explains. 'stopped': the sink returned false.
   */
  readonly kind: 'end' | 'padding' | 'torn' | 'corrupt' | 'stopped';
  readonly offset: number;
  /** What is wrong there; empty for 'end', 'padding' and 'stopped'. */
  readonly reason: string;
}

/**
 * Reads a log file from its first byte in chunks of any size. Only an intact record reaches the sink, and none behind the first that is not intact: from there
 * on the bytes are only looked at to tell a torn write from damage.
 */
export class LogReader {
  readonly #sink: RecordSink;
  #parts: Uint8Array[] = [];
  #held = 0;
  /** Bytes needed before another look at what is held makes sense. */
  #need = LOG_HEADER_BYTES;
  /** File offset of the first byte held. */
  #offset = 0;
  #records = 0;
  #bad = '';
  #state: 'header' | 'records' | 'suspect' | 'stopped' = 'header';
  /** In 'suspect': end of the last non-zero byte, as file offset. */
  #contentEnd = 0;
  /** In 'suspect': zeros behind what is held. */
  #zeros = 0;
  /** In 'suspect': more follows than one write can have left. */
  #beyond = false;

  constructor(sink: RecordSink) {
    this.#sink = sink;
  }

  /** Intact records so far. */
  get records(): number {
    return this.#records;
  }

  /** False when more bytes cannot change anything: the sink has stopped. */
  get wantsMore(): boolean {
    return this.#state !== 'stopped' && !this.#beyond;
  }

  /** Takes the next bytes of the file. The chunk must not be written to afterwards. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0 || !this.wantsMore) return;
    if (this.#state === 'suspect') return this.#look(chunk);
    this.#parts.push(chunk);
    this.#held += chunk.length;
    if (this.#held < this.#need) return;
    const bytes = this.#join();
    let at = 0;
    if (this.#state === 'header') {
      if (!isHeader(bytes)) return this.#suspect(bytes, 0, 'no log header');
      at = LOG_HEADER_BYTES;
      this.#state = 'records';
    }
    this.#scan(bytes, at);
  }

  /** The file has ended; the last call. */
  end(): LogEnd {
    if (this.#state === 'stopped') return { kind: 'stopped', offset: this.#offset, reason: '' };
    if (this.#state !== 'suspect') {
      if (this.#held === 0 && this.#state === 'records') return { kind: 'end', offset: this.#offset, reason: '' };
      const reason = this.#state === 'header' ? 'the file ends inside its header' : 'the file ends inside a record';
      this.#suspect(this.#join(), 0, reason);
    }
    return this.#judge();
  }

  #join(): Uint8Array {
    const parts = this.#parts;
    let bytes = parts[0] ?? allocBytes(0);
    if (parts.length > 1) {
      bytes = allocBytes(this.#held);
      let at = 0;
      for (const part of parts) {
        bytes.set(part, at);
        at += part.length;
      }
    }
    this.#parts = [];
    this.#held = 0;
    return bytes;
  }

  #scan(bytes: Uint8Array, from: number): void {
    const size = bytes.length;
    const base = this.#offset;
    let at = from;
    while (true) {
      if (size - at < 12) {
        this.#need = 12;
        break;
      }
      const length = int(bytes, at + 8);
      if (length < MIN_PAYLOAD || length > MAX_PAYLOAD) return this.#suspect(bytes, at, lengthReason(bytes, at, length));
      const end = at + length + RECORD_OVERHEAD;
      if (end > size) {
        this.#need = end - at;
        break;
      }
      const reason = recordReason(bytes, at, length);
      if (reason !== '') return this.#suspect(bytes, at, reason);
      this.#records++;
      const payload = bytes.subarray(at + 12, end - 1);
      if (!this.#sink(payloadZxid(payload), payload, base + at)) {
        this.#state = 'stopped';
        this.#offset = base + at;
        return;
      }
      at = end;
    }
    this.#offset = base + at;
    if (at < size) {
      this.#parts.push(bytes.subarray(at));
      this.#held = size - at;
    }
  }

  /** The record at `at` of `bytes` is not intact: keep it and what follows, to judge at the end of the file. */
  #suspect(bytes: Uint8Array, at: number, reason: string): void {
    this.#state = 'suspect';
    this.#bad = reason;
    this.#offset += at;
    this.#contentEnd = this.#offset;
    this.#look(bytes.subarray(at));
  }

  #look(chunk: Uint8Array): void {
    let end = chunk.length;
    while (end > 0 && chunk[end - 1] === 0) end--;
    const seen = this.#held + this.#zeros;
    if (end === 0) {
      // Padding may be long: it is only counted until something follows it.
      this.#zeros += chunk.length;
      return;
    }
    this.#contentEnd = this.#offset + seen + end;
    this.#beyond = this.#contentEnd - this.#offset > MAX_TORN_BYTES;
    if (this.#beyond) return;
    if (this.#zeros > 0) this.#parts.push(new Uint8Array(this.#zeros));
    this.#parts.push(chunk);
    this.#held = seen + chunk.length;
    this.#zeros = 0;
  }

  /**
   * A write that was cut off leaves a part of itself, in any order of sectors, and nothing intact behind it unless a whole sector in between stayed
   * zero. What looks otherwise was intact once and has been damaged.
   */
  #judge(): LogEnd {
    const offset = this.#offset;
    if (this.#contentEnd === offset) {
      if (offset >= LOG_HEADER_BYTES) return { kind: 'padding', offset, reason: '' };
      return { kind: 'torn', offset, reason: this.#bad };
    }
    const where = this.#records === 0 ? '' : ` after ${this.#records} intact records`;
    if (this.#beyond) return { kind: 'corrupt', offset, reason: `${this.#bad}${where}, and more follows than one write can leave` };
    const bytes = this.#join();
    const end = this.#contentEnd - offset;
    if (offset === 0 && !isTornHeader(bytes)) return { kind: 'corrupt', offset, reason: this.#bad };
    const intact = findIntact(bytes, end);
    if (intact >= 0 && !hasZeroSector(bytes, offset, intact)) {
      return { kind: 'corrupt', offset, reason: `${this.#bad}${where}, and an intact record follows at offset ${offset + intact}` };
    }
    return { kind: 'torn', offset, reason: this.#bad };
  }
}

const isHeader = (b: Uint8Array): boolean => int(b, 0) === LOG_MAGIC && int(b, 4) === LOG_VERSION;

/** Whether `b` may be a header of which only a first part was written. */
function isTornHeader(b: Uint8Array): boolean {
  const header = [0x5a, 0x4b, 0x4c, 0x47, 0, 0, 0, LOG_VERSION];
  let same = 0;
  while (same < header.length && same < b.length && b[same] === header[same]) same++;
  for (let i = same; i < Math.min(LOG_HEADER_BYTES, b.length); i++) if (b[i] !== 0) return false;
  return true;
}

function lengthReason(b: Uint8Array, at: number, length: number): string {
  const empty = length === 0 && int(b, at) === 0 && int(b, at + 4) === 0;
  return empty ? 'an empty record' : `a record of ${length} bytes`;
}

/** What is wrong with the complete record at `at`; empty when it is intact. */
function recordReason(b: Uint8Array, at: number, length: number): string {
  const end = at + 12 + length;
  if (b[end] !== END_OF_RECORD) return 'no end mark behind a record';
  if (int(b, at) !== 0 || int(b, at + 4) >>> 0 !== adler32(b, at + 12, end)) return 'a wrong checksum';
  return '';
}

/** Where the first intact record starts in `b[1..end)`; -1 if there is none. */
function findIntact(view: Uint8Array, end: number): number {
  const b = asBytes(view);
  for (let at = 1; at + MIN_PAYLOAD + RECORD_OVERHEAD <= end; at++) {
    if (b[at] !== 0 || b[at + 1] !== 0 || b[at + 2] !== 0 || b[at + 3] !== 0) continue;
    const length = int(b, at + 8);
    if (length < MIN_PAYLOAD || length > end - at - RECORD_OVERHEAD) continue;
    if (recordReason(b, at, length) === '') return at;
  }
  return -1;
}

/** Whether a disk sector lies all zero within the first `length` bytes of `b`, which stands at `offset` of its file; of the first sector only what is in `b` counts. */
function hasZeroSector(b: Uint8Array, offset: number, length: number): boolean {
  let from = 0;
  while (true) {
    const to = from + SECTOR - ((offset + from) % SECTOR);
    if (to > length) return false;
    let at = from;
    while (at < to && b[at] === 0) at++;
    if (at === to) return true;
    from = to;
  }
}
