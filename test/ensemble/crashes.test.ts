import { afterEach, expect, test } from 'vitest';
import { within } from './client.ts';
import { DiskRig } from './disk-rig.ts';

const TICK = 100;
/** Ticks; far longer than an election on a busy machine, which must not cost as much. */
const INIT_LIMIT = 50;

let rig: DiskRig;
afterEach(() => rig?.close());

test.each(['fast', 'basic'] as const)('leaders come and go over TCP and files, %s election', async (election) => {
  rig = await DiskRig.create({
    voters: 3,
    observers: 1,
    election,
    tickTime: TICK,
    initLimit: INIT_LIMIT,
    snapCount: 500,
    commitLogCount: 200,
  });
  await rig.startAll();
  const writers = rig.servers.map((s) => rig.writer(s.id, 4));
  const outages: number[] = [];
  for (let kill = 0; kill < 7; kill++) {
    const { leader } = await rig.roles();
    await rig.progress(writers, 100);
    const begin = performance.now();
    await rig.stop(leader.id);
    await rig.roles();
    outages.push(performance.now() - begin);
    await rig.progress(writers, 50);
    await rig.start(leader.id);
  }
  await rig.verify(writers);
  expect(outages.sort((a, b) => a - b)[3]).toBeLessThan((INIT_LIMIT * TICK) / 2);
});

test('all servers go at once under load, again and again: what was acknowledged is there', async () => {
  rig = await DiskRig.create({ voters: 3, observers: 1, tickTime: 100, snapCount: 300 });
  await rig.startAll();
  const writers = rig.servers.map((s) => rig.writer(s.id, 4));
  for (let crash = 0; crash < 6; crash++) {
    await rig.progress(writers, 100);
    const gone = [...rig.nodes.values()];
    rig.nodes.clear();
    // One after the other on odd turns, so that some get ahead of the others.
    if (crash % 2 === 0) await within('all stop', Promise.all(gone.map((node) => node.stop())));
    else for (const node of gone) await within('it stops', node.stop());
    // A quorum alone must have everything that was acknowledged.
    const first = crash % 3;
    const ids = [1, 2, 3].filter((id) => id !== first + 1);
    await rig.startAll(ids);
    const { tree } = rig.node(ids[0]);
    await rig.converge();
    for (const writer of writers)
      for (const [path, czxid] of writer.acknowledged) expect(tree.exists(path)?.czxid.toString(), path).toBe(czxid);
    await rig.startAll([first + 1, 4]);
  }
  await rig.verify(writers);
});
