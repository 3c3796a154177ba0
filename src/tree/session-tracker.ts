import type Long from 'long';
import { LongMap } from '../util/long-map.ts';

interface Tracked {
  readonly id: Long;
  timeout: number;
  /** End of the bucket that it is in. */
  deadline: number;
  /** Expired and reported: nothing revives it. */
  closing: boolean;
  owner: object | null;
}

/**
 * The leader's record of who is alive (PROTOCOL 11). Deadlines are rounded up to the next multiple of a tick, so that sessions expire in buckets and most
 * touches change nothing. Times are ms of one monotonic clock.
 */
export class SessionTracker {
  readonly #tick: number;
  readonly #sessions = new LongMap<Tracked>();
  readonly #buckets = new Map<number, Set<Tracked>>();

  constructor(tick: number) {
    this.#tick = tick;
  }

  get size(): number {
    return this.#sessions.size;
  }

  has(id: Long): boolean {
    return this.#sessions.has(id);
  }

  /** Starts to track a session or puts its expiry off; false when it has already been reported as expired. */
  touch(id: Long, timeout: number, now: number): boolean {
    let session = this.#sessions.get(id);
    if (session === undefined) {
      session = { id, timeout, deadline: Number.NaN, closing: false, owner: null };
      this.#sessions.set(id, session);
    }
    if (session.closing) return false;
    session.timeout = timeout;
    const deadline = (Math.floor((now + timeout) / this.#tick) + 1) * this.#tick;
    if (deadline === session.deadline) return true;
    this.#leaveBucket(session);
    session.deadline = deadline;
    const bucket = this.#buckets.get(deadline);
    if (bucket !== undefined) bucket.add(session);
    else this.#buckets.set(deadline, new Set([session]));
    return true;
  }

  /** Puts a tracked session's expiry off by the timeout that it has; false when it is not tracked or has expired. */
  renew(id: Long, now: number): boolean {
    const session = this.#sessions.get(id);
    return session !== undefined && this.touch(id, session.timeout, now);
  }

  #leaveBucket(session: Tracked): void {
    const bucket = this.#buckets.get(session.deadline);
    if (bucket?.delete(session) && bucket.size === 0) this.#buckets.delete(session.deadline);
  }

  /** Forgets a session: it has been closed. */
  remove(id: Long): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    this.#leaveBucket(session);
    this.#sessions.delete(id);
  }

  /** The sessions whose time is over, the earliest first, each reported once. They stay known, and expired, until {@link remove}. */
  expired(now: number): Long[] {
    const out: Long[] = [];
    const due = [...this.#buckets.keys()].filter((deadline) => deadline <= now).sort((a, b) => a - b);
    for (const deadline of due) {
      for (const session of this.#buckets.get(deadline) ?? []) {
        session.closing = true;
        out.push(session.id);
      }
      this.#buckets.delete(deadline);
    }
    return out;
  }

  /** The sets of sessions that expire together, and when. */
  *buckets(): Generator<{ readonly deadline: number; readonly ids: readonly Long[] }> {
    for (const [deadline, sessions] of this.#buckets) yield { deadline, ids: [...sessions].map(({ id }) => id) };
  }

  /** When {@link expired} can next have something to report; undefined when nothing is tracked. */
  nextDeadline(): number | undefined {
    let next: number | undefined;
    for (const deadline of this.#buckets.keys()) if (next === undefined || deadline < next) next = deadline;
    return next;
  }

  /** Makes `owner` (whatever stands for a server's connection) the one through which the session's requests come: it has attached there. */
  setOwner(id: Long, owner: object): void {
    const session = this.#sessions.get(id);
    if (session !== undefined) session.owner = owner;
  }

  /**
   * Whether a request that came through `owner` is good; false is SESSION MOVED (-118). The first request of a session sets its owner. A session that is not
   * tracked is not this check's business.
   */
  checkOwner(id: Long, owner: object): boolean {
    const session = this.#sessions.get(id);
    if (session === undefined) return true;
    session.owner ??= owner;
    return session.owner === owner;
  }
}
