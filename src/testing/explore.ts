import { describeFault, type Fault } from './faults.ts';
import { Violation } from './probe.ts';
import { type RunOptions, type RunResult, runSeed } from './run.ts';
import { formatLine } from './trace.ts';

export interface ExploreOptions extends RunOptions {
  /** Which seeds: so many, from 1 on, or these. An iterable may decide by the clock when it is enough. */
  readonly seeds: number | Iterable<number>;
  /** Stop after the first that fails. @default true */
  readonly stopAtFirst?: boolean;
  /** Runs that may be spent on finding the few faults that matter in a failing run; 0 for none. @default 100 */
  readonly shrinkRuns?: number;
  /** Where the report of a failing seed goes, line by line. @default console.log */
  readonly print?: (line: string) => void;
  /** Called after each run of a seed. */
  readonly onRun?: (result: RunResult) => void;
}

/** What an exploration has done, and found if it did not stop at the first. */
export interface Exploration {
  readonly runs: number;
  readonly events: number;
  readonly simulatedMs: number;
  /** With the faults that matter, if that was wanted. */
  readonly failures: readonly RunResult[];
}

/** A seed of an exploration has failed; `cause` is what broke. */
export class ExplorationFailed extends Error {
  override readonly name = 'ExplorationFailed';
  // Not to be shown with the error: it is long.
  readonly #result: RunResult;

  constructor(result: RunResult) {
    super(`seed ${result.seed} fails, ${summary(result)}: ${result.failure?.message}`, { cause: result.failure });
    this.#result = result;
  }

  /** The failing run, with the faults that matter. */
  get result(): RunResult {
    return this.#result;
  }
}

const summary = ({ faults }: RunResult): string => (faults.length === 1 ? 'with 1 fault' : `with ${faults.length} faults`);

/**
 * Runs a scenario under many seeds, each with other timings and faults. The first failing one is thinned out to the faults that matter and printed with the story of its last events; then
 * it rejects with {@link ExplorationFailed}, or goes on if `stopAtFirst` is false.
 *
 * A failing run is first done once more. If that is not the same, event for event, the report says so: then the code under test takes time or chance from outside of the simulation.
 */
export async function explore(options: ExploreOptions): Promise<Exploration> {
  const { seeds, stopAtFirst = true, shrinkRuns = 100, print = (line: string) => console.log(line), onRun } = options;
  const failures: RunResult[] = [];
  let [runs, events, simulatedMs] = [0, 0, 0];
  for (const seed of typeof seeds === 'number' ? counting(seeds) : seeds) {
    const result = await runSeed(seed, options);
    runs++;
    events += result.events;
    simulatedMs += result.simulatedMs;
    onRun?.(result);
    if (result.failure === null) continue;
    const isSame = (await runSeed(seed, options)).digest === result.digest;
    const least = isSame && shrinkRuns > 0 ? await shrink(result, options, shrinkRuns) : result;
    for (const line of report(least)) print(line);
    if (!isSame) print(NOT_REPEATABLE);
    failures.push(least);
    if (stopAtFirst) throw new ExplorationFailed(least);
  }
  return { runs, events, simulatedMs, failures };
}

const NOT_REPEATABLE =
  'THIS RUN CANNOT BE REPEATED: with the same seed it went another way. The code under test must take time and chance from the simulation alone.';

/** Runs one seed again, with the same options; or what {@link traceOf} wrote down. The result has everything up to the failure. */
export function replay(run: number | string, options: RunOptions): Promise<RunResult> {
  if (typeof run === 'number') return runSeed(run, options);
  const { seed, faults, duration } = JSON.parse(run) as { seed: number; faults: Fault[]; duration?: number };
  return runSeed(seed, { ...options, faults, duration: duration ?? options.duration });
}

/**
 * Removes faults from a failing run, and makes those that are left shorter, as long as it goes on to break the same rule. What comes out is not always the smallest such plan, but none of it can
 * be left out alone, unless `maxRuns` was used up.
 */
export async function shrink(failing: RunResult, options: RunOptions, maxRuns = 100): Promise<RunResult> {
  const rule = ruleOf(failing);
  let least = failing;
  let runs = 0;
  /** Takes the plan if it fails as well. */
  const fails = async (faults: readonly Fault[]): Promise<boolean> => {
    if (++runs > maxRuns) return false;
    const result = await runSeed(failing.seed, { ...options, faults });
    if (result.failure === null || ruleOf(result) !== rule) return false;
    least = result;
    return true;
  };
  let size = Math.ceil(least.faults.length / 2);
  while (size > 0 && runs < maxRuns) {
    const before = least.faults.length;
    for (let from = 0; from < least.faults.length && runs < maxRuns; ) {
      const { faults } = least;
      if (!(await fails([...faults.slice(0, from), ...faults.slice(from + size)]))) from += size;
    }
    // With one less another one may have become needless.
    if (size > 1) size = Math.ceil(size / 2);
    else if (least.faults.length === before) size = 0;
  }
  for (let i = 0; i < least.faults.length && runs < maxRuns; ) {
    const { faults } = least;
    const ms = Math.floor(faults[i].ms / 2);
    if (ms === 0 || !(await fails(faults.map((fault, k) => (k === i ? { ...fault, ms } : fault))))) i++;
  }
  return least;
}

/** What must stay the same when a run is thinned out: the rule that it breaks. */
function ruleOf({ failure }: RunResult): string {
  if (failure === null) return '';
  return 'rule' in failure ? String(failure.rule) : `${failure.name}: ${failure.message.replace(/\d+/g, '#')}`;
}

/**
 * A failing run for people: what broke, which faults it took, and what happened last: so many lines without the messages between the servers, and then the very last with them.
 */
export function report(result: RunResult, lines = 40): string[] {
  const { seed, failure, faults, events, digest, simulatedMs, story } = result;
  return [
    `seed ${seed} failed after ${(simulatedMs / 1000).toFixed(3)} simulated seconds (${events} events, digest ${digest})`,
    ...describeFailure(failure).map((line) => `  ${line}`),
    `faults that are needed for it: ${faults.length}`,
    ...faults.map((fault) => `  ${describeFault(fault)}`),
    'what happened last:',
    ...story
      .filter(({ isDetail }) => !isDetail)
      .slice(-lines)
      .map(formatLine),
    'and every message of the end:',
    ...story.slice(-Math.ceil(lines / 2)).map(formatLine),
  ];
}

/** A broken rule tells everything by its message; an error of somebody's code by where it comes from. */
function describeFailure(failure: Error | null): string[] {
  if (failure === null) return ['nothing'];
  const text = failure instanceof Violation ? failure.message : (failure.stack ?? failure.message);
  return text.split('\n').slice(0, 12);
}

/** A run as text to keep in a file: what {@link replay} needs, and its story. */
export function traceOf(result: RunResult): string {
  const { seed, digest, events, simulatedMs, faults, story, failure } = result;
  const head = { format: 1, seed, digest, events, simulatedMs, failure: failure?.message ?? null, faults };
  return `${JSON.stringify({ ...head, story: story.map(formatLine) }, null, 1)}\n`;
}

function* counting(count: number): Iterable<number> {
  for (let seed = 1; seed <= count; seed++) yield seed;
}
