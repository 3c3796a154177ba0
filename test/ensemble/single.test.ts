import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loopbackServers } from '../../examples/support/ports.ts';
import {
  createEnsembleNode,
  type EnsembleNode,
  fileStorage,
  MemoryNetwork,
  memoryStorage,
  type NodeOptions,
  systemClock,
  ZabError,
} from '../../src/index.ts';
import { contents, failureOf, within } from './client.ts';

let folder: string;
const made: EnsembleNode[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zab-single-'));
});
afterEach(async () => {
  await Promise.all(made.splice(0).map((node) => node.stop()));
  await rm(folder, { recursive: true, force: true });
});

const make = (options: NodeOptions): EnsembleNode => {
  const node = createEnsembleNode({ tickTime: 100, ...options });
  made.push(node);
  return node;
};

/** Options of a node on free ports with its data in the test's folder. */
const onDisk = async (): Promise<NodeOptions> => ({
  id: 1,
  servers: await loopbackServers(1),
  storage: fileStorage({ dataDir: folder, preAllocSize: 4096 }),
});

const inMemory = (): NodeOptions => {
  const clock = systemClock();
  return {
    id: 1,
    clock,
    servers: [{ id: 1, host: 'memory', quorumPort: 1, electionPort: 2 }],
    transport: new MemoryNetwork(clock).transport(),
    storage: memoryStorage(),
  };
};

/** What `start` of a node that can't start says; `closed` must say the same. */
async function refusal(node: EnsembleNode): Promise<Error> {
  const error = await within('the start fails', node.start()).then(
    () => undefined,
    (reason: unknown) => reason as Error,
  );
  expect(error, 'the start must fail').toBeInstanceOf(Error);
  await expect(within('closed', node.closed)).rejects.toBe(error);
  expect(node.role).toBe('stopped');
  return error as Error;
}

describe.each([
  ['memory', async () => inMemory()],
  ['files', onDisk],
] as const)('one server alone, in %s', (_, options) => {
  test('is an ensemble that keeps its data over restarts', async () => {
    const same = await options();
    let before: string[] = [];
    for (let run = 1; run <= 3; run++) {
      await using node = make(same);
      await within('start', node.start());
      expect([node.role, node.leaderId, node.epoch, node.serving]).toEqual(['leading', 1, run, true]);
      if (run > 1) expect(contents(node)).toEqual(before);
      const session = await node.openSession();
      await Promise.all(Array.from({ length: 50 }, (_, k) => session.create(`/n${run}-${k}`, `${k}`)));
      await session.close();
      expect((await node.sync()).eq(node.tree.lastZxid)).toBe(true);
      before = contents(node);
      // Leaving the block stops the node.
    }
    expect(made.map((node) => node.role)).toEqual(['stopped', 'stopped', 'stopped']);
    expect(before.filter((line) => line.includes('/n')).length).toBe(150);
  });

  test('a write that was acknowledged right before stop() is there afterwards; one under way ends with NODE_STOPPED', async () => {
    const same = await options();
    const node = make(same);
    await node.start();
    const session = await node.openSession();
    await session.create('/last');
    const late = failureOf(session.create('/late'));
    const stopping = node.stop();
    expect(node.stop()).toBeInstanceOf(Promise);
    await within('both stops', Promise.all([stopping, node.stop()]));
    expect(await late).toEqual({ code: 'NODE_STOPPED', outcome: 'unknown' });
    expect(await failureOf(node.start())).toEqual({ code: 'NODE_STOPPED', outcome: 'not-done' });
    await expect(node.closed).resolves.toBeUndefined();
    const again = make(same);
    await again.start();
    expect(again.tree.exists('/last')).toBeDefined();
  });

  test('stop() during start() ends both, and the parts can be used again', async () => {
    const same = await options();
    for (let turns = 0; turns < 8; turns++) {
      const node = make(same);
      const starting = node.start().then(
        () => 'started',
        (error: unknown) => (error instanceof ZabError ? error.code : error),
      );
      for (let k = 0; k < turns; k++) await new Promise((resolve) => setImmediate(resolve));
      await within('stop', node.stop());
      expect(await starting).toBeOneOf(['started', 'NODE_STOPPED']);
      expect(node.role).toBe('stopped');
    }
    const node = make(same);
    await within('start', node.start());
    expect(node.serving).toBe(true);
  });
});

