import Long from 'long';
import { connectSession } from '../../src/client/connect.ts';
import type { ConnectOptions } from '../../src/client/options.ts';
import { Op } from '../../src/model/codes.ts';
import { ZabError } from '../../src/model/errors.ts';
import { makeZxid } from '../../src/model/zxid.ts';
import type { Session, SessionState } from '../../src/node/api.ts';
import type { Clock } from '../../src/seams/clock.ts';
import type { ByteSocket, SocketHandler, Sockets } from '../../src/seams/sockets.ts';
import { type ConnectRequest, type ConnectResponse, decodeConnectRequest, encodeConnectResponse } from '../../src/wire/client-connect.ts';
import { encodeWatcherEvent, writeReplyHeader } from '../../src/wire/client-replies.ts';
import { decodeReadRequest, isReadOp } from '../../src/wire/client-requests.ts';
import { JuteReader, JuteWriter } from '../../src/wire/jute.ts';
import { decodeRequestBody } from '../../src/wire/requests.ts';

/** Lets every promise that is settled be seen. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface FakeTimer {
  readonly at: number;
  readonly fn: () => void;
}

/** Time that passes when the test says so. */
export class FakeClock implements Clock {
  #now = 1000;
  readonly timers = new Set<FakeTimer>();
  #deferred: (() => void)[] = [];

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#now;
  }

  setTimer(ms: number, fn: () => void): FakeTimer {
    const timer = { at: this.#now + Math.max(ms, 0), fn };
    this.timers.add(timer);
    return timer;
  }

  clearTimer(handle: unknown): void {
    this.timers.delete(handle as FakeTimer);
  }

  defer(fn: () => void): void {
    this.#deferred.push(fn);
  }

  /** Ends the turn: runs what was deferred, and what follows from it. */
  async turn(): Promise<void> {
    do {
      await settled();
      for (const fn of this.#deferred.splice(0)) fn();
      await settled();
    } while (this.#deferred.length > 0);
  }

  /** Lets time pass, timer by timer. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.turn();
    for (;;) {
      const next = [...this.timers].sort((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > end) break;
      this.#now = Math.max(next.at, this.#now);
      this.timers.delete(next);
      next.fn();
      await this.turn();
    }
    this.#now = end;
  }

  /** The process stands still: time passes, and nothing is done. */
  stall(ms: number): void {
    this.#now += ms;
  }
}

/** A request as the server reads it. */
export interface FakeRequest {
  readonly xid: number;
  readonly op: number;
  // biome-ignore lint/suspicious/noExplicitAny: the record of whichever operation
  readonly record: any;
}

/** The server's end of a connection. */
export class FakeConnection implements ByteSocket {
  readonly remote: string;
  readonly pending = 0;
  hello: ConnectRequest | null = null;
  /** Bytes that came before a ConnectRequest could be read: a four-letter word. */
  word = '';
  readonly requests: FakeRequest[] = [];
  /** How many writes have come. */
  writes = 0;
  /** The client has ended it. */
  isGone = false;
  #isClosed = false;
  readonly #clock: FakeClock;

  constructor(
    readonly host: string,
    readonly port: number,
    readonly client: SocketHandler,
    clock: FakeClock,
  ) {
    this.remote = `${host}:${port}`;
    this.#clock = clock;
  }

  // ---- the client's end ----

  write(bytes: Uint8Array): void {
    this.writes++;
    if (bytes.length === 4) {
      this.word = String.fromCharCode(...bytes);
      return;
    }
    for (let at = 0; at < bytes.length; ) {
      const length = new JuteReader(bytes, at).int();
      this.#frame(new JuteReader(bytes, at + 4, at + 4 + length));
      at += 4 + length;
    }
  }

  #frame(r: JuteReader): void {
    if (this.hello === null) {
      this.hello = decodeConnectRequest(r);
      return;
    }
    const xid = r.int();
    const op = r.int();
    const record = isReadOp(op) ? decodeReadRequest(op, r) : decodeRequestBody(op, r.buf.subarray(r.pos, r.end));
    this.requests.push({ xid, op, record });
  }

  end(): void {}
  pause(): void {}
  resume(): void {}

  destroy(): void {
    if (this.isGone || this.#isClosed) return;
    this.isGone = true;
    this.#clock.defer(() => this.client.closed(''));
  }

  // ---- the server's end ----

  /** The connection stands. */
  accept(): void {
    this.client.opened();
  }

  send(write: (w: JuteWriter) => void): void {
    const w = new JuteWriter();
    w.int(0);
    write(w);
    w.setInt(0, w.pos - 4);
    this.raw(w.copy());
  }

  raw(bytes: Uint8Array): void {
    if (!this.isGone && !this.#isClosed) this.client.data(bytes);
  }

  /** Answers the handshake. */
  welcome(response: Partial<ConnectResponse> = {}): void {
    const { sessionId = Long.fromNumber(77, true), timeout = 9000, password = new Uint8Array(16).fill(7), readOnly = false } = response;
    this.send((w) => encodeConnectResponse(w, { protocolVersion: 0, timeout, sessionId, password, readOnly }));
  }

  /** Answers a request; `zxid` is the counter in epoch 1. */
  reply(xid: number, zxid = 1, err = 0, body: (w: JuteWriter) => void = () => {}): void {
    this.send((w) => {
      writeReplyHeader(w, xid, makeZxid(1, zxid), err);
      if (err === 0) body(w);
    });
  }

  event(type: number, path: string, zxid: Long = Long.fromInt(-1).toUnsigned()): void {
    this.send((w) => {
      writeReplyHeader(w, -1, zxid, 0);
      encodeWatcherEvent(w, type, 3, path);
    });
  }

  /** The server ends the connection. */
  close(reason = 'reset'): void {
    if (this.isGone || this.#isClosed) return;
    this.#isClosed = true;
    this.client.closed(reason);
  }

  /** The last request of an operation. */
  last(op: number): FakeRequest {
    const request = this.requests.findLast((r) => r.op === op);
    if (request === undefined) throw new Error(`no request with operation ${op}; there are ${this.requests.map((r) => r.op).join(' ')}`);
    return request;
  }

  get ops(): number[] {
    return this.requests.map((request) => request.op);
  }
}

export class FakeSockets implements Sockets {
  /** All connections so far, in the order dialled. */
  readonly dialled: FakeConnection[] = [];
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  connect(host: string, port: number, handler: SocketHandler): ByteSocket {
    const connection = new FakeConnection(host, port, handler, this.#clock);
    this.dialled.push(connection);
    return connection;
  }

  listen(): void {
    throw new Error('a client does not listen');
  }

  lookup(): void {
    throw new Error('a client looks nothing up');
  }
}

/** A client with servers that a test plays. Chance always takes the highest: lists keep their order. */
export class Lab {
  readonly clock = new FakeClock();
  readonly sockets = new FakeSockets(this.clock);
  readonly log: string[] = [];

  connect(servers = 'a:1,b:2,c:3', options: Partial<ConnectOptions> = {}): Promise<Session> {
    return connectSession(servers, {
      sockets: this.sockets,
      clock: this.clock,
      random: { below: (bound) => bound - 1 },
      logger: (level, message) => this.log.push(`${level}: ${message}`),
      timeout: 9000,
      ...options,
    });
  }

  /** The newest connection. */
  get server(): FakeConnection {
    const connection = this.sockets.dialled.at(-1);
    if (connection === undefined) throw new Error('nothing was dialled');
    return connection;
  }

  /** Sockets that stand. */
  get open(): FakeConnection[] {
    return this.sockets.dialled.filter((connection) => !connection.isGone);
  }

  /** An open session and the server that serves it. */
  async session(
    options: Partial<ConnectOptions> = {},
    servers = 'a:1,b:2,c:3',
  ): Promise<{ session: Session; server: FakeConnection; states: SessionState[] }> {
    const opening = this.connect(servers, options);
    this.server.accept();
    this.server.welcome();
    await this.clock.turn();
    const session = await opening;
    const states: SessionState[] = [];
    session.on('state', (state) => states.push(state));
    return { session, server: this.server, states };
  }

  /** The client comes again after a loss; returns the new server, before it has answered. */
  async redial(): Promise<FakeConnection> {
    const before = this.sockets.dialled.length;
    for (let i = 0; this.sockets.dialled.length === before; i++) {
      if (i === 100) throw new Error('the client does not come again');
      await this.clock.advance(50);
    }
    this.server.accept();
    return this.server;
  }

  /** The client comes again and is welcome. */
  async reconnect(response: Partial<ConnectResponse> = {}): Promise<FakeConnection> {
    const server = await this.redial();
    server.welcome(response);
    await this.clock.turn();
    return server;
  }
}

/** What a call was refused or failed with. */
export async function failure(call: Promise<unknown>): Promise<{ code: string; outcome: string; message: string }> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof ZabError)) throw error;
    return { code: error.code, outcome: error.outcome, message: error.message };
  }
  throw new Error('the call did not fail');
}

/** A body for a reply that is a Stat. */
export function statBody(version = 0): (w: JuteWriter) => void {
  return (w) => {
    for (let i = 0; i < 4; i++) w.longNumber(5);
    w.int(version);
    w.int(0);
    w.int(0);
    w.longNumber(0);
    w.int(0);
    w.int(0);
    w.longNumber(5);
  };
}

export const isPing = ({ op }: FakeRequest): boolean => op === Op.ping;
