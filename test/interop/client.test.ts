import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { connect, type Session, type WatchEvent } from '../../src/index.ts';
import { sessionSuite } from '../client/session-suite.ts';
import { eventually, failureOf, within } from '../ensemble/client.ts';
import { type ApacheServer, apacheServer, freePorts, modeOf } from './apache.ts';

/* Our client at Apache ZooKeeper's servers. */

const folders: string[] = [];
function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'zab-client-'));
  folders.push(dir);
  return dir;
}
afterAll(() => {
  for (const dir of folders) rmSync(dir, { recursive: true, force: true });
});

async function standalone(): Promise<ApacheServer> {
  const [clientPort] = await freePorts(1);
  const server = apacheServer({
    dir: folder(),
    clientPort,
    config: { tickTime: 500 },
    properties: { 'zookeeper.extendedTypesEnabled': 'true' },
  });
  await server.start();
  return server;
}

sessionSuite('sessions at Apache ZooKeeper', async () => {
  const server = await standalone();
  return { open: (options) => connect(`127.0.0.1:${server.clientPort}`, options), end: () => server.stop() };
});

sessionSuite('sessions at Apache ZooKeeper, below a znode', async () => {
  const server = await standalone();
  const session = await connect(`127.0.0.1:${server.clientPort}`);
  await session.create('/app');
  await session.close();
  return { open: (options) => connect(`127.0.0.1:${server.clientPort}/app`, options), end: () => server.stop() };
});

describe('an ensemble of Apache ZooKeeper', () => {
  let servers: ApacheServer[] = [];
  let sessions: Session[] = [];
  let list = '';

  beforeAll(async () => {
    const ports = await freePorts(9);
    const members = [0, 1, 2].map((i) => ({ id: i + 1, host: '127.0.0.1', quorumPort: ports[3 * i], electionPort: ports[3 * i + 1] }));
    servers = members.map(({ id }, i) =>
      apacheServer({
        id,
        dir: folder(),
        clientPort: ports[3 * i + 2],
        servers: members,
        config: { tickTime: 500, initLimit: 20, syncLimit: 10 },
        properties: { 'readonlymode.enabled': 'true' },
      }),
    );
    list = servers.map(({ clientPort }) => `127.0.0.1:${clientPort}`).join(',');
    await Promise.all(servers.map((server) => server.start()));
  });
  afterEach(async () => {
    await Promise.all(sessions.map((session) => session.close()));
    sessions = [];
    await Promise.all(servers.filter(({ pid }) => pid === undefined).map((server) => server.start()));
  });
  afterAll(() => Promise.all(servers.map((server) => server.stop())));

  async function open(options: Parameters<typeof connect>[1] = {}, at = list): Promise<Session> {
    await eventually('a leader is elected', async () => (await Promise.all(servers.map(modeOf))).includes('leader'), 60_000);
    const session = await connect(at, { timeout: 8000, ...options });
    sessions.push(session);
    return session;
  }

  /** The server that holds the session's connection. */
  async function serverOf(session: Session): Promise<ApacheServer> {
    for (const server of servers) {
      if (server.pid === undefined) continue;
      const held = await server.fourLetter('cons');
      if (held.includes(`sid=0x${session.id.toString(16)}`)) return server;
    }
    throw new Error('no server has the session');
  }

  test('a killed server: the session goes on at another, with its ephemeral znodes, identities and watches', async () => {
    const session = await open();
    const other = await open();
    await session.addAuth('digest', 'alice:secret');
    await session.create('/move', 'x');
    await session.create('/move/e', null, { mode: 'ephemeral' });
    const seen: string[] = [];
    const note = (event: WatchEvent): void => void seen.push(`${event.type} ${event.path}`);
    await session.getData('/move', { watch: note });
    await session.exists('/move/later', { watch: note });
    await session.getChildren('/move', { watch: note });
    session.watch('/move/stays', note);
    await session.sync();
    const { id } = session;
    const home = await serverOf(session);
    const states: string[] = [];
    session.on('state', (state) => states.push(state));
    await home.stop();
    await eventually('the session goes on', () => states.length === 2 && session.state === 'connected');
    expect([states, session.id.eq(id)]).toEqual([['suspended', 'connected'], true]);
    expect((await serverOf(session)).id).not.toBe(home.id);
    expect(await session.getEphemerals('/move')).toEqual(['/move/e']);
    expect((await session.whoAmI()).map(({ scheme }) => scheme).sort()).toEqual(['digest', 'ip']);
    await eventually('the other session too', () => other.state === 'connected');
    await within('a write', other.setData('/move', 'y'));
    await other.create('/move/later');
    await other.create('/move/stays');
    await session.sync();
    expect(seen.filter((event) => !event.startsWith('overflow'))).toEqual([
      'dataChanged /move',
      'created /move/later',
      'childrenChanged /move',
      'created /move/stays',
    ]);
  });

  test('changes while the client is away: one-shot watches get them, those that stay are told that there may be some', async () => {
    const session = await open();
    await session.create('/away', 'x');
    const seen: string[] = [];
    const note = (event: WatchEvent): void => void seen.push(`${event.type} ${event.path}`);
    await session.getData('/away', { watch: note });
    await session.exists('/away/later', { watch: note });
    session.watch('/away', note, { recursive: true });
    await session.sync();
    const home = await serverOf(session);
    const elsewhere = servers.filter((server) => server !== home);
    const other = await open({}, elsewhere.map(({ clientPort }) => `127.0.0.1:${clientPort}`).join(','));
    // The server stands still: the client notices by itself, and looks for another meanwhile.
    home.signal('SIGSTOP');
    await eventually('it is noticed', () => session.state === 'suspended');
    let done = false;
    while (!done)
      done = await other.setData('/away', 'y').then(
        () => true,
        () => false,
      );
    await other.create('/away/later').catch(() => null);
    await eventually('the session goes on', () => session.state === 'connected');
    await session.sync();
    home.signal('SIGCONT');
    expect(seen).toContain('dataChanged /away');
    expect(seen).toContain('created /away/later');
    expect(seen).toContain('overflow /away');
  });

  test('no quorum: a client that may only read is served what there is, and goes on when there is one again', async () => {
    const session = await open({ readOnly: true });
    await session.create('/ro', 'there');
    await eventually('all have it', async () => (await Promise.all(servers.map((s) => s.fourLetter('mntr')))).length === 3);
    await session.sync();
    const home = await serverOf(session);
    const away = servers.filter((server) => server !== home);
    await Promise.all(away.map((server) => server.stop()));
    await eventually('it is served without a quorum', () => session.state === 'connected' && session.readOnly, 60_000);
    expect((await session.getData('/ro')).text()).toBe('there');
    expect(await failureOf(session.setData('/ro', 'x'))).toEqual({ code: 'NOT_READ_ONLY', outcome: 'not-done' });
    await Promise.all(away.map((server) => server.start()));
    await eventually(
      'there is a quorum again',
      () => !session.readOnly && (session.state === 'connected' || session.state === 'expired'),
      60_000,
    );
    if (session.state === 'connected') expect((await session.setData('/ro', 'x')).version).toBe(1);
  });

  test('no servers at all: the session expires by the client’s own clock', async () => {
    const session = await open({ timeout: 3000 });
    const states: string[] = [];
    session.on('state', (state) => states.push(state));
    await Promise.all(servers.map((server) => server.stop()));
    await eventually('it has expired', () => session.state === 'expired');
    expect(states).toEqual(['suspended', 'expired']);
    expect(await failureOf(session.getData('/'))).toEqual({ code: 'SESSION_EXPIRED', outcome: 'not-done' });
  });
});
