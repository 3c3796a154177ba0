import { Op } from '../model/codes.ts';
import type { ByteSocket, SocketHandler, Sockets } from '../seams/sockets.ts';
import { type ConnectRequest, type ConnectResponse, decodeConnectRequest, decodeConnectResponse } from '../wire/client-connect.ts';
import { decodeWatcherEvent, type ReplyHeader, readReplyHeader, type WatcherEvent } from '../wire/client-replies.ts';
import { Xid } from '../wire/client-requests.ts';
import { JuteReader } from '../wire/jute.ts';

/**
 * What a session over the wire says and hears on its connections, one after the other, as its own process sees it: what it says in the moment in which the network gets it, and what it hears when the client
 * has taken the whole piece of data that it came in. Whoever listens must change nothing. `server` is an id.
 */
export interface WireProbe {
  /** Asks a server for a session, or to go on with one: the first on each connection. */
  asks(server: number, request: ConnectRequest): void;
  /** The server's answer to that; a timeout of 0 says that there is no such session. */
  answered(server: number, response: ConnectResponse): void;
  sent(xid: number, op: number): void;
  /** `op` is that of the request. */
  replied(op: number, header: ReplyHeader): void;
  told(event: WatcherEvent): void;
  /** The connection on which it has asked is over, for the client. */
  ended(server: number): void;
}

/** Takes a stream of bytes apart into frames. */
class Frames {
  #rest = new Uint8Array(0);

  /** The frames that are complete with this piece, in memory of their own. */
  push(piece: Uint8Array): JuteReader[] {
    const bytes = new Uint8Array(this.#rest.length + piece.length);
    bytes.set(this.#rest);
    bytes.set(piece, this.#rest.length);
    const frames: JuteReader[] = [];
    let at = 0;
    while (bytes.length - at >= 4) {
      const end = at + 4 + new DataView(bytes.buffer).getInt32(at);
      if (end > bytes.length) break;
      frames.push(new JuteReader(bytes, at + 4, end));
      at = end;
    }
    this.#rest = bytes.subarray(at);
    return frames;
  }
}

/** Four-letter words have no frames: `isro` as a number. */
const IS_READ_ONLY = 0x6973726f;

/** Connections that tell what goes over them. `serverAt` gives the id of the server with a name. */
export function tapSockets(inner: Sockets, serverAt: (host: string) => number, probes: readonly WireProbe[]): Sockets {
  return {
    ...inner,
    connect: (host, port, handler) => {
      const tap = new Tap(serverAt(host), probes, handler);
      tap.socket = inner.connect(host, port, tap);
      return tap;
    },
  };
}

/** A connection and its handler at once: what is between the client and the network. */
class Tap implements ByteSocket, SocketHandler {
  socket!: ByteSocket;
  readonly #server: number;
  readonly #probes: readonly WireProbe[];
  readonly #handler: SocketHandler;
  readonly #out = new Frames();
  readonly #in = new Frames();
  /** Operations of the requests that are not answered, by number. */
  readonly #ops = new Map<number, number>([
    [Xid.ping, Op.ping],
    [Xid.auth, Op.auth],
  ]);
  /** `question`: not a session's connection, but a word. */
  #state: 'new' | 'asked' | 'answered' | 'question' | 'over' = 'new';
  /** The client takes a piece of data, and has given the connection up meanwhile. */
  #hearing = false;
  #destroyed = false;

  constructor(server: number, probes: readonly WireProbe[], handler: SocketHandler) {
    this.#server = server;
    this.#probes = probes;
    this.#handler = handler;
  }

  get remote(): string {
    return this.socket.remote;
  }
  get pending(): number {
    return this.socket.pending;
  }
  write(bytes: Uint8Array, taken?: () => void): void {
    if (this.#state === 'new' && new JuteReader(bytes).int() === IS_READ_ONLY) this.#state = 'question';
    if (this.#state !== 'question' && this.#state !== 'over') for (const frame of this.#out.push(bytes)) this.#says(frame);
    this.socket.write(bytes, taken);
  }
  end(): void {
    this.socket.end();
  }
  pause(): void {
    this.socket.pause();
  }
  resume(): void {
    this.socket.resume();
  }
  destroy(): void {
    this.socket.destroy();
    if (this.#hearing) this.#destroyed = true;
    else this.#over();
  }

  opened(): void {
    this.#handler.opened();
  }
  data(chunk: Uint8Array): void {
    const frames = this.#state === 'question' || this.#state === 'over' ? [] : this.#in.push(chunk);
    this.#hearing = true;
    this.#handler.data(chunk);
    this.#hearing = false;
    for (const frame of frames) this.#hears(frame);
    if (this.#destroyed) this.#over();
  }
  ended(): void {
    this.#handler.ended();
  }
  closed(reason: string): void {
    this.#over();
    this.#handler.closed(reason);
  }

  #tell(tell: (probe: WireProbe) => void): void {
    for (const probe of this.#probes) tell(probe);
  }

  #says(frame: JuteReader): void {
    if (this.#state === 'new') {
      const request = decodeConnectRequest(frame);
      this.#state = 'asked';
      return this.#tell((probe) => probe.asks(this.#server, request));
    }
    const xid = frame.int();
    const op = frame.int();
    this.#ops.set(xid, op);
    this.#tell((probe) => probe.sent(xid, op));
  }

  #hears(frame: JuteReader): void {
    if (this.#state === 'asked') {
      const response = decodeConnectResponse(frame);
      this.#state = 'answered';
      return this.#tell((probe) => probe.answered(this.#server, response));
    }
    const header = readReplyHeader(frame);
    if (header.xid === Xid.notification) {
      const event = decodeWatcherEvent(frame);
      return this.#tell((probe) => probe.told(event));
    }
    const op = this.#ops.get(header.xid) ?? 0;
    if (header.xid >= 0) this.#ops.delete(header.xid);
    this.#tell((probe) => probe.replied(op, header));
  }

  #over(): void {
    const was = this.#state;
    this.#state = 'over';
    if (was === 'asked' || was === 'answered') this.#tell((probe) => probe.ended(this.#server));
  }
}
