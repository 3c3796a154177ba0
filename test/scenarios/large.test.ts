import { expect, test } from 'vitest';
import type { MultiOperation, Session } from '../../src/node/api.ts';
import { finale } from '../../src/testing/finale.ts';
import { Blind } from '../../src/testing/probe.ts';
import type { Simulation } from '../../src/testing/simulation.ts';
import type { LogEntry } from '../../src/zab/entry.ts';
import type { QuorumMessage } from '../../src/zab/messages.ts';
import { bring, create, level, linesOf, names, onDisk, stage } from './kit.ts';

/** How large what the servers log and send becomes, bytes. */
class Sizes extends Blind {
  logged = 0;
  asked = 0;

  constructor(sim: Simulation) {
    super();
    sim.addProbe(this);
  }
  override appending(_server: number, entries: readonly LogEntry[]): void {
    for (const { bytes } of entries) this.logged = Math.max(this.logged, bytes.length);
  }
  override received(_from: number, _to: number, _link: number, message: QuorumMessage): void {
    if ('request' in message) this.asked = Math.max(this.asked, message.request.body?.length ?? 0);
  }
}

const creates = (
  count: number,
  name: (i: number) => string,
  more: { data?: string; mode?: 'ephemeral' | 'persistentSequential' } = {},
): MultiOperation[] => Array.from({ length: count }, (_, i) => ({ type: 'create', path: name(i), data: more.data, mode: more.mode }));

/** A tree of 2 MB: more than any buffer between leader and learner takes. */
async function bigTree(session: Session): Promise<void> {
  await session.create('/big', null);
  for (let part = 0; part < 4; part++) await session.multi(creates(500, (i) => `/big/${part}-${i}`, { data: 'x'.repeat(1000) }));
}

test('ZOOKEEPER-3531: a learner that does not read its snapshot holds up neither writes nor another learner', async () => {
  const { sim, seen } = stage({ seed: 3531, servers: 3, observers: 2, logSizeLimit: 1 << 22, ensemble: { commitLogCount: 1 } });
  await bring(sim, 2, 3);
  const session = await sim.openSession(3);
  await bigTree(session);
  sim.network.slowReader(1, 0.01);
  sim.restart(1);
  await sim.until(() => seen.has('3>1 SNAP '));
  await sim.advance(1000);
  const sent = seen.count(/^3>1 SNAPSHOT_NODES/);
  expect(sent).toBeGreaterThan(0);
  // Reached: the tree is being written out to it, and stands in the middle.
  await sim.advance(1000);
  expect(seen.count(/^3>1 SNAPSHOT_NODES/)).toBe(sent);
  expect(seen.has('3>1 SNAPSHOT_END')).toBe(false);

  const stream = seen.lines.length;
  const other = await sim.openSession(2);
  let longest = 0;
  for (let i = 0; i < 50; i++) {
    const began = sim.now;
    await create(i % 2 === 0 ? session : other, `/w${i}`);
    longest = Math.max(longest, sim.now - began);
  }
  expect(longest).toBeLessThan(30);
  const joins = sim.now;
  await bring(sim, 4);
  expect(sim.now - joins).toBeLessThan(2000);
  expect([seen.has('4<3 SNAP'), seen.has('3>1 SNAPSHOT_END')]).toEqual([true, false]);
  // Who reads nothing for initLimit is given up, and may try again.
  await sim.until(() => linesOf(seen, /^3 did quorumLinkLost|^1>3 FOLLOWERINFO/, stream).length > 0, 200_000);
  expect(sim.leader).toBe(3);
  sim.network.slowReader(1, null);
  sim.restart(5);
  await finale(sim);
  expect(names(sim, 1)).toHaveLength(51);
});

