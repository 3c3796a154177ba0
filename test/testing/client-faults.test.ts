import { expect, test } from 'vitest';
import { FAULT_KINDS, type Fault, type FaultKind } from '../../src/testing/faults.ts';
import { type RunOptions, runSeed } from '../../src/testing/run.ts';
import type { Simulation } from '../../src/testing/simulation.ts';

const QUICK = { simulation: { ensemble: { tickTime: 200 } }, duration: 2000 } satisfies Partial<RunOptions>;

const withClients = (count: number) => async (sim: Simulation) => {
  for (let i = 0; i < count; i++) sim.client();
};

const waits: RunOptions['scenario'] = (sim, { duration }) => sim.advance(duration);

test('drawn faults hit clients that there are when they begin, and come on top of those that hit servers', async () => {
  const of = async (clients: number): Promise<readonly Fault[]> =>
    (await runSeed(4, { ...QUICK, faults: { density: 100 }, setup: withClients(clients), scenario: waits })).faults;
  const [without, both] = [await of(0), await of(3)];
  const hitsClient = ({ servers }: Fault): boolean => servers.some((id) => id < 0);
  expect(without.some(hitsClient)).toBe(false);
  expect(both.filter((fault) => !hitsClient(fault))).toEqual(without);
  expect(both.length - without.length).toBe(without.length / 2);
  expect(new Set(both.flatMap(({ servers }) => servers.filter((id) => id < 0)))).toEqual(new Set([-1, -2, -3]));
});

test('how many of them, and none', async () => {
  const faults = { density: 100, clients: 0 };
  const { faults: drawn } = await runSeed(4, { ...QUICK, faults, setup: withClients(1), scenario: waits });
  expect(drawn.filter(({ servers }) => servers[0] < 0)).toEqual([]);
});

test('a client is killed and started again, in its time or at the end of all faults', async () => {
  const lives: number[] = [];
  const result = await runSeed(1, {
    ...QUICK,
    faults: [
      { at: 100, kind: 'crash', servers: [-1], ms: 300 },
      { at: 100, kind: 'powerLoss', servers: [-4], ms: 5000 },
    ],
    setup: withClients(2),
    scenario: async (sim, control) => {
      for (const client of sim.clients) client.spawn(() => void lives.push(client.id));
      await sim.advance(200);
      expect(sim.clients.map(({ id }) => sim.isUp(id))).toEqual([false, false]);
      await sim.advance(300);
      expect(sim.clients.map(({ id }) => sim.isUp(id))).toEqual([true, false]);
      control.calm();
      expect(sim.clients.map(({ id }) => sim.isUp(id))).toEqual([true, true]);
    },
  });
  expect(result.failure).toBeNull();
  expect(lives).toEqual([1001, 1002, 1001, 1002]);
  expect(Object.fromEntries(result.injected)).toMatchObject({ crash: 1, powerLoss: 1 });
});

test.each(['from', 'to'] as const)('what a client says is held up, or what it is told: %s', async (how) => {
  const result = await runSeed(2, {
    ...QUICK,
    faults: [{ at: 0, kind: 'oneWay', servers: [-1], ms: 1500, how }],
    setup: withClients(1),
    scenario: async (sim) => {
      const asked: number[] = [];
      await sim.advance(10);
      const [client] = sim.clients;
      const wire = { asks: (id: number) => void asked.push(id), answered() {}, sent() {}, replied() {}, told() {}, ended() {} };
      await expect(client.connect({ openTimeout: 1000, wire })).rejects.toMatchObject({ code: 'CONNECTION_LOSS' });
      // Without an answer to the first packet there is no connection at all.
      expect(asked).toEqual([]);
      await sim.advance(1000);
      expect((await client.connect()).state).toBe('connected');
    },
  });
  expect(result.failure).toBeNull();
});

test('a plan for clients that are not there does nothing', async () => {
  const result = await runSeed(3, { ...QUICK, faults: [{ at: 0, kind: 'crash', servers: [-1] }], scenario: waits });
  expect([result.failure, result.injected.get('crash')]).toEqual([null, undefined]);
});

const SERVERS_ONLY: readonly FaultKind[] = [
  'crashAtStep',
  'crashAll',
  'restartNode',
  'slowDisk',
  'diskError',
  'diskFull',
  'lyingDisk',
  'bitRot',
  'lookupFailure',
];

test.each(FAULT_KINDS)('a client and %s', async (kind) => {
  const run = runSeed(5, { ...QUICK, faults: [{ at: 0, kind, servers: [-1, 2] }], setup: withClients(1), scenario: waits });
  if (SERVERS_ONLY.includes(kind)) await expect(run).rejects.toThrow('a client can only be hit by crash, powerLoss,');
  else expect((await run).failure).toBeNull();
});
