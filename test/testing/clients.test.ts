import { expect, test } from 'vitest';
import { type ClientRun, clientRun, conclude } from './clients-rig.ts';

/** Crashes, partitions, pauses and stops, one after the other. */
async function trouble({ sim }: ClientRun): Promise<void> {
  await sim.start();
  await sim.advance(1500);
  sim.crash(1, { power: true });
  await sim.advance(1500);
  sim.restart(1);
  await sim.advance(1500);
  sim.isolate(sim.leader ?? 1);
  await sim.advance(4000);
  sim.heal();
  await sim.advance(1000);
  sim.pause(2, 1500);
  await sim.advance(2500);
  await sim.stop(3, { node: true });
  sim.restart(3);
  sim.crash(4);
  await sim.advance(3000);
  sim.restart(4);
}

test('clients see nothing wrong in a good ensemble, whatever happens to its servers', async () => {
  const run = clientRun(7, { observers: 1, ensemble: { snapCount: 50, commitLogCount: 10, maxSessionTimeout: 5000 } });
  await trouble(run);
  const statistics = await conclude(run);
  const { calls, linearizability } = statistics;
  expect(run.violations).toEqual([]);
  expect(linearizability).toMatchObject({ linearizable: 3, undecided: 0, violations: [] });
  // All of it was tried, and most of it with every outcome.
  expect(calls.create).toMatchObject({
    ok: expect.any(Number),
    refused: expect.any(Number),
    unknown: expect.any(Number),
    'not-sent': expect.any(Number),
  });
  expect(calls.multi).toMatchObject({ ok: expect.any(Number), refused: expect.any(Number) });
  for (const kind of ['setData', 'delete', 'setAcl', 'getData', 'exists', 'getChildren', 'sync', 'nodeSync', 'close', 'resume'] as const)
    expect(calls[kind]?.ok, kind).toBeGreaterThan(5);
  expect(statistics.committed).toBeGreaterThan(2000);
  expect(linearizability.operations).toBeGreaterThan(1000);
  expect(statistics.watchEvents).toBeGreaterThan(3000);
  expect(statistics.expired).toBeGreaterThan(0);
  expect(statistics.untold).toBeLessThan(10);
});

test('the same seed gives the same history, another seed another one', async () => {
  const lines = async (seed: number): Promise<string[]> => {
    const run = clientRun(seed);
    await run.sim.start();
    await run.sim.advance(2000);
    run.sim.crash(2);
    await run.sim.advance(3000);
    return run.workload.history.lines();
  };
  const first = await lines(3);
  expect(first.length).toBeGreaterThan(200);
  expect(await lines(3)).toEqual(first);
  expect(await lines(4)).not.toEqual(first);
});
