import { afterEach, expect, test } from 'vitest';
import { differentialRun, type RunReport } from './run.ts';
import { apacheTarget, type Running, zabTarget } from './servers.ts';

/* Must-be-shown 2: the same random requests to Apache ZooKeeper and to our servers; differences.ts lists what may differ, and why. */

let servers: Running[] = [];
afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  servers = [];
});

const SEED = 20_240_607;

test.each([
  { count: 1, name: 'a single server of ours', operations: 60_000 },
  { count: 3, name: 'an ensemble of three of ours, with sessions at all of them', operations: 20_000 },
])('$name answers as Apache ZooKeeper does', async ({ count, name, operations }) => {
  servers = await Promise.all([apacheTarget('Apache'), zabTarget(name, count)]);
  const [apache, ours] = servers;
  const report = await differentialRun({ seed: SEED + count, operations, reference: apache.target, other: ours.target });
  console.log(summary(name, report));
  expect(report.operations).toBeGreaterThanOrEqual(operations);
  // What says nothing about the rest of a run: it is about something.
  expect(report.events).toBeGreaterThan(operations / 20);
  expect(report.znodes).toBeGreaterThan(100);
});

function summary(name: string, { operations, steps, events, znodes, counts, known }: RunReport): string {
  const differences = [...known].map(([{ what }, times]) => `  ${times} times: ${what}`);
  return [
    `${name}: ${operations} operations in ${steps} steps, ${events} events, ${znodes} znodes in the end`,
    Object.entries(counts)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([what, times]) => `${what}: ${times}`)
      .join(', '),
    'known differences:',
    ...differences,
  ].join('\n');
}
