import { afterAll, beforeAll, expect, it } from 'vitest';
import { JuteReader } from '../../src/index.ts';
import type { MultiOp } from '../../src/model/records.ts';
import { octetsFromText } from '../../src/util/bytes.ts';
import { readMultiResults, readStat } from '../../src/wire/client-replies.ts';
import { bodyOf, type RawClient, type RawFrame } from '../interop/raw.ts';
import { ok, PortRig } from './rig.ts';

const OPEN = [{ perms: 31, scheme: 'world', id: 'anyone' }];
const create = (path: string, flags = 0) => ({ op: 1, path, data: null, acl: OPEN, flags, ttl: 0 }) as const;
const setData = (path: string, text: string) => ({ op: 5, path, data: octetsFromText(text), version: -1 }) as const;

type Role = 'leader' | 'follower';

let rig: PortRig;
beforeAll(async () => {
  rig = await PortRig.start({ voters: 3, tickTime: 200 });
});
afterAll(() => rig.end());

const told = (frames: readonly RawFrame[]) =>
  frames.map((frame) => (frame.kind === 'event' ? `event ${frame.type} ${frame.path}` : `reply ${frame.xid}`));

/** Sends everything at once, in one write. */
const burst = (client: RawClient, requests: readonly (readonly [xid: number, op: number, body: Uint8Array])[]) =>
  Promise.all(requests.map(([xid, op, body]) => client.send(op, body, xid)));

/** The id of a server in that role. */
async function serverOf(role: Role): Promise<number> {
  const { leader, others } = await rig.roles();
  return role === 'leader' ? leader.id : others[0].id;
}

const at = it.each<Role>(['leader', 'follower']);
at('at a %s: answers in the order asked, reads, writes, syncs and pings mixed, and a read sees the writes before it', async (role) => {
  const client = await rig.client(await serverOf(role));
  const path = `/order-${role}`;
  const replies = await burst(client, [
    [1, 1, bodyOf(create(path))],
    [2, 5, bodyOf(setData(path, 'a'))],
    [3, 4, bodyOf({ op: 4, path, watch: false })],
    [-2, 11, new Uint8Array(0)],
    [5, 9, bodyOf({ op: 9, path })],
    [6, 5, bodyOf(setData(path, 'b'))],
    [7, 3, bodyOf({ op: 3, path, watch: false })],
    [8, 2, bodyOf({ op: 2, path: '/nowhere', version: -1 })],
    [9, 4, bodyOf({ op: 4, path, watch: false })],
  ]);
  expect(told(client.frames)).toEqual([1, 2, 3, -2, 5, 6, 7, 8, 9].map((xid) => `reply ${xid}`));
  expect(replies.map((reply) => ok0(reply))).toEqual([0, 0, 0, 0, 0, 0, 0, -101, 0]);
  const data = (at: number) => new JuteReader((replies[at] as { body: Uint8Array }).body).octets();
  expect([data(2), data(8)]).toEqual(['a', 'b']);
  // A write's reply has its own zxid, any other the last that the server has applied.
  const zxids = replies.map((reply) => (reply as { zxid: { toString(): string } }).zxid.toString());
  expect(zxids[2]).toBe(zxids[1]);
  expect(readStat(new JuteReader((replies[6] as { body: Uint8Array }).body)).mzxid.toString()).toBe(zxids[5]);
});

at('at a %s: shows nobody his own later write, behind a sync too', async (role) => {
  const client = await rig.client(await serverOf(role));
  const path = `/later-${role}`;
  ok(await client.call(create(path)));
  for (let i = 0; i < 20; i++) {
    ok(await client.call(setData(path, 'before')));
    client.frames.length = 0;
    const [, read, , write] = await Promise.all([
      client.call({ op: 9, path }),
      client.call({ op: 4, path, watch: true }),
      client.call({ op: 3, path: '/', watch: false }),
      client.call(setData(path, 'after')),
    ]);
    expect(new JuteReader(ok(read).body).octets()).toBe('before');
    expect(told(client.frames).at(-2)).toBe(`event 3 ${path}`);
    expect(read.zxid.toNumber()).toBe(write.zxid.toNumber() - 1);
  }
});

