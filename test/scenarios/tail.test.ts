import { expect, test } from 'vitest';
import { finale } from '../../src/testing/finale.ts';
import type { Simulation } from '../../src/testing/simulation.ts';
import { beganAnew, begin, bring, create, cutBehind, level, linesOf, names, namesOnDisk, stage, zxidsOnDisk } from './kit.ts';

/*
 * What a leader logged alone: its tail has to go, from the log and from memory, whichever way it comes back.
 */

const EPOCH_1 = ['0x100000001', '0x100000002', '0x100000003'];

/** Server 3 leads epoch 1: a session and /a, /b are everywhere, and then it logs /lost as 0x100000004 (and more) with nobody to hear of it. */
async function tailOn3(sim: Simulation, lost: readonly string[] = ['/lost']): Promise<void> {
  await bring(sim, 2, 3);
  await bring(sim, 1);
  expect(sim.leader).toBe(3);
  const session = await sim.openSession(3);
  await create(session, '/a', '/b');
  await level(sim, 3, 1, 2);
  sim.partition([3], [1, 2]);
  for (const [i, path] of lost.entries()) {
    begin(session, path);
    await sim.until(() => sim.durable.of(3).low === 4 + i);
  }
  expect(zxidsOnDisk(sim, 3)).toHaveLength(3 + lost.length);
  expect(zxidsOnDisk(sim, 1)).toEqual(EPOCH_1);
}

/** The same, and then all are killed. */
async function tailAndCrash(sim: Simulation, lost?: readonly string[]): Promise<void> {
  await tailOn3(sim, lost);
  for (const id of [1, 2, 3]) sim.crash(id, { power: true });
  sim.heal();
}

test("ZOOKEEPER-1154, 1156: a rejoining leader's uncommitted tail is gone, though the new leader has gone on", async () => {
  const { sim, seen } = stage({ seed: 1154 });
  await tailAndCrash(sim);
  await bring(sim, 1, 2);
  expect([sim.leader, sim.node(2).epoch]).toEqual([2, 2]);
  await create(await sim.openSession(2), '/c');
  const back = seen.lines.length;
  await bring(sim, 3);
  // Its last zxid lies below the new leader's and is not in that history: a DIFF would leave it there.
  expect(seen.has('3 recovers 0x100000004')).toBe(true);
  expect(linesOf(seen, /^3>\d ACKEPOCH/, back)).toEqual(['3>2 ACKEPOCH 0x100000004']);
  expect(linesOf(seen, /^3<\d (DIFF|TRUNC|SNAP) /, back)).toEqual(['3<2 SNAP 0x200000002']);
  expect(names(sim, 3)).toEqual(['a', 'b', 'c']);
  expect(namesOnDisk(sim, 3)).toEqual(['a', 'b', 'c']);
  await finale(sim);
});

test('ZOOKEEPER-1154, 1156: TRUNC cuts the tail and nothing in front of it, over all log files', async () => {
  const { sim, seen } = stage({ seed: 1156, logSizeLimit: 1000, preAllocSize: 4096 });
  const lost = Array.from({ length: 30 }, (_, i) => `/lost-${i}-${'x'.repeat(7 * i)}`);
  await tailAndCrash(sim, lost);
  await bring(sim, 1, 2);
  await bring(sim, 3);
  expect(seen.has('3 recovers 0x100000021')).toBe(true);
  expect(seen.has('3<2 TRUNC 0x100000003')).toBe(true);
  expect(seen.has('3 has truncated 0x100000003')).toBe(true);
  expect(zxidsOnDisk(sim, 3)).toEqual(EPOCH_1);
  expect(names(sim, 3)).toEqual(['a', 'b']);
  // The log goes on right behind the cut, and a restart reads over it.
  await create(await sim.openSession(3), '/c');
  await level(sim, 2, 1, 3);
  expect(zxidsOnDisk(sim, 3)).toEqual([...EPOCH_1, '0x200000001', '0x200000002']);
  sim.crash(3, { power: true });
  await bring(sim, 3);
  expect(names(sim, 3)).toEqual(['a', 'b', 'c']);
  await finale(sim);
});

test('ZOOKEEPER-1154, 1156: a power loss at any step of a truncation leaves a log that can be cut again', async () => {
  const lost = Array.from({ length: 12 }, (_, i) => `/lost-${i}-${'x'.repeat(20 * i)}`);
  let crashes = 0;
  for (let step = 1, hit = true; hit; step++) {
    const { sim, seen } = stage({ seed: 11560 + step, logSizeLimit: 1000, preAllocSize: 4096 });
    await tailAndCrash(sim, lost);
    await bring(sim, 1, 2);
    hit = false;
    sim.restart(3);
    await sim.until(() => seen.has('3 truncates 0x100000003'));
    sim.disk(3).crashAt(step, 'torn', () => {
      hit = !seen.has('3 has truncated 0x100000003');
      sim.crash(3, { power: true });
    });
    await sim.until(() => !sim.isUp(3) || sim.node(3).serving);
    if (!hit) break;
    crashes++;
    await bring(sim, 3);
    expect(zxidsOnDisk(sim, 3).slice(0, 3)).toEqual(EPOCH_1);
    expect(names(sim, 3)).toEqual(['a', 'b']);
    await finale(sim);
  }
  expect(crashes).toBeGreaterThan(4);
});

