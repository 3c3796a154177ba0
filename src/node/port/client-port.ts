import type Long from 'long';
import { Op, Perms } from '../../model/codes.ts';
import type { Id, Request, Txn, TxnHeader } from '../../model/records.ts';
import { compareZxid } from '../../model/zxid.ts';
import type { Clock, TimerHandle } from '../../seams/clock.ts';
import type { ByteSocket, Listener, SocketHandler } from '../../seams/sockets.ts';
import type { TxnResult } from '../../tree/tree.ts';
import { WatchTable } from '../../tree/watches.ts';
import { octetsFromBytes } from '../../util/bytes.ts';
import { LongMap } from '../../util/long-map.ts';
import type { ConnectRequest } from '../../wire/client-connect.ts';
import type { AuthRequest, ReadRequest, SetWatchesRequest } from '../../wire/client-requests.ts';
import type { JuteWriter } from '../../wire/jute.ts';
import type { SessionTouch } from '../../zab/messages.ts';
import type { HolderHost, SessionHolder } from '../hooks.ts';
import type { ResolvedOptions, ResolvedPort } from '../options.ts';
import { isSessionPassword, sessionPassword } from '../session-id.ts';
import type { TreeEvents, TreeWatcher } from '../tree-events.ts';
import { addressOf } from './address.ts';
import { copyOf, recordOf } from './bodies.ts';
import { Connection } from './connection.ts';
import type { ConnectionHost } from './connection-host.ts';
import { OutputPool } from './output.ts';
import { Reads } from './reads.ts';
import { PortReport, type ReportedPort } from './report.ts';
import { PortStats } from './stats.ts';

/** How long a connection may take to say who it is, or to end, ms. */
const HANDSHAKE_TIME = 10_000;
/** Time between two looks at all connections, ms. */
const SWEEP_TIME = 1000;
/** ZooKeeper's servers wait as long, at least, before they serve without a quorum, ms. */
const READ_ONLY_DELAY = 2000;
/** What requests under way may take in memory, bytes; past it no more are read. */
const MAX_UNDER_WAY = 128 << 20;

/** A session that a client wants to go on with, until the leader has said whether it lives. */
interface Resuming {
  readonly connection: Connection;
  readonly timeout: number;
}

/**
 * Serves ZooKeeper's clients (PROTOCOL 3, 4, 10, 11): their connections, their sessions and their watches. Reads are answered from the local tree, writes go to the leader. All connections
 * end when the replica loses its ensemble, as with ZooKeeper: their clients then look for another server.
 */
export class ClientPort implements SessionHolder, ConnectionHost<Connection>, TreeWatcher, ReportedPort {
  readonly pool = new OutputPool();
  readonly stats = new PortStats();
  readonly clock: Clock;
  readonly maxFrame: number;
  readOnly = false;
  readonly #options: ResolvedOptions;
  readonly #port: ResolvedPort;
  readonly #host: HolderHost;
  readonly #events: TreeEvents;
  readonly watches = new WatchTable<Connection>();
  readonly #reads: Reads<Connection>;
  readonly #report: PortReport;
  readonly connections = new Set<Connection>();
  readonly #byAddress = new Map<string, number>();
  /** The connections that have a session of the ensemble. */
  readonly #sessions = new LongMap<Connection>();
  readonly #creating = new LongMap<Connection>();
  readonly #resuming = new LongMap<Resuming[]>();
  readonly #syncs = new Map<Request, Connection>();
  underWay = 0;
  /** -1 until somebody wants to know it in this turn. */
  #turnTime = -1;
  #bytesUnderWay = 0;
  /** Connections that are not read from until less is under way, in the order of their turns. */
  readonly #waiting = new Set<Connection>();
  #dirty: Connection[] = [];
  #flushPlanned = false;
  #wakePlanned = false;
  #wasWatching = false;
  /** How long there has been no quorum, ms. */
  #alone = 0;
  #listener: Listener | null = null;
  #opening = false;
  #sweeper: TimerHandle | null = null;
  #closed: (() => void) | null = null;
  readonly #counts = { clientsRefused: 0, clientRequests: 0, clientEvents: 0 };

  constructor(options: ResolvedOptions, port: ResolvedPort, host: HolderHost, events: TreeEvents) {
    this.#options = options;
    this.#port = port;
    this.#host = host;
    this.#events = events;
    this.maxFrame = options.maxRequestBytes;
    this.clock = options.clock;
    this.#report = new PortReport(options, port, host.control, this);
    this.#reads = new Reads(() => host.control.tree, host.access, this.watches);
    events.add(this);
  }

  // ---- life ----

