import { runSeed } from '../../src/testing/run.ts';
import { proof } from '../sim/proof.ts';
import type { Report } from './hunt.ts';

/* Runs the seeds that its arguments name until one fails. Prints a line of JSON for each. */

for (const seed of process.argv.slice(2).map(Number)) {
  const { failure } = await runSeed(seed, proof(seed));
  const report: Report = { seed, failure: failure === null ? null : failure.message };
  console.log(JSON.stringify(report));
  if (failure !== null) break;
}
// A mutant may leave things behind that keep the process alive.
process.exit(0);
