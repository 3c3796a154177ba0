import Long from 'long';
import type { SnapshotDigest, SnapshotHead, SnapshotSink, SnapshotSource, ZnodeRecord } from '../model/records.ts';
import { allocBytes } from '../util/bytes.ts';
import { JuteError, JuteReader, JuteWriter } from './jute.ts';
import { encodeSnapshotEnd, encodeSnapshotHead, encodeZnode, SnapshotBodyDecoder } from './snapshot-body.ts';
import { adler32 } from './txnlog.ts';

/*
 * Snapshot files (PROTOCOL 16): header, body, seal, and where digests are on a digest block and a second seal. A seal is the Adler-32 of all bytes before it
 * and the string "/".
 */

export const SNAPSHOT_HEADER_BYTES = 16;
/** Bytes of a seal. */
export const SEAL_BYTES = 13;
const DIGEST_BYTES = 20;
const SNAPSHOT_MAGIC = 0x5a4b534e;
const SNAPSHOT_VERSION = 2;
/** Longer than any path, znode or list of a real snapshot. */
const MAX_LENGTH = 0x10000000;
/** Kept of what stands behind the body: the seals and the digest block, and of unknown things behind them only this much. */
const TAIL_BYTES = 256;
/** Znodes asked for at a time: few, because each may have a megabyte of data. */
const PULL = 32;

/** A snapshot file cannot be used. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError';
  constructor(
    message: string,
    /** The file just stops, as one does whose writing was interrupted; false means damage. */
    readonly incomplete: boolean,
  ) {
    super(message);
  }
}

/** Makes a snapshot file out of a walk over the tree, piece by piece. Does not close the source. */
export class SnapshotFileWriter {
  readonly #source: SnapshotSource;
  readonly #chunkBytes: number;
  readonly #w: JuteWriter;
  #adler = 1;
  #started = false;
  #ended = false;

  /** `chunkBytes` is what a piece has about, bytes. */
  constructor(source: SnapshotSource, chunkBytes = 0x40000) {
    this.#source = source;
    this.#chunkBytes = chunkBytes;
    this.#w = new JuteWriter(chunkBytes + 0x4000);
  }

  /** The next piece, valid until the next call; null at the end. */
  next(): Uint8Array | null {
    if (this.#ended) return null;
    const w = this.#w;
    w.reset();
    if (!this.#started) {
      this.#started = true;
      writeHeader(w);
      encodeSnapshotHead(w, this.#source.head);
    }
    while (w.pos < this.#chunkBytes) {
      const batch = this.#source.next(PULL);
      if (batch.length === 0) {
        this.#finish();
        return w.view();
      }
      for (const node of batch) encodeZnode(w, node);
    }
    this.#adler = adler32(w.buf, 0, w.pos, this.#adler);
    return w.view();
  }

  #finish(): void {
    this.#ended = true;
    const w = this.#w;
    encodeSnapshotEnd(w);
    let sum = adler32(w.buf, 0, w.pos, this.#adler);
    const sealed = w.pos;
    writeSeal(w, sum);
    const digest = this.#source.digest();
    if (digest === null) return;
    w.long(digest.zxid);
    w.int(digest.version);
    w.long(digest.value);
    sum = adler32(w.buf, sealed, w.pos, sum);
    writeSeal(w, sum);
  }
}

/** Reads a snapshot file in chunks of any size into a sink. Throws {@link SnapshotError}; after that it must not be used any more. */
export class SnapshotFileReader {
  readonly #zxid: Long;
  readonly #sink: SnapshotSink;
  readonly #body: SnapshotBodyDecoder;
  #rest: Uint8Array = allocBytes(0);
  /** Bytes of the file before `#rest`. */
  #offset = 0;
  #adler = 1;
  #state: 'header' | 'body' | 'tail' = 'header';
  #last = allocBytes(0);

  /** `zxid` is the one in the file's name. */
  constructor(zxid: Long, sink: SnapshotSink) {
    this.#zxid = zxid;
    this.#sink = sink;
    this.#body = new SnapshotBodyDecoder({
      head: (head: SnapshotHead) => this.#sink.begin(this.#zxid, head),
      nodes: (batch: readonly ZnodeRecord[]) => this.#sink.nodes(batch),
    });
  }

