import Long from 'long';
import { expect, test, vi } from 'vitest';
import { Op } from '../../src/model/codes.ts';
import { CREATOR_ALL_ACL } from '../../src/node/acl.ts';
import type { Session } from '../../src/node/api.ts';
import { sessionPassword } from '../../src/node/session-id.ts';
import { OPEN_ACL, READ_ACL } from '../../src/tree/acl.ts';
import { digestId } from '../../src/tree/sha1.ts';
import { octetsFromText } from '../../src/util/bytes.ts';
import { failure, isSettled, openRig as open, startRig } from './fake-replica.ts';

const text = (value: string) => octetsFromText(value);

test('opening: creates the session in the tree, within the bounds of the timeout', async () => {
  const { node, replica } = await startRig({ tickTime: 100 });
  const normal = await node.openSession();
  const short = await node.openSession({ timeout: 1 });
  const long = await node.openSession({ timeout: 1e6 });
  expect([normal.timeout, short.timeout, long.timeout]).toEqual([1000, 200, 2000]);
  expect(replica.tree.sessions.get(long.id)?.timeout).toBe(2000);
  expect(normal.password).toEqual(sessionPassword(normal.id));
  expect(normal.id.high >>> 24).toBe(1);
  expect(new Set([normal, short, long].map((s) => s.id.toString())).size).toBe(3);
});

test('opening: is refused without an ensemble, and lost when the ensemble is', async () => {
  const { node, replica } = await startRig();
  replica.manual();
  const pending = node.openSession();
  replica.serve(false);
  expect(await failure(pending)).toEqual({ code: 'CONNECTION_LOSS', outcome: 'unknown' });
  expect(await failure(node.openSession())).toEqual({ code: 'CONNECTION_LOSS', outcome: 'not-done' });
  expect(await failure(node.openSession({ timeout: Number.NaN }))).toEqual({ code: 'BAD_ARGUMENTS', outcome: 'not-done' });
});

test('opening: given up by its signal, closes what comes of it', async () => {
  const { node, replica } = await startRig();
  replica.manual();
  const stop = new AbortController();
  const pending = node.openSession({ signal: stop.signal });
  stop.abort();
  expect(await failure(pending)).toEqual({ code: 'ABORTED', outcome: 'unknown' });
  replica.step();
  expect(replica.tree.sessions.size).toBe(1);
  replica.step();
  expect(replica.tree.sessions.size).toBe(0);
  expect(node.metrics().localSessions).toBe(0);
  expect(await failure(node.openSession({ signal: stop.signal }))).toEqual({ code: 'ABORTED', outcome: 'not-done' });
});

test('writes: give what the transaction gave', async () => {
  const { session, replica } = await open();
  const created = await session.create('/a', 'one');
  expect(created.path).toBe('/a');
  expect(created.stat.czxid.eq(replica.tree.lastZxid)).toBe(true);
  expect((await session.create('/a/s-', null, { mode: 'persistentSequential' })).path).toBe('/a/s-0000000000');
  const stat = await session.setData('/a', new Uint8Array([1, 2, 3]));
  expect([stat.version, stat.dataLength, stat.numChildren]).toEqual([1, 3, 1]);
  expect(await session.delete('/a/s-0000000000')).toBeUndefined();
  expect((await session.setAcl('/a', READ_ACL)).aversion).toBe(1);
  const ephemeral = await session.create('/e', 'x', { mode: 'ephemeral' });
  expect(ephemeral.stat.ephemeralOwner.eq(session.id)).toBe(true);
  expect((await session.create('/c', null, { mode: 'container' })).stat.ephemeralOwner.isZero()).toBe(true);
  expect((await session.create('/t', null, { mode: 'persistentTtl', ttl: 5 })).path).toBe('/t');
});

test('writes: carry data and ACL as they were at the call', async () => {
  const { session } = await open();
  const data = new Uint8Array([1, 2, 3]);
  const acl = [{ perms: 31, scheme: 'world', id: 'anyone' }];
  const created = session.create('/a', data, { acl });
  data.fill(9);
  acl[0].perms = 0;
  await created;
  expect([...(await session.getData('/a')).data!]).toEqual([1, 2, 3]);
  expect((await session.getAcl('/a')).acl).toEqual(OPEN_ACL);
});

