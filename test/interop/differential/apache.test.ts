import { afterAll, beforeAll, expect, test } from 'vitest';
import { differentialRun } from './run.ts';
import { apacheTarget, type Running } from './servers.ts';

let servers: Running[] = [];

beforeAll(async () => {
  servers = await Promise.all([apacheTarget('Apache'), apacheTarget('the other Apache')]);
});
afterAll(() => Promise.all(servers.map((server) => server.stop())));

test('Apache ZooKeeper does not differ from itself', async () => {
  const [a, b] = servers;
  const report = await differentialRun({ seed: 1, operations: 20_000, reference: a.target, other: b.target });
  expect(report.known.size).toBe(0);
});
