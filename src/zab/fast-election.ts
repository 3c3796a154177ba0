import type { ZabContext } from './context.ts';
import type { Decision, Election } from './election.ts';
import { type ElectionMessage, type Notification, PeerState, type PeerStateCode } from './messages.ts';
import type { VoterSet } from './quorum.ts';
import { compareVotes, NO_VOTE, sameLeader, sameVote, type Vote, voteOf } from './vote.ts';

const FIRST_RESEND = 200;
const LAST_RESEND = 2000;

/** A vote of a server that is not looking, as it told us. */
interface SettledVote extends Vote {
  readonly round: number;
  readonly state: PeerStateCode;
}

/**
 * Fast leader election (PROTOCOL 14.3): every looking server tells all voters the best vote it knows, in numbered rounds, and decides when a quorum of
 * its round has the same vote; or it learns from settled servers whom they follow.
 *
 * ZooKeeper waits `finalizeWait` after it has seen a quorum, for a better vote of somebody else. Here the wait ends at once when nobody is left
 * who could send one: every other voter has voted in this round or has no link to us. That takes most of the time out of a failover.
 */
export class FastElection implements Election {
  proposal: Vote;
  round: number;
  /** Votes of this round, by server. */
  readonly #votes = new Map<number, Vote>();
  /** Votes of servers that follow or lead, of any round. */
  readonly #settled = new Map<number, SettledVote>();
  #resendAt = 0;
  #resendWait = FIRST_RESEND;
  #finalizeAt = Number.POSITIVE_INFINITY;
  readonly #own: Vote;
  readonly #ctx: ZabContext;

  constructor(ctx: ZabContext, lastRound: number) {
    this.#ctx = ctx;
    this.round = lastRound + 1;
    const { config, history } = ctx;
    this.#own = config.quorum.isVoter(config.id)
      ? { leader: config.id, zxid: history.lastLogged, peerEpoch: history.reachedEpoch }
      : NO_VOTE;
    this.proposal = this.#own;
  }

