import type Long from 'long';
import type { Request, Txn, TxnHeader } from '../model/records.ts';
import type { TxnResult, ZnodeTree } from '../tree/tree.ts';
import type { ConfigServer } from '../zab/ensemble-config.ts';
import type { SessionTouch } from '../zab/messages.ts';
import type { Access } from './access.ts';
import type { Role } from './api.ts';
import type { SizeRange } from './port/stats.ts';
import type { SessionIds } from './session-id.ts';

/**
 * What the replica (roles, storage, links, tree) tells the layer above it: the sessions of this process, watches, the public node. All calls come from the replica's
 * own turn, never from inside a call into the replica.
 */
export interface ReplicaHooks {
  /** Role, leader or epoch changed. */
  roleChanged(role: Role, leaderId: number | undefined, epoch: number): void;
  /** True: the tree is up to date with a leader and requests are taken. False: requests under way are lost, their outcome is unknown. */
  servingChanged(serving: boolean): void;
  /**
   * A transaction is about to be applied: what its session asked before it is answered from the tree as it still is. Returns whether the session lives in this process, so that the
   * result is wanted.
   */
  applying(header: TxnHeader): boolean;
  /** A transaction was applied; `result` is there if `applying` said so for it. Events of the tree came before this. */
  applied(txn: Txn, result: TxnResult | null): void;
  /** The tree was replaced as a whole (SNAP, or a reload after TRUNC); `oldTree` is given so that watchers can be told the difference. */
  treeReplaced(oldTree: ZnodeTree, newTree: ZnodeTree): void;
  /** A sync request came back: everything committed before it was asked is applied. */
  synced(request: Request): void;
  /** The leader answered whether a session is alive. */
  revalidated(sessionId: Long, valid: boolean): void;
  /** The ensemble has given its configuration another version, and perhaps other members or addresses. */
  configChanged(version: Long, servers: readonly ConfigServer[]): void;
  /** The sessions of this process, to be kept alive: asked for at each heartbeat. */
  liveSessions(): readonly SessionTouch[];
  /** The replica stopped because of this error. */
  fatal(error: Error): void;
}

/** What the replica tells of itself to whoever watches over it. */
export interface ReplicaReport {
  /** While this server leads: in how many ms each set of sessions expires, unless something is heard of them. Else null: nobody else knows. */
  readonly expiries: readonly { readonly within: number; readonly ids: readonly Long[] }[] | null;
  /** Transactions proposed by this server, by their size in bytes. */
  readonly proposals: SizeRange;
  /** While this server leads: who learns from it, and whether it has come up to date. */
  readonly learners: readonly { readonly isParticipant: boolean; readonly isActive: boolean }[];
}

/** What the layer above may ask of the replica. */
export interface ReplicaControl {
  readonly role: Role;
  readonly leaderId: number | undefined;
  readonly epoch: number;
  readonly serving: boolean;
  /** The current tree; another object after `treeReplaced`. */
  readonly tree: ZnodeTree;
  /** Sends a write (any WriteRequest) or a sync to the leader, in the order called. False: not serving, nothing was sent. The answer comes by `applied` or `synced`. */
  submit(request: Request): boolean;
  /** Asks the leader whether a session is alive and moves it to this server. False: not serving. The answer comes by `revalidated`. */
  revalidate(sessionId: Long, timeout: number): boolean;
  /** Who belongs to the ensemble, as this server knows it. */
  readonly servers: readonly ConfigServer[];
  report(): ReplicaReport;
}

/** Somebody in this process who has sessions: the application, or the client port. */
export interface SessionHolder {
  /** Whether the session lives here or is being opened here. */
  isLocal(sessionId: Long): boolean;
  /** A transaction of a session that may live here is about to be applied. Returns whether it lives here or is being opened here. */
  applying(header: TxnHeader): boolean;
  /** A transaction of a session that may live here was applied; its events are out. */
  applied(txn: Txn, result: TxnResult): void;
  /** A sync came back; whether it was asked here. */
  synced(request: Request): boolean;
  /** The leader's word on a session that may have been asked for here. */
  revalidated(sessionId: Long, valid: boolean): void;
  /** The session has been taken over by the other holder. */
  taken(sessionId: Long): void;
  /** Adds the sessions that have been heard of since the last time. */
  live(touches: SessionTouch[]): void;
  /** The replica serves again. */
  resume(): void;
  /** The replica does not serve any more: everything under way is lost. */
  suspend(): void;
}

/** What a holder of sessions needs of the node. */
export interface HolderHost {
  readonly control: ReplicaControl;
  readonly access: Access;
  readonly ids: SessionIds;
  /** Tells the other holders that the session goes on at `by`. */
  taken(sessionId: Long, by: SessionHolder): void;
}
