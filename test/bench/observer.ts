import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { yellow } from '../../examples/support/print.ts';
import { Child, sharedNow, until } from '../../examples/support/processes.ts';
import { modeOf } from '../interop/apache.ts';
import type { ObserverHandlers } from './observer-process.ts';
import type { NumbersOptions, WriterHandlers, Written } from './observer-writer.ts';
import { type Result, type Row, whole } from './report.ts';
import { Rival } from './rival.ts';
import { spread } from './stats.ts';

const ZNODES = 100_000;
const PARENT = '/observed';
const NUMBER = '/number';

type Pace = Omit<NumbersOptions, 'path'> & { readonly what: string };
const PACES: readonly Pace[] = [
  { what: 'one write at a time', count: 500, outstanding: 1, pause: 5 },
  { what: '30 writes under way', count: 5000, outstanding: 30, pause: 0 },
];

export const observer: Row = {
  name: 'observer',
  how:
    `A replica as an observer beside three servers of Apache ZooKeeper (1 GiB of heap each) with ${whole(ZNODES)} znodes of 100 bytes, all of which know of it. Every run joins with an empty ` +
    'folder (SNAP) and again with the folder that this has left (DIFF). The delay: a client (`connect`) of a Java follower writes numbers to one znode, and notes when each is acknowledged; the ' +
    "observer's process notes, in a watch of its own tree, when it can read the number. One clock (CLOCK_MONOTONIC); below 0: the observer had it before the client had its answer.",
  run: async ({ folder, quick }) => {
    const apache = await Rival.start(folder, 1);
    if (apache === null) {
      console.log(yellow('  not measured: Apache ZooKeeper is not installed (Debian package libzookeeper-java)'));
      return [];
    }
    const bench = new ObserverBench(apache, await mkdtemp(join(folder, 'zab-bench-observer-')));
    try {
      await bench.prepare();
      for (let run = 0; run < (quick ? 1 : 5); run++) await bench.run(quick ? 0.5 : 1);
      return bench.results();
    } finally {
      await bench.end();
    }
  },
};

/** A joining: from fork, and from `start()`, until it serves; ms. */
interface Joining {
  readonly fork: number;
  readonly start: number;
}

class ObserverBench {
  readonly #apache: Rival;
  readonly #folder: string;
  readonly #writer = new Child<WriterHandlers>('client', new URL('./observer-writer.ts', import.meta.url));
  #observer: Child<ObserverHandlers> | undefined;
  #runs = 0;
  readonly #joinings = { empty: [] as Joining[], again: [] as Joining[] };
  readonly #memory: { live: number; resident: number }[] = [];
  readonly #reads: number[] = [];
  /** By pace, in each run: from a write's acknowledgement until it was seen, and how long it had taken; sorted, ms. */
  readonly #delays: number[][][] = PACES.map(() => []);
  readonly #writes: number[][][] = PACES.map(() => []);

  constructor(apache: Rival, folder: string) {
    this.#apache = apache;
    this.#folder = folder;
  }

