import { Chance } from './chance.ts';
import { Coverage } from './coverage.ts';
import { drawFaults, type Fault, type FaultMix, type WholeFault, wholeFault } from './faults.ts';
import { finale } from './finale.ts';
import { Nemesis } from './nemesis.ts';
import { createSimulation, type Simulation, type SimulationOptions } from './simulation.ts';
import type { TraceLine } from './trace.ts';

/** What a scenario can do about the faults around it. */
export interface RunControl {
  /** Simulated ms during which faults happen. */
  readonly duration: number;
  /** Ends all faults but pauses, which run out, and starts every server that is down. They need some time to come together: see {@link Simulation.settled}. */
  calm(): void;
  /** Ends the faults but for some servers, which are down from now on: a quorum of the others must be able to go on. Not before {@link RunControl.mayLose} says so. */
  calmExcept(dead: readonly number[]): void;
  /** False while a server has lost what it had on disk and has not got it back: then no other must be given up. */
  readonly mayLose: boolean;
}

/**
 * The code under test with its ensemble. What it throws or rejects with is a failure of the run; a Map it resolves to counts what it did. When a rule is broken or a program of
 * {@link Simulation.spawn} throws, the scenario goes on no more, not even to a `finally`.
 */
export type Scenario = (sim: Simulation, control: RunControl) => Promise<unknown>;

export interface RunOptions {
  /** The ensemble; a function draws one from the seed. @default three servers */
  readonly simulation?: Omit<SimulationOptions, 'seed'> | ((seed: number) => Omit<SimulationOptions, 'seed'>);
  /** Runs before the first fault, when all servers serve. Clients that it makes are among those whom drawn faults hit. */
  readonly setup?: (sim: Simulation) => Promise<unknown>;
  /** The faults: what to draw from, a plan, or none. @default drawn from all kinds */
  readonly faults?: FaultMix | readonly Fault[] | false;
  /** Simulated ms during which faults happen, from the end of the setup on. @default 20000 */
  readonly duration?: number;
  /** Begins with the faults. When it has ended, the faults end too, and all servers must come to the same state. */
  readonly scenario: Scenario;
}

/** What a run was and how it ended. */
export interface RunResult {
  readonly seed: number;
  /** Null: everything held. */
  readonly failure: Error | null;
  /** Equal for equal runs. */
  readonly digest: string;
  readonly events: number;
  readonly simulatedMs: number;
  /** The plan of faults. */
  readonly faults: readonly WholeFault[];
  /** How many faults of each kind found something to hit, and what the network did by itself. */
  readonly injected: ReadonlyMap<string, number>;
  /** How often each transition of the protocol was reached. */
  readonly transitions: ReadonlyMap<string, number>;
  /** What the scenario counted: the Map that it resolved to. */
  readonly counts: ReadonlyMap<string, number>;
  /** The last of what happened. */
  readonly story: readonly TraceLine[];
}

const isPlan = (faults: FaultMix | readonly Fault[]): faults is readonly Fault[] => Array.isArray(faults);

/** Runs a scenario once. A failure of the run is in the result; it rejects only for options that are out of rule. */
export async function runSeed(seed: number, options: RunOptions): Promise<RunResult> {
  const { simulation = {}, duration = 20_000 } = options;
  const sim = createSimulation({ ...(typeof simulation === 'function' ? simulation(seed) : simulation), seed });
  const coverage = new Coverage();
  sim.addProbe(coverage);
  const nemesis = new Nemesis(sim);
  const given = givenPlan(sim, options.faults);
  let faults = given ?? [];
  const begin = (): void => {
    faults = given ?? drawPlan(sim, duration, options.faults as FaultMix | undefined);
    nemesis.begin(faults);
  };
  let failure: Error | null = null;
  let counts: ReadonlyMap<string, number> = new Map();
  try {
    counts = await unlessItFails(sim, run(sim, nemesis, begin, duration, options));
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
  }
  const result = {
    seed,
    failure: sim.failure ?? failure,
    digest: sim.digest,
    events: sim.kernel.trace.events,
    simulatedMs: sim.now,
    faults,
    injected: new Map([...nemesis.injected, ...sim.network.counts]),
    transitions: coverage.counts,
    counts,
    story: sim.kernel.trace.lines(),
  };
  sim.close();
  return result;
}

/** The plan that the options give; null if it is to be drawn. */
function givenPlan(sim: Simulation, faults: RunOptions['faults'] = {}): readonly WholeFault[] | null {
  if (faults === false) return [];
  return isPlan(faults) ? faults.map((fault) => wholeFault(fault, sim.servers)) : null;
}

function drawPlan(sim: Simulation, duration: number, mix?: FaultMix): readonly WholeFault[] {
  return drawFaults(new Chance(sim.seed, 'faults'), sim.servers, duration, mix, sim.clients.length);
}

async function run(sim: Simulation, nemesis: Nemesis, begin: () => void, duration: number, options: RunOptions) {
  await sim.start();
  if (options.setup !== undefined) await sim.run(options.setup(sim));
  begin();
  const control: RunControl = {
    duration,
    calm: () => nemesis.end(),
    calmExcept: (dead) => nemesis.end(dead),
    get mayLose() {
      return nemesis.isWhole;
    },
  };
  const told = await sim.run(options.scenario(sim, control));
  nemesis.end();
  await finale(sim);
  return told instanceof Map ? (told as ReadonlyMap<string, number>) : new Map<string, number>();
}

/** Rejects as soon as the simulation fails, although those who wait in it are told nothing. */
function unlessItFails<T>(sim: Simulation, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    sim.kernel.supervise(reject);
    work.then(resolve, reject);
  });
}
