import { spawn } from 'node:child_process';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import PQueue from 'p-queue';
import { buildWith } from './build.ts';
import { mutants } from './list.ts';
import type { Mutant } from './mutant.ts';

/*
 * Puts deliberate faults into the code, one at a time, and lets the exploration look for each.
 *   npm run mutants [-- --only text] [--jobs 2] [--from 1]
 * Prints a table: which rule was seen to be broken, and how many seeds that took. Ends with an error if one survives, or if the code without a fault does not.
 */

const { values } = parseArgs({ options: { only: { type: 'string' }, jobs: { type: 'string' }, from: { type: 'string' } } });
const jobs = Number(values.jobs ?? cpus().length);
const from = Number(values.from ?? 1);
/** A run that never ends is a fault that was found, too; no run of good code takes this long, s. */
const PATIENCE = 300;

interface Outcome {
  readonly mutant: Mutant | null;
  readonly seeds: number;
  readonly failure: string | null;
}

async function hunt(mutant: Mutant | null, seeds: number): Promise<Outcome> {
  const { file, dispose } = await buildWith(mutant, 'test/mutants/worker.ts');
  try {
    const child = spawn(process.execPath, [file, String(from), String(seeds)], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [out, err] = ['', ''];
    child.stdout.on('data', (text) => (out += text));
    child.stderr.on('data', (text) => (err += text));
    const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE * 1000);
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    clearTimeout(timer);
    if (code === null) return { mutant, seeds: 0, failure: `no end within ${PATIENCE} s` };
    if (code !== 0) return { mutant, seeds: 0, failure: `the process ended: ${err.trim().split('\n').at(-1)}` };
    const { seeds: needed, failure } = JSON.parse(out.trim().split('\n').at(-1)!) as { seeds: number; failure: string | null };
    return { mutant, seeds: needed, failure };
  } finally {
    await dispose();
  }
}

function line({ mutant, seeds, failure }: Outcome): string {
  const name = mutant?.name ?? '(none: the code as it is)';
  const limit = mutant === null ? '' : `of ${mutant.seeds}`;
  return `${name.padEnd(58)} ${failure === null ? 'SURVIVED' : 'killed  '} ${String(seeds).padStart(4)} ${limit.padEnd(7)} ${failure?.slice(0, 90) ?? ''}`;
}

const chosen = mutants.filter(({ name }) => values.only === undefined || name.includes(values.only));
const queue = new PQueue({ concurrency: jobs });
console.log(`${chosen.length} mutants, seeds from ${from} on, Node ${process.version}`);
console.log(`${'mutant'.padEnd(58)} ${''.padEnd(8)} seeds         what was found`);
const outcomes = await Promise.all(
  [null, ...chosen].map((mutant) =>
    queue.add(async () => {
      const outcome = await hunt(mutant, mutant?.seeds ?? 20);
      console.log(line(outcome));
      return outcome;
    }),
  ),
);
const survivors = outcomes.filter((outcome) => outcome.mutant !== null && outcome.failure === null);
const sound = outcomes.find((outcome) => outcome.mutant === null)?.failure === null;
if (!sound) console.log('the code as it is was not sound either');
console.log(
  `${chosen.length - survivors.length} of ${chosen.length} mutants killed${survivors.length === 0 ? '' : `; survived: ${survivors.map((o) => o.mutant?.name).join(', ')}`}`,
);
process.exitCode = survivors.length === 0 && sound ? 0 : 1;
