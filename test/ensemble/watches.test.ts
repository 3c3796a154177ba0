import { afterEach, expect, test } from 'vitest';
import type { EnsembleNode, Session, WatchEvent } from '../../src/index.ts';
import { compareZxid } from '../../src/index.ts';
import { eventually, within } from './client.ts';
import { Rig, type RigOptions } from './rig.ts';

let rig: Rig;
afterEach(async () => {
  rig.network.heal();
  await rig.stopAll();
});

async function ensemble(options: Partial<RigOptions> = {}): Promise<{ leader: EnsembleNode; others: EnsembleNode[] }> {
  rig = new Rig({ voters: 3, tickTime: 50, maxSessionTimeout: 60_000, ...options });
  await rig.startAll();
  return rig.roles();
}

/** A copy of a subtree's data that is kept by events alone: created and changed znodes are read when the event comes, as an application would. */
class Mirror {
  readonly events: WatchEvent[] = [];
  readonly created = new Map<string, number>();
  readonly znodes = new Map<string, string>();

  constructor(readonly node: EnsembleNode) {}

  see(event: WatchEvent): void {
    this.events.push(event);
    if (event.type === 'created') this.created.set(event.path, (this.created.get(event.path) ?? 0) + 1);
    const now = this.node.tree.getData(event.path);
    if (event.type === 'deleted' || now === undefined) this.znodes.delete(event.path);
    else this.znodes.set(event.path, `${now.text()}/${now.stat.version}`);
  }

  /** Nothing is missing and nothing came twice. */
  check(prefix: string): void {
    const expected = new Map<string, string>();
    for (const [path, data] of this.node.tree.walk('/'))
      if (path.startsWith(prefix)) expected.set(path, `${data.text()}/${data.stat.version}`);
    expect(this.znodes).toEqual(expected);
    for (const [path, times] of this.created) expect(times, path).toBe(1);
    for (const [k, event] of this.events.entries()) {
      if (k > 0) expect(compareZxid(event.zxid, this.events[k - 1].zxid), `${event.type} ${event.path}`).toBeGreaterThanOrEqual(0);
    }
  }
}

