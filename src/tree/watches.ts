import type Long from 'long';
import { EventType, type EventTypeCode } from '../model/codes.ts';
import { compareZxid } from '../model/zxid.ts';
import { outer } from './paths.ts';
import type { ZnodeTree } from './tree.ts';

/** What checkWatches and removeWatches ask for (PROTOCOL 2.3). */
export const WatchKind = { children: 1, data: 2, any: 3, persistent: 4, persistentRecursive: 5 } as const;
export type WatchKindCode = (typeof WatchKind)[keyof typeof WatchKind];

const DATA = 1;
const CHILD = 2;
const PERSISTENT = 4;
const RECURSIVE = 8;
const ONE_SHOT = DATA | CHILD;
const ANY = DATA | CHILD | PERSISTENT | RECURSIVE;

/** Which modes each kind finds: a persistent watch answers for both tables, as in 3.8.0. */
const FOUND_BY: Readonly<Record<WatchKindCode, number>> = {
  1: CHILD | PERSISTENT | RECURSIVE,
  2: DATA | PERSISTENT | RECURSIVE,
  3: ANY,
  4: PERSISTENT,
  5: RECURSIVE,
};
const REMOVED_BY: Readonly<Record<WatchKindCode, number>> = { 1: CHILD, 2: DATA, 3: ANY, 4: PERSISTENT, 5: RECURSIVE };

/** The watches that a client had, by kind, as it sends them after a reconnect. */
export interface WatchLists {
  readonly data: readonly string[];
  readonly exist: readonly string[];
  readonly child: readonly string[];
  readonly persistent: readonly string[];
  readonly persistentRecursive: readonly string[];
}

/** Takes an event to a watcher. May add and remove watches. */
export type Deliver<W> = (watcher: W, type: EventTypeCode, path: string) => void;

/**
 * Who waits for which znodes (PROTOCOL 10). A watcher is a session's connection; the table compares watchers by identity. Modes are kept apart: a watcher may hold a one-shot
 * and both persistent watches on a path and still gets one event per trigger. Paths are as clients write them, "/" is the root.
 */
export class WatchTable<W extends object> {
  readonly #byPath = new Map<string, Map<W, number>>();
  readonly #byWatcher = new Map<W, Set<string>>();
  #recursive = 0;
  #count = 0;

  /** Whether there is any watch: the quick check before {@link trigger}. */
  get hasAny(): boolean {
    return this.#byPath.size > 0;
  }

  /** Watches of all kinds, a kind on a path counting once per watcher. */
  get watchCount(): number {
    return this.#count;
  }

  get pathCount(): number {
    return this.#byPath.size;
  }

  get watcherCount(): number {
    return this.#byWatcher.size;
  }

  addData(path: string, watcher: W): void {
    this.#add(path, watcher, DATA);
  }

  addChild(path: string, watcher: W): void {
    this.#add(path, watcher, CHILD);
  }

  addPersistent(path: string, watcher: W, recursive: boolean): void {
    this.#add(path, watcher, recursive ? RECURSIVE : PERSISTENT);
  }

