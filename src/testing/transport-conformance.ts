import type { ConformanceCase } from './conformance.ts';
import { TransportBench, type TransportCases, type TransportHarness } from './transport-bench.ts';
import { CUT_CASES, STALL_CASES } from './transport-break-cases.ts';
import { ELECTION_CASES } from './transport-election-cases.ts';
import { LIFE_CASES } from './transport-life-cases.ts';
import { LINK_CASES } from './transport-link-cases.ts';
import { MESSAGE_CASES } from './transport-message-cases.ts';

/** What a harness can do beyond opening transports. */
export interface TransportAbilities {
  /**
   * It has `cut` and `heal`.
   * @default false
   */
  readonly cuts?: boolean;
  /**
   * It has `stall` and `heal`.
   * @default false
   */
  readonly stalls?: boolean;
}

/**
 * Tests that every {@link Transport} has to pass, for any test runner: `make` is called once per test. Tests that need an ability that is not named do nothing, and their
 * names say so. Over real sockets all of them take some seconds. Example with vitest: `for (const { name, run } of transportConformance(make)) it(name, run);`
 */
export function transportConformance(
  make: () => Promise<TransportHarness>,
  { cuts = false, stalls = false }: TransportAbilities = {},
): readonly ConformanceCase[] {
  return [
    ...casesOf(LIFE_CASES, make),
    ...casesOf(LINK_CASES, make),
    ...casesOf(MESSAGE_CASES, make),
    ...casesOf(ELECTION_CASES, make),
    ...(cuts ? casesOf(CUT_CASES, make) : leftOut(CUT_CASES, 'cut')),
    ...(stalls ? casesOf(STALL_CASES, make) : leftOut(STALL_CASES, 'stall')),
  ];
}

function casesOf(cases: TransportCases, make: () => Promise<TransportHarness>): ConformanceCase[] {
  return Object.entries(cases).map(([name, test]) => ({
    name,
    async run() {
      const harness = await make();
      const bench = new TransportBench(harness);
      try {
        await test(bench);
        await bench.end();
      } catch (error) {
        // What went wrong first is of interest, not that the rest cannot be closed either.
        await bench.end().catch(() => {});
        throw error;
      } finally {
        await harness.dispose?.();
      }
    },
  }));
}

const leftOut = (cases: TransportCases, what: string): ConformanceCase[] =>
  Object.keys(cases).map((name) => ({ name: `${name} (left out: the harness has no ${what})`, run: async () => {} }));
