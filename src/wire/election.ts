import { allocBytes, asBytes, readUtf8 } from '../util/bytes.ts';
import type { ElectionMessage, Notification, PeerStateCode } from '../zab/messages.ts';
import { JuteError, JuteReader, JuteUnderflow, JuteWriter } from './jute.ts';

/** The first field of a header with one address, and of one with several (PROTOCOL 14.1). */
const HEADER_ONE_ADDRESS = -65536;
const HEADER_ADDRESSES = -65535;
/** Longest address part of a header, and largest body of a frame, in bytes. */
const MAX_ADDRESS = 2048;
const MAX_FRAME = 512 * 1024;

/** Bodies of the legacy forms of a notification (PROTOCOL 14.2): without peerEpoch, and with it and four bytes that nobody reads. */
const LEGACY_BODY = 28;
const LEGACY_EPOCH_BODY = 40;
/** Bodies of the basic election (PROTOCOL 14.5). */
const VOTE_REQUEST_BODY = 4;
const VOTE_RESPONSE_BODY = 28;

/** How the bytes of a frame are to be understood: a body of 28 bytes means something else in each algorithm. */
export type ElectionAlgorithm = 'fast' | 'basic';

/** What the side that connects says first: who it is and where its own election port is (`host:port`, none from very old servers). */
export interface ElectionHeader {
  readonly sid: number;
  readonly addresses: readonly string[];
}

/** The bytes of a header (PROTOCOL 14.1); without an address it takes the old form, the id alone. */
export function encodeElectionHeader(header: ElectionHeader): Uint8Array {
  const w = new JuteWriter(64);
  if (header.addresses.length === 0) {
    w.longNumber(header.sid);
    return w.copy();
  }
  w.longNumber(header.addresses.length === 1 ? HEADER_ONE_ADDRESS : HEADER_ADDRESSES);
  w.longNumber(header.sid);
  w.string(header.addresses.join('|'));
  return w.copy();
}

/** Reads a header. Throws {@link JuteUnderflow} while it is incomplete and {@link JuteError} when it is none. */
export function readElectionHeader(r: JuteReader): ElectionHeader {
  const at = r.pos;
  const version = r.longNumber();
  if (version >= 0) return { sid: version, addresses: [] };
  if (version !== HEADER_ONE_ADDRESS && version !== HEADER_ADDRESSES) throw new JuteError(`election header with version ${version}`, at);
  const sid = r.longNumber();
  const length = r.int();
  if (length < 1 || length > MAX_ADDRESS) throw new JuteError(`election header with an address of ${length} bytes`, at);
  if (r.remaining < length) throw new JuteUnderflow('the address is incomplete', r.pos);
  const text = readUtf8(r.buf, r.pos, r.pos + length);
  r.pos += length;
  return { sid, addresses: version === HEADER_ONE_ADDRESS ? [text] : text.split('|').filter((address) => address !== '') };
}

/** Appends a message as a frame: length and body (PROTOCOL 14.2, 14.5). */
export function encodeElectionMessage(w: JuteWriter, m: ElectionMessage): void {
  w.int(0);
  const start = w.pos;
  if (m.kind === 'notification') {
    writeNotification(w, m);
  } else {
    w.int(m.xid);
    if (m.kind === 'voteResponse') {
      w.longNumber(m.id);
      w.longNumber(m.leader);
      w.long(m.zxid);
    }
  }
  w.setInt(start - 4, w.pos - start);
}

function writeNotification(w: JuteWriter, m: Notification): void {
  w.int(m.state);
  w.longNumber(m.leader);
  w.long(m.zxid);
  w.longNumber(m.electionEpoch);
  if (m.peerEpoch === undefined) return;
  w.longNumber(m.peerEpoch);
  w.int(m.version);
  // The config came with version 2.
  if (m.version >= 2) w.string(m.config ?? '');
}

/**
 * Makes messages from the byte stream of an election connection, in chunks of any size. With `header` the stream begins with the header of the side that
 * connected. A body that is no message of the algorithm is skipped and counted, as ZooKeeper does (fault 3769: it must not stop the receiver).
 */
