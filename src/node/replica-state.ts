import Long from 'long';
import { Err, Op } from '../model/codes.ts';
import type { Request, SnapshotHead, SnapshotSource, Txn, TxnHeader, WriteRequest, ZnodeRecord } from '../model/records.ts';
import { Preparer } from '../tree/prepare.ts';
import { SessionTracker } from '../tree/session-tracker.ts';
import { type TxnResult, ZnodeTree } from '../tree/tree.ts';
import { TreeLoader } from '../tree/tree-loader.ts';
import { assert, InvariantError } from '../util/assert.ts';
import { octetsFromText, octetsToText } from '../util/bytes.ts';
import { ByteBlocks } from '../wire/byte-blocks.ts';
import { JuteWriter } from '../wire/jute.ts';
import { decodeRequestBody } from '../wire/requests.ts';
import { decodeTxn, encodeTxn } from '../wire/txn.ts';
import type { StateMachine } from '../zab/context.ts';
import type { EnsembleConfig } from '../zab/ensemble-config.ts';
import { LogEntry } from '../zab/entry.ts';
import type { LearnerHandle } from '../zab/learner-handle.ts';
import type { SessionTouch } from '../zab/messages.ts';
import type { LinkToken } from '../zab/outbox.ts';
import type { ReplicaReport } from './hooks.ts';
import type { ResolvedOptions } from './options.ts';
import { SizeRange } from './port/stats.ts';

/** Looks for empty containers and expired TTL znodes remove at most this many at a time (PROTOCOL 5). */
const CLEANUP_BATCH = 10_000;

/** What the state asks of the replica around it. */
export interface StateHost {
  now(): number;
  liveSessions(): readonly SessionTouch[];
}

/**
 * The replicated state between protocol and tree: makes transactions of requests while this server leads, applies them on every server, and keeps the
 * sessions' expiry on the leader. While a synchronisation replaces the tree, the new one grows in `incoming` and is shown only when it is over.
 */
export class ReplicaState implements StateMachine {
  tree: ZnodeTree;
  /** The tree that will replace the shown one at the end of the synchronisation; null when none is under way. */
  incoming: ZnodeTree | null = null;
  #loader: TreeLoader | null = null;
  /** A snapshot that has come in whole and replaces nothing yet. */
  #received: ZnodeTree | null = null;
  #snapshotZxid: Long | null = null;
  #preparer: Preparer | null = null;
  #tracker: SessionTracker | null = null;
  #nextCleanup = 0;
  readonly #proposals = new SizeRange();
  /** Stands for this process where the tracker wants to know through which server a session comes. */
  readonly #here: LinkToken = {};
  readonly #writer = new JuteWriter(4096);
  readonly #blocks = new ByteBlocks();
  readonly #options: ResolvedOptions;
  readonly #ensemble: EnsembleConfig;
  readonly #host: StateHost;

  constructor(options: ResolvedOptions, ensemble: EnsembleConfig, host: StateHost) {
    this.#options = options;
    this.#ensemble = ensemble;
    this.#host = host;
    this.tree = this.emptyTree();
  }

