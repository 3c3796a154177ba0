import { expect, test, vi } from 'vitest';
import {
  ExplorationFailed,
  type ExploreOptions,
  explore,
  FAULT_KINDS,
  type Fault,
  type Program,
  type RunOptions,
  type RunResult,
  replay,
  runSeed,
  type Simulation,
  shrink,
  traceOf,
  Violation,
} from 'zab-ensemble/testing';

/** Small and quick: three servers, a short time of faults. */
const QUICK = { simulation: { ensemble: { tickTime: 100 } }, duration: 2000 } as const;

/** The planted bug: whoever loses its ensemble goes wrong. */
const fragile: RunOptions = {
  ...QUICK,
  faults: { kinds: ['isolate', 'pause', 'slowDisk', 'clockJump'], density: 30 },
  scenario: async (sim, { duration }) => {
    for (const id of sim.servers) sim.spawn(id, untilItIsAlone);
    await sim.advance(duration);
  },
};

async function untilItIsAlone({ node, server, note }: Program): Promise<void> {
  await node.start();
  await new Promise<void>((resolve) => node.once('serving', () => resolve()));
  note('has lost its ensemble');
  throw new RangeError(`server ${server} went wrong`);
}

async function failure(options: ExploreOptions): Promise<{ failed: ExplorationFailed; printed: string }> {
  const lines: string[] = [];
  const failed = await explore({ print: (line) => lines.push(line), ...options }).catch((error: unknown) => error);
  if (!(failed instanceof ExplorationFailed)) throw new Error(`explore has not failed but given ${JSON.stringify(failed)}`);
  return { failed, printed: lines.join('\n') };
}

const stamp = ({ digest, failure, simulatedMs, faults }: RunResult): unknown => ({
  digest,
  failure: failure?.message,
  simulatedMs,
  faults,
});

/** A rule of the user's own, broken by exactly one thing: server 2 cannot reach the others. */
const onePartition: RunOptions = {
  ...QUICK,
  scenario: async (sim, { duration }) => {
    sim.always('Together', () => sim.servers.every((id) => !sim.isUp(id) || id !== 2 || sim.node(id).role !== 'looking'));
    await sim.advance(duration);
  },
};
const PLAN: readonly Fault[] = [
  { at: 100, kind: 'slowDisk', servers: [1], ms: 300 },
  { at: 200, kind: 'clockJump', servers: [2] },
  { at: 300, kind: 'pause', servers: [1], ms: 20 },
  { at: 400, kind: 'partition', servers: [2], ms: 1400 },
  { at: 500, kind: 'slowLink', servers: [1, 3], ms: 500 },
  { at: 600, kind: 'reset', servers: [1, 3] },
];

test('explore finds the seed that breaks, prints what it takes and what happened, and rejects', async () => {
  const { failed, printed } = await failure({ ...fragile, seeds: 30 });
  const { result } = failed;
  expect(failed.message).toMatch(new RegExp(`^seed ${result.seed} fails, with 1 fault: .*server \\d went wrong`));
  expect(failed.cause).toBeInstanceOf(RangeError);
  expect(printed).toMatch(new RegExp(`^seed ${result.seed} failed after`));
  // Where the error comes from, the fault, and the story up to the end.
  expect(printed).toMatch(/explore\.test\.ts:\d+/);
  expect(printed).toMatch(/faults that are needed for it: 1\n +\d\.\d+ s: (isolate|pause) \d for \d+ ms\n/);
  expect(printed).toMatch(/server \d {2}has lost its ensemble\n.*a program throws\n.*FAILED: .*went wrong/);
  expect(printed).not.toMatch(/CANNOT BE REPEATED/);
  // The run itself is long and is not shown with the error.
  expect(Object.keys(failed)).not.toContain('result');
});

test('replay repeats a seed, event for event', async () => {
  const options = fragile;
  const first = await runSeed(5, options);
  expect(stamp(await replay(5, options))).toEqual(stamp(first));
  expect((await runSeed(6, options)).digest).not.toBe(first.digest);
});

test('shrink leaves the one fault that matters, and makes it shorter', async () => {
  const options = { ...onePartition, faults: PLAN };
  const all = await runSeed(1, options);
  expect(all.failure).toMatchObject({ rule: 'Together' });
  const least = await shrink(all, options);
  expect(least.failure).toMatchObject({ rule: 'Together' });
  expect(least.faults.map(({ kind, at }) => [kind, at])).toEqual([['partition', 400]]);
  expect(least.faults[0].ms).toBeLessThan(1400);
  // Half of it is not enough.
  const half = least.faults.map((fault) => ({ ...fault, ms: Math.floor(fault.ms / 2) }));
  expect((await runSeed(1, { ...options, faults: half })).failure).toBeNull();
});

