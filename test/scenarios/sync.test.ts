import { expect, test } from 'vitest';
import { finale } from '../../src/testing/finale.ts';
import type { Simulation } from '../../src/testing/simulation.ts';
import { beganAnew, begin, bring, create, cutBehind, isPacket, level, linesOf, names, namesOnDisk, stage, zxidsOnDisk } from './kit.ts';

/*
 * A synchronisation that breaks off, or that is served from a log with a hole: nobody may take for done what has not come.
 */

test('ZOOKEEPER-2355: a DIFF that breaks off before its proposals is sent again, and the ephemeral of a closed session goes', async () => {
  const { sim, seen } = stage({ seed: 2355 });
  await bring(sim, 2, 3);
  await bring(sim, 1);
  const session = await sim.openSession(2);
  await session.create('/lock', 'held', { mode: 'ephemeral' });
  await level(sim, 3, 1, 2);
  sim.isolate(1);
  await sim.until(() => sim.node(1).role === 'looking');
  await session.close();
  await create(await sim.openSession(3), '/later');
  expect([1, 3].map((id) => sim.treeOf(id).exists('/lock') !== undefined)).toEqual([true, false]);

  const back = seen.lines.length;
  const isCut = cutBehind(sim, 1, 'DIFF');
  sim.heal();
  await sim.until(() => isCut() && beganAnew(seen, 1, 'DIFF', back));
  const cut = seen.lines.length;
  expect(linesOf(seen, /^1<3 (DIFF|PROPOSAL|COMMIT|NEWLEADER)/, back)).toEqual(['1<3 DIFF 0x100000005']);
  await sim.settled();
  // It has nothing of what the DIFF announced, and says so; then all of it comes.
  expect(linesOf(seen, /^1>3 ACKEPOCH/, cut)[0]).toBe('1>3 ACKEPOCH 0x100000002');
  expect(seen.lines.slice(cut).some((line) => /^1 applies 0x100000003 closeSession/.test(line))).toBe(true);
  expect(names(sim, 1)).toEqual(['later']);
  expect(sim.treeOf(1).sessions.has(session.id)).toBe(false);
  await finale(sim);
});

/** Server 1 of five ends at /old; 5, which has a tail of its own, is brought back by a snapshot, and leads the epoch after that. */
async function holeIn5(sim: Simulation): Promise<void> {
  await bring(sim, 3, 4, 5);
  await bring(sim, 1, 2);
  const session = await sim.openSession(5);
  await create(session, '/old');
  await level(sim, 5, 1, 2, 3, 4);
  sim.crash(1);
  sim.partition([5], [2, 3, 4]);
  begin(session, '/lost');
  await sim.until(() => sim.serves(2, 4) && sim.durable.of(5).low === 3);
  await create(await sim.openSession(2), '/missed-1', '/missed-2');
  sim.heal();
  await sim.until(() => sim.serves(5, 4));
  sim.crash(4);
  await sim.until(() => sim.leader === 5 && sim.serves(2, 5) && sim.serves(3, 5));
  await create(await sim.openSession(5), '/new');
}

test('ZOOKEEPER-2846: a leader that was itself brought back by a snapshot does not serve the hole in front of it', async () => {
  const { sim, seen } = stage({ seed: 2846, servers: 5, ensemble: { commitLogCount: 1 } });
  await holeIn5(sim);
  // The entry of epoch 3 may follow the one of epoch 1 by its zxid: nothing but the log itself can tell of the hole.
  expect(seen.has('5 has installed 0x200000003')).toBe(true);
  expect(zxidsOnDisk(sim, 5)[0]).toBe('0x300000001');
  const back = seen.lines.length;
  await bring(sim, 1);
  expect(seen.has('5 did logNotReadForLearner', back)).toBe(true);
  expect(linesOf(seen, /^1<5 (DIFF|TRUNC|SNAP) /, back)).toEqual([expect.stringMatching(/SNAP 0x30000000\d/)]);
  expect(names(sim, 1)).toEqual(['missed-1', 'missed-2', 'new', 'old']);
  sim.crash(1);
  await bring(sim, 1, 4);
  expect(namesOnDisk(sim, 1)).toEqual(['missed-1', 'missed-2', 'new', 'old']);
  await finale(sim);
});

