import type Long from 'long';
import { compareZxid, epochOf, followsInHistory, formatZxid, ZXID_NONE, zxidEquals } from '../model/zxid.ts';
import { assert, InvariantError } from '../util/assert.ts';
import { Fifo } from '../util/fifo.ts';
import type { LogEntry } from './entry.ts';

/**
 * What this server's log holds, as the protocol sees it. Positions, in this order at all times:
 *
 *     recent: the last few committed entries | lastCommitted | tail: logged, not known to be committed | lastLogged
 *
 * `tail` outlives a role: what was logged and not committed when a role ended stays here and in the log, unapplied, until the next synchronisation decides
 * (fault 2845). The epochs change only after the disk has them (faults 2307, 4269).
 */
export class History {
  acceptedEpoch = 0;
  currentEpoch = 0;
  lastLogged: Long = ZXID_NONE;
  lastCommitted: Long = ZXID_NONE;
  /** The latest epoch that a learner of ours had accepted before it came: what we lead next is later, so that one election is enough for it. */
  heardEpoch = 0;
  /** The next leader must send a snapshot: the last one wanted a truncation to a point that is not known here. */
  wantsSnapshot = false;
  readonly tail = new Fifo<LogEntry>();
  readonly #recent = new Fifo<LogEntry>();
  /** zxid just before the first of `recent`: what a learner may have at least to be served from memory. */
  #recentBase: Long = ZXID_NONE;
  #promisedEpoch = 0;

  constructor(readonly recentLimit: number) {}

  /** Starts from a recovered store, whose whole log has been applied. */
  reset(lastZxid: Long): void {
    this.lastLogged = lastZxid;
    this.lastCommitted = lastZxid;
    this.tail.clear();
    this.#recent.clear();
    this.#recentBase = lastZxid;
  }

  /** An entry that recovery has applied: kept for learners that are a little behind. */
  recovered(entry: LogEntry): void {
    this.lastLogged = entry.zxid;
    this.lastCommitted = entry.zxid;
    this.#remember(entry);
  }

  /** The highest epoch that this server has accepted or is about to: the write may still be under way, perhaps for a role that has ended. */
  get promisedEpoch(): number {
    return Math.max(this.acceptedEpoch, this.#promisedEpoch);
  }

  promise(epoch: number): void {
    this.#promisedEpoch = epoch;
  }

  /**
   * The epoch whose history this server has: `currentEpoch`, or later if it has an entry of a later one. Such an entry comes behind the whole history that its
   * leader began with, so who has it has that; a restart draws the same conclusion.
   */
  get reachedEpoch(): number {
    return Math.max(this.currentEpoch, epochOf(this.lastLogged));
  }

  /** A gap is refused, on receive as on append (fault 2846, 4925). */
  canAppend(entry: LogEntry): boolean {
    return followsInHistory(this.lastLogged, entry.zxid);
  }

  append(entry: LogEntry): void {
    if (!this.canAppend(entry)) throw new InvariantError(`log gap: ${formatZxid(entry.zxid)} after ${formatZxid(this.lastLogged)}`);
    this.tail.push(entry);
    this.lastLogged = entry.zxid;
  }

  /** Moves the first entry of the tail over the commit line and returns it. */
  commitNext(): LogEntry {
    const entry = this.tail.shift();
    assert(entry !== undefined, 'commit without a logged entry');
    if (compareZxid(entry.zxid, this.lastCommitted) <= 0) {
      throw new InvariantError(`commit order: ${formatZxid(entry.zxid)} after ${formatZxid(this.lastCommitted)}`);
    }
    this.lastCommitted = entry.zxid;
    this.#remember(entry);
    return entry;
  }

  /** Drops the tail after `zxid`. The caller has checked that `zxid` is not before the commit line. */
  truncate(zxid: Long): void {
    assert(compareZxid(zxid, this.lastCommitted) >= 0, `truncation to ${formatZxid(zxid)} below what is applied`);
    let keep = 0;
    while (keep < this.tail.length && compareZxid(this.tail.at(keep).zxid, zxid) <= 0) keep++;
    this.tail.truncate(keep);
    this.lastLogged = keep === 0 ? this.lastCommitted : this.tail.at(keep - 1).zxid;
    assert(zxidEquals(this.lastLogged, zxid), `truncation point ${formatZxid(zxid)} is not in the log`);
  }

  /** zxid just before the oldest entry that {@link entriesAfter} can give. */
  get oldestKnown(): Long {
    return this.#recentBase;
  }

  /** Whether `zxid` is a position in what is kept in memory: an entry, or the base right before the first. */
  knows(zxid: Long): boolean {
    if (zxidEquals(zxid, this.#recentBase)) return true;
    for (const list of [this.#recent, this.tail]) {
      const at = firstAfter(list, zxid) - 1;
      if (at >= 0 && zxidEquals(list.at(at).zxid, zxid)) return true;
    }
    return false;
  }

  /** Entries kept in memory with `after` < zxid <= `upTo`, in order. */
  entriesAfter(after: Long, upTo: Long): LogEntry[] {
    const out: LogEntry[] = [];
    for (const list of [this.#recent, this.tail]) {
      for (let i = firstAfter(list, after); i < list.length; i++) {
        const entry = list.at(i);
        if (compareZxid(entry.zxid, upTo) > 0) return out;
        out.push(entry);
      }
    }
    return out;
  }

  #remember(entry: LogEntry): void {
    this.#recent.push(entry);
    if (this.#recent.length > this.recentLimit) this.#recentBase = (this.#recent.shift() as LogEntry).zxid;
  }
}

/** Index of the first entry with a zxid above `zxid`. */
function firstAfter(list: Fifo<LogEntry>, zxid: Long): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const mid = (low + high) >>> 1;
    if (compareZxid(list.at(mid).zxid, zxid) <= 0) low = mid + 1;
    else high = mid;
  }
  return low;
}