describe('a node that cannot start says why', () => {
  test('a port in use', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const [server] = await loopbackServers(1);
    for (const which of ['quorumPort', 'electionPort'] as const) {
      const error = await refusal(make({ id: 1, servers: [{ ...server, [which]: port }], dataDir: folder }));
      expect(error.message).toContain(`127.0.0.1:${port}`);
      expect(error.message).toContain('EADDRINUSE');
    }
    taken.close();
    // Nothing was left behind that would keep the next one from starting.
    const node = make({ id: 1, servers: [server], dataDir: folder });
    await within('start', node.start());
  });

  test('the data directory of another server', async () => {
    await writeFile(join(folder, 'myid'), '7\n');
    const error = await refusal(make(await onDisk()));
    expect(error.message).toContain(join(folder, 'myid'));
    expect(error.message).toMatch(/server 7\b.* 1$/);
    expect(await readFile(join(folder, 'myid'), 'utf8')).toBe('7\n');
  });

  test('a data directory that is in use', async () => {
    const first = make(await onDisk());
    await first.start();
    const error = await refusal(make(await onDisk()));
    expect(error.message).toContain(folder);
    expect(error.message).toContain(`in use by process ${process.pid}`);
    expect(first.serving).toBe(true);
  });

  test('a log that is damaged in the middle: file and offset are named, nothing is deleted', async () => {
    const options = await onDisk();
    const node = make(options);
    await node.start();
    const session = await node.openSession();
    for (let k = 0; k < 40; k++) await session.create(`/n${k}`, 'x'.repeat(50));
    await node.stop();
    const logs = join(folder, 'version-2');
    const name = (await readdir(logs)).find((file) => file.startsWith('log.')) as string;
    const bytes = await readFile(join(logs, name));
    const at = bytes.indexOf('/n20');
    bytes[at + 1] ^= 0xff;
    await writeFile(join(logs, name), bytes);
    const before = await listing(logs);
    const error = await refusal(make(options));
    expect(error.message).toContain(join(logs, name));
    const offset = Number(/(?:offset|at|byte) (\d+)/.exec(error.message)?.[1]);
    expect(offset, error.message).toBeLessThanOrEqual(at);
    expect(offset, error.message).toBeGreaterThan(at - 200);
    expect(await listing(logs)).toEqual(before);
  });

  test('options out of rule, at once and by name', () => {
    const good = inMemory();
    const bad: [string, Partial<NodeOptions>][] = [
      ['id', { id: 2 }],
      ['tickTime', { tickTime: 0 }],
      ['servers', { servers: [] }],
      ['storage', { storage: {} as never }],
      ['election', { election: 'slow' as never }],
    ];
    for (const [name, part] of bad) {
      expect(() => createEnsembleNode({ ...good, ...part })).toThrow(expect.objectContaining({ code: 'BAD_OPTIONS' }));
      expect(() => createEnsembleNode({ ...good, ...part })).toThrow(`option ${name}`);
    }
    expect(() => createEnsembleNode({ id: good.id, servers: good.servers })).toThrow('option dataDir');
  });
});

test('a standalone server opens no port for others', async () => {
  const taken = [createServer(), createServer()];
  const ports: number[] = [];
  for (const server of taken) {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    ports.push((server.address() as { port: number }).port);
  }
  const [quorumPort, electionPort] = ports;
  const servers = [{ id: 1, host: '127.0.0.1', quorumPort, electionPort }];
  const node = make({ id: 1, servers, standalone: true, dataDir: join(folder, 'data'), dataLogDir: join(folder, 'log') });
  await within('start', node.start());
  const session = await node.openSession();
  await session.create('/a');
  expect(node.tree.getData('/zookeeper/config')?.text()).toBe('');
  expect(await readdir(join(folder, 'log', 'version-2'))).toEqual(['log.100000001']);
  expect((await readdir(join(folder, 'data', 'version-2'))).sort()).toEqual(['acceptedEpoch', 'currentEpoch', 'snapshot.0']);
  for (const server of taken) server.close();
});

test('without extended types there are no znodes with a TTL', async () => {
  const node = make({ ...inMemory(), extendedTypes: false });
  await within('start', node.start());
  const session = await node.openSession();
  expect(await failureOf(session.create('/a', null, { mode: 'persistentTtl', ttl: 1000 }))).toEqual({
    code: 'UNIMPLEMENTED',
    outcome: 'not-done',
  });
  await session.create('/a', null, { mode: 'container' });
});

test('a process that started a node and stopped it ends by itself', async () => {
  const [{ quorumPort, electionPort }] = await loopbackServers(1);
  const script = fileURLToPath(new URL('./children/solo.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', script, folder, String(quorumPort), String(electionPort)], { stdio: 'pipe' });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  let stoppedAt = 0;
  child.stdout.on('data', () => (stoppedAt = performance.now()));
  const [code] = await within('the child ends', once(child, 'close')).finally(() => child.kill('SIGKILL'));
  expect(output).toBe('/a stopped\n');
  expect(code).toBe(0);
  // A timer left by an attempt to connect would hold it for 5 s.
  expect(performance.now() - stoppedAt).toBeLessThan(4000);
  expect(await readdir(folder)).not.toContain('zab-ensemble.lock');
});

/** Names and contents of a folder's files. */
async function listing(path: string): Promise<Record<string, string>> {
  const names = (await readdir(path)).sort();
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(path, name), 'latin1')] as const)));
}
