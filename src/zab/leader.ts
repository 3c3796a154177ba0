import type Long from 'long';
import { Op } from '../model/codes.ts';
import type { Request } from '../model/records.ts';
import {
  compareZxid,
  counterOf,
  epochOf,
  followsInHistory,
  formatZxid,
  LAST_COUNTER,
  makeZxid,
  nextZxid,
  zxidEquals,
} from '../model/zxid.ts';
import { Fifo } from '../util/fifo.ts';
import type { ZabContext } from './context.ts';
import type { LogEntry } from './entry.ts';
import { LeadershipConfirmation } from './leadership-confirmation.ts';
import { LearnerHandle } from './learner-handle.ts';
import type { AckEpochMessage, LearnerInfoMessage, PingMessage, QuorumMessage, RevalidateMessage } from './messages.ts';
import { EPOCH_LEAP, LAST_EPOCH, Packet, PROTOCOL_VERSION } from './messages.ts';
import type { LinkToken } from './outbox.ts';
import type { VoterSet } from './quorum.ts';
import { planSync } from './sync-plan.ts';

/** Connections that have not said who they are. */
const MAX_STRANGERS = 256;

/** A transaction on its way: who has it on disk. */
interface Proposal {
  readonly entry: LogEntry;
  /** Number of the leader's own write of it. */
  readonly seq: number;
  acks: VoterSet;
}

/**
 * The leader, from the election to its end. Its phases (PROTOCOL 13.1):
 * - discovery: waits for a quorum of FOLLOWERINFO, then gives the new epoch;
 * - epochAck: waits for a quorum of ACKEPOCH; leaves if one of them has a longer history;
 * - synchronisation: brings each learner to its own history; waits for a quorum of ACKs to NEWLEADER;
 * - broadcast: proposes, counts ACKs, commits in order. Learners may join at any time.
 */
export class Leader {
  readonly kind = 'leading';
  readonly #ctx: ZabContext;
  readonly #self: VoterSet;
  readonly #handles = new Map<LinkToken, LearnerHandle>();
  /** Proposed, not committed. The zxids are consecutive, so the place of one is its distance from the first. */
  readonly #outstanding = new Fifo<Proposal>();
  /** How many of them, from the first on, are on our own disk. */
  #ownAcked = 0;
  readonly #confirmation: LeadershipConfirmation;
  #phase: 'discovery' | 'epochAck' | 'synchronisation' | 'broadcast' = 'discovery';
  #epoch = 0;
  /** Who has promised to follow no earlier epoch, with a history that is not longer than ours; that holds even if its link is gone since. */
  #promised: VoterSet;
  /** Number of the write of currentEpoch: when it and all before it are durable, our own ACK of NEWLEADER counts. */
  #newLeaderSeq = Number.POSITIVE_INFINITY;
  #durableSeq = 0;
  #lastProposed: Long;
  #establishBy: number;
  #nextTick: number;

  constructor(ctx: ZabContext) {
    this.#ctx = ctx;
    this.#self = ctx.config.quorum.bit(ctx.config.id);
    this.#promised = this.#self;
    this.#lastProposed = ctx.history.lastLogged;
    this.#establishBy = ctx.now + ctx.config.initTime;
    this.#nextTick = ctx.now + ctx.config.tickTime / 2;
    this.#confirmation = new LeadershipConfirmation(ctx, this.#handles);
  }

  get serving(): boolean {
    return this.#phase === 'broadcast';
  }

  get epoch(): number {
    return this.#epoch;
  }

  get leaderId(): number {
    return this.#ctx.config.id;
  }

  get lastProposed(): Long {
    return this.#lastProposed;
  }

  get deadline(): number {
    return this.#nextTick;
  }

  start(): void {
    this.#discover();
  }

