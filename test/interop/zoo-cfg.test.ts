import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freePorts } from '../../examples/support/ports.ts';
import { configFromZooCfg, JuteReader, OPEN_ACL, Op } from '../../src/index.ts';
import { ServerProcess } from '../cli/server-process.ts';
import { eventually } from '../ensemble/client.ts';
import { type ApacheServer, apacheServer, ask, modeOf, requirePackages } from './apache.ts';
import { RawClient } from './raw.ts';

/* One configuration file, and one server or the other on it. */

test('the file that the package ships is taken as it is', async () => {
  requirePackages('/etc/zookeeper/conf/zoo.cfg');
  const { options, warnings } = await configFromZooCfg('/etc/zookeeper/conf/zoo.cfg');
  expect(options).toMatchObject({ id: 1, standalone: true, tickTime: 2000, initLimit: 10, syncLimit: 5, clientPort: 2181 });
  expect(warnings).toEqual(['autopurge.purgeInterval is 0: old snapshots and logs are never deleted']);
});

/** Adds a znode and gives the names of all that are there, with what the server tells of its configuration, data and Stat. */
async function visit(port: number, path: string): Promise<{ children: string[]; config: string }> {
  const client = await RawClient.connect(port);
  const made = await client.call({ op: Op.create, path, data: null, acl: OPEN_ACL, flags: 0, ttl: 0 });
  expect(made.err).toBe(0);
  const names = new JuteReader((await client.call({ op: Op.getChildren, path: '/', watch: false })).body);
  const children = Array.from({ length: names.int() }, () => names.string() as string);
  const config = (await client.call({ op: Op.getData, path: '/zookeeper/config', watch: false })).body;
  await client.drop();
  return { children: children.sort(), config: Buffer.from(config).toString('hex') };
}

/** The data without the Stat of 68 bytes, whose time is each server's own. */
const dataOf = (reply: string): string => reply.slice(0, -2 * 68);

test('a standalone server changes hands: the file and both folders are the same, there and back', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'zab-cfg-'));
  const [clientPort] = await freePorts(1);
  const dataLogDir = join(dir, 'log');
  const apache = apacheServer({ dir, clientPort, config: { dataLogDir } });
  const words = async (): Promise<string[]> => [`${await modeOf(apache)}`, await ask(clientPort, 'ruok')];
  try {
    await apache.start();
    const first = await visit(clientPort, '/apache');
    expect(await words()).toEqual(['standalone', 'imok']);
    await apache.stop('SIGTERM');

    await using ours = new ServerProcess(join(dir, 'zoo.cfg'));
    await ours.says(/serving/);
    const second = await visit(clientPort, '/ours');
    expect(second.children).toEqual(['apache', 'ours', 'zookeeper']);
    expect(second.config).toEqual(first.config);
    expect(await words()).toEqual(['standalone', 'imok']);
    expect((await ours.stop('SIGTERM')).code).toBe(0);

    await apache.start();
    const third = await visit(clientPort, '/again');
    expect(third.children).toEqual(['again', 'apache', 'ours', 'zookeeper']);
    expect(readdirSync(join(dataLogDir, 'version-2')).every((name) => name.startsWith('log.'))).toBe(true);
    expect(readdirSync(join(dir, 'data', 'version-2')).some((name) => name.startsWith('log.'))).toBe(false);
  } finally {
    await apache.stop();
    rmSync(dir, { recursive: true, force: true });
  }
});

test('a server takes the place of one of three that run, with its file and its folder', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'zab-cfg-'));
  const ports = await freePorts(9);
  const servers = [0, 1, 2].map((k) => ({ id: k + 1, host: '127.0.0.1', quorumPort: ports[k], electionPort: ports[k + 3] }));
  const apaches = servers.map(({ id }) => apacheServer({ id, dir: join(dir, `${id}`), clientPort: ports[id + 5], servers }));
  const [one, two, three] = apaches;
  // One of them leads: those that a leader has just left may say for a moment longer that they follow.
  const serve = async (...some: ApacheServer[]) => {
    const modes = await Promise.all(some.map(modeOf));
    return modes.every((mode) => mode !== undefined) && modes.includes('leader');
  };
  try {
    await Promise.all(apaches.map((server) => server.start()));
    await eventually('all serve', () => serve(one, two, three), 60_000);
    await visit(three.clientPort, '/before');
    await three.stop('SIGTERM');
    await eventually('the others serve', () => serve(one, two), 60_000);
    await visit(one.clientPort, '/without');

    await using ours = new ServerProcess(join(three.dir, 'zoo.cfg'));
    await ours.says(/serving: following server \d/);
    const here = await visit(three.clientPort, '/ours');
    expect(here.children).toEqual(['before', 'ours', 'without', 'zookeeper']);
    const there = await visit(two.clientPort, '/there');
    expect(there.children).toContain('ours');
    expect(dataOf(here.config)).toBe(dataOf(there.config));
    expect(ours.stderr.match(/WARN {2}\S*zoo\.cfg: .*/g)).toEqual([expect.stringContaining('autopurge.purgeInterval is 0')]);
    expect((await ours.stop('SIGTERM')).code).toBe(0);
  } finally {
    await Promise.all(apaches.map((server) => server.stop()));
    rmSync(dir, { recursive: true, force: true });
  }
});