  emptyTree(): ZnodeTree {
    return new ZnodeTree({ digest: this.#options.digest });
  }

  newLoader(): TreeLoader {
    return new TreeLoader({ digest: this.#options.digest });
  }

  // ---- every server ----

  /** Applies a committed entry; to the incoming tree if there is one. Returns what the session that asked is told, when `applying` says that it is wanted. */
  apply(entry: LogEntry, applying: (header: TxnHeader) => boolean): { txn: Txn; result: TxnResult | null } {
    const txn = txnOf(entry);
    const { clientId, type } = txn.header;
    if (this.incoming !== null) {
      this.incoming.apply(txn, false);
      return { txn, result: null };
    }
    const result = this.tree.apply(txn, applying(txn.header));
    if (this.#preparer !== null) {
      this.#preparer.applied(entry.zxid);
      if (type === Op.closeSession) this.#tracker?.remove(clientId);
    }
    return { txn, result };
  }

  /** Shows the incoming tree; returns the one it replaces, null if there was nothing to show. */
  showIncoming(): ZnodeTree | null {
    this.showConfig();
    if (this.incoming === null) return null;
    const old = this.tree;
    this.tree = this.incoming;
    this.incoming = null;
    return old;
  }

  /** Puts the ensemble's configuration where clients read it. Without a time: each server's own would make the trees differ. A standalone server tells none. */
  showConfig(): void {
    if (this.#options.standalone) return;
    const { text, version } = this.#ensemble;
    (this.incoming ?? this.tree).setConfig(octetsFromText(text), version, 0);
  }

  /** The configuration text in the tree, which a reconfig changes by a transaction. */
  get configInTree(): string {
    return (this.incoming ?? this.tree).getData('/zookeeper/config')?.text() ?? '';
  }

  /** The tree at the commit line, shown or not, for a snapshot. */
  openSnapshot(): SnapshotSource {
    return (this.incoming ?? this.tree).openSnapshot();
  }

  // ---- learner ----

  touches(): readonly SessionTouch[] {
    return this.#host.liveSessions();
  }

  beginSnapshot(zxid: Long): void {
    this.#loader = this.newLoader();
    this.#received = null;
    this.#snapshotZxid = zxid;
  }

  snapshotHead(head: SnapshotHead): boolean {
    const zxid = this.#snapshotZxid;
    return this.#load((loader) => zxid !== null && loader.begin(zxid, head));
  }

  snapshotNodes(nodes: readonly ZnodeRecord[]): boolean {
    return this.#load((loader) => loader.nodes(nodes));
  }

  endSnapshot(): boolean {
    const ended = this.#load((loader) => loader.end(null));
    if (ended) this.#received = this.#loader?.tree ?? null;
    this.#loader = null;
    return ended && this.#received !== null;
  }

  /** The snapshot that was received last, with `entries` applied to it, is the state from now on. */
  adoptSnapshot(entries: readonly LogEntry[]): void {
    assert(this.#received !== null, 'no snapshot was received');
    this.incoming = this.#received;
    this.#received = null;
    for (const entry of entries) this.incoming.apply(txnOf(entry), false);
  }

  /** A snapshot comes from outside: whatever is wrong with it ends the sync and nothing else. */
  #load(step: (loader: TreeLoader) => unknown): boolean {
    if (this.#loader === null) return false;
    try {
      step(this.#loader);
      return true;
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      this.#loader = null;
      return false;
    }
  }

  configIn(tail: Iterable<LogEntry>): string | null {
    let text = this.configInTree;
    for (const entry of tail) {
      const { body } = txnOf(entry);
      if (body.type === Op.reconfig) text = body.data === null ? '' : octetsToText(body.data);
    }
    return text === '' ? null : text;
  }

  readable(entry: LogEntry): boolean {
    try {
      txnOf(entry);
      return true;
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      return false;
    }
  }

  // ---- leader ----

  /** This server leads from now on: every session gets its full timeout again (PROTOCOL 11). */
  startLeading(): void {
    const options = this.#options;
    const now = this.#host.now();
    this.#preparer = new Preparer(this.tree, {
      extendedTypes: options.extendedTypes,
      enforceQuota: options.enforceQuota,
      skipAcl: options.skipAcl,
      superDigest: options.superDigest,
      digest: options.digest,
      maxData: options.maxRequestBytes,
    });
    this.#tracker = new SessionTracker(options.tickTime);
    for (const { id, timeout } of this.tree.sessions.values()) this.#tracker.touch(id, timeout, now);
    this.#nextCleanup = now + options.containerCheckInterval;
  }

  stopLeading(): void {
    this.#preparer = null;
    this.#tracker = null;
  }

  prepare(request: Request, zxid: Long, from: LinkToken | null): LogEntry {
    assert(this.#preparer !== null && this.#tracker !== null, 'a proposal before the leader is established');
    const { sessionId, cxid, auth } = request;
    const txn = this.#preparer.prepare(sessionId, cxid, auth, this.#checked(request, from), zxid, this.#options.clock.wall());
    const w = this.#writer;
    w.reset();
    encodeTxn(w, txn);
    this.#proposals.add(w.pos);
    return new LogEntry(zxid, this.#blocks.copy(w.buf, 0, w.pos), txn);
  }

  /** The record of the request, or the error that it becomes. */
  #checked(request: Request, from: LinkToken | null): WriteRequest {
    const tracker = this.#tracker as SessionTracker;
    const record = recordOf(request);
    if (record.op === Op.createSession) {
      tracker.touch(request.sessionId, record.timeout, this.#host.now());
      tracker.setOwner(request.sessionId, from ?? this.#here);
    } else if (!request.sessionId.isZero() && request.cxid !== 0 && !tracker.checkOwner(request.sessionId, from ?? this.#here)) {
      return { op: Op.error, err: Err.sessionMoved };
    }
    return record;
  }

  touch(touches: readonly SessionTouch[]): void {
    const now = this.#host.now();
    for (const { sessionId, timeout } of touches) this.#touchKnown(sessionId, timeout, now);
  }

  revalidate(sessionId: Long, timeout: number, from: LinkToken | null): boolean {
    if (!this.#touchKnown(sessionId, timeout, this.#host.now())) return false;
    this.#tracker?.setOwner(sessionId, from ?? this.#here);
    return true;
  }

  /** Whoever says that a session is alive can't bring one back. */
  #touchKnown(sessionId: Long, timeout: number, now: number): boolean {
    const tracker = this.#tracker;
    return tracker?.has(sessionId) === true && tracker.touch(sessionId, timeout, now);
  }

  report(learners: Iterable<LearnerHandle>): ReplicaReport {
    const now = this.#host.now();
    const tracker = this.#tracker;
    return {
      expiries: tracker === null ? null : [...tracker.buckets()].map(({ deadline, ids }) => ({ within: deadline - now, ids })),
      proposals: this.#proposals,
      learners: [...learners].map(({ isParticipant, phase }) => ({ isParticipant, isActive: phase === 'active' })),
    };
  }

  /** What the leader asks of itself by now: closing expired sessions, removing empty containers and expired TTL znodes. */
  duties(): Request[] {
    const tracker = this.#tracker;
    if (tracker === null) return [];
    const now = this.#host.now();
    this.touch(this.#host.liveSessions());
    const requests = tracker.expired(now).map((id): Request => own(id, { op: Op.closeSession }));
    if (now >= this.#nextCleanup) {
      this.#nextCleanup = now + this.#options.containerCheckInterval;
      const paths = this.tree.cleanupCandidates(this.#options.clock.wall()).slice(0, CLEANUP_BATCH);
      for (const path of paths) requests.push(own(Long.UZERO, { op: Op.deleteContainer, path }));
    }
    return requests;
  }
}

/** The decoded form of an entry, kept with it. Throws JuteError when the bytes make no sense. */
export function txnOf(entry: LogEntry): Txn {
  if (entry.txn === undefined) entry.txn = decodeTxn(entry.bytes);
  return entry.txn as Txn;
}

function own(sessionId: Long, record: WriteRequest): Request {
  return { sessionId, cxid: 0, op: record.op, auth: [], record, body: null };
}

/** A request that can't be read is a write that fails (PROTOCOL 7): it uses up a zxid and gets MARSHALLING_ERROR. */
function recordOf(request: Request): WriteRequest {
  if (request.record !== null && request.record.op !== Op.sync) return request.record;
  try {
    const record = decodeRequestBody(request.op, request.body ?? new Uint8Array(0));
    if (record.op !== Op.sync) return record;
  } catch (error) {
    // The body came from outside; what is wrong with it is the client's business.
    if (error instanceof InvariantError) throw error;
  }
  return { op: Op.error, err: Err.marshallingError };
}
