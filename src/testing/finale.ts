import type Long from 'long';
import { compareZxid, formatZxid, zxidEquals } from '../model/zxid.ts';
import { compareTrees } from './checks/compare.ts';
import { recoverFrom } from './disk-check.ts';
import { Violation } from './probe.ts';
import type { Simulation } from './simulation.ts';

/**
 * The end of a run, when there are no more faults: everybody must come together within a bound, with trees that are equal in every field, on disk as in memory. If somebody goes on
 * writing, so that there is no moment at which all have the same, all must keep up with the leader.
 *
 * @param within simulated ms until all must serve the same state; the default is far beyond what elections and synchronisation may take
 */
export async function finale(sim: Simulation, within = 60 * sim.tickTime): Promise<void> {
  // Faults end at once, but for pauses: they run out.
  const began = Math.max(sim.now, ...sim.servers.map((id) => sim.machine(id).pausedUntil));
  const inTime = async (condition: () => boolean, ms: number): Promise<boolean> => {
    try {
      await sim.until(condition, ms);
    } catch {
      if (sim.failure !== null) throw sim.failure;
    }
    return condition();
  };
  const late = (): Violation =>
    new Violation('Liveness', `no agreement ${Math.round(sim.now - began)} ms after the last fault: ${sim.states()}`);
  let isStill = false;
  for (let keepsUp = false; !isStill && !keepsUp; ) {
    const left = began + within - sim.now;
    if (left <= 0 || !(await inTime(() => serving(sim), left))) throw late();
    const goal = sim.treeOf(sim.leader!).lastZxid;
    isStill = await inTime(() => together(sim), 5 * sim.tickTime);
    keepsUp = serving(sim) && compareZxid(sim.treeOf(sim.leader!).lastZxid, goal) > 0 && sim.servers.every((id) => has(sim, id, goal));
  }
  const trees = sim.servers.map((id) => ({ id, tree: sim.treeOf(id) }));
  const [first, ...others] = isStill ? trees : [trees[0]];
  for (const other of others) {
    const difference = compareTrees(first.tree, other.tree);
    if (difference !== null) throw new Violation('EqualTrees', `servers ${first.id} and ${other.id} differ: ${difference}`);
  }
  for (const { id, tree } of trees) {
    if (!isStill && !has(sim, id, tree.lastZxid)) continue;
    const recovered = recoverFrom(sim.disk(id).image());
    if (recovered.error !== null)
      throw new Violation('RestartEqualsMemory', `server ${id} could not start again: ${recovered.error.message}`);
    if (compareZxid(recovered.found.lastZxid, tree.lastZxid) < 0)
      throw new Violation(
        'RestartEqualsMemory',
        `server ${id} shows ${formatZxid(tree.lastZxid)}, its disk has ${formatZxid(recovered.found.lastZxid)}`,
      );
    const difference = compareTrees(tree, recovered.treeAt(tree.lastZxid));
    if (difference !== null) throw new Violation('RestartEqualsMemory', `server ${id} (memory, disk): ${difference}`);
  }
}

/** Whether all servers serve with the same leader at the same zxid, in memory and on disk. */
export function together(sim: Simulation): boolean {
  if (!serving(sim)) return false;
  const { lastZxid } = sim.treeOf(sim.leader!);
  return sim.servers.every((id) => zxidEquals(sim.treeOf(id).lastZxid, lastZxid) && zxidEquals(sim.durable.of(id), lastZxid));
}

/** Whether all servers serve with the same leader. */
function serving(sim: Simulation): boolean {
  const { leader, servers } = sim;
  return leader !== undefined && servers.every((id) => sim.isUp(id) && sim.serves(id, leader));
}

/** Whether a server has come so far, in memory and on disk. */
const has = (sim: Simulation, id: number, zxid: Long): boolean =>
  compareZxid(sim.treeOf(id).lastZxid, zxid) >= 0 && compareZxid(sim.durable.of(id), zxid) >= 0;
