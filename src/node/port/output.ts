import type { ByteSocket } from '../../seams/sockets.ts';
import { JuteWriter } from '../../wire/jute.ts';

/** A buffer begins with this size, and is dropped instead of being used again when a burst has made it larger than the limit, bytes. */
const OUT_BYTES = 16 * 1024;
const OUT_LIMIT = 256 * 1024;
/** Buffers that are kept for later. */
const POOL = 256;
/** With more than this to send, no more requests are taken from a client until it has read some, bytes. */
const HIGH_WATER = 1 << 20;
/** What a client does not read, events or the answers to reads that it sent behind a write, piles up to this, bytes; then its connection is closed. */
const MAX_BACKLOG = 64 << 20;
/** The same for all clients together: beyond it, requests are taken only from those who have read everything, and whose backlog is above the high-water mark is closed when more comes. */
const MAX_TOGETHER = 256 << 20;

/** Output buffers of all connections: thousands of them share a few, for most have nothing to say at a time. */
export class OutputPool {
  readonly #idle: JuteWriter[] = [];
  /** Bytes in frames that the network has not taken, of all connections. */
  waiting = 0;

  get isCrowded(): boolean {
    return this.waiting > MAX_TOGETHER;
  }

  take(): JuteWriter {
    return this.#idle.pop() ?? new JuteWriter(OUT_BYTES);
  }

  give(writer: JuteWriter): void {
    if (writer.buf.length > OUT_LIMIT || this.#idle.length >= POOL) return;
    writer.reset();
    this.#idle.push(writer);
  }
}

/**
 * What goes out on one connection: frames are written at once into a buffer that goes out in one write per turn. While the network has not taken it the next one fills up.
 */
export class Output {
  readonly #pool: OutputPool;
  readonly #socket: ByteSocket;
  readonly #drained: () => void;
  #writer: JuteWriter | null = null;
  #inFlight: JuteWriter | null = null;
  /** Where the frame begins that is being written. */
  #frame = 0;
  /** What this connection has of the pool's `waiting`. */
  #waiting = 0;
  #closed = false;

  /** `drained` is called when the network has taken everything. */
  constructor(pool: OutputPool, socket: ByteSocket, drained: () => void) {
    this.#pool = pool;
    this.#socket = socket;
    this.#drained = drained;
  }

  /** Bytes that the network has not taken. */
  get buffered(): number {
    return this.#waiting;
  }

  /** Whether more requests may be taken, which make more answers. */
  get hasRoom(): boolean {
    return this.#pool.isCrowded ? this.isEmpty : this.buffered < HIGH_WATER;
  }

  /** Whether the client reads too little of what it is sent. */
  get isTooMuch(): boolean {
    return this.buffered > (this.#pool.isCrowded ? HIGH_WATER : MAX_BACKLOG);
  }

  get isEmpty(): boolean {
    return this.#writer === null && this.#inFlight === null;
  }

  /** Begins a frame; what is written into the result until {@link end} is its content. */
  begin(): JuteWriter {
    this.#writer ??= this.#pool.take();
    this.#frame = this.#writer.pos;
    this.#writer.int(0);
    return this.#writer;
  }

  /** Ends the frame; returns the length of its content. */
  end(): number {
    const w = this.#writer!;
    const length = w.pos - this.#frame - 4;
    w.setInt(this.#frame, length);
    this.#waits(length + 4);
    return length;
  }

  /** Takes back what was written since {@link begin}. */
  cancel(): void {
    this.#writer!.pos = this.#frame;
  }

  /** Bytes without a frame. */
  raw(bytes: Uint8Array): void {
    this.#writer ??= this.#pool.take();
    this.#writer.raw(bytes);
    this.#waits(bytes.length);
  }

  #waits(bytes: number): void {
    if (this.#closed) return;
    this.#waiting += bytes;
    this.#pool.waiting += bytes;
  }

  flush(): void {
    const out = this.#writer;
    if (out === null || this.#inFlight !== null || this.#closed) return;
    this.#writer = null;
    if (out.pos === 0) return this.#pool.give(out);
    this.#inFlight = out;
    this.#socket.write(out.view(), this.#taken);
  }

  readonly #taken = (): void => {
    if (this.#inFlight !== null) {
      this.#waits(-this.#inFlight.pos);
      this.#pool.give(this.#inFlight);
    }
    this.#inFlight = null;
    if (this.#writer !== null) this.flush();
    if (this.isEmpty) this.#drained();
  };

  /** Nothing goes out any more. */
  close(): void {
    if (this.#closed) return;
    this.#waits(-this.#waiting);
    this.#closed = true;
    if (this.#writer !== null) this.#pool.give(this.#writer);
    this.#writer = null;
    // What the network may still read from is left to the garbage collector.
    this.#inFlight = null;
  }
}
