import { Perms } from '../../model/codes.ts';
import { compareZxid } from '../../model/zxid.ts';
import type { WatchEvent } from '../../node/api.ts';
import type { CommittedHistory, Entry } from './committed.ts';
import type { Handle } from './handle.ts';
import type { Call } from './history.ts';
import { allows, type Complain, isWithin, parentOf, type TreeEvent } from './reference.ts';
import type { WireWatch } from './wire-log.ts';

/*
 * Watches over the wire. They differ from those in a server's process in three ways:
 *
 * - Events come without a zxid (PROTOCOL 10), so what is told is held against the order of all events, and a reply tells how far the client must have been told.
 * - A watch lives on its connection. What happens without one is told as one event at most, of a type that the state then gives (setWatches), or as `overflow` by a persistent watch, whatever it has missed.
 * - Who may not read a znode is not told of it (fault 4799).
 */

/** An event that a watch is due. */
interface Due extends TreeEvent {
  readonly position: number;
  /** It need not be told: the change of children was caused by a child that is kept from the session, and the client makes one event of the other at times. */
  readonly optional: boolean;
  /** It is kept from the session. */
  readonly hidden: boolean;
}

const describe = ({ type, path }: TreeEvent): string => `${type} ${path}`;

const isHidden = ({ reference }: CommittedHistory, handle: Handle, { position }: Entry, { type, path }: TreeEvent): boolean => {
  const znode = reference.at(path, type === 'deleted' ? position - 1 : position);
  return znode !== null && !allows(znode, Perms.READ, handle.ids);
};

/** The events of some kind behind a position, as the history grows. */
class Script {
  readonly #committed: CommittedHistory;
  readonly #handle: Handle;
  readonly #matches: (event: TreeEvent) => boolean;
  readonly #events: Due[] = [];
  #scanned: number;

  constructor(committed: CommittedHistory, handle: Handle, from: number, matches: (event: TreeEvent) => boolean) {
    this.#committed = committed;
    this.#handle = handle;
    this.#scanned = from;
    this.#matches = matches;
  }

