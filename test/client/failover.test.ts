import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { connect, type Session, ZabError } from '../../src/index.ts';
import { eventually, failureOf, within } from '../ensemble/client.ts';
import { PortRig } from '../port/rig.ts';

/* Sessions over real sockets at our own servers. */

let rig: PortRig;
const sessions: Session[] = [];
afterEach(async () => {
  await Promise.all(sessions.splice(0).map((session) => session.close()));
  await rig.end();
});

async function open(options: Parameters<typeof connect>[1] = {}): Promise<Session> {
  const session = await connect([...rig.ports.values()].map((port) => `127.0.0.1:${port}`).join(','), options);
  sessions.push(session);
  return session;
}

/** The server that a session is connected to. */
const homeOf = (session: Session): number | undefined =>
  [...rig.nodes.values()].find((node) => (node.metrics().clientConnections ?? 0) > 0 && session.state === 'connected')?.id;

test('servers are killed in turn: the session and all that it was told of stay', async () => {
  rig = await PortRig.start({ voters: 3 });
  const session = await open({ timeout: 20_000 });
  await session.create('/mine', null, { mode: 'ephemeral' });
  await session.create('/counter', '0');
  const states: string[] = [];
  session.on('state', (state) => states.push(state));
  let acknowledged = 0;
  for (let round = 1; round <= 3; round++) {
    const home = homeOf(session)!;
    const before = states.length;
    await rig.kill(home);
    await eventually('it is noticed', () => states.length > before);
    await rig.roles();
    await eventually('the session goes on', () => session.state === 'connected');
    for (let i = 0; i < 20; i++) acknowledged = (await session.setData('/counter', String(i))).version;
    await rig.start(home);
    await rig.roles();
  }
  expect((await session.getData('/counter')).stat.version).toBe(acknowledged);
  expect(acknowledged).toBe(60);
  expect(await session.getEphemerals()).toEqual(['/mine']);
  expect(states.filter((state) => state !== 'suspended' && state !== 'connected')).toEqual([]);
});

test('no quorum: the session reads on at the server that is left, and goes on when there is a quorum again', async () => {
  rig = await PortRig.start({ voters: 3, tickTime: 200, syncLimit: 5, readOnlyMode: true });
  const session = await open({ timeout: 20_000, readOnly: true });
  const { id } = session;
  await session.create('/there', 'x');
  await rig.converge();
  const home = homeOf(session)!;
  const others = rig.servers.map((server) => server.id).filter((other) => other !== home);
  for (const other of others) await rig.kill(other);
  await eventually('it only reads', () => session.state === 'connected' && session.readOnly);
  expect((await session.getData('/there')).text()).toBe('x');
  expect(await failureOf(session.create('/new'))).toEqual({ code: 'NOT_READ_ONLY', outcome: 'not-done' });
  for (const other of others) await rig.start(other);
  await eventually('there is a quorum', () => session.state === 'connected' && !session.readOnly);
  expect(session.id.eq(id)).toBe(true);
  await within('a write', session.create('/new'));
});

test('ten thousand calls at once leave together and are answered in order', async () => {
  rig = await PortRig.start({ voters: 1 });
  const session = await open({ timeout: 60_000 });
  await session.create('/a', '0');
  const versions = await Promise.all(
    Array.from({ length: 10_000 }, (_, i) =>
      i % 2 === 0 ? session.setData('/a', String(i)).then((stat) => stat.version) : session.getData('/a').then((d) => Number(d.text())),
    ),
  );
  // Each write is followed by the reading of what it wrote.
  expect(versions.filter((_, i) => i % 2 === 0)).toEqual(Array.from({ length: 5000 }, (_, i) => i + 1));
  expect(versions.filter((_, i) => i % 2 === 1)).toEqual(Array.from({ length: 5000 }, (_, i) => 2 * i));
});

test('a process ends by itself when its session is closed, has expired, or was never opened', async () => {
  rig = await PortRig.start({ voters: 1 });
  const script = fileURLToPath(new URL('./leaves.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', script, String(rig.port(1))], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  const [code] = await within('the process ends', once(child, 'close'));
  expect([code, output.trim().split('\n')]).toEqual([0, ['never opened: CONNECTION_LOSS', 'expired', 'closed']]);
});

test('an error says what happened and what to do', async () => {
  rig = await PortRig.start({ voters: 1 });
  const session = await open({ timeout: 20_000 });
  const port = rig.port(1);
  const write = session.create('/a', 'x').then(
    () => new Error('it was answered'),
    (error) => error as ZabError,
  );
  await rig.kill(1);
  const error = await write;
  if (error instanceof ZabError) {
    expect(error.message).toContain(`127.0.0.1:${port}`);
    expect(error.path).toBe('/a');
  }
  await eventually('it is suspended', () => session.state === 'suspended');
  const refused = (await session.getData('/a').catch((e) => e)) as ZabError;
  expect(refused.message).toBe('CONNECTION_LOSS /a: the session has no connection to a server; nothing was sent, try again once connected');
});
