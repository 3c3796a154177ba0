import Long from 'long';
import { expect, test } from 'vitest';
import { Op } from '../../src/model/codes.ts';
import type { SessionState } from '../../src/node/api.ts';
import { sessionPassword } from '../../src/node/session-id.ts';
import { OPEN_ACL } from '../../src/tree/acl.ts';
import { failure, isSettled, openRig as open } from './fake-replica.ts';

test('states: losing the ensemble fails what is under way, and it goes on when the leader says so', async () => {
  const { node, session, replica } = await open();
  await session.create('/a', 'x');
  const states: SessionState[] = [];
  session.on('state', (state) => states.push(state));
  node.on('session', (id, state) => expect([id.eq(session.id), state]).toEqual([true, session.state]));
  replica.manual();
  const [write, sync, read] = [session.setData('/a', 'y'), session.sync(), session.getData('/a')];
  replica.serve(false);
  expect(session.state).toBe('suspended');
  expect(await failure(write)).toEqual({ code: 'CONNECTION_LOSS', outcome: 'unknown', path: '/a' });
  expect(await failure(sync)).toEqual({ code: 'CONNECTION_LOSS', outcome: 'unknown', path: '/' });
  expect(await failure(read)).toEqual({ code: 'CONNECTION_LOSS', outcome: 'not-done', path: '/a' });
  for (const call of [() => session.getData('/a'), () => session.create('/b'), () => session.sync('/a'), () => session.close()]) {
    expect(await failure(call())).toMatchObject({ code: 'CONNECTION_LOSS', outcome: 'not-done' });
  }
  replica.serve(true);
  expect(session.state).toBe('suspended');
  expect(await failure(session.getData('/a'))).toMatchObject({ code: 'CONNECTION_LOSS', outcome: 'not-done' });
  replica.step();
  expect(states).toEqual(['suspended', 'connected']);
  expect((await session.getData('/a')).text()).toBe('x');
  expect(node.metrics().callsUnderWay).toBe(0);
});

test('states: the late answer of a write that was given up is nobody’s', async () => {
  const { session, replica } = await open();
  replica.manual();
  const lost = session.create('/a');
  replica.serve(false);
  await failure(lost);
  replica.serve(true);
  replica.step();
  const next = session.create('/b');
  // The old leader had logged the first create, and the new one commits it.
  replica.write(session.id, 1, { op: Op.create, path: '/a', data: null, acl: OPEN_ACL, flags: 0, ttl: 0 });
  expect(await isSettled(next)).toBe(false);
  replica.step();
  expect((await next).path).toBe('/b');
});

test('states: a session that the leader does not know any more has expired', async () => {
  const { session, replica, node } = await open();
  replica.serve(false);
  replica.alive = () => false;
  replica.serve(true);
  await expect.poll(() => session.state).toBe('expired');
  expect(await failure(session.getData('/'))).toMatchObject({ code: 'SESSION_EXPIRED', outcome: 'not-done' });
  expect(replica.hooks.applying({ clientId: session.id, cxid: 1, zxid: session.id, time: 0, type: Op.delete })).toBe(false);
  expect(node.metrics().localSessions).toBe(0);
  await session.close();
});

test('states: an expiry by the leader ends it: what is under way was surely not done', async () => {
  const { session, replica } = await open();
  await session.create('/e', '', { mode: 'ephemeral' });
  replica.manual();
  const write = session.create('/a');
  const read = session.exists('/e');
  replica.write(session.id, 0, { op: Op.closeSession });
  expect(session.state).toBe('expired');
  expect(await failure(write)).toEqual({ code: 'SESSION_EXPIRED', outcome: 'not-done', path: '/a' });
  expect(await failure(read)).toEqual({ code: 'SESSION_EXPIRED', outcome: 'not-done', path: '/e' });
  replica.step();
  expect(replica.tree.has('/a')).toBe(false);
  expect(replica.tree.has('/e')).toBe(false);
});

test('states: close ends it with its ephemerals, after what was asked before', async () => {
  const { session, replica, node } = await open();
  replica.manual();
  const write = session.create('/e', '', { mode: 'ephemeral' });
  const read = session.exists('/e');
  const closed = session.close();
  expect(session.close()).toBe(closed);
  expect(await failure(session.create('/late'))).toMatchObject({ code: 'SESSION_EXPIRED', outcome: 'not-done' });
  replica.stepAll();
  await Promise.all([write, closed]);
  expect(await read).not.toBeNull();
  expect(session.state).toBe('closed');
  expect(replica.tree.has('/e')).toBe(false);
  expect(replica.tree.sessions.size).toBe(0);
  await session.close();
  expect(await failure(session.exists('/'))).toMatchObject({ code: 'SESSION_EXPIRED' });
  expect(replica.hooks.liveSessions()).toEqual([]);
  expect(node.metrics().callsUnderWay).toBe(0);
});

