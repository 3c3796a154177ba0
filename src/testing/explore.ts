import { describeFault, type Fault } from './faults.ts';
import { type RunOptions, type RunResult, runSeed } from './run.ts';
import { formatLine } from './trace.ts';

export interface ExploreOptions extends RunOptions {
  /** Which seeds: the first so many, or a list. */
  readonly seeds: number | Iterable<number>;
  /** Stop after the first that fails. @default true */
  readonly stopAtFirst?: boolean;
  /** Runs that may be spent on finding the few faults that matter in a failing run. @default 100 */
  readonly shrinkRuns?: number;
  /** Where the report of a failing seed goes, line by line. @default console.log */
  readonly print?: (line: string) => void;
  /** Called after each run. */
  readonly onRun?: (result: RunResult) => void;
}

export interface Exploration {
  readonly runs: number;
  readonly events: number;
  readonly simulatedMs: number;
  readonly failures: readonly RunResult[];
}

/** A seed of an exploration has failed. */
export class ExplorationFailed extends Error {
  override readonly name = 'ExplorationFailed';

  constructor(readonly result: RunResult) {
    super(`seed ${result.seed}: ${result.failure?.message}`, { cause: result.failure });
  }
}

/**
 * Runs a scenario under many seeds, each with other timings and faults. The first failing one is thinned out to the faults that matter and printed with the story of its last events; then
 * it rejects with {@link ExplorationFailed}, or goes on if `stopAtFirst` is false.
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
    const least = shrinkRuns > 0 ? await shrink(result, options, shrinkRuns) : result;
    for (const line of report(least)) print(line);
    failures.push(least);
    if (stopAtFirst) throw new ExplorationFailed(least);
  }
  return { runs, events, simulatedMs, failures };
}

/** Runs one seed again, with the same options; or what {@link traceOf} wrote down. The result has everything up to the failure. */
export function replay(run: number | string, options: RunOptions): Promise<RunResult> {
  if (typeof run === 'number') return runSeed(run, options);
  const { seed, faults, duration } = JSON.parse(run) as { seed: number; faults: Fault[]; duration?: number };
  return runSeed(seed, { ...options, faults, duration: duration ?? options.duration });
}

/**
 * Removes faults from a failing run as long as it goes on to break the same rule. What is left is not always the smallest such plan, but none of it can be left out alone, unless
 * `maxRuns` was used up.
 */
export async function shrink(failing: RunResult, options: RunOptions, maxRuns = 100): Promise<RunResult> {
  const rule = ruleOf(failing);
  let least = failing;
  let runs = 0;
  for (let size = Math.ceil(least.faults.length / 2); size >= 1 && runs < maxRuns; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < least.faults.length && runs < maxRuns; ) {
      const faults = [...least.faults.slice(0, from), ...least.faults.slice(from + size)];
      runs++;
      const result = await runSeed(failing.seed, { ...options, faults });
      if (result.failure !== null && ruleOf(result) === rule) least = result;
      else from += size;
    }
  }
  return least;
}

/** What must stay the same when a run is thinned out: the rule that it breaks. */
function ruleOf({ failure }: RunResult): string {
  if (failure === null) return '';
  return 'rule' in failure ? String(failure.rule) : `${failure.name}: ${failure.message.replace(/\d+/g, '#')}`;
}

/** A failing run for people: what broke, which faults it took, and what happened last. */
export function report(result: RunResult, lines = 60): string[] {
  return [
    `seed ${result.seed} failed after ${(result.simulatedMs / 1000).toFixed(3)} simulated seconds (${result.events} events, digest ${result.digest})`,
    `  ${result.failure?.message ?? 'nothing'}`,
    `faults that are needed for it: ${result.faults.length}`,
    ...result.faults.map((fault) => `  ${describeFault(fault)}`),
    'what happened last:',
    ...result.story.slice(-lines).map(formatLine),
  ];
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
