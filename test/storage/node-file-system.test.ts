import fs from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { nodeFileSystem } from '../../src/storage/node-file-system.ts';

let folder: string;
const synced: string[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zab-fs-'));
  synced.length = 0;
  const { fsync } = fs;
  vi.spyOn(fs, 'fsync').mockImplementation((fd, done) => {
    synced.push(relative(folder, fs.readlinkSync(`/proc/self/fd/${fd}`)));
    fsync(fd, done);
  });
  syncBuiltinESMExports();
});

afterEach(async () => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
  await rm(folder, { recursive: true });
});

const mkdir = (path: string): Promise<unknown> => new Promise((resolve) => nodeFileSystem().mkdir(path, resolve));

it.runIf(process.platform === 'linux')('makes folders durable, each in the one above it', async () => {
  expect(await mkdir(join(folder, 'a'))).toBeNull();
  expect(synced).toEqual(['']);
  expect(await mkdir(relative(process.cwd(), join(folder, 'a/b/c/d')))).toBeNull();
  expect(synced.slice(1)).toEqual(['a/b/c', 'a/b', 'a']);
  expect(await mkdir(join(folder, 'a/b'))).toBeNull();
  expect(synced.length).toBe(4);
  fs.writeFileSync(join(folder, 'file'), '');
  expect(await mkdir(join(folder, 'file/x'))).toMatchObject({ code: 'ENOTDIR' });
});
