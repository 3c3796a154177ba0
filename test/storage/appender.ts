import { fileStorage } from '../../src/index.ts';
import { makeZxid } from '../../src/model/zxid.ts';
import { systemClock } from '../../src/node/system-clock.ts';
import { SampleSource, StorageCalls, sampleEntry } from '../../src/testing/storage-kit.ts';

/*
 * A process that opens the data directory given to it and appends until it is killed. It prints `<what> <zxid counter>` lines, for entries that were
 * reported durable, and for snapshots.
 */
const [, , dataDir] = process.argv;
const calls = new StorageCalls(fileStorage({ dataDir, preAllocSize: 65536, logSizeLimit: 40_000 }), systemClock());
await calls.open();
const found = await calls.recover();
let last = found.lastZxid.low;
process.stdout.write(`start ${last}\n`);

async function writer(): Promise<never> {
  for (;;) {
    const counter = ++last;
    await calls.append(sampleEntry(1, counter));
    process.stdout.write(`durable ${counter}\n`);
  }
}

const outstanding = Array.from({ length: 20 }, writer);
for (;;) {
  const at = last - 20;
  if (at > found.snapshotZxid.low) await calls.saveSnapshot(new SampleSource(makeZxid(1, at), 50));
  await calls.purge(3);
  await Promise.race([...outstanding, new Promise((resolve) => setTimeout(resolve, 7))]);
}
