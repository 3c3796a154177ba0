import Long from 'long';
import type { Id, Request } from '../model/records.ts';
import { allocBytes, asBytes, readUtf8 } from '../util/bytes.ts';
import { LogEntry } from '../zab/entry.ts';
import { type LearnerInfoMessage, Packet, type QuorumMessage, type SessionTouch, type ZxidMessage } from '../zab/messages.ts';
import { readIds, writeIds } from './acl.ts';
import { ByteBlocks } from './byte-blocks.ts';
import { JuteError, JuteReader, type JuteWriter } from './jute.ts';
import { encodeRequestBody } from './requests.ts';
import { encodeSnapshotEnd, encodeSnapshotHead, encodeZnode, SnapshotBodyDecoder } from './snapshot-body.ts';
import { TXN_HEADER_BYTES, TXN_ZXID_OFFSET } from './txn.ts';

/** What stands behind the snapshot in the stream after SNAP (PROTOCOL 13.1). */
const SNAPSHOT_SIGNATURE = 'BenWasHere';

// ---- encoding ----

/** Appends one message as it stands on the quorum port (PROTOCOL 12), the parts of the snapshot stream too. */
export function encodeQuorumMessage(w: JuteWriter, m: QuorumMessage): void {
  switch (m.type) {
    case Packet.PROPOSAL:
    case Packet.INFORM:
      return encodeEntry(w, m.type, m.entry);
    case Packet.REQUEST:
      return encodeRequest(w, m.request);
    case Packet.ACK:
    case Packet.COMMIT:
    case Packet.SYNC:
    case Packet.UPTODATE:
    case Packet.DIFF:
    case Packet.TRUNC:
    case Packet.SNAP:
      writeHead(w, m.type, m.zxid.high, m.zxid.low, -1);
      return w.int(-1);
    case Packet.PING:
      return encodePing(w, m.zxid, m.touches);
    case Packet.REVALIDATE:
      writeHead(w, m.type, -1, -1, m.valid === undefined ? 12 : 9);
      w.long(m.sessionId);
      if (m.valid === undefined) w.int(m.timeout ?? 0);
      else w.bool(m.valid);
      return w.int(-1);
    case Packet.SNAPSHOT_HEAD:
      return encodeSnapshotHead(w, m.head);
    case Packet.SNAPSHOT_NODES:
      for (const node of m.nodes) encodeZnode(w, node);
      return;
    case Packet.SNAPSHOT_END:
      encodeSnapshotEnd(w);
      return w.string(SNAPSHOT_SIGNATURE);
    default:
      return encodeRare(w, m);
  }
}

type RareMessage = Extract<QuorumMessage, { type: 9 | 10 | 11 | 16 | 17 | 18 | 19 }>;

function encodeRare(w: JuteWriter, m: RareMessage): void {
  switch (m.type) {
    case Packet.COMMITANDACTIVATE:
      writeHead(w, m.type, m.zxid.high, m.zxid.low, 8);
      w.longNumber(m.designatedLeader);
      break;
    case Packet.INFORMANDACTIVATE:
      writeHead(w, m.type, m.entry.zxid.high, m.entry.zxid.low, 8 + m.entry.bytes.length);
      w.longNumber(m.designatedLeader);
      w.raw(m.entry.bytes);
      break;
    case Packet.NEWLEADER:
      w.int(m.type);
      w.long(m.zxid);
      w.string(m.config);
      break;
    case Packet.FOLLOWERINFO:
    case Packet.OBSERVERINFO:
      writeHead(w, m.type, m.zxid.high, m.zxid.low, 20);
      w.longNumber(m.serverId);
      w.int(m.protocolVersion);
      w.long(m.configVersion);
      break;
    case Packet.LEADERINFO:
      writeHead(w, m.type, m.zxid.high, m.zxid.low, 4);
      w.int(m.protocolVersion);
      break;
    case Packet.ACKEPOCH:
      writeHead(w, m.type, m.zxid.high, m.zxid.low, 4);
      w.int(m.currentEpoch);
      break;
  }
  w.int(-1);
}

/** Type, zxid and the length of the data. */
function writeHead(w: JuteWriter, type: number, high: number, low: number, dataLength: number): void {
  w.reserve(16);
  const at = w.pos;
  w.setInt(at, type);
  w.setInt(at + 4, high);
  w.setInt(at + 8, low);
  w.setInt(at + 12, dataLength);
  w.pos = at + 16;
}

function encodeEntry(w: JuteWriter, type: number, entry: LogEntry): void {
  const { zxid, bytes } = entry;
  w.reserve(20 + bytes.length);
  writeHead(w, type, zxid.high, zxid.low, bytes.length);
  w.raw(bytes);
  w.int(-1);
}

