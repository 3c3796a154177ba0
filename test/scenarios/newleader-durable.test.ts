import { expect, test } from 'vitest';
import { finale } from '../../src/testing/finale.ts';
import { createSimulation, type Simulation } from '../../src/testing/simulation.ts';
import { Packet } from '../../src/zab/messages.ts';
import { Seen, startOnly } from './seen.ts';

/** Server 3 alone has `/seen` in its log; everybody is down. */
async function onlyOnServer3(sim: Simulation, seen: Seen): Promise<void> {
  await startOnly(sim, [1, 2, 3]);
  expect(sim.leader).toBe(3);
  const session = await sim.openSession(3);
  await session.create('/base');
  await sim.until(() => seen.count('applies 0x100000002') === 3);
  sim.filterSends((_from, _to, message) => message.type !== Packet.PROPOSAL);
  session.create('/seen').catch(() => {});
  await sim.until(() => seen.has('3 has 0x100000003'));
  expect(seen.has(/[12] logs 0x100000003/)).toBe(false);
  for (const id of [1, 2, 3]) sim.crash(id);
  sim.filterSends(null);
}

const MOMENTS = {
  'the leader serves': '3 serves',
  'a follower serves': '1 serves',
};

test.each(Object.entries(MOMENTS))(
  'ZOOKEEPER-3023, 3911: what a reader saw is there after a power loss at the moment when %s',
  async (_name, moment) => {
    const sim = createSimulation({ seed: 3911 });
    const seen = new Seen(sim);
    await onlyOnServer3(sim, seen);
    const from = seen.lines.length;
    // Whoever acknowledges before its disk has it would be far ahead of its disk.
    for (const id of [1, 2]) sim.disk(id).latency = { cached: [0.01, 0.05], durable: [200, 300] };
    for (const id of [1, 2, 3]) sim.restart(id);
    await sim.until(() => seen.has(moment, from));
    // Reached: the followers got the transaction as a part of the synchronisation, and a read shows it.
    seen.inOrder(['1<3 DIFF 0x100000003', '1<3 PROPOSAL 0x100000003', '1<3 NEWLEADER'], from);
    expect(sim.treeOf(3).exists('/seen')).toBeDefined();
    for (const id of [1, 2, 3]) sim.crash(id, { power: true, remains: 'nothing' });

    await startOnly(sim, [1, 2]);
    expect(sim.treeOf(1).exists('/seen')).toBeDefined();
    expect(sim.treeOf(2).exists('/seen')).toBeDefined();
    sim.restart(3);
    await finale(sim);
  },
);

test('ZOOKEEPER-4646: a follower that is cut off between the write and the flush of the synchronised transactions has not acknowledged NEWLEADER', async () => {
  const sim = createSimulation({ seed: 4646 });
  const seen = new Seen(sim);
  await onlyOnServer3(sim, seen);
  const from = seen.lines.length;
  // A disk on which a write and its flush are two steps, and so slow that NEWLEADER comes meanwhile. The first write to a new file is its header.
  const disk = sim.disk(1);
  disk.durableWrites = false;
  disk.latency = { cached: [1, 2], durable: [5, 10] };
  let writes = 0;
  const forget = disk.onStep((line) => {
    if (line === 'write /data/version-2/log.100000003') writes++;
    if (line !== 'sync /data/version-2/log.100000003' || writes < 2) return;
    forget();
    sim.crash(1, { power: true, remains: 'nothing' });
  });
  sim.restart(1);
  sim.restart(3);
  await sim.until(() => seen.has('1 dies', from), 1000);
  seen.inOrder(['1<3 PROPOSAL 0x100000003', '1<3 NEWLEADER', '1 dies'], from);
  expect(seen.has('1 logs 0x100000003', from)).toBe(true);
  await sim.advance(3 * sim.tickTime);
  expect(seen.has('1>3 ACK 0x', from)).toBe(false);
  expect(seen.has('3 serves', from)).toBe(false);

  // Nobody was shown it, so it may go; and it goes everywhere, since the others have gone on without it.
  sim.crash(3);
  await startOnly(sim, [1, 2]);
  expect(sim.treeOf(2).exists('/seen')).toBeUndefined();
  const session = await sim.openSession(2);
  await session.create('/other');
  sim.restart(3);
  await sim.until(() => seen.has('3 has truncated 0x100000002', from) || seen.has('3 has installed', from));
  await finale(sim);
  expect(sim.treeOf(3).exists('/seen')).toBeUndefined();
  expect(sim.treeOf(3).exists('/other')).toBeDefined();
});