  /** The role ends: nobody follows any more. */
  stop(): void {
    for (const handle of this.#handles.values()) this.#ctx.out.closeLink(handle.link, 'no longer leading');
    this.#handles.clear();
  }

  // ---- inputs ----

  /** A learner has connected. */
  incoming(link: LinkToken): void {
    this.#limitStrangers();
    this.#handles.set(link, new LearnerHandle(link, this.#ctx.out, this.#ctx.now, this.#ctx.config.initTime));
  }

  /** A learner says who it is at once; whoever has been silent longest makes room, so that strangers don't use up the process's files. */
  #limitStrangers(): void {
    let strangers = 0;
    let oldest: LearnerHandle | undefined;
    for (const handle of this.#handles.values()) {
      if (handle.phase !== 'connected') continue;
      oldest ??= handle;
      strangers++;
    }
    if (oldest !== undefined && strangers >= MAX_STRANGERS) this.#drop(oldest, 'too many connections that have not said who they are');
  }

  closed(link: LinkToken): void {
    this.#handles.delete(link);
  }

  message(link: LinkToken, m: QuorumMessage): void {
    const handle = this.#handles.get(link);
    if (handle === undefined) return;
    handle.lastHeard = this.#ctx.now;
    switch (m.type) {
      case Packet.ACK:
        return this.#ack(handle, m.zxid);
      case Packet.PING:
        return this.#pong(handle, m);
      case Packet.REQUEST:
        if (handle.phase !== 'active') return this.#drop(handle, 'REQUEST before UPTODATE');
        this.request(m.request, link);
        return;
      case Packet.REVALIDATE:
        return this.#revalidate(handle, m);
      case Packet.FOLLOWERINFO:
      case Packet.OBSERVERINFO:
        return this.#learnerInfo(handle, m);
      case Packet.ACKEPOCH:
        return this.#ackEpoch(handle, m);
      default:
        return this.#drop(handle, `packet type ${m.type} from a learner`);
    }
  }

