import { fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { report, shrink, traceOf } from '../../src/testing/explore.ts';
import { type RunResult, runSeed } from '../../src/testing/run.ts';
import { formatLine } from '../../src/testing/trace.ts';
import { proof } from './proof.ts';
import { regressions } from './regressions.ts';
import { addTo, emptyTotals, printTotals, type Totals } from './totals.ts';

/*
 * Explores seeded runs of whole ensembles.
 *   npm run sim -- --seed 7 [--story 200] [--trace file]   one run again; the last line is the digest of its trace
 *   npm run sim -- --minutes 10 [--from 1] [--jobs 2]      as many seeds as fit
 *   npm run sim -- --seeds 500 [--from 1]                  so many seeds
 *   npm run sim -- --fixed --seeds 60                      the seeds that once found something, then the first 60
 */

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    minutes: { type: 'string' },
    from: { type: 'string' },
    jobs: { type: 'string' },
    story: { type: 'string' },
    trace: { type: 'string' },
    shrink: { type: 'string' },
    fixed: { type: 'boolean' },
    worker: { type: 'string' },
  },
});

const number = (text: string | undefined, fallback: number): number => (text === undefined ? fallback : Number(text));

if (values.worker !== undefined) await work(JSON.parse(values.worker) as Share);
else if (values.seed !== undefined) await one(Number(values.seed));
else await many();

/** What one worker process is to do. `until` is a moment in ms since 1970. */
interface Share {
  readonly first: readonly number[];
  readonly from: number;
  readonly step: number;
  readonly seeds: number;
  readonly until: number;
}

/** What a worker tells after each run. */
interface Told {
  readonly totals: Totals;
  readonly failure: readonly string[] | null;
}

async function one(seed: number): Promise<void> {
  let result = await runSeed(seed, proof(seed));
  if (result.failure !== null && values.shrink !== undefined) result = await shrink(result, proof(seed), Number(values.shrink));
  if (result.failure === null) {
    if (values.story !== undefined) for (const line of result.story.slice(-Number(values.story))) console.log(formatLine(line));
    console.log(`seed ${seed}: ${result.events} events in ${(result.simulatedMs / 1000).toFixed(1)} simulated seconds, nothing found`);
  } else {
    for (const line of report(result, number(values.story, 60))) console.log(line);
    process.exitCode = 1;
  }
  if (values.trace !== undefined) writeFileSync(values.trace, traceOf(result));
  console.log(result.digest);
}

async function work({ first, from, step, seeds, until }: Share): Promise<void> {
  const all = [...first, ...Array.from({ length: Math.min(seeds, 1e6) }, (_, i) => from + i * step)];
  for (const seed of all) {
    if (Date.now() > until) break;
    const result = await runSeed(seed, proof(seed));
    const told: Told = { totals: totalsOf(result), failure: result.failure === null ? null : report(result, 40) };
    await new Promise<void>((resolve) => void process.send?.(told, () => resolve()));
  }
  process.disconnect();
}

function totalsOf(result: RunResult): Totals {
  return {
    runs: 1,
    events: result.events,
    simulatedMs: result.simulatedMs,
    failed: result.failure === null ? [] : [result.seed],
    faults: Object.fromEntries(result.injected),
    transitions: Object.fromEntries(result.transitions),
    clients: Object.fromEntries(result.counts),
  };
}

async function many(): Promise<void> {
  const jobs = number(values.jobs, cpus().length);
  // Fresh seeds unless asked otherwise; the first is printed, so that everything can be repeated.
  const from = number(values.from, values.fixed ? 1 : Math.floor(Date.now() / 1000) * 1000);
  const minutes = number(values.minutes, values.seeds === undefined ? 1 : 1e6);
  const seeds = Math.ceil(number(values.seeds, 1e9) / jobs);
  const began = Date.now();
  console.log(`exploring from seed ${from} with ${jobs} processes, Node ${process.version}`);
  const totals = emptyTotals();
  const shares = Array.from({ length: jobs }, (_, k) => {
    const first = values.fixed ? regressions.map(({ seed }) => seed).filter((_, i) => i % jobs === k) : [];
    return { first, from: from + k, step: jobs, seeds, until: began + minutes * 60_000 };
  });
  await Promise.all(shares.map((share) => worker(share, totals)));
  printTotals(totals, (Date.now() - began) / 1000);
  if (totals.failed.length > 0) process.exitCode = 1;
}

function worker(share: Share, totals: Totals): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), ['--worker', JSON.stringify(share)]);
    child.on('message', ({ totals: more, failure }: Told) => {
      addTo(totals, more);
      for (const line of failure ?? []) console.log(line);
    });
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a worker ended with ${code}`))));
  });
}
