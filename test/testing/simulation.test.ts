import { expect, test } from 'vitest';
import { ProcessDied } from '../../src/testing/awaitable.ts';
import { finale } from '../../src/testing/finale.ts';
import { Blind } from '../../src/testing/probe.ts';
import { createSimulation, type Simulation, Violation } from '../../src/testing/simulation.ts';

/** What became of a promise: 'done', or the error's code or name. */
const outcomeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'done',
    (error: Error & { code?: string }) => error.code ?? error.name,
  );

async function started(seed: number, options: Omit<Parameters<typeof createSimulation>[0], 'seed'> = {}): Promise<Simulation> {
  const sim = createSimulation({ seed, ...options });
  await sim.start();
  return sim;
}

const followerOf = (sim: Simulation): number => sim.participants.find((id) => id !== sim.leader)!;

// ---- making and starting ----

test('a new simulation is down until it is started, and then all serve with one leader', async () => {
  const sim = createSimulation({ seed: 1, servers: 3, observers: 1 });
  expect([sim.servers, sim.participants, sim.now, sim.leader]).toEqual([[1, 2, 3, 4], [1, 2, 3], 0, undefined]);
  expect(sim.isUp(1)).toBe(false);
  expect(() => sim.node(1)).toThrow('server 1 is down');
  await sim.start();
  expect(sim.servers.map((id) => sim.node(id).serving)).toEqual([true, true, true, true]);
  expect(new Set(sim.servers.map((id) => sim.node(id).leaderId))).toEqual(new Set([sim.leader]));
  expect(sim.node(4).role).toBe('observing');
  expect(sim.now).toBeGreaterThan(0);
});

test('servers are chosen one by one, with roles, weights and groups', async () => {
  const servers = [
    { id: 7, group: 1, weight: 1 },
    { id: 3, group: 1, weight: 0 },
    { id: 20, role: 'observer' as const },
  ];
  const sim = await started(2, { servers, observers: 1 });
  expect([sim.servers, sim.leader, sim.node(20).role, sim.node(21).role]).toEqual([[7, 3, 20, 21], 7, 'observing', 'observing']);
  expect(() => sim.node(1)).toThrow(RangeError);
  expect(() => sim.crash(1)).toThrow('there is no server 1');
});

test.each([-1, 1.5, Number.NaN, 2 ** 53, '7' as unknown as number])('%s is no seed', (seed) => {
  expect(() => createSimulation({ seed })).toThrow('seed must be a whole number');
});

test('a start that cannot come to its end rejects within its bound and says why', async () => {
  const sim = createSimulation({ seed: 3 });
  sim.partition([1], [2, 3]);
  sim.partition([2], [3]);
  await expect(sim.start(5000)).rejects.toThrow(/not within 5000 simulated ms: .*server 1 is looking/);
  expect(sim.now).toBe(5000);
  sim.heal();
  await sim.settled();
});

// ---- time ----

test('time stands still unless somebody waits, and hours pass in no time', async () => {
  const sim = await started(4);
  const { now } = sim;
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  expect(sim.now).toBe(now);
  await sim.advance(60_000);
  expect(sim.now).toBe(now + 60_000);
});

test('until looks after every event, and rejects when it takes too long or throws', async () => {
  const sim = await started(5);
  const session = await sim.openSession(1);
  const written = session.create('/a');
  await sim.until(() => sim.treeOf(sim.leader!).exists('/a') !== undefined);
  expect(sim.treeOf(followerOf(sim)).exists('/a')).toBeUndefined();
  await written;
  await expect(sim.until(() => sim.now < 0, 100)).rejects.toThrow('not within 100 simulated ms: () => sim.now < 0');
  const thrown = sim.until(() => {
    throw new TypeError('no such thing');
  });
  await expect(thrown).rejects.toThrow('no such thing');
  await expect(sim.until((async () => false) as unknown as () => boolean)).rejects.toThrow('must not be asynchronous');
});

