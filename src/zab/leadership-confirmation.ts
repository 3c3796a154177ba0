import type Long from 'long';
import type { Request } from '../model/records.ts';
import { compareZxid } from '../model/zxid.ts';
import { Fifo } from '../util/fifo.ts';
import type { ZabContext } from './context.ts';
import type { LearnerHandle } from './learner-handle.ts';
import type { LinkToken } from './outbox.ts';

interface PendingSync {
  readonly request: Request;
  readonly from: LinkToken | null;
  /** Last zxid proposed when it came: it must be committed first. */
  readonly after: Long;
  /** The round of PINGs that must be answered by a quorum first. */
  readonly round: number;
}

/**
 * Heartbeats, and the answers to SYNC that rest on them. A sync is answered when everything proposed before it is committed, and a quorum has answered a PING that was sent after it
 * came: so no other leader can have been established before the request, and a deposed leader never answers (faults 1675, 2136; ZooKeeper itself answers at once).
 * One round of PINGs is under way at a time and serves all syncs that came before it started.
 */
export class LeadershipConfirmation {
  readonly #ctx: ZabContext;
  readonly #handles: ReadonlyMap<LinkToken, LearnerHandle>;
  readonly #syncs = new Fifo<PendingSync>();
  #round = 0;
  #lastProposed: Long | undefined;

  constructor(ctx: ZabContext, handles: ReadonlyMap<LinkToken, LearnerHandle>) {
    this.#ctx = ctx;
    this.#handles = handles;
  }

  heartbeat(lastProposed: Long): void {
    this.#lastProposed = lastProposed;
    this.#round++;
    for (const h of this.#handles.values()) if (h.phase === 'active') h.ping(lastProposed, this.#round);
  }

  sync(request: Request, from: LinkToken | null, lastProposed: Long): void {
    const idle = this.#syncs.length === 0;
    if (from !== null) this.#handles.get(from)?.synchronising(lastProposed);
    this.#syncs.push({ request, from, after: lastProposed, round: this.#round + 1 });
    if (idle) this.heartbeat(lastProposed);
    this.answer();
  }

  /** Answers every sync that may be answered by now, in the order they came. */
  answer(): void {
    for (let sync = this.#syncs.peek(); sync !== undefined; sync = this.#syncs.peek()) {
      if (this.#round < sync.round && this.#confirmed(this.#round)) this.heartbeat(this.#lastProposed ?? sync.after);
      if (compareZxid(this.#ctx.history.lastCommitted, sync.after) < 0 && !this.#nothingProposed(sync.after)) return;
      if (!this.#confirmed(sync.round)) return;
      this.#syncs.shift();
      if (sync.from === null) this.#ctx.out.act({ kind: 'synced', request: sync.request });
      else this.#handles.get(sync.from)?.synchronised();
    }
  }

  /** The start of an epoch (counter 0) is no transaction: nothing has to be committed for it. */
  #nothingProposed(after: Long): boolean {
    return after.low === 0;
  }

  #confirmed(round: number): boolean {
    if (round > this.#round) return false;
    const { quorum, id } = this.#ctx.config;
    let set = quorum.bit(id);
    for (const h of this.#handles.values()) if (h.confirmedRound >= round) set |= h.bit;
    return quorum.isQuorum(set);
  }
}
