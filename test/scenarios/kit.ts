import { formatZxid } from '../../src/model/zxid.ts';
import type { Session } from '../../src/node/api.ts';
import { packetName } from '../../src/testing/describe.ts';
import { type RecoveredDisk, recoverFrom } from '../../src/testing/disk-check.ts';
import { createSimulation, type Simulation, type SimulationOptions } from '../../src/testing/simulation.ts';
import type { ZnodeTree } from '../../src/tree/tree.ts';
import { octetsFromBytes, octetsToText } from '../../src/util/bytes.ts';
import type { QuorumMessage } from '../../src/zab/messages.ts';
import { Seen } from './seen.ts';

/** A simulation, and what is seen of it; nothing is started. */
export function stage(options: SimulationOptions): { sim: Simulation; seen: Seen } {
  const sim = createSimulation(options);
  return { sim, seen: new Seen(sim) };
}

/** Boots the servers named and waits until all of them serve. */
export async function bring(sim: Simulation, ...ids: number[]): Promise<void> {
  for (const id of ids) sim.restart(id);
  await sim.until(() => ids.every((id) => sim.isUp(id) && sim.node(id).serving));
}

/** Boots servers 1 to 3 so that 3 leads: two of them decide, and the third follows. */
export async function bringLedBy3(sim: Simulation): Promise<void> {
  await bring(sim, 2, 3);
  await bring(sim, 1);
}

/** Creates a znode for each path, one after the other. */
export async function create(session: Session, ...paths: string[]): Promise<void> {
  for (const path of paths) await session.create(path, path);
}

/** A write whose answer nobody waits for. */
export function begin(session: Session, path: string): void {
  session.create(path, path).catch(() => {});
}

/** Waits until all servers named have what the first one shows, in memory and on disk. */
export async function level(sim: Simulation, first: number, ...others: number[]): Promise<void> {
  const { lastZxid } = sim.treeOf(first);
  const isThere = (id: number): boolean => sim.treeOf(id).lastZxid.equals(lastZxid) && sim.durable.of(id).equals(lastZxid);
  await sim.until(() => [first, ...others].every(isThere));
}

const namesIn = (tree: ZnodeTree): string[] => (tree.getChildren('/') ?? []).filter((name) => name !== 'zookeeper').sort();

/** Names of the znodes below the root that a server shows, but for ZooKeeper's own, sorted. */
export const names = (sim: Simulation, id: number): string[] => namesIn(sim.treeOf(id));

/** What a restart would find on a server's disk, were the power to fail now. */
export function onDisk(sim: Simulation, id: number): RecoveredDisk {
  const found = recoverFrom(sim.disk(id).image());
  if (found.error !== null) throw found.error;
  return found;
}

/** The same as {@link names}, from disk. */
export const namesOnDisk = (sim: Simulation, id: number): string[] => namesIn(onDisk(sim, id).tree);

/** zxids in the log, behind the snapshot that a restart would begin with. */
export const zxidsOnDisk = (sim: Simulation, id: number): string[] => onDisk(sim, id).entries.map(({ zxid }) => formatZxid(zxid));

/** The text of a file in a server's `version-2`; undefined if there is none. */
export function fileText(sim: Simulation, id: number, name: string): string | undefined {
  const bytes = sim.disk(id).get(`/data/version-2/${name}`);
  return bytes === undefined ? undefined : octetsToText(octetsFromBytes(bytes));
}

/** Names of the files in a server's `version-2`. */
export const files = (sim: Simulation, id: number): string[] =>
  sim
    .disk(id)
    .list('/data/version-2')
    .map((path) => path.slice('/data/version-2/'.length));

/** Whether a message is one of the packets named, such as NEWLEADER. */
export const isPacket = (message: QuorumMessage, ...packets: string[]): boolean => packets.includes(packetName(message));

/** The lines that match, from line `from` on. */
export const linesOf = (seen: Seen, pattern: RegExp, from = 0): string[] => seen.lines.slice(from).filter((line) => pattern.test(line));

/**
 * Once: lets the first such packet to a server through, keeps from it all that would come behind, and breaks the link in time for the packet to arrive. Takes the place of another filter.
 * Returns whether that has come to pass.
 */
export function cutBehind(sim: Simulation, to: number, packet: string): () => boolean {
  let state: 'waiting' | 'cutting' | 'cut' = 'waiting';
  sim.filterSends((from, receiver, message) => {
    if (receiver !== to || state === 'cut') return true;
    if (state === 'cutting') return false;
    if (!isPacket(message, packet)) return true;
    state = 'cutting';
    sim.kernel.after(20, null, 'cut', () => {
      state = 'cut';
      sim.network.reset(from, to);
    });
    return true;
  });
  return () => state === 'cut';
}

/** Whether a server has got such a packet, and has introduced itself to a leader again since then. */
export function beganAnew(seen: Seen, id: number, packet: string, from = 0): boolean {
  const at = seen.find(new RegExp(`^${id}<\\d ${packet}`), from);
  return at >= 0 && seen.has(new RegExp(`^${id}>\\d FOLLOWERINFO`), at);
}
