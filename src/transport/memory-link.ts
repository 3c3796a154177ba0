import type { SyncRequest, WriteRequest } from '../model/records.ts';
import type { Clock, TimerHandle } from '../seams/clock.ts';
import type { QuorumLink, QuorumLinkHandler } from '../seams/transport.ts';
import type { QuorumMessage } from '../zab/messages.ts';

/** What the parts of a memory network know of the whole. */
export interface Fabric {
  readonly clock: Clock;
  /** ms from one server to another. */
  delay(from: number, to: number): number;
  /** Whether nothing moves from one server to the other now. */
  blocked(from: number, to: number): boolean;
  /** Pipes to wake when a cut ends. */
  readonly pipes: Set<Pipe>;
  /** Links that stand or are being made. */
  readonly links: Set<MemoryLink>;
}

/** The server that one side of a link belongs to. */
export interface LinkOwner {
  readonly id: number;
  readonly isClosed: boolean;
  /** The largest packet that it takes from a learner, bytes. */
  readonly maxPacket: number;
}

/** Where a pipe delivers. `end` comes once, behind everything else. */
export interface PipeSink<T> {
  deliver(batch: readonly T[]): void;
  drained(): void;
  end(): void;
}

/** One direction of a link: items arrive in order, each not before its delay, not while the direction is cut. */
export class Pipe<T = unknown> {
  readonly #fabric: Fabric;
  readonly #from: number;
  readonly #to: number;
  readonly #sink: PipeSink<T>;
  #items: T[] = [];
  #spare: T[] = [];
  /** Arrival time and size of each item. */
  #due: number[] = [];
  #sizes: number[] = [];
  #buffered = 0;
  #open = false;
  #ended = false;
  #endDue = 0;
  #stopped = false;
  #scheduled = false;
  #timer: TimerHandle | null = null;

  constructor(fabric: Fabric, from: number, to: number, sink: PipeSink<T>) {
    this.#fabric = fabric;
    this.#from = from;
    this.#to = to;
    this.#sink = sink;
    fabric.pipes.add(this as Pipe);
  }

  get buffered(): number {
    return this.#buffered;
  }

  /** The link stands: from now on items move. */
  open(): void {
    this.#open = true;
    this.schedule();
  }