  /** Opens the port; `failed` is called if that can't be done. */
  open(failed: (error: Error) => void): void {
    const { sockets, clientHost, clientPort } = this.#port;
    const opened = (error: Error | null, listener?: Listener) => {
      this.#opening = false;
      this.#listener = listener ?? null;
      if (this.#closed !== null) this.#closeListener(this.#closed);
      else if (error !== null) failed(error);
      else this.#sweepLater();
    };
    this.#opening = true;
    sockets.listen(
      clientHost,
      clientPort,
      (socket) => this.#accept(socket),
      opened,
      (reason) => this.#log('warn', `client port: ${reason}`),
    );
  }

  /** Ends every connection and frees the port. */
  close(done: () => void): void {
    this.#closed = done;
    if (this.#sweeper !== null) this.#options.clock.clearTimer(this.#sweeper);
    this.#sweeper = null;
    this.#closeAll('the server stops');
    if (!this.#opening) this.#closeListener(done);
  }

  #closeListener(done: () => void): void {
    const listener = this.#listener;
    this.#listener = null;
    if (listener === null) done();
    else listener.close(done);
  }

  #closeAll(reason: string): void {
    for (const connection of [...this.connections]) connection.close(reason);
  }

  #accept(socket: ByteSocket): SocketHandler {
    const address = addressOf(socket.remote);
    const count = this.#byAddress.get(address) ?? 0;
    const { maxClientCnxns, maxCnxns } = this.#port;
    if (this.#closed !== null || count >= maxClientCnxns || this.connections.size >= maxCnxns) {
      this.#counts.clientsRefused++;
      this.stats.rejected++;
      const reason =
        count >= maxClientCnxns ? `${count} connections from its address (maxClientCnxns)` : `${maxCnxns} connections (maxCnxns)`;
      if (this.#closed === null) this.#log('warn', `client ${socket.remote}: refused: there are ${reason}`);
      socket.destroy();
      return NOBODY;
    }
    this.#byAddress.set(address, count + 1);
    const connection = new Connection(this, socket, address);
    this.connections.add(connection);
    return connection;
  }

  over(connection: Connection, reason: string): void {
    this.connections.delete(connection);
    this.#waiting.delete(connection);
    this.stats.dropped++;
    const address = addressOf(connection.remote);
    const left = (this.#byAddress.get(address) ?? 1) - 1;
    if (left === 0) this.#byAddress.delete(address);
    else this.#byAddress.set(address, left);
    this.watches.removeAll(connection);
    this.#flushLater();
    if (this.#sessions.get(connection.sessionId) === connection) this.#sessions.delete(connection.sessionId);
    if (reason !== '') this.#log('info', `client ${connection.remote}: closed: ${reason}`);
  }

  #sweepLater(): void {
    this.#sweeper = this.#options.clock.setTimer(SWEEP_TIME, () => {
      this.#sweepLater();
      this.#sweep();
    });
  }

  /** Ends connections that nothing comes from. Time is counted in sweeps, so that a stall of our own event loop is not held against anybody. */
  #sweep(): void {
    for (const connection of [...this.connections]) {
      // From who waits for room nothing is read.
      if (!this.#waiting.has(connection)) connection.silent += SWEEP_TIME;
      if (connection.silent > this.patienceWith(connection)) connection.close(`nothing has come for ${connection.silent} ms`);
    }
    if (this.#host.control.serving || this.#host.control.role !== 'looking') return;
    this.#alone += SWEEP_TIME;
    if (this.#port.readOnlyMode && this.#alone >= Math.max(READ_ONLY_DELAY, this.#options.tickTime)) this.#becomeReadOnly(true);
  }

  patienceWith(connection: Connection): number {
    return connection.state === 'open' ? Math.max(connection.timeout, SWEEP_TIME) : HANDSHAKE_TIME;
  }

  #becomeReadOnly(readOnly: boolean): void {
    if (readOnly === this.readOnly) return;
    this.readOnly = readOnly;
    this.#report.began();
    this.#log('info', readOnly ? 'client port: no quorum, so only reads are served' : 'client port: there is a quorum again');
    if (readOnly) this.#events.attach(this.#host.control.tree);
  }

  // ---- the first frame (PROTOCOL 4) ----

  connect(connection: Connection, request: ConnectRequest): void {
    this.stats.handshakes++;
    const { control } = this.#host;
    if (!control.serving && !this.readOnly) return connection.close('the server does not serve');
    if (this.readOnly && request.readOnly !== true) return connection.close('the server only reads, and the client wants more');
    if (compareZxid(request.lastZxidSeen, control.tree.lastZxid) > 0) return connection.close('it has seen more than this server has');
    const { minSessionTimeout, maxSessionTimeout } = this.#options;
    const timeout = Math.min(Math.max(request.timeout, minSessionTimeout), maxSessionTimeout);
    if (request.sessionId.isZero()) this.#create(connection, timeout);
    else if (isSessionPassword(request.sessionId, request.password ?? NO_BYTES)) this.#resume(connection, request.sessionId, timeout);
    else connection.refuse();
  }

  #create(connection: Connection, timeout: number): void {
    const { control, ids } = this.#host;
    const { sessions } = control.tree;
    const id = ids.next((candidate) => sessions.has(candidate) || this.isLocal(candidate));
    if (this.readOnly) return connection.open(id, timeout, sessionPassword(id));
    const record = { op: Op.createSession, timeout } as const;
    this.#creating.set(id, connection);
    const request: Request = { sessionId: id, cxid: 0, op: Op.createSession, auth: [], record, body: null };
    if (!control.submit(request)) connection.close('the server does not serve');
  }

