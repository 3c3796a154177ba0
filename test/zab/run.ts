import { Violation } from './checker.ts';
import type { Cluster } from './cluster.ts';

/** Events with faults, and the most events that may pass after them until everybody agrees. */
const FAULTY_EVENTS = 2000;
const CALM_EVENTS = 30_000;

/** Faults and requests at random; then none, and everybody must come together. Returns how long that took, simulated ms. */
export function run(cluster: Cluster): { healMs: number; committed: number } {
  const { dice, servers } = cluster;
  for (const s of servers) cluster.restart(s.id);
  const faults = [0.002, 0.01, 0.03, 0.1][dice.below(4)];
  for (let i = 0; i < FAULTY_EVENTS; i++) {
    cluster.step();
    if (dice.chance(faults)) cluster.fault();
    if (dice.chance(0.15)) cluster.request(servers[dice.below(servers.length)], dice.chance(0.3) ? 9 : 5);
  }
  const healMs = calm(cluster);
  const before = cluster.watch.history.length;
  for (let i = 0; servers.some((s) => s.tree.items.length <= before); i++) {
    // A link that died before may still be noticed, and take a request with it: the client asks again.
    if (i % 500 === 0) cluster.request(servers[dice.below(servers.length)], 5);
    cluster.step();
    if (i > CALM_EVENTS) throw new Violation('liveness: no write is possible');
  }
  return { healMs, committed: cluster.watch.history.length };
}

/** No faults any more: everybody must serve the same state. Returns how long it took, simulated ms. */
export function calm(cluster: Cluster): number {
  const { servers } = cluster;
  cluster.heal();
  for (const s of servers) cluster.restart(s.id);
  const from = cluster.now;
  for (let i = 0; !together(cluster); i++) {
    cluster.step();
    if (i > CALM_EVENTS) throw new Violation(`liveness: no agreement after ${Math.round(cluster.now - from)} ms`);
  }
  return cluster.now - from;
}

function together({ servers, watch }: Cluster): boolean {
  const leader = servers.find((s) => s.serving && s.peer?.kind === 'leading');
  if (leader === undefined) return false;
  const { length } = watch.history;
  return servers.every((s) => s.serving && s.peer?.leaderId === leader.id && s.tree.items.length === length && s.ops.length === 0);
}
