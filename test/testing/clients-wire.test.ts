import { describe, expect, test } from 'vitest';
import { ZabError } from '../../src/model/errors.ts';
import type { Session, WatchEvent, Watcher, WatchOptions } from '../../src/node/api.ts';
import { type ClientRun, type ClientRunOptions, clientRun, conclude, PLAN } from './clients-rig.ts';

/*
 * Clients whose sessions are over the wire, and the checks on what they see. A checker that cannot fail proves nothing: so something between the clients and their sessions breaks one promise each.
 */

/** Servers and clients are killed and cut off, one after the other. */
async function trouble({ sim }: ClientRun): Promise<void> {
  await sim.start();
  const [one, two] = sim.clients.map(({ id }) => id);
  await sim.advance(1500);
  sim.crash(1, { power: true });
  sim.network.reset(one, 2);
  await sim.advance(1500);
  sim.restart(1);
  sim.isolate(one);
  await sim.advance(1500);
  sim.heal();
  sim.crash(two);
  await sim.advance(1500);
  sim.restart(two);
  sim.isolate(sim.leader ?? 1);
  await sim.advance(4000);
  sim.heal();
  sim.pause(one, 1500);
  await sim.advance(1000);
  for (const id of sim.servers) sim.network.reset(two, id);
  await sim.advance(3000);
}

test('clients see nothing wrong over the wire, whatever happens to servers and connections', async () => {
  const ensemble = { snapCount: 50, commitLogCount: 10, maxSessionTimeout: 5000 };
  const run = clientRun(7, { overWire: 2, observers: 1, plan: { resumed: 0.3 }, ensemble });
  await trouble(run);
  const statistics = await conclude(run);
  const { calls, linearizability, untold } = statistics;
  expect(run.violations).toEqual([]);
  expect(linearizability).toMatchObject({ linearizable: 3, undecided: 0, violations: [] });
  expect(calls.create).toMatchObject({ ok: expect.any(Number), refused: expect.any(Number), unknown: expect.any(Number) });
  for (const kind of ['setData', 'delete', 'getData', 'exists', 'getChildren', 'sync', 'close', 'resume'] as const)
    expect(calls[kind]?.ok, kind).toBeGreaterThan(0);
  expect(calls.nodeSync).toBeUndefined();
  expect(linearizability.operations).toBeGreaterThan(300);
  expect(statistics.watchEvents).toBeGreaterThan(300);
  expect(statistics.expired).toBeGreaterThan(0);
  // The wire tells the number of every request.
  expect(untold).toBe(0);
});

/** Runs clients until a rule is broken; its name and what it says. */
async function broken(
  betweenWire: ClientRunOptions['betweenWire'],
  options: ClientRunOptions = {},
): Promise<{ rule: string; what: string }> {
  const run = clientRun(5, { overWire: 2, betweenWire, ...options, plan: { pipelined: 0, sessionCalls: [50, 100], ...options.plan } });
  try {
    await trouble(run);
    await conclude(run);
  } catch (error) {
    if (run.violations.length === 0) throw error;
  }
  return run.violations.length === 0 ? { rule: 'none', what: '' } : run.violations[0];
}

/** True at the nth call only. */
function nth(n: number): () => boolean {
  let count = 0;
  return () => ++count === n;
}

describe('calls', () => {
  test('a write that is sent again after its connection was lost', async () => {
    const { rule } = await broken((inner) => ({
      setData: (...args) =>
        inner.setData(...args).catch((error: ZabError) => {
          if (error.outcome !== 'unknown') throw error;
          return new Promise((resolve, reject) =>
            inner.once('state', (state) => (state === 'connected' ? inner.setData(...args).then(resolve, reject) : reject(error))),
          );
        }),
    }));
    // Or it is taken for the next write.
    expect(['OneAttempt', 'SessionOrder']).toContain(rule);
  });

  test('an answer from another time', async () => {
    let old: Awaited<ReturnType<Session['getData']>> | undefined;
    const now = nth(30);
    const { rule } = await broken((inner) => ({
      getData: async (path, options) => {
        const data = await inner.getData(path, options);
        if (path === '/w/r0' && old === undefined) old = data;
        return old !== undefined && path === '/w/r0' && (now() || data.stat.version > old.stat.version + 3) ? old : data;
      },
    }));
    expect(['ReadsAreCommitted', 'MonotonicReads', 'ReadYourWrites', 'SyncedReads']).toContain(rule);
  });

  test('a lost write that is said not to be done', async () => {
    const { rule } = await broken((inner) => ({
      setData: (...args) =>
        inner.setData(...args).catch((error: ZabError) => {
          throw new ZabError(error.code, error.message, 'not-done');
        }),
    }));
    expect(rule).toBe('AcknowledgedWrites');
  });
});

/** Puts itself between a session and the listeners of its persistent watches. */
const onEvents =
  (change: (event: WatchEvent, listener: Watcher) => void) =>
  (inner: Session): Partial<Session> => ({
    watch: ((path: string, listener: Watcher | WatchOptions, options?: WatchOptions) =>
      typeof listener === 'function'
        ? inner.watch(path, (event) => change(event, listener), options)
        : inner.watch(path, listener)) as Session['watch'],
  });

describe('watches', () => {
  test('an event that is not told', async () => {
    const now = nth(40);
    const { rule, what } = await broken(onEvents((event, listener) => (now() ? undefined : listener(event))));
    expect([rule, what]).toEqual(['Watches', expect.stringMatching(/not told|is due/)]);
  });

  test('an event that is told twice', async () => {
    const now = nth(40);
    const { rule } = await broken(
      onEvents((event, listener) => {
        listener(event);
        if (now()) listener(event);
      }),
    );
    expect(rule).toBe('Watches');
  });

  test('nobody says that something was missed', async () => {
    const { rule, what } = await broken(onEvents((event, listener) => (event.type === 'overflow' ? undefined : listener(event))));
    expect([rule, what]).toEqual(['Watches', expect.stringContaining('missed')]);
  });

  test('a one-shot watch that forgets', async () => {
    const now = nth(10);
    const { rule, what } = await broken((inner) => ({
      getData: (path, options) => inner.getData(path, options?.watch !== undefined && now() ? { ...options, watch: () => {} } : options),
    }));
    expect([rule, what]).toEqual(['Watches', expect.stringContaining('one-shot data watch')]);
  });
});

describe('sessions', () => {
  /** Listeners of the session's state hear what `tell` makes of it. */
  const saying = (tell: (state: string, say: (state: string) => void) => void) => (inner: Session) =>
    ({
      on: (event: 'state', listener: (state: string) => void) => inner.on(event, (state) => tell(state, listener)),
    }) as unknown as Partial<Session>;

  test('one that is given up too early', async () => {
    // Its watches would be found first.
    const plan = { mix: { ...PLAN.mix, watch: 0 }, oneShot: 0 };
    const lies = saying((state, say) => {
      say(state);
      if (state === 'suspended') say('expired');
    });
    const { rule, what } = await broken(lies, { plan });
    expect([rule, what]).toEqual(['SessionExpiry', expect.stringContaining('was given up after 0 ms')]);
  });

  test('one that is never given up', async () => {
    const lies = saying((state, say) => (state === 'expired' ? undefined : say(state)));
    const { rule, what } = await broken(lies, { plan: { timeout: [2, 3] } });
    expect([rule, what]).toEqual(['NoHang', expect.stringContaining('is suspended')]);
  });
});
