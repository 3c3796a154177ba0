import { runSeed } from '../../src/testing/run.ts';
import { proof } from '../sim/proof.ts';

/* Runs seeds from the first argument, as many as the second says, until one fails. Prints one line of JSON. */

const [first, count] = process.argv.slice(2).map(Number);
let found: { seeds: number; failure: string | null; seed: number } = { seeds: count, failure: null, seed: 0 };
for (let seed = first; seed < first + count; seed++) {
  const { failure } = await runSeed(seed, proof(seed));
  if (failure === null) continue;
  found = { seeds: seed - first + 1, failure: failure.message, seed };
  break;
}
console.log(JSON.stringify(found));
process.exit(0);
