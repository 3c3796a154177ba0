import { expect, test } from 'vitest';
import { Op } from '../../src/model/codes.ts';
import { makeZxid } from '../../src/model/zxid.ts';
import { OPEN_ACL } from '../../src/tree/acl.ts';
import { failure, isSettled, makeRig, openRig, startRig } from './fake-replica.ts';

const create = (path: string) => ({ op: Op.create, path, data: null, acl: OPEN_ACL, flags: 0, ttl: 0 }) as const;

test('start resolves when the replica serves, not when it runs', async () => {
  const { node, replica } = makeRig();
  replica.serveAtStart = false;
  expect([node.role, node.serving]).toEqual(['stopped', false]);
  const starting = node.start();
  expect(node.start()).toBe(starting);
  expect(await isSettled(starting)).toBe(false);
  replica.serve(true);
  await starting;
  expect([node.role, node.serving, node.leaderId, node.epoch]).toEqual(['leading', true, 1, 1]);
});

test('a start that fails rejects start and closed with its error, and releases the replica', async () => {
  const { node, replica } = makeRig();
  const error = new Error('port in use');
  replica.startError = error;
  const heard: Error[] = [];
  node.on('fatal', (fatal) => heard.push(fatal));
  await expect(node.start()).rejects.toBe(error);
  await expect(node.closed).rejects.toBe(error);
  expect(heard).toEqual([error]);
  expect(replica.stops).toBe(1);
  await node.stop();
  expect(await failure(node.openSession())).toMatchObject({ code: 'NODE_STOPPED', outcome: 'not-done' });
});

test('a start that is stopped before it serves rejects', async () => {
  const { node, replica } = makeRig();
  replica.serveAtStart = false;
  const starting = node.start();
  const stopped = node.stop();
  expect(await failure(starting)).toEqual({ code: 'NODE_STOPPED', outcome: 'not-done' });
  await stopped;
  await node.closed;
});

test('a node that was never started stops, and cannot be started then', async () => {
  const { node, replica } = makeRig();
  await node.stop();
  await node.closed;
  expect(replica.stops).toBe(0);
  expect(await failure(node.start())).toEqual({ code: 'NODE_STOPPED', outcome: 'not-done' });
});

test('stop settles everything and waits for the replica', async () => {
  const { node, replica, session } = await openRig();
  replica.manual();
  const write = session.create('/a');
  const read = session.exists('/a');
  const sync = node.sync();
  const opening = node.openSession();
  const resuming = node.openSession({ resume: session });
  const reached = node.tree.reached(makeZxid(9, 9));
  const stopped = node.stop();
  expect(await failure(write)).toEqual({ code: 'NODE_STOPPED', outcome: 'unknown', path: '/a' });
  expect(await failure(read)).toEqual({ code: 'NODE_STOPPED', outcome: 'not-done', path: '/a' });
  expect(await failure(sync)).toEqual({ code: 'NODE_STOPPED', outcome: 'unknown' });
  expect(await failure(opening)).toEqual({ code: 'NODE_STOPPED', outcome: 'unknown' });
  expect(await failure(resuming)).toEqual({ code: 'NODE_STOPPED', outcome: 'unknown' });
  expect(await failure(reached)).toEqual({ code: 'NODE_STOPPED', outcome: 'not-done' });
  expect(await isSettled(node.closed)).toBe(false);
  await Promise.all([stopped, node.stop(), node.closed]);
  expect(replica.stops).toBe(1);
  for (const call of [session.create('/b'), session.exists('/b'), session.close(), node.sync(), node.tree.reached(makeZxid(9, 9))]) {
    expect(await failure(call)).toMatchObject({ code: 'NODE_STOPPED', outcome: 'not-done' });
  }
  expect([node.role, node.serving, session.state]).toEqual(['stopped', false, 'suspended']);
  expect(node.metrics().callsUnderWay).toBe(0);
});

test('`await using` stops the node', async () => {
  const { node } = await startRig();
  {
    await using used = node;
    expect(used.serving).toBe(true);
  }
  expect(node.role).toBe('stopped');
});

test('a fatal error reaches every pending call, `closed` and the event', async () => {
  const { node, replica, session } = await openRig();
  replica.manual();
  const heard: Error[] = [];
  node.on('fatal', (error) => heard.push(error));
  const write = session.create('/a');
  const error = new Error('disk full');
  replica.hooks.fatal(error);
  replica.hooks.fatal(new Error('and again'));
  const rejection = await write.catch((e) => e);
  expect(rejection).toMatchObject({ code: 'NODE_STOPPED', outcome: 'unknown' });
  expect(rejection.cause).toBe(error);
  await expect(node.closed).rejects.toBe(error);
  expect(heard).toEqual([error]);
  expect((await session.create('/b').catch((e) => e)).cause).toBe(error);
  await node.stop();
});

test('nothing that the replica says after the end is heard', async () => {
  const { node, replica } = await startRig();
  await node.stop();
  const events: string[] = [];
  node.on('role', (role) => events.push(role));
  node.on('serving', (serving) => events.push(`${serving}`));
  replica.serve(true);
  expect(events).toEqual([]);
  expect(node.serving).toBe(false);
});

