import { expect, test } from 'vitest';
import type { DiskFault } from '../../src/testing/disk-faults.ts';
import { finale } from '../../src/testing/finale.ts';
import type { Simulation } from '../../src/testing/simulation.ts';
import { bring, create, fileText, isPacket, level, linesOf, names, stage } from './kit.ts';
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

const FAULTS: readonly (readonly [code: DiskFault, step: string])[] = [
  ['ENOSPC', 'create'],
  ['ENOSPC', 'write'],
  ['EIO', 'sync'],
  ['EIO', 'rename'],
  ['EIO', 'syncDir'],
];
/** The step of the replacement of an epoch file that is to fail. The sync of the folder has no name of the file in it: it is that behind the rename. */
const stepOf = (step: string, file: string): RegExp =>
  step === 'syncDir' ? /^syncDir .*version-2$/ : new RegExp(`^${step} .*${file}\\.tmp`);

test.each(FAULTS)(
  'ZOOKEEPER-2307, 4269: %s at the %s of an epoch file: nobody hears of the epoch, and the server starts again',
  async (code, step) => {
    for (const [file, ack] of [
      ['acceptedEpoch', '1>3 ACKEPOCH'],
      ['currentEpoch', '1>3 ACK 0x200000000'],
    ]) {
      const { sim, seen } = stage({ seed: 2307 });
      await bring(sim, 2, 3);
      await bring(sim, 1);
      await create(await sim.openSession(3), '/a');
      await level(sim, 3, 1, 2);
      for (const id of [1, 2, 3]) sim.crash(id);
      await bring(sim, 2, 3);
      const back = seen.lines.length;
      sim.restart(1);
      await sim.until(() => seen.has(file === 'acceptedEpoch' ? /^1<3 LEADERINFO/ : /^1 accepted epoch 2/, back));
      const forgetIt = sim.disk(1).onStep((line) => {
        if (step === 'syncDir' && line.startsWith(`rename /data/version-2/${file}.tmp`)) sim.disk(1).failOn(stepOf(step, file), code, 1);
      });
      if (step !== 'syncDir') sim.disk(1).failOn(stepOf(step, file), code, 1);
      await sim.until(() => !sim.isUp(1));
      forgetIt();
      // Reached: this very file, and the node has ended by it.
      expect(sim.disk(1).counts[code]).toBe(1);
      expect(sim.errorOf(1)?.message).toMatch(new RegExp(`${code}.*(${file}|version-2)`));
      expect(seen.has(ack, back)).toBe(false);
      const [accepted, current] = ['acceptedEpoch', 'currentEpoch'].map((name) => Number(fileText(sim, 1, name)));
      expect(accepted).toBeGreaterThanOrEqual(current);

      // It is in no state that keeps it from starting or joining.
      await bring(sim, 1);
      expect(names(sim, 1)).toEqual(['a']);
      expect(['acceptedEpoch', 'currentEpoch'].map((name) => fileText(sim, 1, name))).toEqual(['2', '2']);
      await finale(sim);
    }
  },
);

test('ZOOKEEPER-2307, 4269: a leader whose promise fails on its disk tells nobody of the epoch', async () => {
  const { sim, seen } = stage({ seed: 4269 });
  await bring(sim, 2, 3);
  await bring(sim, 1);
  for (const id of [1, 2, 3]) sim.crash(id);
  sim.disk(3).failOn(/^rename .*acceptedEpoch/, 'EIO', 1);
  const back = seen.lines.length;
  sim.restart(3);
  sim.restart(2);
  await sim.until(() => !sim.isUp(3));
  expect(seen.has('2>3 FOLLOWERINFO', back)).toBe(true);
  expect(linesOf(seen, /LEADERINFO|accepted epoch/, back)).toEqual([]);
  await bring(sim, 1, 3);
  await sim.settled();
  expect(sim.node(1).epoch).toBe(2);
  await finale(sim);
});
