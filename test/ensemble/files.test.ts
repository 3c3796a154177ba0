import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { EnsembleNode } from '../../src/index.ts';
import { eventually, failureOf, within } from './client.ts';
import { DiskRig, type DiskRigOptions } from './disk-rig.ts';

let rig: DiskRig;
afterEach(() => rig?.close());

async function ensemble(options: Partial<DiskRigOptions> = {}): Promise<DiskRig> {
  rig = await DiskRig.create({ voters: 3, tickTime: 100, ...options });
  await rig.startAll();
  return rig;
}

/** How the leader brought a server up to date since the log was last cleared, in order. */
const plans = (id: number): string[] =>
  rig.log.flatMap((line) => (line.includes(` server ${id} at `) ? (/gets ([A-Z]+)/.exec(line)?.slice(1) ?? []) : []));

async function write(node: EnsembleNode, name: string, count: number): Promise<void> {
  const session = await node.openSession();
  await within(`${count} writes`, Promise.all(Array.from({ length: count }, (_, k) => session.create(`/${name}-${k}`, `${k}`))));
  await session.close();
}

const files = async (id: number, prefix: string): Promise<string[]> =>
  (await readdir(join(rig.dataDir(id), 'version-2'))).filter((name) => name.startsWith(prefix)).sort();

test('writes through each server, snapshots and purges; all of it is there after all were stopped', async () => {
  const { nodes } = await ensemble({ snapCount: 60 });
  const writers = [1, 2, 3].map((id) => rig.writer(id));
  await rig.progress(writers, 1500);
  await rig.verify(writers);
  for (const id of [1, 2, 3]) {
    await eventually(`server ${id} has purged`, async () => {
      const snapshots = await files(id, 'snapshot.');
      const logs = await files(id, 'log.');
      return snapshots.length === 3 && logs.length <= 6 && !logs.includes('log.100000001');
    });
  }
  await rig.stopAll();
  expect(nodes.size).toBe(0);
  await rig.startAll();
  await rig.verify(writers.map((writer) => Object.assign(writer, { stop: async () => {} })));
  const more = [1, 2, 3].map((id) => rig.writer(id, 4, `more${id}`));
  await rig.progress(more, 30);
  await rig.verify(more);
});

test('with an infinite snapRetainCount nothing is purged', async () => {
  await ensemble({ snapCount: 20, snapRetainCount: Number.POSITIVE_INFINITY });
  let rounds = 0;
  await eventually('more snapshots than are kept by default', async () => {
    await write(rig.node(1), `round${rounds++}`, 30);
    return (await files(1, 'snapshot.')).length > 5;
  });
  expect(await files(1, 'log.')).toContain('log.100000001');
  expect(rig.log.filter((line) => line.includes('purging'))).toEqual([]);
});

test('a server comes back without its data: by a snapshot, which is on its disk afterwards', async () => {
  await ensemble({ commitLogCount: 50 });
  const { others } = await rig.roles();
  const { id } = others[0];
  await write(rig.node(id), 'a', 100);
  await rig.stop(id);
  await rig.wipe(id);
  rig.log.length = 0;
  await rig.start(id);
  await write(rig.node(id), 'b', 10);
  await rig.verify([]);
  expect(plans(id)).toEqual(['SNAP']);
  await rig.stopAll();
  await rig.startAll();
  await rig.verify([]);
  expect(rig.node(id).tree.exists('/a-99')).toBeDefined();
  expect(rig.node(id).tree.exists('/b-9')).toBeDefined();
});

test('a server comes back further behind than memory reaches: by a DIFF from the log on disk', async () => {
  await ensemble({ commitLogCount: 50 });
  const { leader, others } = await rig.roles();
  const { id } = others[0];
  await write(rig.node(id), 'a', 20);
  await rig.stop(id);
  await write(leader, 'b', 300);
  rig.log.length = 0;
  await rig.start(id);
  await rig.verify([]);
  expect(plans(id)).toEqual(['DISK']);
  expect(rig.log.join('\n')).not.toContain('the snapshot will');
  expect(rig.node(id).tree.exists('/b-299')).toBeDefined();
});

test.each([
  ['role', 'TRUNC'],
  ['role', 'SNAP'],
  ['process', 'TRUNC'],
  ['process', 'SNAP'],
] as const)('a server comes back with a tail that nobody committed, after a restart of the %s: by a %s', async (restart, plan) => {
  await ensemble({ wire: 'memory', maxSessionTimeout: 60_000 });
  const { leader, others } = await rig.roles();
  await write(leader, 'a', 50);
  await rig.converge();
  const session = await leader.openSession({ timeout: 60_000 });
  const lost = Array.from({ length: 20 }, (_, k) => failureOf(session.create(`/lost-${k}`)));
  rig.network.isolate(leader.id);
  for (const { outcome } of await Promise.all(lost)) expect(outcome).toBe('unknown');
  expect(leader.serving).toBe(false);
  const [log] = (await files(leader.id, 'log.')).slice(-1);
  await eventually('the tail is on disk', async () =>
    (await readFile(join(rig.dataDir(leader.id), 'version-2', log))).includes('/lost-19'),
  );
  if (restart === 'process') await rig.stop(leader.id);
  await eventually('another leader', () => others.every((node) => node.serving && node.leaderId !== leader.id));
  // With anything committed since, the old leader's log ends at no point of the new leader's history.
  if (plan === 'SNAP') await write(rig.node(others[0].id), 'b', 20);
  rig.log.length = 0;
  rig.network.heal();
  if (restart === 'process') await rig.start(leader.id);
  await rig.roles();
  expect(plans(leader.id)).toEqual([plan]);
  if (plan === 'TRUNC') await write(rig.node(others[0].id), 'b', 20);
  await rig.verify([]);
  await write(rig.node(leader.id), 'c', 20);
  // What each has on its disk is the same as well.
  await rig.stopAll();
  await rig.startAll();
  await rig.verify([]);
  const names = rig.node(leader.id).tree.getChildren('/') ?? [];
  expect(names.filter((name) => name.startsWith('lost'))).toEqual([]);
  for (const [name, count] of [
    ['a', 50],
    ['b', 20],
    ['c', 20],
  ] as const)
    expect(names.filter((other) => other.startsWith(`${name}-`)).length, name).toBe(count);
});