  get events(): readonly Due[] {
    const { entries } = this.#committed;
    for (; this.#scanned < entries.length; this.#scanned++) this.#scan(entries[this.#scanned]);
    return this.#events;
  }

  #scan(entry: Entry): void {
    entry.events.forEach((event, i) => {
      if (!this.#matches(event)) return;
      const cause = event.type === 'childrenChanged' ? entry.events[i - 1] : undefined;
      const optional = cause !== undefined && parentOf(cause.path) === event.path && isHidden(this.#committed, this.#handle, entry, cause);
      this.#events.push({ ...event, position: entry.position, optional, hidden: isHidden(this.#committed, this.#handle, entry, event) });
    });
  }

  /** Index of the first event behind a position. */
  behind(position: number): number {
    const index = this.events.findIndex((event) => event.position > position);
    return index < 0 ? this.#events.length : index;
  }

  /** The first event behind a position that must be told, up to another one. */
  between(from: number, to: number): Due | undefined {
    return this.events.find((due) => due.position > from && due.position <= to && !due.optional && !due.hidden);
  }
}

const matcher = (path: string, recursive: boolean) => (event: TreeEvent) =>
  recursive ? event.type !== 'childrenChanged' && isWithin(event.path, path) : event.path === path;

/**
 * Where in its script a watch can be: more than one place as long as equal events follow each other. At first nobody knows since when the server has the watch, and the client tells it what others of its watches
 * on the same znodes are told: so there may be gaps.
 */
class Places {
  readonly #script: Script;
  /** Null: anywhere from `#low` on. */
  #at: ReadonlySet<number> | null = new Set([0]);
  #low = 0;
  /** Before this place there may be gaps. */
  #gapsUntil = Number.POSITIVE_INFINITY;
  /** Where it may have begun anew. */
  readonly #again = new Set<number>();

  constructor(script: Script) {
    this.#script = script;
  }

  /** The server has the watch from somewhere up to this position on. */
  begunBy(position: number): void {
    if (this.#gapsUntil === Number.POSITIVE_INFINITY) this.#gapsUntil = this.#script.behind(position);
  }

  /** It has begun anew, at a server that may be behind the one before: events have no zxid that its client could have told it, so what was told already can be told again. */
  againFrom(position: number): void {
    this.#again.add(this.#script.behind(position));
  }

  startBehind(position: number): void {
    this.#at = new Set([this.#script.behind(position)]);
    this.#gapsUntil = 0;
  }

  /** Anything from here on may be missing, up to the next event that is told. */
  loosen(): void {
    if (this.#at !== null) this.#low = Math.min(...this.#at);
    this.#at = null;
  }

  /** Goes behind an event that was told; false if it can't be the next one. */
  step(event: TreeEvent): boolean {
    const { events } = this.#script;
    const starts = this.#at ?? Array.from({ length: Math.max(0, events.length - this.#low) }, (_, i) => this.#low + i);
    const next = new Set<number>();
    for (const start of [...starts, ...this.#again]) {
      for (let i = start; i < events.length; i++) {
        const { hidden, type, path } = events[i];
        if (!hidden && type === event.type && path === event.path) next.add(i + 1);
        if (!this.#mayBeLeftOut(i)) break;
      }
    }
    if (next.size === 0) return false;
    this.#at = next;
    return true;
  }

  #mayBeLeftOut(i: number): boolean {
    const { hidden, optional } = this.#script.events[i];
    return hidden || optional || i < this.#gapsUntil;
  }

  /** Drops the places that leave something untold up to a position. Returns what is untold if none is left. */
  reach(position: number): Due | null {
    if (this.#at === null) return null;
    const { events } = this.#script;
    const kept = new Set<number>();
    let untold: Due | null = null;
    for (const start of this.#at) {
      let i = start;
      while (i < events.length && events[i].position <= position && this.#mayBeLeftOut(i)) i++;
      if (i === events.length || events[i].position > position) kept.add(start);
      else untold = events[i];
    }
    if (kept.size === 0) return untold;
    this.#at = kept;
    return null;
  }

  /** For reports. */
  expected(): string {
    const { events } = this.#script;
    const next = [...(this.#at ?? [])].map((i) => (i < events.length ? describe(events[i]) : 'nothing'));
    return this.#at === null ? 'nothing like it' : next.join(' or ');
  }
}

/** A persistent watch with a listener: is told each change in order and once while there is a connection, and `overflow` for what may have been missed without one. */
export class WirePersistentCheck implements WireWatch {
  readonly path: string;
  readonly #name: string;
  readonly #complain: Complain;
  readonly #committed: CommittedHistory;
  readonly #script: Script;
  readonly #places: Places;
  /** `restoring`: the server was asked for the watch again and has not answered. */
  #phase: 'on' | 'off' | 'restoring';
  /** It was there when a connection was lost, and from where on it may have missed something. */
  #missedSince: number | null = null;
  /** Number of the last call before the watch: when a later one is answered the server has it. */
  readonly #before: number;
  over = false;
  told = 0;

  /** @param calls how many calls there have been */
  constructor(committed: CommittedHistory, complain: Complain, handle: Handle, path: string, recursive: boolean, calls: number) {
    const wire = handle.wire!;
    this.#committed = committed;
    this.#complain = complain;
    this.path = path;
    this.#name = `${recursive ? 'recursive' : 'persistent'} watch of ${handle.name} on ${path}`;
    this.#script = new Script(committed, handle, wire.position, matcher(path, recursive));
    this.#places = new Places(this.#script);
    this.#phase = wire.isGranted ? 'on' : 'off';
    this.#before = calls;
  }

  readonly deliver = (event: WatchEvent): void => {
    this.told++;
    if (this.over) return this.#wrong(`was told ${describe(event)} after its end`);
    if (event.type === 'overflow') return this.#overflow(event);
    if (this.#phase === 'off') return this.#wrong(`was told ${describe(event)} without a connection`);
    // The answer that restores it has come in the same piece of data: had anything been missed that would have been told first.
    if (this.#phase === 'restoring') this.#restore(this.#missedSince);
    const expected = this.#places.expected();
    if (!this.#places.step(event)) this.#wrong(`was told ${describe(event)} while ${expected} is due`);
  };

  #wrong(what: string): void {
    this.#complain('Watches', `${this.#name} ${what}`);
    this.end();
  }

  #overflow({ zxid }: WatchEvent): void {
    if (this.#phase !== 'restoring') return this.#wrong('was told of an overflow though it can have missed nothing');
    this.#restore(this.#committed.positionOf(zxid));
  }

  /** @param position null if it is not known yet */
  #restore(position: number | null): void {
    this.#phase = 'on';
    this.#missedSince = null;
    if (position !== null) this.#places.startBehind(position);
  }

  granted(): void {
    this.#phase = 'restoring';
  }

  restored(position: number): void {
    if (this.over || this.#phase !== 'restoring') return;
    const missed = this.#missedSince === null ? undefined : this.#script.between(this.#missedSince, position);
    if (missed !== undefined) return this.#wrong(`was not told that it may have missed something, such as ${describe(missed)}`);
    this.#restore(position);
  }

  shown(position: number, call: Call | null): void {
    if (this.over || this.#phase !== 'on') return;
    if (call !== null && call.number > this.#before) this.#places.begunBy(position);
    const untold = this.#places.reach(position);
    if (untold !== null) this.#wrong(`was not told ${describe(untold)}, though the session was shown the state after it`);
  }

  lost(since: number): void {
    this.#phase = 'off';
    this.#missedSince ??= since;
  }

  caughtUp(): void {}

  end(): void {
    this.over = true;
  }
}

/** A persistent watch as an iterator. It may lose events, behind a consumer that is slow or without a connection, but it must say so. */
export class WireStreamCheck implements WireWatch {
  readonly #name: string;
  readonly #complain: Complain;
  readonly #places: Places;
  readonly #before: number;
  /** It was there when a connection began. */
  #wasAsked = false;
  over = false;

  /** @param calls how many calls there have been */
  constructor(committed: CommittedHistory, complain: Complain, handle: Handle, path: string, capacity: number, calls: number) {
    this.#complain = complain;
    this.#before = calls;
    this.#places = new Places(new Script(committed, handle, handle.wire!.position, matcher(path, false)));
    this.#name = `iterator of ${handle.name} on ${path} with capacity ${capacity}`;
  }

  /** The consumer took an event. */
  took(event: WatchEvent): void {
    if (event.type === 'overflow') return this.#places.loosen();
    const expected = this.#places.expected();
    if (this.#places.step(event)) return;
    this.#complain('Watches', `${this.#name} gave ${describe(event)} where ${expected} is due`);
    this.end();
  }

  drained(): void {
    this.end();
  }
  granted(): void {
    this.#wasAsked = true;
  }
  restored(position: number): void {
    // One that has come since is asked for by itself.
    if (this.#wasAsked) this.#places.begunBy(position);
    this.#places.againFrom(position);
  }
  shown(position: number, call: Call | null): void {
    if (call !== null && call.number > this.#before) this.#places.begunBy(position);
  }
  lost(): void {}
  caughtUp(): void {}
  end(): void {
    this.over = true;
  }
}

type Table = 'data' | 'child';

const TYPES: Readonly<Record<Table, readonly WatchEvent['type'][]>> = {
  data: ['created', 'deleted', 'dataChanged'],
  child: ['childrenChanged', 'deleted'],
};

/** A one-shot watch: is told the first change after the read that set it, once, and before an answer shows the change; of what it has missed without a connection, what the state then gives. */
export class WireOneShotCheck implements WireWatch {
  readonly #name: string;
  readonly #path: string;
  readonly #table: Table;
  readonly #committed: CommittedHistory;
  readonly #complain: Complain;
  readonly #script: Script;
  #phase: 'asked' | 'on' | 'off' | 'restoring' = 'asked';
  /** The first change after this position is due. */
  #base = 0;
  /** The read found nothing there: it waits for a creation. */
  #absent = false;
  /** Up to here nothing was missed. */
  #since = 0;
  #told: WatchEvent | null = null;
  over = false;

  constructor(committed: CommittedHistory, complain: Complain, handle: Handle, path: string, table: Table) {
    this.#committed = committed;
    this.#complain = complain;
    this.#path = path;
    this.#table = table;
    this.#name = `one-shot ${table} watch of ${handle.name} on ${path}`;
    this.#script = new Script(
      committed,
      handle,
      handle.wire!.position,
      (event) => event.path === path && TYPES[table].includes(event.type),
    );
  }

  #wrong(what: string): void {
    this.#complain('Watches', `${this.#name} ${what}`);
    this.end();
  }

  readonly deliver = (event: WatchEvent): void => {
    if (this.over) return this.#wrong(`was told ${describe(event)} after its end`);
    if (this.#told !== null) return this.#wrong(`was told ${describe(event)} again`);
    if (this.#phase === 'off') return this.#wrong(`was told ${describe(event)} without a connection`);
    this.#told = event;
    if (this.#phase === 'on') this.#judge(event);
  };

  /** The read was answered. */
  settled(call: Call): void {
    if (call.outcome !== 'ok') {
      if (this.#told !== null) this.#wrong('was told something, though its read has failed');
      return this.end();
    }
    this.#phase = 'on';
    this.#base = call.shown ?? 0;
    this.#absent = call.answer.stat === null;
    if (this.#told !== null) this.#judge(this.#told);
  }

  /** What is due behind `#base`, on one connection. */
  #next(): Due | undefined {
    return this.#script.events[this.#script.behind(this.#base)];
  }

  #judge(event: WatchEvent): void {
    const next = this.#next();
    // Behind a change that need not be told any other can be the first. One that is kept from the session spends the watch at the server; its client, that does not know, has it told with others on the znode.
    const isLater =
      next?.hidden && this.#script.events.some(({ hidden, type, position }) => !hidden && type === event.type && position > next.position);
    const isRight = next?.optional ? TYPES[this.#table].includes(event.type) : isLater || (next?.type === event.type && !next.hidden);
    if (!isRight || event.path !== this.#path)
      this.#wrong(`was told ${describe(event)} instead of ${next === undefined ? 'nothing' : describe(next)}`);
    this.end();
  }

  shown(position: number): void {
    if (this.over || this.#phase !== 'on') return;
    const next = this.#next();
    if (next === undefined || next.hidden || next.optional || next.position > position) return;
    this.#wrong(`was not told ${describe(next)}, though the session was shown the state after it`);
  }

  lost(since: number): void {
    if (this.over || this.#phase === 'asked') return;
    // What comes with an answer that was lost itself can't be judged: nobody knows what state it was told of.
    if (this.#told !== null) return this.end();
    if (this.#phase === 'on') this.#since = Math.max(this.#base, since);
    this.#phase = 'off';
  }

  granted(): void {
    if (this.#phase === 'off') this.#phase = 'restoring';
  }

  restored(position: number): void {
    if (this.over || this.#phase !== 'restoring') return;
    this.#phase = 'on';
    const due = this.#missed(position);
    const told = this.#told;
    if (due !== null) {
      if (told === null) return this.#wrong(`was not told ${due}, which it had missed`);
      if (told.type !== due) return this.#wrong(`was told ${describe(told)} instead of ${due}, which it had missed`);
      return this.end();
    }
    this.#base = position;
    if (told !== null) this.#judge(told);
  }

  /** What the state at a position tells a watch that was away since (PROTOCOL 10, setWatches). */
  #missed(position: number): WatchEvent['type'] | null {
    const znode = this.#committed.reference.at(this.#path, position);
    if (this.#absent) return znode === null ? null : 'created';
    if (znode === null) return 'deleted';
    const changed = this.#table === 'data' ? znode.stat.mzxid : znode.stat.pzxid;
    const entry = this.#committed.entries[this.#since - 1];
    const isLater = entry === undefined || compareZxid(changed, entry.txn.header.zxid) > 0;
    if (!isLater) return null;
    return this.#table === 'data' ? 'dataChanged' : 'childrenChanged';
  }

  caughtUp(): void {}

  end(): void {
    this.over = true;
  }
}