test('writes: are pipelined with growing numbers and answered in order', async () => {
  const { session, replica } = await open();
  replica.manual();
  const order: string[] = [];
  const note = (name: string) => () => void order.push(name);
  const calls = [
    session.create('/a').then(note('create')),
    session.create('/a').catch(note('again')),
    session.setData('/a', 'x', { version: 0 }).then(note('set')),
    session.getData('/a').then(note('read')),
    session.sync().then(note('sync')),
    session.delete('/a').then(note('delete')),
  ];
  expect(replica.requests.slice(1).map((r) => [r.op, r.cxid])).toEqual([
    [Op.create2, 1],
    [Op.create2, 2],
    [Op.setData, 3],
    [Op.sync, 4],
    [Op.delete, 5],
  ]);
  replica.stepAll();
  await Promise.all(calls);
  expect(order).toEqual(['create', 'again', 'set', 'read', 'sync', 'delete']);
});

test('writes: fail with ZooKeeper’s errors', async () => {
  const { session } = await open();
  await session.create('/a');
  await session.create('/a/b');
  const notDone = (code: string, path: string) => ({ code, outcome: 'not-done', path });
  expect(await failure(session.create('/a'))).toEqual(notDone('NODE_EXISTS', '/a'));
  expect(await failure(session.create('/x/y'))).toEqual(notDone('NO_NODE', '/x/y'));
  expect(await failure(session.setData('/a', '', { version: 7 }))).toEqual(notDone('BAD_VERSION', '/a'));
  expect(await failure(session.delete('/a'))).toEqual(notDone('NOT_EMPTY', '/a'));
  expect(await failure(session.create('bad'))).toEqual(notDone('BAD_ARGUMENTS', 'bad'));
  expect(await failure(session.create('/n', null, { acl: [] }))).toEqual(notDone('INVALID_ACL', '/n'));
});

test.each([
  ['a path that is no string', (s: Session) => s.create(5 as never)],
  ['data of another type', (s: Session) => s.setData('/a', 5 as never)],
  ['a version out of range', (s: Session) => s.delete('/a', { version: 2 ** 31 })],
  ['a version that is no number', (s: Session) => s.setData('/a', '', { version: '1' as never })],
  ['an unknown mode', (s: Session) => s.create('/a', '', { mode: 'temporary' as never })],
  ['a TTL mode without ttl', (s: Session) => s.create('/a', '', { mode: 'persistentTtl' })],
  ['a ttl too long', (s: Session) => s.create('/a', '', { mode: 'persistentTtl', ttl: 2 ** 40 })],
  ['a ttl without TTL mode', (s: Session) => s.create('/a', '', { ttl: 1 })],
  ['an ACL that is no list', (s: Session) => s.setAcl('/a', 'all' as never)],
  ['an ACL entry without scheme', (s: Session) => s.setAcl('/a', [{ perms: 1 } as never])],
  ['an unknown operation in a multi', (s: Session) => s.multi([{ type: 'rename', path: '/a' } as never])],
  ['a request over the limit', (s: Session) => s.setData('/a', new Uint8Array(1025))],
  ['a multi over the limit', (s: Session) => s.multi([1, 2].map(() => ({ type: 'setData', path: '/a', data: new Uint8Array(600) })))],
])('writes: are refused here for %s', async (_what, call) => {
  const { session, replica } = await open({ maxRequestBytes: 1024 });
  const before = replica.requests.length;
  expect(await failure(call(session))).toMatchObject({ code: 'BAD_ARGUMENTS', outcome: 'not-done' });
  expect(replica.requests.length).toBe(before);
});

test('writes: up to exactly the limit are sent', async () => {
  const { session, replica } = await open({ maxRequestBytes: 1024 });
  // Path with its length, the data's length, the version.
  const most = 1024 - (4 + 2) - 4 - 4;
  await session.create('/a');
  await session.setData('/a', new Uint8Array(most));
  const before = replica.requests.length;
  expect(await failure(session.setData('/a', new Uint8Array(most + 1)))).toMatchObject({ code: 'BAD_ARGUMENTS' });
  expect(replica.requests.length).toBe(before);
});

