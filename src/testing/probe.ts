import type Long from 'long';
import type { Txn } from '../model/records.ts';
import type { Role } from '../node/api.ts';
import type { Recovered } from '../seams/storage.ts';
import type { ZnodeTree } from '../tree/tree.ts';
import type { LogEntry } from '../zab/entry.ts';
import type { QuorumMessage } from '../zab/messages.ts';
import type { WireDeed } from './wire-deeds.ts';

/**
 * What a simulation sees of its servers, at the seams around the protocol and from inside the process that acts: each call comes in the moment of the event, in the order of events. Whoever
 * listens must change nothing. `server` is an id; a server's calls between `booted` and `died` or `stopped` belong to one process.
 */
export interface Probe {
  /** A process begins and will recover from its disk. */
  booted(server: number): void;
  /** The process crashed; what its disk has not made durable may be gone. */
  died(server: number): void;
  /** The node is asked to stop: from now on it tells its users nothing more, though it may still apply what comes in this turn. */
  stopping(server: number): void;
  /** The node has stopped in good order, or by an error of its own, and has released everything. */
  stopped(server: number, error: Error | null): void;

  /** The store was opened and read. */
  recovered(server: number, found: Recovered): void;
  /** Handed to the store, to be made durable. */
  appending(server: number, entries: readonly LogEntry[]): void;
  /** The store is asked to remove everything after `zxid`: from here until `truncated` a crash may leave any part of that. */
  truncating(server: number, zxid: Long): void;
  /** The store is asked to replace its whole history by a snapshot of `zxid`: from here until `installed` a crash leaves the one or the other. */
  installing(server: number, zxid: Long): void;
  /** The store says that its history up to `zxid` is durable: told before whoever waits for it is. So are the four below. */
  durable(server: number, zxid: Long): void;
  /** Everything after `zxid` was removed, durably. */
  truncated(server: number, zxid: Long): void;
  /** A snapshot has replaced the whole history, durably. */
  installed(server: number, zxid: Long): void;
  /** A snapshot of `zxid` was written beside the log, durably: a restart may begin with it. */
  saved(server: number, zxid: Long): void;
  /** An epoch was replaced, durably. */
  epoch(server: number, which: 'accepted' | 'current', epoch: number): void;

  /** A message was handed to the network on a quorum link. `link` numbers the acting server's end of the link: for `sent` that of `from`, for `received` that of `to`. */
  sent(from: number, to: number, link: number, message: QuorumMessage): void;
  /** It reached the other side. */
  received(from: number, to: number, link: number, message: QuorumMessage): void;

  /** What the node shows of its role. `epoch` is that of the leader it serves with, or served with last. */
  role(server: number, role: Role, leaderId: number | undefined, epoch: number): void;
  /** What the node shows of whether it serves. When it begins to, `shown` and `role` of that moment have come before. */
  serving(server: number, serving: boolean): void;
  /** A committed transaction was applied to the tree that the node shows. */
  applied(server: number, txn: Txn, tree: ZnodeTree): void;
  /** The node shows this tree from now on: at the first time it serves, and after it was replaced by a synchronisation. */
  shown(server: number, tree: ZnodeTree): void;

  /** Something else worth counting, such as a snapshot written beside the log; `server` may be a client, too. */
  did(server: number, what: Deed): void;
}

/** What {@link Probe.did} tells. */
export type Deed =
  | 'snapshotWritten'
  | 'logReadForLearner'
  | 'logNotReadForLearner'
  | 'electionLinkUp'
  | 'electionLinkDown'
  | 'quorumLinkLost'
  /** A link was given up for what came over it: with servers that all are right that never happens. */
  | 'badInput'
  | WireDeed;

/** A probe that looks at nothing: what one looks at is overridden. */
export class Blind implements Probe {
  booted(_server: number): void {}
  died(_server: number): void {}
  stopping(_server: number): void {}
  stopped(_server: number, _error: Error | null): void {}
  recovered(_server: number, _found: Recovered): void {}
  appending(_server: number, _entries: readonly LogEntry[]): void {}
  truncating(_server: number, _zxid: Long): void {}
  installing(_server: number, _zxid: Long): void {}
  durable(_server: number, _zxid: Long): void {}
  truncated(_server: number, _zxid: Long): void {}
  installed(_server: number, _zxid: Long): void {}
  saved(_server: number, _zxid: Long): void {}
  epoch(_server: number, _which: 'accepted' | 'current', _epoch: number): void {}
  sent(_from: number, _to: number, _link: number, _message: QuorumMessage): void {}
  received(_from: number, _to: number, _link: number, _message: QuorumMessage): void {}
  role(_server: number, _role: Role, _leaderId: number | undefined, _epoch: number): void {}
  serving(_server: number, _serving: boolean): void {}
  applied(_server: number, _txn: Txn, _tree: ZnodeTree): void {}
  shown(_server: number, _tree: ZnodeTree): void {}
  did(_server: number, _what: Deed): void {}
}

/** A rule that a run has broken. */
export class Violation extends Error {
  override readonly name = 'Violation';

  /**
   * @param rule the rule's name, such as `PrefixConsistency`
   * @param what who broke it and how
   */
  constructor(
    readonly rule: string,
    readonly what: string,
  ) {
    super(`${rule}: ${what}`);
  }
}
