import { afterEach, expect, test } from 'vitest';
import {
  createEnsembleNode,
  type EnsembleNode,
  MemoryNetwork,
  memoryStorage,
  type ServerSpec,
  type Session,
  systemClock,
} from '../../src/index.ts';
import { failure } from './fake-replica.ts';

const clock = systemClock();
const servers: ServerSpec[] = [1, 2, 3].map((id) => ({ id, host: 'memory', quorumPort: 2000 + id, electionPort: 3000 + id }));
const running: EnsembleNode[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()));
});

/** Three serving replicas on one network. */
async function ensemble(): Promise<{ network: MemoryNetwork; leader: EnsembleNode; follower: EnsembleNode; other: EnsembleNode }> {
  const network = new MemoryNetwork(clock);
  const nodes = servers.map(({ id }) =>
    createEnsembleNode({
      id,
      servers,
      clock,
      transport: network.transport(),
      storage: memoryStorage(),
      tickTime: 100,
      commitLogCount: 50,
      maxSessionTimeout: 60_000,
    }),
  );
  running.push(...nodes);
  await Promise.all(nodes.map((node) => node.start()));
  const leader = nodes.find((node) => node.role === 'leading')!;
  const [follower, other] = nodes.filter((node) => node !== leader);
  return { network, leader, follower, other };
}

const PATIENCE = 60_000;
const serves = (node: EnsembleNode, serving: boolean) => expect.poll(() => node.serving, { timeout: PATIENCE }).toBe(serving);
const becomes = (session: Session, state: string) => expect.poll(() => session.state, { timeout: PATIENCE }).toBe(state);

test('a session on a follower writes, reads its writes and synchronises with others', async () => {
  const { leader, follower } = await ensemble();
  await using mine = await follower.openSession();
  await using theirs = await leader.openSession();
  const { stat } = await mine.create('/a', '0');
  const writes = Array.from({ length: 300 }, (_, i) => mine.setData('/a', `${i + 1}`, { version: i }));
  expect((await mine.getData('/a')).text()).toBe('300');
  expect((await Promise.all(writes)).at(-1)?.version).toBe(300);
  await theirs.create('/b');
  await mine.sync();
  expect(await mine.exists('/b')).not.toBeNull();
  expect((await follower.sync()).gt(stat.czxid)).toBe(true);
  await follower.tree.reached(leader.tree.lastZxid);
  expect(await failure(mine.create('/b'))).toEqual({ code: 'NODE_EXISTS', outcome: 'not-done', path: '/b' });
});

test('a session outlives the loss of its ensemble, and its watches miss and repeat nothing', async () => {
  const { network, leader, follower } = await ensemble();
  const mine = await follower.openSession({ timeout: 60_000 });
  const writer = await leader.openSession();
  await mine.create('/dir');
  await mine.create('/dir/mine', null, { mode: 'ephemeral' });
  const created: string[] = [];
  const shots: string[] = [];
  follower.watch('/dir', ({ type, path }) => void created.push(`${type} ${path}`), { recursive: true });
  await mine.getChildren('/dir', { watch: ({ type }) => void shots.push(type) });
  network.isolate(follower.id);
  await serves(follower, false);
  expect(mine.state).toBe('suspended');
  // More than the leader keeps in memory.
  await Promise.all(Array.from({ length: 200 }, (_, i) => writer.create(`/dir/${i}`)));
  network.heal();
  await becomes(mine, 'connected');
  await writer.create('/dir/last');
  await mine.sync();
  expect(created.sort()).toEqual([...Array.from({ length: 200 }, (_, i) => `created /dir/${i}`), 'created /dir/last'].sort());
  expect(shots).toEqual(['childrenChanged']);
  expect(await mine.getEphemerals()).toEqual(['/dir/mine']);
});

test('a session of a server that stays away expires, and its server hears of it when it is back', async () => {
  const { network, leader, follower } = await ensemble();
  const mine = await follower.openSession({ timeout: 300 });
  await mine.create('/mine', null, { mode: 'ephemeral' });
  await leader.sync();
  network.isolate(follower.id);
  await serves(follower, false);
  await expect.poll(() => leader.tree.exists('/mine'), { timeout: PATIENCE }).toBeUndefined();
  expect(mine.state).toBe('suspended');
  network.heal();
  await becomes(mine, 'expired');
  expect(await failure(mine.exists('/'))).toMatchObject({ code: 'SESSION_EXPIRED', outcome: 'not-done' });
});

test('a write under way when the leader goes is unknown, the session goes on with the next leader', async () => {
  const { network, leader, follower, other } = await ensemble();
  const mine = await follower.openSession();
  await mine.create('/a', 'x');
  network.isolate(leader.id);
  expect(await failure(mine.setData('/a', 'y'))).toEqual({ code: 'CONNECTION_LOSS', outcome: 'unknown', path: '/a' });
  await becomes(mine, 'connected');
  expect([follower.leaderId, other.leaderId]).not.toContain(leader.id);
  await mine.setData('/a', 'z');
  expect((await mine.getData('/a')).text()).toBe('z');
  await serves(leader, false);
});

test('a session goes on at another server, and the handle left behind learns it', async () => {
  const { follower, other } = await ensemble();
  const left = await follower.openSession();
  await left.create('/mine', null, { mode: 'ephemeral' });
  await other.tree.reached(follower.tree.lastZxid);
  const taken = await other.openSession({ resume: left });
  expect(await failure(left.create('/late'))).toEqual({ code: 'SESSION_MOVED', outcome: 'not-done', path: '/late' });
  expect(left.state).toBe('closed');
  expect(await taken.getEphemerals()).toEqual(['/mine']);
  await taken.close();
  expect(other.tree.exists('/mine')).toBeUndefined();
});
