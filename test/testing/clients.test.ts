import { expect, test } from 'vitest';
import { clientRun, conclude } from './clients-rig.ts';

test('clients of a quiet ensemble see nothing wrong', async () => {
  const run = clientRun(1);
  await run.sim.start();
  await run.sim.advance(20_000);
  const statistics = await conclude(run);
  console.log(JSON.stringify(statistics, null, 1), JSON.stringify(run.workload.plan));
  expect(run.violations).toEqual([]);
});