  async prepare(): Promise<void> {
    const modes = await Promise.all(this.#apache.servers.map(modeOf));
    const follower = this.#apache.servers[modes.indexOf('follower')];
    await this.#writer.call('open', { port: follower.clientPort });
    await this.#writer.call('fill', { parent: PARENT, znodes: ZNODES });
    await this.#writer.call('create', { path: NUMBER });
    // The servers' compilers have to get warm before delays mean anything.
    await this.#writer.call('write', { path: NUMBER, count: 10_000, outstanding: 30, pause: 0 });
  }

  async run(seconds: number): Promise<void> {
    const dataDir = join(this.#folder, String(++this.#runs));
    this.#joinings.empty.push((await this.#join(dataDir)).times);
    await this.#observer?.call('stop', undefined);
    await this.#observer?.kill();
    const { observer, times } = await this.#join(dataDir);
    this.#joinings.again.push(times);
    this.#memory.push(await observer.call('memory', undefined));
    await observer.call('prepareReads', { parent: PARENT, znodes: ZNODES });
    await observer.call('reads', { seconds: 0.5, touch: 'nothing' });
    this.#reads.push(await observer.call('reads', { seconds, touch: 'nothing' }));
    await observer.call('total', undefined);
    await observer.call('follow', { path: NUMBER });
    for (const [at, pace] of PACES.entries()) await this.#measure(observer, at, pace);
    await observer.kill();
    await rm(dataDir, { recursive: true, force: true });
  }

  async #join(dataDir: string): Promise<{ observer: Child<ObserverHandlers>; times: Joining }> {
    const begin = sharedNow();
    const observer = new Child<ObserverHandlers>('observer', new URL('./observer-process.ts', import.meta.url), ['--expose-gc']);
    this.#observer = observer;
    const start = await observer.call('join', { id: 4, servers: this.#apache.specs, dataDir });
    const times = { fork: sharedNow() - begin, start };
    const { nodeCount, role } = await observer.call('status', undefined);
    if (role !== 'observing' || nodeCount < ZNODES) throw new Error(`the replica is ${role} and has ${nodeCount} znodes`);
    return { observer, times };
  }

  async #measure(observer: Child<ObserverHandlers>, at: number, { what: _, ...pace }: Pace): Promise<void> {
    const written = await this.#writer.call('write', { path: NUMBER, ...pace });
    const seen = new Map<number, number>();
    await until('all that was written in the observer', async () => {
      for (const [number, when] of await observer.call('takeSeen', undefined)) if (!seen.has(number)) seen.set(number, when);
      return written.every(([number]) => seen.has(number));
    });
    const sorted = (time: (one: Written) => number): number[] => written.map(time).sort((a, b) => a - b);
    this.#delays[at].push(sorted(([number, , acknowledged]) => (seen.get(number) as number) - acknowledged));
    this.#writes[at].push(sorted(([, asked, acknowledged]) => acknowledged - asked));
  }

  results(): Result[] {
    const joining = (what: string, times: readonly Joining[]): Result => ({
      what,
      unit: 'ms',
      value: spread(times.map(({ fork }) => fork)),
      show: whole,
      note: `of it ${whole(spread(times.map(({ start }) => start)).median)} from start()`,
    });
    const megabytes = (what: string, bytes: readonly number[]): Result => ({
      what,
      unit: 'MB',
      value: spread(bytes.map((n) => n / 1e6)),
      show: whole,
    });
    return [
      joining('join with an empty folder, fork to serving', this.#joinings.empty),
      joining('join with its own data, fork to serving', this.#joinings.again),
      megabytes(
        'live heap and buffers',
        this.#memory.map(({ live }) => live),
      ),
      megabytes(
        'resident memory of the process',
        this.#memory.map(({ resident }) => resident),
      ),
      { what: 'local getData', unit: 'reads/s', value: spread(this.#reads), show: whole },
      ...PACES.flatMap(({ what }, at) => this.#delayResults(what, this.#delays[at], this.#writes[at])),
    ];
  }

  #delayResults(what: string, delays: readonly number[][], writes: readonly number[][]): Result[] {
    const p = (part: number) => (runs: readonly number[][]) => spread(runs.map((sorted) => percentile(sorted, part)));
    const all = delays.flat();
    const early = all.filter((delay) => delay <= 0).length / all.length;
    const show = (n: number): string => n.toFixed(2);
    const took = `the writes themselves took p50 ${show(p(0.5)(writes).median)}, p99 ${show(p(0.99)(writes).median)}`;
    return [
      {
        what: `seen after the ack, p50, ${what}`,
        unit: 'ms',
        value: p(0.5)(delays),
        show,
        note: `${whole(early * 100)} % before it; ${took}`,
      },
      { what: `seen after the ack, p99, ${what}`, unit: 'ms', value: p(0.99)(delays), show, note: `largest ${show(Math.max(...all))}` },
    ];
  }

  async end(): Promise<void> {
    await Promise.all([this.#writer.kill(), this.#observer?.kill()]);
    await this.#apache.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** The value that the share `part` of all, which are sorted, do not exceed. */
const percentile = (sorted: readonly number[], part: number): number => sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)];
