/** Sums over runs. */
export interface Totals {
  runs: number;
  events: number;
  simulatedMs: number;
  failed: number[];
  readonly faults: Record<string, number>;
  readonly transitions: Record<string, number>;
  readonly clients: Record<string, number>;
}

export const emptyTotals = (): Totals => ({ runs: 0, events: 0, simulatedMs: 0, failed: [], faults: {}, transitions: {}, clients: {} });

export function addTo(totals: Totals, more: Totals): void {
  totals.runs += more.runs;
  totals.events += more.events;
  totals.simulatedMs += more.simulatedMs;
  totals.failed.push(...more.failed);
  for (const key of ['faults', 'transitions', 'clients'] as const)
    for (const [name, count] of Object.entries(more[key])) totals[key][name] = (totals[key][name] ?? 0) + count;
}

const table = (title: string, counts: Record<string, number>): void => {
  console.log(`\n${title}`);
  for (const [name, count] of Object.entries(counts)) console.log(`  ${String(count).padStart(10)}  ${name}`);
};

export function printTotals(totals: Totals, seconds: number): void {
  const { runs, events, simulatedMs, failed } = totals;
  table('faults injected, by kind', totals.faults);
  table('transitions of the protocol, how often reached', totals.transitions);
  table('calls of clients', totals.clients);
  const never = Object.entries(totals.transitions).filter(([, count]) => count === 0);
  console.log(`\ntransitions never reached: ${never.length === 0 ? 'none' : never.map(([name]) => name).join(', ')}`);
  console.log(
    `${runs} seeds, ${events} events, ${(simulatedMs / 1000).toFixed(0)} simulated seconds in ${seconds.toFixed(1)} s of all processes together`,
  );
  console.log(
    `per second: ${(runs / seconds).toFixed(1)} seeds, ${(events / seconds).toFixed(0)} events, ${(simulatedMs / 1000 / seconds).toFixed(0)} simulated seconds`,
  );
  console.log(failed.length === 0 ? 'no violation' : `${failed.length} seeds failed: ${failed.join(' ')}`);
}
