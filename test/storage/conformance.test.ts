import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { type FileStorageOptions, fileStorage } from '../../src/index.ts';
import { systemClock } from '../../src/node/system-clock.ts';
import { memoryStorage } from '../../src/storage/memory-storage.ts';
import { type StorageHarness, storageConformance } from '../../src/testing/storage-conformance.ts';

const clock = systemClock();

async function memory(): Promise<StorageHarness> {
  const storage = memoryStorage();
  return { storage, clock, reopen: () => storage, dispose: async () => {} };
}

const files = (options: Partial<FileStorageOptions>, separate = false) => {
  return async (): Promise<StorageHarness> => {
    const dataDir = await mkdtemp(join(tmpdir(), 'zab-storage-'));
    const make = () => fileStorage({ dataDir, ...(separate ? { dataLogDir: join(dataDir, 'logs') } : {}), ...options });
    return { storage: make(), clock, reopen: make, dispose: () => rm(dataDir, { recursive: true }) };
  };
};

const kinds: Record<string, () => Promise<StorageHarness>> = {
  'memory storage': memory,
  'file storage': files({}),
  'file storage with small files in a folder of their own': files({ preAllocSize: 4096, logSizeLimit: 1000 }, true),
  'file storage without padding or fsync': files({ preAllocSize: 0, fsync: false }),
};

for (const [kind, make] of Object.entries(kinds)) {
  describe(kind, () => {
    for (const { name, run } of storageConformance(make)) it(name, run);
  });
}
