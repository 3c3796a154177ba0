import Long from 'long';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../ensemble/client.ts';
import { bodyOf, bytesOf, frameOf, type RawClient, requestOf } from '../interop/raw.ts';
import { ok, PortRig } from './rig.ts';

/** A connect request whose password has a length that there is not. */
const badPassword = () =>
  bytesOf((w) => {
    w.int(0);
    w.long(Long.UZERO);
    w.int(1000);
    w.long(Long.UZERO);
    w.int(-2);
  });

let rig: PortRig;
beforeAll(async () => {
  rig = await PortRig.start({ voters: 3, tickTime: 200, maxSessionTimeout: undefined });
});
afterAll(() => rig.end());

it('opens a session in the ensemble before it answers', async () => {
  const client = await rig.client(2, { timeout: 3000 });
  expect(client.timeout).toBe(3000);
  expect(rig.node(2).tree.lastZxid.isZero()).toBe(false);
  expect(client.password).toHaveLength(16);
  // The id says which server made it.
  expect(client.sessionId.shiftRightUnsigned(56).toNumber()).toBe(2);
});

it('grants a timeout within the bounds', async () => {
  expect((await rig.client(1, { timeout: 1 })).timeout).toBe(400);
  expect((await rig.client(1, { timeout: -5 })).timeout).toBe(400);
  expect((await rig.client(1, { timeout: 1_000_000 })).timeout).toBe(4000);
});

it('answers an old client without the byte that it does not know', async () => {
  const client = await rig.dial();
  expect(await client.hello({ readOnly: null })).toMatchObject({ readOnly: null });
  const newer = await rig.dial();
  expect(await newer.hello({ readOnly: true })).toMatchObject({ readOnly: false });
});

it('takes a client without a password', async () => {
  const client = await rig.client(1, { password: null });
  expect(client.password.some((byte) => byte !== 0)).toBe(true);
});

it('turns away a client that has seen more than the server has', async () => {
  const client = await rig.dial();
  expect(await client.hello({ lastZxidSeen: Long.fromString('7fffffff00000000', true, 16) })).toBe('closed');
});

it('lets a client go on at another server, with its watches gone and its old connection told nothing', async () => {
  const first = await rig.client(1);
  ok(await first.call({ op: 1, path: '/moves', data: null, acl: [{ perms: 31, scheme: 'world', id: 'anyone' }], flags: 1, ttl: 0 }));
  const second = await rig.client(3, { sessionId: first.sessionId, password: first.password });
  expect(second.sessionId).toEqual(first.sessionId);
  // The old server learns of it by a write that comes too late, and ends the connection (PROTOCOL 11).
  const late = await first.send(2, bodyOf({ op: 2, path: '/moves', version: -1 }));
  expect(late).toBe('closed');
  expect(ok(await second.call({ op: 3, path: '/moves', watch: false })).body).toHaveLength(68);
});

it('lets a client go on at the same server, and ends its old connection', async () => {
  const first = await rig.client(2);
  const second = await rig.client(2, { sessionId: first.sessionId, password: first.password });
  await first.closed;
  ok(await second.ping());
});

it.each([
  ['a wrong password', (client: RawClient) => ({ sessionId: client.sessionId, password: new Uint8Array(16) })],
  ['no password', (client: RawClient) => ({ sessionId: client.sessionId, password: null })],
  ['a password that is too long', (client: RawClient) => ({ sessionId: client.sessionId, password: new Uint8Array(64) })],
])('refuses %s, and leaves the session and its connection alone', async (_, wanted) => {
  const owner = await rig.client(1);
  const thief = await rig.dial(1);
  const answer = await thief.hello(wanted(owner));
  expect(answer).toMatchObject({ timeout: 0, password: Buffer.alloc(16) });
  await thief.closed;
  ok(await owner.ping());
});

it('refuses a session that was closed, at every server', async () => {
  const owner = await rig.client(1);
  ok(await owner.call({ op: -11 }));
  await owner.closed;
  for (const id of [1, 2, 3]) {
    const late = await rig.dial(id);
    expect(await late.hello({ sessionId: owner.sessionId, password: owner.password })).toMatchObject({ timeout: 0 });
  }
});

it.each([
  ['a length of 0', frameOf(new Uint8Array(0), 0)],
  ['a negative length', frameOf(new Uint8Array(40), -1)],
  ['a length over the limit', frameOf(new Uint8Array(40), 0x100000)],
  ['a frame that is too short', frameOf(new Uint8Array(10))],
  ['a password of negative length', frameOf(badPassword())],
  ['a request for a web page', new TextEncoder().encode('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
])('closes a connection that begins with %s', async (_, bytes) => {
  const client = await rig.dial();
  client.write(bytes);
  await client.closed;
});

it('waits for the rest of a frame that comes byte by byte', async () => {
  const client = await rig.dial();
  const answer = new Promise((resolve) => void client.hello().then(resolve));
  expect(await answer).toMatchObject({ protocolVersion: 0 });
  const ping = frameOf(requestOf(-2, 11, new Uint8Array(0)));
  const pong = client.expect(-2);
  for (const byte of ping) {
    client.write(Uint8Array.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  ok(await pong);
});

it('ends a session whose client is silent, and its connection; pings keep one alive', async () => {
  const silent = await rig.client(2, { timeout: 400 });
  const lively = await rig.client(2, { timeout: 400 });
  ok(await silent.call({ op: 1, path: '/silent', data: null, acl: [{ perms: 31, scheme: 'world', id: 'anyone' }], flags: 1, ttl: 0 }));
  const { leader } = await rig.roles();
  let open = true;
  const beat = (async () => {
    while (open) {
      ok(await lively.ping());
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  await silent.closed;
  await eventually('the ephemeral is gone', () => leader.tree.exists('/silent') === undefined);
  open = false;
  await beat;
  expect(lively.isClosed).toBe(false);
});

it('gives a session to the process when it is resumed there, and back', async () => {
  const client = await rig.client(1);
  const session = await rig.node(1).openSession({ resume: { id: client.sessionId, password: client.password } });
  await client.closed;
  await session.create('/mine', 'x', { mode: 'ephemeral' });
  const again = await rig.client(1, { sessionId: client.sessionId, password: client.password });
  expect(session.state).toBe('closed');
  await expect(session.getData('/mine')).rejects.toMatchObject({ code: 'SESSION_MOVED' });
  ok(await again.call({ op: 4, path: '/mine', watch: false }));
});

it('closes all connections when the server loses its ensemble', async () => {
  const { leader, others } = await rig.roles();
  const clients = await Promise.all([leader, ...others].map((node) => rig.client(node.id)));
  await rig.kill(leader.id);
  await Promise.all(clients.map((client) => client.closed));
  await rig.roles();
  await rig.start(leader.id);
  await rig.roles();
  const late = await rig.client(leader.id, { sessionId: clients[1].sessionId, password: clients[1].password });
  ok(await late.ping());
});
