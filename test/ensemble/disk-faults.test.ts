import { afterEach, describe, expect, test } from 'vitest';
import { type EnsembleNode, makeZxid, type ZabError } from '../../src/index.ts';
import { eventually, within } from './client.ts';
import { DiskRig, type DiskRigOptions, type Fault } from './disk-rig.ts';

let rig: DiskRig;
afterEach(() => rig?.close());

async function ensemble(options: Partial<DiskRigOptions> = {}): Promise<DiskRig> {
  rig = await DiskRig.create({ voters: 3, tickTime: 100, ...options });
  await rig.startAll();
  return rig;
}

async function write(node: EnsembleNode, name: string, count: number): Promise<void> {
  const session = await node.openSession();
  await within(`${count} writes`, Promise.all(Array.from({ length: count }, (_, k) => session.create(`/${name}-${k}`, `${k}`))));
  await session.close();
}

const failures: [what: string, options: Partial<DiskRigOptions>, fault: Fault, fatal: boolean][] = [
  ['is full', {}, (operation) => (operation === 'write' || operation === 'open' ? 'ENOSPC' : null), true],
  ['can not write the log', {}, (operation, path) => (operation === 'write' && path.includes('/log.') ? 'EIO' : null), true],
  ['can not sync the log', {}, (operation, path) => (operation === 'datasync' && path.includes('/log.') ? 'EIO' : null), true],
  [
    'can not write a snapshot',
    { snapCount: 40 },
    (operation, path) => (operation === 'write' && /tmp\.[0-9a-f]+$/.test(path) ? 'EIO' : null),
    false,
  ],
];
describe.each(failures)('a disk that %s', (_, options, fault, fatal) => {
  test.each(['leader', 'follower'] as const)('on the %s', async (role) => {
    await ensemble(options);
    const { leader, others } = await rig.roles();
    const { id } = role === 'leader' ? leader : others[0];
    const writers = [1, 2, 3].map((server) => rig.writer(server));
    await rig.progress(writers, 200);
    const disk = rig.disk(id);
    const node = rig.node(id);
    disk.fault = fault;
    if (fatal) {
      const cause = await within(
        'the node stops',
        node.closed.then(
          () => undefined,
          (error: unknown) => error as NodeJS.ErrnoException,
        ),
      );
      expect(cause?.message).toMatch(/ENOSPC|EIO/);
      expect(cause?.message).toContain(rig.dataDir(id));
      expect([node.role, node.serving]).toEqual(['stopped', false]);
      const session = await node.openSession().catch((error: unknown) => error);
      expect(session).toMatchObject({ code: 'NODE_STOPPED', outcome: 'not-done', cause });
      rig.nodes.delete(id);
    } else {
      await eventually('snapshots have failed', () => disk.hits > 3);
      expect(node.serving).toBe(true);
    }
    await rig.progress(writers, 200);
    disk.fault = null;
    if (fatal) await within('it serves again', rig.start(id));
    await rig.progress(writers, 200);
    await rig.verify(writers);
    await rig.stopAll();
    await rig.startAll();
    await rig.verify([]);
    expect(rig.node(id).tree.nodeCount).toBeGreaterThan(600);
  });
});

test('calls under way on a disk that fails end with the cause', async () => {
  await ensemble();
  const { others } = await rig.roles();
  const session = await others[0].openSession();
  const fatal: Error[] = [];
  others[0].on('fatal', (error) => fatal.push(error));
  rig.disk(others[0].id).fault = (operation, path) => (operation === 'write' && path.includes('/log.') ? 'ENOSPC' : null);
  const calls = [session.create('/a'), session.getData('/a'), session.sync(), others[0].sync(), others[0].tree.reached(makeZxid(9, 9))];
  const errors = await within(
    'all calls end',
    Promise.all(
      calls.map((call) =>
        call.then(
          () => undefined,
          (error: unknown) => error as ZabError,
        ),
      ),
    ),
  );
  const cause = await others[0].closed.catch((error: unknown) => error as Error);
  expect(cause?.message).toContain('ENOSPC');
  expect(fatal).toEqual([cause]);
  const stopped = errors.filter((error) => error?.code === 'NODE_STOPPED');
  // The others may commit the write before this server's own disk says no; then the first two are answered in time.
  expect(stopped.length).toBeGreaterThanOrEqual(1);
  for (const error of errors) if (error !== undefined) expect(error).toMatchObject({ code: 'NODE_STOPPED', cause });
  expect(errors[4]).toBe(stopped.at(-1));
  expect(session.state).toBe('suspended');
});

test.each(['acceptedEpoch', 'currentEpoch'] as const)('a disk that can not replace %s during an election', async (name) => {
  await ensemble();
  const writers = [1, 2, 3].map((server) => rig.writer(server));
  await rig.progress(writers, 100);
  const { leader, others } = await rig.roles();
  const { id } = others[0];
  const node = rig.node(id);
  rig.disk(id).fault = (operation, path) => (operation === 'rename' && path.endsWith(name) ? 'EIO' : null);
  // A new epoch for all.
  await rig.kill(leader.id);
  const cause = await within(
    'the node stops',
    node.closed.catch((error: unknown) => error as Error),
  );
  expect(cause?.message).toContain('EIO');
  expect(cause?.message).toContain(name);
  rig.nodes.delete(id);
  rig.disk(id).fault = null;
  await rig.start(id);
  await rig.start(leader.id);
  await rig.progress(writers, 100);
  await rig.verify(writers);
});

test('a disk that fails while a snapshot of the leader is installed: the old history stands, and the next try succeeds', async () => {
  await ensemble({ commitLogCount: 20 });
  const { leader, others } = await rig.roles();
  const { id } = others[0];
  await rig.stop(id);
  await write(leader, 'a', 200);
  await rig.wipe(id);
  const disk = rig.disk(id);
  disk.fault = (operation, path) =>
    operation === 'datasync' && path.includes('tmp.') && !path.includes('poch') && !path.includes('myid') ? 'EIO' : null;
  const error = await within(
    'the start fails',
    rig.start(id).catch((reason: unknown) => reason as Error),
  );
  expect((error as Error).message).toContain('EIO');
  rig.nodes.delete(id);
  disk.fault = null;
  await rig.start(id);
  await rig.verify([]);
  expect(rig.node(id).tree.exists('/a-199')).toBeDefined();
});
