import { Op } from '../../model/codes.ts';
import { zxidHex } from '../../model/zxid.ts';
import type { SessionState } from '../../node/api.ts';
import type { CommittedHistory, Entry } from './committed.ts';
import type { Handle } from './handle.ts';
import { type Call, describeCall } from './history.ts';
import { ClientLife } from './place.ts';
import type { Complain } from './reference.ts';

/** Bounds that hold once the ensemble is calm: a stable leader, no faults, clocks at true speed. Simulated ms. */
export interface Bounds {
  /** A call on a node that lives is answered within this. */
  readonly answer: number;
  /** Beyond its timeout a session without a process lives no longer than this. */
  readonly expiry: number;
  /** The leader knows within this that a session lives whose process serves, and cannot expire it any more, whatever its timeout. */
  readonly alive: number;
}

/**
 * Whether sessions end when they should and not before. That their ephemerals are there just as long, the comparison of trees with the committed history tells.
 */
export class SessionChecks {
  readonly #committed: CommittedHistory;
  readonly #complain: Complain;
  readonly #now: () => number;
  readonly #bounds: Bounds;
  readonly #handles = new Map<string, Handle[]>();
  /** Since when nobody has had the session; not there while somebody has. */
  readonly #freeSince = new Map<string, number>();
  #calmSince = Number.POSITIVE_INFINITY;
  expired = 0;

  constructor(committed: CommittedHistory, complain: Complain, now: () => number, bounds: Bounds) {
    this.#committed = committed;
    this.#complain = complain;
    this.#now = now;
    this.#bounds = bounds;
  }

  calm(since: number): void {
    this.#calmSince = since;
  }

  get calmSince(): number {
    return this.#calmSince;
  }

  opened(handle: Handle): void {
    const handles = this.#handles.get(handle.key);
    if (handles === undefined) this.#handles.set(handle.key, [handle]);
    else handles.push(handle);
    this.#freeSince.delete(handle.key);
    this.#mustBeOpen(handle);
  }

