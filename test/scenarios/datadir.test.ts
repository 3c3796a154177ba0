import { expect, test } from 'vitest';
import { formatZxid } from '../../src/model/zxid.ts';
import type { SimDisk } from '../../src/testing/disk.ts';
import { finale } from '../../src/testing/finale.ts';
import type { Simulation } from '../../src/testing/simulation.ts';
import { bring, create, files, level, linesOf, names, namesOnDisk, stage } from './kit.ts';
import { epochFiles, Past, prepareDisk } from './past.ts';

/*
 * Data directories that somebody else has left, or has taken something from.
 */

test('ZOOKEEPER-2846: the hole that a snapshot sync of ZooKeeper has left in a log is not served', async () => {
  const { sim, seen } = stage({ seed: 28460, ensemble: { commitLogCount: 1 } });
  const past = new Past().create(1, 1, '/old').create(1, 2, '/missed-1').create(1, 3, '/missed-2');
  const snapshot = past.snapshot();
  past.create(2, 1, '/new').create(2, 2, '/newer');
  prepareDisk(sim, 1, [past.log(0, 1), ...epochFiles(1, 1)], past);
  prepareDisk(sim, 2, [past.log(0, 3), past.log(3, 5), ...epochFiles(2, 2)], past);
  // It had 0x100000001, got a snapshot of 0x100000003, and logged on behind that.
  prepareDisk(sim, 3, [past.log(0, 1), snapshot, past.log(3, 5), ...epochFiles(2, 2)], past);
  await bring(sim, 2, 3);
  expect(sim.leader).toBe(3);
  await bring(sim, 1);
  expect(seen.has('1>3 ACKEPOCH 0x100000001')).toBe(true);
  expect(names(sim, 1)).toEqual(['missed-1', 'missed-2', 'new', 'newer', 'old']);
  expect(linesOf(seen, /^1<3 (DIFF|TRUNC|SNAP) /)).toEqual(['1<3 SNAP 0x200000002']);
  await finale(sim);
});

test('ZOOKEEPER-582: the epoch of a directory is that of its snapshot, if it has no log and no epoch files', async () => {
  const { sim, seen } = stage({ seed: 582 });
  const old = new Past().create(3, 1, '/base').create(3, 2, '/revived');
  const past = new Past().create(3, 1, '/base').create(27, 1, '/a').create(27, 2, '/b');
  prepareDisk(sim, 3, [new Past().snapshot(), old.log(0, 2), ...epochFiles(3, 3)], old);
  for (const id of [1, 2]) prepareDisk(sim, id, [past.snapshot()], past);
  for (const id of [1, 2]) expect(files(sim, id)).toEqual(['snapshot.1b00000002']);
  await sim.start();
  // Data of epoch 3 loses against data of epoch 27, and no epoch comes twice.
  expect(seen.has('1 recovers 0x1b00000002 epochs 27/27')).toBe(true);
  expect([1, 2]).toContain(sim.leader);
  expect(sim.servers.map((id) => sim.node(id).epoch)).toEqual([28, 28, 28]);
  for (const id of sim.servers) expect(names(sim, id)).toEqual(['a', 'b', 'base']);
  const { stat } = await (await sim.openSession(3)).create('/c');
  expect(formatZxid(stat.czxid)).toBe('0x1c00000002');
  await level(sim, 3, 1, 2);
  for (const id of sim.servers) sim.crash(id, { power: true });
  await sim.start();
  expect(sim.node(1).epoch).toBe(29);
  await finale(sim);
  expect(names(sim, 3)).toEqual(['a', 'b', 'base', 'c']);
});

test('ZOOKEEPER-2325, 3056: without its snapshots a server rebuilds the tree from a log that is whole', async () => {
  const { sim, seen } = stage({ seed: 2325 });
  await bring(sim, 2, 3);
  await bring(sim, 1);
  await create(await sim.openSession(3), '/a');
  await level(sim, 3, 1, 2);
  for (const id of sim.servers) sim.crash(id);
  await sim.start();
  await create(await sim.openSession(1), '/b');
  await level(sim, sim.leader as number, 1, 2, 3);
  for (const id of sim.servers) {
    sim.crash(id);
    sim.disk(id).remove('/data/version-2/snapshot.0');
    expect(files(sim, id).filter((name) => !name.endsWith('Epoch'))).toEqual(['log.100000001', 'log.200000001']);
  }
  const back = seen.lines.length;
  await sim.start();
  expect(linesOf(seen, /recovers/, back).sort()).toEqual([1, 2, 3].map((id) => `${id} recovers 0x200000002 epochs 2/2`));
  expect(linesOf(seen, /(TRUNC|SNAP) /, back)).toEqual([]);
  for (const id of sim.servers) expect(names(sim, id)).toEqual(['a', 'b']);
  await finale(sim);
});

