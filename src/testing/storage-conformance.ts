import { makeZxid, ZXID_NONE, zxidEquals } from '../model/zxid.ts';
import type { Clock } from '../seams/clock.ts';
import type { Storage } from '../seams/storage.ts';
import { type ConformanceCase, check, fails, same } from './conformance.ts';
import { SampleSource, StorageCalls, sampleEntries, sampleEntry, showEntry } from './storage-kit.ts';

/** A storage to be tested, empty and not open. */
export interface StorageHarness {
  readonly storage: Storage;
  readonly clock: Clock;
  /** The storage as the next process would make it over the same data. Called when the former is closed. */
  reopen(): Storage;
  /** Clears away what the harness has made. */
  dispose(): Promise<void>;
}

/**
 * Tests that every {@link Storage} has to pass, for any test runner: `make` is called once per test. Example with vitest:
 * `for (const { name, run } of storageConformance(make)) it(name, run);`
 */
export function storageConformance(make: () => Promise<StorageHarness>): readonly ConformanceCase[] {
  return Object.entries(CASES).map(([name, test]) => ({
    name,
    async run() {
      const harness = await make();
      const bench = new Bench(harness);
      try {
        await bench.calls.open();
        await test(bench);
      } finally {
        await bench.calls.close();
        await harness.dispose();
      }
    },
  }));
}

/** The storage under test and how to restart it. */
class Bench {
  readonly #harness: StorageHarness;
  calls: StorageCalls;

  constructor(harness: StorageHarness) {
    this.#harness = harness;
    this.calls = new StorageCalls(harness.storage, harness.clock);
  }

  get storage(): Storage {
    return this.calls.storage;
  }

  /** Closes it and opens it again over the same data. */
  async restart(): Promise<StorageCalls> {
    await this.calls.close();
    this.calls = new StorageCalls(this.#harness.reopen(), this.#harness.clock);
    await this.calls.open();
    return this.calls;
  }
}

const z = makeZxid;

const shown = (epoch: number, from: number, to: number, mark = ''): string[] => sampleEntries(epoch, from, to, mark).map(showEntry);

const CASES: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  async 'an empty store has an empty history'({ calls }) {
    const found = await calls.recover();
    check(zxidEquals(found.lastZxid, ZXID_NONE) && zxidEquals(found.snapshotZxid, ZXID_NONE), 'there is a zxid in an empty store');
    same([found.acceptedEpoch, found.currentEpoch, found.snapshot, found.entries], [0, 0, 'none', []], 'an empty store');
  },

  async 'entries come back after a restart, in order and unchanged'(bench) {
    await bench.calls.recover();
    await Promise.all(sampleEntries(1, 1, 50).map((entry) => bench.calls.append(entry)));
    await bench.calls.append(...sampleEntries(1, 51, 60), ...sampleEntries(3, 1, 2));
    const found = await (await bench.restart()).recover();
    same(found.entries, [...shown(1, 1, 60), ...shown(3, 1, 2)], 'entries');
    check(zxidEquals(found.lastZxid, z(3, 2)), 'last zxid');
    await bench.calls.append(sampleEntry(3, 3));
    same((await (await bench.restart()).recover()).entries.length, 63, 'entries after the second restart');
  },

  async 'callbacks of appends come in order, with all earlier entries readable'({ calls, storage }) {
    await calls.recover();
    const order: number[] = [];
    const all = Array.from({ length: 30 }, (_, i) => {
      const counter = i + 1;
      return new Promise<void>((resolve, reject) => {
        storage.append([sampleEntry(1, counter)], (error) => {
          order.push(counter);
          if (error === null) resolve();
          else reject(error);
        });
      });
    });
    await all[9];
    same(await calls.readLog(z(1, 1), z(1, 10)), shown(1, 2, 10), 'entries that were reported durable');
    await Promise.all(all);
    same(
      order,
      all.map((_, i) => i + 1),
      'order of callbacks',
    );
  },

  async 'an entry that leaves a gap or goes back is refused, and the rest goes on'({ calls }) {
    await calls.recover();
    await fails(calls.append(sampleEntry(1, 2)), 'starting at 2');
    await calls.append(sampleEntry(1, 1));
    for (const [epoch, counter] of [
      [1, 3],
      [1, 1],
      [2, 2],
      [0, 2],
      [2, 0],
    ]) {
      await fails(calls.append(sampleEntry(epoch, counter)), `${epoch}.${counter} after 1.1`);
    }
    await fails(calls.append(sampleEntry(1, 2), sampleEntry(1, 4)), 'a call with a gap inside');
    await calls.append(sampleEntry(1, 2));
    await calls.append(sampleEntry(5, 1));
  },

