import { mkdtempSync, rmSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { fileStorage } from '../../src/index.ts';
import type { SnapshotDigest, SnapshotHead, ZnodeRecord } from '../../src/model/records.ts';
import { compareZxid, formatZxid, parseZxidHex, zxidHex } from '../../src/model/zxid.ts';
import { systemClock } from '../../src/node/system-clock.ts';
import type { Recovered, RecoverySink } from '../../src/seams/storage.ts';
import { StorageCalls, sampleEntry } from '../../src/testing/storage-kit.ts';
import type { LogEntry } from '../../src/zab/entry.ts';
import { DIRECTORIES, decodedLogs, decodedSnapshots, unpack, writeFiles } from './datadirs.ts';

const clock = systemClock();
const made: string[] = [];
afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true });
});

/** A data directory with the files of a packed one, but those that `drop` names. */
function directory(name: string, drop: (file: string) => boolean = () => false): string {
  const folder = mkdtempSync(join(tmpdir(), 'zab-zk-'));
  made.push(folder);
  writeFiles(folder, new Map([...unpack(name)].filter(([file]) => !drop(file.replace('version-2/', '')))));
  return folder;
}

class Collected implements RecoverySink {
  readonly zxids: string[] = [];
  readonly payloads: string[] = [];
  readonly paths: string[] = [];
  sessions = 0;
  begins: string[] = [];
  digest: SnapshotDigest | null | undefined;

  begin(zxid: Parameters<RecoverySink['begin']>[0], head: SnapshotHead): void {
    this.begins.push(formatZxid(zxid));
    this.paths.length = 0;
    this.sessions = head.sessions.length;
  }
  nodes(batch: readonly ZnodeRecord[]): void {
    for (const node of batch) this.paths.push(node.path);
  }
  end(digest: SnapshotDigest | null): void {
    this.digest = digest;
  }
  entry(entry: LogEntry): void {
    this.zxids.push(formatZxid(entry.zxid));
    this.payloads.push(Buffer.from(entry.bytes).toString('hex'));
  }
}

async function start(dataDir: string, serverId: number): Promise<{ calls: StorageCalls; found: Recovered; sink: Collected }> {
  const calls = new StorageCalls(fileStorage({ dataDir, preAllocSize: 65536 }), clock);
  await calls.open(serverId);
  const sink = new Collected();
  try {
    const found = await new Promise<Recovered>((resolve, reject) =>
      calls.storage.recover(sink, (error, value) => (error ? reject(error) : resolve(value as Recovered))),
    );
    return { calls, found, sink };
  } catch (error) {
    await calls.close();
    throw error;
  }
}

const serverOf = async (dataDir: string): Promise<number> => Number(await readFile(join(dataDir, 'myid'), 'utf8').catch(() => '1'));

/** All records of a directory, by the independent reader. */
const records = (name: string) =>
  decodedLogs(name)
    .flatMap(([, log]) => log.records)
    .map((record) => ({ zxid: record.decoded.hdr.zxid, hex: record.hex }))
    .sort((a, b) => Number(BigInt(a.zxid) - BigInt(b.zxid)));

/** Names of the snapshots that can be read, oldest first. */
const snapshots = (name: string): string[] =>
  decodedSnapshots(name)
    .map(([file]) => file)
    .filter((file) => !file.endsWith('.snappy'))
    .sort((a, b) => Number.parseInt(a.split('.')[1], 16) - Number.parseInt(b.split('.')[1], 16));

