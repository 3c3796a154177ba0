import { beforeEach, expect, test, vi } from 'vitest';
import { counterOf, epochOf, formatZxid, makeZxid } from '../../src/model/zxid.ts';
import type { Session } from '../../src/node/api.ts';
import { finale } from '../../src/testing/finale.ts';
import type { Simulation } from '../../src/testing/simulation.ts';
import { begin, bring, create, level, linesOf, onDisk, stage } from './kit.ts';

/*
 * Every election starts an epoch at counter 0, and its end is four thousand million writes away. Here the counter of the first epoch jumps once, as it does with ZooKeeper's
 * property for such tests (PROTOCOL 13.3).
 */
const FROM = 5;
const jump = vi.hoisted(() => ({ to: 0xffffff00 }));

vi.mock(import('../../src/model/zxid.ts'), async (original) => {
  const real = await original();
  const jumps = (zxid: Parameters<typeof real.nextZxid>[0]): boolean => real.zxidEquals(zxid, real.makeZxid(1, FROM));
  return {
    ...real,
    nextZxid: (zxid) => (jumps(zxid) ? real.makeZxid(1, jump.to) : real.nextZxid(zxid)),
    followsInHistory: (last, next) =>
      real.followsInHistory(last, next) || (jumps(last) && real.zxidEquals(next, real.makeZxid(1, jump.to))),
  };
});

beforeEach(() => {
  jump.to = 0xffffff00;
});

/** Writes one after the other to the last counter of epoch 1. */
async function useUp(session: Session): Promise<void> {
  await create(session, '/2', '/3', '/4', '/5');
  for (let counter = jump.to; counter <= 0xfffffffe; counter++) {
    const { stat } = await session.create(`/${counter.toString(16)}`);
    expect(formatZxid(stat.czxid)).toBe(formatZxid(makeZxid(1, counter)));
  }
}

/** No server has ever had this, in its tree or on its disk. */
function expectNoCarry(sim: Simulation): void {
  for (const id of sim.servers) {
    for (const { zxid } of onDisk(sim, id).entries) {
      expect(counterOf(zxid)).toBeLessThanOrEqual(0xfffffffe);
      expect(counterOf(zxid), 'the start of an epoch is no transaction').toBeGreaterThan(0);
    }
  }
}

test('ZOOKEEPER-1277, 2789: the write behind the last counter ends the epoch, carries nothing into the next, and is lost', async () => {
  const { sim, seen } = stage({ seed: 1277 });
  await bring(sim, 1, 2, 3);
  const session = await sim.openSession(3);
  await useUp(session);
  expect(sim.node(3).epoch).toBe(1);
  // From here on an epoch of its own: the counter is 0xfffffffe, nothing is outstanding.
  const from = seen.lines.length;
  const refused = session.create('/one-too-many').then(
    () => 'done',
    (error: { code: string }) => error.code,
  );
  expect(await sim.run(refused)).toBe('CONNECTION_LOSS');
  await sim.until(() => sim.leader !== undefined && sim.node(sim.leader).epoch === 2);
  expect(linesOf(seen, /0x1ffffffff/)).toEqual([]);
  expect(linesOf(seen, /logs 0x2/, from)).toEqual([]);
  await sim.settled();
  const { stat } = await session.create('/next');
  expect([epochOf(stat.czxid), counterOf(stat.czxid)]).toEqual([2, 1]);
  await finale(sim);
  expectNoCarry(sim);
  for (const id of sim.servers) expect(sim.treeOf(id).exists('/one-too-many')).toBeUndefined();
  for (const id of sim.servers) expect(sim.treeOf(id).nodeCount).toBe(sim.treeOf(3).nodeCount);
});

test('ZOOKEEPER-4883: with writes of all servers under way at the end of the counter, what was acknowledged stays, over a restart of all too', async () => {
  jump.to = 0xfffffff0;
  const { sim } = stage({ seed: 4883 });
  await bring(sim, 1, 2, 3);
  const sessions = await Promise.all([1, 2, 3].map((id) => sim.openSession(id)));
  await create(sessions[0], '/4', '/5');
  const acknowledged: string[] = [];
  const failed: string[] = [];
  const write = async (session: Session, name: string): Promise<void> => {
    try {
      for (let k = 0; k < 12; k++) {
        const { path, stat } = await session.create(`/${name}-${k}`);
        acknowledged.push(`${path} ${formatZxid(stat.czxid)}`);
      }
    } catch (error) {
      failed.push((error as { code: string }).code);
    }
  };
  await Promise.all(sessions.map((session, at) => write(session, `s${at}`)));
  // Reached: there were only 15 counters left, and everybody had a write under way when they were used up.
  expect(acknowledged.length).toBeGreaterThan(10);
  expect(acknowledged.length).toBeLessThanOrEqual(15);
  expect(failed).toEqual(['CONNECTION_LOSS', 'CONNECTION_LOSS', 'CONNECTION_LOSS']);
  await sim.settled();
  expect(sim.node(1).epoch).toBe(2);
  for (const id of sim.servers) sim.crash(id, { power: true, remains: 'nothing' });
  await bring(sim, 1, 2, 3);
  await finale(sim);
  expectNoCarry(sim);
  for (const line of acknowledged) {
    const [path, zxid] = line.split(' ');
    expect(formatZxid(sim.treeOf(1).exists(path)!.czxid)).toBe(zxid);
  }
});

test('ZOOKEEPER-2789: a server that was away comes back over the end of the counter', async () => {
  jump.to = 0xfffffff8;
  const { sim, seen } = stage({ seed: 2789 });
  await bring(sim, 1, 2, 3);
  const session = await sim.openSession(3);
  await create(session, '/2', '/3', '/4', '/5', '/fffffff8');
  await level(sim, 3, 1, 2);
  sim.crash(1);
  for (let counter = 0xfffffff9; counter <= 0xfffffffe; counter++) await create(session, `/${counter.toString(16)}`);
  begin(session, '/one-too-many');
  await sim.until(() => sim.leader !== undefined && sim.node(sim.leader).epoch === 2);
  await sim.settled();
  await create(session, '/next');
  const from = seen.lines.length;
  sim.restart(1);
  await finale(sim);
  const got = linesOf(seen, /^1<\d (DIFF|TRUNC|SNAP|PROPOSAL) /, from).map((line) => line.slice(4));
  expect(got).toEqual([
    'DIFF 0x200000001',
    ...[9, 10, 11, 12, 13, 14].map((n) => `PROPOSAL 0x1fffffff${n.toString(16)}`),
    'PROPOSAL 0x200000001',
  ]);
  expectNoCarry(sim);
  expect(sim.treeOf(1).exists('/fffffffe')).toBeDefined();
});
