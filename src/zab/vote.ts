import type Long from 'long';
import { compareZxid, makeZxid } from '../model/zxid.ts';
import { NON_VOTER, type Notification } from './messages.ts';

/** Who should lead, and why: the candidate's last zxid and the epoch it was last in. */
export interface Vote {
  readonly leader: number;
  readonly zxid: Long;
  readonly peerEpoch: number;
}

/** The "vote" of a server that may not vote. Every real vote is better. */
export const NO_VOTE: Vote = { leader: NON_VOTER, zxid: makeZxid(0x80000000, 0), peerEpoch: NON_VOTER };

/** The order of votes (PROTOCOL 14.3): epoch, then zxid, then server id. Positive when `a` is better. */
export function compareVotes(a: Vote, b: Vote): number {
  if (a.peerEpoch !== b.peerEpoch) return a.peerEpoch - b.peerEpoch;
  return compareZxid(a.zxid, b.zxid) || a.leader - b.leader;
}

/** Equality while a LOOKING server is involved; the round is compared by the caller. */
export const sameVote = (a: Vote, b: Vote): boolean => compareVotes(a, b) === 0;

/** Equality between settled servers: they may remember different zxids and rounds of the same election (faults 1732, 1818). */
export const sameLeader = (a: Vote, b: Vote): boolean => a.leader === b.leader && a.peerEpoch === b.peerEpoch;

/** The vote in a notification; undefined for one that says nothing (a non-voter's, or a legacy one without an epoch). */
export function voteOf(n: Notification): Vote | undefined {
  if (n.leader === NON_VOTER || n.peerEpoch === undefined) return undefined;
  return { leader: n.leader, zxid: n.zxid, peerEpoch: n.peerEpoch };
}
