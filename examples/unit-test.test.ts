import { afterEach, beforeEach, expect, test } from 'vitest';
import type { EnsembleNode, Session } from 'zab-ensemble';
import { type InMemoryEnsemble, inMemoryEnsemble } from './support/in-memory.ts';

/* How to unit-test distributed logic: a whole ensemble in the test's own process, on a network that the test can cut. `npx vitest run examples` */

/** The logic under test: workers take jobs from a shared list, and each job is done by one of them only. */
async function claim(session: Session, job: string, worker: string): Promise<boolean> {
  try {
    await session.create(`/jobs/${job}/owner`, worker, { mode: 'ephemeral' });
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === 'NODE_EXISTS') return false;
    throw error;
  }
}

const JOBS = Array.from({ length: 20 }, (_, i) => `job-${i}`);

let ensemble: InMemoryEnsemble;

beforeEach(async () => {
  ensemble = await inMemoryEnsemble(3);
  const session = await ensemble.nodes[0].openSession();
  await session.create('/jobs');
  await Promise.all(JOBS.map((job) => session.create(`/jobs/${job}`)));
  await session.close();
});

afterEach(() => ensemble[Symbol.asyncDispose]());

const serving = (node: EnsembleNode): Promise<void> =>
  node.serving ? Promise.resolve() : new Promise((resolve) => node.on('serving', (now) => now && resolve()));

test('each job is claimed once, however many workers want it', async () => {
  const claims = await Promise.all(
    ensemble.nodes.map(async (node) => {
      const session = await node.openSession();
      const won = await Promise.all(JOBS.map((job) => claim(session, job, `worker-${node.id}`)));
      return JOBS.filter((_, i) => won[i]);
    }),
  );
  expect(claims.flat().sort()).toEqual([...JOBS].sort());
});

test('a worker behind a cut claims nothing, and the others go on', async () => {
  const [alone, other] = ensemble.followers();
  const cutOff = await alone.openSession();
  const session = await other.openSession();
  ensemble.network.isolate(alone.id);

  expect(await claim(session, 'job-0', 'worker-there')).toBe(true);
  await expect(claim(cutOff, 'job-1', 'worker-alone')).rejects.toMatchObject({ code: 'CONNECTION_LOSS' });
  expect(alone.tree.exists('/jobs/job-0/owner')).toBeUndefined();

  ensemble.network.heal();
  await serving(alone);
  await alone.sync();
  expect(alone.tree.getData('/jobs/job-0/owner')?.text()).toBe('worker-there');
});

test('the jobs of a worker that ends are free again', async () => {
  const [first, second] = await Promise.all(ensemble.nodes.map((node) => node.openSession()));
  expect(await claim(first, 'job-0', 'worker-1')).toBe(true);
  expect(await claim(second, 'job-0', 'worker-2')).toBe(false);
  await first.close();
  await second.sync();
  expect(await claim(second, 'job-0', 'worker-2')).toBe(true);
});
