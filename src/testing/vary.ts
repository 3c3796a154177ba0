import { Chance } from './chance.ts';
import type { SimulatedServer, SimulationOptions } from './simulation.ts';

/** Draws an ensemble and its surroundings from a seed: sizes, weights, limits, speeds. Every choice is legal; many are odd. */
export function drawOptions(seed: number): SimulationOptions {
  const chance = new Chance(seed, 'options');
  const tickTime = chance.pick([100, 200, 500]);
  // Half the time small values, so that snapshots, log reads and file changes come often enough to meet faults.
  const small = chance.chance(0.5);
  const slowest = chance.pick([1, 5, 20]);
  const port = chance.fork('client port');
  const walk = chance.fork('walk');
  return {
    seed,
    servers: drawServers(chance),
    latency: [0.05, chance.pick([0.5, 2, 10])],
    diskLatency: [0.02, slowest],
    snapshotPause: walk.pick([0, 0, 0, 0, 50]),
    preAllocSize: chance.pick([0, 4096, 65536]),
    logSizeLimit: chance.pick([1024, 16384, 65536]),
    ensemble: {
      tickTime,
      initLimit: chance.between(5, 10),
      syncLimit: chance.between(2, 5),
      election: chance.chance(0.75) ? 'fast' : 'basic',
      finalizeWait: chance.pick([20, 200]),
      minSessionTimeout: 2 * tickTime,
      snapCount: small ? chance.between(5, 100) : 1000,
      commitLogCount: small ? chance.between(1, 20) : 500,
      snapshotConcurrency: chance.between(1, 2),
      containerCheckInterval: chance.pick([1000, 60_000]),
      digest: chance.chance(0.8),
      enforceQuota: chance.chance(0.5),
      globalOutstandingLimit: port.pick([2, 20, 10_000]),
      readOnlyMode: port.chance(0.4),
    },
  };
}

function drawServers(chance: Chance): SimulatedServer[] {
  const voters = chance.pick([1, 2, 3, 3, 3, 3, 4, 5, 5, 6, 7]);
  const observers = chance.pick([0, 0, 0, 1, 1, 2]);
  const ids = chance.shuffle(Array.from({ length: voters + observers }, (_, i) => i + 1));
  const grouped = voters >= 3 && chance.chance(0.15);
  return ids.map((id, i) => {
    if (i >= voters) return { id, role: 'observer' as const };
    if (!grouped) return { id };
    // Everybody has a weight but perhaps one.
    return { id, group: i % chance.pick([1, 3]), weight: i === 1 && chance.chance(0.3) ? 0 : chance.between(1, 2) };
  });
}
