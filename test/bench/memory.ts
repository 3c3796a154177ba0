import { loopbackServers } from '../../examples/support/ports.ts';
import { Child } from '../../examples/support/processes.ts';
import { Cluster } from './cluster.ts';
import { type Row, whole } from './report.ts';
import type { SoloHandlers } from './solo.ts';
import { spread } from './stats.ts';

const solo = async (servers: number): Promise<Child<SoloHandlers>> => {
  const child = new Child<SoloHandlers>('in-memory ensemble', new URL('./solo.ts', import.meta.url));
  // The in-memory network binds no port; the addresses only have to be well-formed.
  await child.call('start', { servers: await loopbackServers(servers) });
  return child;
};

export const commits: Row = {
  name: 'commits',
  how: 'Three replicas in one process on the in-memory network and storage: setData of 100 bytes, 1000 outstanding over 30 sessions, after a warm-up.',
  run: async ({ quick }) => {
    const child = await solo(3);
    try {
      await child.call('prepareLoad', undefined);
      const options = { outstanding: 1000, size: 100, leadIn: 0.3, seconds: quick ? 1 : 3 };
      await child.call('load', { ...options, seconds: quick ? 2 : 5 });
      const rates: number[] = [];
      for (let run = 0; run < (quick ? 1 : 3); run++) {
        const results = await child.call('load', options);
        rates.push(results.reduce((sum, { acknowledged }) => sum + acknowledged, 0) / options.seconds);
      }
      return [{ what: 'in-memory commits, one process, 3 replicas', unit: 'commits/s', value: spread(rates), show: whole }];
    } finally {
      await child.kill();
    }
  },
};

const READ_ZNODES = 100_000;

export const reads: Row = {
  name: 'reads',
  how: `tree.getData on random paths of ${whole(READ_ZNODES)} znodes with 100 bytes each, in the replica's own process, after a warm-up.`,
  run: async ({ quick }) => {
    const child = await solo(1);
    try {
      await child.call('prepareReads', { znodes: READ_ZNODES });
      const kinds = [
        { touch: 'nothing', what: 'local getData' },
        { touch: 'stat', what: 'local getData, reading its Stat' },
        { touch: 'data', what: 'local getData, copying out its data' },
      ] as const;
      const rates = kinds.map((): number[] => []);
      for (const { touch } of kinds) await child.call('reads', { seconds: 0.5, touch });
      for (let run = 0; run < (quick ? 1 : 5); run++) {
        for (const [i, { touch }] of kinds.entries()) rates[i].push(await child.call('reads', { seconds: quick ? 0.5 : 1, touch }));
      }
      await child.call('total', undefined);
      return kinds.map(({ what, touch }, i) => ({
        what,
        unit: 'reads/s',
        value: spread(rates[i]),
        show: whole,
        mark: touch === 'nothing' ? ({ value: 3_000_000, better: 'more' } as const) : undefined,
      }));
    } finally {
      await child.kill();
    }
  },
};

const HEAP_ZNODES = 200_000;

export const heap: Row = {
  name: 'heap',
  how:
    `Live bytes (heapUsed + external, buffers included, after a full collection) of a replica with ${whole(HEAP_ZNODES)} znodes of 100 bytes, paths of 16 characters, less those ` +
    'of one without, divided by the number: in the process that created them, and in fresh processes that recovered them from disk.',
  run: async ({ folder, quick }) => {
    const runs = quick ? 1 : 3;
    const created: number[] = [];
    const recovered: number[] = [];
    for (let run = 0; run < runs; run++) {
      const cluster = await Cluster.create(folder, 1, ['--expose-gc']);
      try {
        await cluster.start(1);
        const empty = await cluster.get(1).call('liveBytes', undefined);
        await cluster.get(1).call('fill', { parent: '/mem1', znodes: HEAP_ZNODES });
        created.push(((await cluster.get(1).call('liveBytes', undefined)) - empty) / HEAP_ZNODES);
        await cluster.stop();
        await cluster.start(1);
        recovered.push(((await cluster.get(1).call('liveBytes', undefined)) - empty) / HEAP_ZNODES);
      } finally {
        await cluster.close();
      }
    }
    const mark = { value: 400, better: 'less' } as const;
    return [
      { what: 'heap per znode, after creation', unit: 'bytes', value: spread(created), show: whole, mark },
      { what: 'heap per znode, after a restart', unit: 'bytes', value: spread(recovered), show: whole, mark },
    ];
  },
};