  /** Everything up to write number `seq` is on our disk. */
  persisted(seq: number): void {
    this.#durableSeq = seq;
    if (this.#phase === 'epochAck') this.#checkEpochAcks();
    if (this.#phase === 'synchronisation') this.#checkNewLeaderAcks();
    if (this.#phase !== 'broadcast') return;
    for (; this.#ownAcked < this.#outstanding.length; this.#ownAcked++) {
      const proposal = this.#outstanding.at(this.#ownAcked);
      if (proposal.seq > seq) break;
      proposal.acks |= this.#self;
    }
    this.#commitReady();
  }

  /** A snapshot stream has ended: what came meanwhile follows it, then NEWLEADER (fault 3104). */
  snapshotStreamed(link: LinkToken): void {
    const handle = this.#handles.get(link);
    if (handle === undefined) return;
    handle.release();
    this.#newLeader(handle);
  }

  /** Those who have connected, whatever has become of them so far. */
  get learners(): ReadonlyMap<LinkToken, LearnerHandle> {
    return this.#handles;
  }

  /** A stream to the learner goes on: it is slow, but it lives. */
  streamProgress(link: LinkToken): void {
    const handle = this.#handles.get(link);
    if (handle !== undefined) handle.deadline = this.#ctx.now + this.#ctx.config.initTime;
  }

  /** The log read for a learner is done: `entries` run from the one after its last up to where memory begins; null if the log can't give them. */
  logRead(link: LinkToken, entries: readonly LogEntry[] | null): void {
    const handle = this.#handles.get(link);
    if (handle === undefined || handle.logSync === null) return;
    const { upTo, memory } = handle.logSync;
    handle.logSync = null;
    const all = entries === null ? [] : [...entries, ...memory];
    let last = handle.lastZxid;
    for (const entry of all) {
      if (!followsInHistory(last, entry.zxid)) return this.#snap(handle);
      last = entry.zxid;
    }
    if (!zxidEquals(last, upTo)) return this.#snap(handle);
    this.#diff(handle, upTo, all);
    handle.release();
    this.#newLeader(handle);
  }

  /** A write or a sync, of this process (`from` null) or of a learner. False when it can't be taken and was not. */
  request(request: Request, from: LinkToken | null): boolean {
    if (this.#phase !== 'broadcast') return false;
    if (request.op === Op.sync) {
      this.#confirmation.sync(request, from, this.#lastProposed);
      return true;
    }
    if (counterOf(this.#lastProposed) >= LAST_COUNTER) {
      this.#ctx.lookAgain('the counter of this epoch is used up');
      return false;
    }
    this.#propose(request, from);
    return true;
  }

  revalidate(sessionId: Long, timeout: number): boolean {
    return this.#ctx.app.revalidate(sessionId, timeout, null);
  }

  /** A voter is past our election. While too few follow to begin, waiting for them would take all of initLimit (fault 3109). */
  overtaken(voter: number): void {
    if (this.#phase === 'broadcast' || this.#ctx.config.quorum.isQuorum(this.#known())) return;
    this.#ctx.lookAgain(`server ${voter} has gone on voting, and no quorum is here yet`);
  }

  tick(): void {
    const { now, config } = this.#ctx;
    if (now < this.#nextTick) return;
    this.#nextTick = now + config.tickTime / 2;
    for (const handle of this.#handles.values()) {
      if (handle.phase === 'active') {
        if (now - handle.lastHeard > config.syncTime) this.#drop(handle, `silent for ${Math.round(now - handle.lastHeard)} ms`);
      } else if (now > handle.deadline) this.#drop(handle, `not synchronised within the limit (${handle.phase})`);
    }
    if (this.#phase !== 'broadcast') {
      if (now > this.#establishBy) this.#ctx.lookAgain(`no quorum within initLimit (${this.#phase})`);
      return;
    }
    let alive = this.#self;
    for (const h of this.#handles.values()) if (h.forwarding) alive |= h.bit;
    if (!config.quorum.isQuorum(alive)) return this.#ctx.lookAgain('a quorum of followers is gone');
    this.#confirmation.heartbeat(this.#lastProposed);
  }

  // ---- discovery ----

  #learnerInfo(handle: LearnerHandle, m: LearnerInfoMessage): void {
    const { config } = this.#ctx;
    const isParticipant = m.type === Packet.FOLLOWERINFO;
    if (handle.phase !== 'connected') return this.#drop(handle, 'FOLLOWERINFO twice');
    if (m.protocolVersion !== PROTOCOL_VERSION) return this.#drop(handle, `protocol version 0x${m.protocolVersion.toString(16)}`);
    if (!config.serverIds.has(m.serverId) || m.serverId === config.id)
      return this.#drop(handle, `server id ${m.serverId} is not another one of ours`);
    if (isParticipant !== config.quorum.isVoter(m.serverId))
      return this.#drop(handle, `server ${m.serverId} has another role in our configuration`);
    if (compareZxid(m.configVersion, config.ensemble.version) > 0) return this.#drop(handle, 'it knows a newer configuration');
    const acceptedEpoch = epochOf(m.zxid);
    const reachable = Math.min(Math.max(this.#ctx.history.promisedEpoch, this.#epoch) + EPOCH_LEAP, LAST_EPOCH - 1);
    if (acceptedEpoch > reachable) return this.#drop(handle, `nobody accepts epoch ${acceptedEpoch} here`);
    for (const other of this.#handles.values()) {
      if (other !== handle && other.serverId === m.serverId) this.#drop(other, `server ${m.serverId} has connected again`);
    }
    handle.phase = 'known';
    handle.serverId = m.serverId;
    handle.isParticipant = isParticipant;
    handle.bit = config.quorum.bit(m.serverId);
    handle.acceptedEpoch = acceptedEpoch;
    if (this.#phase === 'discovery') return this.#discover();
    this.#leaderInfo(handle);
  }

  /** Ourselves and the voters that are connected and have said who they are. */
  #known(): VoterSet {
    let set = this.#self;
    for (const h of this.#handles.values()) set |= h.bit;
    return set;
  }

  #discover(): void {
    const { config, history, out } = this.#ctx;
    if (!config.quorum.isQuorum(this.#known())) return;
    let highest = Math.max(history.promisedEpoch, history.heardEpoch);
    for (const h of this.#handles.values()) highest = Math.max(highest, h.acceptedEpoch);
    this.#phase = 'epochAck';
    this.#epoch = highest + 1;
    history.promise(this.#epoch);
    out.setAcceptedEpoch(this.#epoch);
    for (const h of this.#handles.values()) if (h.phase === 'known') this.#leaderInfo(h);
    this.#checkEpochAcks();
  }

  /**
   * A learner that has accepted a later epoch can't follow this one (PROTOCOL 13.1 step 3). It would be missing for as long as this epoch lasts, so one that is later
   * than its own is begun (faults 335, 3608): for an observer too, which can't be asked to take its word back either.
   */
  #leaderInfo(handle: LearnerHandle): void {
    if (handle.acceptedEpoch > this.#epoch) {
      const { history } = this.#ctx;
      const reason = `it has accepted epoch ${handle.acceptedEpoch}, ours is ${this.#epoch}`;
      history.heardEpoch = Math.max(history.heardEpoch, handle.acceptedEpoch);
      this.#ctx.lookAgain(`server ${handle.serverId}: ${reason}`);
      return this.#drop(handle, reason);
    }
    const message: QuorumMessage = { type: Packet.LEADERINFO, zxid: makeZxid(this.#epoch, 0), protocolVersion: PROTOCOL_VERSION };
    if (this.#ctx.history.acceptedEpoch === this.#epoch) this.#ctx.out.send(handle.link, message);
    else this.#ctx.out.sendDurable(handle.link, message);
  }

  #ackEpoch(handle: LearnerHandle, m: AckEpochMessage): void {
    if (handle.phase !== 'known' || this.#phase === 'discovery') return this.#drop(handle, 'ACKEPOCH out of turn');
    handle.phase = 'epochAcked';
    handle.currentEpoch = m.currentEpoch;
    handle.lastZxid = m.zxid;
    if (this.#phase === 'epochAck') return this.#checkEpochAcks();
    this.#startSync(handle);
  }

  #checkEpochAcks(): void {
    const { config, history, out } = this.#ctx;
    if (history.acceptedEpoch !== this.#epoch) return;
    for (const h of this.#handles.values()) {
      if (h.phase !== 'epochAcked' || h.currentEpoch === -1) continue;
      const ahead = h.currentEpoch - history.reachedEpoch || compareZxid(h.lastZxid, history.lastLogged);
      if (h.isParticipant && ahead > 0) {
        return this.#ctx.lookAgain(`server ${h.serverId} has a longer history: epoch ${h.currentEpoch}, ${formatZxid(h.lastZxid)}`);
      }
      this.#promised |= h.bit;
    }
    if (!config.quorum.isQuorum(this.#promised)) return;
    this.#phase = 'synchronisation';
    this.#newLeaderSeq = out.setCurrentEpoch(this.#epoch);
    for (const h of this.#handles.values()) if (h.phase === 'epochAcked') this.#startSync(h);
  }

  // ---- synchronisation ----

  /** From here on the learner gets every proposal and commit after `upTo`, behind what the plan sends. */
  #startSync(handle: LearnerHandle): void {
    const { history, out } = this.#ctx;
    const upTo = this.#phase === 'broadcast' ? history.lastCommitted : history.lastLogged;
    // Whatever it acknowledged over an earlier link it may be about to cut off: it must get that again and acknowledge it again.
    for (const proposal of this.#outstanding) proposal.acks &= ~handle.bit;
    const plan = planSync(history, upTo, handle.lastZxid);
    out.log('info', `server ${handle.serverId} at ${formatZxid(handle.lastZxid)} gets ${plan.kind.toUpperCase()} to ${formatZxid(upTo)}`);
    handle.phase = 'syncing';
    if (plan.kind === 'snap') return this.#snap(handle);
    if (plan.kind === 'disk') {
      handle.logSync = { upTo, memory: history.entriesAfter(plan.memoryFrom, upTo) };
      out.act({ kind: 'readLog', link: handle.link, after: handle.lastZxid, upTo: plan.memoryFrom });
      handle.hold();
      this.#forwardOutstanding(handle);
      return;
    }
    if (plan.kind === 'trunc') out.send(handle.link, { type: Packet.TRUNC, zxid: upTo });
    else this.#diff(handle, upTo, history.entriesAfter(handle.lastZxid, upTo));
    this.#forwardOutstanding(handle);
    this.#newLeader(handle);
  }

  #diff(handle: LearnerHandle, upTo: Long, entries: readonly LogEntry[]): void {
    const { out } = this.#ctx;
    out.send(handle.link, { type: Packet.DIFF, zxid: upTo });
    for (const entry of entries) {
      out.send(handle.link, { type: Packet.PROPOSAL, entry });
      out.send(handle.link, { type: Packet.COMMIT, zxid: entry.zxid });
    }
  }

  /**
   * The snapshot is the tree as it is now: at the commit line. What is logged beyond it follows the stream: before the leader is established that is part of
   * its history and so committed with it, later it is outstanding.
   */
  #snap(handle: LearnerHandle): void {
    const { history, out } = this.#ctx;
    out.send(handle.link, { type: Packet.SNAP, zxid: history.lastCommitted });
    out.act({ kind: 'streamSnapshot', link: handle.link });
    handle.hold();
    if (this.#phase === 'broadcast') return this.#forwardOutstanding(handle);
    for (const entry of history.tail) {
      handle.forward({ type: Packet.PROPOSAL, entry });
      handle.forward({ type: Packet.COMMIT, zxid: entry.zxid });
    }
  }

  #forwardOutstanding(handle: LearnerHandle): void {
    if (!handle.isParticipant) return;
    for (const { entry } of this.#outstanding) handle.forward({ type: Packet.PROPOSAL, entry });
  }

  #newLeader(handle: LearnerHandle): void {
    const { out, config, now } = this.#ctx;
    handle.phase = 'newLeaderSent';
    handle.deadline = now + config.initTime;
    out.send(handle.link, { type: Packet.NEWLEADER, zxid: makeZxid(this.#epoch, 0), config: config.ensemble.latest });
  }

  #checkNewLeaderAcks(): void {
    const { config, history, out } = this.#ctx;
    let acked = this.#durableSeq >= this.#newLeaderSeq ? this.#self : 0;
    for (const h of this.#handles.values()) if (h.phase === 'newLeaderAcked') acked |= h.bit;
    if (!config.quorum.isQuorum(acked)) return;
    this.#phase = 'broadcast';
    this.#lastProposed = makeZxid(this.#epoch, 0);
    while (history.tail.length > 0) out.commit(history.commitNext());
    out.log('info', `leading epoch ${this.#epoch} from ${formatZxid(history.lastCommitted)}`);
    for (const h of this.#handles.values()) if (h.phase === 'newLeaderAcked') this.#upToDate(h);
  }

  #upToDate(handle: LearnerHandle): void {
    this.#ctx.out.send(handle.link, { type: Packet.UPTODATE, zxid: makeZxid(0xffffffff, 0xffffffff) });
    handle.activate();
  }

  // ---- broadcast ----

  #propose(request: Request, from: LinkToken | null): void {
    const { app, history, out } = this.#ctx;
    const zxid = nextZxid(this.#lastProposed);
    const entry = app.prepare(request, zxid, from);
    this.#lastProposed = zxid;
    history.append(entry);
    this.#outstanding.push({ entry, seq: out.append(entry), acks: 0 });
    const message: QuorumMessage = { type: Packet.PROPOSAL, entry };
    for (const h of this.#handles.values()) if (h.isParticipant && h.forwarding) h.forward(message);
  }

  #ack(handle: LearnerHandle, zxid: Long): void {
    if (!handle.forwarding) return this.#drop(handle, 'ACK before anything was sent to it');
    if (zxidEquals(zxid, makeZxid(this.#epoch, 0))) {
      if (handle.phase === 'newLeaderSent') {
        handle.phase = 'newLeaderAcked';
        if (this.#phase === 'synchronisation') this.#checkNewLeaderAcks();
        else this.#upToDate(handle);
        if (this.#phase === 'broadcast') this.#countAcks(handle);
      }
      return;
    }
    if (compareZxid(zxid, this.#lastProposed) > 0) return this.#drop(handle, `ACK of ${formatZxid(zxid)}, which was never proposed`);
    if (compareZxid(zxid, handle.acked) > 0) handle.acked = zxid;
    if (this.#phase === 'broadcast') this.#countAcks(handle);
  }

  /**
   * An acknowledgement of one entry is one of all before it: a log has no holes. It counts only after NEWLEADER was acknowledged, since until then the epoch is not
   * on that disk (fault 4685: an early one is no reason to quit).
   */
  #countAcks(handle: LearnerHandle): void {
    if (handle.bit === 0 || (handle.phase !== 'active' && handle.phase !== 'newLeaderAcked')) return;
    if (epochOf(handle.acked) !== this.#epoch || handle.counted === counterOf(handle.acked)) return;
    const first = this.#outstanding.peek();
    if (first !== undefined) {
      const base = counterOf(first.entry.zxid);
      const end = counterOf(handle.acked) - base;
      for (let i = Math.max(0, handle.counted + 1 - base); i <= end; i++) this.#outstanding.at(i).acks |= handle.bit;
    }
    handle.counted = counterOf(handle.acked);
    this.#commitReady();
  }

  #commitReady(): void {
    const { config, history, out } = this.#ctx;
    for (let head = this.#outstanding.peek(); head !== undefined; head = this.#outstanding.peek()) {
      if (!config.quorum.isQuorum(head.acks)) break;
      this.#outstanding.shift();
      if (this.#ownAcked > 0) this.#ownAcked--;
      const entry = history.commitNext();
      out.commit(entry);
      const commit: QuorumMessage = { type: Packet.COMMIT, zxid: entry.zxid };
      const inform: QuorumMessage = { type: Packet.INFORM, entry };
      for (const h of this.#handles.values()) {
        if (!h.forwarding) continue;
        if (h.isParticipant) h.forwardCommit(commit);
        else h.forwardCommit(inform);
      }
    }
    this.#confirmation.answer();
  }

  #pong(handle: LearnerHandle, m: PingMessage): void {
    if (handle.phase !== 'active' || m.touches === null) return this.#drop(handle, 'PING out of turn');
    handle.pong();
    this.#ctx.app.touch(m.touches);
    this.#confirmation.answer();
  }

  #revalidate(handle: LearnerHandle, m: RevalidateMessage): void {
    if (handle.phase !== 'active' || m.timeout === undefined) return this.#drop(handle, 'REVALIDATE out of turn');
    const valid = this.#ctx.app.revalidate(m.sessionId, m.timeout, handle.link);
    handle.forward({ type: Packet.REVALIDATE, sessionId: m.sessionId, valid });
  }

  #drop(handle: LearnerHandle, reason: string): void {
    this.#handles.delete(handle.link);
    this.#ctx.out.closeLink(handle.link, `${handle.serverId === 0 ? 'learner' : `server ${handle.serverId}`}: ${reason}`);
  }
}