function encodeRequest(w: JuteWriter, request: Request): void {
  writeHead(w, Packet.REQUEST, -1, -1, 0);
  const start = w.pos;
  w.long(request.sessionId);
  w.int(request.cxid);
  w.int(request.op);
  if (request.body !== null) w.raw(request.body);
  else if (request.record !== null) encodeRequestBody(w, request.record);
  w.setInt(start - 4, w.pos - start);
  writeIds(w, request.auth);
}

function encodePing(w: JuteWriter, zxid: Long, touches: readonly SessionTouch[] | null): void {
  writeHead(w, Packet.PING, zxid.high, zxid.low, touches === null ? -1 : 12 * touches.length);
  if (touches !== null) {
    for (const touch of touches) {
      w.long(touch.sessionId);
      w.int(touch.timeout);
    }
  }
  w.int(-1);
}

// ---- decoding ----

/** Type, zxid and data length. */
const HEAD_BYTES = 16;
/** A buffer for incomplete packets that has grown beyond this is dropped when it is empty. */
const KEEP_BYTES = 256 * 1024;

/**
 * Makes messages from the byte stream of a quorum link, in chunks of any size. `side` is who reads: PING and REVALIDATE look different in each direction,
 * and only a learner takes a snapshot. `maxPacket` bounds the data of a packet, and a path or data in a snapshot, in bytes.
 *
 * What it delivers refers to no chunk. Payloads of one stream share blocks of 64 KiB, so a kept payload can keep a block alive ({@link ByteBlocks}).
 */
export class QuorumDecoder {
  readonly #leaderReads: boolean;
  readonly #maxPacket: number;
  /** Bytes of the incomplete packet or snapshot record at the end of the last chunk: `#held[0..#heldEnd)`. */
  #held: Uint8Array = allocBytes(0);
  #heldEnd = 0;
  /** Bytes of the incomplete packet that have been seen to be complete, and what is missing behind them. 0: only the head is awaited. */
  #scanned = 0;
  /** Strings of the incomplete packet's authinfo still to come; -1: its count has not been read. */
  #stringsLeft = -1;
  #snapshot: SnapshotBodyDecoder | null = null;
  #signatureDue = false;
  readonly #blocks = new ByteBlocks();
  /** The authinfo of the last REQUEST in bytes and decoded: a client's requests, and often those of many clients, carry the same. */
  #lastAuthBytes: Uint8Array = allocBytes(0);
  #lastAuth: readonly Id[] = [];
  /** Bytes before the buffer that is being read, for error messages. */
  #base = 0;

  constructor(side: 'leader' | 'learner', maxPacket: number) {
    this.#leaderReads = side === 'leader';
    this.#maxPacket = maxPacket;
  }

