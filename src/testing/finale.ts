import { compareZxid, formatZxid, zxidEquals } from '../model/zxid.ts';
import { compareTrees } from './checks/compare.ts';
import { recoverFrom } from './disk-check.ts';
import { Violation } from './probe.ts';
import type { Simulation } from './simulation.ts';

/**
 * The end of a run, when there are no more faults: everybody must come together within a bound, with trees that are equal in every field, on disk as in memory.
 *
 * @param within simulated ms until all must serve the same state; the default is far beyond what elections and synchronisation may take
 */
export async function finale(sim: Simulation, within = 60 * sim.tickTime): Promise<void> {
  const began = sim.now;
  try {
    await sim.until(() => together(sim), within);
  } catch {
    throw sim.failure ?? new Violation('Liveness', `no agreement ${Math.round(sim.now - began)} ms after the last fault: ${sim.states()}`);
  }
  const trees = sim.servers.map((id) => ({ id, tree: sim.treeOf(id) }));
  const [first, ...others] = trees;
  for (const other of others) {
    const difference = compareTrees(first.tree, other.tree);
    if (difference !== null) throw new Violation('EqualTrees', `servers ${first.id} and ${other.id} differ: ${difference}`);
  }
  for (const { id, tree } of trees) {
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
  const { leader, servers } = sim;
  if (leader === undefined) return false;
  const { lastZxid } = sim.treeOf(leader);
  return servers.every((id) => {
    if (!sim.isUp(id) || !sim.serves(id, leader)) return false;
    return zxidEquals(sim.treeOf(id).lastZxid, lastZxid) && zxidEquals(sim.durable.of(id), lastZxid);
  });
}
