import { freePorts } from '../../examples/support/ports.ts';
import { Child } from '../../examples/support/processes.ts';
import { Cluster } from './cluster.ts';
import type { GeneratorHandlers, GeneratorLoad } from './generator.ts';
import { type Result, type Row, whole } from './report.ts';
import { Rival } from './rival.ts';
import { Histogram, type Spread, spread } from './stats.ts';

interface Config extends Pick<GeneratorLoad, 'outstanding' | 'size' | 'reads'> {
  readonly what: string;
}

const writes = (outstanding: number, size = 100): Config => ({ what: `setData ${size} B`, outstanding, size, reads: 0 });
const reads = (outstanding: number): Config => ({ what: 'getData 100 B', outstanding, size: 100, reads: 100 });
const CONFIGS: readonly Config[] = [
  ...[1, 30, 300, 1000, 3000].map((outstanding) => writes(outstanding)),
  writes(1000, 1024),
  reads(300),
  reads(1000),
  { what: '90 % reads 100 B', outstanding: 1000, size: 100, reads: 90 },
];
const SESSIONS = 30;

interface Run {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly failed: number;
}

/** An ensemble of three servers with its load generator. */
class Side {
  readonly runs = CONFIGS.map((): Run[] => []);
  readonly #generator: Child<GeneratorHandlers>;

  constructor(name: string) {
    this.#generator = new Child(`${name} load`, new URL('./generator.ts', import.meta.url));
  }

  async open(ports: readonly number[], warmUp: number): Promise<void> {
    await this.#generator.call('open', { ports, sessions: SESSIONS });
    await this.#generator.call('prepare', undefined);
    for (const config of [writes(1000), reads(1000)]) await this.#generator.call('load', { ...config, leadIn: 0, seconds: warmUp });
  }

  async measure(at: number, seconds: number): Promise<void> {
    const { answered, failed, counts } = await this.#generator.call('load', { ...CONFIGS[at], leadIn: 0.5, seconds });
    const latencies = new Histogram(counts);
    this.runs[at].push({ perSecond: answered / seconds, p50: latencies.percentile(0.5), p99: latencies.percentile(0.99), failed });
  }

  async close(): Promise<void> {
    await this.#generator.kill();
  }
}

export const port: Row = {
  name: 'port',
  how:
    'Three processes with client ports on loopback, file storage with fsync; 30 sessions of a lean load generator spread over the three, 1000 znodes, in a closed loop. Where Debian’s ' +
    'packages are there the same load goes to three servers of Apache ZooKeeper (1 GiB of heap each, default collector), in turns with ours, both warmed up; the ratio is that of the medians.',
  run: async ({ folder, quick }) => {
    const ports = await freePorts(3);
    const cluster = await Cluster.create(folder, 3, [], (id) => ({ clientPort: ports[id - 1], clientHost: '127.0.0.1' }));
    const rival = await Rival.start(folder);
    const sides = [new Side('our'), ...(rival === null ? [] : [new Side('Apache’s')])];
    try {
      await cluster.start(...cluster.ids);
      await sides[0].open(ports, quick ? 2 : 5);
      await sides[1]?.open(rival!.ports, quick ? 5 : 12);
      for (let round = 0; round < (quick ? 1 : 3); round++) {
        for (const at of CONFIGS.keys()) for (const side of sides) await side.measure(at, quick ? 1.5 : 4);
      }
      return CONFIGS.flatMap((config, at) =>
        results(
          config,
          sides.map(({ runs }) => runs[at]),
        ),
      );
    } finally {
      await Promise.all(sides.map((side) => side.close()));
      await rival?.stop();
      await cluster.close();
    }
  },
};

function results({ what, outstanding }: Config, [ours, theirs]: readonly (readonly Run[])[]): Result[] {
  const name = `${what}, ${outstanding} outstanding`;
  const own = rate(ours);
  const first: Result = { what: name, unit: 'per s', value: own, show: whole, note: note(ours) };
  if (theirs === undefined) return [{ ...first, note: `${first.note}; Apache ZooKeeper is not installed: no ratio` }];
  const other = rate(theirs);
  const ratio = own.median / other.median;
  return [
    { ...first, note: `${first.note}; ${ratio.toFixed(2)} times Apache’s${ratio < 1 ? ': BEHIND' : ''}` },
    { what: '  Apache ZooKeeper', unit: 'per s', value: other, show: whole, note: note(theirs) },
  ];
}

const rate = (runs: readonly Run[]): Spread => spread(runs.map((run) => run.perSecond));

function note(runs: readonly Run[]): string {
  const median = (pick: (run: Run) => number): string => spread(runs.map(pick)).median.toFixed(2);
  const failed = runs.reduce((sum, run) => sum + run.failed, 0);
  return `p50 ${median((r) => r.p50)} ms, p99 ${median((r) => r.p99)} ms${failed > 0 ? `, ${failed} FAILED` : ''}`;
}
