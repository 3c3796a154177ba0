import Long from 'long';
import { Err, Op } from '../../model/codes.ts';
import type { Id, Request, Txn } from '../../model/records.ts';
import type { ByteSocket, SocketHandler } from '../../seams/sockets.ts';
import type { TxnResult } from '../../tree/tree.ts';
import { Fifo } from '../../util/fifo.ts';
import { type ConnectResponse, decodeConnectRequest, encodeConnectResponse } from '../../wire/client-connect.ts';
import { encodeWatcherEvent, writeReplyHeader } from '../../wire/client-replies.ts';
import { type AuthRequest, decodeReadRequest, isReadOp, type ReadRequest, Xid } from '../../wire/client-requests.ts';
import { JuteError, JuteReader } from '../../wire/jute.ts';
import { syncPathOf } from './bodies.ts';
import type { ConnectionHost } from './connection-host.ts';
import { parseWord } from './four-letter.ts';
import { Input } from './input.ts';
import { Output } from './output.ts';
import { Pending, PendingKind } from './pending.ts';
import { isWriteOp, writeResult } from './results.ts';
import { ConnectionStats } from './stats.ts';

/** A frame that is too large is read over, to answer its request with an error; what claims to be larger than this is no request at all, bytes. */
const MAX_SKIPPED = 64 << 20;
/** The only state that a server tells of with an event (PROTOCOL 2.3). */
const SYNC_CONNECTED = 3;
const NO_PASSWORD = new Uint8Array(16);
const MINUS_ONE = Long.MAX_UNSIGNED_VALUE;

type State = 'new' | 'opening' | 'open' | 'ending' | 'closed';

/** One client's connection: its frames, its handshake, and its requests, which are answered in the order they came (PROTOCOL 3.1, 4). */
export class Connection implements SocketHandler {
  readonly remote: string;
  readonly #host: ConnectionHost<Connection>;
  readonly #socket: ByteSocket;
  readonly #input = new Input();
  readonly #out: Output;
  readonly #queue = new Fifo<Pending>();
  readonly #reader: JuteReader;
  #state: State = 'new';
  /** The identities of requests to come. */
  #auth: readonly Id[];
  #oldClient = false;
  #flushDue = false;
  /** Whether nothing is read for now: the port is full, the client does not read, or a session is being opened. */
  #paused = false;
  sessionId = Long.UZERO;
  /** Granted, ms. */
  timeout = 0;
  /** Something has come since the port looked last. */
  heard = false;
  /** Ms for which nothing has come, as the port counts them. */
  silent = 0;
  /** When what is read now has come, monotonic ms. */
  since = 0;
  readonly stats: ConnectionStats;

  constructor(host: ConnectionHost<Connection>, socket: ByteSocket, address: string) {
    this.#host = host;
    this.#socket = socket;
    this.remote = socket.remote;
    this.#auth = [{ scheme: 'ip', id: address }];
    this.#out = new Output(host.pool, socket, () => this.#drained());
    this.#reader = new JuteReader(NO_PASSWORD);
    this.stats = new ConnectionStats(host.stats, host.clock.wall());
  }

  get state(): State {
    return this.#state;
  }

  get auth(): readonly Id[] {
    return this.#auth;
  }

  /** Requests that are not answered yet. */
  get queued(): number {
    return this.#queue.length;
  }

