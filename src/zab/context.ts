import type Long from 'long';
import type { Request, SnapshotHead, ZnodeRecord } from '../model/records.ts';
import type { EnsembleConfig } from './ensemble-config.ts';
import type { LogEntry } from './entry.ts';
import type { History } from './history.ts';
import type { SessionTouch } from './messages.ts';
import type { LinkToken, Outbox } from './outbox.ts';
import type { QuorumRules } from './quorum.ts';

/** What the replicated state must offer to the protocol. All calls are synchronous and run to their end. */
export interface StateMachine {
  /** Leader: turns a request into the transaction with this zxid. A request that fails is a transaction too. `from` is the learner's link, null for this process. */
  prepare(request: Request, zxid: Long, from: LinkToken | null): LogEntry;
  /** Leader: sessions were active on a learner. */
  touch(touches: readonly SessionTouch[]): void;
  /** Leader: is the session alive? If so it belongs to the learner behind `from` (null: to this process) from now on. */
  revalidate(sessionId: Long, timeout: number, from: LinkToken | null): boolean;
  /** The latest configuration text in the history, committed or not; null if there is none. */
  configIn(tail: Iterable<LogEntry>): string | null;
  /** Learner: whether the bytes of a proposal make sense. What does not must not get into the log. */
  readable(entry: LogEntry): boolean;
  /** Learner: sessions that were active here, for the answer to a PING. */
  touches(): readonly SessionTouch[];
  /**
   * Learner: a snapshot comes in, in these steps. It is kept aside until an `installSnapshot` effect, or the next begin, which drops it. False: what came
   * does not describe a tree.
   */
  beginSnapshot(zxid: Long): void;
  snapshotHead(head: SnapshotHead): boolean;
  snapshotNodes(nodes: readonly ZnodeRecord[]): boolean;
  endSnapshot(): boolean;
}

/** The facts and limits of a server; times in ms. What follows from its ensemble's configuration changes with it, between two roles and never within one. */
export interface ZabConfig {
  readonly id: number;
  readonly quorum: QuorumRules;
  /** Ids of all servers, observers too. */
  readonly serverIds: ReadonlySet<number>;
  readonly tickTime: number;
  readonly initTime: number;
  readonly syncTime: number;
  readonly finalizeWait: number;
  readonly ensemble: EnsembleConfig;
}

/** What every role works with. `now` is set by the driver before each step: monotonic ms. */
export interface ZabContext {
  readonly config: ZabConfig;
  readonly history: History;
  readonly out: Outbox;
  readonly app: StateMachine;
  now: number;
  /**
   * The leader has this configuration, or a transaction has made it. With other members than before the role ends, and another begins among them. Throws a ZabError with code
   * BAD_OPTIONS when this server is none of them.
   */
  adoptConfig(text: string): void;
  /** Leaves the current role for a new election; takes effect when the step ends. */
  lookAgain(reason: string): void;
  /** Whether an election link to the server is up: the quickest sign of a dead process. */
  electionLinkUp(peer: number): boolean;
}
