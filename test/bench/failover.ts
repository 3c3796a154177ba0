import { sharedNow, until } from '../../examples/support/processes.ts';
import { Cluster, type Replica } from './cluster.ts';
import { type Row, tenths } from './report.ts';
import { spread } from './stats.ts';

export const failover: Row = {
  name: 'failover',
  how:
    'Three processes as above. A client on a surviving follower keeps 10 writes under way; the leader is killed with SIGKILL; the gap is the longest wait between ' +
    'two acknowledgements. Then the killed replica is started again for the next run.',
  run: async ({ folder, quick }) => {
    const cluster = await Cluster.create(folder, 3);
    try {
      await cluster.start(...cluster.ids);
      await cluster.get(1).call('prepare', undefined);
      const gaps: number[] = [];
      const leaderless: number[] = [];
      for (let run = 0; run < (quick ? 2 : 7); run++) {
        const outcome = await killLeader(cluster);
        gaps.push(outcome.gap);
        leaderless.push(outcome.leaderless);
      }
      return [
        {
          what: 'write gap after kill -9 of the leader',
          unit: 'ms',
          value: spread(gaps),
          show: tenths,
          mark: { value: 200, better: 'less' },
        },
        { what: 'time without a leader after kill -9', unit: 'ms', value: spread(leaderless), show: tenths },
      ];
    } finally {
      await cluster.close();
    }
  },
};

async function killLeader(cluster: Cluster): Promise<{ gap: number; leaderless: number }> {
  const leader = await cluster.leader();
  const [writerId] = cluster.ids.filter((id) => id !== leader);
  const writer = cluster.get(writerId);
  await writer.call('startWriter', { outstanding: 10, pausePerWrite: 0 });
  await acknowledged(writer, 500);
  await writer.call('longestWait', undefined);
  const killed = sharedNow();
  await cluster.get(leader).kill();
  const before = await writer.call('written', undefined);
  const successor = await until('a new leader', () => writer.call('newLeader', { old: leader, since: killed }));
  await acknowledged(writer, before + 500);
  const gap = await writer.call('longestWait', undefined);
  await cluster.start(leader);
  await writer.call('stopWriter', undefined);
  return { gap, leaderless: successor.at - killed };
}

const acknowledged = (writer: Replica, writes: number): Promise<true> =>
  until(`${writes} acknowledged writes`, async () => (await writer.call('written', undefined)) >= writes);
