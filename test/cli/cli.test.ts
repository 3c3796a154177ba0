import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { freePorts, loopbackServers } from '../../examples/support/ports.ts';
import { OPEN_ACL, Op } from '../../src/index.ts';
import { ask } from '../interop/apache.ts';
import { RawClient } from '../interop/raw.ts';
import { run, ServerProcess } from './server-process.ts';

/* The command in processes of its own: from files, over TCP, with signals. */

vi.setConfig({ testTimeout: 120_000 });

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zab-cli-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Writes a configuration file; gives its path. */
async function config(name: string, lines: Readonly<Record<string, string | number>>): Promise<string> {
  const path = join(folder, name);
  const text = Object.entries(lines).map(([key, value]) => `${key}=${value}\n`);
  await writeFile(path, text.join(''));
  return path;
}

const freePort = async (): Promise<number> => (await freePorts(1))[0];

const standalone = async (more: Readonly<Record<string, string | number>> = {}) => {
  const clientPort = await freePort();
  const dataDir = join(folder, `data${clientPort}`);
  return { clientPort, dataDir, file: await config(`${clientPort}.cfg`, { clientPort, dataDir, tickTime: 200, ...more }) };
};

const write = (client: RawClient, path: string) => client.call({ op: Op.create, path, data: null, acl: OPEN_ACL, flags: 0, ttl: 0 });

/** What a process says that has failed or was refused: words, and no stack. */
const PLAIN = /^(?!.*\n +at )/s;

describe('an ensemble of three files', () => {
  const running = new Map<number, ServerProcess>();
  afterAll(async () => {
    for (const server of running.values()) await server[Symbol.asyncDispose]();
  });

  test('forms, serves clients, goes on without its leader and ends by signals', async () => {
    const addresses = await loopbackServers(5);
    const ports = new Map(
      [1, 2, 3].map((id) => [id, [addresses[3].quorumPort, addresses[3].electionPort, addresses[4].quorumPort][id - 1]]),
    );
    const lines = Object.fromEntries(
      addresses
        .slice(0, 3)
        .map(({ id, host, quorumPort, electionPort }) => [
          `server.${id}`,
          `${host}:${quorumPort}:${electionPort};${host}:${ports.get(id)}`,
        ]),
    );
    for (const id of [1, 2, 3]) {
      const dataDir = join(folder, `data${id}`);
      await mkdir(dataDir);
      await writeFile(join(dataDir, 'myid'), `${id}\n`);
      running.set(id, new ServerProcess(await config(`zoo${id}.cfg`, { tickTime: 200, initLimit: 100, syncLimit: 50, dataDir, ...lines })));
    }
    const roles = await Promise.all(
      [...running.values()].map((server) => server.says(/serving: (\w+)(?: server (\d))?, epoch (\d+), clients on (\S+)/)),
    );
    expect(roles.map(([, role]) => role).sort()).toEqual(['following', 'following', 'leading']);
    expect(roles.map(([, , , , clients]) => clients)).toEqual([1, 2, 3].map((id) => `127.0.0.1:${ports.get(id)}`));
    const modes = await Promise.all([...ports.values()].map(async (port) => /^Mode: (.*)$/m.exec(await ask(port, 'srvr'))?.[1]));
    expect(modes).toEqual(roles.map(([, role]) => (role === 'leading' ? 'leader' : 'follower')));
    const leader = roles.findIndex(([, role]) => role === 'leading') + 1;
    const others = [1, 2, 3].filter((id) => id !== leader);

    const client = await RawClient.connect(ports.get(others[0]) as number);
    expect(await write(client, '/a')).toMatchObject({ err: 0 });
    await client.drop();

    for (const id of others) running.get(id)?.forget();
    expect(await running.get(leader)?.stop('SIGKILL')).toMatchObject({ code: null, signal: 'SIGKILL' });
    await Promise.all(others.map((id) => running.get(id)?.says(/serving: /)));
    const again = await RawClient.connect(ports.get(others[1]) as number);
    expect(await again.call({ op: Op.sync, path: '/' })).toMatchObject({ err: 0 });
    expect(await again.call({ op: Op.exists, path: '/a', watch: false })).toMatchObject({ err: 0 });
    await again.drop();

    const [first, second] = others.map((id) => running.get(id) as ServerProcess);
    const ends = [await first.stop('SIGTERM'), await second.stop('SIGINT')];
    expect(ends.map(({ code }) => code)).toEqual([0, 0]);
    expect(ends[0].stdout).toMatch(/INFO {2}stopping: SIGTERM\n.*INFO {2}stopped\n$/s);
    expect(ends[1].stdout).toMatch(/INFO {2}stopping: SIGINT\n.*INFO {2}stopped\n$/s);
  });

  test('a server that waits for the others ends by a signal', async () => {
    const [one, two] = await loopbackServers(2);
    const lines = Object.fromEntries([one, two].map((s) => [`server.${s.id}`, `${s.host}:${s.quorumPort}:${s.electionPort}`]));
    await writeFile(join(folder, 'myid'), '1');
    await using server = new ServerProcess(await config('zoo.cfg', { dataDir: folder, ...lines }));
    await server.says(/now looking/);
    const { code, stdout, stderr } = await server.stop('SIGTERM');
    expect([code, stdout]).toEqual([0, expect.stringMatching(/stopped\n$/)]);
    expect(stderr).toMatch(/^\S+ WARN {2}\S+: autopurge[^\n]*\n\S+ WARN {2}\S+: clientPort is not set: no client can connect\n$/);
  });
});

