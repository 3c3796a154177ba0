import type { TreeListener, ZnodeTree } from '../tree/tree.ts';

/** Somebody who watches the tree. */
export interface TreeWatcher {
  /** Whether an event could be of interest at all; {@link TreeEvents.changed} is to be called when that may have changed. */
  readonly isWatching: boolean;
  readonly onEvent: TreeListener;
}

/** Hands the events of the tree that is shown to those who watch. The tree pays for events only while somebody does. */
export class TreeEvents {
  readonly #watchers: TreeWatcher[] = [];
  #tree: ZnodeTree | null = null;

  add(watcher: TreeWatcher): void {
    this.#watchers.push(watcher);
  }

  /** From now on the events of `tree` count. */
  attach(tree: ZnodeTree): void {
    if (this.#tree !== null) this.#tree.onEvent = null;
    this.#tree = tree;
    this.changed();
  }

  /** Not to be called from inside an event: the tree is in the middle of a change then. */
  changed(): void {
    if (this.#tree === null) return;
    let listener: TreeListener | null = null;
    for (const watcher of this.#watchers) {
      if (watcher.isWatching) listener = listener === null ? watcher.onEvent : this.#all;
    }
    this.#tree.onEvent = listener;
  }

  readonly #all: TreeListener = (type, path, zxid, acl) => {
    for (const watcher of this.#watchers) if (watcher.isWatching) watcher.onEvent(type, path, zxid, acl);
  };
}
