import Long from 'long';
import { expect, test } from 'vitest';
import { Err, Op } from '../../src/model/codes.ts';
import { formatZxid, makeZxid } from '../../src/model/zxid.ts';
import { writeReplyHeader } from '../../src/wire/client-replies.ts';
import { failure, isPing, Lab, statBody } from './fake-servers.ts';

const GONE = { timeout: 0, sessionId: Long.UZERO, password: new Uint8Array(16) };

test('opening: says who it is, and takes what the server grants', async () => {
  const lab = new Lab();
  const opening = lab.connect('a:1', { timeout: 12_345 });
  lab.server.accept();
  expect(lab.server.hello).toMatchObject({ protocolVersion: 0, timeout: 12_345, readOnly: false });
  expect([lab.server.hello!.sessionId, lab.server.hello!.lastZxidSeen].map(String)).toEqual(['0', '0']);
  expect([...lab.server.hello!.password!]).toEqual(new Array(16).fill(0));
  lab.server.welcome({ timeout: 6000, sessionId: Long.fromNumber(5, true), password: new Uint8Array(16).fill(9) });
  const session = await opening;
  expect([session.id.toString(), session.timeout, session.state, session.readOnly]).toEqual(['5', 6000, 'connected', false]);
  expect([...session.password]).toEqual(new Array(16).fill(9));
});

test('opening: tries every server, without a pause within a round, and with longer and longer pauses between rounds', async () => {
  const lab = new Lab();
  const opening = lab.connect('a:1,b:2', { openTimeout: 100_000, timeout: 30_000 });
  const dialledAt: [string, number][] = [];
  const start = lab.clock.now();
  for (let i = 0; i < 12; i++) {
    dialledAt.push([lab.server.host, lab.clock.now() - start]);
    const before = lab.sockets.dialled.length;
    lab.server.close('refused');
    while (lab.sockets.dialled.length === before) await lab.clock.advance(1);
  }
  expect(dialledAt.map(([host]) => host).join('')).toBe('abababababab');
  const pauses = dialledAt.slice(1).map(([, at], i) => at - dialledAt[i][1]);
  for (let i = 0; i < pauses.length; i += 2) expect(pauses[i]).toBeLessThanOrEqual(1);
  const between = pauses.filter((_, i) => i % 2 === 1);
  expect(between).toEqual([25, 50, 100, 200, 400].map((ms) => expect.closeTo(ms, -1)));
  lab.server.accept();
  lab.server.welcome();
  await opening;
});

test('opening: gives a server that does not answer up, before or after the connection stands', async () => {
  const lab = new Lab();
  const opening = lab.connect('a:1,b:2,c:3', { connectTimeout: 500 });
  await lab.clock.advance(499);
  expect(lab.sockets.dialled).toHaveLength(1);
  await lab.clock.advance(2);
  expect(lab.sockets.dialled.map(({ host, isGone }) => [host, isGone])).toEqual([
    ['a', true],
    ['b', false],
  ]);
  lab.server.accept();
  await lab.clock.advance(501);
  expect(lab.sockets.dialled).toHaveLength(3);
  lab.server.accept();
  lab.server.welcome();
  expect((await opening).state).toBe('connected');
});

test('opening: ends with what is known when no server was found, and leaves nothing behind', async () => {
  const lab = new Lab();
  const opening = failure(lab.connect('a:1,b:2', { openTimeout: 1000 }));
  lab.server.close('connection refused');
  await lab.clock.advance(2);
  lab.server.accept();
  await lab.clock.advance(1000);
  const { code, message } = await opening;
  expect(code).toBe('CONNECTION_LOSS');
  expect(message).toContain('a:1: connection refused');
  expect([lab.clock.timers.size, lab.open.length]).toEqual([0, 1]);
  // The first was closed by its server.
  expect(lab.open[0].host).toBe('a');
});

test('opening: is given up by its signal, and leaves nothing behind', async () => {
  const lab = new Lab();
  const stop = new AbortController();
  const opening = failure(lab.connect('a:1', { signal: stop.signal }));
  lab.server.accept();
  stop.abort();
  expect(await opening).toMatchObject({ code: 'ABORTED', outcome: 'unknown' });
  expect([lab.clock.timers.size, lab.open.length]).toEqual([0, 0]);
  lab.server.welcome();
  expect(await failure(lab.connect('a:1', { signal: stop.signal }))).toMatchObject({ code: 'ABORTED', outcome: 'not-done' });
});

