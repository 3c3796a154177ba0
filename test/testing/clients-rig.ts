import type { EnsembleNode, Session } from '../../src/node/api.ts';
import { Chance } from '../../src/testing/chance.ts';
import type { ClientOptions } from '../../src/testing/client.ts';
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
  readOnly: 0.2,
  oneServer: 0.1,
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
  /** So many processes have their sessions over the wire, and nobody in a server's process has any. @default 0 */
  readonly overWire?: number;
  /** Comes between them and these sessions. */
  readonly betweenWire?: (session: Session) => Partial<Session>;
}

/** A simulated ensemble with the clients of a workload in each process. The first violation ends it. */
export function clientRun(seed: number, { plan, bounds, ...rest }: ClientRunOptions = {}): ClientRun {
  const { between = (node) => node, overWire = 0, betweenWire = () => ({}), ...options } = rest;
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
  for (const id of overWire > 0 ? [] : sim.servers)
    sim.spawn(id, (program) => workload.boot({ ...program, node: between(program.node, program) }));
  for (let i = 0; i < overWire; i++) {
    sim.client().spawn((program) => {
      const connect = async (options?: ClientOptions): Promise<Session> => {
        const session = await program.connect(options);
        return overlay(session, betweenWire(session));
      };
      return workload.bootClient({ ...program, connect });
    });
  }
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
