import type Long from 'long';
import { EventType, type EventTypeCode } from '../model/codes.ts';
import type { Logger } from '../seams/logger.ts';
import { outer } from '../tree/paths.ts';
import type { ZnodeTree } from '../tree/tree.ts';
import { diffTrees } from '../tree/tree-diff.ts';
import { WatchKind, WatchTable } from '../tree/watches.ts';
import type { WatchEvent, Watcher } from './api.ts';
import type { TreeEvents, TreeWatcher } from './tree-events.ts';

/** Who is called with an event in the end: an application's callback, or an iterator. */
export interface EventSink {
  deliver(event: WatchEvent): void;
  /** Nothing is delivered any more. */
  readonly ended: boolean;
}

interface Delivery {
  readonly sink: EventSink;
  readonly event: WatchEvent;
}

/** Holds the events of a session, or of the node itself, back while it may not show anything new: while it is not connected. */
export class Gate {
  #open = true;
  #held: Delivery[] = [];

  get isOpen(): boolean {
    return this.#open;
  }

  shut(): void {
    this.#open = false;
  }

  hold(delivery: Delivery): void {
    this.#held.push(delivery);
  }

  /** Opens the gate and gives out what it held. */
  open(): readonly Delivery[] {
    const held = this.#held;
    this.#held = [];
    this.#open = true;
    return held;
  }

  /** Drops what is held; the owner has ended. */
  clear(): void {
    this.#held = [];
  }
}

/** What stands in the watch table: turns an event into calls of sinks. */
export abstract class Watching {
  constructor(readonly gate: Gate) {}

  /** Adds to `out` whom the event is for. */
  abstract fired(event: WatchEvent, out: (sink: EventSink, event: WatchEvent) => void): void;
}

/** Where the watches of a session are entered and taken out again: the process's own table, or a client's. */
export interface WatchRegistry {
  addPersistent(watch: PersistentWatch): void;
  removePersistent(watch: PersistentWatch): void;
  addOneShot(shots: OneShotWatches, table: 'data' | 'child', path: string, callback: Watcher): void;
  /** Whether there was one. */
  removeOneShot(shots: OneShotWatches, table: 'data' | 'child', path: string): boolean;
  removeOneShots(shots: OneShotWatches): void;
  /** Opens a gate that was shut and delivers what it held. */
  open(gate: Gate): void;
}

/** A watch that stays on one path or subtree, with one sink. */
export class PersistentWatch extends Watching {
  constructor(
    readonly path: string,
    readonly recursive: boolean,
    readonly sink: EventSink,
    gate: Gate,
  ) {
    super(gate);
  }

  fired(event: WatchEvent, out: (sink: EventSink, event: WatchEvent) => void): void {
    out(this.sink, event);
  }
}

/** A callback of a {@link PersistentWatch}, until it is ended. */
export class ListenerSink implements EventSink {
  ended = false;
  constructor(readonly deliver: Watcher) {}
}

/**
 * The one-shot watches of one session. As in ZooKeeper's client, an event takes all callbacks that its path has for it, and calls each of them once however
 * often it was registered.
 */
export class OneShotWatches extends Watching {
  readonly data = new Map<string, Watcher[]>();
  readonly child = new Map<string, Watcher[]>();

  fired(event: WatchEvent, out: (sink: EventSink, event: WatchEvent) => void): void {
    const callbacks = new Set<Watcher>();
    if (event.type !== 'childrenChanged') take(this.data, event.path, callbacks);
    if (event.type === 'childrenChanged' || event.type === 'deleted') take(this.child, event.path, callbacks);
    for (const deliver of callbacks) out({ deliver, ended: false }, event);
  }
}

function take(from: Map<string, Watcher[]>, path: string, into: Set<Watcher>): void {
  const callbacks = from.get(path);
  if (callbacks === undefined) return;
  from.delete(path);
  for (const callback of callbacks) into.add(callback);
}

/** An event's type as the public API names it. */
export function typeName(type: EventTypeCode): WatchEvent['type'] {
  switch (type) {
    case EventType.nodeCreated:
      return 'created';
    case EventType.nodeDeleted:
      return 'deleted';
    case EventType.nodeDataChanged:
      return 'dataChanged';
    case EventType.nodeChildrenChanged:
      return 'childrenChanged';
  }
}

/**
 * All watches of this process, of its sessions and of the node itself, in one table that the tree's events fire.
 *
 * An event is not delivered from inside the transaction that caused it, where half of a multi would be visible, but by {@link flush} right after it: the
 * replica's `applied` hook calls that before it answers anybody. So no callback comes later than a read which shows its change.
 */
