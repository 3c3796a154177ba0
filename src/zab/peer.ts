import type Long from 'long';
import { ZabError } from '../model/errors.ts';
import type { Request } from '../model/records.ts';
import { BasicElection, claimOf } from './basic-election.ts';
import type { StateMachine, ZabConfig, ZabContext } from './context.ts';
import type { Decision, Election } from './election.ts';
import { describeConfig, type EnsembleConfig } from './ensemble-config.ts';
import type { LogEntry } from './entry.ts';
import { FastElection, notification } from './fast-election.ts';
import type { History } from './history.ts';
import { Leader } from './leader.ts';
import { Follower, type Learner, Observer } from './learner.ts';
import type { LearnerHandle } from './learner-handle.ts';
import { type ElectionMessage, type Notification, PeerState, type QuorumMessage } from './messages.ts';
import type { LinkToken, Outbox } from './outbox.ts';
import { compareVotes, NO_VOTE, type Vote, voteOf } from './vote.ts';

/** Links that came in before this server knew that it leads, and what they brought; more than this from one is no learner's behaviour. */
const EARLY_MESSAGES = 8;
/** As many of them are kept; with more, the oldest is closed. */
const EARLY_LINKS = 256;
const NO_LEARNERS: ReadonlyMap<LinkToken, LearnerHandle> = new Map();

interface EarlyLink {
  readonly messages: QuorumMessage[];
  /** When it is closed: a learner waits no longer than initLimit either. Monotonic ms. */
  readonly until: number;
}

type Role = { kind: 'looking'; election: Election } | { kind: 'stopped' } | Leader | Learner;

/**
 * One server in the protocol: the role it is in and what outlives a role (history, round, last vote). Every method is a step: it runs to its end without
 * I/O and leaves in the outbox what has to be done. A role is made when it begins and dropped at its end.
 */
export class Peer implements ZabContext {
  now = 0;
  #role: Role = { kind: 'stopped' };
  #vote: Vote = NO_VOTE;
  #round = 0;
  #leaveBecause: string | null = null;
  /** Leaves it for a place among other members. */
  #isMoving = false;
  /** In the order in which they came. */
  readonly #early = new Map<LinkToken, EarlyLink>();
  readonly #upLinks = new Set<number>();
  /** The last configuration with other members of which was warned. */
  #foreignConfig: string | undefined;
  /** Who looked for a leader while we had none to name or none that was established: they hear of it as soon as we serve, not at their next resend. */
  readonly #lookers = new Set<number>();

  constructor(
    readonly config: ZabConfig,
    readonly history: History,
    readonly out: Outbox,
    readonly app: StateMachine,
    readonly algorithm: 'fast' | 'basic',
    readonly nonce: number,
  ) {}

  // ---- what the driver reads after a step ----

  get kind(): Role['kind'] {
    return this.#role.kind;
  }

  get serving(): boolean {
    const role = this.#role;
    return role.kind !== 'looking' && role.kind !== 'stopped' && role.serving;
  }

  get leaderId(): number | undefined {
    const role = this.#role;
    return role.kind !== 'looking' && role.kind !== 'stopped' ? role.leaderId : undefined;
  }

  /** Epoch of the current role, or the last one this server took part in. */
  get epoch(): number {
    const role = this.#role;
    return role.kind !== 'looking' && role.kind !== 'stopped' && role.serving ? role.epoch : this.history.currentEpoch;
  }

  /** When `tick` wants to be called, monotonic ms. */
  get deadline(): number {
    const role = this.#role;
    if (role.kind === 'stopped') return Number.POSITIVE_INFINITY;
    if (role.kind !== 'looking') return role.deadline;
    const [oldest] = this.#early.values();
    return oldest === undefined ? role.election.deadline : Math.min(role.election.deadline, oldest.until);
  }

  // ---- ZabContext ----

  lookAgain(reason: string): void {
    this.#leaveBecause ??= reason;
  }

