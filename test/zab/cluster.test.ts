import { describe, expect, it } from 'vitest';
import { Cluster, type ClusterOptions } from './cluster.ts';
import { run } from './run.ts';

const SEEDS = 120;
/** The slowest of many thousand runs took 3 s of simulated time; initLimit is 1 s here. */
const PATIENCE = 6000;

function tryOne(options: ClusterOptions): { healMs: number; committed: number } {
  try {
    return run(new Cluster(options));
  } catch (error) {
    throw new Error(`${(error as Error).message}, with ${JSON.stringify(options)}`, { cause: error });
  }
}

describe.each(['fast', 'basic'] as const)('ensembles under faults, %s election', (algorithm) => {
  it.each([1, 2, 3, 4, 5])('keep every commit with %i voters, and come together again', (voters) => {
    let committed = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const result = tryOne({ seed: seed + voters * 1000, voters, observers: seed % 3, algorithm });
      expect(result.healMs).toBeLessThan(PATIENCE);
      committed += result.committed;
    }
    expect(committed / SEEDS).toBeGreaterThan(20);
  });
});

it('a run repeats exactly', () => {
  const trace = () => {
    const cluster = new Cluster({ seed: 42, voters: 3, observers: 1, algorithm: 'fast' });
    cluster.trace = [];
    run(cluster);
    return cluster.trace;
  };
  const first = trace();
  expect(first.length).toBeGreaterThan(500);
  expect(trace()).toEqual(first);
});