  /** What its socket waits for: 1 to read, 4 to write. */
  get interest(): number {
    if (this.#state === 'ending' || this.#state === 'closed') return 0;
    return (this.#paused ? 0 : 1) | (this.#out.isEmpty ? 0 : 4);
  }

  // ---- bytes in ----

  opened(): void {}

  data(chunk: Uint8Array): void {
    if (this.#state === 'closed' || this.#state === 'ending') return;
    this.lives();
    this.#host.stats.bytesReceived += chunk.length;
    this.#input.push(chunk);
    this.#advance();
  }

  /** There is something of its client's to be seen. */
  lives(): void {
    this.heard = true;
    this.silent = 0;
  }

  ended(): void {
    // Who asks with a word often says at once that this was all.
    if (this.#state !== 'ending') this.close('');
  }

  closed(reason: string): void {
    this.close(reason);
  }

  /** Takes as many frames as there are and as may be taken now. */
  #advance(): void {
    // What is answered meanwhile goes out at the end of it.
    const due = this.#flushDue;
    this.#flushDue = true;
    this.since = this.#host.clock.now();
    try {
      while (this.#mayRead() && this.#next());
    } catch (error) {
      // Whatever it is, this client's bytes caused it: it ends this connection, not the process.
      this.close(`bad input: ${(error as Error).message}`);
    }
    if (this.#state === 'closed') return;
    this.#input.keep();
    this.#flushDue = due;
    this.#out.flush();
  }

  /** Whether the next frame may be taken; stops reading if not. */
  #mayRead(): boolean {
    const state = this.#state;
    if (state === 'closed' || state === 'ending') return false;
    return state === 'new' || (state === 'open' && this.#out.hasRoom) || this.#pause();
  }

  /** Takes no more for now. */
  #pause(): false {
    if (!this.#paused) this.#socket.pause();
    this.#paused = true;
    return false;
  }

  /** Whether a request would wait here for its answer. What is answered at once gets through a full port: pings and reads must not wait for what other clients write. */
  #wouldWait(op: number): boolean {
    return this.#queue.length > 0 || !isReadOp(op);
  }

  /** Goes on after a pause, if there is no reason for one any more. */
  resume(): void {
    if (!this.#paused || this.#state === 'closed') return;
    this.#paused = false;
    this.#advance();
    if (!this.#paused) this.#socket.resume();
  }

  #drained(): void {
    if (this.#state === 'ending') this.#socket.end();
    else if (this.#state === 'open') this.resume();
  }

  /** Takes one frame; false when there is none. */
  #next(): boolean {
    const input = this.#input;
    if (input.length < 4) return false;
    const length = input.peekInt(0);
    if (this.#state === 'new' && this.#isWord()) return false;
    if (length <= 0 || length > this.#host.maxFrame) return this.#oversized(length);
    if (input.length < 4 + length) return false;
    if (this.#state === 'open' && this.#host.isFull && this.#wouldWait(input.peekInt(8))) {
      this.#host.waits(this);
      return this.#pause();
    }
    const start = input.pos + 4;
    input.pos = start + length;
    // It may have come long ago: what waits for its turn here keeps its session alive.
    this.lives();
    this.#reader.buf = input.buf;
    this.#reader.pos = start;
    this.#reader.end = start + length;
    this.stats.packetIn();
    if (this.#state === 'new') this.#connect();
    else this.#request(start + length);
    return true;
  }

  #isWord(): boolean {
    const { buf, pos } = this.#input;
    const word = parseWord(buf.subarray(pos, pos + 4));
    if (word === null) return false;
    this.#state = 'ending';
    this.stats.packetIn();
    this.#input.clear();
    this.#host.answerWord(this, word);
    return true;
  }

  /** A request over the limit is answered with an error, which Apache ZooKeeper leaves its client to guess; anything else is no client's. */
  #oversized(length: number): boolean {
    const input = this.#input;
    if (this.#state !== 'open' || length <= 0 || length > MAX_SKIPPED) {
      this.close(`a frame of ${length} bytes; at most ${this.#host.maxFrame} are taken (maxRequestBytes)`);
      return false;
    }
    if (input.length < 12) return false;
    input.pos += 4;
    this.#reader.buf = input.buf;
    this.#reader.pos = input.pos;
    this.#reader.end = input.end;
    const xid = this.#reader.int();
    input.skip(length);
    this.#fixed(xid, Err.badArguments);
    return true;
  }

  // ---- the first frame ----

  #connect(): void {
    const request = decodeConnectRequest(this.#reader);
    this.#oldClient = request.readOnly === null;
    this.#state = 'opening';
    this.#host.connect(this, request);
  }

  /** The session is this connection's from now on. */
  open(sessionId: Long, timeout: number, password: Uint8Array): void {
    if (this.#state !== 'opening') return;
    this.sessionId = sessionId;
    this.timeout = timeout;
    this.#state = 'open';
    this.#respond({ protocolVersion: 0, timeout, sessionId, password, readOnly: this.#host.readOnly });
    this.resume();
  }

  /** There is no such session; or none that a server without a quorum knows, which its client must be able to tell. */
  refuse(): void {
    if (this.#state !== 'opening') return;
    const { readOnly } = this.#host;
    this.#respond({ protocolVersion: 0, timeout: 0, sessionId: Long.UZERO, password: NO_PASSWORD, readOnly });
    this.finish();
  }

  #respond(response: ConnectResponse): void {
    encodeConnectResponse(this.#out.begin(), this.#oldClient ? { ...response, readOnly: null } : response);
    this.#end();
  }

  // ---- requests ----

  #request(end: number): void {
    const r = this.#reader;
    const xid = r.int();
    const op = r.int();
    if (op === Op.auth) return this.#authenticate(xid);
    if (isReadOp(op)) return this.#readRequest(xid, op);
    if (isWriteOp(op)) return this.#write(xid, op, end);
    if (op === Op.sync) return this.#sync(xid);
    // A check outside a multi: Apache ZooKeeper spoils its log with it (PROTOCOL 17), so it goes to no leader.
    if (op === Op.check) return this.#fixed(xid, Err.unimplemented);
    this.#header(xid, MINUS_ONE, Err.unimplemented);
    this.finish();
  }

  #readRequest(xid: number, op: ReadRequest['op']): void {
    const r = this.#reader;
    const from = r.pos;
    let record: ReadRequest;
    try {
      record = decodeReadRequest(op, r);
    } catch (error) {
      if (error instanceof JuteError) return this.#fixed(xid, Err.marshallingError);
      throw error;
    }
    if (this.#queue.length === 0) {
      this.stats.answered(op, xid, this.#host.lastZxid, this.since, this.since);
      return this.#answerRead(xid, record, this.#auth);
    }
    this.#push(new Pending(PendingKind.read, xid, op, r.pos - from, record, this.#auth, null));
  }

  #write(xid: number, op: number, end: number): void {
    if (this.#host.readOnly) return op === Op.closeSession ? this.#closeReadOnly(xid) : this.#fixed(xid, Err.notReadOnly);
    const { buf, pos } = this.#reader;
    this.#submitted(PendingKind.write, xid, op, end - pos, this.#host.write(this, xid, op, buf.subarray(pos, end)));
  }

  #sync(xid: number): void {
    if (this.#host.readOnly) return this.#fixed(xid, Err.notReadOnly);
    const path = syncPathOf(this.#reader);
    if (path === null) return this.#fixed(xid, Err.marshallingError);
    this.#submitted(PendingKind.sync, xid, Op.sync, path.length, this.#host.sync(this, xid, path));
  }

  #submitted(kind: number, xid: number, op: number, bytes: number, request: Request | null): void {
    if (request === null) return this.close('the server does not serve any more');
    this.#push(new Pending(kind, xid, op, bytes, null, this.#auth, request));
  }

  #closeReadOnly(xid: number): void {
    this.#header(xid, this.#host.lastZxid, Err.ok);
    this.finish();
  }

  #authenticate(xid: number): void {
    const request = decodeReadRequest(Op.auth, this.#reader) as AuthRequest;
    const known = this.#host.authenticate(request, this.#auth);
    this.#header(xid, Long.UZERO, known === null ? Err.authFailed : Err.ok);
    if (known === null) this.finish();
    else this.#auth = known;
  }

  /** Answers with `err`, in its turn. */
  #fixed(xid: number, err: number): void {
    if (this.#queue.length === 0) return this.#header(xid, this.#host.lastZxid, err);
    this.#push(new Pending(PendingKind.fixed, xid, err, 0, null, this.#auth, null));
  }

  #push(pending: Pending): void {
    pending.since = this.since;
    this.#queue.push(pending);
    this.#host.entered(pending.bytes);
  }

  // ---- answers ----

  /**
   * A write of this session is about to be applied: answers what stands before it. A sync needs no other confirmation, the leader has committed what it was given later; and the reads
   * behind it must not see the write.
   */
  applying(cxid: number): void {
    const queue = this.#queue;
    let index = 0;
    while (index < queue.length && queue.at(index).kind !== PendingKind.write) index++;
    if (index === queue.length || queue.at(index).xid !== cxid) return;
    for (; index > 0 && queue.length > 0; index--) this.#answerFirst();
  }

  /** A transaction of this session was applied; its events are out. Whether it ends the session. */
  applied(txn: Txn, result: TxnResult): boolean {
    const { cxid, type } = txn.header;
    const ends = type === Op.closeSession;
    const write = this.#firstWrite(cxid, ends);
    // Not asked on this connection: by an earlier one, at another server even, or by the leader when the session has expired.
    if (write === null) {
      if (ends) this.close('the session has expired or was closed');
      return ends;
    }
    if (result.err === Err.sessionMoved) {
      this.close('the session has moved');
      return false;
    }
    this.#answerWrite(write, result);
    // What stands behind the end of a session is dropped.
    if (ends) this.finish();
    else this.#answerReady();
    return ends;
  }

  /** Takes the write at the front; null if `cxid` is not its number, or if it does not end the session as the transaction does: the leader, who has no number, does that too. */
  #firstWrite(cxid: number, ends: boolean): Pending | null {
    const first = this.#queue.peek();
    if (first?.kind !== PendingKind.write || first.xid !== cxid) return null;
    return ends && first.op !== Op.closeSession ? null : this.#shift();
  }

  #answerWrite({ xid, op, since }: Pending, result: TxnResult): void {
    this.stats.answered(op, xid, result.zxid, since, this.#host.turnTime);
    const isMulti = op === Op.multi && result.results !== null;
    const err = isMulti ? Err.ok : result.err;
    const w = this.#out.begin();
    writeReplyHeader(w, xid, result.zxid, err);
    if (err === Err.ok) writeResult(w, op, result);
    this.#end();
  }

  /** The sync came back. */
  synced(request: Request): void {
    for (const pending of this.#queue) {
      if (pending.request !== request) continue;
      pending.done = true;
      break;
    }
    this.#answerReady();
  }

  /** Answers what stands at the front and waits for nothing any more. */
  #answerReady(): void {
    for (let first = this.#queue.peek(); first !== undefined; first = this.#queue.peek()) {
      if (!first.done && (first.kind === PendingKind.write || first.kind === PendingKind.sync)) return;
      this.#answerFirst();
    }
  }

  #answerFirst(): void {
    const { kind, xid, op, record, request, auth, since } = this.#shift();
    if (kind === PendingKind.fixed) return this.#header(xid, this.#host.lastZxid, op);
    this.stats.answered(op, xid, this.#host.lastZxid, since, this.#host.turnTime);
    if (kind === PendingKind.read) return this.#answerRead(xid, record!, auth);
    const w = this.#out.begin();
    writeReplyHeader(w, xid, this.#host.lastZxid, Err.ok);
    // A sync's answer is the path that was asked with.
    w.string(request!.record?.op === Op.sync ? request!.record.path : null);
    this.#end();
  }

  #answerRead(xid: number, record: ReadRequest, auth: readonly Id[]): void {
    const zxid = this.#host.lastZxid;
    if (record.op === Op.ping) return this.#header(Xid.ping, zxid, Err.ok);
    // What was missed goes out before the answer (PROTOCOL 10).
    if (record.op === Op.setWatches || record.op === Op.setWatches2) {
      this.#host.restoreWatches(this, record);
      return this.#header(xid, zxid, Err.ok);
    }
    const w = this.#out.begin();
    writeReplyHeader(w, xid, zxid, Err.ok);
    const err = this.#host.read(this, record, auth, w);
    if (err === Err.ok) {
      this.#end();
      return;
    }
    this.#out.cancel();
    this.#header(xid, zxid, err);
  }

  #header(xid: number, zxid: Long, err: number): void {
    writeReplyHeader(this.#out.begin(), xid, zxid, err);
    this.#end();
  }

  /** A watch has seen something. */
  event(type: number, path: string): void {
    if (this.#state !== 'open') return;
    const w = this.#out.begin();
    writeReplyHeader(w, Xid.notification, MINUS_ONE, Err.ok);
    encodeWatcherEvent(w, type, SYNC_CONNECTED, path);
    this.#host.stats.eventBytes += this.#end();
  }

  #shift(): Pending {
    const pending = this.#queue.shift()!;
    this.#host.left(pending.bytes);
    return pending;
  }

  // ---- bytes out ----

  /** Ends a frame; returns its length. */
  #end(): number {
    const length = this.#out.end();
    this.stats.packetOut(length);
    if (!this.#flushDue) {
      this.#flushDue = true;
      this.#host.dirty(this);
    }
    if (this.#out.isTooMuch) this.close('it does not read what it is sent');
    return length;
  }

  /** Sends `text` and ends the connection: the answer to a word. */
  answerText(bytes: Uint8Array): void {
    if (this.#state === 'closed') return;
    this.stats.sent++;
    this.#host.stats.sent++;
    this.#out.raw(bytes);
    this.finish();
  }

  flush(): void {
    this.#flushDue = false;
    this.#out.flush();
  }

  // ---- the end ----

  /** Takes nothing more, and ends when everything has been sent. */
  finish(): void {
    if (this.#state === 'closed') return;
    this.#state = 'ending';
    this.#drop();
    // The other side's end is told only to those who read.
    if (this.#paused) this.#socket.resume();
    this.flush();
    if (this.#out.isEmpty) this.#socket.end();
  }

  /** Ends at once. `reason` is empty for a client that has gone by itself. */
  close(reason: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#drop();
    this.#out.close();
    this.#socket.destroy();
    this.#host.over(this, reason);
  }

  #drop(): void {
    while (this.#queue.length > 0) this.#shift();
    this.#input.clear();
  }
}