describe('standalone servers', () => {
  test('two on one machine know nothing of each other; data stay over a restart', async () => {
    const [a, b] = [await standalone(), await standalone({ dataLogDir: join(folder, 'log') })];
    await using first = new ServerProcess(a.file);
    await using second = new ServerProcess(b.file);
    await Promise.all([first, second].map((server) => server.says(/serving: leading, epoch 1,/)));
    const client = await RawClient.connect(b.clientPort);
    expect(await write(client, '/b')).toMatchObject({ err: 0 });
    await client.drop();
    expect(await readdir(join(folder, 'log', 'version-2'))).toEqual(['log.100000001']);
    expect(await readFile(join(b.dataDir, 'myid'), 'utf8')).toBe('1');
    expect((await second.stop('SIGTERM')).code).toBe(0);
    await using third = new ServerProcess(b.file);
    await third.says(/serving: leading, epoch 2,/);
    const later = await RawClient.connect(b.clientPort);
    expect(await later.call({ op: Op.exists, path: '/b', watch: false })).toMatchObject({ err: 0 });
    await later.drop();
  });

  test('each line has time, level and text', async () => {
    const { file } = await standalone();
    await using server = new ServerProcess(file);
    await server.says(/serving/);
    const { stdout, stderr } = await server.stop('SIGTERM');
    for (const line of `${stdout}${stderr}`.trimEnd().split('\n'))
      expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (?:INFO |WARN |ERROR) \S/);
    expect(stdout.split('\n')[0]).toMatch(
      /zab-ensemble \d+\.\d+\.\d+ on Node v\S+, process \d+: server 1, standalone, data in \S+, clients on 0\.0\.0\.0:\d+$/,
    );
  });

  test('a log that nobody reads any more ends nothing', async () => {
    const { file, clientPort } = await standalone();
    await using server = new ServerProcess(file);
    await server.says(/serving/);
    server.process.stdout?.destroy();
    server.process.stderr?.destroy();
    const client = await RawClient.connect(clientPort);
    expect(await write(client, '/a')).toMatchObject({ err: 0 });
    await client.drop();
    expect((await server.stop('SIGTERM')).code).toBe(0);
  });
});

describe('a server that cannot go on says why and ends with 1', () => {
  test('a port in use', async () => {
    const { file, clientPort } = await standalone();
    const taken = createServer().listen(clientPort, '0.0.0.0');
    await once(taken, 'listening');
    const { code, stderr } = await run(file);
    taken.close();
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`ERROR the server has failed: .*EADDRINUSE.*:${clientPort}`));
    expect(stderr).toMatch(PLAIN);
  });

  test('a data directory in use', async () => {
    const { file, dataDir } = await standalone();
    await using first = new ServerProcess(file);
    await first.says(/serving/);
    const { code, stderr } = await run(await config('other.cfg', { dataDir, clientPort: await freePort() }));
    expect(code).toBe(1);
    expect(stderr).toContain(`${dataDir}/zab-ensemble.lock: the data directory is in use by process ${first.process.pid}`);
    expect(stderr).toMatch(PLAIN);
  });

  test('a disk that fails while it serves', async () => {
    const log = join(folder, 'log');
    const { file, clientPort } = await standalone({ dataLogDir: log });
    await using server = new ServerProcess(file);
    await server.says(/serving/);
    // Its first log file is made with the first transaction.
    await rm(log, { recursive: true });
    const client = await RawClient.dial(clientPort);
    await client.hello().catch(() => {});
    const { code, stderr } = await server.ended();
    await client.drop();
    expect(code).toBe(1);
    expect(stderr).toMatch(/ERROR the server has failed: .*ENOENT.*log\.100000001/);
    expect(stderr).toMatch(PLAIN);
  });
});