test('run lets time pass for promises that are not of the simulation', async () => {
  const sim = await started(6);
  const { now } = sim;
  const timer = (ms: number): Promise<string> => new Promise((resolve) => void sim.clock.setTimer(ms, () => resolve('rung')));
  expect(await sim.run(timer(50))).toBe('rung');
  expect(await sim.run(async () => `${await timer(20)} ${await timer(30)}`)).toBe('rung rung');
  expect(sim.now).toBe(now + 100);
  await expect(sim.run(Promise.reject(new Error('own')))).rejects.toThrow('own');
});

test('several wait at once, each for its own', async () => {
  const sim = await started(7);
  const { now } = sim;
  const order: string[] = [];
  const note = (what: string) => () => void order.push(`${what} ${sim.now - now}`);
  await Promise.all([sim.advance(300).then(note('c')), sim.advance(100).then(note('a')), sim.advance(200).then(note('b'))]);
  expect(order).toEqual(['a 100', 'b 200', 'c 300']);
});

// ---- sessions ----

test('sessions, watches and sync work from outside as in a program', async () => {
  const sim = await started(8);
  const [one, two] = [await sim.openSession(1), await sim.openSession(2)];
  const events: string[] = [];
  await two.exists('/a', { watch: (event) => void events.push(`${event.type} ${event.path}`) });
  const { path } = await one.create('/a', 'text', { mode: 'ephemeral' });
  await two.sync();
  expect([path, (await two.getData('/a')).text(), events]).toEqual(['/a', 'text', ['created /a']]);
  await expect(one.create('/a')).rejects.toMatchObject({ code: 'NODE_EXISTS' });
  const seen: string[] = [];
  const watching = (async () => {
    for await (const event of sim.node(2).watch('/a')) {
      seen.push(event.type);
      break;
    }
  })();
  await one.close();
  await sim.run(watching);
  expect(seen).toEqual(['deleted']);
  await finale(sim);
});

test('a session expires when nothing of its process is left, and lives through a change of leader', async () => {
  const sim = await started(9);
  const stays = await sim.openSession(followerOf(sim));
  const away = sim.participants.find((id) => id !== sim.leader && id !== followerOf(sim))!;
  const goes = await sim.openSession(away, { timeout: 4000 });
  for (const [session, path] of [
    [stays, '/stays'],
    [goes, '/goes'],
  ] as const)
    await session.create(path, null, { mode: 'ephemeral' });
  sim.crash(away);
  await sim.until(() => sim.treeOf(sim.leader!).exists('/goes') === undefined, 10_000);
  sim.restart(away);
  await sim.settled();
  sim.crash(sim.leader!);
  await sim.until(() => stays.state === 'connected' && sim.leader !== undefined);
  expect(sim.treeOf(sim.leader!).exists('/stays')).toBeDefined();
});

// ---- processes ----

test('a killed process loses nothing that it has acknowledged, and comes back with its disk', async () => {
  const sim = await started(10);
  const id = followerOf(sim);
  const session = await sim.openSession(id);
  await session.create('/a', '1');
  sim.crash(id);
  expect([sim.isUp(id), sim.errorOf(id)]).toEqual([false, null]);
  expect(sim.states()).toContain(`server ${id} is down`);
  sim.restart(id);
  sim.restart(id);
  await sim.settled();
  expect(sim.treeOf(id).exists('/a')).toBeDefined();
  await finale(sim);
});

test('a power failure of all takes nothing that was acknowledged, and leaves all with the same of what was under way', async () => {
  const sim = await started(11);
  const session = await sim.openSession(1);
  await session.create('/synced');
  await sim.until(() => sim.servers.every((id) => sim.treeOf(id).exists('/synced') !== undefined));
  for (const id of sim.servers) sim.disk(id).latency = { cached: [0.01, 0.01], durable: [5000, 5000] };
  const write = outcomeOf(session.create('/under-way'));
  await sim.advance(100);
  for (const id of sim.servers) {
    sim.crash(id, { power: true, remains: 'nothing' });
    sim.disk(id).latency = { cached: [0.01, 0.01], durable: [0.1, 0.1] };
  }
  expect(await write).toBe('PROCESS_DIED');
  await sim.start();
  expect(sim.treeOf(1).exists('/synced')).toBeDefined();
  await finale(sim);
});