export class Watches implements TreeWatcher, WatchRegistry {
  readonly #events: TreeEvents;
  readonly #table = new WatchTable<Watching>();
  readonly #persistent = new Set<PersistentWatch>();
  readonly #oneShots = new Set<OneShotWatches>();
  readonly #logger: Logger;
  #queue: Delivery[] = [];
  delivered = 0;

  constructor(events: TreeEvents, logger: Logger) {
    this.#events = events;
    this.#logger = logger;
    events.add(this);
  }

  get isWatching(): boolean {
    return this.#table.hasAny;
  }

  /** Number of persistent watches, and of paths with one-shot watches. */
  get size(): number {
    let size = this.#persistent.size;
    for (const shots of this.#oneShots) size += shots.data.size + shots.child.size;
    return size;
  }

  readonly onEvent = (type: EventTypeCode, path: string, zxid: Long): void => {
    let event: WatchEvent | undefined;
    this.#table.trigger(type, path, (watching) => {
      event ??= { type: typeName(type), path, zxid };
      this.#fire(watching, event);
    });
  };

  #fire(watching: Watching, event: WatchEvent): void {
    watching.fired(event, (sink, what) => {
      const delivery = { sink, event: what };
      if (watching.gate.isOpen) this.#queue.push(delivery);
      else watching.gate.hold(delivery);
    });
  }

  addPersistent(watch: PersistentWatch): void {
    this.#persistent.add(watch);
    this.#table.addPersistent(watch.path, watch, watch.recursive);
    this.#events.changed();
  }

  removePersistent(watch: PersistentWatch): void {
    if (!this.#persistent.delete(watch)) return;
    this.#table.removeAll(watch);
    this.#events.changed();
  }

  addOneShot(shots: OneShotWatches, table: 'data' | 'child', path: string, callback: Watcher): void {
    const at = outer(path);
    const callbacks = shots[table].get(at);
    if (callbacks === undefined) shots[table].set(at, [callback]);
    else if (!callbacks.includes(callback)) callbacks.push(callback);
    this.#oneShots.add(shots);
    if (table === 'data') this.#table.addData(at, shots);
    else this.#table.addChild(at, shots);
    this.#events.changed();
  }

  /** Whether there was one. */
  removeOneShot(shots: OneShotWatches, table: 'data' | 'child', path: string): boolean {
    const at = outer(path);
    if (!shots[table].delete(at)) return false;
    this.#table.remove(at, table === 'data' ? WatchKind.data : WatchKind.children, shots);
    this.#events.changed();
    return true;
  }

  removeOneShots(shots: OneShotWatches): void {
    if (!this.#oneShots.delete(shots)) return;
    shots.data.clear();
    shots.child.clear();
    this.#table.removeAll(shots);
    this.#events.changed();
  }

  /** The replica got a new tree as a whole: every watch gets what it would have seen had the tree changed step by step. */
  treeReplaced(oldTree: ZnodeTree, newTree: ZnodeTree): void {
    const zxid = newTree.lastZxid;
    for (const watch of this.#persistent) {
      diffTrees(oldTree, newTree, watch.path, watch.recursive, (type, path) => this.#fire(watch, { type: typeName(type), path, zxid }));
    }
    for (const shots of this.#oneShots) {
      for (const watched of new Set([...shots.data.keys(), ...shots.child.keys()])) {
        diffTrees(oldTree, newTree, watched, false, (type, path) => this.#fire(shots, { type: typeName(type), path, zxid }));
        if (!shots.data.has(watched)) this.#table.remove(watched, WatchKind.data, shots);
        if (!shots.child.has(watched)) this.#table.remove(watched, WatchKind.children, shots);
      }
    }
  }

  /** Delivers what has been fired. Callbacks run here; what they throw is logged. */
  flush(): void {
    if (this.#queue.length === 0) return;
    const queue = this.#queue;
    this.#queue = [];
    for (const delivery of queue) this.#deliver(delivery);
    // Here and not in the event itself: the tree is in the middle of a change then.
    this.#events.changed();
  }

  /** Opens a gate that was shut and delivers what it held. */
  open(gate: Gate): void {
    for (const delivery of gate.open()) this.#deliver(delivery);
  }

  #deliver({ sink, event }: Delivery): void {
    if (sink.ended) return;
    this.delivered++;
    try {
      sink.deliver(event);
    } catch (error) {
      this.#logger('error', 'a watch callback threw', { type: event.type, path: event.path, error });
    }
  }
}
