import Long from 'long';
import { expect, test } from 'vitest';
import { Err, EventType, Op } from '../../src/model/codes.ts';
import type { WatchEvent } from '../../src/node/api.ts';
import { writeNames } from '../../src/wire/client-replies.ts';
import { failure, Lab, settled, statBody } from './fake-servers.ts';

const expiredPassword = new Uint8Array(16);

test('calls leave in the order made, in one write per turn, and are answered in that order', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session();
  const { writes } = server;
  const order: string[] = [];
  const calls = [
    session.setData('/a', 'x').then(() => order.push('set')),
    session.exists('/a').then(() => order.push('exists')),
    session.multi([]).then(() => order.push('empty multi')),
    session.sync('/a').then(() => order.push('sync')),
    session.delete('/a').catch((error) => order.push(error.code)),
    session.getAllChildrenNumber('/a').then((count) => order.push(`count ${count}`)),
  ];
  await lab.clock.turn();
  expect(server.writes - writes).toBe(1);
  expect(server.requests.map(({ xid, op }) => [xid, op])).toEqual([
    [1, Op.setData],
    [2, Op.exists],
    [3, Op.sync],
    [4, Op.delete],
    [5, Op.getAllChildrenNumber],
  ]);
  server.reply(1, 5, 0, statBody());
  server.reply(2, 5, 0, statBody());
  server.reply(3, 5, 0, (w) => w.string('/a'));
  server.reply(4, 6, Err.badVersion);
  server.reply(5, 6, 0, (w) => w.int(8));
  await Promise.all(calls);
  expect(order).toEqual(['set', 'exists', 'empty multi', 'sync', 'BAD_VERSION', 'count 8']);
});

test('numbers go on after a reconnect, and answers of the old connection are nobody’s', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session();
  const lost = failure(session.exists('/a'));
  await lab.clock.turn();
  server.close();
  expect(await lost).toMatchObject({ code: 'CONNECTION_LOSS', outcome: 'not-done' });
  const next = await lab.reconnect();
  const call = session.exists('/a');
  await lab.clock.turn();
  // The bytes of a connection that is over may still be on their way up.
  server.client.data(new Uint8Array([0, 0, 0, 16, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0]));
  expect(next.requests.map(({ xid }) => xid)).toEqual([2]);
  next.reply(2, 3, Err.noNode);
  expect(await call).toBeNull();
});

test('a session that somebody else has had: its requests have numbers from elsewhere, so that no late answer to the other is taken for one of its own', async () => {
  const lab = new Lab();
  const resume = { id: Long.fromNumber(77, true), password: new Uint8Array(16).fill(7) };
  const { session, server } = await lab.session({ resume });
  void session.exists('/a');
  void session.exists('/b');
  await lab.clock.turn();
  // Chance takes the highest here.
  expect(server.requests.map(({ xid }) => xid)).toEqual([0x40000000, 0x40000001]);
});

test('a lost connection: what never left surely did not happen, what did nobody knows', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session();
  const sent = failure(session.setData('/a', 'x'));
  await lab.clock.turn();
  const unsent = failure(session.setData('/a', 'y'));
  const local = failure(session.multi([]));
  server.close('ECONNRESET');
  expect(await sent).toMatchObject({ code: 'CONNECTION_LOSS', outcome: 'unknown' });
  expect((await sent).message).toContain('ECONNRESET');
  expect(await unsent).toMatchObject({ code: 'CONNECTION_LOSS', outcome: 'not-done' });
  expect(await local).toMatchObject({ code: 'CONNECTION_LOSS', outcome: 'not-done' });
  for (const call of [
    session.setData('/a', 'z'),
    session.getData('/a'),
    session.sync(),
    session.multi([]),
    session.addAuth('digest', 'a:b'),
  ]) {
    expect(await failure(call)).toMatchObject({ code: 'CONNECTION_LOSS', outcome: 'not-done' });
  }
  const next = await lab.reconnect();
  expect(next.requests).toEqual([]);
});

