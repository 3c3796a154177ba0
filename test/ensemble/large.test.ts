import { afterEach, expect, it } from 'vitest';
import type { MultiOperation } from '../../src/index.ts';
import { contents, eventually } from './client.ts';
import { DiskRig } from './disk-rig.ts';

const EPHEMERALS = 40_000;
const PER_MULTI = 500;

let rig: DiskRig | undefined;
afterEach(async () => {
  await rig?.close();
  rig = undefined;
});

// Faults 3496, 706 and 4306: a transaction may be larger than the largest request.
it('closes a session with so many ephemeral znodes that their names exceed the frame limit, on every server and after a restart', async () => {
  rig = await DiskRig.create({ voters: 3, maxRequestBytes: 1 << 20, initLimit: 100, syncLimit: 50 });
  await rig.startAll();
  const session = await rig.node(1).openSession({ timeout: 2000 });
  await session.create('/many', null);
  const name = 'x'.repeat(60);
  for (let first = 0; first < EPHEMERALS; first += PER_MULTI) {
    const part = Array.from({ length: PER_MULTI }, (_, k): MultiOperation => {
      return { type: 'create', path: `/many/${name}-${first + k}`, data: '', mode: 'ephemeral' };
    });
    await session.multi(part);
  }
  await rig.converge();
  for (const node of rig.nodes.values()) expect(node.tree.exists('/many')?.numChildren).toBe(EPHEMERALS);

  await session.close();
  await rig.converge();
  for (const node of rig.nodes.values()) expect(node.tree.getChildren('/many')).toEqual([]);

  // The log with that transaction replays, and it can be sent to a learner that missed it.
  const before = contents(rig.node(1));
  await rig.stopAll();
  await rig.startAll();
  await eventually('a leader for all', () => (rig as DiskRig).settled());
  await rig.converge();
  expect(contents(rig.node(1)).filter((line) => line.includes('/many'))).toEqual(before.filter((line) => line.includes('/many')));
});
