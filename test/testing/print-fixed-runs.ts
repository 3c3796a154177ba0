import { fixedRuns } from './fixed-runs.ts';

// A process of its own for these runs: see determinism.test.ts.
for (const line of await fixedRuns()) console.log(line);
