import type Long from 'long';
import { describe, expect, it } from 'vitest';
import { compareZxid, formatZxid, makeZxid, ZXID_NONE } from '../../src/model/zxid.ts';
import { Chance } from '../../src/testing/chance.ts';
import type { Remains } from '../../src/testing/disk.ts';
import type { DiskFault } from '../../src/testing/disk-faults.ts';
import { type RecoveredHistory, SampleSource, type StorageCalls, sampleEntries, showEntry } from '../../src/testing/storage-kit.ts';
import type { LogEntry } from '../../src/zab/entry.ts';
import { LabDisk } from '../testing/lab-disk.ts';

const z = makeZxid;

/** A history: where it begins (an installed snapshot or nothing) and its entries. */
interface History {
  readonly base: Long;
  readonly entries: readonly LogEntry[];
}

/** What a crash may leave: any of some histories, and epochs within bounds. */
interface Allowed {
  histories: History[];
  accepted: [number, number];
  current: [number, number];
}

/** Drives a storage and knows what it must still have after a crash at this moment. */
class Driver {
  allowed: Allowed = { histories: [{ base: ZXID_NONE, entries: [] }], accepted: [0, 0], current: [0, 0] };

  constructor(readonly calls: StorageCalls) {}

  get #now(): History {
    return this.allowed.histories[this.allowed.histories.length - 1];
  }

  async #change(histories: History[], act: () => Promise<unknown>): Promise<void> {
    this.allowed = { ...this.allowed, histories };
    await act();
    this.allowed = { ...this.allowed, histories: [this.#now] };
  }

  /** Several appends at once; each that is reported durable must stay. */
  async append(epoch: number, from: number, to: number, mark = ''): Promise<void> {
    const { base, entries } = this.#now;
    const all = sampleEntries(epoch, from, to, mark);
    const prefixes = Array.from({ length: all.length + 1 }, (_, n) => ({ base, entries: [...entries, ...all.slice(0, n)] }));
    await this.#change(prefixes, () =>
      Promise.all(
        all.map((entry, i) =>
          this.calls.append(entry).then(() => {
            this.allowed = { ...this.allowed, histories: prefixes.slice(i + 1) };
          }),
        ),
      ),
    );
  }

  /** Every state on the way must be a shorter history that is whole. */
  async truncate(zxid: Long): Promise<void> {
    const { base, entries } = this.#now;
    const kept = entries.filter((entry) => compareZxid(entry.zxid, zxid) <= 0).length;
    const shorter = Array.from({ length: entries.length - kept + 1 }, (_, n) => ({ base, entries: entries.slice(0, entries.length - n) }));
    await this.#change(shorter, () => this.calls.truncate(zxid));
  }

  async install(zxid: Long): Promise<void> {
    await this.#change([this.#now, { base: zxid, entries: [] }], () => this.calls.installSnapshot(new SampleSource(zxid, 200, 300)));
  }

  async save(zxid: Long): Promise<void> {
    await this.calls.saveSnapshot(new SampleSource(zxid, 200, 300));
  }

  async accepted(epoch: number): Promise<void> {
    this.allowed.accepted = [this.allowed.accepted[0], epoch];
    await this.calls.setAcceptedEpoch(epoch);
    this.allowed.accepted = [epoch, epoch];
  }

  async current(epoch: number): Promise<void> {
    this.allowed.current = [this.allowed.current[0], epoch];
    await this.calls.setCurrentEpoch(epoch);
    this.allowed.current = [epoch, epoch];
  }

  async start(): Promise<RecoveredHistory> {
    await this.calls.open();
    return await this.calls.recover();
  }
}

/** Fails unless what was recovered is one of the histories that may be left. */
function verify(found: RecoveredHistory, { histories, accepted, current }: Allowed, what: string): History {
  const lasts = histories.map(({ base, entries }) => formatZxid(entries.at(-1)?.zxid ?? base));
  const fitting = histories.find(({ base, entries }) => {
    const at = compareZxid(found.snapshotZxid, base);
    const rest = entries.filter((entry) => compareZxid(entry.zxid, found.snapshotZxid) > 0).map(showEntry);
    return at >= 0 && JSON.stringify(rest) === JSON.stringify(found.entries);
  });
  if (fitting === undefined)
    throw new Error(`${what}: history up to ${formatZxid(found.lastZxid)} from ${found.snapshot} is none of those up to ${lasts}`);
  expect(found.acceptedEpoch, `${what}: accepted epoch`).toBeGreaterThanOrEqual(accepted[0]);
  expect(found.currentEpoch, `${what}: current epoch`).toBeGreaterThanOrEqual(current[0]);
  expect(found.currentEpoch).toBeLessThanOrEqual(found.acceptedEpoch);
  return fitting;
}