test('ZOOKEEPER-3496, 4306: the end of a session with more ephemerals than a request may have bytes is a transaction that all can take', async () => {
  // A request may have 4 KB, and nobody takes more than twice that and 64 KB of another server but a learner of its leader.
  const { sim, seen } = stage({ seed: 4306, ensemble: { maxRequestBytes: 4096, commitLogCount: 1 } });
  const sizes = new Sizes(sim);
  await bring(sim, 2, 3);
  const session = await sim.openSession(2, { timeout: 4000 });
  const PATHS = 3000;
  for (let from = 0; from < PATHS; from += 30)
    await session.multi(creates(30, (i) => `/ephemeral-${String(from + i).padStart(40, '0')}`, { mode: 'ephemeral' }));
  await create(await sim.openSession(3), '/stays');
  expect(PATHS * 50).toBeGreaterThan(2 * 4096 + 65536);
  expect(sim.treeOf(3).getEphemerals(session.id)).toHaveLength(PATHS);
  await level(sim, 3, 2);
  sim.crash(2);
  await bring(sim, 2);
  await sim.until(() => seen.has(/^2 applies .* closeSession/));
  expect(names(sim, 2)).toEqual(['stays']);
  // It is in every log, and a restart of all and a server that gets all of it come to the same.
  for (const id of [2, 3]) sim.crash(id, { power: true });
  await bring(sim, 1, 2, 3);
  await finale(sim);
  for (const id of sim.servers) {
    expect(names(sim, id)).toEqual(['stays']);
    expect(sim.treeOf(id).orphanedSessions()).toEqual([]);
  }
  expect(sizes.logged).toBeLessThan(2 * 4096 + 65536);
});

test('ZOOKEEPER-706, 3496: the largest multi is logged as more bytes than it was asked with, and is replayed and sent on all the same', async () => {
  const MAX = 8192;
  const { sim } = stage({ seed: 706, ensemble: { maxRequestBytes: MAX, commitLogCount: 1 } });
  const sizes = new Sizes(sim);
  await bring(sim, 2, 3);
  const session = await sim.openSession(2);
  // Sequential names become longer on the way, so that what is logged is more than what was asked for.
  const fits = (count: number): MultiOperation[] => creates(count, () => '/s', { mode: 'persistentSequential' });
  const refused = (operations: MultiOperation[]): Promise<string> =>
    session.multi(operations).then(
      () => '',
      (error: { code: string; message: string }) => `${error.code} ${error.message}`,
    );
  let count = 300;
  while (count > 100 && (await refused(fits(count))) !== '') count--;
  expect(await refused(fits(count + 1))).toMatch(/^BAD_ARGUMENTS .*maxRequestBytes/);
  expect(sizes.asked).toBeGreaterThan(MAX - 100);
  expect(sizes.logged).toBeGreaterThan(MAX);
  await level(sim, 3, 2);
  const before = names(sim, 3).length;
  for (const id of [2, 3]) sim.crash(id, { power: true });
  await bring(sim, 2, 3);
  expect(onDisk(sim, 3).tree.getChildren('/')).toHaveLength(before + 1);
  await bring(sim, 1);
  await finale(sim);
  expect(names(sim, 1)).toHaveLength(before);
});

test('ZOOKEEPER-706: watches of any number outlive a change of leader, and nothing about them travels', async () => {
  const { sim } = stage({ seed: 7060, ensemble: { maxRequestBytes: 1024 } });
  const sizes = new Sizes(sim);
  await bring(sim, 1, 2, 3);
  const session = await sim.openSession(1);
  const fired: string[] = [];
  const path = (i: number): string => `/watched-${'p'.repeat(60)}-${i}`;
  for (let i = 0; i < 2000; i++) await session.exists(path(i), { watch: (event) => void fired.push(event.path) });
  sim.crash(3);
  await sim.until(() => sim.leader === 2 && session.state === 'connected');
  const other = await sim.openSession(2);
  for (const i of [0, 777, 1999]) await create(other, path(i));
  await level(sim, 2, 1);
  expect(fired).toEqual([0, 777, 1999].map(path));
  expect(sizes.asked).toBeLessThan(1024);
  sim.restart(3);
  await finale(sim);
});