test('shrink keeps to its bound of runs', async () => {
  let runs = 0;
  const options: RunOptions = {
    ...QUICK,
    faults: PLAN,
    scenario: async () => {
      runs++;
      throw new Error('always');
    },
  };
  const failing = await runSeed(1, options);
  expect((await shrink(failing, options, 1)).faults.length).toBe(3);
  expect(runs).toBe(2);
  expect((await shrink(failing, options)).faults.length).toBe(0);
});

test('shrink stays with the rule that was broken first', async () => {
  const options: RunOptions = {
    ...onePartition,
    faults: PLAN,
    scenario: async (sim, control) => {
      await onePartition.scenario(sim, control);
      throw new Error('without the partition something else goes wrong');
    },
  };
  const least = await shrink(await runSeed(1, options), options);
  expect(least.failure).toMatchObject({ rule: 'Together' });
});

test('a trace is a text that gives the same failure again', async () => {
  const found = await runSeed(1, { ...onePartition, faults: PLAN.slice(3) });
  const text = traceOf(found);
  expect(JSON.parse(text)).toMatchObject({ seed: 1, digest: found.digest, failure: found.failure?.message });
  expect(JSON.parse(text).story.join('\n')).toContain('partition: 2 | 1,3');
  // The faults come from the trace, whatever the options say.
  expect(stamp(await replay(text, onePartition))).toEqual(stamp(found));
});

test('stopAtFirst: false goes on through all seeds and gives the failures', async () => {
  const seen: number[] = [];
  const scenario = async (sim: Simulation): Promise<void> => {
    if (sim.seed % 2 === 0) throw new Error(`seed ${sim.seed} is even`);
  };
  const { runs, events, failures } = await explore({
    ...QUICK,
    faults: false,
    scenario,
    seeds: [3, 4, 5, 6],
    stopAtFirst: false,
    print: () => {},
    onRun: ({ seed }) => seen.push(seed),
  });
  expect([runs, seen]).toEqual([4, [3, 4, 5, 6]]);
  expect(failures.map(({ seed, failure }) => [seed, failure?.message])).toEqual([
    [4, 'seed 4 is even'],
    [6, 'seed 6 is even'],
  ]);
  expect(events).toBeGreaterThan(0);
});

test('faults: false leaves everything in peace, a mix keeps to its kinds', async () => {
  const scenario: RunOptions['scenario'] = (sim, { duration }) => sim.advance(duration);
  const peaceful = await runSeed(1, { ...QUICK, faults: false, scenario });
  expect([peaceful.failure, peaceful.faults, peaceful.transitions.get('leading -> looking')]).toEqual([null, [], 0]);
  const mixed = await runSeed(1, { ...QUICK, faults: { kinds: ['crash', 'isolate'], density: 50 }, scenario });
  expect(mixed.failure).toBeNull();
  expect(new Set(mixed.faults.map(({ kind }) => kind))).toEqual(new Set(['crash', 'isolate']));
  expect(mixed.faults.length).toBe(10);
  expect(mixed.injected.get('crash')).toBeGreaterThan(0);
});

test('a plan of the caller is carried out, with defaults for what it leaves open', async () => {
  const states: string[] = [];
  const result = await runSeed(1, {
    ...QUICK,
    faults: [
      { at: 100, kind: 'crash', servers: [0] },
      { at: 1500, kind: 'crashAll', servers: [1, 2, 3], how: 'power', ms: 10 },
    ],
    scenario: async (sim) => {
      const { leader } = sim;
      await sim.advance(500);
      states.push(`${leader} is ${sim.isUp(leader!) ? 'up' : 'down'}`);
      await sim.advance(700);
      states.push(`${leader} is ${sim.isUp(leader!) ? 'up' : 'down'}`);
    },
  });
  expect(result.failure).toBeNull();
  expect(states.map((text) => text.slice(2))).toEqual(['is down', 'is up']);
  expect(result.faults[0]).toMatchObject({ ms: 1000, amount: 0 });
});