  #created(connection: Connection, { header, body }: Txn): void {
    const id = header.clientId;
    this.#creating.delete(id);
    if (connection.state !== 'opening') {
      // Nobody wants it any more; if this does not reach the leader it expires.
      const record = { op: Op.closeSession } as const;
      this.#host.control.submit({ sessionId: id, cxid: 1, op: Op.closeSession, auth: [], record, body: null });
    } else if (body.type === Op.createSession) {
      connection.stats.answered(Op.createSession, 0, header.zxid, connection.since, this.turnTime);
      this.#sessions.set(id, connection);
      connection.open(id, body.timeout, sessionPassword(id));
    }
  }

  #resume(connection: Connection, id: Long, timeout: number): void {
    const { control } = this.#host;
    if (this.readOnly) {
      if (control.tree.sessions.has(id)) connection.open(id, timeout, sessionPassword(id));
      else connection.refuse();
      return;
    }
    this.#sessions.get(id)?.close('its client has connected again');
    if (!control.revalidate(id, timeout)) return connection.close('the server does not serve');
    const waiting = this.#resuming.get(id) ?? [];
    waiting.push({ connection, timeout });
    this.#resuming.set(id, waiting);
  }

  revalidated(id: Long, valid: boolean): void {
    const waiting = this.#resuming.get(id);
    const resuming = waiting?.shift();
    if (resuming === undefined) return;
    if (waiting?.length === 0) this.#resuming.delete(id);
    const { connection, timeout } = resuming;
    if (connection.state !== 'opening') return;
    if (valid) {
      this.#sessions.get(id)?.close('its client has connected again');
      this.#sessions.set(id, connection);
      this.#host.taken(id, this);
      return connection.open(id, timeout, sessionPassword(id));
    }
    // A deposed leader does not know: the sync is answered only if this one is none, and an expired session is a hard word.
    if (this.#ask(connection, { sessionId: id, cxid: 0, op: Op.sync, auth: [], record: { op: Op.sync, path: '/' }, body: null }) === null)
      connection.close('the server does not serve');
  }

  // ---- requests ----

  get turnTime(): number {
    if (this.#turnTime === -1) {
      this.#turnTime = this.clock.now();
      this.#flushLater();
    }
    return this.#turnTime;
  }

  get lastZxid(): Long {
    return this.#host.control.tree.lastZxid;
  }

  get isFull(): boolean {
    return this.underWay >= this.#port.globalOutstandingLimit || this.#bytesUnderWay >= MAX_UNDER_WAY;
  }

  write(connection: Connection, xid: number, op: number, body: Uint8Array): Request | null {
    const { control } = this.#host;
    // The leader needs the record, a learner only hands the bytes on.
    const leads = control.role === 'leading';
    const record = leads ? recordOf(op, body) : null;
    const request: Request = {
      sessionId: connection.sessionId,
      cxid: xid,
      op,
      auth: connection.auth,
      record,
      body: leads ? null : copyOf(body),
    };
    return control.submit(request) ? request : null;
  }

  sync(connection: Connection, xid: number, path: string): Request | null {
    const record = { op: Op.sync, path } as const;
    return this.#ask(connection, { sessionId: connection.sessionId, cxid: xid, op: Op.sync, auth: connection.auth, record, body: null });
  }

  #ask(connection: Connection, request: Request): Request | null {
    if (!this.#host.control.submit(request)) return null;
    this.#syncs.set(request, connection);
    return request;
  }

  entered(bytes: number): void {
    this.underWay++;
    this.#bytesUnderWay += bytes;
  }

  left(bytes: number): void {
    this.underWay--;
    this.#bytesUnderWay -= bytes;
    if (this.#waiting.size === 0 || this.#wakePlanned || this.isFull) return;
    this.#wakePlanned = true;
    this.#options.clock.defer(this.#wake);
  }

  waits(connection: Connection): void {
    this.#waiting.add(connection);
  }

  /** Those who have waited longest come first; who finds the port full again waits behind all others. So nobody starves them by asking without end. */
  readonly #wake = (): void => {
    this.#wakePlanned = false;
    for (const connection of this.#waiting) {
      if (this.isFull) return;
      this.#waiting.delete(connection);
      connection.resume();
    }
  };

  read(connection: Connection, record: ReadRequest, auth: readonly Id[], w: JuteWriter): number {
    const err = this.#reads.answer(connection, record, auth, w);
    if (this.watches.hasAny !== this.#wasWatching) this.#listen();
    return err;
  }

  restoreWatches(connection: Connection, { since, lists }: SetWatchesRequest): void {
    this.watches.catchUp(this.#host.control.tree, since, lists, connection, this.#deliver);
    this.#listen();
  }

  authenticate({ scheme, auth }: AuthRequest, known: readonly Id[]): readonly Id[] | null {
    // Where somebody comes from needs no proof.
    if (scheme === 'ip') return known;
    if (scheme !== 'digest' || auth === null) return null;
    return this.#host.access.proven(octetsFromBytes(auth), known);
  }

  // ---- watches ----

  /** As was said last, and not whether there is a watch in this moment: the next one may be set before the end of the turn, and nothing would be said then. */
  get isWatching(): boolean {
    return this.#wasWatching;
  }

  /**
   * Who may not read a znode is not told of its changes, not by a watch on something above it either: the names alone can be secrets (fault 4799). Its one-shot watch is spent
   * all the same.
   */
  readonly onEvent: TreeWatcher['onEvent'] = (type, path, _zxid, acl) =>
    this.watches.trigger(type, path, (connection) => {
      if (this.#host.access.permitsBy(acl, Perms.READ, connection.auth)) this.#deliver(connection, type, path);
    });

  readonly #deliver = (connection: Connection, type: number, path: string): void => {
    this.#counts.clientEvents++;
    connection.event(type, path);
  };

  #listen(): void {
    this.#wasWatching = this.watches.hasAny;
    this.#events.changed();
  }

  // ---- what goes out ----

  dirty(connection: Connection): void {
    this.#dirty.push(connection);
    this.#flushLater();
  }

  #flushLater(): void {
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    this.#options.clock.defer(this.#flush);
  }

  readonly #flush = (): void => {
    this.#flushPlanned = false;
    this.#turnTime = -1;
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const connection of dirty) connection.flush();
    // Here and not where a watch has fired: the tree is in the middle of a change then.
    if (this.watches.hasAny !== this.#wasWatching) this.#listen();
  };

  // ---- what the replica tells ----

  isLocal(sessionId: Long): boolean {
    return this.#sessions.has(sessionId) || this.#creating.has(sessionId);
  }

  applying({ clientId, cxid }: TxnHeader): boolean {
    const connection = this.#sessions.get(clientId);
    connection?.applying(cxid);
    return connection !== undefined || this.#creating.has(clientId);
  }

  applied(txn: Txn, result: TxnResult): void {
    const id = txn.header.clientId;
    const connection = this.#sessions.get(id);
    if (connection === undefined) {
      const opening = this.#creating.get(id);
      if (opening !== undefined) this.#created(opening, txn);
    } else if (connection.applied(txn, result)) {
      this.#sessions.delete(id);
    }
  }

  synced(request: Request): boolean {
    const connection = this.#syncs.get(request);
    if (connection === undefined) return false;
    this.#syncs.delete(request);
    if (connection.state === 'opening') connection.refuse();
    else connection.synced(request);
    return true;
  }

  taken(sessionId: Long): void {
    this.#sessions.get(sessionId)?.close('its session goes on in the server’s own process');
  }

  live(touches: SessionTouch[]): void {
    for (const connection of this.#sessions.values()) {
      if (!connection.heard && !this.#waiting.has(connection)) continue;
      connection.heard = false;
      touches.push({ sessionId: connection.sessionId, timeout: connection.timeout });
    }
  }

  resume(): void {
    this.#alone = 0;
    this.#report.began();
    if (!this.readOnly) return;
    this.#closeAll('there is a quorum again');
    this.#becomeReadOnly(false);
  }

  suspend(): void {
    this.#closeAll('the server has lost its ensemble');
    this.#creating.clear();
    this.#resuming.clear();
    this.#syncs.clear();
  }

  metrics(): Record<string, number> {
    return {
      ...this.#counts,
      clientBytesToSend: this.pool.waiting,
      clientConnections: this.connections.size,
      clientSessions: this.#sessions.size,
      clientRequestsUnderWay: this.underWay,
      clientWatches: this.watches.watchCount,
    };
  }

  // ---- four-letter words ----

  answerWord(connection: Connection, word: string): void {
    this.#report.answer(connection, word);
  }

  #log(level: 'info' | 'warn', text: string): void {
    this.#options.logger(level, text, { server: this.#options.id });
  }
}

const NO_BYTES = new Uint8Array(0);

/** For a connection that is not wanted. */
const NOBODY: SocketHandler = { opened() {}, data() {}, ended() {}, closed() {} };