/** Server 3 was brought up to /a, of epoch 1, by a snapshot; its log begins with epoch 2, and so might be taken for a whole one. It is down, with as much as 2 has; 1 was away. */
async function logWithoutBeginning(sim: Simulation): Promise<string> {
  await bring(sim, 1, 2);
  await create(await sim.openSession(2), '/a');
  await level(sim, 2, 1);
  await bring(sim, 3);
  sim.crash(1);
  sim.crash(2);
  sim.crash(3);
  await bring(sim, 2, 3);
  await create(await sim.openSession(3), '/b');
  await level(sim, 3, 2);
  sim.crash(3);
  sim.crash(2);
  const kept = files(sim, 3).filter((name) => !name.endsWith('Epoch'));
  expect(kept).toEqual(['log.200000001', 'snapshot.100000002']);
  return '/data/version-2/snapshot.100000002';
}

const DAMAGES: Readonly<Record<string, (disk: SimDisk, path: string) => void>> = {
  deleted: (disk, path) => disk.remove(path),
  damaged: (disk, path) => void disk.rot(path),
  'cut short': (disk, path) => disk.put(path, (disk.get(path) as Uint8Array).slice(0, 100)),
};

test.each(Object.entries(DAMAGES))(
  'ZOOKEEPER-2325, 3056: a server whose snapshot is %s refuses to start with half a history',
  async (_how, damage) => {
    const { sim, seen } = stage({ seed: 3056, ensemble: { commitLogCount: 1 } });
    const snapshot = await logWithoutBeginning(sim);
    const before = files(sim, 3);
    sim.checks.forgot(3);
    damage(sim.disk(3), snapshot);
    // With 2, which has no more than it, it would lead, and all would get what it has.
    const back = seen.lines.length;
    sim.restart(3);
    sim.restart(2);
    await sim.until(() => sim.errorOf(3) !== null);
    expect(sim.errorOf(3)?.message).toMatch(
      /version-2.*0x200000001.*(no usable snapshot|there is no snapshot|transactions are missing)|snapshot\.100000002/,
    );
    expect(linesOf(seen, /^3 (recovers|is|serves)/, back).filter((line) => !line.includes('stopped'))).toEqual([]);
    expect(sim.node(2).serving).toBe(false);
    expect(files(sim, 3).filter((name) => name.startsWith('log'))).toEqual(before.filter((name) => name.startsWith('log')));
    await bring(sim, 1, 2);
    expect(names(sim, 1)).toEqual(['a', 'b']);
    // An operator who takes the whole directory away gets it back from the others.
    sim.checks.forgot(3);
    sim.disk(3).remove('/data');
    await bring(sim, 3);
    expect(namesOnDisk(sim, 3)).toEqual(['a', 'b']);
    await finale(sim);
  },
);

test('ZOOKEEPER-2325, 3056: a directory that has lost all but its epochs does not win with an empty tree', async () => {
  const { sim, seen } = stage({ seed: 30560 });
  await bring(sim, 2, 3);
  await bring(sim, 1);
  await create(await sim.openSession(3), '/a');
  await level(sim, 3, 1, 2);
  for (const id of sim.servers) sim.crash(id);
  await bring(sim, 2, 3);
  await create(await sim.openSession(3), '/b');
  await level(sim, 3, 2);
  for (const id of sim.servers) sim.crash(id);
  sim.checks.forgot(3);
  for (const name of files(sim, 3)) if (!name.endsWith('Epoch')) sim.disk(3).remove(`/data/version-2/${name}`);
  expect(files(sim, 3)).toEqual(['acceptedEpoch', 'currentEpoch']);
  // Server 1 was not in epoch 2: a vote with that epoch is better than its own, whatever stands behind it.
  const back = seen.lines.length;
  sim.restart(3);
  sim.restart(1);
  await sim.until(() => sim.errorOf(3) !== null);
  expect(sim.errorOf(3)?.message).toMatch(/epoch 2.*no history/);
  expect(seen.has(/leading|serves$/, back)).toBe(false);
  await bring(sim, 1, 2);
  expect(names(sim, 1)).toEqual(['a', 'b']);
  sim.checks.forgot(3);
  sim.disk(3).remove('/data');
  await bring(sim, 3);
  await finale(sim);
  expect(names(sim, 3)).toEqual(['a', 'b']);
});