describe('a configuration in error is told in plain words and ends with 2', () => {
  const SERVERS = { 'server.1': 'a:1:2', 'server.2': 'b:1:2', 'server.3': 'c:1:2' };

  test('several errors, each with its place', async () => {
    const file = await config('bad.cfg', { tickTime: 'x', clientPort: 1, secureClientPort: 2 });
    const { code, stdout, stderr } = await run(file);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toBe(
      `zab-ensemble: ${file}: line 1: tickTime=x: must be a whole number from 1 to 3600000\n` +
        `${file}: line 3: secureClientPort=2: TLS is not offered\n${file}: dataDir: must be set\n`,
    );
  });

  test.each<[string, string | undefined, string]>([
    ['missing', undefined, 'myid: there is no such file in dataDir, which must hold the number of this server'],
    ['no number', 'one\n', 'myid: must be a whole number from 1 to 255, not "one"'],
    ['of another ensemble', '4\n', 'myid: there is no line server.4'],
  ])('myid is %s', async (_, myid, message) => {
    if (myid !== undefined) await writeFile(join(folder, 'myid'), myid);
    const file = await config('zoo.cfg', { dataDir: folder, clientPort: 1, ...SERVERS });
    expect(await run(file)).toEqual({ code: 2, signal: null, stdout: '', stderr: `zab-ensemble: ${file}: ${message}\n` });
    expect(await readdir(folder)).not.toContain('version-2');
  });

  test('what only the options’ own rules forbid', async () => {
    await writeFile(join(folder, 'myid'), '1');
    const file = await config('zoo.cfg', { dataDir: folder, clientPort: 1, ...SERVERS, 'server.2': 'a:1:3' });
    const { code, stderr } = await run(file);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /zab-ensemble: \S+zoo\.cfg: option servers\[1\]\.quorumPort: must differ from servers\[0\]\.quorumPort on the same host, not 1\n$/,
    );
  });

  test('no such file', async () => {
    expect(await run(join(folder, 'none.cfg'))).toMatchObject({
      code: 2,
      stderr: `zab-ensemble: ${folder}/none.cfg: there is no such file\n`,
    });
  });

  test('a folder in place of the file', async () => {
    const { code, stderr } = await run(folder);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^zab-ensemble: \S+: EISDIR/)]);
    expect(stderr).toMatch(PLAIN);
  });
});

describe('the command line', () => {
  test('--check reads the file and starts nothing', async () => {
    const { file, dataDir, clientPort } = await standalone({ 'admin.serverPort': 8080 });
    const { code, stdout, stderr } = await run('--check', file);
    expect([code, stdout]).toEqual([
      0,
      `${file} is in order: server 1, standalone, data in ${dataDir}, clients on 0.0.0.0:${clientPort}\n`,
    ]);
    expect(stderr).toMatch(/WARN {2}\S+: line 4: admin\.serverPort=8080 has no effect: there is no admin server\n/);
    expect(await readdir(folder)).toEqual([`${clientPort}.cfg`]);
  });

  test.each([['--help'], ['-h']])('%s tells how it is used', async (option) => {
    expect(await run(option)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Usage: zab-ensemble .*<zoo\.cfg>/), stderr: '' });
  });

  test('--version', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
    expect(await run('--version')).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  test.each([[[]], [['a', 'b']], [['--bogus', 'a']]])('%j is refused', async (args) => {
    const { code, stdout, stderr } = await run(...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('Usage: zab-ensemble');
    expect(stderr).toMatch(PLAIN);
  });
});
