import { afterEach, expect, it } from 'vitest';
import { octetsFromText } from '../../src/util/bytes.ts';
import { eventually } from '../ensemble/client.ts';
import { bodyOf, type RawClient } from '../interop/raw.ts';
import { HostileRig } from './hostile/rig.ts';
import { ok, PortRig } from './rig.ts';

/* Small requests that ask for a lot: what a server does for one client is bounded, and nobody else notices. */

const OPEN = [{ perms: 31, scheme: 'world', id: 'anyone' }];
const create = (path: string, text = '') => ({ op: 1, path, data: octetsFromText(text), acl: OPEN, flags: 0, ttl: 0 }) as const;
const auth = (credential: string) => ({ op: 100, type: 0, scheme: 'digest', auth: Buffer.from(credential) }) as const;
const LARGE = 'x'.repeat(500_000);

let rig: PortRig;
afterEach(() => rig.end());

const proves = (client: RawClient, credential: string) => client.send(100, bodyOf(auth(credential)), -4);

it('a multiRead gathers no more than some megabytes', async () => {
  rig = await PortRig.start({ voters: 1, maxSessionTimeout: 60_000 });
  const client = await rig.client();
  ok(await client.call(create('/large', LARGE)));
  for (let i = 0; i < 300; i++) ok(await client.call(create(`/large/${'n'.repeat(1000)}${i}`)));
  const data = (count: number) => client.call({ op: 22, ops: new Array(count).fill({ op: 4, path: '/large' }) });
  const children = (count: number) => client.call({ op: 22, ops: new Array(count).fill({ op: 8, path: '/large' }) });
  ok(await data(30));
  ok(await children(50));
  expect((await data(40)).err).toBe(-8);
  expect((await data(40_000)).err).toBe(-8);
  expect((await children(40_000)).err).toBe(-8);
});

it('answers to reads that were sent behind a write pile up only so far', async () => {
  rig = await PortRig.start({ voters: 1, maxSessionTimeout: 60_000 });
  const [greedy, other] = [await rig.client(), await rig.client()];
  ok(await greedy.call(create('/large')));
  greedy.pause();
  const write = greedy.call({ op: 5, path: '/large', data: octetsFromText(LARGE), version: -1 });
  write.catch(() => {});
  for (let i = 0; i < 5000; i++) greedy.call({ op: 4, path: '/large', watch: false }).catch(() => {});
  await eventually('the connection is closed', () => rig.node(1).metrics().clientConnections === 1);
  expect(rig.node(1).metrics().clientBytesToSend).toBe(0);
  ok(await other.call({ op: 4, path: '/large', watch: false }));
  greedy.resume();
  await greedy.closed;
});

it('what many clients do not read is bounded for all of them together', async () => {
  rig = await PortRig.start({ voters: 1, maxSessionTimeout: 60_000 });
  const other = await rig.client();
  ok(await other.call(create('/large', LARGE)));
  let most = 0;
  // Each of them alone would be let: 60 answers of half a megabyte to reads behind a write.
  for (let i = 0; i < 12; i++) {
    const greedy = await rig.client();
    greedy.pause();
    greedy.call({ op: 5, path: '/large', data: octetsFromText(LARGE), version: -1 }).catch(() => {});
    for (let k = 0; k < 60; k++) greedy.call({ op: 4, path: '/large', watch: false }).catch(() => {});
    await eventually('its write is answered', () => (rig.node(1).tree.exists('/large')?.version ?? 0) > i);
    most = Math.max(most, rig.node(1).metrics().clientBytesToSend);
  }
  expect(most).toBeGreaterThan(200e6);
  expect(most).toBeLessThan(290e6);
  ok(await other.call({ op: 4, path: '/large', watch: false }));
});

it('nobody proves more identities than travel with a request', async () => {
  rig = await HostileRig.create();
  const { leader, others } = await rig.roles();
  for (const { id } of [leader, ...others]) {
    const client = await rig.client(id);
    for (let i = 1; i < 100; i++) ok(await proves(client, `user${i}:x`));
    // The same once more is nothing new.
    ok(await proves(client, 'user1:x'));
    ok(await client.call(create(`/a${id}`)));
    expect(await proves(client, 'one too many:x')).toMatchObject({ err: -115 });
    await client.closed;
    const long = await rig.client(id);
    ok(await proves(long, `${'u'.repeat(9000)}:x`));
    ok(await long.call(create(`/b${id}`)));
    expect(await proves(long, `${'v'.repeat(1000)}:x`)).toMatchObject({ err: -115 });
  }
});

it('no list grows by identities beyond what a transaction may be', async () => {
  rig = await HostileRig.create();
  const { leader, others } = await rig.roles();
  const epoch = leader.epoch;
  for (const { id } of [leader, ...others]) {
    const client = await rig.client(id);
    for (let i = 1; i < 100; i++) ok(await proves(client, `user${i}:x`));
    const list = (count: number) => Array.from({ length: count }, (_, perms) => ({ perms, scheme: 'auth', id: '' }));
    const op = { op: 1, data: null, flags: 0, ttl: 0 } as const;
    ok(await client.call({ ...op, path: `/few${id}`, acl: list(30) }));
    expect((await client.call({ ...op, path: `/many${id}`, acl: list(30_000) })).err).toBe(-114);
    expect((await client.call({ op: 7, path: `/few${id}`, acl: list(30_000), version: -1 })).err).toBe(-114);
    const ops = Array.from({ length: 10_000 }, (_, i) => ({ ...op, path: `/part${id}-${i}`, acl: list(1) }));
    ok(await client.call({ op: 14, ops }));
    expect((await client.call({ op: 3, path: `/part${id}-0`, watch: false })).err).toBe(-101);
  }
  await rig.converge();
  expect(rig.leader()?.epoch).toBe(epoch);
});
