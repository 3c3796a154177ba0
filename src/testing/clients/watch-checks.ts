import type Long from 'long';
import { zxidEquals, zxidHex } from '../../model/zxid.ts';
import type { SessionState, WatchEvent } from '../../node/api.ts';
import type { CommittedHistory, NodeLife, Step } from './committed.ts';
import type { Handle } from './handle.ts';
import type { Call } from './history.ts';
import type { Place } from './place.ts';
import { type Complain, isWithin, type TreeEvent } from './reference.ts';
import type { WireWatch } from './wire-log.ts';
import { WirePersistentCheck } from './wire-watches.ts';

/** The events of one step that one watch is to be told. */
interface Due {
  readonly zxid: Long;
  readonly events: TreeEvent[];
  /** A snapshot's differences come in an order that is only partly promised. */
  readonly loose: boolean;
}

/** Who has a watch: a session, or the node itself. */
export interface WatchOwner {
  readonly life: NodeLife;
  readonly name: string;
  /** Whether events come without delay, in the turn of the change; otherwise they are kept back. */
  isOpen(): boolean;
  /** Whether nothing may be told now: the session waits for the leader's word that it lives. */
  isHeldBack(): boolean;
}

const describe = (event: TreeEvent & { zxid: Long }): string => `${event.type} ${event.path} at 0x${zxidHex(event.zxid)}`;

/** A persistent watch with a listener: must be told each change below its path, from its registration to its end, in order and once. */
export class PersistentCheck {
  readonly name: string;
  readonly owner: WatchOwner;
  readonly path: string;
  readonly #recursive: boolean;
  readonly #committed: CommittedHistory;
  readonly #complain: Complain;
  readonly #due: Due[] = [];
  over = false;
  told = 0;

