import type Long from 'long';
import { compareZxid, counterOf, ZXID_NONE, zxidEquals } from '../model/zxid.ts';
import type { History } from './history.ts';

/**
 * How the leader brings a learner to `upTo`:
 * - diff: send what comes after the learner's last entry, from memory;
 * - disk: the same, but the part up to `memoryFrom` must be read from the log first; if that fails, snap;
 * - trunc: the learner has entries that nobody committed; it cuts its log to `upTo`;
 * - snap: send the whole tree.
 */
export type SyncPlan =
  | { readonly kind: 'diff'; readonly upTo: Long }
  | { readonly kind: 'disk'; readonly upTo: Long; readonly memoryFrom: Long }
  | { readonly kind: 'trunc'; readonly upTo: Long }
  | { readonly kind: 'snap'; readonly upTo: Long };

/**
 * The rule of PROTOCOL 13.2. `upTo` is the end of the leader's history at this moment, `peer` the last zxid in the learner's log. DIFF is only
 * chosen when `peer` itself is a position of the leader's history: a learner that has anything else there would keep it (fault 1154). TRUNC is
 * right for a learner beyond the leader's end: its surplus was proposed by an earlier leader and never committed. What remains gets a SNAP, which is always right.
 */
export function planSync(history: History, upTo: Long, peer: Long): SyncPlan {
  if (zxidEquals(peer, upTo)) return { kind: 'diff', upTo };
  if (compareZxid(peer, upTo) > 0) {
    // A counter of 0 is no entry but the start of an epoch: there is nothing to cut, and the history before it may differ.
    return counterOf(peer) === 0 || zxidEquals(upTo, ZXID_NONE) ? { kind: 'snap', upTo } : { kind: 'trunc', upTo };
  }
  if (history.knows(peer)) return { kind: 'diff', upTo };
  const oldest = history.oldestKnown;
  // An empty learner gets the tree: a log read from its very beginning is longer than the tree is large.
  if (zxidEquals(peer, ZXID_NONE) || compareZxid(peer, oldest) > 0) return { kind: 'snap', upTo };
  return { kind: 'disk', upTo, memoryFrom: oldest };
}
