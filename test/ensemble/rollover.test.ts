import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { counterOf, epochOf, makeZxid } from '../../src/index.ts';
import { DiskRig } from './disk-rig.ts';
import { Rig } from './rig.ts';

/*
 * Every election starts an epoch at counter 0, so the end of a counter is four thousand million writes away. Here the counter of one epoch jumps once, as it does
 * with ZooKeeper's property for such tests (PROTOCOL 13.3); or the last counter is an early one.
 */
const counter = vi.hoisted(() => ({ last: 0xfffffffe, jump: null as { epoch: number; from: number; to: number } | null }));

vi.mock(import('../../src/model/zxid.ts'), async (original) => {
  const real = await original();
  const jumps = (zxid: Parameters<typeof real.nextZxid>[0]) =>
    counter.jump !== null && real.epochOf(zxid) === counter.jump.epoch && real.counterOf(zxid) === counter.jump.from;
  return {
    ...real,
    get LAST_COUNTER() {
      return counter.last as typeof real.LAST_COUNTER;
    },
    nextZxid: (zxid) => (counter.jump !== null && jumps(zxid) ? real.makeZxid(counter.jump.epoch, counter.jump.to) : real.nextZxid(zxid)),
    followsInHistory: (last, next) =>
      real.followsInHistory(last, next) ||
      (counter.jump !== null && jumps(last) && real.zxidEquals(next, real.makeZxid(counter.jump.epoch, counter.jump.to))),
  };
});

let rig: Rig | undefined;
beforeEach(() => {
  counter.last = 0xfffffffe;
  counter.jump = null;
});
afterEach(async () => {
  if (rig instanceof DiskRig) await rig.close();
  else await rig?.stopAll();
  rig = undefined;
});

test('the last counters of an epoch are used up under load, on disk and over a restart', async () => {
  counter.jump = { epoch: 1, from: 10, to: 0xffffff00 };
  const mine = await DiskRig.create({ voters: 3, observers: 1, tickTime: 100 });
  rig = mine;
  await mine.startAll();
  // The jump itself comes while nothing is under way.
  const session = await mine.node(2).openSession();
  for (let k = 0; k < 9; k++) await session.create(`/before-${k}`);
  const jumped = await session.create('/jumped');
  expect([epochOf(jumped.stat.czxid), counterOf(jumped.stat.czxid)]).toEqual([1, 0xffffff00]);
  const { leader } = await mine.roles();
  expect(leader.epoch).toBe(1);

  const writers = mine.servers.map((s) => mine.writer(s.id));
  await mine.progress(writers, 600);
  await mine.verify(writers);
  const epochs = new Set([...mine.nodes.values()].map((node) => node.epoch));
  expect(epochs).toEqual(new Set([2]));
  const acknowledged = writers.flatMap((writer) => [...writer.acknowledged.keys()]).map((path) => mine.node(1).tree.exists(path)?.czxid);
  const counters = acknowledged.flatMap((zxid) => (zxid !== undefined && epochOf(zxid) === 1 ? [counterOf(zxid)] : []));
  expect(Math.max(...counters)).toBeLessThanOrEqual(0xfffffffe);
  // What was under way at the end is lost, as with ZooKeeper; that is at most what the writers have under way.
  expect(Math.max(...counters)).toBeGreaterThan(0xffffff80);
  for (const writer of writers)
    expect([...writer.errors.keys()]).toSatisfy((codes: string[]) => codes.every((code) => code === 'CONNECTION_LOSS'));
  // The end of the epoch is not an end of its log: nothing is carried into the next epoch's number.
  expect(mine.node(1).tree.lastZxid.high).toBe(2);

  await mine.stopAll();
  await mine.startAll();
  await mine.verify([]);
  expect(mine.node(4).tree.exists('/jumped')?.czxid.eq(makeZxid(1, 0xffffff00))).toBe(true);
  expect(new Set([...mine.nodes.values()].map((node) => node.epoch))).toEqual(new Set([3]));
});

test('a server that was away while the counter ended comes back', async () => {
  counter.jump = { epoch: 1, from: 10, to: 0xfffffff8 };
  const mine = new Rig({ voters: 3, tickTime: 100 });
  rig = mine;
  await mine.startAll();
  const { leader, others } = await mine.roles();
  const session = await leader.openSession();
  for (let k = 0; k < 11; k++) await session.create(`/a-${k}`);
  await mine.stop(others[0].id);
  const writers = [leader, others[1]].map((node) => mine.writer(node.id));
  await mine.progress(writers, 200);
  await mine.start(others[0].id);
  await mine.verify(writers);
  expect(mine.node(others[0].id).epoch).toBeGreaterThanOrEqual(2);
});

test('epochs that end again and again under load', async () => {
  counter.last = 150;
  const mine = new Rig({ voters: 3, observers: 1, tickTime: 100, snapCount: 100, commitLogCount: 50 });
  rig = mine;
  await mine.startAll();
  const writers = mine.servers.map((s) => mine.writer(s.id));
  await mine.progress(writers, 2000);
  await mine.verify(writers);
  expect(mine.node(1).epoch).toBeGreaterThanOrEqual(13);
  expect(mine.log.filter((line) => line.includes('the counter of this epoch is used up')).length).toBeGreaterThanOrEqual(12);
});
