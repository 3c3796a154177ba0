import { expect, test } from 'vitest';
import { parseConnectString } from '../../src/client/address.ts';
import { Chroot } from '../../src/client/chroot.ts';
import { CreateFlag, Op } from '../../src/model/codes.ts';
import { writeNames } from '../../src/wire/client-replies.ts';
import { failure, Lab } from './fake-servers.ts';

test.each([
  ['a', [['a', 2181]], ''],
  [
    'a:1, b:2 ,c',
    [
      ['a', 1],
      ['b', 2],
      ['c', 2181],
    ],
    '',
  ],
  ['a:1,', [['a', 1]], ''],
  ['127.0.0.1:2181/', [['127.0.0.1', 2181]], ''],
  [
    '[::1]:2182,[fe80::1]/app/one',
    [
      ['::1', 2182],
      ['fe80::1', 2181],
    ],
    '/app/one',
  ],
])('the connect string %s', (text, servers, chroot) => {
  const parsed = parseConnectString(text);
  expect(parsed.servers.map(({ host, port }) => [host, port])).toEqual(servers);
  expect(parsed.chroot).toBe(chroot);
});

test.each(['', ',', '/app', 'a:0', 'a:65536', 'a:x', 'a b:1:2', '::1', '[::1', 'a:1/app/', 'a:1/./x'])('no connect string: %s', (text) => {
  expect(() => parseConnectString(text)).toThrow(expect.objectContaining({ code: 'BAD_OPTIONS' }));
});

test('paths below a root: go out and come back', () => {
  const chroot = new Chroot('/app');
  expect(['/', '', '/a', '/a/b'].map((path) => chroot.toServer(path))).toEqual(['/app', '/app', '/app/a', '/app/a/b']);
  expect(['/app', '/app/a', '/apple', '/', '/x'].map((path) => chroot.toClient(path))).toEqual([
    '/',
    '/a',
    undefined,
    undefined,
    undefined,
  ]);
  expect(() => chroot.toServer('a')).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENTS' }));
  const none = new Chroot('');
  expect(['/', '', 'a'].map((path) => none.toServer(path))).toEqual(['/', '', 'a']);
});

test('requests below a root', () => {
  const chroot = new Chroot('/app');
  const create = { op: Op.create2, path: '/', data: null, acl: [], flags: CreateFlag.persistent, ttl: 0 } as const;
  expect(chroot.request(create).path).toBe('/app');
  for (const flags of [CreateFlag.persistentSequential, CreateFlag.ephemeralSequential, CreateFlag.persistentSequentialTtl]) {
    expect(chroot.request({ ...create, flags }).path).toBe('/app/');
  }
  const remove = { op: Op.delete, path: '/', version: -1 } as const;
  const multi = chroot.request({ op: Op.multi, ops: [create, remove, { op: Op.check, path: '/a', version: 1 }] });
  expect(multi.ops.map(({ path }) => path)).toEqual(['/app', '/', '/app/a']);
  expect(chroot.request({ op: Op.closeSession })).toEqual({ op: Op.closeSession });
});

test('a prefix below a root finds nothing beside it', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session({}, 'a:1/app');
  const found = session.getEphemerals();
  await lab.clock.turn();
  expect(server.last(Op.getEphemerals).record.prefix).toBe('/app');
  server.reply(1, 5, 0, (w) => writeNames(w, ['/app/a', '/apple/b', '/app/c/d']));
  expect(await found).toEqual(['/a', '/c/d']);
  expect(await failure(session.getData('relative'))).toMatchObject({ code: 'BAD_ARGUMENTS', outcome: 'not-done' });
  expect(() => session.watch('relative', () => {})).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENTS' }));
});
