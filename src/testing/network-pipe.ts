import { Fifo } from '../util/fifo.ts';
import type { Chance } from './chance.ts';
import type { Kernel, Owner, Scheduled } from './kernel.ts';
import type { Machine } from './machine.ts';
import { countFault, drawTime, type NetworkCounts, type NetworkSettings, type Path } from './network-path.ts';

/**
 * What travels over a connection: `syn` asks for it, `opened` answers, `accept` tells the listener's process, then `data`; `fin` says that nothing more comes, `rst`
 * that the connection is no more, or never was.
 */
export type SegmentKind = 'syn' | 'opened' | 'accept' | 'data' | 'fin' | 'rst';

interface Segment {
  readonly kind: SegmentKind;
  readonly bytes: Uint8Array;
  /** When it arrives, or has arrived; Infinity while it is held. */
  at: number;
}

interface Write {
  readonly bytes: Uint8Array;
  /** Bytes of it that the network has taken. */
  offset: number;
  readonly taken: (() => void) | undefined;
}

/** What becomes of the segments that arrive. */
export interface Sink {
  /** Whose events the deliveries are; null for what a machine does without its process. */
  readonly owner: Owner | null;
  take(kind: SegmentKind, bytes: Uint8Array): void;
}

/** The side that sends. */
export interface Source {
  readonly machine: Machine;
  /** Whether its process still has the connection. */
  readonly isLive: boolean;
  /** The network has the end of what it sends. */
  finished(): void;
  /** Nothing has been heard from the other side for too long. */
  timedOut(): void;
}

/** What all connections of a network share. */
export interface Medium {
  readonly kernel: Kernel;
  readonly settings: NetworkSettings;
  readonly traffic: NetworkCounts;
}

/** The most that a process gets in one piece, as from libuv, bytes. */
const LARGEST_READ = 65536;

const NO_BYTES = new Uint8Array();

/** Whether a process learns of it by reading. */
const isRead = ({ kind }: Segment): boolean => kind === 'data' || kind === 'fin';

/**
 * One direction of a connection. What the owner has written waits in a queue until the window has room, then the network has it: in segments, which arrive in
 * order, each at its time. At any moment at most one delivery is scheduled, so that no pause can change the order.
 */
export class Pipe {
  readonly #medium: Medium;
  readonly #path: Path;
  readonly #chance: Chance;
  readonly #number: number;
  readonly #source: Source;
  #sink: Sink | null;
  /** The other direction. */
  #twin!: Pipe;
  readonly #queue = new Fifo<Write>();
  readonly #segments = new Fifo<Segment>();
  #pending = 0;
  /** Bytes taken and not yet known to be read. */
  #unread = 0;
  /** Of these: read, but the word of it is held by a cut of the way back. */
  #unheard = 0;
  /** Of these: read, and the word of it is under way. */
  #heard = 0;
  /** When the last segment arrives. */
  #last = 0;
  /** Before this the receiver reads nothing more: it is slow. */
  #readableAt = 0;
  /** The receiver's process does not read. */
  #isPaused = false;
  #isOpen = false;
  #ending = false;
  #finSent = false;
  #broken = false;
  #resetAnswered = false;
  #delivery: Scheduled | null = null;
  #giveUp: Scheduled | null = null;
  #credit: Scheduled | null = null;
  /** How fast the receiver reads. */
  readonly #readRate: () => number;

  constructor(medium: Medium, path: Path, number: number, chance: Chance, source: Source, sink: Sink | null, readRate: () => number) {
    this.#medium = medium;
    this.#path = path;
    this.#number = number;
    this.#chance = chance;
    this.#source = source;
    this.#sink = sink;
    this.#readRate = readRate;
    path.travellers.add(this);
  }

  /** Makes two directions one connection. */
  static pair(a: Pipe, b: Pipe): void {
    a.#twin = b;
    b.#twin = a;
    a.#watch();
    b.#watch();
  }

  /** Bytes written and not yet taken. */
  get pending(): number {
    return this.#pending;
  }

  /** Whether the end has been handed to the network, behind all that was written. */
  get isFinished(): boolean {
    return this.#finSent;
  }

  /** Bytes that the network has and no process has read. */
  get inFlight(): number {
    let bytes = 0;
    for (const segment of this.#segments) bytes += segment.bytes.length;
    return bytes;
  }

  /** Whether the receiver's machine has bytes that its process has not read. */
  get hasArrived(): boolean {
    const head = this.#segments.peek();
    return head !== undefined && head.kind === 'data' && head.at <= this.#now;
  }

  get #now(): number {
    return this.#medium.kernel.now;
  }

  // ---- the sender ----

  /** The connection stands, as the sender knows: what was written may leave. */
  open(): void {
    this.#isOpen = true;
    this.#fill();
  }

  write(bytes: Uint8Array, taken: (() => void) | undefined): void {
    this.#queue.push({ bytes, offset: 0, taken });
    this.#pending += bytes.length;
    this.#fill();
  }