test('events tell of role, leader, serving and sessions', async () => {
  const { node, replica } = makeRig();
  const events: unknown[] = [];
  node.on('role', (role) => events.push(['role', role]));
  node.on('leader', (leader, epoch) => events.push(['leader', leader, epoch]));
  node.on('serving', (serving) => events.push(['serving', serving]));
  node.on('session', (_id, state) => events.push(['session', state]));
  await node.start();
  const session = await node.openSession();
  replica.serve(false);
  replica.epoch = 2;
  replica.serve(true);
  await expect.poll(() => session.state).toBe('connected');
  await node.stop();
  expect(events).toEqual([
    ['role', 'leading'],
    ['leader', 1, 1],
    ['serving', true],
    ['role', 'looking'],
    ['leader', undefined, 1],
    ['session', 'suspended'],
    ['serving', false],
    ['role', 'leading'],
    ['leader', 1, 2],
    ['serving', true],
    ['session', 'connected'],
    ['session', 'suspended'],
    ['serving', false],
    ['role', 'stopped'],
    ['leader', undefined, 2],
  ]);
});

test('a listener that throws is logged and harms nobody', async () => {
  const { node, replica, logged } = await startRig();
  node.on('serving', () => {
    throw new Error('mine');
  });
  replica.serve(false);
  expect(node.serving).toBe(false);
  expect(logged).toContainEqual({ level: 'error', message: 'a listener of the event serving threw' });
});

test('a node may be stopped from one of its own events', async () => {
  const { node, replica } = await startRig();
  node.on('serving', () => void node.stop());
  replica.serve(false);
  await node.closed;
  expect(replica.stops).toBe(1);
});

test('sync resolves to the zxid that has been applied when the leader answers', async () => {
  const { node, replica } = await startRig();
  replica.manual();
  const sync = node.sync();
  replica.elsewhere(create('/a'));
  const { lastZxid } = replica.tree;
  expect(await isSettled(sync)).toBe(false);
  replica.step();
  expect((await sync).eq(lastZxid)).toBe(true);
  const lost = node.sync();
  const stop = new AbortController();
  const aborted = node.sync({ signal: stop.signal });
  stop.abort();
  expect(await failure(aborted)).toMatchObject({ code: 'ABORTED' });
  replica.serve(false);
  expect(await failure(lost)).toMatchObject({ code: 'CONNECTION_LOSS', outcome: 'unknown' });
  expect(await failure(node.sync())).toEqual({ code: 'CONNECTION_LOSS', outcome: 'not-done' });
  expect(node.metrics().callsUnderWay).toBe(0);
});

test('the tree reads the replica’s own, also after it was replaced', async () => {
  const { node, replica, session } = await openRig();
  await session.create('/a', 'x');
  await session.create('/a/b', 'y');
  expect(node.tree.getData('/a')?.text()).toBe('x');
  expect(node.tree.exists('/a')?.numChildren).toBe(1);
  expect(node.tree.getChildren('/a')).toEqual(['b']);
  expect(node.tree.getAllChildrenNumber('/a')).toBe(1);
  expect(node.tree.getAcl('/a')?.acl).toEqual(OPEN_ACL);
  expect([...node.tree.walk('/a')].map(([path, data]) => [path, data.text()])).toEqual([
    ['/a', 'x'],
    ['/a/b', 'y'],
  ]);
  expect(node.tree.nodeCount).toBe(replica.tree.nodeCount);
  expect(node.tree.getData('/nope')).toBeUndefined();
  const old = replica.tree;
  replica.serve(false);
  replica.replaceTree(new (old.constructor as new () => typeof old)());
  expect(node.tree.exists('/a')).toBeUndefined();
});

test('reached waits for a zxid, many at once and in any order', async () => {
  const { node, replica } = await startRig();
  const order: number[] = [];
  const waits = [5, 2, 9, 3, 3, 7, 1, 8, 4, 6].map((n) => node.tree.reached(makeZxid(1, n)).then(() => order.push(n)));
  const stop = new AbortController();
  const given = node.tree.reached(makeZxid(1, 4), { signal: stop.signal });
  stop.abort();
  expect(await failure(given)).toEqual({ code: 'ABORTED', outcome: 'not-done' });
  expect(await failure(node.tree.reached(makeZxid(1, 4), { signal: stop.signal }))).toMatchObject({ code: 'ABORTED' });
  for (let n = 1; n <= 9; n++) {
    replica.elsewhere(create(`/n${n}`));
    await new Promise(setImmediate);
    expect(order.length).toBe([1, 2, 4, 5, 6, 7, 8, 9, 10][n - 1]);
  }
  await Promise.all(waits);
  expect(order).toEqual([1, 2, 3, 3, 4, 5, 6, 7, 8, 9]);
  await node.tree.reached(makeZxid(1, 9));
});

test('metrics join the replica’s with those of the sessions', async () => {
  const { node, session } = await openRig();
  session.watch('/a', () => {});
  await session.create('/a');
  expect(node.metrics()).toEqual({ committed: 7, znodes: 5, localSessions: 1, callsUnderWay: 0, watches: 1, watchEvents: 1 });
});