test('opening: goes on with a session, or says that it has expired', async () => {
  const lab = new Lab();
  const resume = { id: Long.fromNumber(9, true), password: new Uint8Array(16).fill(3) };
  const opening = lab.connect('a:1', { resume });
  lab.server.accept();
  expect([lab.server.hello!.sessionId.toString(), lab.server.hello!.password![0]]).toEqual(['9', 3]);
  lab.server.welcome({ sessionId: resume.id });
  expect((await opening).id.toString()).toBe('9');

  const late = failure(lab.connect('a:1', { resume }));
  lab.server.accept();
  lab.server.welcome(GONE);
  expect(await late).toMatchObject({ code: 'SESSION_EXPIRED', outcome: 'not-done' });
});

test.each([
  ['no server', '', {}],
  ['a port out of range', 'a:70000', {}],
  ['an IPv6 address without brackets', '::1:2181', {}],
  ['a chroot that is no path', 'a:1/b//c', {}],
  ['an openTimeout that is none', 'a:1', { openTimeout: 0 }],
  ['a back-off that shrinks', 'a:1', { backoff: { min: 100, max: 50 } }],
  ['a limit that is none', 'a:1', { maxOutstanding: 1.5 }],
])('opening: is refused with BAD_OPTIONS for %s', async (_what, servers, options) => {
  expect(await failure(new Lab().connect(servers, options))).toMatchObject({ code: 'BAD_OPTIONS' });
});

test('a lost server: the session goes on at the next one, with all that it has seen', async () => {
  const lab = new Lab();
  const { session, server, states } = await lab.session();
  const read = session.exists('/a');
  await lab.clock.turn();
  server.reply(1, 40, 0, statBody());
  await read;
  // Of a transaction whose event has come others may be missing; -1 is no zxid.
  server.event(1, '/x', makeZxid(1, 50));
  const unknown = failure(session.whoAmI());
  await lab.clock.turn();
  server.send((w) => writeReplyHeader(w, 2, Long.fromInt(-1).toUnsigned(), Err.unimplemented));
  await unknown;
  server.close();
  await lab.clock.turn();
  expect(states).toEqual(['suspended']);
  const next = await lab.redial();
  expect(next.host).toBe('b');
  expect(next.hello!.sessionId.toString()).toBe('77');
  expect([...next.hello!.password!]).toEqual(new Array(16).fill(7));
  expect(formatZxid(next.hello!.lastZxidSeen)).toBe(formatZxid(makeZxid(1, 40)));
  next.welcome({ timeout: 6000 });
  await lab.clock.turn();
  expect(states).toEqual(['suspended', 'connected']);
  expect([session.timeout, session.state]).toEqual([6000, 'connected']);
});

test('a lost server: a ping shows how far the server is', async () => {
  const lab = new Lab();
  const { server } = await lab.session();
  await lab.clock.advance(3001);
  expect(server.ops).toEqual([Op.ping]);
  server.reply(-2, 60);
  server.close();
  expect(formatZxid((await lab.redial()).hello!.lastZxidSeen)).toBe(formatZxid(makeZxid(1, 60)));
});

test('a server that takes the session and drops it again and again: is asked ever more slowly', async () => {
  const lab = new Lab();
  const { server } = await lab.session({ timeout: 60_000 }, 'a:1');
  await lab.clock.advance(2000);
  server.close();
  const pauses: number[] = [];
  let lost = lab.clock.now();
  for (let i = 0; i < 8; i++) {
    const before = lab.sockets.dialled.length;
    while (lab.sockets.dialled.length === before) await lab.clock.advance(1);
    pauses.push(Math.round(lab.clock.now() - lost));
    lab.server.accept();
    lab.server.welcome({ timeout: 60_000 });
    await lab.clock.advance(i === 6 ? 1000 : 100);
    lab.server.close();
    lost = lab.clock.now();
  }
  expect(pauses).toEqual([50, 100, 200, 400, 800, 1600, 2000, 50]);
});

test('a short timeout is wanted: a server has a second to answer all the same', async () => {
  const lab = new Lab();
  const opening = lab.connect('a:1', { timeout: 0 });
  lab.server.accept();
  await lab.clock.advance(900);
  lab.server.welcome({ timeout: 4000 });
  expect((await opening).timeout).toBe(4000);
});

test('a quiet connection: pings when nothing was sent for a third of the timeout', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session();
  for (let i = 0; i < 10; i++) {
    await lab.clock.advance(2900);
    void session.exists('/a');
    await lab.clock.turn();
    server.reply(i + 1, 1, 0, statBody());
  }
  expect(server.requests.filter(isPing)).toHaveLength(0);
  await lab.clock.advance(2900);
  expect(server.requests.filter(isPing)).toHaveLength(0);
  await lab.clock.advance(101);
  expect(server.requests.filter(isPing)).toHaveLength(1);
  for (let i = 0; i < 10; i++) {
    server.reply(-2);
    await lab.clock.advance(3001);
  }
  expect(server.requests.filter(isPing)).toHaveLength(11);
  expect(server.isGone).toBe(false);
});