  get deadline(): number {
    return Math.min(this.#resendAt, this.#finalizeAt);
  }

  start(): Decision | undefined {
    this.#broadcast();
    return this.#propose(this.#own);
  }

  message(from: number, message: ElectionMessage): Decision | undefined {
    if (message.kind !== 'notification') return undefined;
    const vote = voteOf(message);
    const { quorum } = this.#ctx.config;
    if (message.state === PeerState.LOOKING && !quorum.isVoter(from)) {
      this.#answer(from);
      return undefined;
    }
    if (vote === undefined || !quorum.isVoter(from) || !quorum.isVoter(vote.leader)) return undefined;
    if (message.state === PeerState.LOOKING) return this.#looking(from, vote, message);
    if (message.state === PeerState.OBSERVING) return undefined;
    return this.#settledVote(from, vote, message);
  }

  /** A voter whose link went down may be dead: its vote would make a quorum that no leader could gather. It is told again when the link is back. */
  linkChanged(peer: number, up: boolean): Decision | undefined {
    if (up) {
      if (!this.#votes.has(peer)) this.#sendTo(peer);
      return undefined;
    }
    this.#votes.delete(peer);
    this.#settled.delete(peer);
    return this.#tally();
  }

  tick(): Decision | undefined {
    const { now, out } = this.#ctx;
    if (now >= this.#finalizeAt) return { vote: this.proposal, round: this.round };
    if (now >= this.#resendAt) {
      this.#resendWait = Math.min(this.#resendWait * 2, LAST_RESEND);
      out.act({ kind: 'reconnectElection' });
      this.#broadcast();
    }
    return undefined;
  }

  #looking(from: number, vote: Vote, n: Notification): Decision | undefined {
    if (n.electionEpoch < this.round) {
      this.#answer(from);
      return undefined;
    }
    if (n.electionEpoch > this.round) {
      this.round = n.electionEpoch;
      this.#votes.clear();
      const better = this.#prefers(vote, this.#own) ? vote : this.#own;
      this.#votes.set(from, vote);
      return this.#propose(better, true);
    }
    this.#votes.set(from, vote);
    if (this.#prefers(vote, this.proposal)) return this.#propose(vote, true);
    // It may have begun to look after our own broadcast had reached it: without this both would wait for the next resend.
    if (this.#prefers(this.proposal, vote)) this.#answer(from);
    return this.#tally();
  }

  #settledVote(from: number, vote: Vote, n: Notification): Decision | undefined {
    this.#settled.set(from, { ...vote, round: n.electionEpoch, state: n.state });
    if (n.electionEpoch === this.round) {
      this.#votes.set(from, vote);
      const inRound = this.#supporters(this.#votes, vote, sameLeader);
      if (this.#ctx.config.quorum.isQuorum(inRound) && this.#leaderConfirmed(vote, n.electionEpoch)) return { vote, round: this.round };
      // Somebody leads in this very round and may lack just our vote.
      if (n.state === PeerState.LEADING && from === vote.leader && this.#prefers(vote, this.proposal)) return this.#propose(vote, true);
    }
    const settled = this.#supporters(this.#settled, vote, sameLeader);
    if (this.#ctx.config.quorum.isQuorum(settled) && this.#leaderConfirmed(vote, n.electionEpoch)) {
      this.round = n.electionEpoch;
      return { vote, round: this.round };
    }
    return undefined;
  }

  /** A leader is only believed in when it says itself that it leads; we ourselves may be meant only in our own round. */
  #leaderConfirmed(vote: Vote, round: number): boolean {
    if (vote.leader === this.#ctx.config.id) return round === this.round;
    return this.#settled.get(vote.leader)?.state === PeerState.LEADING;
  }

  /** A candidate without weight is worse than every other; two of them are equal, so that they don't go on telling each other. */
  #prefers(a: Vote, b: Vote): boolean {
    const { quorum } = this.#ctx.config;
    return quorum.weight(a.leader) !== 0 && (quorum.weight(b.leader) === 0 || compareVotes(a, b) > 0);
  }

  #propose(vote: Vote, tell = false): Decision | undefined {
    const { id, quorum } = this.#ctx.config;
    this.proposal = vote;
    this.#finalizeAt = Number.POSITIVE_INFINITY;
    if (quorum.isVoter(id)) this.#votes.set(id, vote);
    if (tell) this.#broadcast();
    return this.#tally();
  }

  #supporters(votes: ReadonlyMap<number, Vote>, vote: Vote, same: (a: Vote, b: Vote) => boolean): VoterSet {
    let set = 0;
    for (const [id, v] of votes) if (same(v, vote)) set |= this.#ctx.config.quorum.bit(id);
    return set;
  }

  #tally(): Decision | undefined {
    const { quorum, finalizeWait, id } = this.#ctx.config;
    if (!quorum.isQuorum(this.#supporters(this.#votes, this.proposal, sameVote))) {
      this.#finalizeAt = Number.POSITIVE_INFINITY;
      return undefined;
    }
    const open = quorum.ids.some((v) => v !== id && !this.#votes.has(v) && this.#ctx.electionLinkUp(v));
    if (!open) return { vote: this.proposal, round: this.round };
    if (this.#finalizeAt === Number.POSITIVE_INFINITY) this.#finalizeAt = this.#ctx.now + finalizeWait;
    return undefined;
  }

  #broadcast(): void {
    const { config, now } = this.#ctx;
    this.#resendAt = now + this.#resendWait;
    for (const voter of config.quorum.ids) if (voter !== config.id) this.#sendTo(voter);
  }

  /** What a server without a vote says changes nobody's mind, and everybody answers it: with an answer to that it would go on for ever. */
  #answer(peer: number): void {
    const { id, quorum } = this.#ctx.config;
    if (quorum.isVoter(id)) this.#sendTo(peer);
  }

  #sendTo(peer: number): void {
    this.#ctx.out.act({ kind: 'election', peer, message: notification(this.#ctx, PeerState.LOOKING, this.proposal, this.round) });
  }
}

/** A notification of this server (PROTOCOL 14.2). */
export function notification(ctx: ZabContext, state: PeerStateCode, vote: Vote, round: number): Notification {
  return {
    kind: 'notification',
    state,
    leader: vote.leader,
    zxid: vote.zxid,
    electionEpoch: round,
    peerEpoch: vote.peerEpoch,
    version: 2,
    config: ctx.config.ensemble.text,
  };
}
