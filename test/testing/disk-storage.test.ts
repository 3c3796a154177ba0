import { describe, expect, it } from 'vitest';
import { makeZxid, ZXID_NONE } from '../../src/model/zxid.ts';
import { type FileStorageOptions, fileStorage } from '../../src/storage/file-storage.ts';
import { recoverFrom } from '../../src/testing/disk-check.ts';
import { type StorageHarness, storageConformance } from '../../src/testing/storage-conformance.ts';
import type { StorageCalls } from '../../src/testing/storage-kit.ts';
import { JuteWriter } from '../../src/wire/jute.ts';
import { encodeTxn } from '../../src/wire/txn.ts';
import { LogEntry } from '../../src/zab/entry.ts';
import { create, del, dump, Rig, set } from '../tree/support.ts';
import { LabDisk } from './lab-disk.ts';

const kinds: Record<string, Partial<FileStorageOptions> & { durableWrites?: boolean }> = {
  'file storage on a simulated disk': {},
  'file storage on a simulated disk where a sync is a call of its own': {
    durableWrites: false,
    preAllocSize: 4096,
    logSizeLimit: 1000,
    dataLogDir: '/l',
  },
};

for (const [kind, { durableWrites = true, ...options }] of Object.entries(kinds)) {
  describe(kind, () => {
    for (const { name } of storageConformance(async () => expect.unreachable())) {
      it(name, async () => {
        const disk = new LabDisk(name.length);
        disk.durableWrites = durableWrites;
        const { clock } = disk.machine;
        const make = () => fileStorage({ dataDir: '/d', fs: disk, ...options });
        const harness = async (): Promise<StorageHarness> => ({ storage: make(), clock, reopen: make, dispose: async () => {} });
        const test = storageConformance(harness).find((one) => one.name === name);
        await disk.kernel.keepRunning(test?.run() ?? Promise.reject(new Error('no such test')));
        expect(disk.openFiles).toBe(0);
      });
    }
  });
}

/** A tree whose transactions are logged on a disk. */
class Server {
  readonly disk = new LabDisk(7);
  readonly rig = new Rig({ digest: true });
  readonly calls: StorageCalls = this.disk.storage({ dataDir: '/s3', preAllocSize: 4096 });
  #logged = 0;

  async start(): Promise<void> {
    await this.calls.open(3);
    await this.calls.recover();
  }

  /** Appends what the tree has applied since the last time. */
  async log(): Promise<void> {
    const entries = this.rig.log.slice(this.#logged).map((txn) => {
      const w = new JuteWriter(128);
      encodeTxn(w, txn);
      return new LogEntry(txn.header.zxid, w.copy());
    });
    this.#logged += entries.length;
    await this.calls.append(...entries);
  }

  async work(from: number, to: number): Promise<void> {
    for (let i = from; i <= to; i++) {
      this.rig.run(create(`/n${i}`));
      if (i % 3 === 0) this.rig.run(set(`/n${i}`, `data ${i}`));
      if (i % 5 === 0) this.rig.run(del(`/n${i - 1}`));
    }
    await this.log();
  }

  recovered(): Extract<ReturnType<typeof recoverFrom>, { error: null }> {
    const recovered = recoverFrom(this.disk.image(), { digest: true });
    if (recovered.error !== null) throw recovered.error;
    return recovered;
  }
}

describe('what a restart would find', () => {
  it('is the tree of the server at every moment, from the log alone, with a snapshot, and after an installation', async () => {
    const server = new Server();
    await server.start();
    server.rig.open(1);
    await server.work(1, 20);
    const { tree } = server.rig;
    expect(dump(server.recovered().tree)).toEqual(dump(tree));
    const early = { zxid: tree.lastZxid, dump: dump(tree) };
    await server.work(21, 40);
    expect(dump(server.recovered().treeAt(early.zxid))).toEqual(early.dump);
    await server.calls.saveSnapshot(tree.openSnapshot());
    const { lastZxid } = tree;
    await server.work(41, 50);
    const saved = server.recovered();
    expect([saved.found.snapshotZxid, saved.found.lastZxid, saved.tree.lastZxid]).toEqual([lastZxid, tree.lastZxid, tree.lastZxid]);
    expect(saved.entries.map((entry) => entry.zxid)).toEqual(
      server.rig.log.map((txn) => txn.header.zxid).filter((zxid) => zxid.greaterThan(lastZxid)),
    );
    expect(dump(saved.tree)).toEqual(dump(tree));
    expect(() => saved.treeAt(early.zxid)).toThrow(RangeError);
    await server.calls.installSnapshot(tree.openSnapshot());
    expect(server.recovered().entries).toEqual([]);
    expect(dump(server.recovered().tree)).toEqual(dump(tree));
  });

  it('is nothing on an empty disk, and lacks what is not durable', async () => {
    expect(recoverFrom(new LabDisk().image())).toMatchObject({ error: null, entries: [], found: { lastZxid: ZXID_NONE } });
    const server = new Server();
    await server.start();
    await server.work(1, 3);
    const { lastZxid } = server.rig.tree;
    server.disk.lying = true;
    await server.work(4, 6);
    expect(server.recovered().found.lastZxid).toEqual(lastZxid);
  });

  it('is told without a trace in the simulation: neither the disk nor its chance nor time change', async () => {
    const run = async (looks: boolean): Promise<string> => {
      const server = new Server();
      await server.start();
      await server.work(1, 10);
      // A start removes such a file: from the copy, not from the disk.
      server.disk.put('/s3/version-2/tmp.1', new Uint8Array(3));
      if (looks) for (let i = 0; i < 5; i++) server.recovered();
      await server.work(11, 20);
      return `${server.disk.kernel.trace.digest} ${server.disk.kernel.now} ${server.disk.list().join()} ${server.disk.rot()?.offset}`;
    };
    expect(await run(true)).toBe(await run(false));
  });

  it('can be an error', async () => {
    const server = new Server();
    await server.start();
    await server.work(1, 10);
    await server.calls.saveSnapshot(server.rig.tree.openSnapshot());
    await server.work(11, 20);
    server.disk.remove(`/s3/version-2/log.${makeZxid(1, 1).toString(16)}`);
    server.disk.remove(server.disk.list().find((path) => path.includes('snapshot')) as string);
    expect(recoverFrom(server.disk.image()).error?.message).toMatch(/there is no snapshot and transactions are missing before 0x100000010/);
  });
});