  /** Takes the next bytes. */
  push(chunk: Uint8Array): void {
    this.#last = join(this.#last, chunk.subarray(-5)).subarray(-5);
    if (this.#state === 'tail') {
      if (this.#rest.length < TAIL_BYTES) this.#rest = join(this.#rest, chunk.subarray(0, TAIL_BYTES));
      return;
    }
    this.#rest = join(this.#rest, chunk);
    if (this.#state === 'header') {
      if (this.#rest.length < SNAPSHOT_HEADER_BYTES) return;
      checkSnapshotHeader(this.#rest);
      this.#consume(SNAPSHOT_HEADER_BYTES);
      this.#state = 'body';
    }
    this.#readBody();
  }

  /** The file has ended: checks the seals and tells the sink. */
  end(): void {
    if (this.#state !== 'tail') throw this.#short('inside the znodes');
    const tail = this.#rest;
    if (tail.length < SEAL_BYTES) throw this.#short('before its seal');
    this.#checkSeal(tail, 0, this.#adler);
    let digest: SnapshotDigest | null = null;
    if (tail.length >= 2 * SEAL_BYTES + DIGEST_BYTES) {
      const sum = adler32(tail, 0, SEAL_BYTES + DIGEST_BYTES, this.#adler);
      this.#checkSeal(tail, SEAL_BYTES + DIGEST_BYTES, sum);
      const r = new JuteReader(tail, SEAL_BYTES);
      const zxid = r.long();
      digest = { zxid, version: r.int(), value: r.long() };
    }
    this.#sink.end(digest);
  }

  #readBody(): void {
    const r = new JuteReader(this.#rest, 0, this.#rest.length, MAX_LENGTH);
    let step: 'more' | 'end';
    try {
      step = this.#body.push(r);
    } catch (error) {
      if (!(error instanceof JuteError)) throw error;
      throw new SnapshotError(`bad znode near offset ${this.#offset + error.offset}: ${error.message}`, false);
    }
    this.#consume(r.pos);
    if (step === 'end') this.#state = 'tail';
  }

  #consume(n: number): void {
    this.#adler = adler32(this.#rest, 0, n, this.#adler);
    this.#rest = this.#rest.subarray(n);
    this.#offset += n;
  }

  #checkSeal(tail: Uint8Array, at: number, sum: number): void {
    if (!isSeal(tail, at, sum)) throw new SnapshotError(`wrong seal at offset ${this.#offset + at}`, false);
  }

  /** A file that ends too early; one that still ends in the end of a seal was complete once, and a length inside has been damaged. */
  #short(where: string): SnapshotError {
    return new SnapshotError(`the file ends ${where} (offset ${this.#offset + this.#rest.length})`, !endsLikeSeal(this.#last));
  }
}

/** Checks the 16 bytes that a snapshot file starts with; throws {@link SnapshotError}. */
export function checkSnapshotHeader(bytes: Uint8Array): void {
  const r = new JuteReader(bytes, 0, SNAPSHOT_HEADER_BYTES);
  if (r.int() !== SNAPSHOT_MAGIC) throw new SnapshotError('no snapshot header', false);
  const version = r.int();
  if (version !== SNAPSHOT_VERSION) throw new SnapshotError(`snapshot version ${version} is not known`, false);
}

/** Whether a seal over bytes with the Adler-32 `sum` stands in `bytes` at `at`. */
export function isSeal(bytes: Uint8Array, at: number, sum: number): boolean {
  const r = new JuteReader(bytes, at);
  const stored = r.long();
  return stored.high === 0 && stored.low >>> 0 === sum && endsLikeSeal(bytes.subarray(at, at + SEAL_BYTES));
}

/** Whether `bytes` end in the string "/". */
function endsLikeSeal(bytes: Uint8Array): boolean {
  const n = bytes.length;
  return n >= 5 && bytes[n - 5] === 0 && bytes[n - 4] === 0 && bytes[n - 3] === 0 && bytes[n - 2] === 1 && bytes[n - 1] === 0x2f;
}

function writeHeader(w: JuteWriter): void {
  w.int(SNAPSHOT_MAGIC);
  w.int(SNAPSHOT_VERSION);
  w.longNumber(-1);
}

function writeSeal(w: JuteWriter, sum: number): void {
  w.long(new Long(sum | 0, 0, true));
  w.string('/');
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  const both = allocBytes(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
