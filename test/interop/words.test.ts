import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePorts } from '../../examples/support/ports.ts';
import { createEnsembleNode, type EnsembleNode } from '../../src/index.ts';
import { type ApacheServer, apacheClassPath, apacheServer, ask, requirePackages } from './apache.ts';

/* Four-letter words: what ZooKeeper's own tools make of our answers, and how these stand beside those of Apache's server after the same story. */

const SESSION = `
import sys
from kazoo.client import KazooClient
zk = KazooClient('127.0.0.1:%s' % sys.argv[1], timeout=40)
zk.start()
zk.create('/a', b'x')
zk.create('/a/e', b'y', ephemeral=True)
zk.get('/a', watch=print)
zk.exists('/no', watch=print)
zk.get_children('/a', watch=print)
zk.get('/a')
print('ready', flush=True)
for line in sys.stdin:
    if line.strip() == 'version':
        print('.'.join(str(n) for n in zk.server_version()), flush=True)
    elif line.strip() == 'read':
        print(zk.get('/a')[0].decode(), flush=True)
    else:
        print(zk.command(line.strip().encode()).split('\\n')[0], flush=True)
`;

/** A session of kazoo that has done a few things; `ask` has it ask a word, or the version. */
class Kazoo {
  readonly #process;
  readonly #lines;

  constructor(port: number) {
    this.#process = spawn('/usr/bin/python3', ['-c', SESSION, String(port)], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface(this.#process.stdout)[Symbol.asyncIterator]();
  }

  async line(): Promise<string | undefined> {
    return (await this.#lines.next()).value;
  }

  ask(text: string): Promise<string | undefined> {
    this.#process.stdin.write(`${text}\n`);
    return this.line();
  }

  async end(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await gone;
  }
}

let folder: string;
let node: EnsembleNode;
let apache: ApacheServer;
let ports: number[];
const clients: Kazoo[] = [];

beforeAll(async () => {
  requirePackages('/usr/lib/python3/dist-packages/kazoo');
  folder = mkdtempSync(join(tmpdir(), 'zab-words-'));
  ports = await freePorts(4);
  const [own, other, quorumPort, electionPort] = ports;
  node = createEnsembleNode({
    id: 1,
    servers: [{ id: 1, host: '127.0.0.1', quorumPort, electionPort }],
    standalone: true,
    dataDir: join(folder, 'own'),
    clientPort: own,
    fourLetterWords: ['*'],
  });
  apache = apacheServer({ dir: join(folder, 'apache'), clientPort: other });
  await Promise.all([node.start(), apache.start()]);
  for (const port of [own, other]) {
    const client = new Kazoo(port);
    clients.push(client);
    expect(await client.line()).toBe('ready');
  }
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.end()));
  await Promise.all([node?.stop(), apache?.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

it('kazoo asks words, and finds the version out', async () => {
  const [ours, theirs] = clients;
  expect(await ours.ask('version')).toBe('3.8.0');
  expect(await theirs.ask('version')).toBe('3.8.0');
  for (const word of ['ruok', 'isro', 'wchs']) expect(await ours.ask(word)).toBe(await theirs.ask(word));
  expect(await ours.ask('srvr')).toMatch(/^Zookeeper version: 3\.8\.0-zab-ensemble-/);
});

it('ZooKeeper’s own program for words, which its scripts use, gets its answers', async () => {
  const main = 'org.apache.zookeeper.client.FourLetterWordMain';
  for (const [word, answer] of [
    ['srvr', /\nMode: standalone\n/],
    ['conf', /\nserverId=1\n/],
  ] as const) {
    const { stdout } = await promisify(execFile)('java', ['-Xmx64m', '-cp', apacheClassPath, main, '127.0.0.1', String(ports[0]), word]);
    expect(stdout).toMatch(answer);
  }
});

/** The form of an answer: numbers and what is a server's own give way to a mark. */
const formOf = (text: string): string =>
  text
    .replace(/^(Zookeeper version|zookeeper\.version|dataDir|dataLogDir)([:=]).*$/gm, '$1$2 *')
    .replace(/0x[0-9a-f]+/g, '0x*')
    .replace(/ at \w{3} \w{3} \d\d \d\d:\d\d:\d\d \w+ \d{4}/g, ' at *')
    .replace(/\d+/g, '*');

it.each(['srvr', 'stat', 'cons', 'conf', 'dirs', 'dump', 'wchs', 'wchc', 'wchp', 'isro', 'ruok', 'crst', 'srst'])(
  '%s has the form of the answer of Apache’s server',
  async (word) => {
    // A read is the last that both clients have done, not a ping of one of them.
    for (const client of clients) expect(await client.ask('read')).toBe('x');
    const [ours, theirs] = await Promise.all(ports.slice(0, 2).map((port) => ask(port, word)));
    // The order of connections and of sets is nobody's promise, nor who expires together with whom.
    const lines = (text: string): string[] =>
      formOf(text)
        .split('\n')
        .filter((line) => line !== '* expire at *:')
        .sort();
    expect(lines(ours)).toEqual(lines(theirs));
  },
);

it('counts as Apache’s server does', async () => {
  const shown = async (port: number): Promise<Record<string, string>> => {
    const pairs = [...(await ask(port, 'mntr')).matchAll(/^zk_(\w+)\t(.*)$/gm)].map(([, name, value]) => [name, value]);
    const fields: Record<string, string> = Object.fromEntries(pairs);
    const same =
      'server_state znode_count ephemerals_count watch_count global_sessions local_sessions num_alive_connections outstanding_requests approximate_data_size'.split(
        ' ',
      );
    return Object.fromEntries(same.map((name) => [name, fields[name]]));
  };
  const theirs = await shown(ports[1]);
  // Apache's server alone keeps no text of its ensemble; ours has it in /zookeeper/config.
  const config = node.tree.getData('/zookeeper/config')!.text().length;
  expect(await shown(ports[0])).toEqual({ ...theirs, approximate_data_size: String(Number(theirs.approximate_data_size) + config) });
});