test('ZOOKEEPER-2845: a tail that was logged before an election inside the process is cut from the disk too', async () => {
  const { sim, seen } = stage({ seed: 2845 });
  await tailOn3(sim);
  await sim.until(() => sim.leader === 2 && sim.node(3).role === 'looking');
  expect(linesOf(seen, /^3 applies 0x100000004/)).toEqual([]);
  sim.heal();
  const back = seen.lines.length;
  await sim.settled();
  // What it says of its history is what it has on disk, not what it shows.
  expect(linesOf(seen, /^3 (boots|dies)/)).toEqual(['3 boots']);
  expect(linesOf(seen, /^3>\d ACKEPOCH/, back)[0]).toBe('3>2 ACKEPOCH 0x100000004');
  expect(linesOf(seen, /^3<\d (DIFF|TRUNC|SNAP)/, back)[0]).toBe('3<2 TRUNC 0x100000003');
  expect(names(sim, 3)).toEqual(['a', 'b']);
  expect(namesOnDisk(sim, 3)).toEqual(['a', 'b']);
  sim.crash(3);
  await bring(sim, 3);
  expect(names(sim, 3)).toEqual(names(sim, 2));
  await finale(sim);
});

test('ZOOKEEPER-2845: the same when the new leader has gone on meanwhile', async () => {
  const { sim, seen } = stage({ seed: 28450 });
  await tailOn3(sim);
  await sim.until(() => sim.leader === 2 && sim.node(3).role === 'looking');
  await create(await sim.openSession(1), '/c');
  sim.heal();
  const back = seen.lines.length;
  await sim.settled();
  expect(linesOf(seen, /^3<\d (DIFF|TRUNC|SNAP)/, back)[0]).toBe('3<2 SNAP 0x200000002');
  expect(seen.has('3 has installed 0x200000002')).toBe(true);
  sim.crash(3);
  await bring(sim, 3);
  expect(names(sim, 3)).toEqual(['a', 'b', 'c']);
  await finale(sim);
});

test('ZOOKEEPER-5094: a link that breaks inside a TRUNC sync leaves log and memory at one', async () => {
  const { sim, seen } = stage({ seed: 5094 });
  await tailAndCrash(sim);
  await bring(sim, 1, 2);
  const isCut = cutBehind(sim, 3, 'TRUNC');
  sim.restart(3);
  await sim.until(() => isCut() && beganAnew(seen, 3, 'TRUNC'));
  // After the restart the tree had the whole log, the tail too: memory is what may run ahead now.
  const trunc = seen.find(/^3<\d TRUNC 0x100000003/);
  expect(seen.has('3 recovers 0x100000004')).toBe(true);
  expect(seen.find(/^3<\d NEWLEADER/)).toBe(-1);
  await sim.settled();
  expect(linesOf(seen, /^3>\d ACKEPOCH/, trunc)[0]).toBe('3>2 ACKEPOCH 0x100000003');
  expect(names(sim, 3)).toEqual(['a', 'b']);
  await create(await sim.openSession(3), '/c');
  await level(sim, 2, 1, 3);
  expect(zxidsOnDisk(sim, 3)).toEqual([...EPOCH_1, '0x200000001', '0x200000002']);
  sim.crash(3);
  await bring(sim, 3);
  expect(names(sim, 3)).toEqual(['a', 'b', 'c']);
  await finale(sim);
});

test('ZOOKEEPER-5094: the same while the truncation is still under way on a slow disk', async () => {
  const { sim, seen } = stage({ seed: 50940 });
  await tailAndCrash(sim);
  await bring(sim, 1, 2);
  const isCut = cutBehind(sim, 3, 'TRUNC');
  sim.restart(3);
  await sim.until(() => seen.has('3<2 LEADERINFO 0x200000000'));
  await sim.until(() => seen.has('3 accepted epoch 2'));
  // It may learn of the broken link only by initLimit.
  const { latency } = sim.disk(3);
  sim.disk(3).latency = { cached: [3000, 3000], durable: [3000, 3000] };
  await sim.until(() => isCut() && beganAnew(seen, 3, 'TRUNC'));
  expect(seen.has('3 truncates 0x100000003')).toBe(true);
  expect(seen.has('3 has truncated 0x100000003')).toBe(false);
  sim.disk(3).latency = latency;
  await sim.settled();
  expect(seen.has('3 has truncated 0x100000003')).toBe(true);
  await create(await sim.openSession(3), '/c');
  sim.crash(3);
  await bring(sim, 3);
  expect(names(sim, 3)).toEqual(['a', 'b', 'c']);
  await finale(sim);
});
