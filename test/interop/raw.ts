import { connect as dial, type Socket } from 'node:net';
import Long from 'long';
import type { SyncRequest, WriteRequest } from '../../src/model/records.ts';
import { type ConnectRequest, type ConnectResponse, decodeConnectResponse, encodeConnectRequest } from '../../src/wire/client-connect.ts';
import { decodeWatcherEvent, readReplyHeader } from '../../src/wire/client-replies.ts';
import { encodeReadRequest, isReadOp, type ReadRequest, writeRequestHeader, Xid } from '../../src/wire/client-requests.ts';
import { JuteReader, JuteWriter } from '../../src/wire/jute.ts';
import { encodeRequestBody } from '../../src/wire/requests.ts';

/* A client of ZooKeeper's protocol that hides nothing: every frame as it comes, and any bytes at all to send. */

export interface RawReply {
  readonly kind: 'reply';
  readonly xid: number;
  readonly zxid: Long;
  readonly err: number;
  /** What stands behind the header. */
  readonly body: Uint8Array;
}

export interface RawEvent {
  readonly kind: 'event';
  readonly zxid: Long;
  readonly type: number;
  readonly state: number;
  readonly path: string;
}

/** What a server sends after its first frame. */
export type RawFrame = RawReply | RawEvent;

/** Any request that has a codec. */
export type AnyRequest = WriteRequest | SyncRequest | ReadRequest;

/** The server has closed the connection, or it broke, before the answer. */
export class ConnectionClosed extends Error {
  override readonly name = 'ConnectionClosed';
}

/** Longest wait for an answer, ms: past it a test fails with the name of what it waits for instead of its own time limit. */
const PATIENCE = 30_000;

const NEW_SESSION: ConnectRequest = {
  protocolVersion: 0,
  lastZxidSeen: Long.UZERO,
  timeout: 30_000,
  sessionId: Long.UZERO,
  password: new Uint8Array(16),
  readOnly: false,
};

/** The bytes that `write` makes. */
export function bytesOf(write: (w: JuteWriter) => void): Uint8Array {
  const w = new JuteWriter(64);
  write(w);
  return w.copy();
}

/** `payload` as a frame, behind its length or behind another one that is claimed. */
export function frameOf(payload: Uint8Array, length = payload.length): Uint8Array {
  return bytesOf((w) => {
    w.int(length);
    w.raw(payload);
  });
}

/** A request's payload: header and body. */
export function requestOf(xid: number, op: number, body: Uint8Array): Uint8Array {
  return bytesOf((w) => {
    writeRequestHeader(w, xid, op);
    w.raw(body);
  });
}

export const bodyOf = (request: AnyRequest): Uint8Array =>
  bytesOf((w) => (isRead(request) ? encodeReadRequest(w, request) : encodeRequestBody(w, request)));

const isRead = (request: AnyRequest): request is ReadRequest => isReadOp(request.op);

