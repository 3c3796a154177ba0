import type { EnsembleNode, Session } from '../../src/node/api.ts';
import { Chance } from '../../src/testing/chance.ts';
import type { WorkloadPlan } from '../../src/testing/clients/plan.ts';
import { Workload, type WorkloadOptions, type WorkloadStatistics } from '../../src/testing/clients/workload.ts';
import type { Violation } from '../../src/testing/probe.ts';
import type { Program } from '../../src/testing/program.ts';
import { createSimulation, type Simulation, type SimulationOptions } from '../../src/testing/simulation.ts';

/** A plan in which everything happens, not too much of it at once. */
export const PLAN: WorkloadPlan = {
  clientsPerServer: 2,
  pause: [0, 60],
  keys: 3,
  mix: {
    register: 8,
    multi: 3,
    ephemeral: 2,
    sequential: 2,
    container: 2,
    ttl: 1,
    acl: 1,
    read: 4,
    syncedRead: 4,
    watch: 2,
    nodeSync: 1,
  },
  size: 100,
  largeSize: 50_000,
  large: 0.01,
  pipeline: 5,
  pipelined: 0.2,
  oneShot: 0.3,
  aborted: 0.02,
  sessionCalls: [5, 100],
  resumed: 0.6,
  left: 0.4,
  timeout: [2, 10],
  nodeWatch: 1,
};

export interface ClientRun {
  readonly sim: Simulation;
  readonly workload: Workload;
  readonly violations: Violation[];
}

export interface ClientRunOptions extends Omit<SimulationOptions, 'seed'> {
  readonly plan?: Partial<WorkloadPlan>;
  readonly bounds?: WorkloadOptions['bounds'];
  /** Comes between the clients and their node. */
  readonly between?: (node: EnsembleNode, program: Program) => EnsembleNode;
}

/** A simulated ensemble with the clients of a workload in each process. The first violation ends it. */
export function clientRun(seed: number, { plan, bounds, between = (node) => node, ...options }: ClientRunOptions = {}): ClientRun {
  const sim = createSimulation({ ...options, seed, ensemble: { tickTime: 500, containerCheckInterval: 1000, ...options.ensemble } });
  const violations: Violation[] = [];
  const workload = new Workload({
    chance: new Chance(seed, 'workload'),
    now: () => sim.now,
    report: (violation) => {
      violations.push(violation);
      sim.kernel.fail(violation);
    },
    tickTime: sim.tickTime,
    plan: { ...PLAN, ...plan },
    bounds,
  });
  sim.addProbe(workload.probe);
  for (const id of sim.servers) sim.spawn(id, (program) => workload.boot({ ...program, node: between(program.node, program) }));
  return { sim, workload, violations };
}

/** Lets the clients come to rest and closes the books. Rejects with the first violation. */
export async function conclude({ sim, workload }: ClientRun, calm = 10_000): Promise<WorkloadStatistics> {
  await sim.settled();
  workload.calm();
  await sim.advance(calm);
  workload.quiet();
  await sim.advance(2000);
  const statistics = workload.finish();
  if (sim.failure !== null) throw sim.failure;
  return statistics;
}

/** An object that does all by way of another, but for some methods. */
export function overlay<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      if (name in methods) return methods[name as keyof T];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** A node that gives out sessions which differ from its own in some methods. */
export const withSessions = (node: EnsembleNode, change: (session: Session) => Partial<Session>): EnsembleNode =>
  overlay(node, {
    openSession: async (options) => {
      const session = await node.openSession(options);
      return overlay(session, change(session));
    },
  });
