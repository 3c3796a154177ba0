import type Long from 'long';
import { Op } from '../model/codes.ts';
import type { Request, TxnHeader } from '../model/records.ts';
import { formatZxid, ZXID_NONE, zxidEquals } from '../model/zxid.ts';
import type { QuorumLink, QuorumLinkHandler, TransportHandler } from '../seams/transport.ts';
import type { ZnodeTree } from '../tree/tree.ts';
import { EnsembleConfig } from '../zab/ensemble-config.ts';
import type { LogEntry } from '../zab/entry.ts';
import { History } from '../zab/history.ts';
import type { ElectionMessage, QuorumMessage } from '../zab/messages.ts';
import { type Action, Outbox } from '../zab/outbox.ts';
import { Peer } from '../zab/peer.ts';
import type { Role } from './api.ts';
import { DurableSends } from './durable-sends.ts';
import type { ReplicaControl, ReplicaHooks, ReplicaReport } from './hooks.ts';
import { type LinkOwner, LinkPort } from './link-port.ts';
import type { ResolvedOptions } from './options.ts';
import { Persistence } from './persistence.ts';
import { ProtocolTime } from './protocol-time.ts';
import { ReplicaState } from './replica-state.ts';
import { SnapshotSchedule } from './snapshot-schedule.ts';
import { SnapshotStreams, type StreamHost } from './snapshot-streams.ts';
import { TransportKeeper } from './transport-keeper.ts';
import { TreeRecovery } from './tree-recovery.ts';
import { zabConfigOf } from './zab-config.ts';

/** Log that is read from disk for one learner at most, bytes: beyond it a snapshot is the better way. */
const MAX_LOG_SYNC = 64 << 20;

/**
 * The driver: brings inputs (messages, durable writes, time, requests) to the protocol one step at a time, and carries out what the outbox says after it. All
 * order between disk and network is kept here and nowhere else. After `stop` or a failure nothing of it acts any more (faults 4712, 4541, 4502).
 */
export class Replica implements ReplicaControl, TransportHandler, LinkOwner, StreamHost {
  readonly #options: ResolvedOptions;
  readonly #hooks: ReplicaHooks;
  readonly #out = new Outbox();
  readonly #history: History;
  readonly #state: ReplicaState;
  readonly #peer: Peer;
  readonly #streams: SnapshotStreams;
  readonly #schedule: SnapshotSchedule;
  readonly #persistence: Persistence;
  readonly #time: ProtocolTime;
  readonly #durableSends = new DurableSends();
  readonly #links = new Set<QuorumLink>();
  readonly #ensemble: EnsembleConfig;
  readonly #transport: TransportKeeper;
  #draining = false;
  #drainPlanned = false;
  #stopped = false;
  #failed = false;
  /** Who waits for the end of `stop`. */
  #stopping: (() => void)[] | 'done' | null = null;
  #nextDuties = 0;
  #shownRole: Role = 'stopped';
  #shownLeader: number | undefined;
  #shownEpoch = 0;
  #serving = false;
  readonly #counts = { committed: 0, elections: 0, snapshotsSent: 0, linksClosed: 0 };

