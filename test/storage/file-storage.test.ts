import { describe, expect, it } from 'vitest';
import { makeZxid, ZXID_NONE } from '../../src/model/zxid.ts';
import type { FileStorageOptions } from '../../src/storage/file-storage.ts';
import {
  type RecoveredHistory,
  SampleSource,
  type StorageCalls,
  sampleEntries,
  sampleEntry,
  showEntry,
} from '../../src/testing/storage-kit.ts';
import { JuteWriter } from '../../src/wire/jute.ts';
import { appendRecord, writeLogHeader } from '../../src/wire/txnlog.ts';
import type { LogEntry } from '../../src/zab/entry.ts';
import { LabDisk } from '../testing/lab-disk.ts';

const z = makeZxid;
const V2 = '/d/version-2';

const on = (disk: LabDisk, options: Partial<FileStorageOptions> = {}): StorageCalls =>
  disk.storage({ dataDir: '/d', preAllocSize: 4096, ...options });

/** Opens the store, recovers it, and closes it again even if that fails. */
async function recovered(disk: LabDisk): Promise<RecoveredHistory> {
  const calls = on(disk);
  await calls.open();
  try {
    return await calls.recover();
  } finally {
    await calls.close();
  }
}

/** What a fresh store leaves after `work`. */
async function worked(work: (calls: StorageCalls) => Promise<unknown>, options: Partial<FileStorageOptions> = {}): Promise<LabDisk> {
  const disk = new LabDisk();
  const calls = on(disk, options);
  await calls.open();
  await calls.recover();
  await work(calls);
  await calls.close();
  return disk;
}

/** A log file as ZooKeeper would write it. */
function logFile(entries: readonly LogEntry[], zeros = 0): Buffer {
  const w = new JuteWriter();
  writeLogHeader(w);
  for (const entry of entries) appendRecord(w, entry.bytes);
  return Buffer.concat([w.copy(), Buffer.alloc(zeros)]);
}

function diskWith(files: Record<string, Buffer>): LabDisk {
  const disk = new LabDisk();
  for (const [name, bytes] of Object.entries(files)) disk.put(`${V2}/${name}`, bytes);
  return disk;
}

const bytesOf = (disk: LabDisk, path: string): Buffer => Buffer.from(disk.get(path) as Uint8Array);

const shown = (entries: readonly LogEntry[]): string[] => entries.map(showEntry);

describe('the end of the newest log', () => {
  const whole = logFile(sampleEntries(1, 1, 4));
  const lastAt = logFile(sampleEntries(1, 1, 3)).length;

  it('is cut back to the last whole record, wherever it is torn, and goes on from there', async () => {
    for (let size = lastAt; size < whole.length; size++) {
      for (const zeros of [0, 4000]) {
        const disk = diskWith({ 'log.100000001': Buffer.concat([whole.subarray(0, size), Buffer.alloc(zeros)]) });
        const calls = on(disk);
        await calls.open();
        expect((await calls.recover()).entries, `cut at ${size}`).toEqual(shown(sampleEntries(1, 1, 3)));
        await calls.append(sampleEntry(1, 4, 'new'));
        await calls.close();
        expect((await recovered(disk)).entries.slice(2)).toEqual(shown([sampleEntry(1, 3), sampleEntry(1, 4, 'new')]));
      }
    }
  });

  it('may be a file that was only begun', async () => {
    for (const size of [0, 1, 7, 8, 15, 16, 17, 40]) {
      const begun = Buffer.concat([logFile([sampleEntry(1, 5)]).subarray(0, size), Buffer.alloc(size % 2 === 0 ? 0 : 500)]);
      const disk = diskWith({ 'log.100000001': whole, 'log.100000005': begun });
      const calls = on(disk);
      await calls.open();
      expect((await calls.recover()).entries.length).toBe(4);
      await calls.append(sampleEntry(1, 5));
      await calls.close();
      expect((await recovered(disk)).entries.length).toBe(5);
    }
  });
});

