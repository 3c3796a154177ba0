import { afterEach, expect, it } from 'vitest';
import type { Storage } from '../../src/index.ts';
import { octetsFromText } from '../../src/util/bytes.ts';
import { eventually } from '../ensemble/client.ts';
import { bodyOf, frameOf, requestOf } from '../interop/raw.ts';
import { ok, PortRig } from './rig.ts';

const OPEN = [{ perms: 31, scheme: 'world', id: 'anyone' }];
const create = (path: string, text: string | null = null) =>
  ({ op: 1, path, data: text === null ? null : octetsFromText(text), acl: OPEN, flags: 0, ttl: 0 }) as const;

let rig: PortRig;
afterEach(() => rig.end());

it('answers a request that is too large with an error, reads over it and goes on', async () => {
  rig = await PortRig.start({ voters: 1, maxRequestBytes: 4096 });
  const client = await rig.client();
  const [before, large, after] = await Promise.all([
    client.call(create('/a')),
    client.send(1, bodyOf(create('/large', 'x'.repeat(100_000))), 50),
    client.call({ op: 3, path: '/a', watch: false }),
  ]);
  expect([ok(before).err, (large as { err: number }).err, ok(after).err]).toEqual([0, -8, 0]);
  expect((await client.call({ op: 3, path: '/large', watch: false })).err).toBe(-101);
  // In pieces, and with the next request in the same piece as its end.
  const payload = frameOf(requestOf(60, 1, new Uint8Array(10_000)));
  const answer = client.expect(60);
  client.write(payload.subarray(0, 9));
  await new Promise((resolve) => setImmediate(resolve));
  client.write(payload.subarray(9, 5000));
  await new Promise((resolve) => setImmediate(resolve));
  client.write(payload.subarray(5000));
  const next = client.ping();
  expect(await answer).toMatchObject({ err: -8 });
  ok(await next);
});

it('closes a connection whose frame can be no request', async () => {
  rig = await PortRig.start({ voters: 1 });
  for (const length of [0, -1, 0x7fffffff]) {
    const client = await rig.client();
    client.write(frameOf(new Uint8Array(8), length));
    await client.closed;
  }
});

it.each([
  ['from one address', { maxClientCnxns: 3 }],
  ['altogether', { maxCnxns: 3 }],
])('takes so many connections %s and no more', async (_, limit) => {
  rig = await PortRig.start({ voters: 1, ...limit });
  const clients = [await rig.client(), await rig.client(), await rig.client()];
  const fourth = await rig.dial();
  await fourth.closed;
  await clients[0].drop();
  await eventually('room for one more', async () => {
    const client = await rig.dial();
    return (await client.hello()) !== 'closed';
  });
  ok(await clients[1].ping());
});

it('reads no more requests than may be under way, and answers all of them', async () => {
  rig = await PortRig.start({ voters: 1, globalOutstandingLimit: 10 });
  const clients = [await rig.client(), await rig.client(), await rig.client()];
  let most = 0;
  const underWay = () => rig.node(1).metrics().clientRequestsUnderWay;
  const look = setInterval(() => (most = Math.max(most, underWay())), 0);
  ok(await clients[0].call(create('/n')));
  const replies = await Promise.all(
    clients.flatMap((client) =>
      Array.from({ length: 500 }, () => client.call({ op: 5, path: '/n', data: octetsFromText('x'), version: -1 })),
    ),
  );
  clearInterval(look);
  for (const reply of replies) ok(reply);
  expect(rig.node(1).tree.exists('/n')?.version).toBe(1500);
  expect(most).toBeLessThanOrEqual(10);
  expect(underWay()).toBe(0);
});

it('gives everybody a turn while one asks for more than may be under way', async () => {
  rig = await PortRig.start({ voters: 1, globalOutstandingLimit: 2 });
  const [greedy, modest] = [await rig.client(), await rig.client()];
  ok(await greedy.call(create('/n')));
  let left = 1000;
  const set = { op: 5, path: '/n', data: octetsFromText('x'), version: -1 } as const;
  const asked = Array.from({ length: left }, () => greedy.call(set).then(() => left--));
  await eventually('some of it is under way', () => left < 1000);
  for (let i = 0; i < 5; i++) {
    ok(await modest.ping());
    ok(await modest.call(set));
  }
  expect(left).toBeGreaterThan(0);
  await Promise.all(asked);
});

