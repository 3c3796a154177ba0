import type { Chance } from './chance.ts';

/** Bounds of what is drawn, both possible, in ms; a thousandth counts. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** How one machine's bytes get to another machine. */
export interface PathSettings {
  /** How long a piece of data is under way, ms. Connections do not wait for each other, so what was sent later on another one can be there first. */
  latency: Range;
  /** Bandwidth, shared by all connections of this direction. */
  bytesPerMs: number;
  /** How often a packet is lost, 0 to 1: it and all behind it on its connection come when it has been sent again. */
  loss: number;
}

/** What holds for the whole network. Everything may be changed during a run, and counts for what is sent from then on. */
export interface NetworkSettings extends PathSettings {
  /** Bytes that a connection takes from its sender before its receiver has read them. */
  window: number;
  /** Bytes travel in pieces of at most this size. */
  segment: number;
  /** How often a piece is smaller than it could be, 0 to 1, so that what was written together is torn. */
  tear: number;
  /** How long it takes until something lost is sent again, ms; also how long after the end of a cut what was held comes through. */
  retransmit: Range;
  /** How long a connection stands without any answer from the other side before its own side gives it up, ms. Infinity for never. */
  breakAfter: number;
}

/** What has happened in a network. */
export interface NetworkCounts {
  /** Connections that were asked for. */
  connections: number;
  /** Bytes read by processes. */
  bytes: number;
  /** How often each kind of fault was injected or has happened, by kind. */
  readonly faults: Map<string, number>;
}

/** One thing more of a kind of fault. */
export function countFault({ faults }: NetworkCounts, kind: string): void {
  faults.set(kind, (faults.get(kind) ?? 0) + 1);
}

/** A time from a range, ms. */
export function drawTime(chance: Chance, { min, max }: Range): number {
  return chance.between(Math.round(min * 1000), Math.round(max * 1000)) / 1000;
}

/** Something that sends over a path. */
interface Traveller {
  /** The path was cut. */
  cut(): void;
  /** The path was healed. */
  healed(): void;
  /** The path is slower or faster than before: what is under way arrives at other times. */
  retimed(): void;
}

/** The way from one machine to another; the way back is another one. */
export class Path {
  readonly #defaults: PathSettings;
  #own: Partial<PathSettings> = {};
  #cut: boolean;
  /** When the last byte of what was sent so far has left, ms. */
  #freeAt = 0;
  /** Connections that send over it, in the order in which they were made. */
  readonly travellers = new Set<Traveller>();

  constructor(
    readonly from: number,
    readonly to: number,
    defaults: PathSettings,
    isCut: boolean,
  ) {
    this.#defaults = defaults;
    this.#cut = isCut;
  }

  /** Nothing gets through; what is sent is held. */
  get isCut(): boolean {
    return this.#cut;
  }

  get latency(): Range {
    return this.#own.latency ?? this.#defaults.latency;
  }

  get loss(): number {
    return this.#own.loss ?? this.#defaults.loss;
  }

  /** When `bytes` that are sent now arrive. */
  arrival(now: number, bytes: number, chance: Chance): number {
    this.#freeAt = Math.max(now, this.#freeAt) + bytes / (this.#own.bytesPerMs ?? this.#defaults.bytesPerMs);
    return this.#freeAt + drawTime(chance, this.latency);
  }

  /** Takes the place of the network's settings; an empty one ends that. */
  override(settings: Partial<PathSettings>): void {
    this.#own = settings;
    this.#freeAt = 0;
    for (const traveller of [...this.travellers]) traveller.retimed();
  }

  setCut(isCut: boolean): void {
    if (isCut === this.#cut) return;
    this.#cut = isCut;
    for (const traveller of [...this.travellers]) {
      if (isCut) traveller.cut();
      else traveller.healed();
    }
  }

  heal(): void {
    this.setCut(false);
    if (Object.keys(this.#own).length > 0) this.override({});
  }
}
