import { expect, it } from 'vitest';
import { makeZxid } from '../../src/model/zxid.ts';
import { epochFiles, Past, type PastFile } from '../scenarios/past.ts';
import { LabDisk } from '../testing/lab-disk.ts';

/** 1.1, 1.2, 1.3, 2.1, 2.2 */
const past = new Past().create(1, 1, '/a').create(1, 2, '/b');
const inside = past.snapshot();
past.create(1, 3, '/c');
const behind = past.snapshot();
past.create(2, 1, '/d').create(2, 2, '/e');

/** How many entries a learner at 1.1 would be sent from such a directory. */
async function served(files: readonly PastFile[], upTo = makeZxid(2, 2)): Promise<number> {
  const disk = new LabDisk();
  for (const [name, content] of [...files, ...epochFiles(2, 2)]) disk.put(`/data/${name}`, content);
  const storage = disk.storage({ dataDir: '/data' });
  await storage.open();
  const sink = { begin: () => {}, nodes: () => {}, end: () => {}, entry: () => {} };
  await disk.kernel.keepRunning(new Promise<unknown>((resolve) => storage.storage.recover(sink, resolve)));
  return (await storage.readLog(makeZxid(1, 1), upTo)).length;
}

it('a log is served that runs through the snapshots', async () => {
  expect(await served([past.log(0, 3), past.log(3, 5), inside, behind])).toBe(4);
});

it.each([
  ['in front of a snapshot, with another epoch behind it', [past.log(0, 1), past.log(3, 5), behind], makeZxid(2, 2)],
  ['that reaches up to where the reading is to end', [past.log(0, 1), past.log(3, 5), behind], makeZxid(1, 3)],
  ['with two snapshots in it', [past.log(0, 1), past.log(3, 5), inside, behind], makeZxid(2, 2)],
] as const)('no log is served with a hole %s (fault 2846)', async (_what, files, upTo) => {
  await expect(served(files, upTo)).rejects.toThrow(/after 0x100000001/);
});