test('a half-open connection: is given up when nothing was heard for two thirds of the timeout', async () => {
  const lab = new Lab();
  const { session, server, states } = await lab.session();
  await lab.clock.advance(5990);
  expect([server.isGone, states]).toEqual([false, []]);
  const write = failure(session.setData('/a', 'x'));
  const read = failure(session.getData('/a'));
  await lab.clock.advance(20);
  expect([server.isGone, states]).toEqual([true, ['suspended']]);
  expect(await write).toMatchObject({ code: 'CONNECTION_LOSS', outcome: 'unknown' });
  expect(await read).toMatchObject({ code: 'CONNECTION_LOSS', outcome: 'not-done' });
  await lab.reconnect();
  expect(session.state).toBe('connected');
});

test('a half-open connection: a process that stood still reads first what has come meanwhile', async () => {
  const lab = new Lab();
  const { server, states } = await lab.session();
  lab.clock.stall(60_000);
  await lab.clock.advance(0);
  expect(server.isGone).toBe(false);
  server.reply(-2);
  await lab.clock.advance(2000);
  expect([server.isGone, states]).toEqual([false, []]);
  lab.clock.stall(60_000);
  await lab.clock.advance(1501);
  expect(server.isGone).toBe(true);
});

test('a partition: the session expires by this clock, 4/3 of the timeout after the last word', async () => {
  const lab = new Lab();
  const { session, server, states } = await lab.session();
  await lab.clock.advance(3001);
  server.reply(-2);
  // Nothing comes any more, and nobody answers.
  await lab.clock.advance(11_990);
  expect(states).toEqual(['suspended']);
  await lab.clock.advance(20);
  expect(states).toEqual(['suspended', 'expired']);
  expect(await failure(session.getData('/a'))).toMatchObject({ code: 'SESSION_EXPIRED', outcome: 'not-done' });
  expect(() => session.watch('/a')).toThrow(/SESSION_EXPIRED/);
  expect([lab.clock.timers.size, lab.open.length]).toEqual([0, 0]);
  await session.close();
});

test('a partition that ends in time: the session goes on', async () => {
  const lab = new Lab();
  const { server, states } = await lab.session();
  server.close();
  await lab.clock.advance(11_800);
  lab.server.accept();
  lab.server.welcome();
  await lab.clock.advance(1000);
  expect(states).toEqual(['suspended', 'connected']);
});

test('an expired session: the servers say so', async () => {
  const lab = new Lab();
  const { session, server, states } = await lab.session();
  server.close();
  const next = await lab.redial();
  next.welcome(GONE);
  await lab.clock.turn();
  expect(states).toEqual(['suspended', 'expired']);
  expect((await failure(session.create('/a'))).code).toBe('SESSION_EXPIRED');
  expect([lab.clock.timers.size, next.isGone]).toEqual([0, true]);
});

test('closing: asks the server, waits for the answer, and leaves nothing behind', async () => {
  const lab = new Lab();
  const { session, server, states } = await lab.session();
  const write = session.setData('/a', 'x');
  const closing = session.close();
  expect(session.close()).toBe(closing);
  expect((await failure(session.getData('/a'))).code).toBe('SESSION_EXPIRED');
  await lab.clock.turn();
  expect(server.ops).toEqual([Op.setData, Op.closeSession]);
  server.reply(1, 5, 0, statBody(3));
  server.reply(2, 6);
  await closing;
  expect((await write).version).toBe(3);
  expect([states, server.isGone, lab.clock.timers.size]).toEqual([['closed'], true, 0]);
  await session.close();
});

test('closing: does not wait for a server that is gone', async () => {
  const lab = new Lab();
  const { session, server, states } = await lab.session();
  const write = failure(session.setData('/a', 'x'));
  const closing = session.close();
  await lab.clock.turn();
  server.close();
  await closing;
  expect(await write).toMatchObject({ code: 'CONNECTION_LOSS', outcome: 'unknown' });
  expect([states, lab.clock.timers.size]).toEqual([['closed'], 0]);

  const other = await lab.session();
  other.server.close();
  await lab.clock.turn();
  await other.session.close();
  expect([other.session.state, lab.clock.timers.size]).toEqual(['closed', 0]);
});
