import { JuteWriter } from '../../../src/wire/jute.ts';

/* What a hostile client may put into a field of a request: the bytes, and what they mean to whoever can read them. */

/** No value at all: the body can't be read. */
export const MALFORMED = Symbol('malformed');

export interface Value {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly means: unknown;
}

export interface AclEntry {
  readonly perms: number;
  readonly scheme: string | null;
  readonly id: string | null;
}

const MIN = -0x80000000;
const MAX = 0x7fffffff;

export function bytesOf(write: (w: JuteWriter) => void): Uint8Array {
  const w = new JuteWriter(64);
  write(w);
  return w.copy();
}

const value = (name: string, means: unknown, write: (w: JuteWriter) => void): Value => ({
  name,
  means,
  bytes: bytesOf(write),
});

// ---- single fields ----

export const int = (n: number, name = String(n)): Value => value(name, n, (w) => w.int(n));
export const long = (n: bigint): Value =>
  value(String(n), n, (w) => {
    w.int(Number(BigInt.asIntN(32, n >> 32n)));
    w.int(Number(BigInt.asIntN(32, n)));
  });
export const bool = (byte: number): Value => value(`byte ${byte}`, byte !== 0, (w) => w.byte(byte));
export const text = (s: string | null, name = JSON.stringify(s)): Value => value(name, s, (w) => w.string(s));
export const data = (bytes: Uint8Array | null, name: string): Value => value(name, bytes, (w) => w.bytes(bytes));

/** A string of bytes that are no UTF-8; what can't be read becomes U+FFFD. */
const rawText = (name: string, ...bytes: number[]): Value =>
  value(name, new TextDecoder().decode(Uint8Array.from(bytes)), (w) => w.bytes(Uint8Array.from(bytes)));

/** A length that no string, buffer or list of this request can have. */
const badLengths = (): Value[] => [
  value('length -2', MALFORMED, (w) => w.int(-2)),
  value('length MIN', MALFORMED, (w) => w.int(MIN)),
  value('length MAX', MALFORMED, (w) => w.int(MAX)),
  value('length above the limit', MALFORMED, (w) => w.int(0x200000)),
  value('length past the end', MALFORMED, (w) => w.int(0xffff)),
];

const SLASH = 0x2f;
const H = 0x68;

/** Paths below and beside `/h`, which exists, as `/h/t` does. */
export const PATHS: readonly Value[] = [
  ...[null, '', '/', 'h', 'h/t', '/h', '/h/', '/h//t', '//', '//h', '/.', '/..', '/h/.', '/h/..', '/h/./t', '/h/t/', '/h/absent/t'].map(
    (s) => text(s),
  ),
  ...['/zookeeper', '/zookeeper/config', '/zookeeper/quota', '/h/\0', '/h\0/t', '/h/\u0001', '/h/\u001f', '/h/\u007f', '/h/\u009f'].map(
    (s) => text(s),
  ),
  ...['/h/\ue000', '/h/\uf8ff', '/h/\ufff0', '/h/\uffff', '/h/\u{1f600}', '\0', '\u0001'].map((s) => text(s)),
  rawText('no UTF-8 at all', SLASH, H, SLASH, 0xff, 0xfe, 0x80),
  rawText('an overlong slash', SLASH, H, 0xc0, 0xaf),
  rawText('half a surrogate pair', SLASH, H, SLASH, 0xed, 0xa0, 0xbd),
  rawText('UTF-8 that is cut off', SLASH, H, SLASH, 0xe6, 0x97),
  text(`/h/${'d/'.repeat(2000)}e`, '2,000 levels'),
  text(`/absent/${'x'.repeat(500_000)}`, '500,000 characters'),
  text(`/h/${'\0'.repeat(500_000)}`, '500,000 NULs'),
  ...badLengths(),
];

export const DATA: readonly Value[] = [
  data(null, 'null'),
  data(new Uint8Array(0), 'empty'),
  data(new Uint8Array(900_000).fill(255), '900,000 bytes'),
  ...badLengths(),
];

export const VERSIONS: readonly Value[] = [-2, MIN, MAX, 1_000_000].map((n) => int(n));
export const INTS: readonly Value[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 100, -1, -2, MIN, MAX].map((n) => int(n));
export const LONGS: readonly Value[] = [0n, 1n, -1n, 1n << 40n, (1n << 40n) - 1n, 1n << 62n, -(1n << 63n), (1n << 63n) - 1n].map(long);
export const BOOLS: readonly Value[] = [2, 128, 255].map(bool);

// ---- lists ----

export const acl = (entries: readonly AclEntry[] | null, name: string): Value =>
  value(name, entries, (w) =>
    w.vector(entries, (to, entry) => {
      to.int(entry.perms);
      to.string(entry.scheme);
      to.string(entry.id);
    }),
  );

export const OPEN: AclEntry = { perms: 31, scheme: 'world', id: 'anyone' };

const entries: readonly (readonly [scheme: string | null, id: string | null])[] = [
  [null, 'anyone'],
  ['world', null],
  [null, null],
  ['', ''],
  ['world', 'everyone'],
  ['digest', 'no colon'],
  ['digest', 'a:b:c'],
  ['digest', ':'],
  ['digest', null],
  ['ip', '1.2.3'],
  ['ip', '1.2.3.4/33'],
  ['ip', '1.2.3.4/-1'],
  ['ip', '::1/64'],
  ['ip', null],
  ['auth', null],
  ['auth', ''],
  ['super', 'x'],
  ['sasl', 'x'],
  ['x509', 'CN=x'],
  ['nobody', 'x'],
];

/** A list that claims `count` entries and has one. */
const claims = (count: number): Value =>
  value(`${count} entries claimed`, MALFORMED, (w) => {
    w.int(count);
    w.int(31);
    w.string('world');
    w.string('anyone');
  });

export const ACLS: readonly Value[] = [
  acl(null, 'null'),
  acl([], 'empty'),
  ...entries.map(([scheme, id]) => acl([{ perms: 31, scheme, id }], `${scheme}:${id}`)),
  ...entries.slice(0, 5).map(([scheme, id]) => acl([OPEN, { perms: 31, scheme, id }], `open and ${scheme}:${id}`)),
  ...[0, 32, -1, MIN, MAX].map((perms) => acl([OPEN, { ...OPEN, perms }], `open and permissions ${perms}`)),
  acl(
    Array.from({ length: 30_000 }, (_, i) => ({ ...OPEN, perms: 32 * i })),
    '30,000 different entries',
  ),
  acl(
    Array.from({ length: 30_000 }, () => OPEN),
    '30,000 equal entries',
  ),
  claims(MAX),
  claims(1000),
  ...badLengths(),
];

export const pathList = (paths: readonly (string | null)[] | null, name: string): Value =>
  value(name, paths, (w) => w.vector(paths, (to, path) => to.string(path)));

export const PATH_LISTS: readonly Value[] = [
  pathList(null, 'null'),
  pathList([null], 'one null path'),
  pathList(['/h/t', null], 'a path and a null path'),
  pathList(['', '/', 'h', '//', '/h/\0', '/h/../h'], 'paths that no znode has'),
  pathList(
    Array.from({ length: 50_000 }, (_, i) => `/h/${i}`),
    '50,000 paths',
  ),
  pathList(
    Array.from({ length: 50_000 }, () => '/h/t'),
    '50,000 times one path',
  ),
  ...badLengths(),
];
