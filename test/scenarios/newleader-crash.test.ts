import { expect, test } from 'vitest';
import { epochOf } from '../../src/model/zxid.ts';
import type { Session } from '../../src/node/api.ts';
import type { Remains as DiskRemains } from '../../src/testing/disk.ts';
import type { CrashMoment } from '../../src/testing/disk-faults.ts';
import { finale } from '../../src/testing/finale.ts';
import type { Simulation } from '../../src/testing/simulation.ts';
import { bring, create, fileText, level, names, namesOnDisk, onDisk, stage } from './kit.ts';

/*
 * A crash at each single disk step of a synchronisation, from the plan to the ACK of NEWLEADER: history and currentEpoch are two things on disk, and one of them is first.
 */

/** What server 1 has on disk after the crash. */
interface Remains {
  readonly currentEpoch: number;
  /** Epoch of the last transaction. */
  readonly reached: number;
  readonly names: readonly string[];
}

type Plan = 'DIFF' | 'SNAP';

const CASES: readonly (readonly [plan: Plan, moment: CrashMoment, kept: DiskRemains])[] = [
  ['DIFF', 'after', 'nothing'],
  ['DIFF', 'torn', 'all'],
  ['SNAP', 'after', 'nothing'],
  ['SNAP', 'torn', 'all'],
];

/**
 * Runs a script again and again, each time with the crash one disk step of server 1 later, from its DIFF or SNAP on, until it acknowledges NEWLEADER before that.
 * Returns what each crash has left.
 */
async function atEachStep(
  seed: number,
  [plan, moment, kept]: (typeof CASES)[number],
  setUp: (sim: Simulation) => Promise<void>,
  after: (sim: Simulation, remains: Remains) => Promise<void>,
): Promise<Remains[]> {
  const all: Remains[] = [];
  for (let step = 1; ; step++) {
    const { sim, seen } = stage({ seed: seed + step, ensemble: { commitLogCount: plan === 'SNAP' ? 1 : 500 } });
    await setUp(sim);
    const back = seen.lines.length;
    sim.restart(1);
    await sim.until(() => seen.has(`1<3 ${plan}`, back));
    sim.disk(1).crashAt(step, moment, () => sim.crash(1, { power: true, remains: kept }));
    const isAcked = (): boolean => seen.has('1>3 ACK 0x', back);
    await sim.until(() => !sim.isUp(1) || isAcked());
    if (isAcked()) return all;
    const { lastZxid } = onDisk(sim, 1).found;
    const remains = { currentEpoch: Number(fileText(sim, 1, 'currentEpoch') ?? 0), reached: epochOf(lastZxid), names: namesOnDisk(sim, 1) };
    all.push(remains);
    await after(sim, remains);
    await finale(sim);
  }
}

/** Server 3 leads epoch 1, and /a is there; server 1 has it if it is to get a DIFF, and nothing but the epoch if it is to get a SNAP. */
async function firstEpoch(sim: Simulation, plan: Plan): Promise<Session> {
  await bring(sim, 2, 3);
  await bring(sim, 1);
  if (plan === 'SNAP') sim.crash(1);
  const session = await sim.openSession(3);
  await create(session, '/a');
  await level(sim, 3, ...(plan === 'SNAP' ? [2] : [1, 2]));
  return session;
}

/** Epoch 2 has begun, with /b and /c, while server 1 was away. */
async function missesEpoch2(sim: Simulation, plan: Plan): Promise<void> {
  await firstEpoch(sim, plan);
  for (const id of [1, 2, 3]) sim.crash(id);
  await bring(sim, 2, 3);
  await create(await sim.openSession(3), '/b', '/c');
}

test.each(CASES)(
  'ZOOKEEPER-1653, 2354: who crashes between the history of a %s and its epoch starts again (%s a step, %s kept)',
  async (...how) => {
    const [plan] = how;
    const crashes = await atEachStep(
      1653,
      how,
      (sim) => missesEpoch2(sim, plan),
      async (sim) => {
        await bring(sim, 1);
        expect(names(sim, 1)).toEqual(['a', 'b', 'c']);
        expect(fileText(sim, 1, 'currentEpoch')).toBe('2');
      },
    );
    // Reached: the history was in epoch 2, and the file still said another one.
    expect(crashes.filter(({ currentEpoch, reached }) => reached === 2 && currentEpoch < 2).length).toBeGreaterThan(0);
  },
);

test.each(CASES)(
  'ZOOKEEPER-4643, 4785: no crash in a %s lets a short history win with a new epoch (%s a step, %s kept)',
  async (...how) => {
    const [plan] = how;
    const crashes = await atEachStep(
      4643,
      how,
      async (sim) => {
        const session = await firstEpoch(sim, plan);
        sim.crash(1);
        await create(session, '/b', '/c');
        await level(sim, 3, 2);
        // What is committed is on 2 and 3. Server 3 goes on with 1 alone, in a new epoch.
        sim.crash(2);
        sim.crash(3);
        sim.restart(3);
      },
      async (sim, { currentEpoch, names: had }) => {
        // Whoever claims epoch 2 has all that its leader began with.
        if (currentEpoch === 2) expect(had).toEqual(['a', 'b', 'c']);
        sim.crash(3);
        await bring(sim, 1, 2);
        expect(names(sim, 1)).toEqual(['a', 'b', 'c']);
        expect(names(sim, 2)).toEqual(['a', 'b', 'c']);
        await bring(sim, 3);
      },
    );
    const states = crashes.map(({ currentEpoch, names: had }) => `${currentEpoch} ${had.length}`);
    // Reached: everything there and the epoch not, and both there with no ACK sent.
    expect(states).toEqual(expect.arrayContaining(['1 3', '2 3']));
  },
);