describe('damage anywhere else is refused with file and offset, and nothing is touched', () => {
  const parts = { 'log.100000001': logFile(sampleEntries(1, 1, 5)), 'log.100000006': logFile(sampleEntries(1, 6, 9), 900) };

  async function refused(files: Record<string, Buffer>, message: RegExp): Promise<void> {
    const disk = diskWith(files);
    await expect(recovered(disk)).rejects.toThrow(message);
    expect(disk.list().filter((file) => file.startsWith(V2))).toEqual(
      Object.keys(files)
        .map((name) => `${V2}/${name}`)
        .sort(),
    );
    for (const [name, bytes] of Object.entries(files)) expect(bytesOf(disk, `${V2}/${name}`).equals(bytes)).toBe(true);
  }

  it('a changed byte in an older file', async () => {
    const offset = logFile(sampleEntries(1, 1, 4)).length;
    const damaged = Buffer.from(parts['log.100000001']);
    damaged[offset + 30] ^= 4;
    await refused({ ...parts, 'log.100000001': damaged }, new RegExp(`log\\.100000001: damaged at offset ${offset}`));
  });

  it('a changed byte in the middle of the newest file', async () => {
    const offset = logFile(sampleEntries(1, 6, 6)).length;
    for (let at = offset; at < offset + 60; at++) {
      const damaged = Buffer.from(parts['log.100000006']);
      damaged[at] ^= 1;
      await refused({ ...parts, 'log.100000006': damaged }, new RegExp(`log\\.100000006: damaged at offset ${offset}`));
    }
  });

  it('a missing file, and missing records at the start of a file', async () => {
    const third = { 'log.10000000a': logFile(sampleEntries(1, 10, 12)) };
    await refused({ 'log.100000001': parts['log.100000001'], ...third }, /log\.10000000a: after 0x100000005 .*0x10000000a at offset 16/);
    await refused({ 'log.200000001': logFile([...sampleEntries(2, 2, 3)]) }, /missing before 0x200000002/);
  });

  it('an older file that is torn, if the history does not go on where it broke off', async () => {
    const torn = parts['log.100000001'].subarray(0, -20);
    await refused({ 'log.100000001': torn, 'log.200000001': logFile(sampleEntries(2, 1, 2)) }, /log\.100000001: damaged at offset/);
    const resumed = diskWith({ 'log.100000001': torn, 'log.100000005': logFile(sampleEntries(1, 5, 9)) });
    expect((await recovered(resumed)).entries).toEqual(shown(sampleEntries(1, 1, 9)));
  });
});

describe('a history without its snapshot', () => {
  it('is refused once the log does not start at the beginning (faults 2325, 3056)', async () => {
    const disk = await worked(async (calls) => {
      await calls.installSnapshot(new SampleSource(z(2, 0)));
      await calls.append(...sampleEntries(2, 1, 3));
    });
    disk.remove(`${V2}/snapshot.200000000`);
    await expect(recovered(disk)).rejects.toThrow(/the log starts at 0x200000001, and there is no usable snapshot/);
  });

  it('is complete for a server that came to an ensemble without transactions in a later epoch', async () => {
    const disk = await worked((calls) => calls.append(...sampleEntries(3, 1, 3)));
    expect(disk.list()).toContain(`${V2}/log.1`);
    expect((await recovered(disk)).entries).toEqual(shown(sampleEntries(3, 1, 3)));
  });

  it('is refused when its only snapshot is damaged after an installation', async () => {
    const disk = await worked(async (calls) => {
      await calls.append(...sampleEntries(1, 1, 9));
      await calls.saveSnapshot(new SampleSource(z(1, 5)));
      await calls.installSnapshot(new SampleSource(z(1, 20)));
      await calls.append(...sampleEntries(2, 1, 3));
    });
    expect(disk.list().filter((file) => /snapshot|log\./.test(file))).toEqual([`${V2}/log.200000001`, `${V2}/snapshot.100000014`]);
    const bytes = bytesOf(disk, `${V2}/snapshot.100000014`);
    bytes[200] ^= 1;
    disk.put(`${V2}/snapshot.100000014`, bytes);
    await expect(recovered(disk)).rejects.toThrow(/snapshot\.100000014/);
  });

  it('does not jump over a hole between epochs that only a damaged snapshot covered', async () => {
    // As a ZooKeeper 3.8 follower leaves it after SNAP: the old log stays, ends at 1.5, and goes on at 2.1; the snapshot stood at 1.9 (fault 2846).
    const disk = await worked((calls) => calls.saveSnapshot(new SampleSource(z(1, 9))));
    disk.put(`${V2}/log.100000001`, logFile(sampleEntries(1, 1, 5)));
    disk.put(`${V2}/log.200000001`, logFile(sampleEntries(2, 1, 5)));
    expect((await recovered(disk)).entries).toEqual(shown(sampleEntries(2, 1, 5)));
    const bytes = bytesOf(disk, `${V2}/snapshot.100000009`);
    bytes[100] ^= 1;
    disk.put(`${V2}/snapshot.100000009`, bytes);
    await expect(recovered(disk)).rejects.toThrow(/snapshot\.100000009.*do not lead to it/);
  });
});

