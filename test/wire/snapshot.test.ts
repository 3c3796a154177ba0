import Long from 'long';
import { describe, expect, it } from 'vitest';
import type { SnapshotDigest, SnapshotHead, SnapshotSink, SnapshotSource, ZnodeRecord } from '../../src/model/records.ts';
import { makeZxid, parseZxidHex } from '../../src/model/zxid.ts';
import { SampleSource } from '../../src/testing/storage-kit.ts';
import { octetsToBytes } from '../../src/util/bytes.ts';
import { SnapshotError, SnapshotFileReader, SnapshotFileWriter } from '../../src/wire/snapshot.ts';
import { type DecodedNode, DIRECTORIES, decodedSnapshots, unpack } from '../storage/datadirs.ts';

/** Keeps what it is given, and gives it out again. */
class Kept implements SnapshotSink, SnapshotSource {
  zxid = Long.UZERO;
  head: SnapshotHead = { sessions: [], acls: [] };
  all: ZnodeRecord[] = [];
  ended: SnapshotDigest | null | undefined;
  #at = 0;

  begin(zxid: Long, head: SnapshotHead): void {
    this.zxid = zxid;
    this.head = head;
  }
  nodes(batch: readonly ZnodeRecord[]): void {
    this.all.push(...batch);
  }
  end(digest: SnapshotDigest | null): void {
    this.ended = digest;
  }
  next(limit: number): readonly ZnodeRecord[] {
    this.#at += limit;
    return this.all.slice(this.#at - limit, this.#at);
  }
  digest(): SnapshotDigest | null {
    return this.ended ?? null;
  }
  close(): void {}
}

function read(file: Uint8Array, chunk = 1 << 20, zxid = makeZxid(0, 0)): Kept {
  const kept = new Kept();
  const reader = new SnapshotFileReader(zxid, kept);
  for (let at = 0; at < file.length; at += chunk) reader.push(Uint8Array.from(file.subarray(at, at + chunk)));
  reader.end();
  return kept;
}

function write(source: SnapshotSource, chunkBytes?: number): Buffer {
  const writer = new SnapshotFileWriter(source, chunkBytes);
  const pieces: Buffer[] = [];
  for (let piece = writer.next(); piece !== null; piece = writer.next()) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

function fault(file: Uint8Array): SnapshotError {
  try {
    read(file, 1000);
  } catch (error) {
    if (error instanceof SnapshotError) return error;
    throw error;
  }
  throw new Error('the file was accepted');
}

const hex = (zxid: Long): string => `0x${zxid.toString(16)}`;

/** A znode in the form of the independent reader. */
const shown = (node: ZnodeRecord): DecodedNode => ({
  path: node.path,
  data: node.data === null ? null : Buffer.from(octetsToBytes(node.data)).toString('hex'),
  acl: String(node.aclKey),
  stat: {
    czxid: hex(node.czxid),
    mzxid: hex(node.mzxid),
    ctime: String(node.ctime),
    mtime: String(node.mtime),
    version: node.version,
    cversion: node.cversion,
    aversion: node.aversion,
    ephemeralOwner: hex(node.ephemeralOwner),
    pzxid: hex(node.pzxid),
  },
});

// The snapshots inside gzip are read by the storage's tests.
describe.each(DIRECTORIES.filter((name) => !/gz|snappy/.test(name)))('the snapshots of %s', (directory) => {
  const files = unpack(directory);

  it('are read as the independent reader read them, in chunks of any size, and written again byte for byte', () => {
    const snapshots = decodedSnapshots(directory);
    expect(snapshots.length).toBeGreaterThan(3);
    for (const [name, decoded] of snapshots) {
      const file = files.get(`version-2/${name}`) as Buffer;
      const zxid = parseZxidHex(name.slice('snapshot.'.length)) as Long;
      for (const chunk of [1 << 20, 100, 1]) {
        const kept = read(file, chunk, zxid);
        expect(kept.zxid).toBe(zxid);
        expect(kept.all.map(shown)).toEqual(decoded.nodes);
        expect(kept.head.sessions.map(({ id, timeout }) => ({ id: hex(id), timeout }))).toEqual(decoded.sessions);
        expect(
          kept.head.acls.map(({ key, acl }) => [String(key), acl.map(({ perms, scheme, id }) => ({ perms, id: { scheme, id } }))]),
        ).toEqual(decoded.aclCache.map(({ key, acl }) => [key, acl]));
        const { digest } = decoded;
        const found = kept.ended && { zxid: hex(kept.ended.zxid), digestVersion: kept.ended.version, digest: hex(kept.ended.value) };
        expect(found).toEqual(digest ?? null);
        expect(Buffer.compare(write(kept), file)).toBe(0);
      }
    }
  });
});

describe('a snapshot file', () => {
  const source = () => new SampleSource(makeZxid(2, 5), 300, 100);
  const file = write(source());

  it('is the same whatever the size of its pieces', () => {
    for (const size of [1, 1000, 1 << 20]) expect(Buffer.compare(write(source(), size), file)).toBe(0);
  });

  it('comes in pieces near the size asked for', () => {
    const writer = new SnapshotFileWriter(source(), 5000);
    const sizes: number[] = [];
    for (let piece = writer.next(); piece !== null; piece = writer.next()) sizes.push(piece.length);
    expect(sizes.length).toBeGreaterThan(5);
    // One pull of znodes more than asked for at the most.
    expect(Math.max(...sizes)).toBeLessThan(5000 + 32 * 200);
  });

  it('holds znodes larger than a chunk', () => {
    const large = new SampleSource(makeZxid(1, 1), 7, 300_000);
    const kept = read(write(large), 0x20000);
    expect(kept.all.map((node) => node.data?.length ?? 0)).toEqual([300_000, 300_000, 0, 300_000, 300_000, 0, 300_000]);
  });

  it('is refused as incomplete wherever it is cut off, unless the end looks like a seal', () => {
    for (let size = 0; size < file.length; size += size > file.length - 300 ? 1 : 97) {
      const cut = file.subarray(0, size);
      const looksSealed = size >= 5 && cut.subarray(-5).equals(Buffer.from([0, 0, 0, 1, 0x2f]));
      // Behind the first seal it is a whole file without digest.
      if (size === file.length - 33) expect(read(cut).ended).toBe(null);
      else if (size > file.length - 33) expect(read(cut).all.length).toBe(300);
      else expect([size, fault(cut).incomplete]).toEqual([size, !looksSealed]);
    }
  });

  it('is refused as damaged when any byte has changed', () => {
    for (let at = 0; at < file.length; at += at > file.length - 60 ? 1 : 41) {
      // The dbid in the header means nothing, but the seal covers it as well.
      const damaged = Buffer.from(file);
      damaged[at] ^= 0x10;
      expect([at, fault(damaged).incomplete && at < file.length - 5]).toEqual([at, false]);
    }
  });

  it('may end without a digest block, and may have unknown things behind its last seal', () => {
    const bare = source();
    const plain = write({ zxid: bare.zxid, head: bare.head, next: (n) => bare.next(n), digest: () => null, close() {} });
    expect(plain.length).toBe(file.length - 33);
    expect(read(plain).ended).toBe(null);
    // Newer servers put the last zxid and a third seal there (PROTOCOL 16).
    expect(read(Buffer.concat([file, Buffer.alloc(21, 7)])).ended?.value.low).toBe(5);
    expect(read(Buffer.concat([plain, Buffer.alloc(21, 7)]), 10).ended).toBe(null);
    expect(read(Buffer.concat([file, Buffer.alloc(5000, 7)]), 10).all.length).toBe(300);
  });

  it('of another kind is refused by its header', () => {
    const other = Buffer.from(file);
    other.writeInt32BE(0x5a4b4c47, 0);
    expect(fault(other).message).toMatch(/header/);
    other.writeInt32BE(0x5a4b534e, 0);
    other.writeInt32BE(3, 4);
    expect(fault(other).message).toMatch(/version 3/);
  });
});
