import { expect, test } from 'vitest';
import { finale } from '../../src/testing/finale.ts';
import type { Simulation } from '../../src/testing/simulation.ts';
import { bring, create, isPacket, level, linesOf, names, stage } from './kit.ts';
import type { Seen } from './seen.ts';

/*
 * The two epochs: what a server has promised, and what history it has. A crash or an error between their writes and those of the history must leave a server that starts again, and that
 * claims no more than it has.
 */

/**
 * Everybody has /a, of epoch 1. Then server 3 is elected again and again with 1, and promises itself the epochs 2, 3 and 4, of which nobody hears but `listeners`; and then it dies.
 * Servers 1 and 2 go on in epoch 2.
 */
async function falseLeader(sim: Simulation, seen: Seen, listeners: readonly number[] = []): Promise<void> {
  await bring(sim, 2, 3);
  await sim.start();
  await create(await sim.openSession(3), '/a');
  await level(sim, 3, ...sim.servers);
  for (const id of sim.servers) sim.crash(id);
  sim.filterSends((from, to, message) => from !== 3 || !isPacket(message, 'LEADERINFO') || listeners.includes(to));
  for (const id of [1, 3, ...listeners]) sim.restart(id);
  await sim.until(() => seen.has('3 accepted epoch 4') && listeners.every((id) => seen.has(`${id} accepted epoch 4`)));
  sim.crash(3);
  sim.filterSends(null);
}

test('ZOOKEEPER-335, 3608: epochs that a false leader promised itself neither lengthen its history nor keep it out', async () => {
  const { sim, seen } = stage({ seed: 335, ensemble: { initLimit: 2 } });
  await falseLeader(sim, seen);
  await bring(sim, 1, 2);
  expect([sim.leader, sim.node(2).epoch]).toEqual([2, 2]);
  await create(await sim.openSession(2), '/b');

  const back = seen.lines.length;
  sim.restart(3);
  await sim.until(() => sim.leader !== undefined && sim.serves(3, sim.leader), 10_000);
  // It has promised more than the leader leads with, and has less: both show at once.
  expect(seen.has('3 recovers 0x100000002 epochs 4/1', back)).toBe(true);
  expect(seen.has('2<3 FOLLOWERINFO 0x400000000', back)).toBe(true);
  // One election later all are in an epoch behind every promise, with the history of those who have more.
  expect(linesOf(seen, /^\d is leading/, back)).toEqual(['2 is leading 2 epoch 5']);
  expect(names(sim, 3)).toEqual(['a', 'b']);
  await finale(sim);
});

test('ZOOKEEPER-335, 3608: an observer that believed a false leader is not kept out either', async () => {
  const { sim, seen } = stage({ seed: 3350, observers: 1, ensemble: { initLimit: 2 } });
  await falseLeader(sim, seen, [4]);
  sim.isolate(4);
  await bring(sim, 1, 2);
  expect([sim.leader, sim.node(2).epoch]).toEqual([2, 2]);
  await create(await sim.openSession(2), '/b');
  sim.heal();
  await sim.until(() => sim.leader !== undefined && sim.serves(4, sim.leader), 10_000);
  expect(seen.has(/^2<4 OBSERVERINFO 0x400000000/)).toBe(true);
  await bring(sim, 3);
  await finale(sim);
  expect(names(sim, 4)).toEqual(['a', 'b']);
});
