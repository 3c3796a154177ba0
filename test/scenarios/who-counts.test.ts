import { expect, test } from 'vitest';
import { formatZxid } from '../../src/model/zxid.ts';
import type { Session } from '../../src/node/api.ts';
import { finale } from '../../src/testing/finale.ts';
import { begin, bring, create, isPacket, level, linesOf, names, onDisk, stage } from './kit.ts';

const VOTERS = 3;
const OBSERVERS = [4, 5, 6];

/** How far observers bring a leader whose only follower keeps one packet back. */
const STEPS = [
  { kept: 'FOLLOWERINFO', reached: /^3<4 OBSERVERINFO/, never: /^3 accepted epoch/ },
  { kept: 'ACKEPOCH', reached: /^3<4 ACKEPOCH/, never: /^3 current epoch/ },
  { kept: 'ACK', reached: /^3<4 ACK 0x100000000/, never: /^\d serves$/ },
];

test.each(STEPS)('ZOOKEEPER-2959: observers are no quorum for a leader that waits for $kept', async ({ kept, reached, never }) => {
  const { sim, seen } = stage({ seed: 2959, servers: VOTERS, observers: 3 });
  sim.filterSends((from, to, message) => !(from === 2 && to === 3 && isPacket(message, kept)));
  for (const id of [2, 3, ...OBSERVERS]) sim.restart(id);
  await sim.until(() => seen.has(reached));
  for (const id of OBSERVERS) await sim.until(() => seen.has(new RegExp(reached.source.replace('<4', `<${id}`))));
  // More than one initLimit.
  await sim.advance(25 * sim.tickTime);
  expect(linesOf(seen, never)).toEqual([]);
  expect(linesOf(seen, /^\d serves$/)).toEqual([]);
  sim.filterSends(null);
  sim.restart(1);
  await finale(sim);
});

test('ZOOKEEPER-2959: a leader that has only observers left stops, and what it proposed meanwhile is not committed', async () => {
  const { sim, seen } = stage({ seed: 29590, servers: VOTERS, observers: 3 });
  await sim.start();
  expect(sim.leader).toBe(3);
  const session = await sim.openSession(3);
  await create(session, '/before');
  await level(sim, 3, 1, 2, ...OBSERVERS);
  sim.partition([3, ...OBSERVERS], [1, 2]);
  const outcome = session.create('/alone').then(
    () => 'done',
    (error: { code: string }) => error.code,
  );
  const since = sim.now;
  await sim.until(() => seen.has('3 serves no more'));
  // syncLimit is 5 ticks.
  expect(sim.now - since).toBeLessThan(7 * sim.tickTime);
  expect(seen.has('3 has 0x100000003')).toBe(true);
  expect(await sim.run(outcome)).toBe('CONNECTION_LOSS');
  // By themselves they do not begin again.
  const from = seen.lines.length;
  const { events } = sim.kernel.trace;
  await sim.until(() => sim.leader === 2);
  await sim.advance(25 * sim.tickTime);
  // Nor do they answer each other without end while they look.
  expect(sim.kernel.trace.events - events).toBeLessThan(10_000);
  expect(linesOf(seen, /^[3456] serves$/, from)).toEqual([]);
  sim.heal();
  await finale(sim);
  expect(names(sim, 4)).toEqual(['before']);
});

test('ZOOKEEPER-4352: an empty server gets a snapshot from a leader that has begun with one, after a change of leader', async () => {
  // A snapshot with every transaction, so that a restart begins with one.
  const { sim, seen } = stage({ seed: 4352, ensemble: { snapCount: 2 } });
  const all: string[] = [];
  /** Writes until neither disk has anything behind its snapshot. */
  const untilSnapshotsHaveAll = async (session: Session, name: string): Promise<void> => {
    do {
      all.push(`${name}${all.length}`);
      await create(session, `/${all.at(-1)}`);
      await sim.advance(50);
    } while ([1, 2].some((id) => onDisk(sim, id).entries.length > 0));
  };
  await bring(sim, 1, 2);
  expect(sim.leader).toBe(2);
  const session = await sim.openSession(2);
  await untilSnapshotsHaveAll(session, 'a');
  // Server 1 alone gets one more: it will lead.
  const logged = seen.lines.length;
  sim.disk(2).latency = { cached: [0.1, 1], durable: [500, 500] };
  begin(session, '/last');
  await sim.until(() => seen.has(/^1 has/, logged));
  for (const id of [1, 2]) sim.crash(id, { power: true, remains: 'nothing' });
  sim.disk(2).latency = { cached: [0.01, 0.05], durable: [0.1, 1] };
  await bring(sim, 1, 2);
  expect(sim.leader).toBe(1);
  await untilSnapshotsHaveAll(await sim.openSession(1), 'b');
  for (const id of [1, 2]) sim.crash(id);
  // Now there is nothing but the snapshot: no committed transaction is in anybody's memory.
  const from = seen.lines.length;
  await bring(sim, 1, 2);
  const { leader } = sim;
  const { lastZxid } = sim.treeOf(leader!);
  sim.restart(3);
  await sim.until(() => sim.serves(3, leader!));
  expect(linesOf(seen, /^3<\d (DIFF|TRUNC|SNAP) /, from)).toEqual([`3<${leader} SNAP ${formatZxid(lastZxid)}`]);
  await finale(sim);
  expect(names(sim, 3)).toEqual([...all, 'last'].sort());
});

test('ZOOKEEPER-4352: only a memory that reaches back to the very first transaction serves an empty server with a DIFF, of all of them', async () => {
  const { sim, seen } = stage({ seed: 43520 });
  await bring(sim, 1, 2);
  const session = await sim.openSession(2);
  await create(session, '/a', '/b');
  sim.restart(3);
  await sim.until(() => sim.serves(3, 2));
  expect(linesOf(seen, /^3<2 (DIFF|SNAP|PROPOSAL) /)).toEqual([
    '3<2 DIFF 0x100000003',
    '3<2 PROPOSAL 0x100000001',
    '3<2 PROPOSAL 0x100000002',
    '3<2 PROPOSAL 0x100000003',
  ]);
  await finale(sim);
  expect(names(sim, 3)).toEqual(['a', 'b']);
});