test.each([
  ['the death of its process', false, true],
  ['a power failure', true, false],
])('a file that was not synced, after %s', async (_what, power, isThere) => {
  const sim = await started(110);
  const disk = sim.disk(2);
  await sim.run(new Promise<void>((resolve) => disk.open('/data/new', 'create', () => resolve())));
  sim.crash(2, power ? { power, remains: 'nothing' } : {});
  expect(disk.get('/data/new') !== undefined).toBe(isThere);
  sim.restart(2);
  await finale(sim);
});

test('whoever waits for a process that dies is told, and so is who asks it later; nobody else', async () => {
  const sim = await started(12);
  const id = followerOf(sim);
  const session = await sim.openSession(id);
  const node = sim.node(id);
  const write = session.create('/a');
  const wait = expect(write).rejects.toBeInstanceOf(ProcessDied);
  sim.crash(id);
  await wait;
  await expect(write).rejects.toMatchObject({ code: 'PROCESS_DIED', outcome: 'unknown', server: id });
  sim.restart(id);
  await sim.settled();
  // A handle of the life before is none of this one. What the dead node itself answers ends nothing, such as the host.
  await expect(session.create('/b')).rejects.toBeInstanceOf(ProcessDied);
  await expect(node.sync()).rejects.toBeInstanceOf(ProcessDied);
  expect(await outcomeOf(sim.node(id).sync())).toBe('done');
});

test('a call on a node that has ended by an error, and whose process is gone since, leaves no rejection to the host', async () => {
  const sim = await started(13);
  const id = followerOf(sim);
  const session = await sim.openSession(id);
  sim.disk(id).failOn(/^write .*\/log\./, 'EIO', 1);
  expect(await outcomeOf(session.create('/a'))).toBe('NODE_STOPPED');
  await sim.until(() => !sim.isUp(id));
  expect(sim.errorOf(id)?.message).toContain('EIO');
  sim.restart(id);
  await sim.settled();
  // The stopped node would refuse it with an error of its own, which nobody waits for.
  expect(await outcomeOf(session.create('/b'))).toBe('PROCESS_DIED');
  await finale(sim);
});

test('a stopped node leaves in order; with its process, or without', async () => {
  const sim = await started(14);
  const id = followerOf(sim);
  const { life } = sim.machine(id);
  await sim.stop(id, { node: true });
  expect([sim.isUp(id), sim.machine(id).up, sim.machine(id).life]).toEqual([false, true, life]);
  sim.restart(id);
  await sim.settled();
  expect(sim.machine(id).life).toBe(life);
  await sim.stop(id);
  expect([sim.isUp(id), sim.machine(id).up]).toEqual([false, false]);
  sim.restart(id);
  await finale(sim);
});

test('a paused server does nothing and then goes on where it was', async () => {
  const sim = await started(15);
  const id = followerOf(sim);
  const session = await sim.openSession(id);
  const { now } = sim;
  sim.pause(id, 1500);
  await session.create('/a');
  expect(sim.now - now).toBeGreaterThanOrEqual(1500);
  expect(sim.now - now).toBeLessThan(1600);
  await finale(sim);
});

// ---- network ----

test('a leader cut off from a quorum is replaced, and comes back when the network is healed', async () => {
  const sim = await started(16);
  const old = sim.leader!;
  sim.isolate(old);
  const rest = sim.servers.filter((id) => id !== old);
  await sim.until(() => rest.every((id) => sim.node(id).serving && sim.node(id).leaderId !== old), 30_000);
  await sim.until(() => !sim.node(old).serving);
  expect(await outcomeOf(sim.node(rest[0]).sync())).toBe('done');
  sim.heal();
  await sim.settled();
  expect(sim.node(old).leaderId).toBe(sim.leader);
  await finale(sim);
});