  #add(path: string, watcher: W, mode: number): void {
    const key = outer(path);
    let watchers = this.#byPath.get(key);
    if (watchers === undefined) this.#byPath.set(key, (watchers = new Map()));
    let paths = this.#byWatcher.get(watcher);
    if (paths === undefined) this.#byWatcher.set(watcher, (paths = new Set()));
    paths.add(key);
    this.#setModes(key, watchers, watcher, (watchers.get(watcher) ?? 0) | mode);
  }

  /** Every change of a watcher's modes goes through here, so that the counts stay right. */
  #setModes(path: string, watchers: Map<W, number>, watcher: W, modes: number): void {
    const before = watchers.get(watcher) ?? 0;
    this.#count += bitCount(modes) - bitCount(before);
    this.#recursive += Number((modes & RECURSIVE) !== 0) - Number((before & RECURSIVE) !== 0);
    if (modes !== 0) {
      watchers.set(watcher, modes);
      return;
    }
    watchers.delete(watcher);
    if (watchers.size === 0) this.#byPath.delete(path);
    const paths = this.#byWatcher.get(watcher);
    paths?.delete(path);
    if (paths?.size === 0) this.#byWatcher.delete(watcher);
  }

  /** Removes watches of a kind; `any` removes all on the path. False (-121) when there was none. */
  remove(path: string, kind: WatchKindCode, watcher: W): boolean {
    const key = outer(path);
    const watchers = this.#byPath.get(key);
    const modes = watchers?.get(watcher) ?? 0;
    if (watchers === undefined || (modes & REMOVED_BY[kind]) === 0) return false;
    this.#setModes(key, watchers, watcher, modes & ~REMOVED_BY[kind]);
    return true;
  }

  /** Whether the watcher holds a watch that the kind finds; false is -121. */
  check(path: string, kind: WatchKindCode, watcher: W): boolean {
    return ((this.#byPath.get(outer(path))?.get(watcher) ?? 0) & FOUND_BY[kind]) !== 0;
  }

  /** Drops all watches of a watcher: its connection is gone. */
  removeAll(watcher: W): void {
    for (const path of [...(this.#byWatcher.get(watcher) ?? [])]) this.remove(path, WatchKind.any, watcher);
  }

  /**
   * Delivers one event: a data change to data watches, a change of children to child watches, a deletion to both, each to persistent watches as well. Recursive ones get all but changes of
   * children, from every znode below. One-shot watches that match are gone before the first delivery.
   */
  trigger(type: EventTypeCode, path: string, deliver: Deliver<W>): void {
    if (this.#byPath.size === 0) return;
    let hit: Set<W> | null = null;
    const watchers = this.#byPath.get(path);
    if (watchers !== undefined) hit = this.#collect(type, path, watchers);
    if (this.#recursive > 0 && type !== EventType.nodeChildrenChanged) hit = this.#collectAbove(path, hit);
    if (hit === null) return;
    for (const watcher of hit) deliver(watcher, type, path);
  }

  #collect(type: EventTypeCode, path: string, watchers: Map<W, number>): Set<W> | null {
    let wanted = DATA | PERSISTENT | RECURSIVE;
    if (type === EventType.nodeDeleted) wanted = ANY;
    else if (type === EventType.nodeChildrenChanged) wanted = CHILD | PERSISTENT;
    let hit: Set<W> | null = null;
    for (const [watcher, modes] of watchers) {
      if ((modes & wanted) === 0) continue;
      hit ??= new Set();
      hit.add(watcher);
      if ((modes & wanted & ONE_SHOT) !== 0) this.#setModes(path, watchers, watcher, modes & ~(wanted & ONE_SHOT));
    }
    return hit;
  }

  #collectAbove(path: string, below: Set<W> | null): Set<W> | null {
    let hit = below;
    for (let at = path; at !== '/'; ) {
      at = at.slice(0, at.lastIndexOf('/')) || '/';
      const watchers = this.#byPath.get(at);
      if (watchers === undefined) continue;
      for (const [watcher, modes] of watchers) {
        if ((modes & RECURSIVE) === 0) continue;
        hit ??= new Set();
        hit.add(watcher);
      }
    }
    return hit;
  }

  /**
   * The rule of setWatches: what the watcher missed since `since` is delivered at once, in the order of the lists data, exist, child; every other watch is registered. Persistent ones are
   * registered without catching up.
   */
  catchUp(tree: ZnodeTree, since: Long, lists: WatchLists, watcher: W, deliver: Deliver<W>): void {
    for (const path of lists.data) {
      const stat = tree.exists(path);
      if (stat === undefined) deliver(watcher, EventType.nodeDeleted, path);
      else if (compareZxid(stat.mzxid, since) > 0) deliver(watcher, EventType.nodeDataChanged, path);
      else this.addData(path, watcher);
    }
    for (const path of lists.exist) {
      if (tree.has(path)) deliver(watcher, EventType.nodeCreated, path);
      else this.addData(path, watcher);
    }
    for (const path of lists.child) {
      const stat = tree.exists(path);
      if (stat === undefined) deliver(watcher, EventType.nodeDeleted, path);
      else if (compareZxid(stat.pzxid, since) > 0) deliver(watcher, EventType.nodeChildrenChanged, path);
      else this.addChild(path, watcher);
    }
    for (const path of lists.persistent) this.addPersistent(path, watcher, false);
    for (const path of lists.persistentRecursive) this.addPersistent(path, watcher, true);
  }

  /** Paths and those whose watches there a kind finds, for reports. */
  *entries(kind: WatchKindCode = WatchKind.any): Generator<[path: string, watchers: W[]]> {
    for (const [path, watchers] of this.#byPath) {
      const found = [...watchers].filter(([, modes]) => (modes & FOUND_BY[kind]) !== 0).map(([watcher]) => watcher);
      if (found.length > 0) yield [path, found];
    }
  }
}

const bitCount = (modes: number): number => (modes & 1) + ((modes >> 1) & 1) + ((modes >> 2) & 1) + ((modes >> 3) & 1);