test('a signal stops waiting; the answer that comes later is dropped', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session();
  const stop = new AbortController();
  const { signal } = stop;
  const write = failure(session.setData('/a', 'x', { signal }));
  const events: WatchEvent[] = [];
  const read = failure(session.exists('/a', { signal, watch: (event) => events.push(event) }));
  const after = session.exists('/a');
  await lab.clock.turn();
  stop.abort();
  expect(await write).toMatchObject({ code: 'ABORTED', outcome: 'unknown' });
  expect(await read).toMatchObject({ code: 'ABORTED', outcome: 'not-done' });
  expect(await failure(session.getData('/a', { signal }))).toMatchObject({ code: 'ABORTED', outcome: 'not-done' });
  server.reply(1, 5, 0, statBody());
  server.reply(2, 5, 0, statBody());
  server.reply(3, 5, 0, statBody(4));
  expect((await after)?.version).toBe(4);
  server.event(EventType.nodeDataChanged, '/a');
  expect(events).toEqual([]);
});

test('limits: calls under way, and the size of a request', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session({ maxOutstanding: 2, maxRequestBytes: 2000 });
  expect(await failure(session.setData('/a', 'x'.repeat(2000)))).toMatchObject({ code: 'BAD_ARGUMENTS', outcome: 'not-done' });
  expect(await failure(session.getData(`/${'x'.repeat(2000)}`, { watch: () => {} }))).toMatchObject({ code: 'BAD_ARGUMENTS' });
  // Header 8, path 6, length 4, version 4.
  const most = session.setData('/a', 'x'.repeat(2000 - 22));
  const second = session.exists('/a');
  expect(await failure(session.exists('/a'))).toMatchObject({ code: 'OVERLOADED', outcome: 'not-done' });
  await lab.clock.turn();
  expect(server.requests.map(({ xid }) => xid)).toEqual([1, 2]);
  server.reply(1, 5, 0, statBody());
  server.reply(2, 5, 0, statBody());
  await Promise.all([most, second]);
});

test.each<[what: string, garbage: (lab: Lab) => void]>([
  ['a frame of a negative length', (lab) => lab.server.raw(new Uint8Array([0xff, 0xff, 0xff, 0xff]))],
  ['an HTTP answer', (lab) => lab.server.raw(new TextEncoder().encode('HTTP/1.1 400 Bad Request\r\n\r\n'))],
  ['a reply over the limit', (lab) => lab.server.raw(new Uint8Array([0, 0x20, 0, 0]))],
  ['an answer to another request', (lab) => lab.server.reply(99, 1, 0, statBody())],
  [
    'an answer to a request that was not made',
    (lab) => {
      lab.server.reply(1, 1, 0, statBody());
      lab.server.reply(2, 1, 0, statBody());
      lab.server.reply(3, 1, 0, statBody());
    },
  ],
  ['a body that is cut off', (lab) => lab.server.reply(1, 1, 0, (w) => w.int(1))],
  ['a header that is cut off', (lab) => lab.server.send((w) => w.int(1))],
  ['an event that is cut off', (lab) => lab.server.reply(-1, 1, 0, (w) => w.int(1))],
])('garbage ends its connection and nothing else: %s', async (_what, garbage) => {
  const lab = new Lab();
  const { session, server, states } = await lab.session({ maxReplyBytes: 1 << 20 });
  const first = session.setData('/a', 'x').catch(() => null);
  const second = session.exists('/a').catch(() => null);
  await lab.clock.turn();
  garbage(lab);
  await lab.clock.turn();
  expect([server.isGone, states]).toEqual([true, ['suspended']]);
  await Promise.all([first, second]);
  await lab.reconnect();
  expect(session.state).toBe('connected');
});

test('garbage before the handshake is answered: the next server is tried', async () => {
  const lab = new Lab();
  const opening = lab.connect('a:1,b:2');
  lab.server.accept();
  lab.server.raw(new Uint8Array([0, 0, 0, 2, 1, 1]));
  await lab.clock.advance(1);
  expect(lab.server.host).toBe('b');
  lab.server.accept();
  lab.server.welcome();
  expect((await opening).state).toBe('connected');
});

test('frames in pieces of any size', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session();
  const calls = [session.getChildren('/a'), session.getChildren('/a')];
  await lab.clock.turn();
  const bytes: number[] = [];
  const raw = server.raw.bind(server);
  server.raw = (chunk) => void bytes.push(...chunk);
  for (const xid of [1, 2]) {
    server.reply(xid, 5, 0, (w) => {
      writeNames(w, ['one', 'two']);
      statBody(xid)(w);
    });
  }
  for (const byte of bytes) {
    const chunk = new Uint8Array([byte]);
    raw(chunk);
    chunk.fill(0xee);
  }
  const results = await Promise.all(calls);
  expect(results.map(({ children, stat }) => [children, stat.version])).toEqual([
    [['one', 'two'], 1],
    [['one', 'two'], 2],
  ]);
});