export class ElectionDecoder {
  readonly #algorithm: ElectionAlgorithm;
  /** The incomplete header or frame at the end of the last chunk: `#held[0..#heldEnd)`. */
  #held: Uint8Array = allocBytes(0);
  #heldEnd = 0;
  #header: ElectionHeader | null = null;
  #headerDue: boolean;
  #ignored = 0;

  constructor(options: { readonly header: boolean; readonly algorithm: ElectionAlgorithm }) {
    this.#headerDue = options.header;
    this.#algorithm = options.algorithm;
  }

  /** The header, once it is complete. */
  get header(): ElectionHeader | null {
    return this.#header;
  }

  /** Frames skipped because they held no message. */
  get ignored(): number {
    return this.#ignored;
  }

  /** Appends to `out` every message that `chunk` completes. Throws {@link JuteError} for a bad header or a frame's length; the stream is lost then. */
  push(chunk: Uint8Array, out: ElectionMessage[]): void {
    let buf = asBytes(chunk);
    let end = chunk.length;
    const joined = this.#heldEnd > 0;
    if (joined) {
      this.#hold(buf, 0);
      buf = this.#held;
      end = this.#heldEnd;
    }
    const used = this.#decode(buf, end, out);
    if (joined) {
      buf.copyWithin(0, used, end);
      this.#heldEnd = end - used;
    } else if (used < end) {
      this.#hold(buf, used);
    }
  }

  #hold(chunk: Uint8Array, start: number): void {
    const total = this.#heldEnd + chunk.length - start;
    if (total > this.#held.length) {
      const grown = allocBytes(Math.max(total, 2 * this.#held.length));
      grown.set(this.#held.subarray(0, this.#heldEnd));
      this.#held = grown;
    }
    this.#held.set(chunk.subarray(start), this.#heldEnd);
    this.#heldEnd = total;
  }

  #decode(buf: Uint8Array, end: number, out: ElectionMessage[]): number {
    const r = new JuteReader(buf, 0, end);
    if (this.#headerDue) {
      try {
        this.#header = readElectionHeader(r);
      } catch (error) {
        if (error instanceof JuteUnderflow) return 0;
        throw error;
      }
      this.#headerDue = false;
    }
    while (r.remaining >= 4) {
      const at = r.pos;
      const length = r.int();
      if (length <= 0 || length > MAX_FRAME) throw new JuteError(`election frame of ${length} bytes`, at);
      if (r.remaining < length) return at;
      const next = r.pos + length;
      const message = readBody(new JuteReader(buf, r.pos, next), this.#algorithm);
      if (message === null) this.#ignored++;
      else out.push(message);
      r.pos = next;
    }
    return r.pos;
  }
}

/** A frame's body; null when it is no message. */
function readBody(r: JuteReader, algorithm: ElectionAlgorithm): ElectionMessage | null {
  const length = r.remaining;
  if (algorithm === 'basic') {
    if (length === VOTE_REQUEST_BODY) return { kind: 'voteRequest', xid: r.int() };
    if (length === VOTE_RESPONSE_BODY) {
      const xid = r.int();
      const id = r.longNumber();
      return { kind: 'voteResponse', xid, id, leader: r.longNumber(), zxid: r.long() };
    }
  }
  return readNotification(r, length);
}

function readNotification(r: JuteReader, length: number): Notification | null {
  if (length !== LEGACY_BODY && length < LEGACY_EPOCH_BODY) return null;
  const state = r.int();
  if (state < 0 || state > 3) return null;
  const leader = r.longNumber();
  const zxid = r.long();
  const electionEpoch = r.longNumber();
  const peerEpoch = length === LEGACY_BODY ? undefined : r.longNumber();
  const version = length <= LEGACY_EPOCH_BODY ? 0 : r.int();
  let config: string | null = null;
  if (version >= 2) {
    if (r.remaining < 4) return null;
    const size = r.int();
    if (size < 0 || size > r.remaining) return null;
    config = readUtf8(r.buf, r.pos, r.pos + size);
  }
  return { kind: 'notification', state: state as PeerStateCode, leader, zxid, electionEpoch, peerEpoch, version, config };
}
