import { Op } from '../../model/codes.ts';
import { zxidHex } from '../../model/zxid.ts';
import type { CommittedHistory, Entry } from './committed.ts';
import type { Handle } from './handle.ts';
import { type Call, describeCall } from './history.ts';
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
  }

  /** Whether somebody has a session may have changed. */
  changed(handle: Handle): void {
    const { key } = handle;
    const isHeld = this.#handles.get(key)?.some((other) => other.isHeld) ?? false;
    if (isHeld) this.#freeSince.delete(key);
    else if (!this.#freeSince.has(key)) this.#freeSince.set(key, this.#now());
  }

  lifeEnded(): void {
    for (const handles of this.#handles.values()) this.changed(handles[0]);
  }

  /** Whoever wanted to go on with a session was told that it has expired: so it must have been closed by then. */
  saidExpired(call: Call): void {
    const session = this.#committed.reference.sessions.get(call.session);
    if (session !== undefined && (session.closed ?? Number.POSITIVE_INFINITY) > call.shownAfter) {
      this.#complain('SessionExpiry', `${describeCall(call)}: the session is open`);
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
      const { life, openedAt } = handle;
      if (!handle.isHeld || !life.serving || session === undefined) continue;
      const aliveFor = this.#now() - Math.max(this.#calmSince, life.servingSince, openedAt);
      if (aliveFor <= this.#bounds.alive) continue;
      const how = `whose process has kept it alive for ${Math.round(aliveFor)} ms (timeout ${session.timeout})`;
      this.#complain('SessionExpiry', `session 0x${key} of ${handle.client} at server ${life.server}, ${how}, was expired`);
    }
  }

  finish(calls: readonly Call[]): void {
    const now = this.#now();
    for (const [key, session] of this.#committed.reference.sessions) {
      const freeSince = this.#freeSince.get(key);
      if (session.closed !== null || freeSince === undefined) continue;
      const deadFor = now - Math.max(freeSince, this.#calmSince);
      if (deadFor <= session.timeout + this.#bounds.expiry) continue;
      this.#complain(
        'SessionExpiry',
        `session 0x${key} (timeout ${session.timeout}), which nobody has had for ${Math.round(deadFor)} ms of calm, is still open`,
      );
    }
    for (const call of calls) {
      const life = this.#committed.life(call.server);
      if (call.outcome !== 'open') continue;
      if (life === undefined || life.over || life.number !== call.life) {
        call.outcome = 'dead';
        continue;
      }
      const openFor = now - Math.max(call.invokedAt, this.#calmSince);
      if (openFor > this.#bounds.answer) this.#complain('NoHang', `${describeCall(call)} waits for ${Math.round(openFor)} ms of calm`);
    }
  }
}