  /** A node that shows the end of a session can't have got the leader's word, given behind that end, that the session lives. */
  #mustBeOpen({ key, node, state, isHeld, name }: Handle): void {
    const closed = this.#committed.reference.sessions.get(key)?.closed ?? Number.POSITIVE_INFINITY;
    // Over the wire the word was given some time ago.
    if (node === null || !isHeld || state !== 'connected' || closed > (node.position ?? 0)) return;
    this.#complain('SessionExpiry', `${name} goes on, although it is closed`);
  }

  settled(handle: Handle, call: Call, calls: readonly Call[]): void {
    if (call.code === 'SESSION_MOVED') this.#saidMoved(handle, call, calls);
    else if (call.outcome === 'ok' && call.parts.length > 0) this.#wrote(handle, call);
  }

  /**
   * Somebody else must have the session by then, or have asked for it. A word of one that is dead may still be on its way and take the session: so this is asked only
   * of sessions that were taken over in calm, from somebody who was gone before.
   */
  #saidMoved(handle: Handle, call: Call, calls: readonly Call[]): void {
    const { key, openedBy, askedAt } = handle;
    const since = this.#calmSince + this.#bounds.alive;
    if (askedAt < since || this.#handles.get(key)?.some((other) => other !== handle && (other.isHeld || other.heldUntil > since))) return;
    const asks = ({ kind, session, number, returnedAt }: Call): boolean =>
      kind === 'resume' && session === key && number !== openedBy && returnedAt >= askedAt;
    if (!calls.some(asks)) this.#complain('SessionMoved', `${describeCall(call)}: nobody else has had the session`);
  }

  /** Who has lost its session to another server can't write: unless it has asked for it again since, as every server does of a new leader. */
  #wrote(handle: Handle, call: Call): void {
    for (const other of this.#handles.get(handle.key) ?? []) {
      if (other.askedAt <= handle.connectedAt || other.openedAt > call.invokedAt) continue;
      if (!other.isHeld || other.connection > 0) continue;
      this.#complain('SessionMoved', `${describeCall(call)}: ${other.name} has had the session since ${other.openedAt.toFixed(3)}`);
    }
  }

  /** The session has another id. */
  renamed(handle: Handle, before: string): void {
    this.#handles.set(
      before,
      (this.#handles.get(before) ?? []).filter((other) => other !== handle),
    );
    this.opened(handle);
  }

  /** Whether somebody has a session may have changed. */
  changed(handle: Handle): void {
    const { key } = handle;
    this.#mustBeOpen(handle);
    if (!handle.isHeld) handle.heldUntil = Math.min(handle.heldUntil, this.#now());
    const isHeld = this.#handles.get(key)?.some((other) => other.isHeld) ?? false;
    if (isHeld) this.#freeSince.delete(key);
    else if (!this.#freeSince.has(key)) this.#freeSince.set(key, this.#now());
  }

  lifeEnded(): void {
    for (const handle of [...this.#handles.values()].flat()) this.changed(handle);
  }

  /**
   * A client gives its session up when no server can have kept it, by the clock of its process: not before, and not later either. And when nothing is disturbed it loses no connection, unless somebody else has wanted
   * the session.
   */
  changedOverWire(handle: Handle, before: SessionState, calls: readonly Call[]): void {
    const { life, state, key, name } = handle;
    if (!(life instanceof ClientLife)) return;
    const calmFor = this.#now() - this.#calmSince;
    const isAlone = this.#handles.get(key)?.length === 1 && !calls.some(({ kind, session }) => kind === 'resume' && session === key);
    if (state === 'suspended' && calmFor > this.#bounds.answer && isAlone) {
      this.#complain('NoHang', `${name} has lost its connection after ${Math.round(calmFor)} ms of calm`);
    }
    const session = this.#committed.reference.sessions.get(key);
    if (state === 'suspended') {
      // A session that has begun without a quorum is none that could expire.
      handle.away = session === undefined ? null : { since: life.now(), stalled: life.stalled };
      return;
    }
    if (before !== 'suspended' || state === 'closed' || handle.away === null || session === undefined) return;
    const { timeout } = session;
    const away = life.now() - handle.away.since;
    const stalled = life.stalled - handle.away.stalled;
    // It learns of the loss when at most two thirds are over.
    if (state === 'expired' && session.closed === null && away < timeout / 3 - 1)
      this.#complain('SessionExpiry', `${name} was given up after ${away} ms without a connection (timeout ${timeout}), and is open`);
    // With an identity to prove there may have been connections in between.
    if (handle.ids.length === 0 && away - stalled > (timeout * 4) / 3 + this.#bounds.alive)
      this.#complain('SessionExpiry', `${name} had no connection for ${away} ms (timeout ${timeout}) and was not given up`);
  }

  /** Whoever wanted to go on with a session was told that it has expired: so it must have been closed by then. */
  saidExpired(call: Call): void {
    const session = this.#committed.reference.sessions.get(call.session);
    if (session !== undefined && (session.closed ?? Number.POSITIVE_INFINITY) > call.shownAfter) {
      this.#complain('SessionExpiry', `${describeCall(call)}: the session is open`);
    }
  }

  /** A node that serves asks its leader for each of its sessions, and a client looks for a server. */
  #findSuspended(): void {
    for (const handle of [...this.#handles.values()].flat()) {
      const suspendedFor = this.#now() - Math.max(this.#calmSince, handle.couldGoOnSince);
      if (!handle.isHeld || handle.state !== 'suspended' || suspendedFor <= this.#bounds.answer) continue;
      this.#complain('NoHang', `${handle.name} is suspended, though it could have gone on for ${suspendedFor} ms of calm`);
    }
  }

  committed({ txn }: Entry): void {
    const { header } = txn;
    const key = zxidHex(header.clientId);
    if (header.type === Op.createSession && !this.#handles.has(key)) this.#freeSince.set(key, this.#now());
    // A closeSession without a number is the leader's own: the session has expired (PROTOCOL 11).
    if (header.type !== Op.closeSession || header.cxid !== 0) return;
    this.expired++;
    const session = this.#committed.reference.sessions.get(key);
    for (const handle of this.#handles.get(key) ?? []) {
      if (!handle.isHeld || session === undefined) continue;
      const aliveFor = this.#now() - Math.max(this.#calmSince, handle.keptAliveSince);
      // A client may believe for most of its timeout that it has a connection.
      if (aliveFor <= this.#bounds.alive + (handle.wire === null ? 0 : session.timeout)) continue;
      const how = `whose process has kept it alive for ${Math.round(aliveFor)} ms (timeout ${session.timeout})`;
      this.#complain('SessionExpiry', `${handle.name} ${how}, was expired`);
    }
  }

  /** A server tells its clients when their session is over, by ending their connection. */
  #findClosed(): void {
    for (const handle of [...this.#handles.values()].flat()) {
      const { wire, key, name, isHeld, keptAliveSince } = handle;
      const connectedFor = this.#now() - Math.max(this.#calmSince, keptAliveSince);
      const closed = this.#committed.reference.sessions.get(key)?.closed ?? null;
      if (wire === null || !isHeld || closed === null || connectedFor <= this.#bounds.answer) continue;
      if (closed < wire.position) this.#complain('SessionExpiry', `${name} goes on, although it is closed`);
    }
  }

  finish(calls: readonly Call[]): void {
    const now = this.#now();
    this.#findClosed();
    for (const [key, session] of this.#committed.reference.sessions) {
      const freeSince = this.#freeSince.get(key);
      if (session.closed !== null || freeSince === undefined) continue;
      const deadFor = now - Math.max(freeSince, this.#calmSince, lastAskedFor(key, calls));
      if (deadFor <= session.timeout + this.#bounds.expiry) continue;
      this.#complain(
        'SessionExpiry',
        `session 0x${key} (timeout ${session.timeout}), which nobody has had for ${Math.round(deadFor)} ms of calm, is still open`,
      );
    }
    this.#findSuspended();
    for (const call of calls) {
      if (call.outcome !== 'open') continue;
      if (call.place.over) {
        call.outcome = 'dead';
        continue;
      }
      const openFor = now - Math.max(call.invokedAt, this.#calmSince);
      if (openFor > this.#bounds.answer) this.#complain('NoHang', `${describeCall(call)} waits for ${Math.round(openFor)} ms of calm`);
    }
  }
}

/** When somebody has last wanted to go on with a session, whatever became of it: the question alone is a word of life to the leader. */
function lastAskedFor(key: string, calls: readonly Call[]): number {
  let last = Number.NEGATIVE_INFINITY;
  for (const { kind, session, outcome, invokedAt, returnedAt } of calls) {
    if (kind !== 'resume' || session !== key || outcome === 'not-sent') continue;
    last = Math.max(last, Number.isFinite(returnedAt) ? returnedAt : invokedAt);
  }
  return last;
}