describe.each(DIRECTORIES)('the data directory %s', (name) => {
  const all = records(name);
  const epoch = Number(BigInt(all[0].zxid) >> 32n);

  it('opens: newest snapshot, then the records behind it', async () => {
    const dataDir = directory(name);
    const { calls, found, sink } = await start(dataDir, await serverOf(dataDir));
    const newest = snapshots(name).at(-1);
    const base = newest === undefined ? '0x0' : `0x${newest.split('.')[1]}`;
    const expected = all.filter((record) => BigInt(record.zxid) > BigInt(base));
    expect(sink.zxids).toEqual(expected.map((record) => record.zxid));
    expect(sink.payloads).toEqual(expected.map((record) => record.hex));
    expect(sink.begins).toEqual(newest === undefined ? [] : [base]);
    const decoded = new Map(decodedSnapshots(name)).get(newest ?? '');
    if (decoded?.nodes !== undefined) expect(sink.paths).toEqual(decoded.nodes.map((node) => node.path));
    expect(formatZxid(found.snapshotZxid)).toBe(base);
    expect(formatZxid(found.lastZxid)).toBe(all.at(-1)?.zxid);
    expect([found.acceptedEpoch, found.currentEpoch]).toEqual([epoch, epoch]);
    await calls.close();
  });

  it('continues: a restart finds what was appended, in a file of its own', async () => {
    const dataDir = directory(name);
    const server = await serverOf(dataDir);
    const { calls, found } = await start(dataDir, server);
    const next = found.lastZxid.low + 1;
    await calls.append(sampleEntry(epoch, next), sampleEntry(epoch, next + 1));
    await calls.close();
    const again = await start(dataDir, server);
    const added = [sampleEntry(epoch, next).zxid, sampleEntry(epoch, next + 1).zxid];
    expect(again.sink.zxids.slice(-2)).toEqual(added.map(formatZxid));
    expect(await readdir(join(dataDir, 'version-2'))).toContain(`log.${zxidHex(added[0])}`);
    await again.calls.close();
  });

  it('gives out any part of its log, and can be cut at any record that a snapshot stands before', async () => {
    const dataDir = directory(name);
    const { calls, found } = await start(dataDir, await serverOf(dataDir));
    const from = parseZxidHex(all[3].zxid.slice(2));
    if (from === undefined) throw new Error('bad vector');
    const read = await calls.readLog(from, found.lastZxid);
    expect(read.map((line) => line.split(' ')[0])).toEqual(all.slice(4).map((record) => record.zxid));
    const cut = all[10].zxid;
    await calls.truncate(parseZxidHex(cut.slice(2)) as typeof from);
    await calls.close();
    const after = await start(dataDir, await serverOf(dataDir));
    expect(formatZxid(after.found.lastZxid)).toBe(cut);
    expect(compareZxid(after.found.snapshotZxid, after.found.lastZxid)).toBeLessThanOrEqual(0);
    await after.calls.close();
  });
});

describe.each(DIRECTORIES.filter((name) => snapshots(name).length > 0))('damage in the data directory %s', (name) => {
  const all = records(name);

  it('opens with each older snapshot when the newer ones are bad (faults 2325, 3056)', async () => {
    const names = snapshots(name);
    for (let good = 0; good < names.length - 1; good++) {
      for (const how of ['cut', 'changed'] as const) {
        const bad = names.slice(good + 1);
        const dataDir = directory(name);
        const files = new Map<string, Buffer>();
        for (const file of bad) {
          const bytes = Buffer.from(await readFile(join(dataDir, 'version-2', file)));
          if (how === 'changed') bytes[bytes.length >> 1] ^= 0x40;
          files.set(`version-2/${file}`, how === 'cut' ? bytes.subarray(0, bytes.length - 40) : bytes);
        }
        writeFiles(dataDir, files);
        const { calls, found, sink } = await start(dataDir, await serverOf(dataDir));
        const base = `0x${names[good].split('.')[1]}`;
        expect(formatZxid(found.snapshotZxid)).toBe(base);
        expect(sink.zxids).toEqual(all.filter((record) => BigInt(record.zxid) > BigInt(base)).map((record) => record.zxid));
        await calls.close();
      }
    }
  });
});

describe.each(DIRECTORIES)('the log of %s alone', (name) => {
  const all = records(name);

  it('is rebuilt from its complete log when all snapshots are lost, and refused when the first log is lost too', async () => {
    const dataDir = directory(name, (file) => file.startsWith('snapshot'));
    const { calls, sink } = await start(dataDir, await serverOf(dataDir));
    expect(sink.zxids).toEqual(all.map((record) => record.zxid));
    expect(sink.begins).toEqual([]);
    await calls.close();
    const first = decodedLogs(name)
      .map(([file]) => file)
      .sort((a, b) => Number.parseInt(a.slice(4), 16) - Number.parseInt(b.slice(4), 16))[0];
    const blank = directory(name, (file) => file.startsWith('snapshot') || file === first);
    await expect(start(blank, await serverOf(blank))).rejects.toThrow(/no snapshot|no usable snapshot/);
  });
});

it('a snapshot in snappy is passed over if the log leads past it, and named if not', async () => {
  const name = 'standalone-snappy';
  const blank = directory(name, (file) => file === 'log.1');
  await expect(start(blank, 1)).rejects.toThrow(/snappy/);
});

it('a directory of another server is refused', async () => {
  const dataDir = directory('quorum-leader');
  const own = await serverOf(dataDir);
  await expect(start(dataDir, own + 1)).rejects.toThrow(new RegExp(`myid.*server ${own}`));
});
