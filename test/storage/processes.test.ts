import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileStorage } from '../../src/index.ts';
import { systemClock } from '../../src/node/system-clock.ts';
import { nodeFileSystem } from '../../src/storage/node-file-system.ts';
import { StorageCalls, sampleEntry, showEntry } from '../../src/testing/storage-kit.ts';

const clock = systemClock();
let dataDir = '';
const children: ChildProcess[] = [];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'zab-kill-'));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(dataDir, { recursive: true });
});

const storage = () => new StorageCalls(fileStorage({ dataDir }), clock);

/** A process that appends; resolves with the highest counter it has reported after `lines` lines, when it is dead. */
async function appendAndKill(lines: number): Promise<{ started: number; durable: number }> {
  const program = fileURLToPath(new URL('./appender.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', program, dataDir], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  let started = -1;
  let durable = 0;
  let left = lines;
  const exit = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout as NonNullable<typeof child.stdout> })) {
    const [what, counter] = line.split(' ');
    if (what === 'start') started = Number(counter);
    else durable = Math.max(durable, Number(counter));
    if (--left === 0) child.kill('SIGKILL');
  }
  await exit;
  return { started, durable };
}

it('kill -9 at any moment loses nothing that was reported durable, and leaves no lock in the way', async () => {
  let durable = 0;
  for (const lines of [1, 37, 150, 500, 1111]) {
    const run = await appendAndKill(lines);
    expect(run.started).toBeGreaterThanOrEqual(durable);
    durable = Math.max(durable, run.durable);
  }
  const calls = storage();
  await calls.open();
  const found = await calls.recover();
  expect(found.lastZxid.low).toBeGreaterThanOrEqual(durable);
  const first = found.snapshotZxid.low + 1;
  expect(found.entries).toEqual(found.entries.map((_, i) => showEntry(sampleEntry(1, first + i))));
  expect(found.lastZxid.low).toBe(found.snapshotZxid.low + found.entries.length);
  await calls.close();
});

describe('the lock of a data directory', () => {
  it('keeps out a second store of the same process, until the first is closed', async () => {
    const [one, two] = [storage(), storage()];
    await one.open();
    await expect(two.open()).rejects.toThrow(new RegExp(`in use by process ${process.pid}`));
    await one.close();
    await two.open();
    await two.close();
    expect(readdirSync(dataDir).sort()).toEqual(['myid', 'version-2']);
  });

  it('keeps out another process, until that is killed', async () => {
    const program = fileURLToPath(new URL('./appender.ts', import.meta.url));
    const child = spawn(process.execPath, ['--import', 'tsx', program, dataDir], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    await once(child.stdout, 'data');
    await expect(storage().open()).rejects.toThrow(new RegExp(`in use by process ${child.pid}`));
    child.kill('SIGKILL');
    await once(child, 'exit');
    const calls = storage();
    await calls.open();
    await calls.close();
  });

  it('of a process that is gone does not count, nor one whose number another process has now', async () => {
    const path = join(dataDir, 'zab-ensemble.lock');
    const unlock = await new Promise<(done: (error: Error | null) => void) => void>((resolve, reject) =>
      nodeFileSystem().lock(path, (error, value) => (value === undefined ? reject(error) : resolve(value))),
    );
    const [name] = readdirSync(dataDir);
    await expect(storage().open()).rejects.toThrow(/in use/);
    await new Promise<void>((resolve) => unlock(() => resolve()));
    const [pid, started, boot, chance] = name.slice('zab-ensemble.lock.'.length).split('.');
    const stale = [
      `${pid}.${Number(started) + 1}.${boot}`,
      `${pid}.${started}.00-another-boot`.replace(/[^\d.a-f-]/g, '0'),
      `999999999.1.${boot}`,
    ];
    for (const holder of stale) writeFileSync(`${path}.${holder}.${chance}`, '');
    const calls = storage();
    await calls.open();
    await calls.close();
    expect(readdirSync(dataDir).sort()).toEqual(['myid', 'version-2']);
    writeFileSync(`${path}.${pid}.${started}.${boot}.${chance}`, '');
    await expect(storage().open()).rejects.toThrow(/in use/);
  });

  it('never goes to two, however many want it at the same time', async () => {
    for (let round = 0; round < 20; round++) {
      writeFileSync(join(dataDir, 'zab-ensemble.lock.999999999.1.0.aa'), '');
      const stores = Array.from({ length: 6 }, storage);
      const outcomes = await Promise.allSettled(stores.map((calls) => calls.open()));
      expect(outcomes.filter((outcome) => outcome.status === 'fulfilled').length).toBeLessThan(2);
      await Promise.all(stores.map((calls) => calls.close()));
    }
    const calls = storage();
    await calls.open();
    await calls.close();
  });
});

it('errors of the real file system name the operation and the path', async () => {
  writeFileSync(join(dataDir, 'version-2'), 'a file where a folder should be');
  await expect(storage().open()).rejects.toThrow(/version-2: .*(?:EEXIST|ENOTDIR)/);
});
