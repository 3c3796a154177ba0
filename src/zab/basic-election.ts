import type Long from 'long';
import { compareZxid, makeZxid, maxZxid } from '../model/zxid.ts';
import type { ZabContext } from './context.ts';
import type { Decision, Election } from './election.ts';
import type { History } from './history.ts';
import type { ElectionMessage } from './messages.ts';
import { NO_VOTE, type Vote } from './vote.ts';

/** How long a round of questions waits for answers, ms. */
const ANSWER_WAIT = 200;
/** How long to wait between two rounds, ms: it doubles from the first to the second value. */
const FIRST_PAUSE = 8;
const LAST_PAUSE = 128;

/**
 * What a server says for its last zxid: the start of the epoch that it has reached, if that is later. These messages have no field for an epoch, and
 * discovery compares epochs first: without this a server that has much of an old epoch would be elected and refused for ever.
 */
export function claimOf(history: History): Long {
  return maxZxid(history.lastLogged, makeZxid(history.reachedEpoch, 0));
}

/**
 * The basic, Paxos-style election of ZooKeeper's `electionAlg=0` (PROTOCOL 14.5): ask every voter for its vote, count, take over the best one, and
 * ask again until one vote has a quorum. A pull protocol: no rounds or epochs in its messages; discovery refuses a leader that is behind.
 *
 * Two departures: answers come over the election connection instead of UDP, and a round ends as soon as everybody who has a link has answered; the pause between
 * rounds begins with a few ms, since the others hear of the loss at about the same time, and grows; a share of it depends on the id. ZooKeeper waits a second.
 */
export class BasicElection implements Election {
  proposal: Vote;
  readonly round = 0;
  deadline = 0;
  #xid = 0;
  #asking = false;
  #pause = FIRST_PAUSE;
  readonly #answers = new Map<number, { leader: number; zxid: Long }>();
  readonly #own: Vote;
  readonly #ctx: ZabContext;

  constructor(ctx: ZabContext, nonce: number) {
    this.#ctx = ctx;
    this.#xid = nonce & 0x7fffffff;
    const { config, history } = ctx;
    this.#own = config.quorum.isVoter(config.id) ? { leader: config.id, zxid: claimOf(history), peerEpoch: history.reachedEpoch } : NO_VOTE;
    this.proposal = this.#own;
  }

  start(): Decision | undefined {
    return this.#ask();
  }

  message(from: number, message: ElectionMessage): Decision | undefined {
    if (message.kind !== 'voteResponse' || message.xid !== this.#xid || !this.#asking) return undefined;
    if (message.id !== from || !this.#ctx.config.quorum.isVoter(from)) return undefined;
    this.#answers.set(from, message);
    return this.#allAnswered() ? this.#count() : undefined;
  }

  linkChanged(peer: number, up: boolean): Decision | undefined {
    if (up) {
      if (this.#asking) this.#askOne(peer);
      return undefined;
    }
    this.#answers.delete(peer);
    return this.#asking && this.#allAnswered() ? this.#count() : undefined;
  }

  tick(): Decision | undefined {
    if (this.#ctx.now < this.deadline) return undefined;
    return this.#asking ? this.#count() : this.#ask();
  }

  #ask(): Decision | undefined {
    const { config, out, now } = this.#ctx;
    this.#xid = (this.#xid + 1) & 0x7fffffff;
    this.#answers.clear();
    this.#asking = true;
    this.deadline = now + ANSWER_WAIT;
    if (config.quorum.isVoter(config.id)) this.#answers.set(config.id, this.proposal);
    for (const voter of config.quorum.ids) this.#askOne(voter);
    out.act({ kind: 'reconnectElection' });
    return config.quorum.ids.every((v) => v === config.id) ? this.#count() : undefined;
  }

  #askOne(peer: number): void {
    const { config, out } = this.#ctx;
    if (peer !== config.id && config.quorum.isVoter(peer)) {
      out.act({ kind: 'election', peer, message: { kind: 'voteRequest', xid: this.#xid } });
    }
  }

  #allAnswered(): boolean {
    return this.#ctx.config.quorum.ids.every((v) => this.#answers.has(v) || !this.#ctx.electionLinkUp(v));
  }

  #count(): Decision | undefined {
    const { config, now } = this.#ctx;
    this.#asking = false;
    this.deadline = now + this.#pause * (1 + (config.id % 8) / 8);
    this.#pause = Math.min(2 * this.#pause, LAST_PAUSE);
    // A candidate that was not heard from itself may be dead; each one counts with the highest zxid that anybody reported for it.
    const zxids = new Map<number, Long>();
    for (const { leader, zxid } of this.#answers.values()) {
      if (this.#answers.has(leader)) zxids.set(leader, maxZxid(zxids.get(leader) ?? zxid, zxid));
    }
    let best: number | undefined;
    let winner: number | undefined;
    let mostVotes = 0;
    for (const [leader, zxid] of zxids) {
      if (config.quorum.weight(leader) === 0) continue;
      if (best === undefined || (compareZxid(zxid, zxids.get(best) as Long) || leader - best) > 0) best = leader;
      let supporters = 0;
      let votes = 0;
      for (const [id, answer] of this.#answers) {
        if (answer.leader !== leader) continue;
        supporters |= config.quorum.bit(id);
        votes++;
      }
      if (votes > mostVotes && config.quorum.isQuorum(supporters)) {
        mostVotes = votes;
        winner = leader;
      }
    }
    if (winner !== undefined)
      return { vote: { leader: winner, zxid: zxids.get(winner) as Long, peerEpoch: this.#own.peerEpoch }, round: 0 };
    this.proposal = best === undefined ? this.#own : { leader: best, zxid: zxids.get(best) as Long, peerEpoch: this.#own.peerEpoch };
    return undefined;
  }
}