  async 'an append of nothing is done when everything before it is durable'(bench) {
    await bench.calls.recover();
    const order: string[] = [];
    const first = bench.calls.append(...sampleEntries(1, 1, 100)).then(() => order.push('entries'));
    await bench.calls.append().then(() => order.push('nothing'));
    await first;
    same(order, ['entries', 'nothing'], 'order');
    same((await (await bench.restart()).recover()).entries.length, 100, 'entries');
  },

  async 'epochs are kept and never fall'(bench) {
    await bench.calls.recover();
    await bench.calls.setAcceptedEpoch(4);
    await bench.calls.setCurrentEpoch(3);
    await fails(bench.calls.setAcceptedEpoch(3), 'lowering the accepted epoch');
    await fails(bench.calls.setCurrentEpoch(2), 'lowering the current epoch');
    await fails(bench.calls.setCurrentEpoch(5), 'a current epoch that was not accepted');
    await bench.calls.setCurrentEpoch(3);
    const found = await (await bench.restart()).recover();
    same([found.acceptedEpoch, found.currentEpoch], [4, 3], 'epochs');
  },

  async 'a history that is ahead of its current epoch raises it'(bench) {
    await bench.calls.recover();
    await bench.calls.setAcceptedEpoch(2);
    await bench.calls.append(...sampleEntries(2, 1, 3));
    const found = await (await bench.restart()).recover();
    same([found.acceptedEpoch, found.currentEpoch], [2, 2], 'epochs');
    await bench.calls.truncate(z(2, 1));
    same((await (await bench.restart()).recover()).currentEpoch, 2, 'the raised epoch after a truncation');
  },

  async 'calls take effect in the order made'(bench) {
    await bench.calls.recover();
    const calls = bench.calls;
    await Promise.all([
      calls.setAcceptedEpoch(1),
      calls.append(...sampleEntries(1, 1, 10)),
      calls.setCurrentEpoch(1),
      calls.truncate(z(1, 6)),
      calls.append(...sampleEntries(1, 7, 8, 'other')),
      calls.setAcceptedEpoch(2),
      calls.append(sampleEntry(2, 1)),
    ]);
    const found = await (await bench.restart()).recover();
    same(found.entries, [...shown(1, 1, 6), ...shown(1, 7, 8, 'other'), ...shown(2, 1, 1)], 'entries');
  },

  async 'truncation removes every later entry for good'(bench) {
    await bench.calls.recover();
    await bench.calls.append(...sampleEntries(1, 1, 20));
    await bench.restart();
    await bench.calls.recover();
    await bench.calls.append(...sampleEntries(2, 1, 5));
    await fails(bench.calls.truncate(z(1, 21)), 'a truncation to an unknown zxid');
    await fails(bench.calls.truncate(z(2, 0)), 'a truncation to the start of an epoch');
    same((await bench.calls.recover()).entries.length, 25, 'entries after a truncation that failed');
    await bench.calls.truncate(z(2, 5));
    await bench.calls.truncate(z(1, 7));
    same((await bench.calls.recover()).entries, shown(1, 1, 7), 'entries at once');
    await fails(bench.calls.readLog(z(1, 8), z(1, 9)), 'reading from a removed entry');
    await bench.calls.append(sampleEntry(1, 8, 'new'));
    same((await (await bench.restart()).recover()).entries, [...shown(1, 1, 7), ...shown(1, 8, 8, 'new')], 'entries after a restart');
  },

  async 'truncation can go back to nothing, and to the snapshot'(bench) {
    await bench.calls.recover();
    await bench.calls.append(...sampleEntries(1, 1, 5));
    await bench.calls.truncate(ZXID_NONE);
    await bench.calls.append(...sampleEntries(1, 1, 3, 'b'));
    same((await (await bench.restart()).recover()).entries, shown(1, 1, 3, 'b'), 'entries');
    await bench.calls.installSnapshot(new SampleSource(z(2, 4)));
    await bench.calls.append(...sampleEntries(2, 5, 9));
    await fails(bench.calls.truncate(z(2, 3)), 'a truncation to before the snapshot');
    await bench.calls.truncate(z(2, 4));
    const found = await (await bench.restart()).recover();
    same([found.snapshot, found.entries], ['0x200000004 with 10 znodes', []], 'history');
  },

