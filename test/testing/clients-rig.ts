import { Chance } from '../../src/testing/chance.ts';
import type { WorkloadPlan } from '../../src/testing/clients/plan.ts';
import { Workload, type WorkloadStatistics } from '../../src/testing/clients/workload.ts';
import type { Violation } from '../../src/testing/probe.ts';
import { createSimulation, type Simulation, type SimulationOptions } from '../../src/testing/simulation.ts';

export interface ClientRun {
  readonly sim: Simulation;
  readonly workload: Workload;
  readonly violations: Violation[];
}

/** A simulated ensemble with the clients of a workload in each process. */
export function clientRun(seed: number, plan?: WorkloadPlan, options: Omit<SimulationOptions, 'seed'> = {}): ClientRun {
  const sim = createSimulation({ ...options, seed, ensemble: { tickTime: 500, ...options.ensemble } });
  const violations: Violation[] = [];
  const workload = new Workload({
    chance: new Chance(seed, 'workload'),
    now: () => sim.now,
    report: (violation) => {
      violations.push(violation);
      sim.kernel.fail(violation);
    },
    tickTime: sim.tickTime,
    plan,
  });
  sim.addProbe(workload.probe);
  for (const id of sim.servers) sim.spawn(id, (program) => workload.boot(program));
  return { sim, workload, violations };
}

/** Lets the clients come to rest and closes the books. */
export async function conclude({ sim, workload }: ClientRun, calm = 30_000): Promise<WorkloadStatistics> {
  workload.calm();
  await sim.advance(calm);
  workload.quiet();
  await sim.advance(5000);
  const statistics = workload.finish();
  if (sim.failure !== null) throw sim.failure;
  return statistics;
}