describe('a snapshot that cannot be unpacked here', () => {
  it('is named with the reason, and passed over where an older history leads to it', async () => {
    const packed = { 'snapshot.100000003.gz': Buffer.from([0x1f, 0x8b, 8, 0]) };
    await expect(recovered(diskWith(packed))).rejects.toThrow(
      /snapshot\.100000003\.gz.*compressed with gzip, and there is nothing here to unpack/,
    );
    const whole = diskWith({ ...packed, 'log.100000001': logFile(sampleEntries(1, 1, 4)) });
    expect((await recovered(whole)).entries).toEqual(shown(sampleEntries(1, 1, 4)));
  });
});

describe('records that ZooKeeper 3.8 has written twice (PROTOCOL 19)', () => {
  const twice = { 'log.100000001': logFile(sampleEntries(1, 1, 7)), 'log.100000006': logFile(sampleEntries(1, 6, 9), 100) };

  it('are passed over', async () => {
    expect((await recovered(diskWith(twice))).entries).toEqual(shown(sampleEntries(1, 1, 9)));
    const calls = on(diskWith(twice));
    await calls.open();
    await calls.recover();
    expect(await calls.readLog(z(1, 4), z(1, 8))).toEqual(shown(sampleEntries(1, 5, 8)));
    await calls.close();
  });

  it('all go when the log is cut before them (fault 1156)', async () => {
    for (let last = 1; last < 9; last++) {
      const disk = diskWith(twice);
      const calls = on(disk);
      await calls.open();
      await calls.recover();
      await calls.truncate(z(1, last));
      await calls.append(sampleEntry(1, last + 1, 'new'));
      await calls.close();
      expect((await recovered(disk)).entries).toEqual(shown([...sampleEntries(1, 1, last), sampleEntry(1, last + 1, 'new')]));
    }
  });
});

describe('the epoch files', () => {
  const text = (disk: LabDisk, name: string): string => bytesOf(disk, `${V2}/${name}`).toString();

  it('hold decimal text and nothing else', async () => {
    const disk = await worked(async (calls) => {
      await calls.setAcceptedEpoch(12);
      await calls.setCurrentEpoch(7);
    });
    expect([text(disk, 'acceptedEpoch'), text(disk, 'currentEpoch')]).toEqual(['12', '7']);
    expect(bytesOf(disk, '/d/myid').toString()).toBe('1');
  });

  it('are refused when they cannot be right', async () => {
    const log = logFile(sampleEntries(3, 1, 2));
    const base = { 'log.1': log };
    await expect(recovered(diskWith({ ...base, acceptedEpoch: Buffer.from('two') }))).rejects.toThrow(/acceptedEpoch.*"two"/);
    await expect(recovered(diskWith({ ...base, acceptedEpoch: Buffer.from('') }))).rejects.toThrow(/acceptedEpoch/);
    await expect(recovered(diskWith({ ...base, acceptedEpoch: Buffer.from('2') }))).rejects.toThrow(/older than the last transaction/);
    const swapped = { ...base, acceptedEpoch: Buffer.from('4'), currentEpoch: Buffer.from('5') };
    await expect(recovered(diskWith(swapped))).rejects.toThrow(/older than currentEpoch/);
    await expect(recovered(diskWith({ ...base, currentEpoch: Buffer.from('5') }))).rejects.toThrow(/missing.*older than currentEpoch/);
  });

  it('are healed after a crash between a synchronisation and its last write (faults 1653, 2354)', async () => {
    const disk = diskWith({ 'log.1': logFile(sampleEntries(3, 1, 2)), acceptedEpoch: Buffer.from('4'), currentEpoch: Buffer.from('2') });
    expect(await recovered(disk)).toMatchObject({ acceptedEpoch: 4, currentEpoch: 3 });
    expect(text(disk, 'currentEpoch')).toBe('3');
  });

  it('lose their unfinished predecessors at the start (faults 2307, 4269)', async () => {
    const disk = diskWith({ 'acceptedEpoch.tmp': Buffer.from('9'), 'tmp.100000001': Buffer.from('x'), acceptedEpoch: Buffer.from('2') });
    expect(await recovered(disk)).toMatchObject({ acceptedEpoch: 2, currentEpoch: 0 });
    expect(disk.list()).toEqual([`/d/myid`, `${V2}/acceptedEpoch`]);
  });
});

