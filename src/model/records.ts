import type Long from 'long';
import type { Octets } from '../util/bytes.ts';

/** An identity: who somebody is under an authentication scheme (PROTOCOL 3). */
export interface Id {
  readonly scheme: string;
  readonly id: string;
}

/** One entry of an access control list: `perms` is a sum of READ 1, WRITE 2, CREATE 4, DELETE 8, ADMIN 16. */
export interface Acl extends Id {
  readonly perms: number;
}

/** A znode's metadata, in ZooKeeper's terms (PROTOCOL 6). Times are milliseconds since 1970 on the leader's wall clock. */
export interface Stat {
  /** zxid of the transaction that created the znode. */
  readonly czxid: Long;
  /** zxid of the last change of its data. */
  readonly mzxid: Long;
  readonly ctime: number;
  readonly mtime: number;
  /** Number of changes of the data, of the list of children, of the ACL. */
  readonly version: number;
  readonly cversion: number;
  readonly aversion: number;
  /** Session that owns an ephemeral znode; 0 for every other kind. */
  readonly ephemeralOwner: Long;
  /** Bytes of data; 0 for null data. */
  readonly dataLength: number;
  readonly numChildren: number;
  /** zxid of the last creation or deletion of a child. */
  readonly pzxid: Long;
}

// ---- requests (PROTOCOL 3.2): `op` is the operation code ----

/** `op` is 1 create, 15 create2, 19 createContainer or 21 createTTL; `ttl` is in ms and only sent with 21. */
export interface CreateRequest {
  readonly op: 1 | 15 | 19 | 21;
  readonly path: string;
  readonly data: Octets | null;
  readonly acl: readonly Acl[] | null;
  readonly flags: number;
  readonly ttl: number;
}
export interface DeleteRequest {
  readonly op: 2;
  readonly path: string;
  readonly version: number;
}
export interface SetDataRequest {
  readonly op: 5;
  readonly path: string;
  readonly data: Octets | null;
  readonly version: number;
}
export interface SetAclRequest {
  readonly op: 7;
  readonly path: string;
  readonly acl: readonly Acl[] | null;
  readonly version: number;
}
export interface CheckRequest {
  readonly op: 13;
  readonly path: string;
  readonly version: number;
}
/** Any operation may stand in `ops`; the leader refuses a multi with one that ZooKeeper does not allow there (-5). */
export interface MultiRequest {
  readonly op: 14;
  readonly ops: readonly MultiOp[];
}
/** Sent by the leader to itself: remove an empty container or an expired TTL znode. */
export interface DeleteContainerRequest {
  readonly op: 20;
  readonly path: string;
}
export interface CreateSessionRequest {
  readonly op: -10;
  /** ms */
  readonly timeout: number;
}
export interface CloseSessionRequest {
  readonly op: -11;
}
/** A write whose body could not be read, or that this server does not offer: it becomes an ErrorTxn with `err`. */
export interface InvalidRequest {
  readonly op: -1;
  readonly err: number;
}

export type MultiOp = CreateRequest | DeleteRequest | SetDataRequest | CheckRequest;
export type WriteRequest =
  | MultiOp
  | SetAclRequest
  | MultiRequest
  | DeleteContainerRequest
  | CreateSessionRequest
  | CloseSessionRequest
  | InvalidRequest;

/** `path` is echoed, nothing else: it need not exist. */
export interface SyncRequest {
  readonly op: 9;
  readonly path: string;
}

/**
 * A request on its way to the leader. `record` is there when it was made in this process, `body` (jute, as in the client protocol) when it
 * came over a link or goes over one; at least one of them is set. `auth` are the identities of the requester.
 */
export interface Request {
  readonly sessionId: Long;
  /** The client's number for the request, unique within its session. */
  readonly cxid: number;
  readonly op: number;
  readonly auth: readonly Id[];
  readonly record: WriteRequest | SyncRequest | null;
  readonly body: Uint8Array | null;
}

// ---- transactions (PROTOCOL 17): what a request became; applying one twice does no harm ----

export interface TxnHeader {
  /** Session that asked. */
  readonly clientId: Long;
  readonly cxid: number;
  readonly zxid: Long;
  /** Leader's wall clock, ms. */
  readonly time: number;
  /** Operation code; -1 for an error. */
  readonly type: number;
}