test.each([
  [{ at: 1, kind: 'crush', servers: [1] }, /no such kind, only crash, /],
  [{ at: 1, kind: 'crash', servers: [4] }, /servers must name some of 1,2,3/],
  [{ at: 1, kind: 'crash', servers: [] }, /servers/],
  [{ at: -1, kind: 'crash', servers: [1] }, /at and ms/],
  [{ at: 1, kind: 'crashAtStep', servers: [1], how: 'power' }, /how must be one of before process, /],
])('a plan with %j is refused before it begins', async (fault, message) => {
  await expect(runSeed(1, { ...QUICK, faults: [fault as Fault], scenario: async () => {} })).rejects.toThrow(message);
});

test('every kind of fault can be in a plan with nothing but a server', async () => {
  const faults = FAULT_KINDS.map((kind, i): Fault => ({ at: 50 * i, kind, servers: [(i % 3) + 1, ((i + 1) % 3) + 1], ms: 40 }));
  const result = await runSeed(3, { ...QUICK, faults, scenario: (sim, { duration }) => sim.advance(duration) });
  expect(result.failure).toBeNull();
});

test('the setup is over before the first fault', async () => {
  const result = await runSeed(2, {
    ...QUICK,
    faults: [{ at: 0, kind: 'crashAll', servers: [1, 2, 3] }],
    setup: async (sim) => {
      const session = await sim.openSession(1);
      for (let i = 0; i < 20; i++) await session.create(`/n${i}`);
      await session.close();
    },
    scenario: async (sim, control) => {
      await sim.advance(100);
      expect(sim.servers.filter((id) => sim.isUp(id))).toEqual([]);
      control.calm();
      await sim.settled();
      expect(sim.node(2).tree.getChildren('/')).toHaveLength(21);
    },
  });
  expect(result.failure).toBeNull();
});

test('work that nobody waits for does not end the host when a run fails, nor goes on after it', async () => {
  const rejected = vi.fn();
  process.on('unhandledRejection', rejected);
  const monitor = async (sim: Simulation): Promise<void> => {
    for (;;) await sim.advance(10);
  };
  const sims: Simulation[] = [];
  for (const how of ['throws', 'breaks a rule'] as const) {
    const { failure } = await runSeed(1, {
      ...QUICK,
      faults: false,
      scenario: async (sim) => {
        sims.push(sim);
        void monitor(sim);
        await sim.advance(100);
        if (how === 'throws') throw new Error('here');
        sim.always('Early', () => sim.now < 500);
        await sim.advance(1000);
        throw new Error('the run has gone on');
      },
    });
    expect(failure?.message).toMatch(how === 'throws' ? /^here$/ : /^Early: /);
  }
  const events = (): number[] => sims.map((sim) => sim.kernel.trace.events);
  const before = events();
  for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect([events(), rejected.mock.calls]).toEqual([before, []]);
  process.off('unhandledRejection', rejected);
});

test('a program ends without ado when its node does, and its own errors count', async () => {
  const broken = (what: (program: Program) => Promise<unknown>): Promise<RunResult> =>
    runSeed(1, {
      ...QUICK,
      faults: [
        { at: 500, kind: 'diskError', servers: [1] },
        { at: 900, kind: 'restartNode', servers: [2], ms: 100 },
      ],
      scenario: async (sim, { duration }) => {
        for (const id of sim.servers) sim.spawn(id, what);
        await sim.advance(duration);
      },
    });
  let begun = 0;
  const writer = async ({ node, sleep, server }: Program): Promise<void> => {
    begun++;
    await node.start();
    for (;;) {
      const session = await node.openSession().catch((error: { code?: string }) => {
        if (error.code === 'CONNECTION_LOSS') return null;
        throw error;
      });
      await session?.create('/n-', String(server), { mode: 'ephemeralSequential' }).catch((error: { code?: string }) => {
        if (error.code !== 'CONNECTION_LOSS') throw error;
      });
      await sleep(50);
    }
  };
  const result = await broken(writer);
  expect(result.failure).toBeNull();
  // Three, and those of the nodes that came after the two that ended.
  expect(begun).toBe(5);
  const failing = await broken(async ({ node, sleep }) => {
    await node.start();
    await sleep(100);
    throw new Violation('Mine', 'is broken');
  });
  expect(failing.failure).toMatchObject({ rule: 'Mine' });
});

test('a run that takes chance from elsewhere is found out', async () => {
  let calls = 0;
  const { printed, failed } = await failure({
    ...QUICK,
    faults: false,
    seeds: 1,
    scenario: async (sim) => {
      await sim.advance(++calls * 100);
      throw new Error('hidden state');
    },
  });
  expect(printed).toMatch(/CANNOT BE REPEATED/);
  expect(failed.result.failure?.message).toBe('hidden state');
});
