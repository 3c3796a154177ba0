import {
  ACLS,
  acl,
  BOOLS,
  bool,
  DATA,
  data,
  INTS,
  int,
  LONGS,
  long,
  OPEN,
  PATH_LISTS,
  PATHS,
  pathList,
  text,
  type Value,
  VERSIONS,
} from './values.ts';

/* Every operation of ZooKeeper 3.8 by its fields: a good value for each, and the hostile ones that take its place. */

export interface Field {
  readonly name: string;
  readonly good: Value;
  readonly hostile: readonly Value[];
}

export interface Operation {
  readonly name: string;
  readonly op: number;
  readonly fields: readonly Field[];
  /** Whether it may stand in a multi, or in a multiRead. */
  readonly in?: 'multi' | 'multiRead';
}

const field = (name: string, good: Value, hostile: readonly Value[]): Field => ({ name, good, hostile });

/** A path that is there, and one where a znode can be made. */
const target = field('path', text('/h/t'), PATHS);
const fresh = field('path', text('/h/c'), PATHS);
const watch = field('watch', bool(0), BOOLS);
const version = field('version', int(-1), VERSIONS);
const bytes = field('data', data(new Uint8Array(3), '3 bytes'), DATA);
const list = field('acl', acl([OPEN], 'open'), ACLS);
const flags = (good: number) => field('flags', int(good), INTS);
const paths = (name: string) => field(name, pathList(['/h/t'], 'one path'), PATH_LISTS);
const anyText = (name: string) => field(name, text('x'), PATHS);

const create = [fresh, bytes, list];
const watches = [field('since', long(0n), LONGS), paths('data'), paths('exist'), paths('child')];

export const OPERATIONS: readonly Operation[] = [
  { name: 'create', op: 1, fields: [...create, flags(0)], in: 'multi' },
  { name: 'create2', op: 15, fields: [...create, flags(0)], in: 'multi' },
  { name: 'createContainer', op: 19, fields: [...create, flags(4)], in: 'multi' },
  { name: 'createTTL', op: 21, fields: [...create, flags(5), field('ttl', long(1000n), LONGS)], in: 'multi' },
  { name: 'delete', op: 2, fields: [target, version], in: 'multi' },
  { name: 'setData', op: 5, fields: [target, bytes, version], in: 'multi' },
  { name: 'check', op: 13, fields: [target, version], in: 'multi' },
  { name: 'setACL', op: 7, fields: [target, list, version] },
  { name: 'exists', op: 3, fields: [target, watch] },
  { name: 'getData', op: 4, fields: [target, watch], in: 'multiRead' },
  { name: 'getChildren', op: 8, fields: [target, watch], in: 'multiRead' },
  { name: 'getChildren2', op: 12, fields: [target, watch] },
  { name: 'getACL', op: 6, fields: [target] },
  { name: 'getAllChildrenNumber', op: 104, fields: [target] },
  { name: 'getEphemerals', op: 103, fields: [field('prefix', text('/h'), PATHS)] },
  { name: 'sync', op: 9, fields: [target] },
  { name: 'addWatch', op: 106, fields: [target, field('mode', int(0), INTS)] },
  { name: 'checkWatches', op: 17, fields: [fresh, field('kind', int(1), INTS)] },
  { name: 'removeWatches', op: 18, fields: [fresh, field('kind', int(1), INTS)] },
  { name: 'setWatches', op: 101, fields: watches },
  { name: 'setWatches2', op: 105, fields: [...watches, paths('persistent'), paths('persistentRecursive')] },
  { name: 'whoAmI', op: 107, fields: [] },
  { name: 'ping', op: 11, fields: [] },
  {
    name: 'reconfig',
    op: 16,
    fields: [anyText('joiningServers'), anyText('leavingServers'), anyText('newMembers'), field('curConfigId', long(-1n), LONGS)],
  },
];

const SCHEMES = [null, '', 'world', 'auth', 'super', 'sasl', 'x509', 'ip', 'Digest', 'digest\0', 'digest '].map((scheme) => text(scheme));

export const AUTH_FIELDS: readonly Field[] = [
  field('type', int(0), INTS),
  field('scheme', text('digest'), [...SCHEMES, ...PATHS]),
  field('auth', data(new Uint8Array([0x61, 0x3a, 0x62]), 'a:b'), DATA),
];

/** Operations that are none, or none of a client's. */
export const UNKNOWN_OPS: readonly number[] = [0, 10, 20, 22 + 1, 99, 102, 108, 1000, -1, -2, -10, -12, -0x80000000, 0x7fffffff];