export interface CreateTxn {
  readonly type: 1 | 15 | 19 | 21;
  readonly path: string;
  readonly data: Octets | null;
  readonly acl: readonly Acl[];
  readonly ephemeral: boolean;
  /** The parent's stored cversion after this; -1 in old logs: add one when applying. */
  readonly parentCVersion: number;
  /** ms, only with type 21. */
  readonly ttl: number;
}
export interface DeleteTxn {
  readonly type: 2 | 20;
  readonly path: string;
}
/** Type 16 is a reconfig: the new text of /zookeeper/config. */
export interface SetDataTxn {
  readonly type: 5 | 16;
  readonly path: string;
  readonly data: Octets | null;
  /** The new version. */
  readonly version: number;
}
export interface SetAclTxn {
  readonly type: 7;
  readonly path: string;
  readonly acl: readonly Acl[];
  readonly version: number;
}
export interface CheckTxn {
  readonly type: 13;
  readonly path: string;
  readonly version: number;
}
export interface MultiTxn {
  readonly type: 14;
  readonly txns: readonly TxnBody[];
}
export interface CreateSessionTxn {
  readonly type: -10;
  readonly timeout: number;
}
/** `paths` are the ephemerals to delete, null in old logs. */
export interface CloseSessionTxn {
  readonly type: -11;
  readonly paths: readonly string[] | null;
}
export interface ErrorTxn {
  readonly type: -1;
  readonly err: number;
}

export type TxnBody = CreateTxn | DeleteTxn | SetDataTxn | SetAclTxn | CheckTxn | MultiTxn | CreateSessionTxn | CloseSessionTxn | ErrorTxn;

/** Sum over the tree's nodes after a transaction (PROTOCOL 17.1): 64 bits. */
export interface TxnDigest {
  readonly version: number;
  readonly value: Long;
}

export interface Txn {
  readonly header: TxnHeader;
  readonly body: TxnBody;
  readonly digest: TxnDigest | null;
}

// ---- snapshots (PROTOCOL 16) ----

/** A znode as a snapshot stores it: `cversion` is the creation counter and `ephemeralOwner` the raw form, unlike in {@link Stat}. */
export interface ZnodeRecord {
  /** "" for the root. */
  readonly path: string;
  readonly data: Octets | null;
  /** Key into the snapshot's ACL table; -1 is world:anyone all. */
  readonly aclKey: number;
  readonly czxid: Long;
  readonly mzxid: Long;
  readonly ctime: number;
  readonly mtime: number;
  readonly version: number;
  readonly cversion: number;
  readonly aversion: number;
  readonly ephemeralOwner: Long;
  readonly pzxid: Long;
}

/** What stands before the znodes in a snapshot. `timeout` in ms. */
export interface SnapshotHead {
  readonly sessions: readonly { readonly id: Long; readonly timeout: number }[];
  readonly acls: readonly { readonly key: number; readonly acl: readonly Acl[] }[];
}

/** The digest block of a snapshot file: the tree digest as it was after `zxid`. */
export interface SnapshotDigest extends TxnDigest {
  readonly zxid: Long;
}

/**
 * A walk over the tree that is pulled slice by slice while transactions go on. The result is fuzzy: it holds everything up to `zxid` and perhaps
 * parts of what came later; replaying the log after `zxid` over it gives the exact tree (PROTOCOL 16).
 */
export interface SnapshotSource {
  readonly zxid: Long;
  readonly head: SnapshotHead;
  /** Up to `limit` more znodes, parents before children; empty at the end. */
  next(limit: number): readonly ZnodeRecord[];
  /** The digest block; null when digests are off. Asked for after the end. */
  digest(): SnapshotDigest | null;
  /** Gives the walk up; must be called at the end as well. */
  close(): void;
}

/** Where a snapshot is loaded to. Order: begin, any number of nodes, end. A new `begin` drops what was loaded before it. */
export interface SnapshotSink {
  begin(zxid: Long, head: SnapshotHead): void;
  nodes(batch: readonly ZnodeRecord[]): void;
  end(digest: SnapshotDigest | null): void;
}
