import { ExplorationFailed, explore } from 'zab-ensemble/testing';
import { bold, count, green } from '../support/print.ts';
import { deposits } from './scenario.ts';

/* Looks for lost deposits under a naive lock, prints what it finds, and shows that a fence helps. `npx tsx examples/simulation/main.ts` */

console.log(bold('The naive lock:'));
const found = await explore({ ...deposits(false), seeds: 300 }).catch((error: unknown) => error);
if (!(found instanceof ExplorationFailed)) throw new Error('nothing was found');

console.log(bold('\nThe lock with a fence:'));
let made = 0;
const { runs, events, simulatedMs } = await explore({
  ...deposits(true),
  seeds: 50,
  onRun: ({ counts }) => {
    made += counts.get('deposits') ?? 0;
  },
});
console.log(
  green(`${runs} seeds, ${count(simulatedMs / 1000)} simulated seconds, ${count(events)} events, ${count(made)} deposits: none was lost`),
);
