import Long from 'long';
import { afterEach, expect, it } from 'vitest';
import { sessionPassword } from '../../src/node/session-id.ts';
import { octetsFromText } from '../../src/util/bytes.ts';
import { eventually } from '../ensemble/client.ts';
import type { RawClient } from '../interop/raw.ts';
import { ok, PortRig } from './rig.ts';

const OPEN = [{ perms: 31, scheme: 'world', id: 'anyone' }];
const create = (path: string) => ({ op: 1, path, data: octetsFromText('x'), acl: OPEN, flags: 0, ttl: 0 }) as const;

let rig: PortRig;
afterEach(() => rig.end());

/** A client of a server that has lost its quorum. */
async function readOnlyClient(id: number, wanted: Parameters<RawClient['hello']>[0] = {}): Promise<RawClient> {
  let client = await rig.dial(id);
  await eventually('a server without a quorum serves', async () => {
    const answer = await client.hello({ readOnly: true, ...wanted });
    if (answer !== 'closed') return true;
    client = await rig.dial(id);
    return false;
  });
  return client;
}

it('serves reads without a quorum to those who ask for it, and nothing else', async () => {
  rig = await PortRig.start({ voters: 3, tickTime: 100, syncLimit: 5, readOnlyMode: true });
  const before = await rig.client(1);
  ok(await before.call(create('/there')));
  await rig.converge();
  await rig.kill(2);
  await rig.kill(3);
  await before.closed;

  const reader = await readOnlyClient(1);
  expect(ok(await reader.call({ op: 4, path: '/there', watch: true })).body.length).toBeGreaterThan(68);
  expect((await reader.call({ op: 4, path: '/not-there', watch: false })).err).toBe(-101);
  for (const request of [
    create('/new'),
    { op: 2, path: '/there', version: -1 } as const,
    { op: 14, ops: [create('/new')] } as const,
    { op: 9, path: '/' } as const,
  ]) {
    expect((await reader.call(request)).err, `operation ${request.op}`).toBe(-119);
  }
  ok(await reader.ping());
  // The session that was there before the quorum was lost goes on, and one that asks for more than reads is sent away.
  const again = await readOnlyClient(1, { sessionId: before.sessionId, password: before.password });
  expect(again.sessionId).toEqual(before.sessionId);
  // It can't know of sessions that others have opened since. Whoever comes with one must not take that for the word that it has expired.
  const newer = Long.fromNumber(0x1234, true);
  const stranger = await rig.dial(1);
  const refusal = await stranger.hello({ readOnly: true, sessionId: newer, password: sessionPassword(newer) });
  expect(refusal).toMatchObject({ timeout: 0, readOnly: true });
  const writer = await rig.dial(1);
  expect(await writer.hello({ readOnly: false })).toBe('closed');
  const old = await rig.dial(1);
  expect(await old.hello({ readOnly: null })).toBe('closed');

  // With a quorum all of them must come again, to a server that does everything.
  await rig.start(2);
  await reader.closed;
  await again.closed;
  await rig.roles();
  const late = await rig.client(1, { readOnly: true });
  ok(await late.call(create('/new')));
}, 60_000);

it('serves nobody without a quorum unless told to', async () => {
  rig = await PortRig.start({ voters: 3, tickTime: 100, syncLimit: 5 });
  const client = await rig.client(1);
  await rig.kill(2);
  await rig.kill(3);
  await client.closed;
  await new Promise((resolve) => setTimeout(resolve, 4000));
  const late = await rig.dial(1);
  expect(await late.hello({ readOnly: true })).toBe('closed');
});
