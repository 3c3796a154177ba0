import { expect, test } from 'vitest';
import type { Stat, ZnodeRecord } from '../../src/model/records.ts';
import { compareZxid } from '../../src/model/zxid.ts';
import type { Session } from '../../src/node/api.ts';
import { compareTrees } from '../../src/testing/checks/compare.ts';
import type { RecoveredDisk } from '../../src/testing/disk-check.ts';
import { finale } from '../../src/testing/finale.ts';
import type { Simulation } from '../../src/testing/simulation.ts';
import { Packet } from '../../src/zab/messages.ts';
import { bring, create, files, level, onDisk, stage } from './kit.ts';
import type { Seen } from './seen.ts';

/*
 * A snapshot is walked while transactions go on, the newest znodes first: the filler below lies between `/late`, which the walk meets at its end, and `/early`. So what is
 * done in the middle of the walk is in the snapshot below `/late`, and is not below `/early`.
 */
const FILLER = 150;
/** More of them than fit into one piece of a snapshot file, which has 256 KB. */
const DATA = 'x'.repeat(3000);

/** Children of the filler that `between` makes are met behind all others. */
async function fill(session: Session, between: () => Promise<void>): Promise<void> {
  await create(session, '/late', '/filler', '/early');
  await between();
  const creates = Array.from({ length: FILLER }, (_, k) => ({ type: 'create' as const, path: `/filler/${k}`, data: DATA }));
  await session.multi(creates);
}

interface Saving {
  readonly sim: Simulation;
  readonly seen: Seen;
  /** At server 3, which leads. */
  readonly session: Session;
}

/**
 * Lets `during` run while server 2 is in the middle of writing a snapshot, and takes its power away as soon as the snapshot has its name. What its disk has then: `raw` is the snapshot alone.
 */
async function fuzzy(seed: number, before: (s: Saving) => Promise<void>, during: (s: Saving) => Promise<void>) {
  const { sim, seen } = stage({ seed, ensemble: { snapCount: 20 } });
  await bring(sim, 1, 2, 3);
  const saving: Saving = { sim, seen, session: await sim.openSession(3) };
  await fill(saving.session, () => before(saving));
  await level(sim, 3, 1, 2);
  const disk = sim.disk(2);
  disk.latency = { cached: [50, 60], durable: [0.1, 0.2] };
  let begun = false;
  const forget = disk.onStep((line) => void (begun ||= /^create .*\/tmp\./.test(line)));
  while (!begun) await saving.session.setData('/filler', 'again');
  forget();
  const written = seen.count('2 did snapshotWritten');
  await during(saving);
  await level(sim, 3, 2);
  expect(seen.count('2 did snapshotWritten'), 'the snapshot was over too early').toBe(written);
  await sim.until(() => seen.count('2 did snapshotWritten') > written);
  sim.crash(2, { power: true, remains: 'nothing' });
  expect(files(sim, 2).some((name) => name.startsWith('tmp.'))).toBe(false);
  const found: RecoveredDisk = onDisk(sim, 2);
  return { ...saving, found, raw: found.treeAt(found.found.snapshotZxid) };
}

const statOf = (stat: Stat | undefined): unknown => JSON.parse(JSON.stringify(stat ?? null));

test('ZOOKEEPER-3127: a snapshot that holds the second half of a multi and not the first does not cover the multi', async () => {
  const { sim, found, raw } = await fuzzy(
    3127,
    async () => {},
    async ({ session }) => {
      await session.multi([
        { type: 'setData', path: '/early', data: 'multi' },
        { type: 'setData', path: '/late', data: 'multi' },
      ]);
    },
  );
  const { mzxid } = sim.treeOf(3).exists('/early')!;
  // Reached: half of it is in the snapshot.
  expect(raw.exists('/late')!.mzxid.equals(mzxid)).toBe(true);
  expect(raw.exists('/early')!.mzxid.equals(mzxid)).toBe(false);
  expect(compareZxid(found.found.snapshotZxid, mzxid)).toBeLessThan(0);
  // The log has it as well, so a restart finds all of it.
  expect(found.entries.some((entry) => entry.zxid.equals(mzxid))).toBe(true);
  for (const path of ['/early', '/late']) expect(statOf(found.tree.exists(path))).toEqual(statOf(sim.treeOf(3).exists(path)));
  sim.restart(2);
  await finale(sim);
});