test('writes: past maxOutstanding are refused until there is room', async () => {
  const { session, replica, node } = await open({ maxOutstanding: 2 });
  replica.manual();
  const first = session.create('/a');
  const second = session.exists('/a');
  expect(await failure(session.create('/b'))).toEqual({ code: 'OVERLOADED', outcome: 'not-done', path: '/b' });
  expect(await failure(session.exists('/b'))).toEqual({ code: 'OVERLOADED', outcome: 'not-done', path: '/b' });
  expect(await failure(node.sync())).toEqual({ code: 'OVERLOADED', outcome: 'not-done' });
  replica.stepAll();
  await Promise.all([first, second]);
  expect(node.metrics().callsUnderWay).toBe(0);
  replica.auto = true;
  await session.create('/b');
});

test('writes: of a resumed session have numbers from elsewhere, and after the highest comes 1', async () => {
  // An answer to a request of the session's earlier life must not be taken for one of now, so it does not begin at 1.
  const { node, replica } = await startRig({ random: { below: () => 0x7ffffffe } });
  const id = Long.fromNumber(77, true);
  replica.write(id, 0, { op: Op.createSession, timeout: 5000 });
  const session = await node.openSession({ resume: { id, password: sessionPassword(id) } });
  expect(session.id.eq(id)).toBe(true);
  await Promise.all([session.create('/a'), session.create('/b')]);
  const writes = replica.requests.filter(({ op }) => op !== Op.sync);
  expect(writes.map(({ cxid }) => cxid)).toEqual([0x7fffffff, 1]);
});

test('multi: gives a result for each part', async () => {
  const { session } = await open();
  await session.create('/old', 'x');
  const results = await session.multi([
    { type: 'create', path: '/a', data: 'one' },
    { type: 'setData', path: '/a', data: 'two', version: 0 },
    { type: 'check', path: '/a', version: 1 },
    { type: 'delete', path: '/old' },
    { type: 'create', path: '/a/c', mode: 'container' },
    { type: 'create', path: '/a/s', mode: 'ephemeralSequential' },
  ]);
  expect(results.map((r) => r.type)).toEqual(['create', 'setData', 'check', 'delete', 'create', 'create']);
  expect(results[0]).toMatchObject({ path: '/a' });
  expect(results[1]).toMatchObject({ stat: { version: 1 } });
  expect(results[4]).toMatchObject({ path: '/a/c', stat: { version: 0 } });
  expect(results[5]).toMatchObject({ path: '/a/s0000000001' });
  expect((await session.getData('/a')).text()).toBe('two');
  expect(await session.exists('/old')).toBeNull();
});

test('multi: fails as a whole and names the part', async () => {
  const { session } = await open();
  const error = await session
    .multi([
      { type: 'create', path: '/a' },
      { type: 'check', path: '/missing' },
      { type: 'create', path: '/b' },
    ])
    .catch((e) => e);
  expect(error).toMatchObject({ code: 'NO_NODE', path: '/missing', outcome: 'not-done' });
  expect(error.results.map((e: { code: string } | null) => e?.code)).toEqual([undefined, 'NO_NODE', 'RUNTIME_INCONSISTENCY']);
  expect(error.results[0]).toBeNull();
  expect(await session.exists('/a')).toBeNull();
});

test('multi: of nothing sends nothing, but waits its turn', async () => {
  const { session, replica } = await open();
  replica.manual();
  const write = session.create('/a');
  const empty = session.multi([]);
  expect(await isSettled(empty)).toBe(false);
  replica.stepAll();
  expect(replica.jobs).toHaveLength(0);
  expect(await empty).toEqual([]);
  await write;
});

test('reads: with nothing before them see the tree at the call', async () => {
  const { session, replica } = await open();
  await session.create('/a', 'old');
  const read = session.getData('/a');
  replica.elsewhere({ op: Op.setData, path: '/a', data: text('new'), version: -1 });
  expect((await read).text()).toBe('old');
});

