import { type EnsembleNode, type Session, ZabError } from 'zab-ensemble';
import { connected } from '../../examples/support/sessions.ts';
import { Histogram } from './stats.ts';

export interface LoadOptions {
  /** Calls that this process keeps under way, over all its sessions. */
  readonly outstanding: number;
  /** Bytes of each value. */
  readonly size: number;
  /** Not measured, then measured. */
  readonly leadIn: number;
  readonly seconds: number;
}

export interface LoadResult {
  readonly acknowledged: number;
  readonly failed: number;
  /** Latencies, see {@link Histogram}. */
  readonly counts: readonly number[];
}

const FOLDER = '/bench';
export const ZNODES = 1000;
const SESSIONS = 10;

const pathOf = (i: number): string => `${FOLDER}/n${String(i).padStart(6, '0')}`;

/** Creates the znodes that the load writes to. */
export async function prepareZnodes(node: EnsembleNode): Promise<void> {
  const session = await node.openSession();
  await session.create(FOLDER);
  await Promise.all(Array.from({ length: ZNODES }, (_, i) => session.create(pathOf(i), '')));
  await session.close();
}

/** Clients on one replica: each session keeps its share of setData calls under way, on random znodes. */
export class Load {
  readonly #sessions: Session[] = [];

  constructor(readonly node: EnsembleNode) {}

  async open(): Promise<void> {
    while (this.#sessions.length < SESSIONS) this.#sessions.push(await this.node.openSession({ timeout: 30_000 }));
  }

  async run(options: LoadOptions): Promise<LoadResult> {
    const from = performance.now() + options.leadIn * 1000;
    const measure = { from, until: from + options.seconds * 1000, histogram: new Histogram(), acknowledged: 0, failed: 0 };
    const users = Math.min(SESSIONS, options.outstanding);
    const share = (i: number): number =>
      Math.floor(((i + 1) * options.outstanding) / users) - Math.floor((i * options.outstanding) / users);
    await Promise.all(this.#sessions.slice(0, users).map((session, i) => new Lane(session, share(i), options.size, measure).run()));
    return { acknowledged: measure.acknowledged, failed: measure.failed, counts: measure.histogram.counts };
  }
}

interface Measure {
  readonly from: number;
  readonly until: number;
  readonly histogram: Histogram;
  acknowledged: number;
  failed: number;
}

/** One session with a fixed number of calls under way. A session answers in order, so the oldest start belongs to the next answer. */
class Lane {
  readonly #starts: Float64Array;
  readonly #data: Uint8Array;
  #issued = 0;
  #answered = 0;
  #finished: () => void = () => {};

  constructor(
    readonly session: Session,
    readonly depth: number,
    size: number,
    readonly measure: Measure,
  ) {
    this.#starts = new Float64Array(depth);
    this.#data = new Uint8Array(size).fill(120);
  }

  run(): Promise<void> {
    return new Promise((resolve) => {
      this.#finished = resolve;
      for (let i = 0; i < this.depth; i++) this.#issue();
    });
  }

  #issue(): void {
    this.#starts[this.#issued++ % this.depth] = performance.now();
    this.session.setData(PATHS[(Math.random() * ZNODES) | 0], this.#data).then(this.#done, this.#lost);
  }

  readonly #done = (): void => this.#answer(true);

  readonly #lost = (error: unknown): void => {
    if (!(error instanceof ZabError)) throw error;
    this.#answer(false);
  };

  #answer(good: boolean): void {
    const { measure } = this;
    const now = performance.now();
    const start = this.#starts[this.#answered++ % this.depth];
    if (now >= measure.from && now < measure.until) {
      if (good) {
        measure.acknowledged++;
        measure.histogram.add(now - start);
      } else measure.failed++;
    }
    if (now < measure.until) this.#issue();
    else if (this.#answered === this.#issued) this.#finished();
  }
}

const PATHS = Array.from({ length: ZNODES }, (_, i) => pathOf(i));

/** Writes on and on, at a given pace or as fast as answers come, and remembers how long it ever had to wait. */
export class SteadyWriter {
  #stopped = false;
  #running: Promise<unknown> = Promise.resolve();
  #last = 0;
  #longest = 0;
  acknowledged = 0;

  constructor(readonly session: Session) {}

  start(outstanding: number, pausePerWrite: number): void {
    this.#last = performance.now();
    this.#running = Promise.all(Array.from({ length: outstanding }, (_, i) => this.#lane(PATHS[i % ZNODES], pausePerWrite)));
  }

  /** The longest wait between two acknowledgements since the last call of this, ms. */
  takeLongestWait(): number {
    const longest = Math.max(this.#longest, performance.now() - this.#last);
    this.#longest = 0;
    return longest;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #lane(path: string, pause: number): Promise<void> {
    const data = new Uint8Array(100);
    while (!this.#stopped) {
      try {
        await this.session.setData(path, data);
        const now = performance.now();
        this.#longest = Math.max(this.#longest, now - this.#last);
        this.#last = now;
        this.acknowledged++;
      } catch (error) {
        if (!(error instanceof ZabError) || error.code !== 'CONNECTION_LOSS') throw error;
        await connected(this.session);
      }
      if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

/** Creates `znodes` znodes of 100 bytes under one parent. */
export async function fill(node: EnsembleNode, parent: string, znodes: number): Promise<void> {
  const session = await node.openSession({ timeout: 30_000 });
  await fillBy(session, parent, znodes);
  await session.close();
}

/** The same in a session of any sort. */
export async function fillBy(session: Session, parent: string, znodes: number): Promise<void> {
  await session.create(parent);
  const data = new Uint8Array(100).fill(120);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < znodes) await session.create(fillPath(parent, next++), data);
  };
  await Promise.all(Array.from({ length: 1000 }, lane));
}

export const fillPath = (parent: string, i: number): string => `${parent}/n${String(i).padStart(9, '0')}`;