test('ZOOKEEPER-3144: sessions that begin and end while a snapshot is written, and their ephemerals, are whole after a restart', async () => {
  let ending!: Session;
  let beginning!: Session;
  const { sim, found, raw } = await fuzzy(
    3144,
    async ({ sim }) => {
      ending = await sim.openSession(1);
      await ending.create('/late/ending', null, { mode: 'ephemeral' });
      await ending.create('/early/ending', null, { mode: 'ephemeral' });
    },
    async ({ sim }) => {
      await ending.close();
      beginning = await sim.openSession(1);
      await beginning.create('/late/beginning', null, { mode: 'ephemeral' });
      await beginning.create('/early/beginning', null, { mode: 'ephemeral' });
    },
  );
  // Reached: the sessions are as they were at the beginning of the walk, their znodes partly so.
  expect([raw.sessions.has(ending.id), raw.sessions.has(beginning.id)]).toEqual([true, false]);
  expect(['/early/ending', '/late/ending', '/early/beginning', '/late/beginning'].map((path) => raw.exists(path) !== undefined)).toEqual([
    true,
    false,
    false,
    true,
  ]);
  // The log behind it makes that good.
  expect([found.tree.sessions.has(ending.id), found.tree.sessions.has(beginning.id)]).toEqual([false, true]);
  expect(found.tree.getChildren('/early')).toEqual(['beginning']);
  expect(found.tree.getChildren('/late')).toEqual(['beginning']);
  sim.restart(2);
  await finale(sim);
  // The restarted server leads with what it found: the session lives on, and ends with its process.
  sim.crash(3);
  await sim.until(() => sim.leader === 2 && sim.serves(1, 2));
  await sim.advance(2 * beginning.timeout);
  expect(sim.treeOf(2).getChildren('/early')).toEqual(['beginning']);
  sim.restart(3);
  await sim.settled();
  sim.crash(1);
  await sim.advance(2 * beginning.timeout);
  for (const id of [2, 3]) for (const path of ['/early', '/late']) expect(sim.treeOf(id).getChildren(path), path).toEqual([]);
  sim.restart(1);
  await finale(sim);
});

test('ZOOKEEPER-3145, 3249: replay over a fuzzy snapshot counts no child twice and takes no pzxid back', async () => {
  let owner!: Session;
  const { sim, found, raw } = await fuzzy(
    3145,
    async ({ sim, session }) => {
      owner = await sim.openSession(1);
      for (const parent of ['/early', '/late', '/filler']) {
        await session.create(`${parent}/gone`);
        await owner.create(`${parent}/ephemeral`, null, { mode: 'ephemeral' });
      }
    },
    async ({ session }) => {
      for (const parent of ['/early', '/late']) {
        for (let k = 0; k < 3; k++) await session.create(`${parent}/n-`, null, { mode: 'persistentSequential' });
        await session.delete(`${parent}/gone`);
      }
      await session.delete('/filler/gone');
      await owner.close();
    },
  );
  // Reached: one parent is in the snapshot as it became, with its children gone and new, the other as it was.
  const live = sim.treeOf(3);
  expect([raw.exists('/late')!.numChildren, raw.exists('/early')!.numChildren]).toEqual([3, 2]);
  expect(raw.exists('/late')!.pzxid.equals(live.exists('/late')!.pzxid)).toBe(true);
  // And one parent is there as it was, without the children that went meanwhile.
  expect(raw.exists('/filler')!.pzxid.equals(live.exists('/filler')!.pzxid)).toBe(false);
  expect([raw.exists('/filler/gone'), raw.exists('/filler/ephemeral')]).toEqual([undefined, undefined]);
  for (const path of ['/early', '/late', '/filler']) expect(statOf(found.tree.exists(path)), path).toEqual(statOf(live.exists(path)));
  // 5 creations and 2 deletions.
  expect(live.exists('/late')!.cversion).toBe(7);
  sim.restart(2);
  await finale(sim);
  // Names go on behind those that were given, with the restarted server as the leader.
  sim.crash(3);
  await sim.until(() => sim.leader === 2 && sim.serves(1, 2));
  const session = await sim.openSession(2);
  for (const parent of ['/early', '/late']) {
    const before = sim.treeOf(2).getChildren(parent)!;
    expect(before.map((name) => name.slice(-1)).sort()).toEqual(['2', '3', '4']);
    expect((await session.create(`${parent}/n-`, null, { mode: 'persistentSequential' })).path).toBe(`${parent}/n-0000000005`);
  }
  sim.restart(3);
  await finale(sim);
});

