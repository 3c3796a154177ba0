import type Long from 'long';
import { Op } from '../../model/codes.ts';
import type { DiskUsage } from '../../seams/storage.ts';
import { WatchKind, type WatchTable } from '../../tree/watches.ts';
import { octetsFromText, octetsToBytes } from '../../util/bytes.ts';
import type { ReplicaControl } from '../hooks.ts';
import type { ResolvedOptions, ResolvedPort } from '../options.ts';
import { VERSION, VERSION_DATE } from '../version.ts';
import { shownAddress } from './address.ts';
import type { Connection } from './connection.ts';
import { answerWord, isAllowed, refusedText } from './four-letter.ts';
import type { ConnectionView, PortView, ServerMode, SessionsView, SettingsView, Sizes, Spread } from './port-view.ts';
import type { PortStats } from './stats.ts';

/** What a report shows of the port. */
export interface ReportedPort {
  readonly readOnly: boolean;
  readonly lastZxid: Long;
  readonly connections: ReadonlySet<Connection>;
  readonly watches: WatchTable<Connection>;
  readonly underWay: number;
  readonly stats: PortStats;
  /** How long the connection may go on without a word from its client, ms. */
  patienceWith(connection: Connection): number;
}

/** Connections are looked at so often, ms: no time of their end is more exact. */
const GRAIN = 1000;

const CONFIG_PATH = '/zookeeper/config';

/** What monitoring is told of the client port, the replica behind it and its tree. All of it is looked up when it is asked for. */
export class PortReport implements PortView {
  readonly #options: ResolvedOptions;
  readonly #settings: ResolvedPort;
  readonly #control: ReplicaControl;
  readonly #port: ReportedPort;
  /** When it began to serve as what it is now, monotonic ms. */
  #since = 0;

  constructor(options: ResolvedOptions, settings: ResolvedPort, control: ReplicaControl, port: ReportedPort) {
    this.#options = options;
    this.#settings = settings;
    this.#control = control;
    this.#port = port;
  }

  /** It serves, as something else than before. */
  began(): void {
    this.#since = this.#options.clock.now();
  }