describe('writing', () => {
  it('gathers what arrives during a write into the next one', async () => {
    const disk = new LabDisk();
    const calls = on(disk, { preAllocSize: 0 });
    await calls.open();
    await calls.recover();
    await calls.append(sampleEntry(1, 1));
    const before = disk.journal.length;
    await Promise.all(sampleEntries(1, 2, 2000).map((entry) => calls.append(entry)));
    expect(disk.journal.slice(before).every((step) => step.startsWith('write'))).toBe(true);
    expect(disk.journal.length - before).toBeLessThan(5);
    await calls.close();
  });

  it('reports nothing before it is durable, where writes alone are not', async () => {
    const disk = new LabDisk();
    disk.durableWrites = false;
    const calls = on(disk);
    await calls.open();
    await calls.recover();
    await calls.append(...sampleEntries(1, 1, 3));
    await calls.append(...sampleEntries(1, 4, 5));
    expect((await recovered(new LabDisk(1, disk.image()))).entries).toEqual(shown(sampleEntries(1, 1, 5)));
    await calls.close();
  });

  it('splits and waits where very much comes at once', async () => {
    const large = sampleEntries(1, 1, 14, '', 1_000_000);
    const disk = new LabDisk();
    const calls = on(disk, { preAllocSize: 65536 });
    await calls.open();
    await calls.recover();
    // One call larger than a write may be, then calls larger together than a batch may be.
    await Promise.all([calls.append(...large.slice(0, 10)), ...large.slice(10).map((entry) => calls.append(entry))]);
    expect((await calls.recover()).entries.length).toBe(14);
    await calls.close();
  });

  it('lets no snapshot count that holds more than the log', async () => {
    const disk = new LabDisk();
    const calls = on(disk);
    await calls.open();
    await calls.recover();
    await calls.append(sampleEntry(1, 1));
    disk.failOn(/^write .*log/, 'EIO');
    const appended = calls.append(sampleEntry(1, 2));
    await Promise.all([
      expect(appended).rejects.toThrow(/EIO/),
      expect(calls.saveSnapshot(new SampleSource(z(1, 2)))).rejects.toThrow(/EIO/),
    ]);
    await calls.close();
    disk.heal();
    expect(disk.list().filter((file) => file.includes('/snapshot'))).toEqual([]);
    expect((await recovered(disk)).entries.length).toBe(1);
  });

  it('refuses entries whose bytes are of another transaction', async () => {
    const disk = await worked(async (calls) => {
      const wrong = { ...sampleEntry(1, 1), bytes: sampleEntry(1, 2).bytes };
      await expect(calls.append(wrong)).rejects.toThrow(/0x100000001 are not its transaction/);
      await calls.append(sampleEntry(1, 1));
    });
    expect((await recovered(disk)).entries.length).toBe(1);
  });
});

describe('zeros ahead', () => {
  const small = sampleEntries(1, 1, 12);
  const large = sampleEntries(1, 13, 14, '', 100_000);

  const entries = [...small, ...large, sampleEntry(1, 15)];

  /** How many bytes each entry's write has. Nothing but zeros may stand behind the last one. */
  async function bytesOfEach(options: Partial<FileStorageOptions>): Promise<number[]> {
    const disk = new LabDisk();
    const calls = on(disk, options);
    await calls.open();
    await calls.recover();
    const written: number[] = [];
    for (const entry of entries) {
      const before = disk.counts.bytesWritten;
      await calls.append(entry);
      written.push(disk.counts.bytesWritten - before);
    }
    const log = bytesOf(disk, `${V2}/log.100000001`);
    expect(log.equals(logFile(entries, log.length - logFile(entries).length))).toBe(true);
    await calls.close();
    return written;
  }

  it('go with a small write that reaches into the hole, enough for many to come', async () => {
    const written = await bytesOfEach({ preAllocSize: 0x100000 });
    // The second large one would only write more; then the hole is reached again.
    expect(written.map((bytes) => bytes > 0x20000)).toEqual([true, ...small.slice(1).map(() => false), false, false, true]);
  });

  it('are not more than was allocated, and none where they spare nothing', async () => {
    for (const options of [{ preAllocSize: 4096 }, { preAllocSize: 0 }, { preAllocSize: 0x100000, fsync: false }])
      expect(Math.max(...(await bytesOfEach(options)))).toBeLessThan(0x20000);
  });
});

