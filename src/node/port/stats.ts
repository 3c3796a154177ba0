import Long from 'long';
import type { Sizes, Spread } from './port-view.ts';

/* Counters on the way of every request: plain fields, no objects made. */

/** How long requests took, whole ms. */
export class Latencies {
  #min = Number.POSITIVE_INFINITY;
  #max = 0;
  #sum = 0;
  #count = 0;

  add(ms: number): void {
    this.#count++;
    this.#sum += ms;
    if (ms < this.#min) this.#min = ms;
    if (ms > this.#max) this.#max = ms;
  }

  reset(): void {
    this.#min = Number.POSITIVE_INFINITY;
    this.#max = this.#sum = this.#count = 0;
  }

  spread(): Spread {
    if (this.#count === 0) return { min: 0, average: 0, max: 0 };
    return { min: this.#min, average: this.#sum / this.#count, max: this.#max };
  }
}

/** Sizes of things of one kind, bytes; -1 while there was none. */
export class SizeRange implements Sizes {
  last = -1;
  min = -1;
  max = -1;
  /** How many there were, whatever has been reset. */
  count = 0;

  add(bytes: number): void {
    this.count++;
    this.last = bytes;
    if (this.min === -1 || bytes < this.min) this.min = bytes;
    if (bytes > this.max) this.max = bytes;
  }

  reset(): void {
    this.last = this.min = this.max = -1;
  }
}

/** What a port counts over all its connections, those that are over too. */
export class PortStats {
  /** Packets of clients and to clients: frames, events and words included. */
  received = 0;
  sent = 0;
  readonly latency = new Latencies();
  /** Of the frames to clients. */
  readonly answers = new SizeRange();
  bytesReceived = 0;
  bytesSent = 0;
  /** Bytes of events, which are in `bytesSent` as well. */
  eventBytes = 0;
  /** Connections that were turned away at once. */
  rejected = 0;
  /** Connections that are over. */
  dropped = 0;
  /** Clients that asked for a session, or to go on with one. */
  handshakes = 0;

  reset(): void {
    this.received = this.sent = 0;
    this.latency.reset();
    this.answers.reset();
    this.bytesReceived = this.bytesSent = this.eventBytes = 0;
    this.rejected = this.dropped = this.handshakes = 0;
  }
}

const MINUS_ONE = Long.fromInt(-1, true).or(Long.MAX_UNSIGNED_VALUE);

/** What is counted for one connection, and in the port's sums at the same time. */
export class ConnectionStats {
  received = 0;
  sent = 0;
  readonly latency = new Latencies();
  /** Operation of the last request that was answered; 0 before there was one. */
  lastOp = 0;
  /** Its number; -1 before there was an ordinary one. */
  lastXid = -1;
  lastZxid = MINUS_ONE;
  /** When it was answered, ms of the monotonic clock. */
  lastResponse = 0;
  lastLatency = 0;
  readonly #port: PortStats;

  /** @param established by the wall clock, ms */
  constructor(
    port: PortStats,
    readonly established: number,
  ) {
    this.#port = port;
  }

  packetIn(): void {
    this.received++;
    this.#port.received++;
  }

  packetOut(bytes: number): void {
    this.sent++;
    const port = this.#port;
    port.sent++;
    port.bytesSent += bytes;
    port.answers.add(bytes);
  }

  /** A request that came at `since` is answered at `now`. */
  answered(op: number, xid: number, zxid: Long, since: number, now: number): void {
    const ms = Math.max(0, Math.round(now - since));
    // Pings and the like have numbers of their own, which say nothing.
    if (xid >= 0) this.lastXid = xid;
    this.lastOp = op;
    this.lastZxid = zxid;
    this.lastResponse = now;
    this.lastLatency = ms;
    this.latency.add(ms);
    this.#port.latency.add(ms);
  }

  reset(): void {
    this.received = this.sent = 0;
    this.latency.reset();
    this.lastOp = 0;
    this.lastXid = -1;
    this.lastZxid = MINUS_ONE;
    this.lastResponse = this.lastLatency = 0;
  }
}
