import { expect, test } from 'vitest';
import { ProcessDied } from '../../src/testing/awaitable.ts';
import { Coverage } from '../../src/testing/coverage.ts';
import { createSimulation, type Simulation, type SimulationOptions } from '../../src/testing/simulation.ts';
import type { WireProbe } from '../../src/testing/wire-tap.ts';

const TICK = 500;

async function started(seed: number, options: Omit<SimulationOptions, 'seed'> = {}): Promise<Simulation> {
  const sim = createSimulation({ seed, ...options, ensemble: { tickTime: TICK, ...options.ensemble } });
  await sim.start();
  return sim;
}

const followersOf = (sim: Simulation): number[] => sim.participants.filter((id) => id !== sim.leader);

test('a session over the wire is one like any other, from a machine of its own', async () => {
  const sim = await started(1);
  const session = await sim.connect({ timeout: 4000 });
  await session.create('/here', 'text', { mode: 'ephemeral' });
  const other = await sim.connect();
  await other.sync();
  expect((await other.getData('/here')).text()).toBe('text');
  expect(sim.clients.map(({ name, id }) => [name, id])).toEqual([
    ['client1', 1001],
    ['client2', 1002],
  ]);
  await session.close();
  await sim.until(() => sim.servers.every((id) => sim.node(id).tree.exists('/here') === undefined));
});

test('a client is made once for a name, and no two machines have the same', async () => {
  const sim = await started(2);
  const worker = sim.client('worker');
  expect(sim.client('worker')).toBe(worker);
  expect([worker.name, sim.isUp(worker.id), sim.machine(worker.id) === worker.machine]).toEqual(['worker', true, true]);
  expect(() => sim.client('server1')).toThrow('another machine of the name server1');
  expect(() => sim.isUp(1002)).toThrow('there is no server 1002');
});

test('which servers, and below which znode', async () => {
  const sim = await started(3);
  const [one, two] = sim.servers;
  await (await sim.openSession(one)).create('/app');
  const asked: number[] = [];
  const wire: WireProbe = { ...SILENT, asks: (server) => void asked.push(server) };
  const session = await sim.client('worker').connect({ servers: [two], chroot: '/app', wire });
  await session.create('/a');
  await sim.node(one).sync();
  expect([asked, sim.node(one).tree.exists('/app/a')?.version]).toEqual([[two], 0]);
  await expect(sim.connect({ servers: [9] })).rejects.toThrow('there is no server 9');
});

test('without a client port nobody connects', async () => {
  const sim = await started(4, { ensemble: { clientPort: undefined } });
  await expect(sim.connect()).rejects.toThrow('the servers have no client port');
});

test('a client that is cut off gives its session up by its own clock, and the servers do the same', async () => {
  const sim = await started(5);
  const worker = sim.client('worker');
  const session = await worker.connect({ timeout: 6000 });
  await session.create('/worker', null, { mode: 'ephemeral' });
  sim.isolate(worker.id);
  await sim.until(() => session.state === 'suspended');
  expect(sim.node(1).tree.exists('/worker')).toBeDefined();
  await sim.until(() => session.state === 'expired', 8000);
  await sim.until(() => sim.node(1).tree.exists('/worker') === undefined, 2000);
  sim.heal();
  const next = await worker.connect();
  expect(await next.exists('/worker')).toBeNull();
});

test('a server that is cut off is cut off from clients as well: they go on elsewhere', async () => {
  const sim = await started(6);
  const servers: number[] = [];
  const wire: WireProbe = { ...SILENT, answered: (server) => void servers.push(server) };
  const session = await sim.client('worker').connect({ timeout: 6000, wire });
  sim.isolate(servers[0]);
  await sim.until(() => session.state === 'suspended');
  await sim.until(() => session.state === 'connected');
  expect(new Set(servers).size).toBe(2);
});

test('what a client waits for ends with its process, and its session after its time', async () => {
  const sim = await started(7);
  const worker = sim.client('worker');
  const session = await worker.connect({ timeout: 3000 });
  await session.create('/worker', null, { mode: 'ephemeral' });
  const calls = [session.setData('/worker', 'x'), worker.connect()].map((call) => call.catch((error: unknown) => error));
  sim.crash(worker.id);
  for (const error of await Promise.all(calls)) {
    expect(error).toBeInstanceOf(ProcessDied);
    expect((error as Error).message).toContain('the process of client 1 died');
  }
  expect(sim.isUp(worker.id)).toBe(false);
  await expect(worker.connect()).rejects.toThrow('worker is down');
  await expect(session.exists('/')).rejects.toThrow(ProcessDied);
  await sim.until(() => sim.node(1).tree.exists('/worker') === undefined, 5000);
  sim.restart(worker.id);
  expect((await worker.connect()).state).toBe('connected');
});

test('a machine without power says nothing: its session lives until its time is over', async () => {
  const sim = await started(8);
  const worker = sim.client('worker');
  await (await worker.connect({ timeout: 5000 })).create('/worker', null, { mode: 'ephemeral' });
  sim.crash(worker.id, { power: true });
  await sim.advance(4500);
  expect(sim.node(1).tree.exists('/worker')).toBeDefined();
  await sim.until(() => sim.node(1).tree.exists('/worker') === undefined, 3000);
});