  /** Answers a word, and ends the connection. */
  answer(connection: Connection, word: string): void {
    const tell = (text: string): void => connection.answerText(octetsToBytes(octetsFromText(text)));
    if (isAllowed(word, this.#settings.fourLetterWords, this.#settings.readOnlyMode)) answerWord(word, this, tell);
    else tell(refusedText(word));
  }

  // ---- the server ----

  get mode(): ServerMode | null {
    if (this.#port.readOnly) return 'read-only';
    if (!this.#control.serving) return null;
    // ZooKeeper runs an ensemble of one as a server of its own as well.
    if (this.#control.servers.length === 1) return 'standalone';
    const { role } = this.#control;
    return role === 'leading' ? 'leader' : role === 'following' ? 'follower' : 'observer';
  }

  get version(): string {
    return `zab-ensemble-${VERSION}, built on ${VERSION_DATE} 00:00 UTC`;
  }

  environment(): Iterable<readonly [string, string]> {
    return this.#settings.environment();
  }

  get lastZxid(): Long {
    return this.#port.lastZxid;
  }

  /** One more than there are: ZooKeeper's servers count the root twice, and numbers of one ensemble are compared. */
  get nodeCount(): number {
    return this.#control.tree.nodeCount + 1;
  }

  get outstanding(): number {
    return this.#port.underWay;
  }

  get received(): number {
    return this.#port.stats.received;
  }

  get sent(): number {
    return this.#port.stats.sent;
  }

  get latency(): Spread {
    return this.#port.stats.latency.spread();
  }

  get proposals(): Sizes {
    return this.#control.report().proposals;
  }

  get settings(): SettingsView {
    const { id, tickTime, minSessionTimeout, maxSessionTimeout, initLimit, syncLimit, election } = this.#options;
    const { clientPort, maxClientCnxns } = this.#settings;
    const self = this.#control.servers.find((server) => server.id === id) ?? this.#options.self;
    return {
      id,
      clientPort,
      tickTime,
      maxClientCnxns: maxClientCnxns === Number.POSITIVE_INFINITY ? 0 : maxClientCnxns,
      minSessionTimeout,
      maxSessionTimeout,
      initLimit,
      syncLimit,
      election,
      electionPort: self.electionPort,
      quorumPort: self.quorumPort,
      role: self.role ?? 'participant',
      membership: this.#control.tree.getData(CONFIG_PATH)?.text() ?? '',
    };
  }

  usage(done: (usage: DiskUsage | null) => void): void {
    const { storage, clock } = this.#options;
    if (storage.usage === undefined) clock.defer(() => done(null));
    else storage.usage((_error, usage) => done(usage ?? null));
  }

  digest(): { readonly zxid: Long; readonly value: Long } | null {
    const { tree } = this.#control;
    const digest = tree.txnDigest();
    return digest === null ? null : { zxid: tree.lastZxid, value: digest.value };
  }

  // ---- clients ----

  get connectionCount(): number {
    return this.#port.connections.size;
  }

  connections(): ConnectionView[] {
    const now = this.#options.clock.wall();
    return [...this.#port.connections].map((connection) => {
      const { stats } = connection;
      const left = Math.max(0, this.#port.patienceWith(connection) - connection.silent);
      return {
        remote: shownAddress(connection.remote),
        interest: connection.interest,
        queued: connection.queued,
        received: stats.received,
        sent: stats.sent,
        expires: Math.ceil((now + left) / GRAIN) * GRAIN,
        sessionId: connection.sessionId,
        timeout: connection.timeout,
        established: stats.established,
        lastOp: OP_NAMES.get(stats.lastOp) ?? 'NA',
        lastXid: stats.lastXid,
        lastZxid: stats.lastZxid,
        lastResponse: Math.floor(stats.lastResponse),
        lastLatency: stats.lastLatency,
        latency: stats.latency.spread(),
      };
    });
  }

  sessions(): SessionsView {
    const { expiries } = this.#control.report();
    if (expiries === null || this.#port.readOnly) return { kind: 'known', sessions: [...this.#control.tree.sessions.values()] };
    const now = this.#options.clock.wall();
    return { kind: 'expiring', buckets: expiries.map(({ within, ids }) => ({ at: Math.round(now + within), ids })) };
  }

  ephemerals(): (readonly [Long, string[]])[] {
    const { tree } = this.#control;
    const owned: (readonly [Long, string[]])[] = [];
    for (const { id } of tree.sessions.values()) {
      const paths = tree.getEphemerals(id);
      if (paths.length > 0) owned.push([id, paths]);
    }
    return owned;
  }

  watches(): (readonly [string, Long[]])[] {
    return [...this.#port.watches.entries(WatchKind.data)].map(([path, watchers]) => [path, watchers.map(({ sessionId }) => sessionId)]);
  }

  // ---- mntr ----

  /**
   * What is known here under ZooKeeper's names. Left out is what would have no meaning or is not counted: times and queues within ZooKeeper's chain of processors, its caches of answers, its
   * throttling and reaping of dead watchers, TLS and the other kinds of authentication, quotas by namespace, files that are open, pauses of a Java machine, elections' and snapshots' times.
   */
  *gauges(): Generator<readonly [string, number]> {
    const { tree } = this.#control;
    const { stats, watches } = this.#port;
    let ephemerals = 0;
    for (const slots of tree.owners.sets()) ephemerals += slots.size;
    yield ['ephemerals_count', ephemerals];
    yield ['watch_count', watches.watchCount];
    yield ['approximate_data_size', tree.table.bytes + 1];
    yield ['global_sessions', tree.sessions.size];
    yield ['local_sessions', 0];
    yield ['last_client_response_size', stats.answers.last];
    yield ['max_client_response_size', stats.answers.max];
    yield ['min_client_response_size', stats.answers.min];
    yield ['uptime', this.#uptime];
    yield ['bytes_received_count', stats.bytesReceived];
    yield ['response_bytes', stats.bytesSent - stats.eventBytes];
    yield ['watch_bytes', stats.eventBytes];
    yield ['connection_request_count', stats.handshakes];
    yield ['connection_rejected', stats.rejected];
    yield ['connection_drop_count', stats.dropped];
    yield ['digest_mismatches_count', tree.digestMismatches];
    yield* this.#ensembleGauges();
  }

  get #uptime(): number {
    return Math.floor(this.#options.clock.now() - this.#since);
  }

  *#ensembleGauges(): Generator<readonly [string, number]> {
    const { mode } = this;
    if (mode === 'standalone' || mode === 'read-only') return;
    const { proposals, learners } = this.#control.report();
    yield ['quorum_size', this.#control.servers.filter(({ role }) => role !== 'observer').length];
    if (mode === 'observer') yield ['observer_master_id', this.#control.leaderId ?? 0];
    if (mode !== 'leader') return;
    const synced = learners.filter(({ isActive }) => isActive);
    const followers = synced.filter(({ isParticipant }) => isParticipant).length;
    yield ['learners', learners.length];
    yield ['synced_followers', followers];
    yield ['synced_observers', synced.length - followers];
    // All who are no observers vote.
    yield ['synced_non_voting_followers', 0];
    yield ['leader_uptime', this.#uptime];
    yield ['proposal_count', proposals.count];
  }

  // ---- resets ----

  resetServer(): void {
    this.#port.stats.reset();
    this.#control.report().proposals.reset();
  }

  resetConnections(): void {
    for (const { stats } of this.#port.connections) stats.reset();
  }
}

/** ZooKeeper's names of the last operation. */
const OP_NAMES: ReadonlyMap<number, string> = new Map([
  [Op.createSession, 'SESS'],
  [Op.closeSession, 'CLOS'],
  [Op.ping, 'PING'],
  [Op.create, 'CREA'],
  [Op.create2, 'CREA'],
  [Op.createContainer, 'CREA'],
  [Op.createTtl, 'CREA'],
  [Op.delete, 'DELE'],
  [Op.setData, 'SETD'],
  [Op.setAcl, 'SETA'],
  [Op.multi, 'MULT'],
  [Op.multiRead, 'MLTR'],
  [Op.reconfig, 'RECO'],
  [Op.sync, 'SYNC'],
  [Op.exists, 'EXIS'],
  [Op.getData, 'GETD'],
  [Op.getAcl, 'GETA'],
  [Op.getChildren, 'GETC'],
  [Op.getChildren2, 'GETC'],
  [Op.getAllChildrenNumber, 'GETACN'],
  [Op.getEphemerals, 'GETE'],
  [Op.setWatches, 'SETW'],
  [Op.setWatches2, 'STW2'],
  [Op.addWatch, 'ADDW'],
  [Op.checkWatches, 'CHKW'],
  [Op.removeWatches, 'REMW'],
  [Op.whoAmI, 'HOMI'],
]);