  /** Nothing more is written. */
  end(): void {
    this.#ending = true;
    this.#fill();
  }

  /** What the network has not taken never leaves. */
  dropQueue(): void {
    this.#queue.clear();
    this.#pending = 0;
  }

  /** Something that takes no room, behind all that was sent. */
  push(kind: SegmentKind, extraDelay = 0): void {
    if (kind === 'fin') this.#finSent = true;
    this.#send({ kind, bytes: NO_BYTES, at: 0 }, extraDelay);
  }

  /** The connection breaks: of what has not arrived only a part will, cut anywhere. With `held` false nothing of what a cut holds up. */
  truncate(options: { held: boolean }): void {
    const segments = [...this.#segments];
    this.#segments.clear();
    let keep = this.#chance.below(this.#underWay(segments) + 1);
    for (const { kind, bytes, at } of segments) {
      if (at === Infinity && !options.held) continue;
      const isWhole = at <= this.#now || (kind !== 'data' && kind !== 'fin');
      const size = isWhole ? bytes.length : Math.min(keep, bytes.length);
      if (!isWhole) keep -= size;
      if (isWhole || size > 0) this.#segments.push({ kind, at, bytes: bytes.subarray(0, size) });
    }
    this.#last = 0;
    for (const { at } of this.#segments) if (at < Infinity) this.#last = at;
    this.#reschedule();
  }

  #underWay(segments: readonly Segment[]): number {
    return segments.reduce((sum, { at, bytes }) => (at > this.#now ? sum + bytes.length : sum), 0);
  }

  /** From now on the connection is no more, and the sender does not know: what it sends is lost, and answered with a reset. */
  break(): void {
    this.#broken = true;
    this.#fill();
  }

  #fill(): void {
    const { window, segment, tear } = this.#medium.settings;
    while (this.#isOpen && this.#queue.length > 0) {
      const write = this.#queue.at(0);
      const left = write.bytes.length - write.offset;
      let size = this.#broken ? left : Math.min(left, segment, window - this.#unread);
      if (size <= 0 && left > 0) break;
      if (this.#broken) this.#answerReset();
      else if (left > 0) {
        if (size > 1 && this.#chance.chance(tear)) size = this.#chance.between(1, size);
        this.#unread += size;
        // Copied when the network takes them and not before: whoever changes bytes too early is to be found out. (A slice would be no copy if it is a Buffer.)
        const bytes = new Uint8Array(write.bytes.subarray(write.offset, write.offset + size));
        this.#send({ kind: 'data', bytes, at: 0 }, 0);
      }
      write.offset += size;
      this.#pending -= size;
      if (write.offset === write.bytes.length) this.#wholeTaken();
    }
    if (!this.#ending || this.#finSent || !this.#isOpen || this.#queue.length > 0) return;
    if (this.#broken) {
      this.#finSent = true;
      this.#answerReset();
    } else this.push('fin');
    this.#source.finished();
  }

  #wholeTaken(): void {
    const { taken } = this.#queue.shift()!;
    const source = this.#source;
    if (taken !== undefined)
      source.machine.clock.defer(() => {
        if (source.isLive) taken();
      });
  }

  #answerReset(): void {
    if (this.#resetAnswered) return;
    this.#resetAnswered = true;
    this.#twin.push('rst', drawTime(this.#chance, this.#path.latency));
  }

  // ---- the way ----

  get #isStuck(): boolean {
    return this.#path.isCut || this.#sink === null;
  }

  #send(segment: Segment, extraDelay: number): void {
    if (this.#isStuck) segment.at = Infinity;
    else {
      let late = extraDelay;
      if (this.#path.loss > 0 && this.#chance.chance(this.#path.loss)) {
        late += drawTime(this.#chance, this.#medium.settings.retransmit);
        countFault(this.#medium.traffic, 'network: lost packet');
      }
      this.#time(segment, late);
    }
    this.#segments.push(segment);
    this.#schedule();
  }

  #time(segment: Segment, late: number): void {
    segment.at = Math.max(this.#last, this.#path.arrival(this.#now, segment.bytes.length, this.#chance) + late);
    this.#last = segment.at;
  }

  /** The path was cut: what is under way is held, as if it had been lost and sent again until it comes through. */
  cut(): void {
    this.#hold();
    this.#watch();
  }

  healed(): void {
    this.#release(drawTime(this.#chance, this.#medium.settings.retransmit));
    // What comes back over this path is the word of what was read from the other direction.
    const twin = this.#twin;
    const heard = twin.#unheard;
    twin.#unheard = 0;
    if (heard > 0) twin.#acknowledge(heard);
  }

  retimed(): void {
    if (this.#isStuck) return;
    this.#hold();
    this.#release(0);
  }

  /** Where segments end from now on; null: there is nobody, not even to refuse them. */
  setSink(sink: Sink | null): void {
    const wasNobody = this.#sink === null;
    this.#sink = sink;
    this.#readableAt = 0;
    this.#isPaused = false;
    if (sink === null) {
      // What has arrived was in the memory of a machine that is no more.
      while ((this.#segments.peek()?.at ?? Infinity) <= this.#now) this.#segments.shift();
      this.#hold();
      this.#watch();
    } else if (wasNobody) this.#release(drawTime(this.#chance, this.#medium.settings.retransmit));
    this.#reschedule();
  }

  #hold(): void {
    this.#last = 0;
    for (const segment of this.#segments) {
      if (segment.at > this.#now) segment.at = Infinity;
      else this.#last = segment.at;
    }
    this.#reschedule();
  }

  #release(late: number): void {
    if (this.#isStuck) return;
    if (this.#giveUp !== null) this.#medium.kernel.cancel(this.#giveUp);
    this.#giveUp = null;
    for (const segment of this.#segments) if (segment.at === Infinity) this.#time(segment, late);
    this.#schedule();
  }

  /** While nothing gets through, the sender's patience runs: keep-alive is on, so it notices even if it has nothing to send. */
  #watch(): void {
    const { breakAfter } = this.#medium.settings;
    if (!this.#isStuck || this.#giveUp !== null || breakAfter === Infinity) return;
    const patience = breakAfter + drawTime(this.#chance, { min: 0, max: breakAfter / 8 });
    this.#giveUp = this.#medium.kernel.after(patience, null, 'patience', () => {
      this.#giveUp = null;
      if (this.#isStuck) this.#source.timedOut();
    });
  }

  // ---- the receiver ----

  /** The receiver is not slow any more. */
  hurry(): void {
    this.#readableAt = 0;
    this.#reschedule();
  }

  /** The process does not read from now on: of what comes it learns only that the connection is set up, or is no more. */
  pause(): void {
    this.#isPaused = true;
    this.#reschedule();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#reschedule();
  }

  /** What the receiver gets next. */
  #next(): Segment | undefined {
    if (!this.#isPaused) return this.#segments.peek();
    for (const segment of this.#segments) if (!isRead(segment)) return segment;
    return undefined;
  }

  #schedule(): void {
    const head = this.#next();
    if (this.#delivery !== null || head === undefined || this.#sink === null || head.at === Infinity) return;
    const at = Math.max(head.at, this.#readableAt);
    const detail = (Math.imul(this.#number, 0x9e3779b1) ^ head.bytes.length) | 0;
    this.#delivery = this.#medium.kernel.after(at - this.#now, this.#sink.owner, head.kind, this.#deliver, detail);
  }

  #reschedule(): void {
    if (this.#delivery !== null) this.#medium.kernel.cancel(this.#delivery);
    this.#delivery = null;
    this.#schedule();
  }

  readonly #deliver = (): void => {
    this.#delivery = null;
    // A reset takes with it what has not been read.
    while (this.#isPaused && isRead(this.#segments.peek()!)) this.#segments.shift();
    const head = this.#segments.shift()!;
    const bytes = head.kind === 'data' ? this.#joined(head.bytes) : head.bytes;
    const size = bytes.length;
    if (size > 0) {
      const rate = this.#readRate();
      if (rate < Infinity) this.#readableAt = this.#now + size / rate;
    }
    this.#sink!.take(head.kind, bytes);
    if (size > 0) this.#acknowledge(size);
    this.#schedule();
  };

  /** A process that reads gets all that has arrived, or, by chance, only the first of it. */
  #joined(first: Uint8Array): Uint8Array {
    const parts = [first];
    let size = first.length;
    for (let next = this.#segments.peek(); next?.kind === 'data' && next.at <= this.#now; next = this.#segments.peek()) {
      if (size + next.bytes.length > LARGEST_READ || (parts.length === 1 && this.#chance.below(2) === 0)) break;
      parts.push(next.bytes);
      size += next.bytes.length;
      this.#segments.shift();
    }
    if (parts.length === 1) return first;
    const all = new Uint8Array(size);
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  /** The receiver has read so many bytes; the sender hears of it if it waits for that. */
  #acknowledge(bytes: number): void {
    const back = this.#twin.#path;
    if (back.isCut) this.#unheard += bytes;
    else if (this.#queue.length === 0) this.#unread -= bytes;
    else {
      this.#heard += bytes;
      this.#credit ??= this.#source.machine.after(drawTime(this.#chance, back.latency), 'credit', () => {
        this.#credit = null;
        this.#unread -= this.#heard;
        this.#heard = 0;
        this.#fill();
      });
    }
  }

  /** Nobody is left at either side. */
  dispose(): void {
    this.#path.travellers.delete(this);
    for (const event of [this.#delivery, this.#giveUp, this.#credit]) if (event !== null) this.#medium.kernel.cancel(event);
    this.#sink = null;
    this.#segments.clear();
    this.dropQueue();
  }
}