test('a program lives and dies with its process, and begins again with the next', async () => {
  const sim = await started(9);
  const worker = sim.client('worker');
  const seen: string[] = [];
  worker.spawn(async ({ name, client, servers, connect, sleep, chance, note }) => {
    seen.push(`${name} ${client} ${servers}`);
    const session = await connect({ timeout: 3000 });
    await session.create('/p', `${chance.below(10)}`, { mode: 'ephemeral' });
    note('is there');
    try {
      await sleep(60_000);
    } finally {
      seen.push('woke up');
    }
  });
  await sim.until(() => sim.node(1).tree.exists('/p') !== undefined);
  await sim.advance(10);
  expect(sim.story(200)).toMatch(/client 1 {2}is there/);
  sim.crash(worker.id);
  await sim.until(() => sim.node(1).tree.exists('/p') === undefined, 10_000);
  sim.restart(worker.id);
  await sim.until(() => sim.node(1).tree.exists('/p') !== undefined);
  expect(seen).toEqual(['worker 1001 1,2,3', 'worker 1001 1,2,3']);
});

test('what a program throws ends the simulation', async () => {
  const sim = await started(10);
  sim.client('worker').spawn(async ({ sleep }) => {
    await sleep(100);
    throw new Error('a fault of mine');
  });
  await expect(sim.advance(1000)).rejects.toThrow('a fault of mine');
});

test('a client that stands still finds its session gone when it goes on', async () => {
  const sim = await started(11);
  const worker = sim.client('worker');
  const session = await worker.connect({ timeout: 3000 });
  const states: string[] = [];
  session.on('state', (state) => states.push(state));
  sim.pause(worker.id, 9000);
  await sim.until(() => session.state === 'expired', 12_000);
  expect(states).toEqual(['suspended', 'expired']);
});

test('the same seed gives the same run, clients included', async () => {
  const run = async (): Promise<string> => {
    const sim = await started(12);
    const session = await sim.connect({ timeout: 3000 });
    for (let i = 0; i < 5; i++) await session.create(`/n${i}`, `${sim.chance.below(1000)}`);
    const { leader } = sim;
    sim.crash(leader!);
    await sim.until(() => session.state === 'suspended');
    await sim.until(() => session.state === 'connected');
    await session.setData('/n0', 'x');
    return sim.digest;
  };
  expect(await run()).toBe(await run());
});

test('what happens to sessions over the wire is counted', async () => {
  const sim = createSimulation({ seed: 13, ensemble: { tickTime: TICK, readOnlyMode: true, globalOutstandingLimit: 1 } });
  const coverage = new Coverage();
  sim.addProbe(coverage);
  await sim.start();
  const worker = sim.client('worker');
  const session = await worker.connect({ timeout: 6000, readOnly: true });
  await session.create('/a');
  await session.getData('/a', { watch: () => {} });
  await Promise.all([session.setData('/a', '1'), session.setData('/a', '2'), session.sync()]);
  await session.getData('/a', { watch: () => {} });
  // It goes on elsewhere, where it is told what it has missed.
  const away = await sim.openSession(sim.leader!);
  sim.network.reset(worker.id, 1);
  sim.network.reset(worker.id, 2);
  sim.network.reset(worker.id, 3);
  await away.setData('/a', '3');
  await sim.until(() => session.state === 'connected' && coverage.counts.get('client is told what it has missed') === 1, 10_000);
  // Nobody leads, and the one that is left only reads; then there is a leader again.
  const [left, ...others] = followersOf(sim);
  const there = await worker.connect({ servers: [left], readOnly: true });
  for (const id of [...others, sim.leader!]) sim.crash(id);
  await sim.until(() => session.state === 'connected' && session.readOnly, 20_000);
  for (const id of sim.servers) sim.restart(id);
  await sim.until(() => session.state === 'connected' && !session.readOnly, 20_000);
  await sim.until(() => there.state === 'connected');
  await session.sync();
  // Its own clock tells it that it is too late; and the servers, when it is killed and comes back.
  const lost = sim.client('lost');
  const { id, password } = await lost.connect({ timeout: 2000 });
  sim.crash(lost.id);
  sim.isolate(worker.id);
  await sim.until(() => session.state === 'expired', 20_000);
  sim.heal();
  await sim.advance(4000);
  sim.restart(lost.id);
  await expect(lost.connect({ resume: { id, password } })).rejects.toMatchObject({ code: 'SESSION_EXPIRED' });
  const wanted = [
    'client is killed',
    'client opens a session',
    'client is told an event',
    'client restores its watches',
    'client is told what it has missed',
    'client is served without a quorum',
    'client has a quorum again',
    'client gives its session up by its own clock',
    'client is told that its session does not exist',
    'client is answered: getData',
    'client is answered: setWatches',
    'port stops reading from a client',
    'port drops a connection when it loses its ensemble',
    'port drops a connection when it has a quorum again',
    'port drops a connection whose session is over',
    'port turns away a client, for it does not serve',
    'REVALIDATE: the session lives',
  ];
  expect(wanted.filter((name) => (coverage.counts.get(name) ?? 0) === 0)).toEqual([]);
});

const SILENT: WireProbe = { asks() {}, answered() {}, sent() {}, replied() {}, told() {}, ended() {} };
