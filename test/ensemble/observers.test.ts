import { afterEach, expect, test } from 'vitest';
import type { ServerSpec } from '../../src/index.ts';
import { eventually, failureOf, within } from './client.ts';
import { Rig } from './rig.ts';

let rig: Rig;
afterEach(async () => {
  rig.network.heal();
  await rig.stopAll();
});

/** Nobody serves, for longer than an election and the limits would take. */
async function nobodyServes(mine: Rig, ids: readonly number[], ms: number): Promise<void> {
  const seen: number[] = [];
  for (const id of ids) mine.node(id).on('serving', (serving) => serving && seen.push(id));
  const end = performance.now() + ms;
  await eventually('the time is over', () => performance.now() > end);
  expect(seen).toEqual([]);
  for (const id of ids) expect(mine.node(id).serving, `server ${id}`).toBe(false);
}

const server = (id: number, group?: number, weight?: number): ServerSpec => ({
  id,
  host: 'memory',
  quorumPort: 2000 + id,
  electionPort: 3000 + id,
  ...(group === undefined ? {} : { group, weight }),
});

test('observers get everything, forward writes, and keep the sessions of their clients alive', async () => {
  rig = new Rig({ voters: 3, observers: 2, tickTime: 50, minSessionTimeout: 100 });
  await rig.startAll();
  const [a, b] = [rig.node(4), rig.node(5)];
  expect([a.role, b.role]).toEqual(['observing', 'observing']);
  const events: string[] = [];
  b.watch('/', ({ type, path }) => events.push(`${type} ${path}`), { recursive: true });
  const session = await a.openSession({ timeout: 300 });
  await session.create('/mine', 'x', { mode: 'ephemeral' });
  // Several timeouts long only the observer's answers to PINGs keep the session.
  const begin = performance.now();
  const other = await rig.node(1).openSession();
  let writes = 0;
  await eventually('1500 ms are over', async () => {
    await other.create(`/w-${writes++}`);
    return performance.now() > begin + 1500;
  });
  expect(session.state).toBe('connected');
  expect((await session.getData('/mine')).text()).toBe('x');
  await session.sync();
  expect((await session.getChildren('/')).children.filter((name) => name.startsWith('w-')).length).toBe(writes);
  await rig.verify([]);
  expect(events.filter((event) => event.startsWith('created /w-'))).toEqual(Array.from({ length: writes }, (_, k) => `created /w-${k}`));
  await session.close();
  await rig.converge();
  for (const node of rig.nodes.values()) expect(node.tree.exists('/mine')).toBeUndefined();
});

test('observers never count: one voter of three with three observers does not serve (fault 2959)', async () => {
  rig = new Rig({ voters: 3, observers: 3, tickTime: 50 });
  const starts = [1, 4, 5, 6].map((id) => rig.start(id));
  await nobodyServes(rig, [1, 4, 5, 6], 1500);
  await within('all serve with a second voter', Promise.all([...starts, rig.start(2)]));
  const session = await rig.node(5).openSession();
  await session.create('/a');
  // And the leader stops when the other voter is gone again, although all observers are there.
  const { leader } = await rig.roles();
  await rig.kill(leader.id === 1 ? 2 : 1);
  const rest = [leader.id, 4, 5, 6];
  await eventually('nobody serves', () => rest.every((id) => !rig.node(id).serving));
  expect(await failureOf(leader.sync())).toEqual({ code: 'CONNECTION_LOSS', outcome: 'not-done' });
  await nobodyServes(rig, rest, 1000);
  await rig.start(3);
  await rig.verify([]);
  expect(rig.node(6).tree.exists('/a')).toBeDefined();
});

test('weights and groups: a majority of the servers is no quorum, a majority of weight in most groups is', async () => {
  // Groups of 1+1+1, 1+1+1 and 1+1+1; a quorum is two servers each in two of them.
  const servers = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((id) => server(id, Math.ceil(id / 3), 1));
  rig = new Rig({ voters: 9, servers, tickTime: 50 });
  // All of one group and one of each of the others: five of nine.
  const five = [1, 2, 3, 4, 7];
  const starts = five.map((id) => rig.start(id));
  await nobodyServes(rig, five, 1200);
  await within('with a second of group 2', Promise.all([...starts, rig.start(5)]));
  const session = await rig.node(7).openSession();
  await session.create('/a');
  // Four of nine are enough, if they are the right ones.
  for (const id of [3, 7]) await rig.kill(id);
  await rig.roles();
  const on = await rig.node(1).openSession();
  await on.create('/b');
  await rig.verify([]);
});

test.each(['fast', 'basic'] as const)(
  'a voter without weight never leads and its vote counts for nothing (%s election)',
  async (election) => {
    const servers = [server(1, 1, 1), server(2, 1, 1), server(3, 1, 1), server(4, 1, 0), server(5, 1, 0)];
    rig = new Rig({ voters: 5, servers, election, tickTime: 50 });
    const starts = [1, 4, 5].map((id) => rig.start(id));
    await nobodyServes(rig, [1, 4, 5], 1000);
    await within('with a second weight', Promise.all([...starts, rig.start(2)]));
    const session = await rig.node(5).openSession();
    await session.create('/a');
    expect([1, 2]).toContain(rig.leader()?.id);
    await rig.verify([]);
  },
);

test('an observer that joins under load and one that comes and goes', async () => {
  rig = new Rig({ voters: 3, observers: 2, tickTime: 100, commitLogCount: 100, snapCount: 500 });
  await rig.startAll([1, 2, 3]);
  const writers = [1, 2, 3].map((id) => rig.writer(id));
  await rig.progress(writers, 500);
  await rig.start(4);
  await rig.start(5);
  writers.push(rig.writer(4), rig.writer(5));
  for (let turn = 0; turn < 4; turn++) {
    await rig.progress(writers, 300);
    await rig.kill(5);
    await rig.progress(writers, turn % 2 === 0 ? 20 : 500);
    await within('the observer is back', rig.start(5));
  }
  const { leader } = await rig.roles();
  await rig.kill(leader.id);
  await rig.start(leader.id);
  await rig.progress(writers, 300);
  await rig.verify(writers);
});