test('a partition of one direction holds up that one alone', async () => {
  const sim = await started(17);
  const id = followerOf(sim);
  const others = sim.servers.filter((other) => other !== id);
  const session = await sim.openSession(id);
  sim.partition([id], others, { oneWay: true });
  const write = session.create('/mine');
  const other = await sim.openSession(sim.leader!);
  await other.create('/theirs');
  await sim.until(() => sim.treeOf(id).exists('/theirs') !== undefined);
  expect(sim.treeOf(sim.leader!).exists('/mine')).toBeUndefined();
  // Nothing is lost: it was on its way.
  sim.heal();
  await write;
  await finale(sim);
});

// ---- programs ----

test('a program dies with its process, in the middle of whatever it does, and begins anew with the next', async () => {
  const sim = await started(18);
  const id = followerOf(sim);
  const told: string[] = [];
  let begun = 0;
  sim.spawn(id, async ({ node, sleep, server, clock }) => {
    const run = ++begun;
    await node.start();
    const began = clock.now();
    try {
      for (let i = 0; i < 3; i++) {
        await sleep(1000);
        told.push(`${server} ${run}.${i} ${Math.round(clock.now() - began)}`);
      }
    } finally {
      told.push(`${run} over`);
    }
  });
  await sim.advance(2500);
  sim.crash(id);
  await sim.advance(5000);
  expect(told).toEqual([`${id} 1.0 1000`, `${id} 1.1 2000`]);
  sim.restart(id);
  await sim.settled();
  await sim.advance(4000);
  expect(told.slice(2)).toEqual([`${id} 2.0 1000`, `${id} 2.1 2000`, `${id} 2.2 3000`, '2 over']);
});

test('a program that throws ends the simulation with its error, for everybody who waits and who comes later', async () => {
  const sim = await started(19);
  sim.spawn(1, async ({ sleep }) => {
    await sleep(10);
    throw new RangeError('the application is wrong');
  });
  const waits = [
    sim.advance(1000),
    sim
      .openSession(2)
      .then((session) => session.create('/a'))
      .then(() => sim.advance(1000)),
    sim.until(() => false),
  ];
  for (const outcome of await Promise.allSettled(waits))
    expect(outcome).toMatchObject({ status: 'rejected', reason: { message: 'the application is wrong' } });
  expect(sim.failure).toBeInstanceOf(RangeError);
  await expect(sim.advance(1)).rejects.toThrow('the application is wrong');
  await expect(sim.openSession(1)).rejects.toThrow('the application is wrong');
  // What goes wrong behind it is heard, and told to nobody.
  await expect(sim.run(Promise.reject(new Error('late')))).rejects.toThrow('the application is wrong');
});

test('a program that only notices the end of its node ends nothing', async () => {
  const sim = await started(20);
  const id = followerOf(sim);
  sim.spawn(id, async ({ node, sleep }) => {
    await node.start();
    const session = await node.openSession();
    for (let i = 0; ; i++) {
      await session.create(`/n${i}`);
      await sleep(100);
    }
  });
  await sim.advance(500);
  await sim.stop(id, { node: true });
  await sim.advance(500);
  expect(sim.failure).toBeNull();
  expect(sim.story(100)).toContain('a program has ended with its node');
});

test('an error that would have ended a process ends the simulation and names the server', async () => {
  const sim = await started(21);
  const session = await sim.openSession(2);
  sim.spawn(2, ({ clock }) => void clock.setTimer(5, () => (undefined as unknown as string).length));
  await expect(session.create('/a').then(() => sim.advance(100))).rejects.toThrow(
    /^server 2: an error would have ended the process: TypeError/,
  );
});

// ---- rules, probes, the story ----

test('a broken rule ends the simulation for everybody with a Violation', async () => {
  const sim = await started(22);
  const session = await sim.openSession(1);
  const waits = [sim.advance(5000), session.create('/a').then(() => sim.advance(5000))];
  // What is shown is not what was agreed on.
  sim.treeOf(2).sum.add(1);
  const outcomes = await Promise.allSettled(waits);
  for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(Violation) });
  expect(sim.failure).toMatchObject({ name: 'Violation', rule: expect.stringMatching(/^[A-Z][A-Za-z]+$/) });
  expect(sim.story()).toContain('FAILED: ');
});

