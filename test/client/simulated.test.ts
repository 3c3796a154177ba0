import { expect, test } from 'vitest';
import { type Session, ZabError } from '../../src/index.ts';
import { createSimulation, type SimClient, type Simulation } from '../../src/testing/index.ts';

const TICK = 500;
const TIMEOUT = 6000;

function start(seed: number): Simulation {
  return createSimulation({ seed, ensemble: { tickTime: TICK, clientPort: 2181, readOnlyMode: true } });
}

/** Sets `/counter` again and again, and knows which values it may have. */
class Counter {
  acknowledged = 0;
  attempted = 0;
  lost = 0;
  readonly seen: number[] = [];
  #stopped = false;

  constructor(
    readonly session: Session,
    readonly simulation: Simulation,
  ) {}

  async run(): Promise<void> {
    while (!this.#stopped) {
      const value = this.attempted + 1;
      try {
        this.attempted = value;
        await this.session.setData('/counter', String(value));
        this.acknowledged = value;
        this.seen.push(Number((await this.session.getData('/counter')).text()));
      } catch (error) {
        if (!(error instanceof ZabError) || error.code !== 'CONNECTION_LOSS') throw error;
        if (error.outcome === 'not-done' && this.attempted === value) this.attempted--;
        this.lost++;
        await this.simulation.advance(100);
      }
    }
  }

  stop(): void {
    this.#stopped = true;
  }
}

/** Knows the value of `/counter` by a watch alone: after each event, and after a reading that failed, it reads again. */
class Mirror {
  value = Number.NaN;

  constructor(
    readonly session: Session,
    readonly simulation: Simulation,
  ) {}

  /** With a one-shot watch, set again by each reading. */
  async follow(): Promise<void> {
    await this.#read(() => void this.follow());
  }

  /** With a watch that stays. */
  stay(): void {
    this.session.watch('/counter', () => void this.#read());
  }

  async #read(watch?: () => void): Promise<void> {
    for (;;) {
      try {
        const value = Number((await this.session.getData('/counter', { watch })).text());
        this.value = Number.isNaN(this.value) ? value : Math.max(this.value, value);
        return;
      } catch (error) {
        if (!(error instanceof ZabError) || error.code !== 'CONNECTION_LOSS') throw error;
        await this.simulation.advance(50);
      }
    }
  }
}

async function withClient(
  seed: number,
  work: (simulation: Simulation, client: SimClient, session: Session) => Promise<void>,
): Promise<string> {
  using simulation = start(seed);
  await simulation.start();
  const client = simulation.client();
  const session = await client.connect({ timeout: TIMEOUT });
  await session.create('/counter', '0');
  await work(simulation, client, session);
  return simulation.digest;
}

/** Crashes and partitions, one after the other, around a session that writes and two that watch. Returns the digest of the run. */
function storm(seed: number): Promise<string> {
  return withClient(seed, async (simulation, client, session) => {
    const counter = new Counter(session, simulation);
    const states: string[] = [];
    session.on('state', (state) => states.push(state));
    await session.create('/alive', null, { mode: 'ephemeral' });
    const others = [simulation.client(), simulation.client()];
    const mirrors: Mirror[] = [];
    for (const other of others) mirrors.push(new Mirror(await other.connect({ timeout: TIMEOUT }), simulation));
    await mirrors[0].follow();
    mirrors[1].stay();
    const running = simulation.run(counter.run());
    for (let round = 0; round < 6; round++) {
      await simulation.advance(2000);
      const victim = simulation.chance.pick(simulation.servers);
      if (simulation.chance.chance(0.5)) simulation.crash(victim);
      else
        simulation.partition(
          [client, ...others].map(({ id }) => id),
          [victim],
        );
      await simulation.advance(3000);
      simulation.heal();
      simulation.restart(victim);
      await simulation.settled();
      await simulation.until(() => session.state === 'connected');
      const { acknowledged } = counter;
      await simulation.until(() => counter.acknowledged > acknowledged);
    }
    counter.stop();
    await running;
    await session.sync();
    const value = Number((await session.getData('/counter')).text());
    expect(value).toBeGreaterThanOrEqual(counter.acknowledged);
    expect(value).toBeLessThanOrEqual(counter.attempted);
    await simulation.until(() => mirrors.every((mirror) => mirror.value === value));
    // A session's reads never go back.
    expect(counter.seen).toEqual([...counter.seen].sort((a, b) => a - b));
    expect(await session.getEphemerals()).toEqual(['/alive']);
    expect(states.every((state, i) => state === (i % 2 === 0 ? 'suspended' : 'connected'))).toBe(true);
    await session.close();
  });
}

test.each([1, 2, 3, 4])(
  'seed %i: sessions live through crashes and partitions, and nothing is lost that was acknowledged or watched',
  async (seed) => {
    await storm(seed);
  },
);

test('the same seed gives the same run', async () => {
  expect(await storm(5)).toBe(await storm(5));
});

test('a client that is cut off from all learns that its session has expired, no later than the servers', async () => {
  await withClient(7, async (simulation, client, session) => {
    await session.create('/mine', null, { mode: 'ephemeral' });
    const witness = await simulation.client().connect({ timeout: TIMEOUT });
    let suspended = Number.NaN;
    session.on('state', (state) => {
      if (state === 'suspended') suspended = simulation.now;
    });
    const from = simulation.now;
    simulation.partition([client.id], simulation.servers);
    await simulation.until(() => session.state === 'suspended');
    expect(await witness.exists('/mine')).not.toBeNull();
    await simulation.until(() => session.state === 'expired');
    // The last word was up to a third of the timeout old when the network was cut.
    expect(suspended - from).toBeLessThanOrEqual((TIMEOUT * 2) / 3 + 1);
    expect(simulation.now - from).toBeLessThanOrEqual((TIMEOUT * 4) / 3 + 1);
    expect(simulation.now - from).toBeGreaterThanOrEqual(TIMEOUT - 1);
    await simulation.advance(2 * TICK);
    expect(await witness.exists('/mine')).toBeNull();
  });
});

test('a client whose process stands still: the servers say that its session has expired', async () => {
  await withClient(8, async (simulation, client, session) => {
    const states: string[] = [];
    session.on('state', (state) => states.push(state));
    client.machine.pause(3 * TIMEOUT);
    await simulation.until(() => session.state === 'expired', 5 * TIMEOUT);
    expect(states).toEqual(['suspended', 'expired']);
  });
});

test('a client left with a server without a quorum reads there, and moves as soon as it can reach one with a quorum', async () => {
  using simulation = start(9);
  await simulation.start();
  const client = simulation.client();
  const session = await client.connect({ timeout: 20 * TICK, readOnly: true });
  await session.create('/there', 'x', { mode: 'ephemeral' });
  await session.sync();
  const alone = simulation.servers.find((id) => id !== simulation.leader)!;
  const majority = simulation.servers.filter((id) => id !== alone);
  simulation.partition([alone, client.id], majority);
  await simulation.until(() => session.state === 'connected' && session.readOnly);
  await simulation.until(() => simulation.treeOf(alone).exists('/there') !== undefined);
  expect((await session.getData('/there')).text()).toBe('x');
  simulation.heal();
  simulation.partition([alone], majority);
  await simulation.until(() => session.state === 'connected' && !session.readOnly);
  expect((await session.setData('/there', 'y')).version).toBe(1);
  expect(await session.getEphemerals()).toEqual(['/there']);
});