  async 'truncation takes back snapshots beyond it'(bench) {
    await bench.calls.recover();
    await bench.calls.append(...sampleEntries(1, 1, 10));
    await bench.calls.saveSnapshot(new SampleSource(z(1, 5)));
    await bench.calls.saveSnapshot(new SampleSource(z(1, 9)));
    await bench.calls.truncate(z(1, 7));
    const found = await (await bench.restart()).recover();
    same([found.snapshot, found.entries], ['0x100000005 with 10 znodes', shown(1, 6, 7)], 'history');
  },

  async 'an installed snapshot replaces the history'(bench) {
    await bench.calls.recover();
    await bench.calls.append(...sampleEntries(1, 1, 10));
    await bench.calls.saveSnapshot(new SampleSource(z(1, 8)));
    const source = new SampleSource(z(1, 6), 3000, 200);
    await bench.calls.installSnapshot(source);
    check(source.closed > 0, 'the source was not closed');
    same(bench.storage.logBytesSinceSnapshot, 0, 'log bytes');
    await fails(bench.calls.append(sampleEntry(1, 11)), 'continuing the old history');
    await bench.calls.append(...sampleEntries(1, 7, 8, 'new'));
    await fails(bench.calls.readLog(z(1, 3), z(1, 5)), 'reading the old log');
    const found = await (await bench.restart()).recover();
    same([found.snapshot, found.entries], ['0x100000006 with 3000 znodes', shown(1, 7, 8, 'new')], 'history');
  },

  async 'a saved snapshot stands beside the log'(bench) {
    await bench.calls.recover();
    await bench.calls.append(...sampleEntries(1, 1, 10));
    const source = new SampleSource(z(1, 10), 2000);
    const saved = bench.calls.saveSnapshot(source);
    const refused = new SampleSource(z(1, 10));
    await fails(bench.calls.saveSnapshot(refused), 'a second snapshot at the same time');
    const meanwhile = sampleEntries(1, 11, 40).map((entry) => bench.calls.append(entry));
    await Promise.all([saved, ...meanwhile]);
    check(source.closed > 0 && refused.closed > 0, 'a source was not closed');
    same(await bench.calls.readLog(z(1, 2), z(1, 12)), shown(1, 3, 12), 'the log across the snapshot');
    const found = await (await bench.restart()).recover();
    same([found.snapshot, found.entries], ['0x10000000a with 2000 znodes', shown(1, 11, 40)], 'history');
    check(zxidEquals(found.snapshotZxid, z(1, 10)), 'snapshot zxid');
  },

  async 'a snapshot at the very start of an epoch fits in'(bench) {
    await bench.calls.recover();
    await bench.calls.setAcceptedEpoch(2);
    await bench.calls.append(...sampleEntries(1, 1, 3));
    await bench.calls.saveSnapshot(new SampleSource(z(2, 0)));
    await bench.calls.append(...sampleEntries(2, 1, 2));
    const found = await (await bench.restart()).recover();
    same([found.snapshot, found.entries], ['0x200000000 with 10 znodes', shown(2, 1, 2)], 'history');
  },

  async 'a source that throws leaves the history as it was'(bench) {
    await bench.calls.recover();
    await bench.calls.append(...sampleEntries(1, 1, 3));
    const broken = (): never => {
      throw new Error('the tree has gone');
    };
    for (const call of ['installSnapshot', 'saveSnapshot'] as const) {
      const source = new SampleSource(z(1, 2), 10, 10, broken);
      await fails(bench.calls[call](source), call);
      check(source.closed > 0, `${call} has not closed its source`);
    }
    await bench.calls.append(sampleEntry(1, 4));
    const found = await (await bench.restart()).recover();
    same([found.snapshot, found.entries], ['none', shown(1, 1, 4)], 'history');
  },

  async 'readLog gives exactly the range asked for, or an error'({ calls }) {
    await calls.recover();
    await calls.append(...sampleEntries(1, 1, 30), ...sampleEntries(2, 1, 30));
    same(await calls.readLog(z(1, 28), z(2, 2)), [...shown(1, 29, 30), ...shown(2, 1, 2)], 'across an epoch');
    same(await calls.readLog(z(2, 29), z(7, 1)), shown(2, 30, 30), 'beyond the end');
    same(await calls.readLog(z(2, 30), z(2, 30)), [], 'nothing');
    same((await calls.readLog(z(1, 1), z(2, 30), 1e9, 5)).length, 5, 'a sink that stops');
    await fails(calls.readLog(z(1, 31), z(2, 3)), 'reading after an entry that is not there');
    await fails(calls.readLog(z(2, 31), z(2, 33)), 'reading after an entry that is not there yet');
    await fails(calls.readLog(z(2, 0), z(2, 3)), 'reading after the start of an epoch, which is no entry');
    await fails(calls.readLog(z(1, 1), z(2, 30), 500), 'more than the limit of bytes');
  },

