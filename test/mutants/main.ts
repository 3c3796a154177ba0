import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import PQueue from 'p-queue';
import { type Hunt, hunt } from './hunt.ts';
import { mutants } from './list.ts';
import type { Mutant } from './mutant.ts';

/*
 * Puts deliberate faults into the code, one at a time, and lets the exploration look for each.
 *   npm run mutants [-- --only 'text|another'] [--jobs 2] [--seeds 100]
 * Prints a table: how many seeds each has needed, and what was seen. At the end the code without a fault runs the seeds that have killed something: nothing must be seen
 * there. Ends with an error if a mutant survives, or if the good code does not. `--seeds` takes the place of every mutant's own limit.
 */

const { values } = parseArgs({ options: { only: { type: 'string' }, jobs: { type: 'string' }, seeds: { type: 'string' } } });
const jobs = Number(values.jobs ?? cpus().length);
const WIDTH = 54;

const limitOf = ({ seeds }: Mutant): number => Number(values.seeds ?? seeds);
const seedsOf = (mutant: Mutant): number[] => Array.from({ length: limitOf(mutant) }, (_, i) => (mutant.from ?? 1) + i);

function row(mutant: Mutant, { failure, seeds }: Hunt, seconds: number): string {
  const from = mutant.from === undefined ? '' : `from ${mutant.from}`;
  const verdict = failure === null ? 'SURVIVED' : 'killed';
  const needed = `${String(seeds).padStart(4)} of ${String(limitOf(mutant)).padEnd(4)} ${from.padEnd(9)}`;
  return `${mutant.name.padEnd(WIDTH)} ${verdict.padEnd(8)} ${needed} ${String(seconds).padStart(4)} s  ${failure?.slice(0, 110) ?? ''}`;
}

const chosen = mutants.filter(({ name }) => values.only?.split('|').some((text) => name.includes(text)) ?? true);
const queue = new PQueue({ concurrency: jobs });
const began = Date.now();
const secondsSince = (time: number): number => Math.round((Date.now() - time) / 1000);
console.log(`${chosen.length} mutants, Node ${process.version}`);
console.log(`${'mutant'.padEnd(WIDTH)} ${''.padEnd(8)} seeds needed of limit    time  what was found`);
const hunts = await Promise.all(
  chosen.map((mutant) =>
    queue.add(async () => {
      const start = Date.now();
      const end = await hunt(mutant, seedsOf(mutant));
      console.log(row(mutant, end, secondsSince(start)));
      return { mutant, ...end };
    }),
  ),
);
const survivors = hunts.filter(({ failure }) => failure === null).map(({ mutant }) => mutant.name);
const fatal = [...new Set(hunts.filter(({ failure }) => failure !== null).map(({ seed }) => seed))];
const control = await hunt(null, fatal);
const soundness = control.failure === null ? 'nothing' : `seed ${control.seed}: ${control.failure}`;
console.log(`the code without a fault, on the ${fatal.length} seeds that have killed: ${soundness}`);
console.log(`${chosen.length - survivors.length} of ${chosen.length} mutants killed in ${secondsSince(began)} s`);
if (survivors.length > 0) console.log(`survived: ${survivors.join(', ')}`);
process.exitCode = survivors.length === 0 && control.failure === null ? 0 : 1;
