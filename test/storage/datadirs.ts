import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

/*
 * Data directories that Apache ZooKeeper 3.8.0 has left behind, packed, and what an independent reader found in them.
 */

export const DIRECTORIES = [
  'quorum-leader',
  'quorum-follower',
  'standalone-default',
  'standalone-nodigest',
  'standalone-gz',
  'standalone-snappy',
];

const vector = (name: string): Buffer => readFileSync(fileURLToPath(new URL(`../vectors/datadir/${name}`, import.meta.url)));

export interface DecodedRecord {
  readonly offset: number;
  readonly checksum: string;
  readonly len: number;
  readonly hex: string;
  readonly decoded: { readonly hdr: { readonly zxid: string } };
}
export interface DecodedLog {
  readonly records: readonly DecodedRecord[];
  readonly paddingAt: number;
  readonly fileSize: number;
}
export interface DecodedNode {
  readonly path: string;
  readonly data: string | null;
  readonly acl: string;
  readonly stat: Readonly<Record<string, string | number>>;
}
export interface DecodedSnapshot {
  readonly sessions: readonly { readonly id: string; readonly timeout: number }[];
  readonly aclCache: readonly { readonly key: string; readonly acl: readonly unknown[] }[];
  readonly nodes: readonly DecodedNode[];
  readonly digest?: { readonly zxid: string; readonly digestVersion: number; readonly digest: string };
}

/** What the independent reader found, by file name. */
export function decodedLogs(name: string): [string, DecodedLog][] {
  const decoded = JSON.parse(vector(`${name}.decoded.json`).toString()) as Record<string, unknown>;
  return Object.entries(decoded).filter((pair): pair is [string, DecodedLog] => pair[0].startsWith('log.'));
}
export function decodedSnapshots(name: string): [string, DecodedSnapshot][] {
  const decoded = JSON.parse(vector(`${name}.decoded.json`).toString()) as Record<string, unknown>;
  return Object.entries(decoded).filter((pair): pair is [string, DecodedSnapshot] => pair[0].startsWith('snapshot.'));
}

/** The files of a packed directory, by path inside it (`myid`, `version-2/log.1` ...). */
export function unpack(name: string): Map<string, Buffer> {
  const tar = gunzipSync(vector(`${name}.tar.gz`));
  const files = new Map<string, Buffer>();
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const field = (from: number, length: number): string => tar.toString('latin1', at + from, at + from + length).replace(/\0.*$/s, '');
    const size = Number.parseInt(field(124, 12).trim() || '0', 8);
    const body = tar.subarray(at + 512, at + 512 + size);
    if (field(156, 1) === '0' || field(156, 1) === '') files.set(field(0, 100).replace(/^(?:\.\/)?[^/]*\//, ''), body);
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

/** Writes files under `folder`. */
export function writeFiles(folder: string, files: ReadonlyMap<string, Uint8Array>): void {
  for (const [path, bytes] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  }
}
