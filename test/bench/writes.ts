import { Cluster } from './cluster.ts';
import type { LoadResult } from './load.ts';
import { type Result, type Row, whole } from './report.ts';
import { Histogram, spread } from './stats.ts';

interface Config {
  readonly outstanding: number;
  readonly size: number;
}

interface Run {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly failed: number;
}

const CONFIGS: readonly Config[] = [1, 100, 1000].flatMap((outstanding) => [100, 1024].map((size) => ({ outstanding, size })));

export const writes: Row = {
  name: 'writes',
  how:
    'Three processes over TCP on loopback, file storage with fsync; clients in all three processes, 10 sessions each (1 outstanding: one session ' +
    'on a follower), setData on 1000 znodes in a closed loop. Warmed up first; the runs of the configurations are interleaved.',
  run: async ({ folder, quick }) => {
    const cluster = await Cluster.create(folder, 3);
    try {
      await cluster.start(...cluster.ids);
      await cluster.get(1).call('prepare', undefined);
      await Promise.all(cluster.ids.map((id) => cluster.get(id).call('openClients', undefined)));
      const leader = await cluster.leader();
      await measure(cluster, leader, { outstanding: 1000, size: 100 }, 0, quick ? 3 : 10);
      const runs = CONFIGS.map((): Run[] => []);
      for (let round = 0; round < (quick ? 1 : 3); round++) {
        for (const [i, config] of CONFIGS.entries()) runs[i].push(await measure(cluster, leader, config, 0.5, quick ? 1.5 : 4));
      }
      return CONFIGS.map((config, i) => result(config, runs[i]));
    } finally {
      await cluster.close();
    }
  },
};

async function measure(cluster: Cluster, leader: number, { outstanding, size }: Config, leadIn: number, seconds: number): Promise<Run> {
  const ids = outstanding === 1 ? cluster.ids.filter((id) => id !== leader).slice(0, 1) : cluster.ids;
  const share = (i: number): number => Math.floor(((i + 1) * outstanding) / ids.length) - Math.floor((i * outstanding) / ids.length);
  const results: LoadResult[] = await Promise.all(
    ids.map((id, i) => cluster.get(id).call('load', { outstanding: share(i), size, leadIn, seconds })),
  );
  const latencies = new Histogram();
  for (const { counts } of results) latencies.merge(new Histogram(counts));
  const sum = (pick: (result: LoadResult) => number): number => results.reduce((total, result) => total + pick(result), 0);
  return {
    perSecond: sum((r) => r.acknowledged) / seconds,
    p50: latencies.percentile(0.5),
    p99: latencies.percentile(0.99),
    failed: sum((r) => r.failed),
  };
}

function result({ outstanding, size }: Config, runs: readonly Run[]): Result {
  const median = (pick: (run: Run) => number): string => spread(runs.map(pick)).median.toFixed(2);
  const failed = runs.reduce((sum, run) => sum + run.failed, 0);
  return {
    what: `durable writes, ${size === 1024 ? '1 KiB' : `${size} B`}, ${outstanding} outstanding`,
    unit: 'writes/s',
    value: spread(runs.map((run) => run.perSecond)),
    show: whole,
    note: `p50 ${median((r) => r.p50)} ms, p99 ${median((r) => r.p99)} ms${failed > 0 ? `, ${failed} FAILED` : ''}`,
    mark: outstanding === 1000 && size === 100 ? { value: 35_000, better: 'more' } : undefined,
  };
}
