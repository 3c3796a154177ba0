import type Long from 'long';
import { Op } from '../model/codes.ts';
import type { Request } from '../model/records.ts';
import { compareZxid, epochOf, followsInHistory, formatZxid, makeZxid, ZXID_NONE, zxidEquals } from '../model/zxid.ts';
import { Fifo } from '../util/fifo.ts';
import type { ZabContext } from './context.ts';
import type { LogEntry } from './entry.ts';
import { LAST_EPOCH, Packet, PROTOCOL_VERSION, type QuorumMessage } from './messages.ts';
import type { LinkToken } from './outbox.ts';

/** Between two attempts to reach a leader that may not have opened its port yet, ms. */
const DIAL_PAUSE = 20;
/** How long a leader that is alive may refuse us before we ask the others again, ms. */
const DIAL_PATIENCE = 1000;

/** A snapshot of the state at `zxid`, the entries that came behind it, and the zxid of the last of them. */
interface Received {
  readonly zxid: Long;
  last: Long;
  readonly entries: LogEntry[];
}

/**
 * A learner, from the election to the loss of its leader. Its phases (PROTOCOL 13.1):
 *
 *     connecting -> discovery -> synchronisation -> newLeader -> active
 *        (link)    LEADERINFO   DIFF/TRUNC/SNAP     NEWLEADER    UPTODATE
 *
 * PROPOSAL, COMMIT and INFORM follow one rule in every phase: what is proposed is logged at once, in order and without gaps; what is committed is applied, but nothing before
 * UPTODATE, because until then no quorum stands behind this leader's history (fault 3023).
 */
export abstract class Learner {
  abstract readonly kind: 'following' | 'observing';
  protected readonly ctx: ZabContext;
  #phase: 'connecting' | 'discovery' | 'synchronisation' | 'newLeader' | 'active' = 'connecting';
  protected link: LinkToken | null = null;
  #epoch = 0;
  /** A DIFF, TRUNC or SNAP has come. */
  #planned = false;
  #inSnapshot = false;
  /** A TRUNC could not be carried out before: nothing but a snapshot will do. */
  #snapshotOnly = false;
  /** A snapshot that has come in, and what came behind it: all of it takes the place of our history at NEWLEADER, none of it before. */
  #received: Received | null = null;
  /** Everything up to here is committed, as far as the leader told. */
  #commitLine: Long = ZXID_NONE;
  #deadline: number;
  #redialAt = Number.POSITIVE_INFINITY;
  readonly #dialUntil: number;
  #lastHeard: number;
  /** From NEWLEADER; it holds when the leader is established. */
  #config: string | null = null;
  readonly #syncs = new Fifo<Request>();

  constructor(
    ctx: ZabContext,
    readonly leaderId: number,
  ) {
    this.ctx = ctx;
    this.#deadline = ctx.now + ctx.config.initTime;
    this.#dialUntil = ctx.now + DIAL_PATIENCE;
    this.#lastHeard = ctx.now;
  }

  /** FOLLOWERINFO or OBSERVERINFO. */
  protected abstract readonly introduction: 11 | 16;
  /** An entry was logged and is not committed yet. */
  protected abstract logged(entry: LogEntry): void;

  get serving(): boolean {
    return this.#phase === 'active';
  }

  get epoch(): number {
    return this.#epoch;
  }

  get deadline(): number {
    return this.#phase === 'active' ? this.#lastHeard + this.ctx.config.syncTime : Math.min(this.#deadline, this.#redialAt);
  }

  /** Whether proposals may be acknowledged: not before NEWLEADER was (fault 4685). */
  protected get acknowledging(): boolean {
    return this.#phase === 'newLeader' || this.#phase === 'active';
  }

  start(): void {
    this.ctx.out.act({ kind: 'dial', peer: this.leaderId });
  }

  stop(): void {
    if (this.link !== null) this.ctx.out.closeLink(this.link, 'no longer following');
    this.link = null;
  }

  // ---- inputs ----

  /** The link that was dialled; it may still be connecting. */
  dialled(link: LinkToken): void {
    const { config, history, out } = this.ctx;
    this.link = link;
    out.send(link, {
      type: this.introduction,
      zxid: makeZxid(history.promisedEpoch, 0),
      serverId: config.id,
      protocolVersion: PROTOCOL_VERSION,
      configVersion: config.ensemble.version,
    });
  }

