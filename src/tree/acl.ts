import { Perms } from '../model/codes.ts';
import type { Acl, Id } from '../model/records.ts';

/** world:anyone with every permission. */
export const OPEN_ACL: readonly Acl[] = Object.freeze([Object.freeze({ perms: Perms.ALL, scheme: 'world', id: 'anyone' })]);
/** world:anyone may read: the ACL of /zookeeper/config. */
export const READ_ACL: readonly Acl[] = Object.freeze([Object.freeze({ perms: Perms.READ, scheme: 'world', id: 'anyone' })]);

const isWorld = (id: Id): boolean => id.scheme === 'world' && id.id === 'anyone';

/** Whether `acl` is just world:anyone with every permission. */
export const isOpenList = (acl: readonly Acl[]): boolean => acl.length === 1 && acl[0].perms === Perms.ALL && isWorld(acl[0]);

/** The permissions that a list gives to anybody at all. */
export function worldPerms(acl: readonly Acl[]): number {
  let perms = 0;
  for (const entry of acl) if (isWorld(entry)) perms |= entry.perms;
  return perms;
}

/**
 * Whether one of `ids` has a permission of the mask `perm` under `acl` (PROTOCOL 9). An id of scheme `super`, or the digest id `superDigest`, has all.
 * An empty list allows everything, as in ZooKeeper.
 */
export function checkAcl(acl: readonly Acl[], perm: number, ids: readonly Id[], superDigest: string | null = null): boolean {
  if (acl.length === 0 || isSuper(ids, superDigest)) return true;
  for (const entry of acl) {
    if ((entry.perms & perm) === 0) continue;
    if (isWorld(entry)) return true;
    for (const id of ids) {
      if (id.scheme === entry.scheme && matches(entry.scheme, id.id, entry.id)) return true;
    }
  }
  return false;
}

/** Whether `ids` bypass all checks. */
export function isSuper(ids: readonly Id[], superDigest: string | null): boolean {
  for (const id of ids) {
    if (id.scheme === 'super' || (superDigest !== null && id.scheme === 'digest' && id.id === superDigest)) return true;
  }
  return false;
}

function matches(scheme: string, id: string, expression: string): boolean {
  switch (scheme) {
    case 'digest':
    case 'x509':
    case 'sasl':
      return id === expression;
    case 'ip':
      return ipMatches(id, expression);
    default:
      return false;
  }
}

/** How many bytes the entries that take the place of `auth` may add to a transaction. */
export interface AclRoom {
  bytes: number;
}

/**
 * A requested list as it is stored (PROTOCOL 9): duplicates dropped, `auth` replaced by the requester's own ids. Null when the list is not well
 * formed (-114), or when there is no `room` for it. The result shares nothing with `requested`.
 */
export function fixAcl(requested: readonly Acl[] | null, auth: readonly Id[], room?: AclRoom): readonly Acl[] | null {
  if (requested === null || requested.length === 0) return null;
  if (isOpenList(requested)) return OPEN_ACL;
  const out: Acl[] = [];
  const seen = new Set<string>();
  for (const { perms, scheme, id } of requested) {
    const spelling = `${perms} ${scheme.length} ${scheme}${id}`;
    if (seen.has(spelling)) continue;
    seen.add(spelling);
    if (scheme === 'auth') {
      const before = out.length;
      for (const own of auth) {
        if (!provesIdentity(own.scheme)) continue;
        if (room !== undefined && (room.bytes -= 12 + 3 * (own.scheme.length + own.id.length)) < 0) return null;
        out.push({ perms, scheme: own.scheme, id: own.id });
      }
      if (out.length === before) return null;
    } else {
      if (!isValidId(scheme, id)) return null;
      out.push({ perms, scheme, id });
    }
  }
  return out;
}

/** Whether an id of the scheme says who somebody is, not merely from where he comes. */
const provesIdentity = (scheme: string): boolean => scheme === 'digest' || scheme === 'x509' || scheme === 'sasl';

function isValidId(scheme: string, id: string): boolean {
  switch (scheme) {
    case 'world':
      return id === 'anyone';
    case 'digest':
      // Exactly two parts; empty parts at the end do not count as parts.
      return /^[^:]*:[^:]+:*$/.test(id);
    case 'ip':
      return parseNetwork(id) !== null;
    default:
      return false;
  }
}

/** The list as somebody without ADMIN may see it: secrets of digest ids hidden (PROTOCOL 7, getACL). */
export function hideDigests(acl: readonly Acl[]): readonly Acl[] {
  return acl.map((entry) => {
    if (entry.scheme !== 'digest') return entry;
    const colon = entry.id.indexOf(':');
    return { ...entry, id: `${colon === -1 ? entry.id : entry.id.slice(0, colon)}:x` };
  });
}

// ---- scheme ip ----

/** Whether the address `id` lies in the network `address` or `address/bits`. */
export function ipMatches(id: string, expression: string): boolean {
  const network = parseNetwork(expression);
  const address = parseAddress(id);
  if (network === null || address === null || address.length !== network.bytes.length) return false;
  for (let i = 0, left = network.bits; left > 0; i++, left -= 8) {
    const mask = left >= 8 ? 0xff : 0xff & (0xff << (8 - left));
    if (((address[i] ^ network.bytes[i]) & mask) !== 0) return false;
  }
  return true;
}

function parseNetwork(text: string): { bytes: Uint8Array; bits: number } | null {
  const slash = text.indexOf('/');
  const bytes = parseAddress(slash === -1 ? text : text.slice(0, slash));
  if (bytes === null) return null;
  if (slash === -1) return { bytes, bits: bytes.length * 8 };
  const digits = text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(digits) || Number(digits) > bytes.length * 8) return null;
  return { bytes, bits: Number(digits) };
}

/** 4 or 16 bytes; null when `text` is not an address. An IPv4 address in IPv6 form (`::ffff:1.2.3.4`) comes back as IPv4. */
export function parseAddress(text: string): Uint8Array | null {
  return text.includes(':') ? parseV6(text) : parseV4(text);
}

function parseV4(text: string): Uint8Array | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  const out = new Uint8Array(4);
  for (let i = 0; i < 4; i++) {
    if (!/^\d{1,3}$/.test(parts[i]) || Number(parts[i]) > 255) return null;
    out[i] = Number(parts[i]);
  }
  return out;
}

function parseV6(text: string): Uint8Array | null {
  let address = text.includes('%') ? text.slice(0, text.indexOf('%')) : text;
  const tail = address.slice(address.lastIndexOf(':') + 1);
  if (tail.includes('.')) {
    const v4 = parseV4(tail);
    if (v4 === null) return null;
    const hex = (at: number) => ((v4[at] << 8) | v4[at + 1]).toString(16);
    address = `${address.slice(0, address.length - tail.length)}${hex(0)}:${hex(2)}`;
  }
  const halves = address.split('::');
  if (halves.length > 2) return null;
  const head = halves[0] === '' ? [] : halves[0].split(':');
  const rest = halves.length === 1 || halves[1] === '' ? [] : halves[1].split(':');
  const missing = 8 - head.length - rest.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const groups = [...head, ...new Array<string>(missing).fill('0'), ...rest];
  const out = new Uint8Array(16);
  for (let i = 0; i < 8; i++) {
    if (!/^[0-9a-f]{1,4}$/i.test(groups[i])) return null;
    const value = Number.parseInt(groups[i], 16);
    out[2 * i] = value >>> 8;
    out[2 * i + 1] = value;
  }
  const mapped = out.subarray(0, 10).every((b) => b === 0) && out[10] === 0xff && out[11] === 0xff;
  return mapped ? out.slice(12) : out;
}
