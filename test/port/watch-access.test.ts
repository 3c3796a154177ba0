import { afterAll, beforeAll, expect, it } from 'vitest';
import { digestId } from '../../src/index.ts';
import type { RawClient } from '../interop/raw.ts';
import { ok, PortRig } from './rig.ts';

const OPEN = [{ perms: 31, scheme: 'world', id: 'anyone' }];
const ALICES = [{ perms: 31, scheme: 'digest', id: digestId('alice:secret') }];
const create = (path: string, acl = OPEN, flags = 0) => ({ op: 1, path, data: null, acl, flags, ttl: 0 }) as const;
const alice = { op: 100, type: 0, scheme: 'digest', auth: Buffer.from('alice:secret') } as const;

let rig: PortRig;
beforeAll(async () => {
  rig = await PortRig.start({ voters: 1, tickTime: 200 });
});
afterAll(() => rig.end());

/** The events so far, and none is on its way. */
async function events(client: RawClient): Promise<string[]> {
  ok(await client.call({ op: 9, path: '/' }));
  const told = client.frames.flatMap((frame) => (frame.kind === 'event' ? [`${frame.type} ${frame.path}`] : []));
  client.frames.length = 0;
  return told;
}

it('tells nobody of a znode that he may not read (fault 4799)', async () => {
  const [stranger, friend] = [await rig.client(), await rig.client()];
  ok(await friend.call(alice));
  for (const client of [stranger, friend]) {
    ok(await client.call({ op: 106, path: '/', mode: 1 }));
    expect((await client.call({ op: 3, path: '/hers', watch: true })).err).toBe(-101);
  }
  ok(await friend.call(create('/hers', ALICES)));
  ok(await friend.call(create('/hers/open')));
  ok(await friend.call(create('/hers/open/e', ALICES, 1)));
  ok(await friend.call({ op: 5, path: '/hers/open', data: null, version: -1 }));
  ok(await friend.call({ op: 5, path: '/hers', data: null, version: -1 }));
  expect(await events(stranger)).toEqual(['1 /hers/open', '3 /hers/open']);
  expect(await events(friend)).toEqual(['1 /hers', '1 /hers/open', '1 /hers/open/e', '3 /hers/open', '3 /hers']);

  // Identities count as they are when it happens, and so does the list.
  ok(await friend.call({ op: 7, path: '/hers', acl: OPEN, version: -1 }));
  for (const client of [stranger, friend]) ok(await client.call({ op: 8, path: '/hers', watch: true }));
  ok(await friend.call({ op: 7, path: '/hers', acl: ALICES, version: -1 }));
  ok(await friend.call({ op: 2, path: '/hers/open/e', version: -1 }));
  ok(await friend.call({ op: 2, path: '/hers/open', version: -1 }));
  ok(await friend.call(create('/hers/again')));
  expect(await events(stranger)).toEqual(['2 /hers/open', '1 /hers/again']);
  expect(await events(friend)).toEqual(['2 /hers/open/e', '2 /hers/open', '4 /hers', '1 /hers/again']);
  ok(await stranger.call(alice));
  ok(await friend.call({ op: 2, path: '/hers/again', version: -1 }));
  ok(await friend.call({ op: 2, path: '/hers', version: -1 }));
  expect(await events(stranger)).toEqual(['2 /hers/again', '2 /hers']);
});