/** A reader of the log gets what belongs behind an entry, or an error, but never a part with a hole (fault 2846). */
async function verifyReads(calls: StorageCalls, entries: readonly LogEntry[], what: string): Promise<void> {
  const last = entries.at(-1)?.zxid ?? ZXID_NONE;
  // Not every entry each time: which ones changes with where the crash came.
  for (let i = what.length % 3; i < entries.length; i += 3) {
    const entry = entries[i];
    const read = await calls.readLog(entry.zxid, last).catch(() => null);
    if (read !== null) expect(read, `${what}: the log after ${formatZxid(entry.zxid)}`).toEqual(entries.slice(i + 1).map(showEntry));
  }
}

const storageOn = (disk: LabDisk): StorageCalls =>
  disk.storage({ dataDir: '/d', dataLogDir: '/l', preAllocSize: 8192, logSizeLimit: 1500 });

/** Here the failure of a file beside the log does not end the store. */
const BESIDE = 'snapshots and purges beside appends';

/** Scripts, each with what comes before the steps that are made to fail. */
const SCRIPTS: Record<string, { before: (driver: Driver) => Promise<unknown>; script: (driver: Driver) => Promise<unknown> }> = {
  'the first start and the first appends': {
    before: async () => {},
    async script(driver) {
      await driver.start();
      await driver.accepted(1);
      await driver.current(1);
      await driver.append(1, 1, 25);
      await driver.append(1, 26, 27);
    },
  },
  epochs: {
    async before(driver) {
      await driver.start();
      await driver.accepted(1);
      await driver.current(1);
      await driver.append(1, 1, 3);
    },
    async script(driver) {
      await driver.accepted(4);
      await driver.append(4, 1, 2);
      await driver.current(4);
      await driver.accepted(5);
    },
  },
  'a truncation over several files': {
    async before(driver) {
      await driver.start();
      await driver.accepted(3);
      await driver.append(1, 1, 20);
      await driver.save(z(1, 10));
      await driver.append(1, 21, 40);
      await driver.save(z(1, 38));
      await driver.append(2, 1, 30);
    },
    async script(driver) {
      await driver.truncate(z(1, 15));
      await driver.append(3, 1, 3, 'new');
      await driver.truncate(z(1, 10));
      await driver.append(3, 1, 3, 'again');
    },
  },
  'a snapshot installed over a longer history': {
    async before(driver) {
      await driver.start();
      await driver.accepted(3);
      await driver.append(1, 1, 30);
      await driver.save(z(1, 25));
      await driver.append(1, 31, 40);
    },
    async script(driver) {
      await driver.install(z(1, 20));
      await driver.append(1, 21, 25, 'new');
      await driver.append(3, 1, 2);
      await driver.current(3);
      await driver.install(z(3, 0));
      await driver.append(3, 1, 2, 'new');
    },
  },
  [BESIDE]: {
    async before(driver) {
      await driver.start();
      await driver.accepted(3);
      await driver.append(1, 1, 30);
      await driver.save(z(1, 20));
    },
    async script(driver) {
      await driver.append(2, 1, 5);
      await Promise.all([driver.save(z(2, 5)), driver.append(2, 6, 15)]);
      await driver.append(2, 16, 17);
      await driver.calls.purge(1);
      await Promise.all([driver.save(z(2, 17)), driver.append(3, 1, 3)]);
      await Promise.all([driver.calls.purge(1), driver.append(3, 4, 9)]);
    },
  },
  'a restart': {
    async before(driver) {
      await driver.start();
      await driver.accepted(1);
      await driver.append(1, 1, 5);
      await driver.save(z(1, 4));
    },
    async script(driver) {
      await driver.calls.close();
      await driver.start();
      await driver.append(1, 6, 8);
      await driver.calls.close();
    },
  },
};

const REMAINS: [Remains, number][] = [
  ['nothing', 1],
  ['all', 1],
  ['some', 1],
  ['some', 77],
  ['some', 4242],
];

/** Runs a script until it ends or the machine stops; returns the driver, and whether it came to the end. */
async function play(
  disk: LabDisk,
  name: string,
  arm: (crash: () => void) => void,
): Promise<{ driver: Driver; outcome: 'end' | 'crash' | Error }> {
  const driver = new Driver(storageOn(disk));
  const { before, script } = SCRIPTS[name];
  await before(driver);
  const crashed = new Promise<'crash'>((resolve) => {
    arm(() => {
      resolve('crash');
      disk.kill();
    });
  });
  const outcome = await Promise.race([
    crashed,
    script(driver).then(
      () => 'end' as const,
      (error: Error) => error,
    ),
  ]);
  return { driver, outcome };
}

/** The disk as the next start finds it after a power loss. */
const afterPowerLoss = (disk: LabDisk, remains: Remains, seed: number): LabDisk =>
  new LabDisk(seed, disk.image(remains, new Chance(seed, 'remains')));

