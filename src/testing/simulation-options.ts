import type { EnsembleOptions, ServerSpec } from '../node/api.ts';
import type { Clock } from '../seams/clock.ts';
import type { FileSystem } from '../seams/file-system.ts';
import type { Sockets } from '../seams/sockets.ts';
import type { Storage } from '../seams/storage.ts';
import type { Transport } from '../seams/transport.ts';
import type { Chance } from './chance.ts';

const QUORUM_PORT = 2888;
const ELECTION_PORT = 3888;
/** Where the servers' client ports are unless told otherwise. */
export const CLIENT_PORT = 2181;

/** What the servers of a simulated ensemble have in common: everything of {@link EnsembleOptions} that is not simulated. */
export type SharedOptions = Omit<EnsembleOptions, 'id' | 'servers' | 'transport' | 'storage' | 'clock' | 'random' | 'logger' | 'sockets'>;

/** A server of a simulated ensemble. */
export type SimulatedServer = Pick<ServerSpec, 'id' | 'role' | 'weight' | 'group'>;

/** Times in simulated milliseconds. */
export interface SimulationOptions {
  /** Everything that chance decides comes from it: a whole number from 0 to 2^53 - 1. */
  readonly seed: number;
  /** How many participants, or all servers one by one. @default 3 */
  readonly servers?: number | readonly SimulatedServer[];
  /** How many observers, behind the participants. @default 0 */
  readonly observers?: number;
  /** Options of every node. @default those of `createEnsembleNode`, with `digest: true` and `clientPort: 2181`; `clientPort: undefined` is none */
  readonly ensemble?: SharedOptions;
  /** How long a piece of data takes from one server to another, from and to. @default [0.1, 2] */
  readonly latency?: readonly [number, number];
  /** How long a disk takes to make something durable, from and to. @default [0.05, 1] */
  readonly diskLatency?: readonly [number, number];
  /** The longest pause between a few znodes while a tree is walked over for a snapshot, so that transactions are applied in the middle of it, as with a large tree. @default 0: there is none */
  readonly snapshotPause?: number;
  /** Sizes of the log files, bytes. @default 65536 each */
  readonly preAllocSize?: number;
  readonly logSizeLimit?: number;
  /** The transport of each process, when it is not to be ours over simulated TCP. Asked for at each start of a process. */
  readonly transport?: (parts: ProcessParts) => Transport;
  /** The storage of each process, when it is not to be ours on simulated files. A crash must find it as it would find a real one: with what it made durable. */
  readonly storage?: (parts: ProcessParts) => Storage;
  /** Lines of the story that are kept, and of its details. @default 1000 */
  readonly story?: number;
  /** More events than this are a failure: something goes on for ever. @default 20000000 */
  readonly maxEvents?: number;
}

/** What a process has to build its parts on. All of it dies with the process, but what was made durable on the disk. */
export interface ProcessParts {
  /** The server's id. */
  readonly id: number;
  readonly clock: Clock;
  /** Simulated TCP. */
  readonly sockets: Sockets;
  /** The simulated disk. */
  readonly fs: FileSystem;
  /** Chance that the seed decides; a stream of its own. */
  readonly chance: Chance;
}

/** How {@link Simulation.partition} cuts. */
export interface PartitionOptions {
  /** Only what the first group sends to the second is held up. @default false */
  readonly oneWay?: boolean;
}

/** The servers that the options name, each on a host of its own. */
export function specsOf(options: SimulationOptions): ServerSpec[] {
  const { servers = 3, observers = 0 } = options;
  const wanted: SimulatedServer[] = typeof servers === 'number' ? Array.from({ length: servers }, (_, i) => ({ id: i + 1 })) : [...servers];
  const first = Math.max(...wanted.map((server) => server.id)) + 1;
  for (let i = 0; i < observers; i++) wanted.push({ id: first + i, role: 'observer' });
  return wanted.map((server) => ({ ...server, host: `server${server.id}`, quorumPort: QUORUM_PORT, electionPort: ELECTION_PORT }));
}