test("a rule of the caller's own is looked at after every event, until it is taken away", async () => {
  const sim = await started(23);
  const session = await sim.openSession(1);
  const forget = sim.always('NoSecond', () => sim.treeOf(sim.leader!).exists('/second') === undefined);
  await session.create('/first');
  await expect(session.create('/second')).rejects.toMatchObject({ rule: 'NoSecond' });
  const other = await started(24);
  const free = other.always('NoSecond', () => other.treeOf(other.leader!).exists('/second') === undefined);
  free();
  await (await other.openSession(1)).create('/second');
  forget();
});

test('a finale names who does not come together, and in what they differ', async () => {
  const sim = await started(25);
  sim.isolate(1);
  await sim.advance(20_000);
  await expect(finale(sim, 20_000)).rejects.toMatchObject({ rule: 'Liveness', what: expect.stringContaining('server 1 is looking') });
  sim.heal();
  await finale(sim);
  for (const path of sim.disk(2).list('/data/version-2')) sim.disk(2).rot(path);
  await expect(finale(sim)).rejects.toBeInstanceOf(Violation);
});

test('a probe sees what the servers do, and a filter keeps packets back', async () => {
  const sim = await started(26);
  const [proposals, applied]: number[][] = [[], []];
  sim.addProbe(
    new (class extends Blind {
      override applied(server: number): void {
        applied.push(server);
      }
    })(),
  );
  sim.filterSends((_from, to, message) => {
    if ('entry' in message) proposals.push(to);
    return true;
  });
  await sim.openSession(1);
  await sim.advance(100);
  expect([proposals.sort(), applied.sort()]).toEqual([sim.servers.filter((id) => id !== sim.leader), [1, 2, 3]]);
  sim.filterSends((_from, _to, message) => !('entry' in message));
  const write = sim.openSession(1);
  const late = outcomeOf(write);
  await sim.advance(500);
  expect(applied.length).toBe(3);
  sim.filterSends(null);
  await sim.run(late);
});

test('the story is in order of time, in words, and no longer than it was asked to be', async () => {
  const sim = await started(27, { story: 40 });
  sim.crash(2);
  sim.partition([1], [3]);
  sim.heal();
  const lines = sim.story(1000).split('\n');
  expect(lines.length).toBeLessThanOrEqual(2 * 40);
  expect(sim.story(3).split('\n')).toEqual(lines.slice(-3));
  expect(lines.at(-1)).toMatch(/^ +\d+\.\d{4} s {2} +- {2}the network is healed$/);
  expect(sim.story(3).split('\n')[0]).toContain('server 2  process is killed');
  const times = lines.map((line) => Number(/^ *([\d.]+) s/.exec(line)![1]));
  expect(times).toEqual([...times].sort((a, b) => a - b));
});

test('the digest is that of everything that happened: equal for equal runs, another for another seed or one call more', async () => {
  const digestOf = async (seed: number, extra = false): Promise<string> => {
    const sim = await started(seed);
    const session = await sim.openSession(1);
    await session.create('/a', extra ? 'other' : 'text');
    sim.crash(3);
    await sim.advance(3000);
    return sim.digest;
  };
  const first = await digestOf(28);
  expect(first).toMatch(/^[0-9a-f]{16}$/);
  expect(await digestOf(28)).toBe(first);
  expect(await digestOf(29)).not.toBe(first);
  expect(await digestOf(28, true)).not.toBe(first);
});

test('a closed simulation does nothing more, and two of them know nothing of each other', async () => {
  const [one, two] = await Promise.all([started(30), started(30)]);
  expect(one.digest).toBe(two.digest);
  await Promise.all([one.advance(1000), two.advance(3000)]);
  let ended = false;
  {
    using closing = one;
    void closing.advance(1000).finally(() => {
      ended = true;
    });
  }
  const { now } = one;
  await two.advance(5000);
  expect([one.now, ended]).toEqual([now, false]);
  await expect(one.advance(1)).rejects.toThrow('the simulation was closed');
});