at('at a %s: tells of a change before it shows the change', async (role) => {
  const client = await rig.client(await serverOf(role));
  const path = `/watched-${role}`;
  ok(await client.call(create(path)));
  ok(await client.call({ op: 4, path, watch: true }));
  ok(await client.call({ op: 12, path, watch: true }));
  client.frames.length = 0;
  await burst(client, [
    [11, 5, bodyOf(setData(path, 'x'))],
    [12, 1, bodyOf(create(`${path}/child`))],
    [13, 4, bodyOf({ op: 4, path, watch: false })],
    [14, 5, bodyOf(setData(path, 'not watched any more'))],
  ]);
  expect(told(client.frames)).toEqual([`event 3 ${path}`, 'reply 11', `event 4 ${path}`, 'reply 12', 'reply 13', 'reply 14']);
});

at('at a %s: tells somebody else of a change before it shows it to him', async (role) => {
  const id = await serverOf(role);
  const [watcher, writer] = [await rig.client(id), await rig.client(id)];
  const path = `/others-${role}`;
  ok(await writer.call(create(path)));
  ok(await watcher.call({ op: 3, path, watch: true }));
  let shown = false;
  const writing = writer.call(setData(path, 'x')).then(() => (shown = true));
  while (!shown || watcher.frames.every((frame) => frame.kind === 'reply')) {
    const reply = ok(await watcher.call({ op: 4, path, watch: false }));
    const sees = new JuteReader(reply.body).octets() === 'x';
    expect(watcher.frames.some((frame) => frame.kind === 'event')).toBe(sees);
  }
  await writing;
});

at('at a %s: answers a multi part by part, and applies all of it or nothing', async (role) => {
  const client = await rig.client(await serverOf(role));
  const path = `/multi-${role}`;
  const good: MultiOp[] = [create(path), { ...create(`${path}/c`), op: 19, flags: 4 }, setData(path, 'x'), { op: 13, path, version: 1 }];
  const done = readMultiResults(new JuteReader(ok(await client.call({ op: 14, ops: good })).body));
  expect(done.map(({ type, err, path: at }) => [type, err, at])).toEqual([
    [1, 0, path],
    [15, 0, `${path}/c`],
    [5, 0, null],
    [13, 0, null],
  ]);
  const failed = ok(await client.call({ op: 14, ops: [create(`${path}/d`), { op: 2, path, version: 99 }, setData(path, 'y')] }));
  expect(readMultiResults(new JuteReader(failed.body)).map(({ err }) => err)).toEqual([0, -103, -2]);
  expect((await client.call({ op: 3, path: `${path}/d`, watch: false })).err).toBe(-101);
  expect(
    (
      await client.call({
        op: 22,
        ops: [
          { op: 4, path },
          { op: 8, path: '/none' },
        ],
      })
    ).err,
  ).toBe(0);
});

at('at a %s: answers a sync with its path, after what was committed elsewhere', async (role) => {
  const { leader, others } = await rig.roles();
  const [here, there] = role === 'leader' ? [leader.id, others[0].id] : [others[0].id, leader.id];
  const [reader, writer] = [await rig.client(here), await rig.client(there)];
  const path = `/sync-${role}`;
  for (let i = 0; i < 20; i++) {
    ok(await writer.call(i === 0 ? create(path) : setData(path, String(i))));
    const synced = reader.call({ op: 9, path });
    const read = reader.call({ op: 4, path, watch: false });
    expect(new JuteReader(ok(await synced).body).text()).toBe(path);
    expect(new JuteReader(ok(await read).body).octets()).toBe(i === 0 ? null : String(i));
  }
});

at('at a %s: replies to closeSession, then closes, and drops what was asked behind it', async (role) => {
  const client = await rig.client(await serverOf(role));
  const path = `/gone-${role}`;
  ok(await client.call(create(path, 1)));
  client.frames.length = 0;
  await burst(client, [
    [21, -11, new Uint8Array(0)],
    [22, 5, bodyOf(setData(path, 'late'))],
  ]);
  await client.closed;
  expect(told(client.frames)).toEqual(['reply 21']);
  const other = await rig.client(await serverOf(role));
  expect((await other.call({ op: 3, path, watch: false })).err).toBe(-101);
});
function ok0(reply: Awaited<ReturnType<RawClient['send']>>): number | string {
  return reply === 'closed' ? reply : reply.err;
}