it('answers pings and reads at once while writes wait for room', async () => {
  rig = await PortRig.start({ voters: 1, globalOutstandingLimit: 1 });
  const [writer, second, reader, other] = [await rig.client(), await rig.client(), await rig.client(), await rig.client()];
  ok(await writer.call(create('/n')));
  const disk = rig.storages.get(1) as Storage;
  const append = disk.append.bind(disk);
  const held: (() => void)[] = [];
  disk.append = (entries, done) => void held.push(() => append(entries, done));
  let written = 0;
  const set = { op: 5, path: '/n', data: octetsFromText('x'), version: -1 } as const;
  const writes = [writer.call(set).then(() => written++)];
  await eventually('the port is full', () => rig.node(1).metrics().clientRequestsUnderWay === 1 && held.length > 0);
  writes.push(second.call(set).then(() => written++));
  ok(await reader.ping());
  ok(await reader.call({ op: 4, path: '/n', watch: true }));
  // Behind its own write a read must wait, or it could miss it; and a write waits for room.
  const [late, behind] = [reader.call(set), reader.call({ op: 4, path: '/n', watch: false })];
  let answered = false;
  void behind.then(() => (answered = true));
  for (let i = 0; i < 3; i++) ok(await other.ping());
  expect([written, answered, rig.node(1).metrics().clientRequestsUnderWay]).toEqual([0, false, 1]);
  disk.append = append;
  for (const go of held) go();
  await Promise.all(writes);
  ok(await late);
  expect(ok(await behind).err).toBe(0);
  expect(rig.node(1).tree.exists('/n')?.version).toBe(3);
});

it('keeps the sessions of those who wait for room', async () => {
  rig = await PortRig.start({ voters: 1, globalOutstandingLimit: 1, maxSessionTimeout: 60_000 });
  const [writer, second, silent] = [await rig.client(), await rig.client(1, { timeout: 500 }), await rig.client(1, { timeout: 2000 })];
  ok(await writer.call(create('/n')));
  const disk = rig.storages.get(1) as Storage;
  const append = disk.append.bind(disk);
  const held: (() => void)[] = [];
  disk.append = (entries, done) => void held.push(() => append(entries, done));
  const set = { op: 5, path: '/n', data: octetsFromText('x'), version: -1 } as const;
  const first = writer.call(set);
  await eventually('the port is full', () => rig.node(1).metrics().clientRequestsUnderWay === 1 && held.length > 0);
  const late = second.call(set);
  // Four times as long as the other one would have had.
  await silent.closed;
  disk.append = append;
  for (const go of held) go();
  ok(await first);
  ok(await late);
  ok(await second.call({ op: 4, path: '/n', watch: false }));
});

it('lets a client that does not read wait, and nobody else', async () => {
  rig = await PortRig.start({ voters: 1 });
  const [slow, other] = [await rig.client(), await rig.client()];
  const text = 'x'.repeat(500_000);
  ok(await other.call(create('/large', text)));
  slow.pause();
  let answered = 0;
  const asked = Array.from({ length: 200 }, () => slow.call({ op: 4, path: '/large', watch: false }).then(() => answered++));
  const held = () => rig.node(1).metrics().clientBytesToSend;
  await eventually('the server has stopped reading', () => held() > 1_000_000);
  for (let i = 0; i < 20; i++) ok(await other.call({ op: 5, path: '/large', data: octetsFromText(text), version: -1 }));
  // 100 MB are wanted of the server; it holds the little that was over the mark, and one answer.
  expect(held()).toBeLessThan(2_000_000);
  expect(answered).toBe(0);
  slow.resume();
  await Promise.all(asked);
});

it('drops a client that lets its events pile up', async () => {
  rig = await PortRig.start({ voters: 1 });
  const [slow, writer] = [await rig.client(), await rig.client()];
  const path = `/${'p'.repeat(200_000)}`;
  ok(await slow.call({ op: 106, path, mode: 0 }));
  slow.pause();
  ok(await writer.call(create(path)));
  const gone = () => rig.node(1).metrics().clientConnections === 1;
  for (let i = 0; i < 600 && !gone(); i++) ok(await writer.call({ op: 5, path, data: null, version: -1 }));
  expect(gone()).toBe(true);
  slow.resume();
  await slow.closed;
  ok(await writer.ping());
});

it('notices a connection on which nothing is said, and one whose client has gone without a word', async () => {
  rig = await PortRig.start({ voters: 1, tickTime: 100 });
  const mute = await rig.dial();
  const halfOpen = await rig.client(1, { timeout: 400 });
  halfOpen.endWriting();
  await halfOpen.closed;
  await mute.closed;
});