  adoptConfig(text: string): void {
    const what = this.#learnConfig(text);
    if (what === 'changed') this.#changeMembers(text);
    if (what !== 'foreign') return;
    const reason = `the ensemble has been reconfigured, and server ${this.config.id} does not belong to it any more`;
    throw new ZabError('BAD_OPTIONS', `option servers: ${reason}: ${describeConfig(text)}`);
  }

  electionLinkUp(peer: number): boolean {
    return this.#upLinks.has(peer);
  }

  // ---- steps ----

  /** A transaction that was applied has made this the configuration. */
  reconfigured(text: string): void {
    this.adoptConfig(text);
    this.#settle();
  }

  /** Serving has begun. What a leader has found in its history is committed with it. */
  began(): void {
    const { pending } = this.config.ensemble;
    if (this.#role.kind === 'leading' && pending !== null) this.reconfigured(pending);
  }

  start(): void {
    this.#look();
    this.#settle();
  }

  /** Ends the role, and all links; {@link start} begins anew. */
  stop(): void {
    this.#endRole();
    for (const link of this.#early.keys()) this.out.closeLink(link, 'stopped');
    this.#early.clear();
    this.#upLinks.clear();
    this.#lookers.clear();
    this.#leaveBecause = null;
    this.#isMoving = false;
    this.#role = { kind: 'stopped' };
  }

  tick(): void {
    const role = this.#role;
    if (role.kind === 'looking') {
      this.#closeLateEarly();
      this.#decide(role.election.tick());
    } else if (role.kind !== 'stopped') role.tick();
    this.#settle();
  }

  electionMessage(from: number, message: ElectionMessage): void {
    if (from === this.config.id || !this.config.serverIds.has(from)) return;
    const role = this.#role;
    if (message.kind === 'notification' && message.config !== null) {
      const what = this.#learnConfig(message.config);
      if (what === 'changed' && role.kind === 'looking') {
        this.#changeMembers(message.config);
        return this.#settle();
      }
      // By rules that are out of date nothing is decided with whoever knows newer ones.
      if (what === 'changed' || what === 'foreign') return this.#warnOfConfig(from, message.config);
    }
    if (message.kind === 'voteRequest') this.#answerVoteRequest(from, message.xid);
    else if (role.kind === 'looking') this.#decide(role.election.message(from, message));
    else if (role.kind !== 'stopped' && message.kind === 'notification' && message.state === PeerState.LOOKING) {
      if (!role.serving && this.#overtakes(from, message)) role.overtaken(from);
      if (this.#leaveBecause === null) this.#tellVote(from);
    }
    if (message.kind === 'notification' && message.state === PeerState.LOOKING && !this.serving) this.#lookers.add(from);
    this.#settle();
  }

  electionLink(peer: number, up: boolean): void {
    if (up) this.#upLinks.add(peer);
    else this.#upLinks.delete(peer);
    const role = this.#role;
    if (role.kind === 'looking') this.#decide(role.election.linkChanged(peer, up));
    else if (!up && (role.kind === 'following' || role.kind === 'observing')) role.electionLinkDown(peer);
    this.#settle();
  }

  /** A learner has connected to our quorum port. While looking it waits: it may know before us that we lead. */
  incoming(link: LinkToken): void {
    const role = this.#role;
    if (role.kind === 'leading') role.incoming(link);
    else if (role.kind === 'looking') this.#keepEarly(link);
    else this.out.closeLink(link, 'this server does not lead');
    this.#settle();
  }

  /** The link for the last `dial` effect. */
  dialled(link: LinkToken): void {
    const role = this.#role;
    if (role.kind === 'following' || role.kind === 'observing') role.dialled(link);
    else this.out.closeLink(link, 'no longer needed');
  }

  message(link: LinkToken, message: QuorumMessage): void {
    const role = this.#role;
    if (role.kind === 'leading' || role.kind === 'following' || role.kind === 'observing') role.message(link, message);
    else this.#earlyMessage(link, message);
    if (this.#lookers.size !== 0) this.#tellLookers();
    if (this.#leaveBecause !== null) this.#settle();
  }

  linkClosed(link: LinkToken, reason: string): void {
    this.#early.delete(link);
    const role = this.#role;
    if (role.kind === 'leading') role.closed(link);
    else if (role.kind === 'following' || role.kind === 'observing') role.closed(link, reason);
    this.#settle();
  }

  persisted(seq: number): void {
    if (this.#role.kind !== 'leading') return;
    this.#role.persisted(seq);
    if (this.#lookers.size !== 0) this.#tellLookers();
    this.#settle();
  }

  snapshotStreamed(link: LinkToken): void {
    if (this.#role.kind === 'leading') this.#role.snapshotStreamed(link);
  }

  streamProgress(link: LinkToken): void {
    if (this.#role.kind === 'leading') this.#role.streamProgress(link);
  }

  /** While this server leads: who has connected to learn from it. */
  get learners(): ReadonlyMap<LinkToken, LearnerHandle> {
    return this.#role.kind === 'leading' ? this.#role.learners : NO_LEARNERS;
  }

  /** Bytes that wait for the end of a learner's snapshot or log, or for the answer to its sync, beside what its link holds. */
  waitingBytes(link: LinkToken): number {
    return this.learners.get(link)?.waitingBytes ?? 0;
  }

  logRead(link: LinkToken, entries: readonly LogEntry[] | null): void {
    if (this.#role.kind === 'leading') this.#role.logRead(link, entries);
  }

  /** A write or a sync of this process. False when it can't be taken; then nothing was sent. */
  request(request: Request): boolean {
    const role = this.#role;
    if (role.kind === 'looking' || role.kind === 'stopped') return false;
    const taken = role.kind === 'leading' ? role.request(request, null) : role.request(request);
    if (this.#leaveBecause !== null) this.#settle();
    return taken;
  }

  /** Asks for a session; the leader answers itself with a `revalidated` effect. */
  revalidate(sessionId: Long, timeout: number): boolean {
    const role = this.#role;
    if (role.kind === 'looking' || role.kind === 'stopped' || !role.serving) return false;
    if (role.kind !== 'leading') return role.revalidate(sessionId, timeout);
    this.out.act({ kind: 'revalidated', sessionId, valid: role.revalidate(sessionId, timeout) });
    return true;
  }

  // ---- roles ----

  #look(): void {
    const { ensemble } = this.config;
    if (ensemble.pend(this.app.configIn(this.history.tail))) {
      const text = describeConfig(ensemble.pending ?? '');
      this.out.log('warn', `the log knows later members, so a quorum is one of both until it is known which count: ${text}`);
    }
    const election = this.algorithm === 'fast' ? new FastElection(this, this.#round) : new BasicElection(this, this.nonce + this.#round++);
    this.#role = { kind: 'looking', election };
    this.#decide(election.start());
  }

  #decide(decision: Decision | undefined): void {
    if (decision === undefined) return;
    this.#vote = decision.vote;
    this.#round = Math.max(this.#round, decision.round);
    const leaderId = decision.vote.leader;
    const early = [...this.#early];
    this.#early.clear();
    if (leaderId !== this.config.id) {
      for (const [link] of early) this.out.closeLink(link, 'this server does not lead');
      const learner = this.config.quorum.isVoter(this.config.id) ? new Follower(this, leaderId) : new Observer(this, leaderId);
      this.#role = learner;
      return learner.start();
    }
    const leader = new Leader(this);
    this.#role = leader;
    leader.start();
    for (const [link, { messages }] of early) {
      leader.incoming(link);
      for (const message of messages) leader.message(link, message);
    }
  }

  /** Carries out a wish to leave the role. A new role may have the same wish at once. */
  #settle(): void {
    while (this.#leaveBecause !== null) {
      const reason = this.#leaveBecause;
      this.#leaveBecause = null;
      if (this.#isMoving) {
        this.stop();
        return this.out.act({ kind: 'membersChanged' });
      }
      if (this.#role.kind === 'looking' || this.#role.kind === 'stopped') return;
      this.out.log('warn', `${this.#role.kind} ends: ${reason}`);
      this.#endRole();
      this.#look();
    }
  }

  #endRole(): void {
    const role = this.#role;
    if (role.kind !== 'looking' && role.kind !== 'stopped') role.stop();
  }

  #keepEarly(link: LinkToken): void {
    const [oldest] = this.#early.keys();
    if (this.#early.size >= EARLY_LINKS) {
      this.#early.delete(oldest);
      this.out.closeLink(oldest, 'too many connections while no leader is known');
    }
    this.#early.set(link, { messages: [], until: this.now + this.config.initTime });
  }

  #closeLateEarly(): void {
    for (const [link, { until }] of this.#early) {
      if (until > this.now) return;
      this.#early.delete(link);
      this.out.closeLink(link, 'no leader was found in time');
    }
  }

  #earlyMessage(link: LinkToken, message: QuorumMessage): void {
    const messages = this.#early.get(link)?.messages;
    if (messages === undefined) return;
    messages.push(message);
    if (messages.length <= EARLY_MESSAGES) return;
    this.#early.delete(link);
    this.out.closeLink(link, 'too many messages before an answer');
  }

  // ---- the configuration ----

  #learnConfig(text: string): ReturnType<EnsembleConfig['compare']> {
    const what = this.config.ensemble.compare(text);
    if (what === 'newer') this.#takeConfig(text, 'given its configuration');
    return what;
  }

  #takeConfig(text: string, how: string): void {
    this.config.ensemble.take(text);
    this.out.log('info', `the ensemble has ${how} ${describeConfig(text)}`);
    this.out.act({ kind: 'configChanged' });
  }

  /** No role goes on by the rules of another configuration: votes, acknowledgements and links are those of the members before. */
  #changeMembers(text: string): void {
    this.#takeConfig(text, 'other members now:');
    this.lookAgain('the ensemble has other members');
    this.#isMoving = true;
  }

  #warnOfConfig(from: number, text: string): void {
    if (this.#foreignConfig === text) return;
    this.#foreignConfig = text;
    this.out.log('warn', `server ${from} is not heard: it knows a newer configuration with other members: ${describeConfig(text)}`);
  }

  // ---- what others that look are told ----

  /** Whether a voter is past the election that made our role: in a later round, or with a better vote in the same one. */
  #overtakes(from: number, n: Notification): boolean {
    if (!this.config.quorum.isVoter(from) || n.electionEpoch < this.#round) return false;
    const vote = voteOf(n);
    if (n.electionEpoch > this.#round) return true;
    return vote !== undefined && this.config.quorum.weight(vote.leader) !== 0 && compareVotes(vote, this.#vote) > 0;
  }

  #tellLookers(): void {
    if (!this.serving) return;
    const lookers = [...this.#lookers];
    this.#lookers.clear();
    for (const to of lookers) this.#tellVote(to);
  }

  #tellVote(to: number): void {
    const role = this.#role;
    const state = role.kind === 'leading' ? PeerState.LEADING : role.kind === 'following' ? PeerState.FOLLOWING : PeerState.OBSERVING;
    if (role.kind === 'stopped' || role.kind === 'looking') return;
    const vote = role.serving ? { ...this.#vote, peerEpoch: role.epoch } : this.#vote;
    this.out.act({ kind: 'election', peer: to, message: notification(this, state, vote, this.#round) });
  }

  #answerVoteRequest(to: number, xid: number): void {
    const role = this.#role;
    if (role.kind === 'stopped' || role.kind === 'observing' || !this.config.quorum.isVoter(this.config.id)) return;
    // Our own leader asks: it leads no more, and we shall hear of that. Our vote would let it win at once, with followers who are about to leave it.
    const deposed = role.kind === 'following' && role.leaderId === to && role.epoch !== 0;
    const own = { leader: (deposed ? undefined : this.leaderId) ?? this.config.id, zxid: claimOf(this.history) };
    const answer = role.kind === 'looking' ? role.election.proposal : role.kind === 'leading' ? { ...own, zxid: role.lastProposed } : own;
    const { leader, zxid } = answer;
    this.out.act({ kind: 'election', peer: to, message: { kind: 'voteResponse', xid, id: this.config.id, leader, zxid } });
  }
}