  push(item: T, size: number): void {
    if (this.#stopped || this.#ended) return;
    this.#items.push(item);
    this.#due.push(this.#arrival());
    this.#sizes.push(size);
    this.#buffered += size;
    this.schedule();
  }

  end(): void {
    if (this.#stopped || this.#ended) return;
    this.#ended = true;
    this.#endDue = this.#arrival();
    this.schedule();
  }

  /** Drops everything; nothing is delivered any more. */
  stop(): void {
    this.#stopped = true;
    this.#buffered = 0;
    this.#items = [];
    if (this.#timer !== null) this.#fabric.clock.clearTimer(this.#timer);
    this.#fabric.pipes.delete(this as Pipe);
  }

  schedule(): void {
    if (this.#scheduled || this.#stopped || !this.#open || this.#fabric.blocked(this.#from, this.#to)) return;
    if (this.#items.length === 0 && !this.#ended) return;
    this.#scheduled = true;
    const { clock } = this.#fabric;
    const wait = (this.#items.length > 0 ? this.#due[0] : this.#endDue) - clock.now();
    if (wait > 0) this.#timer = clock.setTimer(wait, this.#run);
    else clock.defer(this.#run);
  }

  /** When an item sent now may arrive; the queue sees to it that it does not overtake an earlier one. */
  #arrival(): number {
    return this.#fabric.clock.now() + this.#fabric.delay(this.#from, this.#to);
  }

  readonly #run = (): void => {
    this.#scheduled = false;
    this.#timer = null;
    if (this.#stopped || this.#fabric.blocked(this.#from, this.#to)) return;
    const now = this.#fabric.clock.now();
    let n = 0;
    let size = 0;
    while (n < this.#due.length && this.#due[n] <= now) size += this.#sizes[n++];
    if (n > 0) this.#deliver(n, size);
    if (this.#stopped) return;
    if (this.#ended && this.#items.length === 0 && this.#endDue <= this.#fabric.clock.now()) {
      this.stop();
      this.#sink.end();
      return;
    }
    this.schedule();
  };

  #deliver(n: number, size: number): void {
    const batch = this.#items;
    const rest = this.#spare;
    for (let i = n; i < batch.length; i++) rest.push(batch[i]);
    batch.length = n;
    this.#items = rest;
    this.#due.splice(0, n);
    this.#sizes.splice(0, n);
    this.#buffered -= size;
    this.#sink.deliver(batch);
    batch.length = 0;
    this.#spare = batch;
    if (this.#buffered === 0 && !this.#stopped) this.#sink.drained();
  }
}

/** One side of a quorum link. */
export class MemoryLink implements QuorumLink {
  readonly remote: string;
  readonly owner: LinkOwner;
  readonly #other: number;
  readonly #fabric: Fabric;
  readonly #out: Pipe<QuorumMessage>;
  #peer: MemoryLink | null = null;
  #handler: QuorumLinkHandler | null;
  /** What a learner sends is bounded, what a leader sends is not. */
  #maxPacket = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(fabric: Fabric, owner: LinkOwner, other: number, handler: QuorumLinkHandler | null) {
    this.#fabric = fabric;
    this.owner = owner;
    this.#other = other;
    this.remote = `memory:${other}`;
    this.#handler = handler;
    this.#out = new Pipe<QuorumMessage>(fabric, owner.id, other, {
      deliver: (batch) => this.#peer?.receive(batch),
      drained: () => this.#handler?.drained(),
      end: () => this.#peer?.fail('closed by the other side'),
    });
    fabric.links.add(this);
  }

  joins(a: number, b: number): boolean {
    return (this.owner.id === a && this.#other === b) || (this.owner.id === b && this.#other === a);
  }

  /** Makes the connection to the server `target`, whose `incoming` gives the handler of the other side. */
  connect(target: LinkOwner, incoming: (link: QuorumLink) => QuorumLinkHandler): void {
    if (this.#closed) return;
    const peer = new MemoryLink(this.#fabric, target, this.owner.id, null);
    this.#peer = peer;
    peer.#peer = this;
    peer.#maxPacket = target.maxPacket;
    const handler = incoming(peer);
    if (!peer.#closed) peer.#handler = handler;
    peer.#out.open();
    this.#out.open();
  }

  receive(batch: readonly QuorumMessage[]): void {
    if (this.#closed) return;
    const tooLarge = this.#maxPacket === Number.POSITIVE_INFINITY ? -1 : batch.findIndex((m) => packetData(m) > this.#maxPacket);
    if (tooLarge !== 0) this.#handler?.messages(tooLarge < 0 ? batch : batch.slice(0, tooLarge));
    if (tooLarge < 0 || this.#closed) return;
    this.#peer?.fail('closed by the other side');
    this.fail(`bad input: packet data of ${packetData(batch[tooLarge])} bytes, limit ${this.#maxPacket}`);
  }

  send(message: QuorumMessage): void {
    if (!this.#closed) this.#out.push(message, messageSize(message));
  }

  get buffered(): number {
    return this.#out.buffered;
  }

  close(_reason: string): void {
    this.#handler = null;
    if (this.#closed) return;
    this.#closed = true;
    this.#fabric.links.delete(this);
    if (this.#peer === null) this.#out.stop();
    else this.#out.end();
  }

  /** The link is lost: tells its owner, at the end of the turn. */
  fail(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#fabric.links.delete(this);
    this.#out.stop();
    this.#fabric.clock.defer(() => {
      if (!this.owner.isClosed) this.#handler?.closed(reason);
    });
  }
}

/** Bytes of a packet around its data. */
const PACKET_HEAD = 20;

/** About the bytes that a message would take on the wire. */
const messageSize = (message: QuorumMessage): number => PACKET_HEAD + packetData(message);

/** Bytes of a message's data on the wire: exact where it is in bytes already, else about. */
function packetData(message: QuorumMessage): number {
  if ('entry' in message) return message.entry.bytes.length;
  if ('request' in message) return 16 + (message.request.body?.length ?? recordSize(message.request.record));
  if ('touches' in message) return 12 * (message.touches?.length ?? 0);
  if (!('nodes' in message)) return 20;
  let size = 0;
  for (const node of message.nodes) size += 76 + node.path.length + (node.data?.length ?? 0);
  return size;
}

function recordSize(record: WriteRequest | SyncRequest | null): number {
  if (record === null) return 0;
  if (record.op === 14) return record.ops.reduce((size, op) => size + recordSize(op), 4);
  return 50 + ('path' in record ? record.path.length : 0) + ('data' in record ? (record.data?.length ?? 0) : 0);
}