test('reads: wait for earlier writes and see exactly those', async () => {
  const { session, replica } = await open();
  replica.manual();
  const writes = [session.create('/a', '1'), session.setData('/a', '2')];
  const read = session.getData('/a');
  const later = session.setData('/a', '3');
  const end = session.getData('/a');
  replica.step();
  expect(await isSettled(read)).toBe(false);
  replica.step();
  expect((await read).text()).toBe('2');
  replica.step();
  expect((await end).text()).toBe('3');
  await Promise.all([...writes, later]);
});

test('reads: a write answers the syncs before it and the reads behind them, which do not see it', async () => {
  const { session, replica } = await open();
  replica.manual();
  const events: string[] = [];
  const sync = session.sync();
  const read = session.exists('/a', { watch: (event) => void events.push(event.type) });
  const write = session.create('/a');
  // The sync's own answer is late.
  const job = replica.jobs.shift()!;
  replica.step();
  expect(await isSettled(sync)).toBe(true);
  expect(await read).toBeNull();
  expect(events).toEqual(['created']);
  await write;
  replica.jobs.push(job);
  replica.step();
});

test('reads: a sync that is answered before an earlier write waits for it', async () => {
  const { session, replica } = await open();
  replica.manual();
  const write = session.create('/a');
  const sync = session.sync();
  replica.jobs.reverse();
  replica.step();
  expect(await isSettled(sync)).toBe(false);
  replica.step();
  await Promise.all([write, sync]);
});

test('reads: a sync holds back the reads behind it, and what they give is of after it', async () => {
  const { session, replica } = await open();
  replica.manual();
  const write = session.create('/a');
  const sync = session.sync();
  const read = session.exists('/b');
  replica.step();
  await write;
  expect(await isSettled(read)).toBe(false);
  replica.elsewhere({ op: Op.create, path: '/b', data: null, acl: OPEN_ACL, flags: 0, ttl: 0 });
  replica.step();
  await sync;
  expect(await read).not.toBeNull();
});

test('reads: give what ZooKeeper gives', async () => {
  const { session } = await open();
  await session.create('/a', 'x');
  await session.create('/a/b', null, { mode: 'ephemeral' });
  await session.create('/a/c', '');
  const { children, stat } = await session.getChildren('/a');
  expect(children.sort()).toEqual(['b', 'c']);
  expect(stat.numChildren).toBe(2);
  expect(await session.getAllChildrenNumber('/a')).toBe(2);
  expect(await session.getEphemerals()).toEqual(['/a/b']);
  expect(await session.getEphemerals('/b')).toEqual([]);
  expect((await session.getData('/a/b')).data).toBeNull();
  expect((await session.getData('/a/c')).data).toHaveLength(0);
  expect(await session.exists('/nope')).toBeNull();
  expect((await session.exists('/a'))?.dataLength).toBe(1);
  expect((await session.getChildren('')).children).toContain('a');
  for (const path of ['/nope', 'a', '/a/']) {
    const expected = { code: 'NO_NODE', outcome: 'not-done', path };
    expect(await failure(session.getData(path))).toEqual(expected);
    expect(await failure(session.getChildren(path))).toEqual(expected);
    expect(await failure(session.getAllChildrenNumber(path))).toEqual(expected);
    expect(await failure(session.getAcl(path))).toEqual(expected);
  }
  const read = await session.multiRead([
    { type: 'getData', path: '/a' },
    { type: 'getData', path: '/nope' },
    { type: 'getChildren', path: '/a/c' },
  ]);
  expect(read.map((r) => r.type)).toEqual(['getData', 'error', 'getChildren']);
  expect(read[1]).toMatchObject({ error: { code: 'NO_NODE' } });
  expect(read[2]).toMatchObject({ children: [] });
});

