/** Machines that host no server have ids from here on: no server has one so high. */
export const FIRST_CLIENT = 1001;

/** The machine with this id, as people call it. */
export const whoIs = (id: number): string => (id < FIRST_CLIENT ? `server ${id}` : `client ${id - FIRST_CLIENT + 1}`);

/** One line of a run's story. */
export interface TraceLine {
  /** Simulated ms since the beginning. */
  readonly at: number;
  /** Id of the server, or of a client's machine; 0 stands for the simulation itself: network, faults, code outside. */
  readonly server: number;
  readonly text: string;
  /** One of the many small steps, such as a message that arrives. */
  readonly isDetail: boolean;
}

/** A line whose text may not be made yet. */
interface Note extends Omit<TraceLine, 'text'> {
  readonly seq: number;
  readonly text: string | (() => string);
}

/** The last so many notes. */
class Ring {
  readonly #keep: number;
  readonly #notes: Note[] = [];
  #next = 0;

  constructor(keep: number) {
    this.#keep = keep;
  }

  push(note: Note): void {
    if (this.#notes.length < this.#keep) this.#notes.push(note);
    else if (this.#keep > 0) {
      this.#notes[this.#next] = note;
      this.#next = (this.#next + 1) % this.#keep;
    }
  }

  notes(): Note[] {
    return [...this.#notes.slice(this.#next), ...this.#notes.slice(0, this.#next)];
  }
}

/**
 * What happened in a run: a digest over every event, and the last lines as a story that people can read. Two runs with the same digest have been the same,
 * event for event.
 */
export class Trace {
  readonly #main: Ring;
  /** Kept apart, so that they don't push out what happens more seldom. */
  readonly #details: Ring;
  #notes = 0;
  #h1 = 0x9e3779b9 | 0;
  #h2 = 0x7f4a7c15;
  #events = 0;

  /** @param keep how many lines of the story are kept, and how many of its details; all with Infinity */
  constructor(keep: number) {
    this.#main = new Ring(keep);
    this.#details = new Ring(keep);
  }

  /** Events that went into the digest. */
  get events(): number {
    return this.#events;
  }

  /** 16 hexadecimal digits over everything so far. */
  get digest(): string {
    const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, '0');
    return hex(this.#h1 ^ Math.imul(this.#events, 0x85ebca6b)) + hex(this.#h2);
  }

  /** An event: counted and mixed into the digest. Only what is the same on every machine may go in. */
  event(at: number, server: number, kind: string, detail = 0): void {
    this.#events++;
    const micros = Math.round(at * 1000);
    this.mix(micros | 0);
    this.mix(server);
    this.mix(detail);
    this.mixText(kind);
  }

  mix(value: number): void {
    const h = Math.imul(this.#h1 ^ value, 0x85ebca6b);
    this.#h1 = (h << 13) | (h >>> 19);
    this.#h2 = Math.imul(this.#h2 ^ this.#h1, 0xc2b2ae35) + value;
    this.#h2 ^= this.#h2 >>> 16;
  }

  mixText(text: string): void {
    for (let i = 0; i < text.length; i++) this.mix(text.charCodeAt(i));
  }

  mixBytes(bytes: Uint8Array): void {
    let h = bytes.length;
    for (let i = 0; i < bytes.length; i++) h = Math.imul(h ^ bytes[i], 0x01000193);
    this.mix(h);
  }

  /** A line of the story. A function is called only if the line is ever read, so what it refers to must not change. */
  note(at: number, server: number, text: string | (() => string), isDetail = false): void {
    (isDetail ? this.#details : this.#main).push({ seq: this.#notes++, at, server, text, isDetail });
  }

  /** The kept lines, oldest first. */
  lines(): TraceLine[] {
    const ordered = [...this.#main.notes(), ...this.#details.notes()].sort((a, b) => a.seq - b.seq);
    return ordered.map(({ at, server, text, isDetail }) => ({ at, server, text: typeof text === 'string' ? text : text(), isDetail }));
  }
}

/** A line as people read it: seconds, who, what. */
export function formatLine({ at, server, text }: Omit<TraceLine, 'isDetail'>): string {
  return `${(at / 1000).toFixed(4).padStart(10)} s  ${server === 0 ? '      -' : whoIs(server).padStart(7)}  ${text}`;
}