/** The store must open on this disk, have what it must have, and go on. */
async function revive(disk: LabDisk, allowed: Allowed, what: string): Promise<void> {
  const driver = new Driver(storageOn(disk));
  let found: RecoveredHistory;
  try {
    found = await driver.start();
  } catch (error) {
    throw new Error(`${what}: does not start: ${(error as Error).message}; files: ${disk.list().join(' ')}`);
  }
  const { entries } = verify(found, allowed, what);
  const epoch = Math.max(found.acceptedEpoch, found.lastZxid.high) + 1;
  await driver.calls.setAcceptedEpoch(epoch);
  await driver.calls.append(...sampleEntries(epoch, 1, 2, 'after'));
  await verifyReads(driver.calls, [...entries, ...sampleEntries(epoch, 1, 2, 'after')], what);
  await driver.calls.close();
  expect(disk.openFiles, `${what}: open files`).toBe(0);
  const again = await driver.start();
  expect(again.entries.slice(-2), what).toEqual(sampleEntries(epoch, 1, 2, 'after').map(showEntry));
  await driver.calls.close();
  const strays = disk.list().filter((file) => /tmp|install/.test(file));
  expect(strays, `${what}: files left over`).toEqual([]);
}

/**
 * The process starts again after a kill, on a system that still has in its cache what the disk has not: what it has then read counts as durable, for it tells others of it,
 * and so must be there after a power loss as well.
 */
async function restartThenLosePower(disk: LabDisk, what: string): Promise<void> {
  disk.machine.boot();
  const found = await new Driver(storageOn(disk)).start();
  disk.machine.kill();
  disk.crash('power', 'nothing');
  disk.machine.boot();
  expect(await new Driver(storageOn(disk)).start(), `${what}, a restart, a power loss`).toEqual(found);
  disk.kill();
  disk.machine.boot();
}

describe.each(Object.keys(SCRIPTS))('%s', (name) => {
  it.each([
    ['before', true],
    ['torn', true],
    ['after', true],
    ['torn', false],
  ] as const)('survives a crash at every step: %s it, durable writes %s', async (moment, durableWrites) => {
    let reached = 0;
    for (let step = 1; ; step++) {
      const disk = new LabDisk(step);
      disk.durableWrites = durableWrites;
      const { driver, outcome } = await play(disk, name, (crash) => disk.crashAt(step, moment, crash));
      if (outcome instanceof Error) throw outcome;
      for (const [remains, seed] of REMAINS) {
        const what = `step ${step} (${disk.journal.at(-1)}), ${remains} remains`;
        await revive(afterPowerLoss(disk, remains, seed), driver.allowed, what);
      }
      if (outcome === 'end') break;
      await restartThenLosePower(disk, `step ${step} (${disk.journal.at(-1)})`);
      reached = step;
    }
    expect(reached).toBeGreaterThan(5);
  });

  it.each<DiskFault>(['EIO', 'ENOSPC'])(
    'survives an %s at every step, writes nothing after it, and goes on after a restart',
    async (fault) => {
      for (let step = 1; ; step++) {
        const disk = new LabDisk(step);
        const { driver, outcome } = await play(disk, name, () => disk.failOn(step, fault, step % 2 === 0 ? Number.POSITIVE_INFINITY : 1));
        if (disk.counts[fault] === 0) break;
        const what = `step ${step} (${disk.journal.at(-1)})`;
        if (outcome instanceof Error) expect(outcome.message, what).toMatch(fault);
        const steps = disk.steps;
        const { allowed, later } = await goOn(driver);
        const isFenced = outcome instanceof Error && name !== BESIDE && later !== null;
        if (isFenced) expect(disk.steps, `${what}, then ${disk.journal.at(-1)}`).toBe(steps);
        if (later !== null && !/not recovered|not open/.test(later.message)) {
          expect(later.message, what).toMatch(fault);
          // Once it has failed, not even a healthy disk is written to again.
          disk.heal();
          const stopped = disk.steps;
          expect((await goOn(driver)).later?.message).toBe(later.message);
          expect(disk.steps, `${what}, then ${disk.journal.at(-1)}`).toBe(stopped);
        }
        await driver.calls.close();
        expect(disk.openFiles, `${what}: open files`).toBe(0);
        disk.heal();
        for (const [remains, seed] of REMAINS.slice(0, 3))
          await revive(afterPowerLoss(disk, remains, seed), allowed, `${what}, ${remains} remains`);
        disk.kill();
        await restartThenLosePower(disk, what);
        await revive(disk, allowed, `${what}, same disk`);
      }
    },
  );
});

/** One more epoch and entry; what may be there after that, and the error if it did not go. */
async function goOn(driver: Driver): Promise<{ allowed: Allowed; later: Error | null }> {
  const { allowed } = driver;
  const entry = sampleEntries(9, 1, 1);
  try {
    await driver.calls.setAcceptedEpoch(9);
    await driver.calls.append(...entry);
  } catch (error) {
    return { allowed, later: error as Error };
  }
  const histories = allowed.histories.map(({ base, entries }) => ({ base, entries: [...entries, ...entry] }));
  return { allowed: { ...allowed, histories }, later: null };
}