export class RawClient {
  /** Replies and events in the order in which they came; a test may take away what it has looked at. */
  readonly frames: RawFrame[] = [];
  /** Resolves when nothing is left of the connection. */
  readonly closed: Promise<void>;
  isClosed = false;
  sessionId = Long.UZERO;
  password: Uint8Array = new Uint8Array(16);
  /** Granted timeout, ms. */
  timeout = 0;
  readonly #socket: Socket;
  readonly #waiting: Waiter[] = [];
  readonly #watchers = new Set<() => void>();
  #hello: ((response: ConnectResponse | 'closed') => void) | null = null;
  #greeted = false;
  #chunks: Uint8Array[] = [];
  #unread = 0;
  /** Bytes that the next frame takes, as far as is known. */
  #wanted = 4;
  #corked = false;
  #lastXid = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#data(chunk));
    socket.on('end', () => socket.destroy());
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#ended();
        resolve();
      });
    });
  }

  /** A connection on which nothing has been said. */
  static dial(port: number, host = '127.0.0.1'): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = dial({ port, host });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RawClient(socket)));
    });
  }

  /** A connection with a session. Throws {@link ConnectionClosed} when the server refuses it. */
  static async connect(port: number, wanted: Partial<ConnectRequest> = {}): Promise<RawClient> {
    const client = await RawClient.dial(port);
    const response = await client.hello(wanted);
    if (response === 'closed' || response.timeout === 0) throw new ConnectionClosed(`port ${port} refuses the session`);
    return client;
  }

  /** Sends the first frame; the answer, or 'closed' when the connection ends without one. */
  hello(wanted: Partial<ConnectRequest> = {}): Promise<ConnectResponse | 'closed'> {
    return this.helloAs(frameOf(bytesOf((w) => encodeConnectRequest(w, { ...NEW_SESSION, ...wanted }))));
  }

  /** Sends `bytes` as the first frame, its length included. */
  helloAs(bytes: Uint8Array): Promise<ConnectResponse | 'closed'> {
    const answer = new Promise<ConnectResponse | 'closed'>((resolve) => {
      if (this.isClosed) return resolve('closed');
      this.#hello = resolve;
    });
    this.write(bytes);
    return patient('the first frame', answer);
  }

  /** Sends a request and gives its reply, whatever it says. Throws {@link ConnectionClosed} when there is none. */
  async call(request: AnyRequest): Promise<RawReply> {
    const outcome = await this.send(request.op, bodyOf(request));
    if (outcome === 'closed') throw new ConnectionClosed(`no answer to operation ${request.op}`);
    return outcome;
  }

  /** Sends any operation with any body. What is sent in one turn of the event loop leaves in one write. The reply has the number of the request, or `answeredAs`. */
  send(op: number, body: Uint8Array, xid = this.nextXid(), answeredAs = xid): Promise<RawReply | 'closed'> {
    const answer = this.expect(answeredAs);
    this.write(frameOf(requestOf(xid, op, body)));
    return patient(`the answer to operation ${op} (xid ${xid})`, answer);
  }

  ping(): Promise<RawReply | 'closed'> {
    return this.send(11, new Uint8Array(0), Xid.ping);
  }

  nextXid(): number {
    return ++this.#lastXid;
  }

  /** The next reply with this xid; to be called before the request is written. */
  expect(xid: number): Promise<RawReply | 'closed'> {
    return new Promise((resolve) => {
      if (this.isClosed) resolve('closed');
      else this.#waiting.push({ xid, resolve });
    });
  }

  /** Bytes as they are. */
  write(bytes: Uint8Array): void {
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      queueMicrotask(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(bytes);
  }

  /** Resolves when a frame that came, or comes, satisfies `is`. */
  seen(what: string, is: (frame: RawFrame) => boolean): Promise<void> {
    return patient(
      what,
      new Promise((resolve, reject) => {
        const look = () => {
          if (this.frames.some(is)) resolve();
          else if (this.isClosed) reject(new ConnectionClosed(`the connection ended before ${what}`));
          else return;
          this.#watchers.delete(look);
        };
        this.#watchers.add(look);
        look();
      }),
    );
  }

  /** Takes nothing more from the network, as a client that has stopped reading. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Says that nothing more comes, and goes on reading. */
  endWriting(): void {
    this.#socket.end();
  }

  /** Drops the connection; the session lives on. */
  drop(): Promise<void> {
    this.#socket.destroy();
    return this.closed;
  }

  #data(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#unread += chunk.length;
    // A large frame comes in many chunks, which are put together once.
    if (this.#unread < this.#wanted) return;
    const received = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    let at = 0;
    while (received.length - at >= 4) {
      const length = new JuteReader(received, at).int();
      this.#wanted = 4 + length;
      if (received.length - at < this.#wanted) break;
      at += 4;
      this.#frame(new JuteReader(received, at, at + length));
      at += length;
      this.#wanted = 4;
    }
    this.#chunks = [received.subarray(at)];
    this.#unread = received.length - at;
    for (const look of [...this.#watchers]) look();
  }

  #frame(r: JuteReader): void {
    if (!this.#greeted) return this.#greet(decodeConnectResponse(r));
    const { xid, zxid, err } = readReplyHeader(r);
    // Somebody may use the number of events for a request; events have no zxid.
    if (xid === Xid.notification && zxid.equals(Long.MAX_UNSIGNED_VALUE)) {
      this.frames.push({ kind: 'event', zxid, ...decodeWatcherEvent(r) });
      return;
    }
    // A copy: the chunk that it is in would stay in memory with it.
    const reply: RawReply = { kind: 'reply', xid, zxid, err, body: Uint8Array.from(r.buf.subarray(r.pos, r.end)) };
    this.frames.push(reply);
    const first = this.#waiting.findIndex((waiter) => waiter.xid === xid);
    if (first !== -1) this.#waiting.splice(first, 1)[0].resolve(reply);
  }

  #greet(response: ConnectResponse): void {
    this.#greeted = true;
    this.sessionId = response.sessionId;
    this.password = response.password;
    this.timeout = response.timeout;
    this.#hello?.(response);
  }

  #ended(): void {
    this.isClosed = true;
    if (!this.#greeted) this.#hello?.('closed');
    for (const waiter of this.#waiting.splice(0)) waiter.resolve('closed');
    for (const look of [...this.#watchers]) look();
  }
}

interface Waiter {
  readonly xid: number;
  readonly resolve: (reply: RawReply | 'closed') => void;
}

/** `promise`, or an error that says what was awaited in vain. */
async function patient<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} has not come within ${PATIENCE} ms`)), PATIENCE);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}
