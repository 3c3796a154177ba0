import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { eventually } from '../ensemble/client.ts';
import type { DumpedZnode } from './ledger.ts';

/* The trees of servers of any kind, read over their client ports. */

interface Server {
  readonly id: number;
  readonly kind: string;
  readonly clientPort: number;
}

const run = promisify(execFile);

/** Runs a script of this folder; gives what it prints. */
export async function python(script: string, ...args: string[]): Promise<string> {
  const { stdout } = await run('/usr/bin/python3', [fileURLToPath(new URL(script, import.meta.url)), ...args], { maxBuffer: 1 << 30 });
  return stdout;
}

/** A server's tree by path, as its client interface gives it: every znode as one comparable text. */
export async function dump({ clientPort }: Pick<Server, 'clientPort'>, credential: string): Promise<Map<string, string>> {
  const stdout = await python('dump.py', String(clientPort), credential);
  return new Map(stdout.split('\n').flatMap((line) => (line === '' ? [] : [comparable(line)])));
}

function comparable(line: string): [path: string, text: string] {
  const [path, data, stat, acl] = JSON.parse(line) as [string, string | null, Record<string, string>, DumpedZnode['acl']];
  // Every server writes its configuration into its own tree when it starts: when, is its own affair.
  const mtime = path === '/zookeeper/config' ? '-' : stat.mtime;
  return [
    path,
    JSON.stringify({ path, data: data === null ? null : Buffer.from(data, 'base64').toString(), stat: { ...stat, mtime }, acl }),
  ];
}

/** Paths that only one tree has, or that are not alike. */
function different(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): string[] {
  return [...new Set([...a.keys(), ...b.keys()])].filter((path) => a.get(path) !== b.get(path));
}

/**
 * Waits until the trees of `servers` are equal, and gives it by path; when they don't become equal, fails with what differs. `credential` (user:password) is of somebody who may read all.
 */
export async function equalTrees(servers: readonly Server[], credential: string): Promise<Map<string, DumpedZnode>> {
  let trees: Map<string, string>[] = [];
  let refused: unknown;
  const dumpAll = async (): Promise<boolean> => {
    const found: Map<string, string>[] = [];
    try {
      for (const server of servers) found.push(await dump(server, credential));
    } catch (error) {
      // Somebody is looking for a leader again: that goes by.
      refused = error;
      return false;
    }
    trees = found;
    return trees.every((tree) => different(tree, trees[0]).length === 0);
  };
  await eventually('equal trees', dumpAll, 30_000).catch(() => {});
  if (trees.length === 0) throw new Error('there was never a server that all of it could be read from', { cause: refused });
  for (const [i, tree] of trees.entries()) {
    const paths = different(tree, trees[0]);
    const some = (of: ReadonlyMap<string, string>) => paths.slice(0, 5).map((path) => [path, of.get(path)]);
    const beside = `server ${servers[i].id} (${servers[i].kind}) beside ${servers[0].id} (${servers[0].kind})`;
    expect(some(tree), `${beside}: ${paths.length} differ`).toEqual(some(trees[0]));
  }
  return new Map([...trees[0]].map(([path, text]) => [path, JSON.parse(text) as DumpedZnode]));
}