/** Creates, changes and deletes znodes below /dir, one session after the other as they are connected. */
async function churn(sessions: readonly Session[], name: string, count: number): Promise<void> {
  const one = async (k: number): Promise<void> => {
    const path = `/dir/${name}-${k}`;
    for (const step of ['create', 'set', 'delete']) {
      if (step === 'delete' && k % 3 !== 0) continue;
      for (let done = false; !done; ) {
        const session = sessions.find(({ state }) => state === 'connected');
        if (session === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
        else
          done = await (step === 'create'
            ? session.create(path, 'a')
            : step === 'set'
              ? session.setData(path, 'b')
              : session.delete(path)
          ).then(
            () => true,
            (error: { code: string }) => error.code === 'NODE_EXISTS' || error.code === 'NO_NODE',
          );
      }
    }
  };
  await within('the churn', Promise.all(Array.from({ length: count }, (_, k) => one(k))));
}

test.each(['the node', 'a session'] as const)('watches of %s lose and repeat nothing over leader changes', async (owner) => {
  const { others } = await ensemble();
  const node = others[0];
  const watching = await node.openSession({ timeout: 60_000 });
  await watching.create('/dir');
  await rig.converge();
  const mirror = new Mirror(node);
  const source = owner === 'the node' ? node : watching;
  source.watch('/dir/', () => {}, { recursive: true, signal: AbortSignal.abort() });
  const end = source.watch('/dir', (event) => event.path !== '/dir' && mirror.see(event), { recursive: true });
  const shots: string[] = [];
  await watching.getChildren('/dir', { watch: ({ type, path }) => shots.push(`${type} ${path}`) });
  await watching.exists('/dir/last', { watch: ({ type, path }) => shots.push(`${type} ${path}`) });
  // Two leader changes, with writes all the time; the watching server never dies.
  for (let turn = 0; turn < 2; turn++) {
    const { leader } = await rig.roles();
    const sessions = await Promise.all([...rig.nodes.values()].filter((n) => n !== leader).map((n) => n.openSession({ timeout: 60_000 })));
    const changes = churn(sessions, `t${turn}`, 300);
    await eventually('the churn goes on', () => mirror.created.size > 300 * turn + 20);
    if (leader === node) rig.network.isolate(leader.id);
    else await rig.kill(leader.id);
    await changes;
    rig.network.heal();
    if (leader !== node) await rig.start(leader.id);
  }
  await eventually('the session is connected', () => watching.state === 'connected');
  await watching.create('/dir/last');
  await rig.converge();
  mirror.check('/dir/');
  expect(mirror.created.size).toBe(601);
  expect(shots).toEqual(['childrenChanged /dir', 'created /dir/last']);
  end();
  await watching.create('/dir/after');
  expect(mirror.created.has('/dir/after')).toBe(false);
});

test('watches get the difference when the replica is replaced by a snapshot', async () => {
  const { leader, others } = await ensemble({ commitLogCount: 20, snapCount: 100 });
  const node = others[0];
  const session = await node.openSession({ timeout: 60_000 });
  const writer = await leader.openSession({ timeout: 60_000 });
  await session.create('/dir');
  await writer.sync();
  await writer.create('/dir/gone', 'x');
  await writer.create('/dir/same', 'x');
  await writer.create('/dir/changed', 'x');
  await writer.create('/dir/changed/child');
  await writer.create('/dir/reborn', 'x');
  await rig.converge();
  const persistent: string[] = [];
  const shots: string[] = [];
  const told = (list: string[]) => (event: WatchEvent) => list.push(`${event.type} ${event.path}`);
  session.watch('/dir', told(persistent), { recursive: true });
  const stream = node.watch('/dir/changed');
  for (const path of ['/dir/gone', '/dir/same', '/dir/changed', '/dir/reborn']) await session.getData(path, { watch: told(shots) });
  await session.exists('/dir/new', { watch: told(shots) });
  await session.getChildren('/dir/changed', { watch: told(shots) });
  await session.getChildren('/dir/same', { watch: told(shots) });

  rig.network.isolate(node.id);
  await eventually('it is cut off', () => !node.serving);
  await writer.delete('/dir/gone');
  await writer.setData('/dir/changed', 'y');
  await writer.create('/dir/changed/another');
  await writer.delete('/dir/reborn');
  await writer.create('/dir/reborn', 'x');
  await writer.create('/dir/new');
  for (let k = 0; k < 300; k++) await writer.setData('/', `${k}`);
  rig.log.length = 0;
  // Only what is on disk reaches back so far; without the log it takes a snapshot.
  const before = leader.metrics().snapshotsSent;
  rig.network.heal();
  await eventually('connected again', () => session.state === 'connected');
  expect(leader.metrics().snapshotsSent, rig.log.join('\n')).toBe(before + 1);
  await writer.create('/dir/end');
  await session.sync();
  const changes = [
    'created /dir/changed/another',
    'created /dir/new',
    'dataChanged /dir/changed',
    'dataChanged /dir/reborn',
    'deleted /dir/gone',
  ];
  // A znode that was deleted and made again shows as one that was changed, or as both steps.
  const seen = persistent.slice(0, -1).filter((event) => !event.endsWith('/dir/reborn'));
  expect(seen.sort()).toEqual(changes.filter((event) => !event.endsWith('/dir/reborn')).sort());
  expect(persistent.filter((event) => event.endsWith('/dir/reborn')).length).toBeGreaterThan(0);
  expect(persistent.at(-1)).toBe('created /dir/end');
  const shotsSeen = shots.filter((event) => !event.endsWith('/dir/reborn'));
  expect(shotsSeen.sort()).toEqual(
    ['childrenChanged /dir/changed', 'created /dir/new', 'dataChanged /dir/changed', 'deleted /dir/gone'].sort(),
  );
  expect(shots.filter((event) => event.endsWith('/dir/reborn')).length).toBe(1);
  const first = [(await stream.next()).value, (await stream.next()).value].map((event: WatchEvent) => event.type);
  expect(first.sort()).toEqual(['childrenChanged', 'dataChanged']);
});

test('an iterator sees every change in order; a slow one gets one overflow and goes on from there', async () => {
  const { others } = await ensemble();
  const [node] = others;
  const writer = await others[1].openSession({ timeout: 60_000 });
  await writer.create('/dir');
  await rig.converge();
  const quick: string[] = [];
  const controller = new AbortController();
  const reading = (async () => {
    for await (const { type, path } of node.watch('/dir', { recursive: true, signal: controller.signal })) {
      quick.push(`${type} ${path}`);
      if (path === '/dir/last') break;
    }
  })();
  const slow = node.watch('/dir', { recursive: true, capacity: 50, signal: controller.signal });
  const calls = Array.from({ length: 490 }, (_, k) => writer.create(`/dir/${k}`));
  await Promise.all(calls);
  await writer.create('/dir/last');
  await within('the quick reader', reading);
  expect(quick).toEqual([...Array.from({ length: 490 }, (_, k) => `created /dir/${k}`), 'created /dir/last']);
  // What the slow one still gets after an overflow is without a gap to the end.
  const events: WatchEvent[] = [];
  while (events.at(-1)?.path !== '/dir/last') events.push((await within('the next event', slow.next())).value);
  expect(events.length).toBeLessThanOrEqual(51);
  expect(events[0].type).toBe('overflow');
  expect(events.slice(1).filter(({ type }) => type === 'overflow')).toEqual([]);
  expect(events.slice(1).map(({ path }) => path)).toEqual(
    [...Array.from({ length: 490 }, (_, k) => `/dir/${k}`), '/dir/last'].slice(-(events.length - 1)),
  );
  // What the overflow stands for can be read now.
  expect(node.tree.getChildren('/dir')?.length).toBe(491);
  controller.abort();
  expect(await slow.next()).toEqual({ done: true, value: undefined });
});
