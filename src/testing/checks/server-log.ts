import { Fifo } from '../../util/fifo.ts';
import { holds, type Proposal } from './proposal.ts';

/** What a store was asked for and has not called durable yet, in the order asked for. `to` is where the log ends after it. */
interface Handed {
  readonly kind: 'append' | 'truncate' | 'install';
  readonly to: Proposal;
}

/** The history on one server's disk, by its store's word: what is called durable, and what is on its way there. */
export class ServerLog {
  /** What is durable, by depth. The first is the origin. */
  readonly entries: Proposal[];
  readonly handed = new Fifo<Handed>();
  /** A process has begun and has not read its store yet. */
  recovering = false;
  /** Nothing is known of this disk yet: no process has read it. */
  unread = true;

  constructor(origin: Proposal) {
    this.entries = [origin];
  }

  get last(): Proposal {
    return this.entries[this.entries.length - 1];
  }

  /** Where the log ends when all that was asked for is done. */
  get end(): Proposal {
    const { handed } = this;
    return handed.length === 0 ? this.last : handed.at(handed.length - 1).to;
  }

  /** Whether the entry, and so all before it, is durable. */
  has(proposal: Proposal): boolean {
    return this.entries[proposal.depth] === proposal;
  }

  /** How many durable entries a history that ends at `last` has not; 0 while something else than entries is on its way. */
  missingAfter(last: Proposal): number {
    for (const { kind } of this.handed) if (kind !== 'append') return 0;
    let common: Proposal | null = last;
    while (common !== null && !this.has(common)) common = common.parent;
    return this.last.depth - (common?.depth ?? 0);
  }

  /** The durable history ends at `last` now. Takes as long as there are entries that are new in it. */
  become(last: Proposal): void {
    const { entries } = this;
    entries.length = last.depth + 1;
    for (let at: Proposal | null = last; at !== null && entries[at.depth] !== at; at = at.parent) entries[at.depth] = at;
  }

  /**
   * Whether a store that keeps its word may come back like this after a crash: it carries out what it is asked for in order, so some first part of that may be done; a truncation may be
   * done in part, a snapshot is there or is not.
   */
  mayComeBackAs(last: Proposal): boolean {
    let at = this.last;
    if (last === at) return true;
    for (const { kind, to } of this.handed) {
      if (to === last || (kind === 'truncate' && holds(at, last) && holds(last, to))) return true;
      at = to;
    }
    return false;
  }
}