  async 'purge keeps the newest snapshots and what they need'(bench) {
    await bench.calls.recover();
    for (let i = 0; i < 5; i++) {
      await bench.calls.append(...sampleEntries(1, i * 10 + 1, i * 10 + 10));
      await bench.calls.saveSnapshot(new SampleSource(z(1, i * 10 + 8)));
    }
    await fails(bench.calls.purge(0), 'keeping no snapshot');
    await bench.calls.purge(2);
    same(await bench.calls.readLog(z(1, 38), z(1, 40)), shown(1, 39, 40), 'the log after the oldest snapshot kept');
    await fails(bench.calls.readLog(z(1, 2), z(1, 40)), 'reading what was purged');
    await bench.calls.append(sampleEntry(1, 51));
    const found = await (await bench.restart()).recover();
    same([found.snapshot, found.entries], ['0x100000030 with 10 znodes', shown(1, 49, 51)], 'history');
    await bench.calls.truncate(z(1, 45));
    same((await bench.calls.recover()).snapshot, '0x100000026 with 10 znodes', 'the older snapshot');
  },

  async 'the log since the last snapshot is counted'(bench) {
    await bench.calls.recover();
    same(bench.storage.logBytesSinceSnapshot, 0, 'at first');
    await bench.calls.append(...sampleEntries(1, 1, 10));
    const ten = bench.storage.logBytesSinceSnapshot;
    check(ten > 500, 'the count does not grow');
    await bench.restart();
    await bench.calls.recover();
    same(bench.storage.logBytesSinceSnapshot, ten, 'after a restart');
    const saved = bench.calls.saveSnapshot(new SampleSource(z(1, 10)));
    same(bench.storage.logBytesSinceSnapshot, 0, 'after a snapshot has begun');
    await saved;
  },

  async 'one opener at a time, one server for good'(bench) {
    await fails(bench.calls.open(), 'opening it twice');
    await bench.calls.recover();
    await bench.calls.append(sampleEntry(1, 1));
    await bench.calls.close();
    await fails(bench.calls.append(sampleEntry(1, 2)), 'an append after close');
    await fails(bench.calls.recover(), 'a recovery after close');
    await fails(bench.calls.open(2), 'opening it for another server');
    await bench.calls.open();
    same((await bench.calls.recover()).entries, shown(1, 1, 1), 'entries');
  },

  async 'nothing goes before the recovery'({ calls }) {
    await fails(calls.append(sampleEntry(1, 1)), 'append');
    await fails(calls.truncate(ZXID_NONE), 'truncate');
    await fails(calls.setAcceptedEpoch(1), 'setAcceptedEpoch');
    await fails(calls.saveSnapshot(new SampleSource(z(1, 1))), 'saveSnapshot');
    await fails(calls.readLog(z(1, 1), z(1, 2)), 'readLog');
    same((await calls.recover()).entries, [], 'entries');
  },

  async 'close answers what is under way, and keeps what was reported durable'(bench) {
    await bench.calls.recover();
    const outcomes = sampleEntries(1, 1, 200).map((entry) => settled(bench.calls.append(entry)));
    await outcomes[20];
    const late = settled(bench.calls.saveSnapshot(new SampleSource(z(1, 20), 5000)));
    const read = settled(bench.calls.readLog(z(1, 1), z(1, 20)));
    await bench.calls.close();
    const results = await Promise.all([...outcomes, late, read]);
    const durable = results.slice(0, 200).lastIndexOf(true) + 1;
    await bench.restart();
    const { entries } = await bench.calls.recover();
    check(entries.length >= durable && durable >= 21, `${entries.length} entries after ${durable} were reported durable`);
    await bench.calls.append(sampleEntry(1, entries.length + 1));
  },
};

/** Whether it succeeded. */
const settled = (promise: Promise<unknown>): Promise<boolean> =>
  promise.then(
    () => true,
    () => false,
  );
