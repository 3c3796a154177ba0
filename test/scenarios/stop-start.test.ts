import { expect, test } from 'vitest';
import { finale } from '../../src/testing/finale.ts';
import { begin, bring, create, isPacket, level, linesOf, names, namesOnDisk, stage } from './kit.ts';

test('ZOOKEEPER-4712, 4502: a node that is stopped with appends under way and started again in its process writes nothing for its earlier life', async () => {
  const { sim, seen } = stage({ seed: 4712 });
  await bring(sim, 1, 2, 3);
  const session = await sim.openSession(3);
  await create(session, '/base');
  await level(sim, 3, 1, 2);
  sim.disk(1).latency = { cached: [1, 2], durable: [100, 150] };
  for (let k = 0; k < 3; k++) {
    await create(session, `/a${k}`, `/b${k}`);
    // Each of these comes while the batch before it is being written.
    await sim.advance(5);
  }
  expect(seen.has('1 logs 0x100000008')).toBe(true);
  expect(seen.has('1 has 0x100000003')).toBe(false);
  const from = seen.lines.length;
  const steps: string[] = [];
  await sim.stop(1, { node: true });
  const stopped = seen.lines.length;
  const forget = sim.disk(1).onStep((line) => void steps.push(line));
  await sim.advance(1000);
  // Nothing is left that acts: no step on disk, no word of durability, nothing sent.
  expect(steps).toEqual([]);
  expect(linesOf(seen, /^1(>\d| )/, stopped)).toEqual([]);
  forget();
  await create(session, '/while-away');
  sim.restart(1);
  await sim.until(() => sim.serves(1, 3));
  expect(linesOf(seen, /^1 (boots|dies)/, from)).toEqual(['1 boots']);
  await finale(sim);
  expect(namesOnDisk(sim, 1)).toEqual(['a0', 'a1', 'a2', 'b0', 'b1', 'b2', 'base', 'while-away']);
});

test('ZOOKEEPER-4502: stopping a follower whose leader has just died, with requests under way, ends in order', async () => {
  const { sim, seen } = stage({ seed: 4502 });
  await bring(sim, 1, 2, 3);
  const session = await sim.openSession(1);
  await create(session, '/base');
  await level(sim, 3, 1, 2);
  sim.filterSends((_from, _to, message) => !isPacket(message, 'PROPOSAL'));
  const outcomes = ['/x', '/y'].map((path) =>
    session.create(path).then(
      () => 'done',
      (error: { code: string }) => error.code,
    ),
  );
  await sim.until(() => seen.count('3<1 REQUEST') >= 2);
  sim.crash(3);
  await sim.stop(1, { node: true });
  for (const outcome of outcomes) expect(['CONNECTION_LOSS', 'NODE_STOPPED']).toContain(await sim.run(outcome));
  expect(sim.errorOf(1)).toBeNull();
  expect(seen.has(/^1 stops with/)).toBe(false);
  sim.filterSends(null);
  for (const id of [1, 3]) sim.restart(id);
  await finale(sim);
});

test('ZOOKEEPER-4541: what a deposed leader still writes is on disk before the next leader hears of it, and is cut off then', async () => {
  const { sim, seen } = stage({ seed: 4541 });
  await bring(sim, 1, 2, 3);
  const session = await sim.openSession(3);
  await create(session, '/base');
  await level(sim, 3, 1, 2);
  // A write that outlives the role: it takes longer than syncLimit, which is 10 s.
  sim.disk(3).latency = { cached: [0.1, 1], durable: [16_000, 16_000] };
  sim.filterSends((_from, _to, message) => !isPacket(message, 'PROPOSAL'));
  begin(session, '/stale');
  await sim.until(() => seen.has('3 logs 0x100000003'));
  await sim.advance(10);
  sim.disk(3).latency = { cached: [0.1, 1], durable: [0.1, 1] };
  sim.isolate(3);
  sim.filterSends(null);
  await sim.until(() => sim.leader === 2 && seen.has('3 is looking'));
  await create(await sim.openSession(2), '/new');
  sim.heal();
  await sim.until(() => seen.has('3<2 LEADERINFO 0x200000000'));
  // Reached: the next incarnation of the role has begun, and the write of the last one is still under way.
  expect(seen.has('3 has 0x100000003')).toBe(false);
  await sim.until(() => sim.serves(3, 2));
  seen.inOrder(['3<2 LEADERINFO', '3 has 0x100000003', '3 accepted epoch 2', '3>2 ACKEPOCH 0x100000003', '3 serves']);
  await finale(sim);
  for (const id of [1, 2, 3]) expect(names(sim, id)).toEqual(['base', 'new']);
  expect(namesOnDisk(sim, 3)).toEqual(['base', 'new']);
});
