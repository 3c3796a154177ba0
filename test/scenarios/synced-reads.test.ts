import { expect, test } from 'vitest';
import type { Session } from '../../src/node/api.ts';
import { finale } from '../../src/testing/finale.ts';
import type { Simulation } from '../../src/testing/simulation.ts';
import { bring, bringLedBy3, level, linesOf, stage } from './kit.ts';
import type { Seen } from './seen.ts';

/*
 * A leader that has been deposed and does not know. It goes on leading in its own eyes until syncLimit, which its slow clock makes long, and its side of the ensemble has not heard of what the
 * other side has committed.
 */

const text = async (session: Session): Promise<string> => (await session.getData('/value')).text();

/** Server 5 of five leads, with 4, in its own eyes; the others follow 3 and have written 'new'. Gives a session at the server `at`. */
async function deposed(at: number): Promise<{ sim: Simulation; seen: Seen; session: Session }> {
  const { sim, seen } = stage({ seed: 1675, servers: 5 });
  await bring(sim, 3, 4, 5);
  await bring(sim, 1, 2);
  expect(sim.leader).toBe(5);
  const session = await sim.openSession(at, { timeout: 40_000 });
  await session.create('/value', 'old');
  await level(sim, 5, 1, 2, 3, 4);
  for (const id of [4, 5]) sim.machine(id).setClockRate(0.4);
  sim.partition([4, 5], [1, 2, 3]);
  await sim.until(() => sim.leader === 3 && sim.serves(1, 3));
  const other = await sim.openSession(1);
  await other.setData('/value', 'new');
  // Reached: two leaders, and who asks the old one without a sync gets the old value.
  expect([sim.node(5).role, sim.node(5).serving, sim.node(3).role]).toEqual(['leading', true, 'leading']);
  expect([sim.node(at).leaderId, session.state, await text(session)]).toEqual([5, 'connected', 'old']);
  return { sim, seen, session };
}

/** What a sync and a read behind it give: the value, or the error's code. */
const syncedRead = (session: Session): Promise<string> =>
  session.sync('/value').then(
    () => text(session),
    (error: { code: string }) => error.code,
  );

test.each([
  ['the deposed leader', 5],
  ['a follower of the deposed leader', 4],
])('ZOOKEEPER-1675, 2136: a sync at %s fails when that leader learns that it is none, and never before', async (_what, at) => {
  const { sim, seen, session } = await deposed(at);
  const read = syncedRead(session);
  const confirmed = sim.node(at).sync();
  const outcome = confirmed.then(
    () => 'done',
    (error: { code: string }) => error.code,
  );
  await sim.advance(10_000);
  expect([sim.node(5).role, linesOf(seen, /^4<5 SYNC/)]).toEqual(['leading', []]);
  expect(await sim.run(read)).toBe('CONNECTION_LOSS');
  expect(await sim.run(outcome)).toBe('CONNECTION_LOSS');
  for (const id of [4, 5]) sim.machine(id).setClockRate(1);
  sim.heal();
  await finale(sim);
  await sim.until(() => session.state === 'connected');
  expect(await syncedRead(session)).toBe('new');
});

test.each([
  ['the deposed leader', 5],
  ['a follower of the deposed leader', 4],
])('ZOOKEEPER-1675, 2136: a sync at %s that is still waiting when the network heals is not answered with the past', async (_what, at) => {
  const { sim, session } = await deposed(at);
  const read = syncedRead(session);
  await sim.advance(500);
  expect(sim.node(5).role).toBe('leading');
  sim.heal();
  for (const id of [4, 5]) sim.machine(id).setClockRate(1);
  expect(['new', 'CONNECTION_LOSS']).toContain(await sim.run(read));
  await finale(sim);
  await sim.until(() => session.state === 'connected');
  expect(await syncedRead(session)).toBe('new');
});

test('ZOOKEEPER-1675, 2136: answers to heartbeats that were sent before the sync confirm nothing', async () => {
  const { sim, seen } = stage({ seed: 2136 });
  await bringLedBy3(sim);
  expect(sim.leader).toBe(3);
  const session = await sim.openSession(3, { timeout: 40_000 });
  await session.create('/value', 'old');
  await level(sim, 3, 1, 2);
  // The answers to its last heartbeats are held up, and it makes no others for a long time: so the followers leave it.
  const from = seen.lines.length;
  sim.partition([1, 2], [3], { oneWay: true });
  await sim.until(() => linesOf(seen, /^[12]>3 PING/, from).length === 2);
  sim.machine(3).setClockRate(0.02);
  await sim.until(() => sim.leader === 2 && sim.serves(1, 2));
  const other = await sim.openSession(1);
  await other.setData('/value', 'new');
  expect([sim.node(3).role, await text(session)]).toEqual(['leading', 'old']);
  const pings = linesOf(seen, /^3<[12] PING/).length;
  const read = syncedRead(session);
  sim.heal();
  const outcome = await sim.run(read);
  // One is enough for a quorum.
  expect(linesOf(seen, /^3<[12] PING/).length).toBeGreaterThan(pings);
  expect(['new', 'CONNECTION_LOSS']).toContain(outcome);
  sim.machine(3).setClockRate(1);
  await finale(sim);
});
