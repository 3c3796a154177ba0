import { afterAll, beforeAll, expect, it } from 'vitest';
import { bodyOf } from '../interop/raw.ts';
import { ok, PortRig } from './rig.ts';

const OPEN = [{ perms: 31, scheme: 'world', id: 'anyone' }];
const create = (path: string) => bodyOf({ op: 1, path, data: null, acl: OPEN, flags: 0, ttl: 0 });
const exists = (path: string) => bodyOf({ op: 3, path, watch: true });

let rig: PortRig;
beforeAll(async () => {
  rig = await PortRig.start({ voters: 1, tickTime: 200 });
});
afterAll(() => rig.end());

it("tells a client of a change though another session's watch in the process, and its own last one, have just been spent", async () => {
  await using session = await rig.node(1).openSession();
  const seen: string[] = [];
  expect(await session.exists('/first', { watch: ({ path }) => seen.push(path) })).toBeNull();
  const client = await rig.client();
  // All in one turn: nobody watches any more when the second watch is set.
  const replies = await Promise.all([
    client.send(3, exists('/first'), 1),
    client.send(1, create('/first'), 2),
    client.send(3, exists('/second'), 3),
    client.send(1, create('/second'), 4),
  ]);
  expect(replies.map((reply) => (reply === 'closed' ? reply : reply.err))).toEqual([-101, 0, -101, 0]);
  ok(await client.call({ op: 9, path: '/' }));
  const told = client.frames.map((frame) => (frame.kind === 'event' ? frame.path : frame.xid));
  expect(told.slice(0, 6)).toEqual([1, '/first', 2, 3, '/second', 4]);
  expect(seen).toEqual(['/first']);
});