test('states: close has what it wants when the leader was faster', async () => {
  const { session, replica } = await open();
  replica.manual();
  const write = session.create('/a');
  const closed = session.close();
  replica.write(session.id, 0, { op: Op.closeSession });
  await closed;
  expect(await failure(write)).toMatchObject({ code: 'SESSION_EXPIRED', outcome: 'not-done' });
  expect(session.state).toBe('closed');
  replica.stepAll();
});

test('states: a close that was lost can be asked for again', async () => {
  const { session, replica } = await open();
  replica.manual();
  const lost = session.close();
  replica.serve(false);
  expect(await failure(lost)).toMatchObject({ code: 'CONNECTION_LOSS', outcome: 'unknown' });
  replica.auto = true;
  replica.serve(true);
  await expect.poll(() => session.state).toBe('connected');
  await session.close();
  expect(session.state).toBe('closed');
});

test('states: a session that has moved away is left alone', async () => {
  const { session, replica } = await open();
  replica.manual();
  const first = session.create('/a');
  const second = session.create('/b');
  const { cxid } = replica.requests.at(-2)!;
  replica.jobs.length = 0;
  replica.write(session.id, cxid, { op: Op.error, err: -118 });
  expect(await failure(first)).toEqual({ code: 'SESSION_MOVED', outcome: 'not-done', path: '/a' });
  expect(await failure(second)).toEqual({ code: 'SESSION_MOVED', outcome: 'unknown', path: '/b' });
  expect(session.state).toBe('closed');
  expect(await failure(session.exists('/'))).toMatchObject({ code: 'SESSION_MOVED', outcome: 'not-done' });
  await session.close();
  expect(replica.jobs).toHaveLength(0);
  expect(replica.tree.sessions.has(session.id)).toBe(true);
  expect(replica.hooks.liveSessions()).toEqual([]);
});

test('states: live sessions are the connected and the suspended ones', async () => {
  const { node, session, replica } = await open();
  const other = await node.openSession({ timeout: 4000 });
  replica.serve(false);
  const live = () => replica.hooks.liveSessions().map(({ sessionId, timeout }) => `${sessionId} ${timeout}`);
  expect(live()).toEqual([`${session.id} 20000`, `${other.id} 4000`]);
});

test('states: a listener that throws harms nobody', async () => {
  const { session, replica, logged } = await open();
  session.on('state', () => {
    throw new Error('mine');
  });
  replica.serve(false);
  expect(session.state).toBe('suspended');
  expect(logged.some(({ level, message }) => level === 'error' && message.includes('listener'))).toBe(true);
});

test('going on with a session: takes it over from the handle that had it', async () => {
  const { node, session, replica } = await open();
  await session.create('/e', 'x', { mode: 'ephemeral' });
  const next = await node.openSession({ resume: session });
  expect(session.state).toBe('closed');
  expect(await failure(session.getData('/e'))).toMatchObject({ code: 'SESSION_MOVED' });
  expect((await next.getData('/e')).text()).toBe('x');
  await session.close();
  expect(replica.tree.has('/e')).toBe(true);
  expect(replica.hooks.liveSessions()).toHaveLength(1);
  await next.close();
  expect(replica.tree.has('/e')).toBe(false);
});

test('going on with a session: nothing is said of it before the leader is confirmed', async () => {
  const { node, session, replica } = await open();
  replica.manual();
  const going = node.openSession({ resume: session });
  replica.step();
  expect(await isSettled(going)).toBe(false);
  expect(session.state).toBe('connected');
  replica.serve(false);
  expect(await failure(going)).toEqual({ code: 'CONNECTION_LOSS', outcome: 'unknown' });
  expect(session.state).toBe('suspended');
});

test('going on with a session: one that ends meanwhile has expired', async () => {
  const { node, session, replica } = await open();
  const { id, password } = session;
  replica.manual();
  const going = [node.openSession({ resume: { id, password } }), node.openSession({ resume: { id, password } })];
  replica.step();
  replica.write(id, 0, { op: Op.closeSession });
  replica.stepAll();
  for (const one of going) expect(await failure(one)).toEqual({ code: 'SESSION_EXPIRED', outcome: 'not-done' });
});

test('going on with a session: needs the password and a session that lives', async () => {
  const { node, session, replica } = await open();
  const expired = { code: 'SESSION_EXPIRED', outcome: 'not-done' };
  expect(await failure(node.openSession({ resume: { id: session.id, password: new Uint8Array(16) } }))).toEqual(expired);
  expect(await failure(node.openSession({ resume: { id: session.id } as never }))).toMatchObject({ code: 'BAD_ARGUMENTS' });
  const gone = Long.fromString('100000000000042', true, 16);
  expect(await failure(node.openSession({ resume: { id: gone, password: sessionPassword(gone) } }))).toEqual(expired);
  expect(session.state).toBe('connected');
  replica.serve(false);
  expect(await failure(node.openSession({ resume: session }))).toEqual({ code: 'CONNECTION_LOSS', outcome: 'not-done' });
});
