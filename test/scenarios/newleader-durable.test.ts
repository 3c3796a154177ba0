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