test('identities: every connection is told of them before anything else', async () => {
  const lab = new Lab();
  const opening = lab.connect('a:1,b:2', { auth: [{ scheme: 'digest', credential: 'a:b' }] });
  lab.server.accept();
  lab.server.welcome();
  await lab.clock.turn();
  expect(lab.server.ops).toEqual([Op.auth]);
  lab.server.reply(-4, 0);
  const session = await opening;
  session.watch('/w', () => {});
  const added = session.addAuth('digest', new TextEncoder().encode('c:d'));
  await lab.clock.turn();
  lab.server.reply(-4, 0);
  await added;
  lab.server.close();
  const next = await lab.reconnect();
  expect(next.ops).toEqual([Op.auth, Op.auth, Op.setWatches2]);
  expect(next.requests.slice(0, 2).map(({ xid, record }) => [xid, record.scheme, new TextDecoder().decode(record.auth)])).toEqual([
    [-4, 'digest', 'a:b'],
    [-4, 'digest', 'c:d'],
  ]);
  // Until the servers know who it is nothing is asked.
  expect(await failure(session.getData('/a'))).toMatchObject({ code: 'CONNECTION_LOSS', outcome: 'not-done' });
  next.reply(-4, 0);
  next.reply(-4, 0);
  expect(session.state).toBe('connected');
});

test('identities: one that is refused at the start ends the opening, one that is refused later on the session', async () => {
  const lab = new Lab();
  const opening = failure(lab.connect('a:1', { auth: [{ scheme: 'bogus', credential: 'x' }] }));
  lab.server.accept();
  lab.server.welcome();
  await lab.clock.turn();
  lab.server.reply(-4, 0, Err.authFailed);
  expect(await opening).toMatchObject({ code: 'AUTH_FAILED' });
  expect(lab.clock.timers.size).toBe(0);

  const { session, server, states } = await lab.session();
  const added = session.addAuth('digest', 'a:b');
  await lab.clock.turn();
  server.reply(-4, 0);
  await added;
  server.close();
  const next = await lab.reconnect();
  next.reply(-4, 0, Err.authFailed);
  await settled();
  expect([states, lab.clock.timers.size]).toEqual([['suspended', 'closed'], 0]);
  expect((await failure(session.getData('/a'))).code).toBe('AUTH_FAILED');
});

test('identities: one that is refused when it is added is forgotten, and the session goes on', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session();
  const added = failure(session.addAuth('bogus', 'x'));
  const lost = failure(session.addAuth('digest', 'a:b'));
  await lab.clock.turn();
  server.reply(-4, 0, Err.authFailed);
  server.close();
  expect(await added).toMatchObject({ code: 'AUTH_FAILED', outcome: 'not-done' });
  expect(await lost).toMatchObject({ code: 'CONNECTION_LOSS', outcome: 'not-done' });
  expect((await lab.reconnect()).ops).toEqual([]);
  expect(session.state).toBe('connected');
});

test('a session that another handle goes on with: final', async () => {
  const lab = new Lab();
  const { session, server, states } = await lab.session();
  const write = failure(session.setData('/a', 'x'));
  const read = failure(session.getData('/a'));
  await lab.clock.turn();
  server.reply(1, 5, Err.sessionMoved);
  expect((await write).code).toBe('SESSION_MOVED');
  expect(await read).toMatchObject({ code: 'SESSION_MOVED', outcome: 'not-done' });
  expect([states, server.isGone, lab.clock.timers.size]).toEqual([['closed'], true, 0]);
});

