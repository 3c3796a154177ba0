import type Long from 'long';
import type { SnapshotDigest, SnapshotHead, ZnodeRecord } from '../model/records.ts';
import type { RecoverySink } from '../seams/storage.ts';
import type { ZnodeTree } from '../tree/tree.ts';
import type { TreeLoader } from '../tree/tree-loader.ts';
import type { LogEntry } from '../zab/entry.ts';
import { type ReplicaState, txnOf } from './replica-state.ts';

/** Rebuilds a tree from a store: a snapshot, then the log after it. `also` is told as well. */
export class TreeRecovery implements RecoverySink {
  /** The tree so far; an empty one until something came. */
  tree: ZnodeTree;
  /** Whether the store had a snapshot. */
  hasSnapshot = false;
  #loader: TreeLoader | null = null;

  constructor(
    readonly state: ReplicaState,
    readonly also?: { begin(zxid: Long): void; entry(entry: LogEntry): void },
  ) {
    this.tree = state.emptyTree();
  }

  begin(zxid: Long, head: SnapshotHead): void {
    this.hasSnapshot = true;
    this.#loader = this.state.newLoader();
    this.#loader.begin(zxid, head);
    this.also?.begin(zxid);
  }

  nodes(batch: readonly ZnodeRecord[]): void {
    this.#loader?.nodes(batch);
  }

  end(digest: SnapshotDigest | null): void {
    this.#loader?.end(digest);
    this.tree = this.#loader?.tree ?? this.tree;
    this.#loader = null;
  }

  entry(entry: LogEntry): void {
    this.tree.apply(txnOf(entry), false);
    this.also?.entry(entry);
  }
}