test('identities: decide what a session may see and do', async () => {
  const { node, session } = await open();
  await session.addAuth('digest', 'alice:secret');
  await session.create('/mine', 'x', { acl: CREATOR_ALL_ACL });
  await session.create('/readable', 'x', { acl: [...CREATOR_ALL_ACL, ...READ_ACL] });
  const other = await node.openSession();
  const refused = { code: 'NO_AUTH', outcome: 'not-done', path: '/mine' };
  expect(await failure(other.getData('/mine'))).toEqual(refused);
  expect(await failure(other.getChildren('/mine'))).toEqual(refused);
  expect(await failure(other.getAllChildrenNumber('/mine'))).toEqual(refused);
  expect(await failure(other.getAcl('/mine'))).toEqual(refused);
  expect(await failure(other.setData('/mine', ''))).toEqual(refused);
  expect(await other.exists('/mine')).not.toBeNull();
  expect(await other.multiRead([{ type: 'getData', path: '/mine' }])).toMatchObject([{ type: 'error', error: { code: 'NO_AUTH' } }]);
  const shown = async (s: Session) => (await s.getAcl('/readable')).acl.map(({ id }) => id);
  expect(await shown(session)).toEqual(['alice:aYXlLOpEooaV1cRAvUL1fp9Qt7E=', 'anyone']);
  expect(await shown(other)).toEqual(['alice:x', 'anyone']);
  await other.addAuth('digest', Buffer.from('alice:secret'));
  expect((await other.getData('/mine')).text()).toBe('x');
});

test('identities: add up, once each, and show no hashes', async () => {
  const { session } = await open();
  await session.addAuth('digest', 'a:1');
  await session.addAuth('digest', 'b:2');
  await session.addAuth('digest', 'a:1');
  expect(await session.whoAmI()).toEqual([
    { scheme: 'ip', id: '127.0.0.1' },
    { scheme: 'digest', id: 'a' },
    { scheme: 'digest', id: 'b' },
  ]);
});

test('identities: of unknown schemes are refused', async () => {
  const { session } = await open();
  for (const scheme of ['world', 'ip', 'x509']) {
    expect(await failure(session.addAuth(scheme, 'x'))).toEqual({ code: 'AUTH_FAILED', outcome: 'not-done' });
  }
  expect(await failure(session.addAuth('digest', 5 as never))).toMatchObject({ code: 'AUTH_FAILED' });
});

test('identities: the super identity and skipAcl pass everything', async () => {
  const acl = [{ perms: 0, scheme: 'world', id: 'anyone' }];
  const strict = await open({ superDigest: digestId('root:pw') });
  await strict.session.create('/locked', 'x', { acl });
  expect(await failure(strict.session.getData('/locked'))).toMatchObject({ code: 'NO_AUTH' });
  await strict.session.addAuth('digest', 'root:pw');
  expect((await strict.session.getData('/locked')).text()).toBe('x');
  expect(strict.replica.requests.length).toBe(2);
  const lax = await open({ skipAcl: true });
  await lax.session.create('/locked', 'x', { acl });
  expect((await lax.session.getData('/locked')).text()).toBe('x');
});

test('an AbortSignal: stops the waiting, not the write, and leaves no listener behind', async () => {
  const { session, replica } = await open();
  replica.manual();
  const stop = new AbortController();
  const { signal } = stop;
  const added = vi.spyOn(signal, 'addEventListener');
  const removed = vi.spyOn(signal, 'removeEventListener');
  const listeners = () => added.mock.calls.length - removed.mock.calls.length;
  const answered = session.create('/a', null, { signal });
  expect(listeners()).toBe(1);
  replica.step();
  await answered;
  expect(listeners()).toBe(0);
  const write = session.setData('/a', 'x', { signal });
  const read = session.getData('/a', { signal });
  const kept = session.getData('/a');
  stop.abort(new Error('enough'));
  expect(await failure(write)).toEqual({ code: 'ABORTED', outcome: 'unknown', path: '/a' });
  expect(await failure(read)).toEqual({ code: 'ABORTED', outcome: 'not-done', path: '/a' });
  expect((await write.catch((e) => e)).cause).toBe(signal.reason);
  expect(listeners()).toBe(0);
  replica.step();
  expect((await kept).text()).toBe('x');
  expect(await failure(session.create('/b', null, { signal }))).toEqual({ code: 'ABORTED', outcome: 'not-done', path: '/b' });
  expect(replica.jobs).toHaveLength(0);
});