test('a server without a quorum: taken only when a whole round has found no other', async () => {
  const lab = new Lab();
  const opening = lab.connect('a:1,b:2', { readOnly: true, openTimeout: 60_000 });
  const asked: (boolean | null)[] = [];
  lab.server.accept();
  for (let i = 0; i < 2; i++) {
    asked.push(lab.server.hello!.readOnly);
    lab.server.close();
    await lab.redial();
  }
  expect([...asked, lab.server.hello!.readOnly]).toEqual([false, false, true]);
  lab.server.welcome({ readOnly: true, sessionId: Long.fromNumber(500, true) });
  const session = await opening;
  expect([session.state, session.readOnly]).toEqual(['connected', true]);
  const write = failure(session.setData('/a', 'x'));
  await lab.clock.turn();
  lab.server.reply(1, 5, Err.notReadOnly);
  expect(await write).toMatchObject({ code: 'NOT_READ_ONLY', outcome: 'not-done' });

  // Its id was the server's invention: one with a quorum makes a new session.
  const states: string[] = [];
  session.on('state', (state) => states.push(state));
  const serving = lab.server;
  for (let i = 0; lab.server.word !== 'isro'; i++) {
    expect(i).toBeLessThan(100);
    await lab.clock.advance(10);
    if (lab.server !== serving) lab.server.accept();
  }
  const question = lab.server;
  lab.server.raw(new TextEncoder().encode('r'));
  expect([session.readOnly, question.isGone]).toEqual([true, false]);
  lab.server.raw(new TextEncoder().encode('o'));
  expect([session.readOnly, question.isGone]).toEqual([true, true]);
  const asking = lab.server;
  while (lab.server === asking) await lab.clock.advance(10);
  lab.server.accept();
  const { host } = lab.server;
  lab.server.raw(new TextEncoder().encode('r'));
  lab.server.raw(new TextEncoder().encode('w'));
  const next = await lab.redial();
  expect([next.host, next.hello!.readOnly, next.hello!.sessionId.toString(), serving.isGone]).toEqual([host, false, '0', true]);
  next.welcome({ sessionId: Long.fromNumber(501, true) });
  await lab.clock.turn();
  expect([session.id.toString(), session.readOnly, states]).toEqual(['501', false, ['suspended', 'connected']]);
  await lab.clock.advance(2000);
  expect(lab.open.filter((connection) => connection.word === 'isro')).toEqual([]);
});

test('a server without a quorum: one that does not take the session serves the client as a guest, and the session goes on elsewhere', async () => {
  const lab = new Lab();
  const { session, server, states } = await lab.session({ readOnly: true }, 'a:1');
  server.close();
  (await lab.redial()).close();
  const second = await lab.redial();
  expect([second.hello!.readOnly, second.hello!.sessionId.toString()]).toEqual([true, '77']);
  // It may simply not know yet of the session.
  second.welcome({ timeout: 0, sessionId: Long.UZERO, password: expiredPassword, readOnly: true });
  const third = await lab.redial();
  expect([third.hello!.readOnly, third.hello!.sessionId.toString(), states]).toEqual([true, '0', ['suspended']]);
  third.welcome({ readOnly: true, sessionId: Long.fromNumber(500, true), password: expiredPassword });
  await lab.clock.turn();
  expect([session.id.toString(), session.password[0], session.readOnly, session.state]).toEqual(['77', 7, true, 'connected']);
  third.close();
  const next = await lab.reconnect();
  expect([next.hello!.sessionId.toString(), next.hello!.readOnly, session.readOnly]).toEqual(['77', false, false]);
  expect(states).toEqual(['suspended', 'connected', 'suspended', 'connected']);
});

test('a guest that finds a quorum: asks for its own session', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session({ readOnly: true }, 'a:1,b:2');
  server.close();
  let next = await lab.redial();
  for (let i = 0; !next.hello!.sessionId.isZero(); i++) {
    expect(i).toBeLessThan(10);
    next.close();
    next = await lab.redial();
  }
  next.welcome({ sessionId: Long.fromNumber(500, true) });
  const again = await lab.redial();
  expect([again.host, again.hello!.sessionId.toString(), again.hello!.readOnly, next.isGone]).toEqual([next.host, '77', false, true]);
  again.welcome();
  await lab.clock.turn();
  expect([session.id.toString(), session.state, session.readOnly]).toEqual(['77', 'connected', false]);
});

test('a server without a quorum that is lost: nobody is asked for one any more', async () => {
  const lab = new Lab();
  const { session } = await lab.session({ readOnly: true }, 'a:1');
  lab.server.close();
  (await lab.redial()).close();
  const alone = await lab.redial();
  alone.welcome({ readOnly: true });
  await lab.clock.advance(60);
  const question = lab.server;
  question.accept();
  expect([question.word, session.readOnly]).toEqual(['isro', true]);
  alone.close();
  await lab.clock.turn();
  expect([question.isGone, session.state, session.readOnly]).toEqual([true, 'suspended', false]);
  await lab.reconnect();
  await lab.clock.advance(2900);
  expect(lab.open.filter(({ word }) => word === 'isro')).toEqual([]);
});
