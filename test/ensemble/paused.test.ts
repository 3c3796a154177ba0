import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loopbackServers } from '../../examples/support/ports.ts';
import { Child } from '../../examples/support/processes.ts';
import type { ReplicaHandlers } from './children/replica.ts';
import { eventually, within } from './client.ts';

/* A process that stands still for longer than syncLimit, and then goes on as if nothing had happened: in the middle of its turn, with full socket buffers. */

let folder: string;
let replicas: Map<number, Child<ReplicaHandlers>>;

const TICK = 100;
const SYNC_TIME = 5 * TICK;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zab-paused-'));
  const servers = await loopbackServers(3);
  replicas = new Map(
    servers.map(({ id }) => [
      id,
      new Child<ReplicaHandlers>(`replica ${id}`, new URL('./children/replica.ts', import.meta.url), ['--import', 'tsx']),
    ]),
  );
  const starts = [...replicas].map(([id, child]) =>
    child.call('start', { id, servers, dataDir: join(folder, String(id)), tickTime: TICK }),
  );
  await within('all processes serve', Promise.all(starts), 60_000);
}, 70_000);
afterEach(async () => {
  await Promise.all([...replicas.values()].map((child) => child.kill()));
  await rm(folder, { recursive: true, force: true });
});

const child = (id: number) => replicas.get(id) as Child<ReplicaHandlers>;
const ids = [1, 2, 3];

async function written(of: readonly number[]): Promise<number> {
  const all = await Promise.all(of.map((id) => child(id).call('status', undefined)));
  return all.reduce((n, status) => n + status.written, 0);
}

async function progress(of: readonly number[], count: number): Promise<void> {
  const wanted = (await written(of)) + count;
  await eventually(`${count} more writes`, async () => (await written(of)) >= wanted, 60_000);
}

test.each(['follower', 'leader'] as const)(
  'a %s that is stopped past syncLimit and goes on: nothing is lost, it joins again',
  { timeout: 150_000 },
  async (role) => {
    const { leaderId, epoch } = await child(1).call('status', undefined);
    const paused = role === 'leader' ? (leaderId as number) : (ids.find((id) => id !== leaderId) as number);
    const others = ids.filter((id) => id !== paused);
    for (const id of ids) await child(id).call('write', { name: `w${id}`, width: 8 });
    await progress(ids, 300);
    for (let turn = 0; turn < 2; turn++) {
      process.kill(child(paused).pid, 'SIGSTOP');
      const begin = performance.now();
      try {
        await progress(others, 300);
        await eventually('it was away for long enough', () => performance.now() > begin + 2 * SYNC_TIME);
      } finally {
        process.kill(child(paused).pid, 'SIGCONT');
      }
      await eventually(
        'it serves again, with the others',
        async () => {
          const all = await Promise.all(ids.map((id) => child(id).call('status', undefined)));
          return all.every((status) => status.serving && status.leaderId === all[0].leaderId && status.epoch === all[0].epoch);
        },
        60_000,
      );
      await progress([paused], 50);
    }
    const acknowledged = (await Promise.all(ids.map((id) => child(id).call('written', undefined)))).flat();
    for (const id of ids) await within(`replica ${id} synchronises`, child(id).call('sync', undefined));
    const trees = await Promise.all(ids.map((id) => child(id).call('tree', undefined)));
    expect(trees[1]).toEqual(trees[0]);
    expect(trees[2]).toEqual(trees[0]);
    const czxids = new Map(
      trees[0]
        .map((line) => JSON.parse(line) as [string, string, { czxid: { low: number; high: number } }])
        .map(([path, , { czxid }]) => [path, czxid]),
    );
    expect(acknowledged.length).toBeGreaterThan(600);
    for (const [path, czxid] of acknowledged) {
      const there = czxids.get(path);
      expect(there && ((BigInt(there.high >>> 0) << 32n) | BigInt(there.low >>> 0)).toString(), path).toBe(czxid);
    }
    const { epoch: after } = await child(1).call('status', undefined);
    if (role === 'leader') expect(after).toBeGreaterThan(epoch);
  },
);
