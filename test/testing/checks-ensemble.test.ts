import { describe, expect, it } from 'vitest';
import { Checks } from '../../src/testing/checks/all.ts';
import type { Violation } from '../../src/testing/probe.ts';
import { Cluster, type ClusterOptions } from '../zab/cluster.ts';
import { run } from '../zab/run.ts';
import { lookAt } from './zab-probe.ts';

/*
 * The checks over the seeded ensemble of protocol cores: crashes at every point of a write, partitions, silent cuts, pauses, learners that get DIFF, TRUNC and SNAP. All of it
 * is legal, so no rule may speak.
 */
const SEEDS = 40;

function violations(options: ClusterOptions): string[] {
  const found: string[] = [];
  const cluster = new Cluster(options);
  const specs = cluster.servers.map(({ id }) => ({ id, role: id <= options.voters ? ('participant' as const) : ('observer' as const) }));
  lookAt(cluster, new Checks(specs, (violation: Violation) => found.push(`${violation.message}, seed ${options.seed}`)));
  run(cluster);
  return found;
}

describe.each(['fast', 'basic'] as const)('no false alarm with the %s election', (algorithm) => {
  it.each([1, 2, 3, 4, 5])('and %i voters', (voters) => {
    for (let seed = 1; seed <= SEEDS; seed++)
      expect(violations({ seed: seed + voters * 7000, voters, observers: seed % 3, algorithm })).toEqual([]);
  });
});
