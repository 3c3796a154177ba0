import type Long from 'long';
import type { SnapshotDigest, SnapshotHead, ZnodeRecord } from '../model/records.ts';
import { compareZxid, formatZxid } from '../model/zxid.ts';
import { txnOf } from '../node/replica-state.ts';
import type { Clock } from '../seams/clock.ts';
import type { Recovered, RecoverySink, Storage } from '../seams/storage.ts';
import { fileStorage } from '../storage/file-storage.ts';
import { ZnodeTree } from '../tree/tree.ts';
import { TreeLoader } from '../tree/tree-loader.ts';
import { octetsFromBytes, octetsToText } from '../util/bytes.ts';
import type { LogEntry } from '../zab/entry.ts';
import { Chance } from './chance.ts';
import { type DiskHost, type DiskImage, SimDisk } from './disk.ts';
import { Trace } from './trace.ts';

/** Where a server's files are on its disk, and how its trees are made. */
export interface RecoveryOptions {
  /** @default the folder of the one file `myid`; `/data` if there is none */
  readonly dataDir?: string;
  /** @default dataDir */
  readonly dataLogDir?: string;
  /** Whether the trees keep the digest. @default false */
  readonly digest?: boolean;
}

/** What a restart would find. */
export interface RecoveredDisk {
  readonly error: null;
  readonly found: Recovered;
  /** Every entry after the snapshot, in order. */
  readonly entries: readonly LogEntry[];
  /** The tree after the last entry. A node that serves has the ensemble's text in `/zookeeper/config` as well, which is not stored. */
  readonly tree: ZnodeTree;
  /**
   * The tree after the entry `zxid`, which must lie between the snapshot and the last entry; throws a RangeError otherwise. A snapshot is fuzzy: if transactions were applied while it was
   * written, the tree is exact only after the last of them.
   */
  treeAt(zxid: Long): ZnodeTree;
}

/** A restart would fail. */
export interface FailedRecovery {
  readonly error: Error;
}

/**
 * What a server would find if it started on a disk with this content. The real file storage reads a copy of the image, at once and on a clock of its own: nothing of
 * the simulation is touched, and none of its chance is drawn.
 */
export function recoverFrom(image: DiskImage, options: RecoveryOptions = {}): RecoveredDisk | FailedRecovery {
  const loop = new Loop();
  const disk = new SimDisk(loop, new Chance(0, 'recovery'), image);
  disk.latency = { cached: [0, 0], durable: [0, 0] };
  const id = [...image.files.keys()].sort().find((path) => path.endsWith('/myid'));
  const { dataDir = id?.slice(0, id.lastIndexOf('/')) ?? '/data', dataLogDir = dataDir, digest = false } = options;
  const stored = disk.get(`${dataDir}/myid`);
  const serverId = stored === undefined ? 1 : Number(octetsToText(octetsFromBytes(stored)));
  const storage = fileStorage({ dataDir, dataLogDir, fs: disk });
  const history = new History();
  let outcome: { error: Error | null; found?: Recovered } = { error: new Error('the recovery never came to an end') };
  const recover = (error: Error | null): void => {
    if (error !== null) outcome = { error };
    else storage.recover(history, (failed, found) => void (outcome = { error: failed, found }));
  };
  storage.open({ serverId, clock: loop.clock, logger: () => {} }, recover);
  loop.run();
  close(storage, loop);
  const { error, found } = outcome;
  if (error !== null || found === undefined) return { error: error ?? new Error('the recovery has found nothing') };
  const treeAt = (zxid: Long): ZnodeTree => history.treeAt(zxid, found, digest);
  try {
    return { error: null, found, entries: history.entries, tree: treeAt(found.lastZxid), treeAt };
  } catch (thrown) {
    return { error: thrown instanceof Error ? thrown : new Error(String(thrown)) };
  }
}

function close(storage: Storage, loop: Loop): void {
  storage.close(() => {});
  loop.run();
}

/** A machine for one thing: what is to happen next happens next, and time stands still. */
class Loop implements DiskHost {
  readonly id = 0;
  readonly up = true;
  readonly life = 0;
  readonly kernel = { now: 0, trace: new Trace(0), note(): void {} };
  #queue: (() => void)[] = [];

  readonly clock: Clock = {
    now: () => 0,
    wall: () => 0,
    setTimer: (_ms, fn) => void this.#queue.push(fn),
    clearTimer: () => {},
    defer: (fn) => void this.#queue.push(fn),
  };

  after(_ms: number, _kind: string, run: () => void): void {
    this.#queue.push(run);
  }

  run(): void {
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      this.#queue = [];
      for (const fn of batch) fn();
    }
  }
}

/** Keeps what a recovery delivers, to build trees from. */
class History implements RecoverySink {
  entries: LogEntry[] = [];
  #snapshot: { zxid: Long; head: SnapshotHead; batches: (readonly ZnodeRecord[])[]; digest: SnapshotDigest | null } | null = null;

  begin(zxid: Long, head: SnapshotHead): void {
    this.#snapshot = { zxid, head, batches: [], digest: null };
    this.entries = [];
  }

  nodes(batch: readonly ZnodeRecord[]): void {
    this.#snapshot?.batches.push([...batch]);
  }

  end(digest: SnapshotDigest | null): void {
    if (this.#snapshot !== null) this.#snapshot.digest = digest;
  }

  entry(entry: LogEntry): void {
    this.entries.push(entry);
  }

  /** As the replica builds its tree at the start (src/node/tree-recovery.ts). */
  treeAt(zxid: Long, { snapshotZxid, lastZxid }: Recovered, digest: boolean): ZnodeTree {
    if (compareZxid(zxid, snapshotZxid) < 0 || compareZxid(zxid, lastZxid) > 0)
      throw new RangeError(`${formatZxid(zxid)} is not between ${formatZxid(snapshotZxid)} and ${formatZxid(lastZxid)}`);
    const tree = this.#base(digest);
    for (const entry of this.entries) if (compareZxid(entry.zxid, zxid) <= 0) tree.apply(txnOf(entry), false);
    return tree;
  }

  #base(digest: boolean): ZnodeTree {
    const snapshot = this.#snapshot;
    if (snapshot === null) return new ZnodeTree({ digest });
    const loader = new TreeLoader({ digest });
    loader.begin(snapshot.zxid, snapshot.head);
    for (const batch of snapshot.batches) loader.nodes(batch);
    loader.end(snapshot.digest);
    if (loader.tree === null) throw new Error('a snapshot has ended without a tree');
    return loader.tree;
  }
}
