import type Long from 'long';
import { epochOf, formatZxid, ZXID_NONE } from '../../model/zxid.ts';
import { LongMap } from '../../util/long-map.ts';

/**
 * A transaction that a leader has broadcast, at its place in history. In Zab a zxid is given once, by the one leader of its epoch, behind a history that it then no longer changes: so what comes before an entry is the
 * same wherever the entry is, and a log or a tree is fully named by the last entry in it.
 */
export class Proposal {
  constructor(
    readonly zxid: Long,
    /** Empty when they are not known: the history that a run began with. */
    readonly bytes: Uint8Array,
    /** What comes right before it; null for the origin. */
    readonly parent: Proposal | null,
    /** How many entries a history has that ends here. */
    readonly depth: number,
  ) {}

  get epoch(): number {
    return epochOf(this.zxid);
  }

  toString(): string {
    return formatZxid(this.zxid);
  }
}

/** The entry of a history of `depth` entries that ends at `end`, which must be at least as long. */
export function entryAt(end: Proposal, depth: number): Proposal {
  let at = end;
  while (at.depth > depth && at.parent !== null) at = at.parent;
  return at;
}

/** Whether the history that ends at `end` holds `entry`. Takes as long as there are entries between the two. */
export const holds = (end: Proposal, entry: Proposal): boolean => entry.depth <= end.depth && entryAt(end, entry.depth) === entry;

/** Every transaction ever broadcast. */
export class Proposals {
  /** Stands before the first entry of all: the empty history. */
  readonly origin = new Proposal(ZXID_NONE, new Uint8Array(0), null, 0);
  readonly #byZxid = new LongMap<Proposal>();

  constructor() {
    this.#byZxid.set(ZXID_NONE, this.origin);
  }

  find(zxid: Long): Proposal | undefined {
    return this.#byZxid.get(zxid);
  }

  add(zxid: Long, bytes: Uint8Array, parent: Proposal): Proposal {
    const proposal = new Proposal(zxid, bytes, parent, parent.depth + 1);
    this.#byZxid.set(zxid, proposal);
    return proposal;
  }
}

/** Whether both are the same bytes, as far as they are known. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b || a.length === 0) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