  constructor(options: ResolvedOptions, hooks: ReplicaHooks) {
    this.#options = options;
    this.#hooks = hooks;
    this.#history = new History(options.commitLogCount);
    const ensemble = new EnsembleConfig(options.id, options.servers, options.configVersion);
    this.#ensemble = ensemble;
    this.#transport = new TransportKeeper(options, ensemble, this);
    this.#time = new ProtocolTime(options.clock, options.tickTime / 2, () => this.#tick());
    this.#state = new ReplicaState(options, ensemble, { now: () => this.#time.now(), liveSessions: () => hooks.liveSessions() });
    this.#peer = new Peer(
      zabConfigOf(options, ensemble),
      this.#history,
      this.#out,
      this.#state,
      options.election,
      options.random.below(0x7fffffff),
    );
    this.#streams = new SnapshotStreams(options.snapshotConcurrency, options.clock, this);
    this.#schedule = new SnapshotSchedule(options, () => this.#state.openSnapshot());
    this.#persistence = new Persistence(options.storage, this.#history, this.#state, this.#durable);
  }

  // ---- ReplicaControl ----

  get role(): Role {
    return this.#shownRole;
  }
  get leaderId(): number | undefined {
    return this.#shownLeader;
  }
  get epoch(): number {
    return this.#shownEpoch;
  }
  get serving(): boolean {
    return this.#serving;
  }
  get tree(): ZnodeTree {
    return this.#state.tree;
  }
  get servers() {
    return this.#ensemble.servers;
  }

  submit(request: Request): boolean {
    if (!this.#serving || !this.#enter()) return false;
    let taken = false;
    try {
      taken = this.#peer.request(request);
    } catch (error) {
      this.#fail(error);
    }
    this.#planDrain();
    return taken;
  }

  revalidate(sessionId: Long, timeout: number): boolean {
    let asked = false;
    const ask = (peer: Peer) => {
      asked = peer.revalidate(sessionId, timeout);
    };
    if (this.#serving && this.#input(ask)) this.#planDrain();
    return asked;
  }

  report(): ReplicaReport {
    return this.#state.report(this.#peer.learners.values());
  }

  metrics(): Record<string, number> {
    const { nodeCount, sessions, digestMismatches } = this.tree;
    return { ...this.#counts, outstanding: this.#history.tail.length, znodes: nodeCount, sessions: sessions.size, digestMismatches };
  }

  // ---- life ----

  /** Opens the store, recovers the history, opens the transport and begins the first election. `done` comes once, before any role. */
  start(done: (error: Error | null) => void): void {
    const { storage, clock, logger, id } = this.#options;
    const failed = (error: Error) => this.stop(() => done(error));
    storage.open({ serverId: id, clock, logger }, (error) => {
      if (error !== null) return failed(error);
      if (this.#stopped) return;
      this.#recover((failure) => {
        if (failure !== null) return failed(failure);
        if (this.#stopped) return;
        this.#transport.open((refusal) => {
          if (refusal !== null) return failed(refusal);
          done(null);
          this.#step((peer) => peer.start());
        });
      });
    });
  }

  /** Gives up the role and releases transport and storage; nothing acts after `done`. */
  stop(done: () => void): void {
    if (this.#stopping !== null) {
      if (this.#stopping === 'done') done();
      else this.#stopping.push(done);
      return;
    }
    const waiting = [done];
    this.#stopping = waiting;
    this.#step((peer) => peer.stop());
    this.#stopped = true;
    this.#streams.cancelAll();
    this.#state.stopLeading();
    this.#time.stop();
    const released = () => {
      this.#stopping = 'done';
      for (const tell of waiting) tell();
    };
    this.#transport.close(() => this.#options.storage.close(released));
  }

  #recover(done: (error: Error | null) => void): void {
    const history = this.#history;
    const sink = new TreeRecovery(this.#state, {
      begin: (zxid) => history.reset(zxid),
      entry: (entry) => {
        history.recovered(entry);
        this.#schedule.logged(1);
      },
    });
    this.#options.storage.recover(sink, (error, found) => {
      if (error !== null || found === undefined) return done(error ?? new Error('the store gave no result'));
      history.acceptedEpoch = found.acceptedEpoch;
      history.currentEpoch = found.currentEpoch;
      this.#state.incoming = sink.tree;
      this.#log('info', `recovered to ${formatZxid(found.lastZxid)}, epochs ${found.acceptedEpoch}/${found.currentEpoch}`);
      if (sink.hasSnapshot || !zxidEquals(found.lastZxid, ZXID_NONE)) return done(null);
      // ZooKeeper opens no directory that has a log and no snapshot at all, so an empty store begins with the snapshot of nothing, as its own do.
      if (found.currentEpoch === 0) return this.#options.storage.saveSnapshot(this.#state.openSnapshot(), done);
      // So this one was not always empty, and its epoch would win elections for it (faults 2325, 3056).
      done(new Error(`the store was in epoch ${found.currentEpoch} and has no history: it has lost what it had`));
    });
  }

  /** The end by an error: the role ends, nothing more is written, and everybody is told. */
  #fail(cause: unknown): void {
    if (this.#stopped || this.#failed) return;
    this.#failed = true;
    const error = cause instanceof Error ? cause : new Error(String(cause));
    this.#log('error', `the replica stops: ${error.message}`);
    this.#out.clear();
    // Not told as an end of serving: what waits is to fail with this error, as `fatal` tells.
    this.#serving = false;
    this.stop(() => this.#hooks.fatal(error));
  }

  // ---- inputs ----

  /** Whether a step may run; sets its time. */
  #enter(): boolean {
    if (this.#stopped) return false;
    this.#peer.now = Math.max(this.#peer.now, this.#time.now());
    return true;
  }

  /** One input that is not frequent; false when it had no effect. What it throws ends this replica, never the process. */
  #input(input: (peer: Peer) => void): boolean {
    if (!this.#enter()) return false;
    try {
      input(this.#peer);
      return true;
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  #step(input: (peer: Peer) => void): void {
    if (this.#input(input)) this.#drain();
  }

  incoming(link: QuorumLink): QuorumLinkHandler {
    const port = new LinkPort(this);
    port.link = link;
    this.#links.add(link);
    if (this.#input((peer) => peer.incoming(link))) this.#planDrain();
    return port;
  }

  linkMessages(link: QuorumLink, batch: readonly QuorumMessage[]): void {
    if (!this.#enter()) return;
    try {
      for (let i = 0; i < batch.length; i++) {
        this.#peer.message(link, batch[i]);
        // What begins or ends with this message must be in place before the next one is looked at.
        if (this.#peer.serving !== this.#serving) this.#drain();
      }
    } catch (error) {
      return this.#fail(error);
    }
    this.#drain();
  }

  linkDrained(link: QuorumLink): void {
    this.#streams.drained(link);
  }

  linkClosed(link: QuorumLink, reason: string): void {
    this.#streams.cancel(link);
    this.#links.delete(link);
    this.#counts.linksClosed++;
    this.#step((peer) => peer.linkClosed(link, reason));
  }

  election(from: number, message: ElectionMessage): void {
    this.#step((peer) => peer.electionMessage(from, message));
  }

  electionLink(peer: number, up: boolean): void {
    this.#step((core) => core.electionLink(peer, up));
  }

  streamProgress(link: QuorumLink): void {
    this.#step((peer) => peer.streamProgress(link));
  }

  streamDone(link: QuorumLink): void {
    this.#counts.snapshotsSent++;
    this.#step((peer) => peer.snapshotStreamed(link));
  }

  streamFailed(_link: QuorumLink, error: unknown): void {
    this.#fail(error);
  }

  /** Everything up to write number `seq` is on disk: what waited for it leaves, and the leader may count it. */
  readonly #durable = (error: Error | null, seq: number): void => {
    if (error !== null) return this.#fail(error);
    if (!this.#enter()) return;
    try {
      this.#durableSends.durable(seq);
      this.#peer.persisted(seq);
    } catch (failure) {
      return this.#fail(failure);
    }
    this.#drain();
  };

  /** Time, looked at after the I/O of this turn. */
  #tick(): void {
    this.#step((peer) => {
      peer.tick();
      if (peer.now < this.#nextDuties) return;
      this.#nextDuties = peer.now + this.#options.tickTime / 2;
      this.#dropSlow();
      if (this.#serving) for (const request of this.#state.duties()) peer.request(request);
    });
  }

  /** A peer that does not take what it is sent is given up before it fills our memory. */
  #dropSlow(): void {
    const limit = this.#options.maxLearnerBacklog;
    for (const link of [...this.#links]) {
      const waiting = link.buffered + this.#peer.waitingBytes(link);
      if (waiting <= limit) continue;
      const reason = `${waiting} bytes wait for it, more than maxLearnerBacklog (${limit})`;
      this.#closeLink(link, reason);
      this.#peer.linkClosed(link, reason);
    }
  }

  // ---- effects ----

  /** Requests of one turn share one drain, and so one write to disk and one to each peer. */
  #planDrain(): void {
    if (this.#drainPlanned || this.#draining) return;
    this.#drainPlanned = true;
    this.#options.clock.defer(() => {
      this.#drainPlanned = false;
      if (!this.#stopped) this.#drain();
    });
  }

  /** Carries out the outbox until it is empty. What hooks cause meanwhile lands in the outbox and is carried out as well. */
  #drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    try {
      do {
        this.#persist();
        this.#send();
        this.#apply();
        this.#act();
        this.#show();
      } while (!this.#out.empty && !this.#stopped);
    } catch (error) {
      this.#draining = false;
      return this.#fail(error);
    }
    this.#draining = false;
    if (!this.#stopped) this.#time.arm(Math.min(this.#peer.deadline, Math.max(this.#nextDuties, this.#peer.now)));
  }

  #persist(): void {
    const ops = this.#out.persist;
    for (let i = 0; i < ops.length; i++) this.#persistence.carryOut(ops[i]);
    ops.length = 0;
  }

  #send(): void {
    const { sendLinks, sendMessages, durableSends } = this.#out;
    for (let i = 0; i < sendLinks.length; i++) (sendLinks[i] as QuorumLink).send(sendMessages[i]);
    sendLinks.length = 0;
    sendMessages.length = 0;
    this.#durableSends.add(durableSends);
    durableSends.length = 0;
  }

  #apply(): void {
    const { committed } = this.#out;
    if (committed.length === 0) return;
    for (let i = 0; i < committed.length; i++) this.#applyOne(committed[i]);
    this.#counts.committed += committed.length;
    this.#schedule.logged(committed.length);
    committed.length = 0;
    if (this.#serving) this.#schedule.consider();
  }

  #applyOne(entry: LogEntry): void {
    const hidden = this.#state.incoming !== null;
    const { txn, result } = this.#state.apply(entry, this.#applying);
    if (!hidden) this.#hooks.applied(txn, result);
    if (txn.header.type === Op.reconfig) this.#peer.reconfigured(this.#state.configInTree);
  }

  readonly #applying = (header: TxnHeader): boolean => this.#hooks.applying(header);

  #act(): void {
    const { actions } = this.#out;
    for (let i = 0; i < actions.length; i++) this.#actOne(actions[i]);
    actions.length = 0;
  }

  #actOne(action: Action): void {
    switch (action.kind) {
      case 'election':
        return this.#transport.current?.sendElection(action.peer, action.message);
      case 'reconnectElection':
        return this.#transport.current?.reconnectElection();
      case 'dial':
        return this.#dial(action.peer);
      case 'closeLink':
        return this.#closeLink(action.link as QuorumLink, action.reason);
      case 'streamSnapshot':
        return this.#streams.start(action.link as QuorumLink, () => this.#state.openSnapshot());
      case 'readLog':
        return this.#readLog(action.link as QuorumLink, action.after, action.upTo);
      case 'synced':
        return this.#hooks.synced(action.request);
      case 'revalidated':
        return this.#hooks.revalidated(action.sessionId, action.valid);
      case 'configChanged':
        this.#state.showConfig();
        return this.#hooks.configChanged(this.#ensemble.version, this.#ensemble.servers);
      case 'membersChanged':
        return this.#move();
      case 'log':
        return this.#log(action.level, action.text);
    }
  }

  /** The role has ended; the next one begins among the members that there are now. */
  #move(): void {
    this.#streams.cancelAll();
    this.#links.clear();
    this.#transport.reopen((error) => (error === null ? this.#step((peer) => peer.start()) : this.#fail(error)));
  }

  #dial(peer: number): void {
    const transport = this.#transport.current;
    if (transport === null) return;
    const port = new LinkPort(this);
    port.link = transport.dial(peer, port);
    this.#links.add(port.link);
    this.#peer.dialled(port.link);
  }

  #closeLink(link: QuorumLink, reason: string): void {
    this.#streams.cancel(link);
    this.#links.delete(link);
    this.#counts.linksClosed++;
    this.#log('info', `closing the link to ${link.remote}: ${reason}`);
    link.close(reason);
  }

  #readLog(link: QuorumLink, after: Long, upTo: Long): void {
    const entries: LogEntry[] = [];
    const take = (entry: LogEntry) => entries.push(entry) > 0;
    this.#options.storage.readLog(after, upTo, MAX_LOG_SYNC, take, (error) => {
      if (error !== null) this.#log('info', `the log can't serve ${link.remote}, so the snapshot will: ${error.message}`);
      this.#step((peer) => peer.logRead(link, error === null ? entries : null));
    });
  }

  // ---- what shows outside ----

  #show(): void {
    const peer = this.#peer;
    const serving = peer.serving;
    if (serving && !this.#serving) this.#beginServing();
    const role: Role = serving ? (peer.kind as Role) : this.#stopping === null ? 'looking' : 'stopped';
    const leader = serving ? peer.leaderId : undefined;
    if (role !== this.#shownRole || leader !== this.#shownLeader || (serving && peer.epoch !== this.#shownEpoch)) {
      if (role === 'looking' && this.#shownRole !== 'looking') this.#counts.elections++;
      this.#shownRole = role;
      this.#shownLeader = leader;
      if (serving) this.#shownEpoch = peer.epoch;
      if (role !== 'leading') this.#state.stopLeading();
      if (!serving) this.#setServing(false);
      this.#hooks.roleChanged(role, leader, this.#shownEpoch);
    }
    if (serving) this.#setServing(true);
  }

  #beginServing(): void {
    const old = this.#state.showIncoming();
    if (this.#peer.kind === 'leading') this.#state.startLeading();
    if (old !== null) this.#hooks.treeReplaced(old, this.#state.tree);
    this.#peer.began();
  }

  #setServing(serving: boolean): void {
    if (serving === this.#serving) return;
    this.#serving = serving;
    this.#hooks.servingChanged(serving);
  }

  #log(level: 'info' | 'warn' | 'error', text: string): void {
    this.#options.logger(level, text, { server: this.#options.id });
  }
}