/** What the leader's stream to a server holds beyond the zxid that its SNAP names: paths. */
function beyondSnap(sim: Simulation, learner: number): { zxid: bigint; paths: string[]; ended: boolean } {
  const stream = { zxid: -1n, paths: [] as string[], ended: false };
  const asNumber = (node: ZnodeRecord['mzxid']): bigint => BigInt(node.toString());
  sim.filterSends((_from, to, message) => {
    if (to !== learner) return true;
    if (message.type === Packet.SNAP) stream.zxid = asNumber(message.zxid);
    if (message.type === Packet.SNAPSHOT_END) stream.ended = true;
    if (message.type === Packet.SNAPSHOT_NODES)
      stream.paths.push(...message.nodes.filter((node) => asNumber(node.mzxid) > stream.zxid).map((node) => node.path));
    return true;
  });
  return stream;
}

test('ZOOKEEPER-3104: the snapshot of a learner that joins under writes stands under a zxid that covers all that is in it', async () => {
  const { sim, seen } = stage({ seed: 3104, ensemble: { commitLogCount: 1 } });
  await bring(sim, 2, 3);
  const session = await sim.openSession(3);
  await create(session, '/late');
  // As many as are sent in one go, so that the rest waits for the learner.
  const size = 2500;
  for (let n = 0; n < 500; n += 250)
    await session.multi(Array.from({ length: 250 }, (_, k) => ({ type: 'create' as const, path: `/f${n + k}`, data: 'x'.repeat(size) })));
  await create(session, '/early');
  const stream = beyondSnap(sim, 1);
  sim.network.slow(3, 1, { bytesPerMs: 10_000 });
  sim.restart(1);
  await sim.until(() => seen.has('3>1 SNAPSHOT_NODES'));
  await session.multi([
    { type: 'setData', path: '/late', data: 'multi' },
    { type: 'setData', path: '/early', data: 'multi' },
    { type: 'create', path: '/new' },
  ]);
  expect(stream.ended).toBe(false);
  await sim.until(() => seen.has('1 has installed'));
  sim.crash(1, { power: true, remains: 'nothing' });
  // Reached: the stream had a part of what was committed behind the zxid of SNAP.
  expect(stream.paths).toEqual(['/late']);
  seen.inOrder(['3>1 SNAP ', '3 applies', '3>1 SNAPSHOT_END', '3>1 PROPOSAL', '3>1 NEWLEADER', '1 has installed']);

  const { tree, found } = onDisk(sim, 1);
  const { mzxid } = sim.treeOf(3).exists('/late')!;
  expect(compareZxid(found.snapshotZxid, mzxid)).toBeGreaterThanOrEqual(0);
  expect(tree.exists('/early')!.mzxid.equals(mzxid)).toBe(true);
  expect(compareTrees(tree, onDisk(sim, 3).treeAt(found.lastZxid))).toBeNull();
  sim.filterSends(null);
  sim.network.heal();
  sim.restart(1);
  await finale(sim);
});
