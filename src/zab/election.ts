import type { ElectionMessage } from './messages.ts';
import type { Vote } from './vote.ts';

/** How an election ended: the vote that has a quorum, and the round it belongs to (0 where the algorithm has none). */
export interface Decision {
  readonly vote: Vote;
  readonly round: number;
}

/**
 * One election, made when a server begins to look for a leader and dropped at its end. Every method is a step: it writes to the outbox and returns the decision
 * when there is one.
 */
export interface Election {
  start(): Decision | undefined;
  message(from: number, message: ElectionMessage): Decision | undefined;
  linkChanged(peer: number, up: boolean): Decision | undefined;
  tick(): Decision | undefined;
  /** When `tick` wants to be called, monotonic ms. */
  readonly deadline: number;
  /** What this server would vote for now: the answer to others that look. */
  readonly proposal: Vote;
  readonly round: number;
}