/** Server 1 has nothing, 2 and 3 have /a; 3 leads, and what comes behind its snapshot never gets to 1. */
async function snapshotWithoutNewLeader(sim: Simulation): Promise<void> {
  await bring(sim, 2, 3);
  await create(await sim.openSession(3), '/a', '/b');
  await level(sim, 3, 2);
  sim.filterSends((from, to, message) => from !== 3 || to !== 1 || !isPacket(message, 'NEWLEADER'));
  sim.restart(1);
}

test('ZOOKEEPER-3642: a snapshot whose NEWLEADER never came counts for nothing', async () => {
  const { sim, seen } = stage({ seed: 3642, ensemble: { commitLogCount: 1 } });
  await snapshotWithoutNewLeader(sim);
  await sim.until(() => seen.has('1<3 SNAPSHOT_END'));
  sim.crash(3);
  sim.filterSends(null);
  const crash = seen.lines.length;
  await sim.until(() => sim.leader === 2 && sim.serves(1, 2));
  expect(linesOf(seen, /^1<3 NEWLEADER/)).toEqual([]);
  // It tells the next leader of what is on its disk, which is nothing, and so it gets everything.
  expect(linesOf(seen, /^1>2 ACKEPOCH/, crash)).toEqual(['1>2 ACKEPOCH 0x0']);
  expect(linesOf(seen, /^1<2 (DIFF|TRUNC|SNAP) /, crash)).toEqual(['1<2 SNAP 0x100000003']);
  expect(namesOnDisk(sim, 1)).toEqual(['a', 'b']);
  await create(await sim.openSession(1), '/c');
  sim.crash(1, { power: true, remains: 'nothing' });
  await bring(sim, 1, 3);
  expect(names(sim, 1)).toEqual(['a', 'b', 'c']);
  await finale(sim);
});

test('ZOOKEEPER-3642: the same when the process dies instead of the leader', async () => {
  const { sim, seen } = stage({ seed: 36420, ensemble: { commitLogCount: 1 } });
  await snapshotWithoutNewLeader(sim);
  await sim.until(() => seen.has('1<3 SNAPSHOT_END'));
  await sim.advance(1000);
  sim.filterSends(null);
  sim.crash(1);
  const crash = seen.lines.length;
  await bring(sim, 1);
  expect(linesOf(seen, /^1 recovers/, crash)).toEqual(['1 recovers 0x0 epochs 1/0']);
  expect(names(sim, 1)).toEqual(['a', 'b']);
  await finale(sim);
});

test.each([
  ['process', false],
  ['node in its process', true],
])('ZOOKEEPER-4882: who applied what its own disk then failed to write ends, and its next %s gets it again', async (_what, node) => {
  const { sim, seen } = stage({ seed: 4882 });
  await bring(sim, 2, 3);
  await bring(sim, 1);
  const session = await sim.openSession(3);
  await create(session, '/a');
  await level(sim, 3, 1, 2);
  // The quorum of the others commits long before the write here comes to its end.
  const { latency } = sim.disk(1);
  sim.disk(1).latency = { cached: [0.01, 0.05], durable: [300, 300] };
  sim.disk(1).failOn(/^write .*\/log\./, 'EIO', 1);
  await create(session, '/b');
  await sim.until(() => !sim.isUp(1));
  expect(seen.has('1 applies 0x100000003 create2 /b')).toBe(true);
  expect(seen.has('1 has 0x100000003')).toBe(false);
  expect(sim.errorOf(1)?.message).toMatch(/EIO/);
  expect(sim.disk(1).counts.EIO).toBe(1);
  await create(session, '/c');

  sim.disk(1).latency = latency;
  const back = seen.lines.length;
  const { life } = sim.machine(1);
  sim.restart(1, { node });
  await sim.settled();
  expect(sim.machine(1).life === life).toBe(node);
  expect(linesOf(seen, /^1 recovers|^1>3 ACKEPOCH/, back)).toEqual(['1 recovers 0x100000002 epochs 1/1', '1>3 ACKEPOCH 0x100000002']);
  expect(linesOf(seen, /^1 logs/, back)).toEqual(['1 logs 0x100000003', '1 logs 0x100000004']);
  await create(session, '/d');
  await level(sim, 3, 1, 2);
  sim.crash(1, { power: true });
  await bring(sim, 1);
  expect(names(sim, 1)).toEqual(['a', 'b', 'c', 'd']);
  expect(zxidsOnDisk(sim, 1)).toHaveLength(5);
  await finale(sim);
});
