import { sharedNow } from '../../examples/support/processes.ts';
import { Cluster } from './cluster.ts';
import { type Row, tenths, whole } from './report.ts';
import { spread } from './stats.ts';

const ZNODES = 200_000;
/** The pause that is aimed at, and the one at which the command fails: other work may share the machine. Both in ms. */
const AIM = 50;
const LIMIT = 250;

export const join: Row = {
  name: 'join',
  how:
    `Two replicas of an ensemble of three hold ${whole(ZNODES)} znodes; a client on the follower writes at about 1000 writes/s. The third starts with an empty folder and is sent a ` +
    "snapshot. The pause is the longest that the leader's event loop was late meanwhile (probe: perf_hooks, 1 ms).",
  run: async ({ folder, quick }) => {
    const cluster = await Cluster.create(folder, 3);
    try {
      await cluster.start(1, 2);
      const leaderId = await cluster.leader();
      const leader = cluster.get(leaderId);
      const writer = cluster.get(leaderId === 1 ? 2 : 1);
      await writer.call('fill', { parent: '/join', znodes: ZNODES });
      await writer.call('prepare', undefined);
      await writer.call('startWriter', { outstanding: 10, pausePerWrite: 8 });
      const [quiet, pauses, waits, joins]: number[][] = [[], [], [], []];
      for (let run = 0; run < (quick ? 1 : 5); run++) {
        await leader.call('longestPause', undefined);
        await new Promise((resolve) => setTimeout(resolve, 2000));
        quiet.push(await leader.call('longestPause', undefined));
        await writer.call('longestWait', undefined);
        const begin = sharedNow();
        await cluster.start(3);
        joins.push(sharedNow() - begin);
        pauses.push(await leader.call('longestPause', undefined));
        waits.push(await writer.call('longestWait', undefined));
        const { nodeCount } = await cluster.get(3).call('status', undefined);
        if (nodeCount < ZNODES) throw new Error(`the new follower serves with ${nodeCount} znodes`);
        const { snapshotsSent } = (await leader.call('status', undefined)).metrics;
        if (snapshotsSent !== run + 1) throw new Error(`the leader has sent ${snapshotsSent} snapshots for ${run + 1} joins`);
        await cluster.get(3).kill();
        await cluster.forget(3);
      }
      await writer.call('stopWriter', undefined);
      return [
        { what: "leader's longest pause before the join", unit: 'ms', value: spread(quiet), show: tenths },
        {
          what: "leader's longest pause while one joins by SNAP",
          unit: 'ms',
          value: spread(pauses),
          show: tenths,
          mark: { value: AIM, better: 'less' },
          limit: LIMIT,
          note: `fails past ${LIMIT}`,
        },
        { what: "a client's longest wait meanwhile", unit: 'ms', value: spread(waits), show: tenths },
        { what: 'from fork to serving', unit: 'ms', value: spread(joins), show: whole },
      ];
    } finally {
      await cluster.close();
    }
  },
};
