import type { AclEntry } from './values.ts';

/*
 * ZooKeeper's rules for one request, written down again from PROTOCOL 5, 7, 8 and 9: what a server must answer when the tree has `/h`, `/h/t` and the built-in znodes and nothing else
 * that a case names. Fields are named as in the description of the operations.
 */

export interface Fields {
  readonly path?: string | null;
  readonly acl?: readonly AclEntry[] | null;
  readonly version?: number;
  readonly flags?: number;
  readonly ttl?: bigint;
  readonly kind?: number;
  readonly mode?: number;
}

const OK = 0;
const MARSHALLING = -5;
const BAD_ARGUMENTS = -8;
const NO_NODE = -101;
const NO_AUTH = -102;
const BAD_VERSION = -103;
const NODE_EXISTS = -110;
const NOT_EMPTY = -111;
const INVALID_ACL = -114;
const NO_WATCHER = -121;

const SPECIAL = ['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config'];
const TREE = new Set(['', '/h', '/h/t', ...SPECIAL]);

/** The first code that is not 0. */
const first = (...codes: readonly (number | (() => number))[]): number => {
  for (const code of codes) {
    const err = typeof code === 'number' ? code : code();
    if (err !== OK) return err;
  }
  return OK;
};

const isForbidden = (c: number): boolean => c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0xd800 && c < 0xf900) || c >= 0xfff0;

function isValidPath(path: string): boolean {
  if (path === '/') return true;
  const parts = path.split('/');
  if (parts.shift() !== '' || parts.length === 0) return false;
  if (parts.some((part) => part === '' || part === '.' || part === '..')) return false;
  for (let i = 0; i < path.length; i++) if (isForbidden(path.charCodeAt(i))) return false;
  return true;
}

const isPlausible = (path: string): number => (path.includes('/') && !path.includes('\0') ? OK : BAD_ARGUMENTS);
const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));
const exists = (path: string): number => (TREE.has(path) ? OK : NO_NODE);
const valid = (path: string): number => (isValidPath(path) ? OK : BAD_ARGUMENTS);
const atVersion = (version: number): number => (version === -1 || version === 0 ? OK : BAD_VERSION);

/** Whether an entry can stand in a list of somebody who has proved nothing. */
function isGoodEntry({ scheme, id }: AclEntry): boolean {
  if (scheme === 'world') return id === 'anyone';
  if (scheme === 'digest') return id !== null && id.replace(/:+$/, ':').split(':').length === 2 && /:[^:]/.test(id);
  return scheme === 'ip' && id === '::1/64';
}

const wellFormed = (list: readonly AclEntry[] | null): number =>
  list !== null && list.length > 0 && list.every(isGoodEntry) ? OK : INVALID_ACL;

function mode(op: number, flags: number, ttl: bigint, inMulti: boolean): number {
  if (flags < 0 || flags > 6) return BAD_ARGUMENTS;
  const isTtl = flags === 5 || flags === 6;
  // In a multi a create goes by its flags, as far as they can be had without a TTL.
  if (isTtl ? op !== 21 : op === 21 && !inMulti) return BAD_ARGUMENTS;
  return !isTtl || (ttl > 0n && ttl < 1n << 40n) ? OK : BAD_ARGUMENTS;
}

function create(op: number, { path = null, acl = null, flags = 0, ttl = 0n }: Fields, inMulti: boolean): number {
  if (path === null) return first(mode(op, flags, ttl, inMulti), MARSHALLING);
  const isSequential = flags === 2 || flags === 3 || flags === 6;
  const name = isSequential ? `${path}0000000000` : path;
  return first(
    mode(op, flags, ttl, inMulti),
    isPlausible(path),
    wellFormed(acl),
    exists(parentOf(path)),
    valid(name),
    TREE.has(name) ? NODE_EXISTS : OK,
  );
}

function remove({ path = null, version = -1 }: Fields): number {
  if (path === null) return MARSHALLING;
  return first(
    isPlausible(path),
    SPECIAL.includes(path) ? BAD_ARGUMENTS : OK,
    exists(parentOf(path)),
    exists(path),
    atVersion(version),
    () => (path === '/h' ? NOT_EMPTY : OK),
  );
}

/** Nobody but the super user may write the configuration. */
const mayWrite = (path: string): number => (path === '/zookeeper/config' ? NO_AUTH : OK);

function setData({ path = null, version = -1 }: Fields): number {
  if (path === null) return BAD_ARGUMENTS;
  return first(valid(path), exists(path), mayWrite(path), atVersion(version));
}

function check({ path = null, version = -1 }: Fields): number {
  if (path === null) return BAD_ARGUMENTS;
  return first(valid(path), exists(path), atVersion(version));
}

function setAcl({ path = null, acl = null, version = -1 }: Fields): number {
  if (path === null) return BAD_ARGUMENTS;
  return first(valid(path), wellFormed(acl), exists(path), mayWrite(path), atVersion(version));
}

/** What a server answers to an operation whose fields can be read, by itself or for one that stands in a multi. */
export function rule(op: number, fields: Fields, inMulti: boolean): number {
  const { path = null } = fields;
  if (inMulti && path === null) return MARSHALLING;
  switch (op) {
    case 1:
    case 15:
    case 19:
    case 21:
      return create(op, fields, inMulti);
    case 2:
      return remove(fields);
    case 5:
      return setData(fields);
    case 13:
      return check(fields);
    case 7:
      return setAcl(fields);
    case 3:
      return path === null ? MARSHALLING : first(path.includes('\0') ? BAD_ARGUMENTS : OK, exists(path));
    case 4:
    case 6:
    case 8:
    case 12:
    case 104:
      return path === null ? MARSHALLING : exists(path);
    case 17:
    case 18:
      // 4 and 5 are of versions after 3.8.0 (PROTOCOL 2.3).
      return path === null || ![1, 2, 3, 4, 5].includes(fields.kind ?? 0) ? MARSHALLING : NO_WATCHER;
    case 106:
      return path === null || ![0, 1].includes(fields.mode ?? 0) ? MARSHALLING : OK;
    case 16:
      return -123;
    default:
      return path === null && op === 9 ? MARSHALLING : OK;
  }
}
