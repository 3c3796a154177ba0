import { Perms } from '../../../src/model/codes.ts';
import type { Acl, Id } from '../../../src/model/records.ts';
import { OPEN_ACL } from '../../../src/tree/acl.ts';
import { digestId } from '../../../src/tree/sha1.ts';
import { type Octets, octetsFromText } from '../../../src/util/bytes.ts';

/* What the requests of a differential run are made of. */

export const USERS = ['alice:secret', 'bob:hush', 'carol:mum'] as const;
/** Who may do everything; the servers are configured with its digest. */
export const SUPER = 'root:toor';
export const SUPER_DIGEST = digestId(SUPER);

const digest = (user: string, perms: number): Acl => ({ perms, scheme: 'digest', id: digestId(user) });
const world = (perms: number): Acl => ({ perms, scheme: 'world', id: 'anyone' });

export const GOOD_ACLS: readonly (readonly Acl[])[] = [
  OPEN_ACL,
  [world(Perms.READ)],
  [world(Perms.ALL & ~Perms.DELETE)],
  [world(Perms.READ | Perms.CREATE), digest('alice:secret', Perms.ALL)],
  [digest('alice:secret', Perms.ALL), digest('bob:hush', Perms.READ | Perms.WRITE)],
  [digest('bob:hush', Perms.ALL), digest('bob:hush', Perms.ALL)],
  [world(Perms.WRITE), world(Perms.WRITE), digest('carol:mum', Perms.ADMIN), world(Perms.CREATE)],
  [{ perms: Perms.ALL, scheme: 'auth', id: '' }],
  [{ perms: Perms.READ, scheme: 'auth', id: 'whatever' }, world(Perms.ALL)],
  [{ perms: Perms.ALL, scheme: 'ip', id: '127.0.0.1' }],
  [{ perms: Perms.ALL, scheme: 'ip', id: '127.0.0.0/8' }, digest('alice:secret', Perms.ADMIN)],
  [{ perms: Perms.ALL, scheme: 'ip', id: '10.0.0.0/8' }, world(Perms.READ)],
  [world(0), digest('alice:secret', Perms.ALL)],
  [world(32), world(Perms.READ)],
  [world(-1)],
];

export const BAD_ACLS: readonly (readonly Acl[] | null)[] = [
  null,
  [],
  [{ perms: Perms.ALL, scheme: 'world', id: 'foo' }],
  [{ perms: Perms.ALL, scheme: 'world', id: '' }],
  [{ perms: Perms.ALL, scheme: 'digest', id: 'nocolon' }],
  [{ perms: Perms.ALL, scheme: 'digest', id: 'a:b:c' }],
  [{ perms: Perms.ALL, scheme: 'ip', id: '300.1.1.1' }],
  [{ perms: Perms.ALL, scheme: 'ip', id: '1.2.3.4/33' }],
  [{ perms: Perms.ALL, scheme: 'ip', id: 'localhost' }],
  [{ perms: Perms.ALL, scheme: 'nope', id: 'x' }],
  [{ perms: Perms.ALL, scheme: '', id: '' }],
  [...OPEN_ACL, { perms: Perms.ALL, scheme: 'sasl', id: 'x' }],
];

export const NAMES = ['a', 'b', 'c', 'd', 'a.b', '...', 'é', '日本'] as const;

/** Paths that no znode can have. */
export const BAD_PATHS = [
  '',
  'a',
  'a/b',
  '/a/',
  '//',
  '//a',
  '/a//b',
  '/.',
  '/..',
  '/a/..',
  '/a/./b',
  '/\u0000',
  '/a/b\u0000c',
  '/a\u0001',
  '/\u007f',
  '/\u009f',
  '/\ue000',
  '/\uf8ff',
  '/\ufff0',
  '/😀',
] as const;

export const BUILT_IN = ['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/foo', '/zookeeper/quota/a', '/zookeeper/quota/a/b'] as const;

export const CREDENTIALS: readonly Id[] = USERS.map((id) => ({ scheme: 'digest', id }));

export const DATA: readonly (Octets | null)[] = [
  null,
  '' as Octets,
  octetsFromText('x'),
  octetsFromText('some text'),
  octetsFromText('日本'),
  'y'.repeat(1000) as Octets,
  '\x00\xff\x80' as Octets,
];

export const QUOTAS: readonly Octets[] = [
  'count=0,bytes=0',
  'count=5,bytes=100',
  'count=2,bytes=10=;byteHardLimit=-1;countHardLimit=-1',
].map(octetsFromText);