  closed(link: LinkToken, reason: string): void {
    if (link !== this.link) return;
    this.link = null;
    if (this.#phase !== 'connecting') return this.ctx.lookAgain(`lost the leader: ${reason}`);
    // A leader opens its port when it knows that it leads; one without an election link is most likely dead.
    if (!this.ctx.electionLinkUp(this.leaderId) || this.ctx.now >= this.#dialUntil)
      return this.ctx.lookAgain(`can't reach the leader: ${reason}`);
    this.#redialAt = this.ctx.now + DIAL_PAUSE;
  }

  /** A voter is past our election: if it is the one we wait for, it will not lead us (fault 3109). */
  overtaken(voter: number): void {
    if (voter === this.leaderId && this.#phase === 'connecting') this.ctx.lookAgain('the leader looks for a leader itself');
  }

  electionLinkDown(peer: number): void {
    if (peer === this.leaderId && this.#phase === 'connecting') this.ctx.lookAgain('the leader went away before it could be reached');
  }

  tick(): void {
    const { now } = this.ctx;
    if (this.#phase === 'active') {
      // By the same sum as the deadline: a difference may round to less, and the timer that has just run out would run out again at once.
      if (now >= this.deadline) this.ctx.lookAgain(`leader silent for ${Math.round(now - this.#lastHeard)} ms`);
      return;
    }
    if (now >= this.#deadline) return this.ctx.lookAgain(`not synchronised within initLimit (${this.#phase})`);
    if (now >= this.#redialAt) {
      this.#redialAt = Number.POSITIVE_INFINITY;
      this.ctx.out.act({ kind: 'dial', peer: this.leaderId });
    }
  }

  /** A write or a sync of this process: it goes to the leader. False when it was not sent. */
  request(request: Request): boolean {
    if (this.#phase !== 'active' || this.link === null) return false;
    if (request.op === Op.sync) this.#syncs.push(request);
    this.ctx.out.send(this.link, { type: Packet.REQUEST, request });
    return true;
  }

  revalidate(sessionId: Long, timeout: number): boolean {
    if (this.#phase !== 'active' || this.link === null) return false;
    this.ctx.out.send(this.link, { type: Packet.REVALIDATE, sessionId, timeout });
    return true;
  }

  message(link: LinkToken, m: QuorumMessage): void {
    if (link !== this.link) return;
    this.#lastHeard = this.ctx.now;
    if (this.#phase !== 'active') this.#deadline = Math.max(this.#deadline, this.ctx.now + this.ctx.config.syncTime);
    switch (m.type) {
      case Packet.PROPOSAL:
        return this.#propose(m.entry);
      case Packet.COMMIT:
      case Packet.COMMITANDACTIVATE:
        return this.#commit(m.zxid);
      case Packet.INFORM:
      case Packet.INFORMANDACTIVATE:
        this.#propose(m.entry);
        if (this.link !== null) this.#commit(m.entry.zxid);
        return;
      case Packet.PING:
        this.ctx.out.send(link, { type: Packet.PING, zxid: m.zxid, touches: this.ctx.app.touches() });
        return;
      case Packet.SYNC:
        return this.#synced();
      case Packet.REVALIDATE:
        if (m.valid === undefined) return this.#fail('REVALIDATE without an answer');
        this.ctx.out.act({ kind: 'revalidated', sessionId: m.sessionId, valid: m.valid });
        return;
      default:
        return this.#handshake(m);
    }
  }

  // ---- discovery and synchronisation ----

  #handshake(m: QuorumMessage): void {
    const { app } = this.ctx;
    switch (m.type) {
      case Packet.LEADERINFO:
        return this.#leaderInfo(epochOf(m.zxid), m.protocolVersion);
      case Packet.DIFF:
        if (this.#snapshotOnly) return this.#fail('DIFF where only a snapshot can help');
        this.#plan(m.zxid);
        return;
      case Packet.TRUNC:
        return this.#truncate(m.zxid);
      case Packet.SNAP:
        if (!this.#plan(m.zxid)) return;
        this.#inSnapshot = true;
        this.ctx.out.log('info', `getting a snapshot of ${formatZxid(m.zxid)} from server ${this.leaderId}`);
        app.beginSnapshot(m.zxid);
        return;
      case Packet.SNAPSHOT_HEAD:
        if (this.#inSnapshot && !app.snapshotHead(m.head)) this.#fail('a snapshot that is none');
        return;
      case Packet.SNAPSHOT_NODES:
        if (this.#inSnapshot && !app.snapshotNodes(m.nodes)) this.#fail('a snapshot that is none');
        return;
      case Packet.SNAPSHOT_END:
        return this.#snapshotEnd();
      case Packet.NEWLEADER:
        this.#config = m.config;
        return this.#newLeader(m.zxid);
      case Packet.UPTODATE:
        return this.#upToDate();
      default:
        return this.#fail(`packet type ${m.type} from the leader in ${this.#phase}`);
    }
  }

  /** acceptedEpoch is durable before ACKEPOCH leaves; -1 tells that this epoch had been accepted before (PROTOCOL 13.1 step 3). */
  #leaderInfo(epoch: number, version: number): void {
    const { history, out } = this.ctx;
    if (this.#phase !== 'connecting' || this.link === null) return this.#fail('LEADERINFO out of turn');
    if (version < PROTOCOL_VERSION) return this.#fail(`protocol version 0x${version.toString(16)}`);
    if (epoch < history.promisedEpoch)
      return this.#fail(`its epoch ${epoch} is behind ${history.promisedEpoch}, which this server has accepted`);
    if (epoch > LAST_EPOCH) return this.#fail(`epoch ${epoch} is beyond the last one`);
    const known = epoch === history.acceptedEpoch;
    if (epoch > history.promisedEpoch) {
      history.promise(epoch);
      out.setAcceptedEpoch(epoch);
    }
    this.#phase = 'discovery';
    this.#epoch = epoch;
    // The start of an epoch as last zxid: no leader takes that for a point of its history, so it sends a snapshot.
    this.#snapshotOnly = history.wantsSnapshot;
    history.wantsSnapshot = false;
    const zxid = this.#snapshotOnly ? makeZxid(epoch, 0) : history.lastLogged;
    out.sendDurable(this.link, { type: Packet.ACKEPOCH, zxid, currentEpoch: known ? -1 : history.reachedEpoch });
  }

  /** The leader's decision; `upTo` is where its committed history ends. False when it came out of turn. */
  #plan(upTo: Long): boolean {
    if (this.#phase !== 'discovery') {
      this.#fail('synchronisation out of turn');
      return false;
    }
    this.#phase = 'synchronisation';
    this.#planned = true;
    this.#commitLine = upTo;
    return true;
  }

  /**
   * What we have beyond `zxid` was never committed. If the tree has it (after a restart it has the whole log), the tree is read again (fault 5094). A point that
   * is not known may lie inside our snapshot, which then holds what was never committed: only another snapshot gets rid of that.
   */
  #truncate(zxid: Long): void {
    const { history, out } = this.ctx;
    if (this.#snapshotOnly) return this.#fail('TRUNC where only a snapshot can help');
    if (!history.knows(zxid)) {
      history.wantsSnapshot = true;
      return this.#fail(`TRUNC to ${formatZxid(zxid)}, which is no point of this log that is still known`);
    }
    if (!this.#plan(zxid)) return;
    out.log(
      'info',
      `cutting the log at ${formatZxid(zxid)}: server ${this.leaderId} has not what comes behind, up to ${formatZxid(history.lastLogged)}`,
    );
    const reload = compareZxid(zxid, history.lastCommitted) < 0;
    out.truncate(zxid, reload);
    if (reload) history.reset(zxid);
    else history.truncate(zxid);
  }

  #snapshotEnd(): void {
    if (!this.#inSnapshot) return this.#fail('a snapshot that was not announced');
    this.#inSnapshot = false;
    if (!this.ctx.app.endSnapshot()) return this.#fail('a snapshot that is none');
    this.#received = { zxid: this.#commitLine, last: this.#commitLine, entries: [] };
  }

  /**
   * The snapshot and what came behind it replace our history in one durable step (faults 3642, 3104). Not earlier: a leader that is not established yet knows only
   * of a part of its history that it is committed, its snapshot ends there, and what we had beyond it may be all that a commit rests on.
   */
  #adopt({ zxid, entries }: Received): void {
    const { history, out } = this.ctx;
    let covered = 0;
    while (covered < entries.length && compareZxid(entries[covered].zxid, this.#commitLine) <= 0) covered++;
    out.installSnapshot(entries.slice(0, covered));
    history.reset(covered === 0 ? zxid : entries[covered - 1].zxid);
    for (const entry of entries.slice(covered)) {
      history.append(entry);
      out.append(entry);
    }
  }

  /** The order of PROTOCOL 13.1 step 6, with every step durable before the ACK: snapshot, log, currentEpoch (faults 3023, 4646, 4643). */
  #newLeader(zxid: Long): void {
    const { out, history } = this.ctx;
    if (this.#phase !== 'synchronisation' || !this.#planned || this.#inSnapshot || this.link === null)
      return this.#fail('NEWLEADER out of turn');
    if (!zxidEquals(zxid, makeZxid(this.#epoch, 0))) return this.#fail(`NEWLEADER ${formatZxid(zxid)} in epoch ${this.#epoch}`);
    this.#phase = 'newLeader';
    if (this.#received !== null) this.#adopt(this.#received);
    this.#received = null;
    out.setCurrentEpoch(this.#epoch);
    out.sendDurable(this.link, { type: Packet.ACK, zxid });
    for (const entry of history.tail) if (compareZxid(entry.zxid, this.#commitLine) > 0) this.logged(entry);
  }

  #upToDate(): void {
    const { out } = this.ctx;
    if (this.#phase !== 'newLeader' || this.link === null) return this.#fail('UPTODATE out of turn');
    if (this.#config !== null) this.ctx.adoptConfig(this.#config);
    this.#phase = 'active';
    out.sendDurable(this.link, { type: Packet.ACK, zxid: makeZxid(this.#epoch, 0) });
    this.#apply();
    out.log('info', `${this.kind} server ${this.leaderId} in epoch ${this.#epoch} from ${formatZxid(this.ctx.history.lastCommitted)}`);
  }

  // ---- broadcast, and the same rules before it ----

  /** A proposal that comes twice is ignored; a gap is refused (scenario 'Zab.tla 1-3', fault 4925). */
  #propose(entry: LogEntry): void {
    const { history, out } = this.ctx;
    if (!this.#planned || this.#inSnapshot) return this.#fail('PROPOSAL before the synchronisation');
    const last = this.#received === null ? history.lastLogged : this.#received.last;
    if (compareZxid(entry.zxid, last) <= 0) return;
    if (!followsInHistory(last, entry.zxid)) return this.#fail(`gap: ${formatZxid(entry.zxid)} after ${formatZxid(last)}`);
    if (!this.ctx.app.readable(entry)) return this.#fail(`${formatZxid(entry.zxid)} can't be read`);
    if (this.#received !== null) {
      this.#received.entries.push(entry);
      this.#received.last = entry.zxid;
      return;
    }
    history.append(entry);
    out.append(entry);
    if (this.acknowledging) this.logged(entry);
  }

  #commit(zxid: Long): void {
    if (!this.#planned || this.#inSnapshot) return this.#fail('COMMIT before the synchronisation');
    const last = this.#received === null ? this.ctx.history.lastLogged : this.#received.last;
    if (compareZxid(zxid, last) > 0) return this.#fail(`COMMIT of ${formatZxid(zxid)}, which is not logged`);
    if (compareZxid(zxid, this.#commitLine) > 0) this.#commitLine = zxid;
    if (this.#phase === 'active') this.#apply();
  }

  /** Applies what is committed and not yet applied, in order. */
  #apply(): void {
    const { history, out } = this.ctx;
    for (let next = history.tail.peek(); next !== undefined; next = history.tail.peek()) {
      if (compareZxid(next.zxid, this.#commitLine) > 0) break;
      out.commit(history.commitNext());
    }
  }

  #synced(): void {
    const request = this.#syncs.shift();
    if (request === undefined) return this.#fail('SYNC that was not asked for');
    this.ctx.out.act({ kind: 'synced', request });
  }

  #fail(reason: string): void {
    if (this.link !== null) this.ctx.out.closeLink(this.link, reason);
    this.link = null;
    this.ctx.lookAgain(`bad leader: ${reason}`);
  }
}

/** A learner with a vote: it acknowledges each proposal when it is durable, and applies it at COMMIT. */
export class Follower extends Learner {
  override readonly kind = 'following';
  protected override readonly introduction = Packet.FOLLOWERINFO;

  protected override logged(entry: LogEntry): void {
    if (this.link !== null) this.ctx.out.sendDurable(this.link, { type: Packet.ACK, zxid: entry.zxid });
  }
}

/** A learner without a vote: it gets INFORM, one message that is proposal and commit, and acknowledges nothing but NEWLEADER and UPTODATE. */
export class Observer extends Learner {
  override readonly kind = 'observing';
  protected override readonly introduction = Packet.OBSERVERINFO;

  protected override logged(): void {}
}
