import type Long from 'long';
import type { Request, SnapshotHead, ZnodeRecord } from '../model/records.ts';
import type { LogEntry } from './entry.ts';

/** Packet types of the quorum port (PROTOCOL 12). The negative ones are the parts of the snapshot stream that follows SNAP. */
export const Packet = {
  REQUEST: 1,
  PROPOSAL: 2,
  ACK: 3,
  COMMIT: 4,
  PING: 5,
  REVALIDATE: 6,
  SYNC: 7,
  INFORM: 8,
  COMMITANDACTIVATE: 9,
  NEWLEADER: 10,
  FOLLOWERINFO: 11,
  UPTODATE: 12,
  DIFF: 13,
  TRUNC: 14,
  SNAP: 15,
  OBSERVERINFO: 16,
  LEADERINFO: 17,
  ACKEPOCH: 18,
  INFORMANDACTIVATE: 19,
  SNAPSHOT_HEAD: -1,
  SNAPSHOT_NODES: -2,
  SNAPSHOT_END: -3,
} as const;

/** The quorum protocol version that brought LEADERINFO and ACKEPOCH; the only one spoken. */
export const PROTOCOL_VERSION = 0x10000;

/** ZooKeeper keeps epochs in 31 bits: a later one could not be written down by everybody. */
export const LAST_EPOCH = 0x7fffffff;

/** Nobody can have got so far ahead of the others by elections: a stranger who says so would use up the epochs that are left. */
export const EPOCH_LEAP = 0x100000;

/** A session that was active on a learner since its last PING reply; `timeout` in ms. */
export interface SessionTouch {
  readonly sessionId: Long;
  readonly timeout: number;
}

/** Packets that carry a zxid and nothing else. */
export interface ZxidMessage {
  readonly type: 3 | 4 | 7 | 12 | 13 | 14 | 15;
  readonly zxid: Long;
}
export interface RequestMessage {
  readonly type: 1;
  readonly request: Request;
}
export interface EntryMessage {
  readonly type: 2 | 8;
  readonly entry: LogEntry;
}
/** `touches` is null from the leader, a list (perhaps empty) from a learner. */
export interface PingMessage {
  readonly type: 5;
  readonly zxid: Long;
  readonly touches: readonly SessionTouch[] | null;
}
/** A learner's question has a `timeout` (ms), the leader's answer has `valid`. */
export interface RevalidateMessage {
  readonly type: 6;
  readonly sessionId: Long;
  readonly timeout?: number;
  readonly valid?: boolean;
}
export interface CommitAndActivateMessage {
  readonly type: 9;
  readonly zxid: Long;
  readonly designatedLeader: number;
}
export interface InformAndActivateMessage {
  readonly type: 19;
  readonly designatedLeader: number;
  readonly entry: LogEntry;
}
/** `config` is the ensemble's configuration text, null to or from old servers. */
export interface NewLeaderMessage {
  readonly type: 10;
  readonly zxid: Long;
  readonly config: string | null;
}
/** FOLLOWERINFO or OBSERVERINFO; `zxid` is acceptedEpoch with counter 0. */
export interface LearnerInfoMessage {
  readonly type: 11 | 16;
  readonly zxid: Long;
  readonly serverId: number;
  readonly protocolVersion: number;
  readonly configVersion: Long;
}
/** `zxid` is the new epoch with counter 0. */
export interface LeaderInfoMessage {
  readonly type: 17;
  readonly zxid: Long;
  readonly protocolVersion: number;
}
/** `zxid` is the last one in the learner's log; `currentEpoch` is -1 when it had accepted the epoch before. */
export interface AckEpochMessage {
  readonly type: 18;
  readonly zxid: Long;
  readonly currentEpoch: number;
}
export interface SnapshotHeadMessage {
  readonly type: -1;
  readonly head: SnapshotHead;
}
export interface SnapshotNodesMessage {
  readonly type: -2;
  readonly nodes: readonly ZnodeRecord[];
}
export interface SnapshotEndMessage {
  readonly type: -3;
}

export type QuorumMessage =
  | ZxidMessage
  | RequestMessage
  | EntryMessage
  | PingMessage
  | RevalidateMessage
  | CommitAndActivateMessage
  | InformAndActivateMessage
  | NewLeaderMessage
  | LearnerInfoMessage
  | LeaderInfoMessage
  | AckEpochMessage
  | SnapshotHeadMessage
  | SnapshotNodesMessage
  | SnapshotEndMessage;

/** The states a server reports in an election (PROTOCOL 14.2). */
export const PeerState = { LOOKING: 0, FOLLOWING: 1, LEADING: 2, OBSERVING: 3 } as const;
export type PeerStateCode = (typeof PeerState)[keyof typeof PeerState];

/** What `leader`, and in the 64-bit fields `zxid` and `peerEpoch`, hold in the notification of a server that has no vote: -2^63. */
export const NON_VOTER = -(2 ** 63);

/**
 * A vote on its way (PROTOCOL 14.2). Ids, rounds and epochs are 64-bit on the wire and numbers here. `version` is 0 and `config` null for the
 * legacy bodies of 28 bytes (`peerEpoch` undefined) and 40 bytes.
 */
export interface Notification {
  readonly kind: 'notification';
  readonly state: PeerStateCode;
  readonly leader: number;
  readonly zxid: Long;
  /** The round of the election, called logical clock or electionEpoch. */
  readonly electionEpoch: number;
  readonly peerEpoch: number | undefined;
  readonly version: number;
  readonly config: string | null;
}

/** The basic election's question (PROTOCOL 14.5): 4 bytes. */
export interface VoteRequest {
  readonly kind: 'voteRequest';
  readonly xid: number;
}
/** The basic election's answer: 28 bytes. */
export interface VoteResponse {
  readonly kind: 'voteResponse';
  readonly xid: number;
  readonly id: number;
  readonly leader: number;
  readonly zxid: Long;
}

export type ElectionMessage = Notification | VoteRequest | VoteResponse;