describe('log files', () => {
  it('start anew at the start, after a snapshot, after a truncation and at the size limit, named after their first zxid', async () => {
    const disk = await worked(
      async (calls) => {
        await calls.append(...sampleEntries(1, 1, 2));
        await calls.append(...sampleEntries(1, 3, 4));
        await calls.saveSnapshot(new SampleSource(z(1, 3)));
        await calls.append(...sampleEntries(1, 5, 7));
        await calls.truncate(z(1, 6));
        await calls.append(...sampleEntries(1, 7, 30));
        await calls.append(...sampleEntries(1, 31, 32));
      },
      { logSizeLimit: 1000 },
    );
    const names = disk.list().filter((file) => file.includes('log.'));
    expect(names.map((file) => file.slice(V2.length + 5))).toEqual(['100000001', '100000005', '100000007', '10000001f']);
    expect((await recovered(disk)).entries.length).toBe(29);
  });

  it('have padding only while they are written to', async () => {
    const disk = new LabDisk();
    const calls = on(disk);
    await calls.open();
    await calls.recover();
    await calls.append(...sampleEntries(1, 1, 2));
    expect(bytesOf(disk, `${V2}/log.100000001`).length).toBe(8192);
    await calls.close();
    expect(bytesOf(disk, `${V2}/log.100000001`).equals(logFile(sampleEntries(1, 1, 2)))).toBe(true);
  });
});

describe('what it takes on the disk', () => {
  const usageOf = (disk: LabDisk, { storage }: StorageCalls) =>
    disk.kernel.keepRunning(
      new Promise((resolve, reject) => storage.usage!((error, usage) => (error === null ? resolve(usage) : reject(error)))),
    );

  it('is the bytes of all files, in one folder or in two', async () => {
    for (const dataLogDir of ['/d', '/l']) {
      const disk = new LabDisk();
      const calls = on(disk, { dataLogDir });
      await calls.open();
      await expect(usageOf(disk, calls)).rejects.toThrow('not recovered yet');
      await calls.recover();
      await calls.saveSnapshot(new SampleSource(ZXID_NONE, 1));
      await calls.append(...sampleEntries(1, 1, 2));
      const sum = (folder: string) =>
        disk
          .list()
          .filter((path) => path.startsWith(folder))
          .reduce((total, path) => total + bytesOf(disk, path).length, 0);
      const logs = `${dataLogDir}/version-2`;
      expect(await usageOf(disk, calls)).toEqual({ dataDir: V2, dataBytes: sum(V2), logDir: logs, logBytes: sum(logs) });
      expect(sum(logs)).toBeGreaterThan(4000);
      expect(sum(V2)).toBeGreaterThan(100);
      await calls.close();
      await expect(usageOf(disk, calls)).rejects.toThrow();
    }
  });
});

describe('the end of a store', () => {
  it('is for good: nothing of it reaches the disk after close (faults 4712, 4541, 4502)', async () => {
    for (let waits = 0; waits < 12; waits++) {
      const disk = new LabDisk();
      const calls = on(disk);
      await calls.open();
      await calls.recover();
      const outcomes = sampleEntries(1, 1, 50).map((entry) => calls.append(entry).catch(() => 'failed'));
      const others = [calls.saveSnapshot(new SampleSource(z(1, 1))), calls.setAcceptedEpoch(1), calls.truncate(ZXID_NONE)];
      const settled = Promise.allSettled([...outcomes, ...others]);
      await disk.kernel.sleep(waits * 0.2);
      await calls.close();
      const steps = disk.steps;
      expect(disk.openFiles).toBe(0);
      await settled;
      await disk.kernel.sleep(100);
      expect(disk.steps).toBe(steps);
    }
  });
});
