import type { Clock, TimerHandle } from '../seams/clock.ts';
import type { ByteSocket, SocketHandler } from '../seams/sockets.ts';
import type { QuorumLink, QuorumLinkHandler } from '../seams/transport.ts';
import { JuteWriter } from '../wire/jute.ts';
import { encodeQuorumMessage, QuorumDecoder } from '../wire/quorum.ts';
import type { QuorumMessage } from '../zab/messages.ts';

/** An output buffer begins with this size and is replaced when a burst has made it larger than the limit, in bytes. */
const OUT_BYTES = 64 * 1024;
const OUT_LIMIT = 1024 * 1024;

export interface TcpQuorumLinkOptions {
  readonly clock: Clock;
  /** Who we are on this link: the one that accepts is the leader. */
  readonly side: 'leader' | 'learner';
  readonly remote: string;
  readonly maxPacket: number;
  /** ms until a socket that is still connecting is given up. */
  readonly connectTimeout: number;
  /** Called once, when the link is over for whatever reason, before the handler is told. */
  readonly released: (link: TcpQuorumLink, reason: string) => void;
  /** Called once, when nothing is left of the socket. */
  readonly gone: (socket: ByteSocket) => void;
}

/**
 * A quorum link over a socket. Messages are encoded at once into one of two buffers; at the end of the turn the buffer goes out in one write. While the network
 * has not taken it, the other one fills up: so there is one write at a time and no memory is allocated per write.
 */
export class TcpQuorumLink implements QuorumLink, SocketHandler {
  readonly remote: string;
  readonly #clock: Clock;
  readonly #released: TcpQuorumLinkOptions['released'];
  readonly #gone: TcpQuorumLinkOptions['gone'];
  readonly #decoder: QuorumDecoder;
  readonly #batch: QuorumMessage[] = [];
  #socket!: ByteSocket;
  #handler: QuorumLinkHandler | null = null;
  #out = new JuteWriter(OUT_BYTES);
  #spare = new JuteWriter(OUT_BYTES);
  /** Bytes of the write that the network has not taken yet. */
  #inFlight = 0;
  #connected: boolean;
  #flushDue = false;
  #closed = false;
  #connectTimer: TimerHandle | null = null;

  constructor(options: TcpQuorumLinkOptions) {
    this.#clock = options.clock;
    this.#released = options.released;
    this.#gone = options.gone;
    this.remote = options.remote;
    this.#decoder = new QuorumDecoder(options.side, options.maxPacket);
    this.#connected = options.side === 'leader';
    if (!this.#connected) this.#connectTimer = this.#clock.setTimer(options.connectTimeout, () => this.fail('connect timeout'));
  }

  /** The socket whose handler this is. Must be set in the turn that made the link, before anything else is done with it. */
  carry(socket: ByteSocket): void {
    this.#socket = socket;
  }

  /** Who is told. Must be set in the turn that made the link. */
  attach(handler: QuorumLinkHandler): void {
    if (!this.#closed) this.#handler = handler;
  }

  get buffered(): number {
    return this.#inFlight + this.#out.pos;
  }

  send(message: QuorumMessage): void {
    if (this.#closed) return;
    encodeQuorumMessage(this.#out, message);
    if (!this.#flushDue && this.#connected && this.#inFlight === 0) this.#flushLater();
  }

  close(reason: string): void {
    this.#handler = null;
    this.fail(reason);
  }

  /** Ends the link and tells the owner, if it has not closed it itself. Not to be called from inside a call of the owner. */
  fail(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopConnectTimer();
    this.#socket.destroy();
    this.#released(this, reason);
    const handler = this.#handler;
    this.#handler = null;
    handler?.closed(reason);
  }

  opened(): void {
    if (this.#closed) return;
    this.#stopConnectTimer();
    this.#connected = true;
    this.#flush();
  }

  ended(): void {
    this.fail('closed by the other side');
  }

  closed(reason: string): void {
    this.fail(reason === '' ? 'connection closed' : reason);
    this.#gone(this.#socket);
  }

  #stopConnectTimer(): void {
    if (this.#connectTimer !== null) this.#clock.clearTimer(this.#connectTimer);
    this.#connectTimer = null;
  }

  #flushLater(): void {
    this.#flushDue = true;
    this.#clock.defer(this.#flush);
  }

  readonly #flush = (): void => {
    this.#flushDue = false;
    const out = this.#out;
    if (this.#closed || this.#inFlight > 0 || out.pos === 0) return;
    this.#out = this.#spare;
    this.#spare = out;
    this.#inFlight = out.pos;
    this.#socket.write(out.view(), this.#written);
  };

  readonly #written = (): void => {
    if (this.#closed) return;
    this.#inFlight = 0;
    if (this.#spare.buf.length > OUT_LIMIT) this.#spare = new JuteWriter(OUT_BYTES);
    else this.#spare.reset();
    if (this.#out.pos > 0) this.#flush();
    else this.#handler?.drained();
  };

  data(chunk: Uint8Array): void {
    if (this.#closed) return;
    const batch = this.#batch;
    let bad: Error | null = null;
    try {
      this.#decoder.push(chunk, batch);
    } catch (error) {
      // Whatever it is, these bytes caused it: it ends this link, not the process.
      bad = error as Error;
    }
    if (batch.length > 0) {
      this.#handler?.messages(batch);
      batch.length = 0;
    }
    if (bad !== null) this.fail(`bad input: ${bad.message}`);
  }
}
