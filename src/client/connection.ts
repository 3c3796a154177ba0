import { Err } from '../model/codes.ts';
import { ZabError } from '../model/errors.ts';
import { Input } from '../node/port/input.ts';
import type { Clock } from '../seams/clock.ts';
import type { Logger } from '../seams/logger.ts';
import type { ByteSocket, SocketHandler, Sockets } from '../seams/sockets.ts';
import { type ConnectRequest, type ConnectResponse, decodeConnectResponse, encodeConnectRequest } from '../wire/client-connect.ts';
import { type ReplyHeader, readReplyHeader } from '../wire/client-replies.ts';
import { encodeReadRequest, isReadOp, type ReadRequest, writeRequestHeader } from '../wire/client-requests.ts';
import { JuteReader, JuteWriter } from '../wire/jute.ts';
import { encodeRequestBody } from '../wire/requests.ts';
import type { ClientAddress } from './address.ts';
import type { ClientRequest } from './chroot.ts';

/** Whom a connection tells what comes. */
export interface ConnectionOwner {
  /** The server's first frame. */
  accepted(response: ConnectResponse): void;
  /** A reply or an event. What is thrown ends the connection. */
  received(header: ReplyHeader, body: JuteReader): void;
  /** Exactly once and last, whoever ended it. */
  ended(reason: string): void;
}

/** What a connection needs of its surroundings. */
export interface ConnectionParts {
  readonly sockets: Sockets;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Largest frames that are sent and taken, bytes. */
  readonly maxRequestBytes: number;
  readonly maxReplyBytes: number;
}

/** A batch that grew beyond this gives its memory back, bytes. */
const KEPT_BYTES = 65_536;

const isRead = (record: ClientRequest): record is ReadRequest => isReadOp(record.op);

/**
 * One connection to one server: frames in both directions, beginning with the handshake (PROTOCOL 1, 4). All requests of a turn of the event loop leave in one write. Anything that
 * is no ZooKeeper protocol ends it.
 */
export class Connection implements SocketHandler {
  readonly address: ClientAddress;
  /** When something was last heard and sent, by the clock's `now`. */
  lastHeard: number;
  lastSent: number;
  readonly #parts: ConnectionParts;
  readonly #owner: ConnectionOwner;
  readonly #hello: ConnectRequest;
  readonly #socket: ByteSocket;
  readonly #input = new Input();
  readonly #reader: JuteReader;
  #batch = new JuteWriter();
  #accepted = false;
  #over = false;
  #flushPlanned = false;
  #requests = 0;
  #written = 0;

  /** Begins to connect; `hello` is what it says first. */
  constructor(parts: ConnectionParts, address: ClientAddress, hello: ConnectRequest, owner: ConnectionOwner) {
    this.#parts = parts;
    this.address = address;
    this.#hello = hello;
    this.#owner = owner;
    this.#reader = new JuteReader(new Uint8Array(0), 0, 0, parts.maxReplyBytes);
    this.lastHeard = this.lastSent = parts.clock.now();
    this.#socket = parts.sockets.connect(address.host, address.port, this);
  }

  get name(): string {
    return `${this.address.host}:${this.address.port}`;
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** Whether the `index`-th request was handed to the network: if not, it surely does not happen. */
  hasWritten(index: number): boolean {
    return index < this.#written;
  }

  /** Puts a request into this turn's batch; returns which one it is. Throws BAD_ARGUMENTS for one that servers would not take: it would end the connection. */
  send(xid: number, record: ClientRequest): number {
    const w = this.#batch;
    const start = w.pos;
    w.int(0);
    writeRequestHeader(w, xid, record.op);
    if (isRead(record)) encodeReadRequest(w, record);
    else encodeRequestBody(w, record);
    const bytes = w.pos - start - 4;
    w.setInt(start, bytes);
    if (bytes > this.#parts.maxRequestBytes) {
      w.pos = start;
      const what = `a request of ${bytes} bytes is over the limit of ${this.#parts.maxRequestBytes} (maxRequestBytes)`;
      throw new ZabError('BAD_ARGUMENTS', `BAD_ARGUMENTS (${Err.badArguments}): ${what}`);
    }
    if (!this.#flushPlanned) {
      this.#flushPlanned = true;
      this.#parts.clock.defer(this.#flush);
    }
    return this.#requests++;
  }

  readonly #flush = (): void => {
    this.#flushPlanned = false;
    if (this.#over) return;
    this.#written = this.#requests;
    this.#write(this.#batch);
    if (this.#batch.buf.length > KEPT_BYTES) this.#batch = new JuteWriter();
    else this.#batch.reset();
  };

  #write(w: JuteWriter): void {
    this.lastSent = this.#parts.clock.now();
    this.#socket.write(w.copy());
  }

  /** Ends it at once. */
  end(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket.destroy();
    this.#owner.ended(reason);
  }

  // ---- what the network tells ----

  opened(): void {
    if (this.#over) return;
    const w = new JuteWriter(64);
    w.int(0);
    encodeConnectRequest(w, this.#hello);
    w.setInt(0, w.pos - 4);
    this.#write(w);
  }

  data(chunk: Uint8Array): void {
    if (this.#over) return;
    this.lastHeard = this.#parts.clock.now();
    const input = this.#input;
    input.push(chunk);
    while (!this.#over && input.length >= 4) {
      const length = input.peekInt(0);
      if (length <= 0 || length > this.#parts.maxReplyBytes) return this.end(this.#badLength(length));
      if (input.length < 4 + length) break;
      const start = input.pos + 4;
      input.pos = start + length;
      this.#frame(start, start + length);
    }
    input.keep();
  }

  #badLength(length: number): string {
    return length <= 0
      ? `a frame of ${length} bytes: this is no ZooKeeper server`
      : `a reply of ${length} bytes is over the limit of ${this.#parts.maxReplyBytes} (maxReplyBytes), or this is no ZooKeeper server`;
  }

  #frame(start: number, end: number): void {
    const reader = this.#reader;
    reader.buf = this.#input.buf;
    reader.pos = start;
    reader.end = end;
    try {
      if (this.#accepted) {
        this.#owner.received(readReplyHeader(reader), reader);
      } else {
        this.#accepted = true;
        this.#owner.accepted(decodeConnectResponse(reader));
      }
    } catch (error) {
      this.#parts.logger('warn', `${this.name} sent what can't be read`, { error });
      this.end(`it sent what can't be read: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  ended(): void {
    this.end('the server closed the connection');
  }

  closed(reason: string): void {
    this.end(reason === '' ? 'the server closed the connection' : reason);
  }
}