  constructor(committed: CommittedHistory, complain: Complain, owner: WatchOwner, path: string, recursive: boolean) {
    this.#committed = committed;
    this.#complain = complain;
    this.owner = owner;
    this.path = path;
    this.#recursive = recursive;
    this.name = `${recursive ? 'recursive' : 'persistent'} watch of ${owner.name} on ${path}`;
    owner.life.listeners.add(this.#step);
  }

  readonly #step = (step: Step): void => {
    if (this.owner.isOpen()) this.caughtUp();
    if (this.over) return;
    const due = dueIn(this.#committed, step, this.path, this.#recursive);
    if (due !== null) this.#due.push(due);
  };

  readonly deliver = (event: WatchEvent): void => {
    this.told++;
    if (this.over) return this.#complain('Watches', `${this.name} was told ${describe(event)} after its end`);
    if (this.owner.isHeldBack()) this.#complain('Watches', `${this.name} was told ${describe(event)} while its session is suspended`);
    const due = this.#due[0];
    const index = due === undefined || !zxidEquals(due.zxid, event.zxid) ? -1 : place(due, event);
    if (index < 0) {
      const expected = due === undefined ? 'nothing is due' : `${describe({ ...due.events[0], zxid: due.zxid })} is due`;
      return this.#complain('Watches', `${this.name} was told ${describe(event)} while ${expected}`);
    }
    due.events.splice(index, 1);
    if (due.events.length === 0) this.#due.shift();
  };

  caughtUp(): void {
    const due = this.#due[0];
    if (this.over || due === undefined) return;
    this.#complain('Watches', `${this.name} was not told ${describe({ ...due.events[0], zxid: due.zxid })}`);
    this.end();
  }

  /** Nothing is due any more, and nothing may come. */
  end(): void {
    this.over = true;
    this.#due.length = 0;
    this.owner.life.listeners.delete(this.#step);
  }
}

/** Where in what is due an event may stand now; -1 if nowhere. */
function place(due: Due, event: TreeEvent): number {
  const same = (other: TreeEvent): boolean => other.type === event.type && other.path === event.path;
  if (!due.loose) return same(due.events[0]) ? 0 : -1;
  const index = due.events.findIndex(same);
  // Deletions first, children before their parents; then the rest, parents before their children.
  const early = due.events.some((other) => {
    if (event.type !== 'deleted') return other.type === 'deleted' || (other.path !== event.path && isWithin(event.path, other.path));
    return other.type === 'deleted' && other.path !== event.path && isWithin(other.path, event.path);
  });
  return early ? -1 : index;
}

function dueIn(committed: CommittedHistory, step: Step, path: string, recursive: boolean): Due | null {
  if (step.kind === 'replaced') {
    const events = committed.reference.difference(path, recursive, step.from, step.to);
    return events.length === 0 ? null : { zxid: step.zxid, events, loose: recursive };
  }
  const { entry } = step;
  const events = entry.events.filter((event) =>
    recursive ? event.type !== 'childrenChanged' && isWithin(event.path, path) : event.path === path,
  );
  return events.length === 0 ? null : { zxid: entry.txn.header.zxid, events, loose: false };
}

/** A persistent watch as an iterator with a small capacity. It may lose events, but only behind a consumer that is slow, and it must say so. */
export class StreamCheck {
  readonly #name: string;
  readonly #path: string;
  readonly #capacity: number;
  readonly #committed: CommittedHistory;
  readonly #complain: Complain;
  readonly #life: NodeLife;
  readonly #due: (TreeEvent & { readonly zxid: Long })[] = [];
  /** How many of `#due` may have been told or lost by now. */
  #reached: ReadonlySet<number> = new Set([0]);
  over = false;
  overflows = 0;
  #complete = false;

  constructor(committed: CommittedHistory, complain: Complain, owner: WatchOwner, path: string, capacity: number) {
    this.#committed = committed;
    this.#complain = complain;
    this.#life = owner.life;
    this.#path = path;
    this.#capacity = capacity;
    this.#name = `iterator of ${owner.name} on ${path} with capacity ${capacity}`;
    owner.life.listeners.add(this.#step);
  }

  readonly #step = (step: Step): void => {
    const due = dueIn(this.#committed, step, this.#path, false);
    for (const event of due?.events ?? []) this.#due.push({ ...event, zxid: due!.zxid });
  };

  /** The consumer took an event. */
  took(event: WatchEvent): void {
    const reached = new Set<number>();
    const isOverflow = event.type === 'overflow';
    if (isOverflow) this.overflows++;
    for (const at of this.#reached) {
      // An overflow stands for at least one event more than there was room for, up to the one that did not fit.
      const last = isOverflow ? this.#due.length - 1 : at;
      for (let i = isOverflow ? at + this.#capacity : at; i <= last && i < this.#due.length; i++) {
        const due = this.#due[i];
        if (zxidEquals(due.zxid, event.zxid) && (isOverflow || (due.type === event.type && due.path === event.path))) reached.add(i + 1);
      }
    }
    if (reached.size > 0) {
      this.#reached = reached;
      return;
    }
    const next = [...this.#reached].map((at) => (at < this.#due.length ? describe(this.#due[at]) : 'nothing'));
    this.#complain('Watches', `${this.#name} gave ${describe(event)} where ${next.join(' or ')} is due`);
    this.end();
  }

  /** It has ended by itself, after giving all it had: nothing may be missing of what the node showed while the session was connected. */
  drained(): void {
    if (this.#complete && !this.#reached.has(this.#due.length)) {
      this.#complain('Watches', `${this.#name} ended without ${describe(this.#due[Math.max(...this.#reached)])}`);
    }
    this.end();
  }

  caughtUp(): void {}

  end(complete = false): void {
    if (this.over) return;
    this.over = true;
    this.#complete = complete;
    this.#life.listeners.delete(this.#step);
  }
}

type Table = 'data' | 'child';

const TYPES: Readonly<Record<Table, readonly WatchEvent['type'][]>> = {
  data: ['created', 'deleted', 'dataChanged'],
  child: ['childrenChanged', 'deleted'],
};

/** A one-shot watch: must be told the first change after the read that set it, once, and before a read shows the change. */
export class OneShotCheck {
  readonly #name: string;
  readonly #path: string;
  readonly #table: Table;
  readonly #committed: CommittedHistory;
  readonly #complain: Complain;
  readonly #owner: WatchOwner;
  /** First changes of each step in which the read may still have come. */
  readonly #early: (TreeEvent & { zxid: Long })[] = [];
  #set = false;
  #due: (TreeEvent & { zxid: Long }) | null = null;
  #told: WatchEvent | null = null;
  over = false;

  constructor(committed: CommittedHistory, complain: Complain, owner: WatchOwner, path: string, table: Table) {
    this.#committed = committed;
    this.#complain = complain;
    this.#owner = owner;
    this.#path = path;
    this.#table = table;
    this.#name = `one-shot ${table} watch of ${owner.name} on ${path}`;
    owner.life.listeners.add(this.#step);
  }

  readonly #step = (step: Step): void => {
    if (this.#owner.isOpen()) this.caughtUp();
    if (this.#due !== null) return;
    const due = dueIn(this.#committed, step, this.#path, false);
    const first = due?.events.find((event) => TYPES[this.#table].includes(event.type));
    if (due === null || first === undefined) return;
    const event = { ...first, zxid: due.zxid };
    if (this.#set) this.#due = event;
    else this.#early.push(event);
  };

  readonly deliver = (event: WatchEvent): void => {
    if (this.over || this.#told !== null) {
      return this.#complain('Watches', `${this.#name} was told ${describe(event)} ${this.over ? 'after its end' : 'again'}`);
    }
    if (this.#owner.isHeldBack()) this.#complain('Watches', `${this.#name} was told ${describe(event)} while its session is suspended`);
    this.#told = event;
    if (this.#set) this.#verify(event);
  };

  /** The read was answered. */
  settled({ outcome }: Call): void {
    this.#set = true;
    if (outcome !== 'ok') {
      if (this.#told !== null) this.#complain('Watches', `${this.#name}, whose read failed, was set all the same`);
      return this.end();
    }
    if (this.#told !== null) this.#verify(this.#told);
  }

  #verify(event: WatchEvent): void {
    const candidates = this.#due === null ? this.#early : [...this.#early, this.#due];
    const isRight = candidates.some((due) => due.type === event.type && due.path === event.path && zxidEquals(due.zxid, event.zxid));
    if (!isRight) {
      const expected = candidates.length === 0 ? 'nothing' : candidates.map(describe).join(' or ');
      this.#complain('Watches', `${this.#name} was told ${describe(event)} instead of ${expected}`);
    }
    this.end();
  }

  caughtUp(): void {
    if (this.over || this.#due === null || this.#told !== null) return;
    this.#complain('Watches', `${this.#name} was not told ${describe(this.#due)}`);
    this.end();
  }

  end(): void {
    this.over = true;
    this.#owner.life.listeners.delete(this.#step);
  }
}

export interface Checked {
  readonly over: boolean;
  /** Called where nothing may be outstanding. */
  caughtUp(): void;
  /** The session has ended; `complete` says that it was connected up to then, so that nothing was kept back. */
  end(complete?: boolean): void;
}

const isOverWire = (check: Checked): check is Checked & WireWatch => 'restored' in check;

/** All watches of a run that are looked after, by who has them. */
export class WatchChecks {
  readonly #sessions = new Map<Handle, Set<Checked>>();
  readonly #nodes = new Map<Place, PersistentCheck>();
  /** Every persistent watch with a listener that there has been. */
  readonly persistent: (PersistentCheck | WirePersistentCheck)[] = [];

  addNode(check: PersistentCheck): void {
    this.persistent.push(check);
    this.#nodes.set(check.owner.life, check);
  }

  add(handle: Handle, check: Checked): void {
    if (check instanceof PersistentCheck || check instanceof WirePersistentCheck) this.persistent.push(check);
    if (isOverWire(check)) handle.wire?.watches.add(check);
    const checks = this.#sessions.get(handle);
    if (checks === undefined) this.#sessions.set(handle, new Set([check]));
    else checks.add(check);
  }

  /** A call of a connected session was answered, or the like: whatever the session may have seen, its watches have told. */
  caughtUp(handle: Handle): void {
    if (handle.life.over || handle.state !== 'connected') return;
    const checks = this.#sessions.get(handle) ?? new Set();
    for (const check of checks) {
      if (check.over) checks.delete(check);
      else check.caughtUp();
    }
  }

  /** While it is connected nothing is kept back, so there is nothing outstanding when that ends. What comes later is due when it is connected again, if ever. */
  stateChanged(handle: Handle, before: SessionState): void {
    const checks = this.#sessions.get(handle) ?? [];
    if (before === 'connected' || handle.state === 'connected') for (const check of checks) check.caughtUp();
    if (handle.state !== 'expired' && handle.state !== 'closed') return;
    for (const check of checks) check.end(before === 'connected');
    this.#sessions.delete(handle);
  }

  /** The node is about to say that it does not serve any more: up to now it kept nothing back. */
  nodeSuspends(life: NodeLife): void {
    this.#nodes.get(life)?.caughtUp();
  }

  ended(life: Place): void {
    for (const [handle, checks] of this.#sessions) {
      if (handle.life !== life) continue;
      for (const check of checks) check.end();
      this.#sessions.delete(handle);
    }
    this.#nodes.get(life)?.end();
    this.#nodes.delete(life);
  }

  finish(): void {
    for (const handle of [...this.#sessions.keys()]) this.caughtUp(handle);
    for (const check of this.#nodes.values()) if (check.owner.life.serving) check.caughtUp();
  }
}
