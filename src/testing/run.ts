import { Chance } from './chance.ts';
import { Coverage } from './coverage.ts';
import { drawFaults, type Fault, type FaultMix } from './faults.ts';
import { finale } from './finale.ts';
import { Nemesis } from './nemesis.ts';
import { createSimulation, type Simulation, type SimulationOptions } from './simulation.ts';
import type { TraceLine } from './trace.ts';

/** What a scenario can do about the faults around it. */
export interface RunControl {
  /** Simulated ms during which faults happen. */
  readonly duration: number;
  /** Ends all faults, and starts every server that is down. */
  calm(): void;
  /** Ends the faults but for some servers, which are down from now on: a quorum of the others must be able to go on. Not before {@link RunControl.mayLose} says so. */
  calmExcept(dead: readonly number[]): void;
  /** False while a server has lost what it had on disk and has not got it back: then no other must be given up. */
  readonly mayLose: boolean;
}

/** The code under test with its ensemble. What it throws or rejects with is a failure of the run; a Map it resolves to counts what it did. */
export type Scenario = (sim: Simulation, control: RunControl) => Promise<unknown>;

export interface RunOptions {
  /** The ensemble; a function draws one from the seed. @default three servers */
  readonly simulation?: Omit<SimulationOptions, 'seed'> | ((seed: number) => Omit<SimulationOptions, 'seed'>);
  /** The faults: what to draw from, those of an earlier run, or none. @default drawn from all kinds */
  readonly faults?: FaultMix | readonly Fault[] | false;
  /** Simulated ms during which faults happen. @default 20000 */
  readonly duration?: number;
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
  /** The plan of faults, and how many of each kind found something to hit. */
  readonly faults: readonly Fault[];
  readonly injected: ReadonlyMap<string, number>;
  /** How often each transition of the protocol was reached. */
  readonly transitions: ReadonlyMap<string, number>;
  /** What the scenario counted. */
  readonly counts: ReadonlyMap<string, number>;
  /** The last of what happened. */
  readonly story: readonly TraceLine[];
}

const isPlan = (faults: FaultMix | readonly Fault[]): faults is readonly Fault[] => Array.isArray(faults);

/** Runs a scenario once. Never rejects: a failure is in the result. */
export async function runSeed(seed: number, options: RunOptions): Promise<RunResult> {
  const { simulation = {}, duration = 20_000, faults = {}, scenario } = options;
  const sim = createSimulation({ ...(typeof simulation === 'function' ? simulation(seed) : simulation), seed });
  const coverage = new Coverage();
  sim.addProbe(coverage);
  const nemesis = new Nemesis(sim);
  const plan = faults === false ? [] : isPlan(faults) ? faults : drawFaults(new Chance(seed, 'faults'), sim.servers, duration, faults);
  let failure: Error | null = null;
  let counts: ReadonlyMap<string, number> = new Map();
  try {
    await sim.start();
    nemesis.begin(plan);
    const control: RunControl = {
      duration,
      calm: () => nemesis.end(),
      calmExcept: (dead) => nemesis.end(dead),
      get mayLose() {
        return nemesis.isWhole;
      },
    };
    const told = await sim.run(scenario(sim, control));
    if (told instanceof Map) counts = told;
    nemesis.end();
    await finale(sim);
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
  }
  failure = sim.failure ?? failure;
  const result = {
    seed,
    failure,
    digest: sim.digest,
    events: sim.kernel.trace.events,
    simulatedMs: sim.now,
    faults: plan,
    injected: new Map([...nemesis.injected, ...sim.network.counts]),
    transitions: coverage.counts,
    counts,
    story: sim.kernel.trace.lines(),
  };
  sim.close();
  return result;
}