  /**
   * Appends to `out` every message that `chunk` completes; the chunk may be reused afterwards. Throws {@link JuteError} for bytes that
   * are no valid stream, then `out` holds what came before them and the decoder must not be used any more.
   */
  push(chunk: Uint8Array, out: QuorumMessage[]): void {
    let buf = asBytes(chunk);
    let end = chunk.length;
    const joined = this.#heldEnd > 0;
    if (joined) {
      this.#hold(buf, 0, end);
      buf = this.#held;
      end = this.#heldEnd;
    }
    const used = this.#decode(buf, end, out);
    this.#base += used;
    if (!joined) {
      if (used < end) this.#hold(buf, used, end);
      return;
    }
    if (used > 0) buf.copyWithin(0, used, end);
    this.#heldEnd = end - used;
    if (this.#heldEnd === 0 && buf.length > KEEP_BYTES) this.#held = allocBytes(0);
  }

  #hold(from: Uint8Array, start: number, end: number): void {
    const total = this.#heldEnd + end - start;
    // No packet and no snapshot record that passes the length checks is longer, so this only ends a stream that makes us wait for ever.
    if (total > 4 * this.#maxPacket + KEEP_BYTES + from.length) throw this.#error('a record without an end', 0);
    if (total > this.#held.length) {
      const grown = allocBytes(Math.max(total, 2 * this.#held.length, 4096));
      grown.set(this.#held.subarray(0, this.#heldEnd));
      this.#held = grown;
    }
    this.#held.set(from.subarray(start, end), this.#heldEnd);
    this.#heldEnd = total;
  }

  /** Decodes `buf[0..end)` and returns how many bytes were complete. */
  #decode(buf: Uint8Array, end: number, out: QuorumMessage[]): number {
    let pos = 0;
    for (;;) {
      if (this.#snapshot !== null) {
        pos = this.#readSnapshot(this.#snapshot, buf, pos, end, out);
        if (this.#snapshot !== null) return pos;
      }
      const next = this.#packetEnd(buf, pos, end);
      if (next < 0) return pos;
      out.push(this.#packet(buf, pos, next));
      pos = next;
    }
  }

  #error(message: string, at: number): JuteError {
    return new JuteError(message, this.#base + at);
  }

  /**
   * Where the packet that starts at `pos` ends, or -1 while it is incomplete. It goes on where the last call stopped, so a packet that arrives in many chunks
   * is looked at once.
   */
  #packetEnd(buf: Uint8Array, pos: number, end: number): number {
    if (this.#scanned === 0) {
      if (end - pos < HEAD_BYTES) return -1;
      const length = readInt(buf, pos + 12);
      if (length < -1 || length > this.#maxPacket) throw this.#error(`packet data of ${length} bytes, limit ${this.#maxPacket}`, pos);
      this.#scanned = HEAD_BYTES + (length === -1 ? 0 : length);
    }
    let at = pos + this.#scanned;
    if (this.#stringsLeft === -1) {
      if (at + 4 > end) return -1;
      const ids = readInt(buf, at);
      if (ids < -1 || ids > this.#maxPacket) throw this.#error(`authinfo of ${ids} identities`, at);
      this.#stringsLeft = ids === -1 ? 0 : 2 * ids;
      at += 4;
    }
    for (; this.#stringsLeft > 0; this.#stringsLeft--) {
      if (at + 4 > end) break;
      const length = readInt(buf, at);
      if (length < -1 || at + length - pos > 2 * this.#maxPacket + KEEP_BYTES) throw this.#error(`authinfo string of ${length} bytes`, at);
      const next = at + 4 + (length === -1 ? 0 : length);
      if (next > end) break;
      at = next;
    }
    if (this.#stringsLeft > 0) {
      this.#scanned = at - pos;
      return -1;
    }
    this.#scanned = 0;
    this.#stringsLeft = -1;
    return at;
  }

  /** The complete packet in `buf[pos..next)`. */
  #packet(buf: Uint8Array, pos: number, next: number): QuorumMessage {
    const type = readInt(buf, pos);
    const zxid = readLong(buf, pos + 4);
    const length = readInt(buf, pos + 12);
    const data = pos + HEAD_BYTES;
    switch (type) {
      case Packet.PROPOSAL:
      case Packet.INFORM:
        return { type, entry: this.#entry(zxid, buf, data, length) };
      case Packet.SNAP:
        if (this.#leaderReads) throw this.#error('a SNAP from a learner', pos);
        this.#snapshot = this.#newSnapshot();
        return { type, zxid };
      case Packet.ACK:
      case Packet.COMMIT:
      case Packet.SYNC:
      case Packet.UPTODATE:
      case Packet.DIFF:
      case Packet.TRUNC:
        return { type, zxid } as ZxidMessage;
      case Packet.REQUEST:
        return { type, request: this.#request(buf, data, length, next) };
      case Packet.PING:
        return { type, zxid, touches: this.#touches(buf, data, length) };
      case Packet.REVALIDATE:
        this.#atLeast(length, this.#leaderReads ? 12 : 9, type, pos);
        return this.#leaderReads
          ? { type, sessionId: readLong(buf, data), timeout: readInt(buf, data + 8) }
          : { type, sessionId: readLong(buf, data), valid: buf[data + 8] !== 0 };
      default:
        return this.#rarePacket(buf, pos, type, zxid, length);
    }
  }

  #rarePacket(buf: Uint8Array, pos: number, type: number, zxid: Long, length: number): QuorumMessage {
    const data = pos + HEAD_BYTES;
    switch (type) {
      case Packet.COMMITANDACTIVATE:
        this.#atLeast(length, 8, type, pos);
        return { type, zxid, designatedLeader: readLongNumber(buf, data) };
      case Packet.INFORMANDACTIVATE:
        this.#atLeast(length, 8, type, pos);
        return { type, designatedLeader: readLongNumber(buf, data), entry: this.#entry(zxid, buf, data + 8, length - 8) };
      case Packet.NEWLEADER:
        return { type, zxid, config: length < 0 ? null : readUtf8(buf, data, data + length) };
      case Packet.FOLLOWERINFO:
      case Packet.OBSERVERINFO:
        return learnerInfo(buf, type, zxid, data, length);
      case Packet.LEADERINFO:
        this.#atLeast(length, 4, type, pos);
        return { type, zxid, protocolVersion: readInt(buf, data) };
      case Packet.ACKEPOCH:
        this.#atLeast(length, 4, type, pos);
        return { type, zxid, currentEpoch: readInt(buf, data) };
      default:
        throw this.#error(`unknown packet type ${type}`, pos);
    }
  }

  #atLeast(length: number, wanted: number, type: number, at: number): void {
    if (length < wanted) throw this.#error(`packet type ${type} with ${length} bytes of data, at least ${wanted} wanted`, at);
  }

  #entry(zxid: Long, buf: Uint8Array, at: number, length: number): LogEntry {
    if (length < TXN_HEADER_BYTES) throw this.#error(`a transaction of ${length} bytes`, at);
    const own = at + TXN_ZXID_OFFSET;
    if (readInt(buf, own) !== zxid.high || readInt(buf, own + 4) !== zxid.low) {
      throw this.#error(`packet and transaction disagree about the zxid 0x${zxid.toString(16)}`, at);
    }
    return new LogEntry(zxid, this.#blocks.copy(buf, at, at + length));
  }

  #request(buf: Uint8Array, at: number, length: number, end: number): Request {
    this.#atLeast(length, 16, Packet.REQUEST, at);
    return {
      sessionId: readLong(buf, at),
      cxid: readInt(buf, at + 8),
      op: readInt(buf, at + 12),
      auth: this.#auth(buf, at + length, end),
      record: null,
      body: this.#blocks.copy(buf, at + 16, at + length),
    };
  }

  /** The identities in `buf[at..end)`. */
  #auth(buf: Uint8Array, at: number, end: number): readonly Id[] {
    const known = this.#lastAuthBytes;
    let same = known.length === end - at;
    for (let i = 0; same && i < known.length; i++) same = known[i] === buf[at + i];
    if (same) return this.#lastAuth;
    const auth = readIds(new JuteReader(buf, at, end));
    const bytes = allocBytes(end - at);
    bytes.set(buf.subarray(at, end));
    this.#lastAuthBytes = bytes;
    this.#lastAuth = auth;
    return auth;
  }

  #touches(buf: Uint8Array, at: number, length: number): SessionTouch[] | null {
    if (length < 0) return null;
    if (length % 12 !== 0) throw this.#error(`a PING with ${length} bytes`, at);
    const touches: SessionTouch[] = [];
    for (let end = at + length; at < end; at += 12) touches.push({ sessionId: readLong(buf, at), timeout: readInt(buf, at + 8) });
    return touches;
  }

  // ---- the stream after SNAP ----

  #newSnapshot(): SnapshotBodyDecoder {
    return new SnapshotBodyDecoder({
      head: (head) => this.#snapshotOut.push({ type: Packet.SNAPSHOT_HEAD, head }),
      nodes: (nodes) => this.#snapshotOut.push({ type: Packet.SNAPSHOT_NODES, nodes }),
    });
  }
  /** Where the snapshot's sink delivers during a call of {@link push}. */
  #snapshotOut: QuorumMessage[] = [];

  /** Reads on in the snapshot stream; `#snapshot` is null again behind its signature. Returns the first byte not used. */
  #readSnapshot(body: SnapshotBodyDecoder, buf: Uint8Array, pos: number, end: number, out: QuorumMessage[]): number {
    if (!this.#signatureDue) {
      const r = new JuteReader(buf, pos, end, this.#maxPacket);
      this.#snapshotOut = out;
      const state = body.push(r);
      pos = r.pos;
      if (state === 'more') return pos;
      this.#signatureDue = true;
    }
    const size = 4 + SNAPSHOT_SIGNATURE.length;
    if (end - pos < size) return pos;
    if (readInt(buf, pos) !== SNAPSHOT_SIGNATURE.length || readUtf8(buf, pos + 4, pos + size) !== SNAPSHOT_SIGNATURE) {
      throw this.#error('a snapshot without its signature', pos);
    }
    this.#signatureDue = false;
    this.#snapshot = null;
    out.push({ type: Packet.SNAPSHOT_END });
    return pos + size;
  }
}

/** Older servers send only the first 8 or 12 bytes, an anonymous observer none: it gets the id -1 (PROTOCOL 12). */
function learnerInfo(buf: Uint8Array, type: LearnerInfoMessage['type'], zxid: Long, data: number, length: number): LearnerInfoMessage {
  return {
    type,
    zxid,
    serverId: length >= 8 ? readLongNumber(buf, data) : -1,
    protocolVersion: length >= 12 ? readInt(buf, data + 8) : 1,
    configVersion: length >= 20 ? readLong(buf, data + 12) : Long.UZERO,
  };
}

function readInt(b: Uint8Array, at: number): number {
  return (b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3];
}

function readLong(b: Uint8Array, at: number): Long {
  return new Long(readInt(b, at + 4), readInt(b, at), true);
}

function readLongNumber(b: Uint8Array, at: number): number {
  return readInt(b, at) * 4294967296 + (readInt(b, at + 4) >>> 0);
}
