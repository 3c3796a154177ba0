import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { freePorts } from '../../examples/support/ports.ts';
import { connect, type Session, type WatchEvent } from '../../src/index.ts';
import { sessionSuite } from '../client/session-suite.ts';
import { eventually, failureOf, within } from '../ensemble/client.ts';
import { type ApacheServer, apacheServer, modeOf } from './apache.ts';

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

/** Three servers, and sessions that are closed at a test's end. */
class Apaches {
  readonly servers: ApacheServer[];
  readonly sessions: Session[] = [];

  private constructor(servers: ApacheServer[]) {
    this.servers = servers;
  }

  static async start(config: Readonly<Record<string, string>> = {}): Promise<Apaches> {
    const ports = await freePorts(9);
    const members = [0, 1, 2].map((i) => ({ id: i + 1, host: '127.0.0.1', quorumPort: ports[3 * i], electionPort: ports[3 * i + 1] }));
    const servers = members.map(({ id }, i) =>
      apacheServer({
        id,
        dir: folder(),
        clientPort: ports[3 * i + 2],
        servers: members,
        // Long limits, so that no server is given up because the machine is busy: 10 s to notice one that stands still.
        config: { tickTime: 500, initLimit: 20, syncLimit: 20, maxSessionTimeout: 60_000, ...config },
        properties: { 'readonlymode.enabled': 'true' },
      }),
    );
    await Promise.all(servers.map((server) => server.start()));
    return new Apaches(servers);
  }

  list(servers: readonly ApacheServer[] = this.servers): string {
    return servers.map(({ clientPort }) => `127.0.0.1:${clientPort}`).join(',');
  }

  async open(options: Parameters<typeof connect>[1] = {}, at = this.list()): Promise<Session> {
    // All of them: one that has just been started again still waits for a leader that may be the next to go.
    const serve = async (): Promise<boolean> => {
      const modes = await Promise.all(this.servers.map(modeOf));
      return modes.includes('leader') && modes.every((mode) => mode !== undefined);
    };
    await eventually('all serve, and one leads', serve, 60_000);
    const session = await connect(at, { timeout: 20_000, ...options });
    this.sessions.push(session);
    return session;
  }

  /** The server that holds the session's connection. */
  async home(session: Session): Promise<ApacheServer> {
    for (const server of this.servers) {
      if (server.pid === undefined) continue;
      const held = await server.fourLetter('cons');
      if (held.includes(`sid=0x${session.id.toString(16)}`)) return server;
    }
    throw new Error('no server has the session');
  }

  /** Closes the sessions, and starts the servers that were stopped. */
  async restore(): Promise<void> {
    await Promise.all(this.sessions.splice(0).map((session) => session.close()));
    await Promise.all(this.servers.filter(({ pid }) => pid === undefined).map((server) => server.start()));
  }

  async end(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
  }
}

let apaches: Apaches;

async function changesWhileAway(): Promise<void> {
  // If it is the leader that stands still, the others need syncLimit to notice, and an election: the client, which looks around after two thirds of its timeout, must live on.
  const session = await apaches.open({ timeout: 24_000 });
  await session.create('/away', 'x');
  const seen: string[] = [];
  const note = (event: WatchEvent): void => void seen.push(`${event.type} ${event.path}`);
  await session.getData('/away', { watch: note });
  await session.exists('/away/later', { watch: note });
  session.watch('/away', note, { recursive: true });
  await session.sync();
  const home = await apaches.home(session);
  const other = await apaches.open({}, apaches.list(apaches.servers.filter((server) => server !== home)));
  const states: string[] = [];
  session.on('state', (state) => states.push(state));
  // The server stands still: the client notices by itself, and looks for another meanwhile.
  home.signal('SIGSTOP');
  await eventually('it is noticed', () => states.includes('suspended'), 60_000);
  const written = (call: Promise<unknown>) =>
    call.then(
      () => true,
      () => false,
    );
  await eventually('a write elsewhere', () => written(other.setData('/away', 'y')));
  await eventually(
    'another one',
    async () => (await written(other.create('/away/later'))) || (await written(other.getData('/away/later'))),
  );
  await eventually('the session goes on', () => session.state === 'connected', 60_000);
  await session.sync();
  home.signal('SIGCONT');
  expect(seen).toContain('dataChanged /away');
  expect(seen).toContain('created /away/later');
  expect(seen).toContain('overflow /away');
}

describe('an ensemble of Apache ZooKeeper', () => {
  beforeAll(async () => {
    apaches = await Apaches.start();
  });
  afterEach(() => apaches.restore());
  afterAll(() => apaches.end());

  test('a killed server: the session goes on at another, with its ephemeral znodes, identities and watches', async () => {
    const session = await apaches.open();
    const other = await apaches.open();
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
    const home = await apaches.home(session);
    const states: string[] = [];
    session.on('state', (state) => states.push(state));
    await home.stop();
    await eventually('the session goes on', () => states.length === 2 && session.state === 'connected');
    expect([states, session.id.eq(id)]).toEqual([['suspended', 'connected'], true]);
    expect((await apaches.home(session)).id).not.toBe(home.id);
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

  test('changes while the client is away: one-shot watches get them, those that stay are told that there may be some', changesWhileAway);

  test('no servers at all: the session expires by the client’s own clock', async () => {
    const session = await apaches.open({ timeout: 3000 });
    const states: string[] = [];
    session.on('state', (state) => states.push(state));
    await Promise.all(apaches.servers.map((server) => server.stop()));
    await eventually('it has expired', () => session.state === 'expired');
    expect(states).toEqual(['suspended', 'expired']);
    expect(await failureOf(session.getData('/'))).toEqual({ code: 'SESSION_EXPIRED', outcome: 'not-done' });
  });
});

describe('an ensemble of Apache ZooKeeper without a quorum', () => {
  beforeAll(async () => {
    // Its servers make sessions without a quorum only where they make them without the leader at all.
    apaches = await Apaches.start({ localSessionsEnabled: 'true', localSessionsUpgradingEnabled: 'true' });
  });
  afterAll(async () => {
    await apaches.restore();
    await apaches.end();
  });

  test('a client that may only read is served what there is, and its session goes on when there is a quorum again', async () => {
    const session = await apaches.open({ readOnly: true });
    const { id } = session;
    await session.create('/ro', 'there');
    // With it the session becomes the ensemble's.
    await session.create('/ro/e', null, { mode: 'ephemeral' });
    const home = await apaches.home(session);
    const away = apaches.servers.filter((server) => server !== home);
    await Promise.all(away.map((server) => server.stop()));
    await eventually('it is served without a quorum', () => session.state === 'connected' && session.readOnly, 60_000);
    expect((await session.getData('/ro')).text()).toBe('there');
    expect(await failureOf(session.setData('/ro', 'x'))).toEqual({ code: 'NOT_READ_ONLY', outcome: 'not-done' });
    await Promise.all(away.map((server) => server.start()));
    await eventually('there is a quorum again', () => session.state === 'connected' && !session.readOnly, 60_000);
    expect([(await session.setData('/ro', 'x')).version, session.id.eq(id)]).toEqual([1, true]);
    expect(await session.getEphemerals()).toEqual(['/ro/e']);
  });
});
