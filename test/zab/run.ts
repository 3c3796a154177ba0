import { Violation } from './checker.ts';
import type { Cluster } from './cluster.ts';

/** Events with faults, and the most events that may pass after them until everybody agrees. */
const FAULTY_EVENTS = 2000;
const CALM_EVENTS = 30_000;

/** Faults and requests at random; then none, and everybody must come together. Returns how long that took, simulated ms. */
export function run(cluster: Cluster): { healMs: number; committed: number } {
  const { dice, servers } = cluster;
  for (const s of servers) cluster.restart(s.id);
  const faults = [0.002, 0.01, 0.03][dice.below(3)];
  for (let i = 0; i < FAULTY_EVENTS; i++) {
    cluster.step();
    if (dice.chance(faults)) cluster.fault();
    if (dice.chance(0.15)) cluster.request(servers[dice.below(servers.length)], dice.chance(0.1) ? 9 : 5);
  }
  const healMs = calm(cluster);
  const writer = servers[dice.below(servers.length)];
  if (cluster.request(writer, 5) === undefined) throw new Violation('liveness: a write was refused');
  const committed = cluster.checker.history.length + 1;
  for (let i = 0; servers.some((s) => s.tree.items.length < committed); i++) {
    cluster.step();
    if (i > CALM_EVENTS) throw new Violation('liveness: a write is stuck');
  }
  return { healMs, committed };
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

function together({ servers, checker }: Cluster): boolean {
  const leader = servers.find((s) => s.serving && s.peer?.kind === 'leading');
  if (leader === undefined) return false;
  const { length } = checker.history;
  return servers.every((s) => s.serving && s.peer?.leaderId === leader.id && s.tree.items.length === length && s.ops.length === 0);
}
