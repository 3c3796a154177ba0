import type Long from 'long';
import { compareZxid, ZXID_NONE } from '../model/zxid.ts';
import { Fifo } from '../util/fifo.ts';
import type { LogEntry } from './entry.ts';
import { type EntryMessage, Packet, type QuorumMessage, type ZxidMessage } from './messages.ts';
import type { LinkToken, Outbox } from './outbox.ts';
import type { VoterSet } from './quorum.ts';

/**
 * How far a learner has come. Only forward, one step at a time:
 *
 *     connected -> known -> epochAcked -> syncing -> newLeaderSent -> newLeaderAcked -> active
 *      (link)  FOLLOWERINFO   ACKEPOCH    DIFF/TRUNC/SNAP  NEWLEADER         ACK        UPTODATE
 */
export type LearnerPhase = 'connected' | 'known' | 'epochAcked' | 'syncing' | 'newLeaderSent' | 'newLeaderAcked' | 'active';

/** What a message that waits takes beside its entry, bytes. */
const MESSAGE_OVERHEAD = 100;

const sizeOf = (message: QuorumMessage): number => MESSAGE_OVERHEAD + ('entry' in message ? message.entry.bytes.length : 0);

/** COMMIT or INFORM. */
type CommitMessage = ZxidMessage | EntryMessage;

const zxidOf = (message: CommitMessage): Long => ('entry' in message ? message.entry.zxid : message.zxid);

/** The leader's view of one learner: its progress, its liveness and what must wait before it may be sent. */
export class LearnerHandle {
  phase: LearnerPhase = 'connected';
  serverId = 0;
  isParticipant = false;
  /** Its bit in voter sets; 0 for an observer, which so never counts (fault 2959). */
  bit: VoterSet = 0;
  acceptedEpoch = 0;
  /** From ACKEPOCH. */
  currentEpoch = -1;
  lastZxid: Long = ZXID_NONE;
  /** Highest zxid that it has acknowledged. */
  acked: Long = ZXID_NONE;
  /** Counter in this epoch up to which `acked` has been counted. */
  counted = 0;
  /** While the log is read for it: where its sync ends, and the part that memory gives. */
  logSync: { readonly upTo: Long; readonly memory: readonly LogEntry[] } | null = null;
  /** When it must have come further (until active) or been heard from (when active), monotonic ms. */
  deadline: number;
  lastHeard: number;
  /** Live messages that wait for the end of a snapshot stream or a log read; null when they may go straight out. */
  #backlog: QuorumMessage[] | null = null;
  /** About how many bytes wait here: with what the link itself holds, the memory that this learner costs. */
  waitingBytes = 0;
  /** COMMITs between NEWLEADER and UPTODATE: a 3.8.0 follower breaks on them (PROTOCOL 19, fault 4394), so they wait for UPTODATE. */
  #heldCommits: QuorumMessage[] = [];
  /** For each SYNC of its that has no answer yet, in order, the last zxid that was proposed when it came. */
  readonly #syncs = new Fifo<Long>();
  /** COMMITs and INFORMs that wait for the answer to a SYNC. */
  readonly #behindSync = new Fifo<CommitMessage>();
  /** The confirmation round that each PING without an answer belongs to. */
  readonly #pingRounds = new Fifo<number>();
  /** Leadership is confirmed by this learner for all rounds up to this one. */
  confirmedRound = 0;

  constructor(
    readonly link: LinkToken,
    readonly out: Outbox,
    now: number,
    patience: number,
  ) {
    this.lastHeard = now;
    this.deadline = now + patience;
  }

  /** Whether proposals and commits go to it now: from the moment its sync was planned. */
  get forwarding(): boolean {
    return this.phase === 'syncing' || this.phase === 'newLeaderSent' || this.phase === 'newLeaderAcked' || this.phase === 'active';
  }

  /** Sends a live message, in order behind whatever must come first. */
  forward(message: QuorumMessage): void {
    if (this.#backlog === null) return this.out.send(this.link, message);
    this.#backlog.push(message);
    this.waitingBytes += sizeOf(message);
  }

  forwardCommit(message: CommitMessage): void {
    if (this.phase === 'newLeaderSent' || this.phase === 'newLeaderAcked') this.#heldCommits.push(message);
    else if (this.#isBehindSync(message)) {
      this.#behindSync.push(message);
      this.waitingBytes += sizeOf(message);
    } else this.forward(message);
  }

  /** It has sent a SYNC. */
  synchronising(lastProposed: Long): void {
    this.#syncs.push(lastProposed);
  }

  /** Answers its oldest SYNC, and commits what has waited for that. */
  synchronised(): void {
    this.#syncs.shift();
    this.forward({ type: Packet.SYNC, zxid: ZXID_NONE });
    for (let head = this.#behindSync.peek(); head !== undefined && !this.#isBehindSync(head); head = this.#behindSync.peek()) {
      this.#behindSync.shift();
      this.waitingBytes -= sizeOf(head);
      this.forward(head);
    }
  }

  /**
   * What was proposed after a SYNC of this learner is committed to it after the answer: a ZooKeeper server takes the answers to what it forwards in the order in which it has forwarded it,
   * and would tell no client of a write any more if a commit overtook a sync (seen with 3.8.0).
   */
  #isBehindSync(message: CommitMessage): boolean {
    const lastProposed = this.#syncs.peek();
    return lastProposed !== undefined && compareZxid(zxidOf(message), lastProposed) > 0;
  }

  /** Live messages wait from here on. */
  hold(): void {
    this.#backlog = [];
  }

  /** The stream is over: what waited goes out. */
  release(): void {
    const waiting = this.#backlog ?? [];
    this.#backlog = null;
    this.waitingBytes = 0;
    for (const message of waiting) this.out.send(this.link, message);
  }

  /** UPTODATE has been sent. */
  activate(): void {
    this.phase = 'active';
    for (const message of this.#heldCommits) this.out.send(this.link, message);
    this.#heldCommits = [];
  }

  ping(zxid: Long, round: number): void {
    this.#pingRounds.push(round);
    this.out.send(this.link, { type: 5, zxid, touches: null });
  }

  pong(): void {
    this.confirmedRound = this.#pingRounds.shift() ?? this.confirmedRound;
  }
}
