import Long from 'long';
import { maxZxid, ZXID_NONE, zxidEquals } from '../model/zxid.ts';
import { allocBytes } from '../util/bytes.ts';
import type { ConnectResponse } from '../wire/client-connect.ts';
import type { ReplyHeader } from '../wire/client-replies.ts';
import { Xid } from '../wire/client-requests.ts';
import type { JuteReader } from '../wire/jute.ts';
import type { ClientAddress } from './address.ts';
import { Connection, type ConnectionOwner } from './connection.ts';
import { Liveness } from './liveness.ts';
import type { ResolvedConnectOptions } from './options.ts';
import { QuorumSearch } from './quorum-search.ts';
import { Timer } from './timer.ts';

/** Whom the keeper tells. */
export interface KeeperHost {
  /** A server serves the session: id, password, timeout and readOnly are known and may have changed. */
  connected(connection: Connection): void;
  /** A reply or an event on that connection. What is thrown ends it. */
  received(header: ReplyHeader, body: JuteReader): void;
  /** The connection that was told as connected is over; another is looked for. */
  lost(connection: Connection, reason: string): void;
  /** The session does not exist any more, or can't. Nothing is told after that. */
  expired(reason: string): void;
}

/** What no transaction has: 3.8.0 puts it into events and refusals. */
export const NO_ZXID = Long.fromInt(-1).toUnsigned();
const PASSWORD_BYTES = 16;
/** A server gets at least so long to answer, ms, unless `connectTimeout` says otherwise: a short timeout may be wanted, and a longer one granted. */
const LEAST_PATIENCE = 1000;
/** A connection that ends sooner, ms, was no help: the next one is not asked for at once. */
const SHORT_LIFE = 1000;

/** A shuffled copy. */
function shuffled(servers: readonly ClientAddress[], below: (bound: number) => number): readonly ClientAddress[] {
  const out = [...servers];
  for (let i = out.length - 1; i > 0; i--) {
    const j = below(i + 1);
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}

/**
 * Keeps one session on some server of the list: finds a server, notices when it is gone, goes on at another with the same session.
 *
 * A session that has lost its servers ends here by this process's own clock, {@link expiryTime} after the last word from a server: nobody needs to come back to tell. A server's
 * verdict comes first if there is one.
 */
export class SessionKeeper implements ConnectionOwner {
  id: Long;
  password: Uint8Array;
  /** ms; as wanted until a server has said. */
  timeout: number;
  readOnly = false;
  /** The newest zxid that a reply has shown. */
  lastZxid: Long = ZXID_NONE;
  readonly #options: ResolvedConnectOptions;
  readonly #host: KeeperHost;
  readonly #servers: readonly ClientAddress[];
  readonly #liveness: Liveness;
  readonly #search: QuorumSearch;
  /** The next attempt, or the end of this one. */
  readonly #attempt: Timer;
  readonly #expiry: Timer;
  #next = 0;
  #connection: Connection | null = null;
  #isConnected = false;
  #over = false;
  /** Attempts in a row that came to nothing. */
  #failures = 0;
  /** Connections in a row that ended soon after they had stood. */
  #shortLives = 0;
  #connectedAt = 0;
  /** Why the last attempt at each server failed, for the error of who gives up. */
  readonly #reasons = new Map<string, string>();
  /** Whether servers with a quorum know the session: one without makes up ids of its own. */
  #isReal: boolean;
  /** Whether the connection was asked for without the session: servers of ZooKeeper that have no quorum serve nobody who has a real one. */
  #isGuest = false;

  constructor(options: ResolvedConnectOptions, host: KeeperHost) {
    this.#options = options;
    this.#host = host;
    this.#isReal = options.resume !== null;
    this.id = options.resume?.id ?? Long.UZERO;
    this.password = options.resume?.password ?? noPassword();
    this.timeout = options.timeout;
    this.#servers = shuffled(options.servers, (bound) => options.random.below(bound));
    this.#attempt = new Timer(options.clock);
    this.#expiry = new Timer(options.clock);
    this.#liveness = new Liveness(options.clock);
    this.#search = new QuorumSearch(options, this.#servers, (index) => this.#moveTo(index));
  }

  /** What is known about why there is no connection. */
  get trouble(): string {
    return [...this.#reasons].map(([server, reason]) => `${server}: ${reason}`).join('; ');
  }

  start(): void {
    this.#dial();
  }

  /** Gives the session up; it lives on at the servers until it expires, unless it was closed. Nothing is told after that. */
  stop(): void {
    this.#over = true;
    this.#attempt.clear();
    this.#expiry.clear();
    this.#liveness.stop();
    this.#search.stop();
    this.#connection?.end('the session was given up');
    this.#connection = null;
  }

  // ---- finding a server ----

  #dial(): void {
    const server = this.#servers[this.#next];
    this.#next = (this.#next + 1) % this.#servers.length;
    const round = Math.floor(this.#failures / this.#servers.length);
    // Only when a whole round has found no server with a quorum: those without refuse whoever does not ask for them.
    const readOnly = this.#options.readOnly && round > 0;
    this.#isGuest = !this.#isReal || (readOnly && round % 2 === 0);
    const hello = {
      protocolVersion: 0,
      lastZxidSeen: this.lastZxid,
      timeout: this.#options.timeout,
      sessionId: this.#isGuest ? Long.UZERO : this.id,
      password: this.#isGuest ? noPassword() : this.password,
      readOnly,
    };
    const connection = new Connection(this.#options, server, hello, this);
    this.#connection = connection;
    // When a silent server is given up two thirds of the timeout are left, in which all others must have their turn, and once more if those without a quorum will do.
    const patience = this.#options.connectTimeout ?? Math.max(LEAST_PATIENCE, Math.ceil(this.timeout / (3 * this.#servers.length)));
    this.#attempt.set(patience, () => connection.end(`no answer within ${patience} ms`));
  }

  accepted(response: ConnectResponse): void {
    const connection = this.#connection!;
    if (response.timeout <= 0) return this.#refused(connection, response);
    const readOnly = response.readOnly ?? false;
    if (this.#isReal && this.#isGuest && !readOnly) return this.#returnTo(connection);
    this.#attempt.clear();
    this.#expiry.clear();
    this.#failures = 0;
    this.#reasons.clear();
    this.#isConnected = true;
    this.#connectedAt = this.#options.clock.now();
    if (!this.#isReal || !this.#isGuest) {
      this.id = response.sessionId;
      // A plain array, whose `slice()` is a copy to whoever keeps the password.
      this.password = new Uint8Array(response.password);
    }
    this.timeout = response.timeout;
    this.readOnly = readOnly;
    if (this.readOnly) this.#search.start();
    else this.#isReal = true;
    this.#liveness.start(connection, this.timeout);
    this.#options.logger('info', `session 0x${this.id.toString(16)} is served by ${connection.name}`, { readOnly: this.readOnly });
    this.#host.connected(connection);
  }

  /** Asked as a guest, the server has made a new session, for it has a quorum again: that one is left to expire, and the real one goes on there. */
  #returnTo(connection: Connection): void {
    this.#failures = -1;
    this.#next = this.#servers.indexOf(connection.address);
    connection.end('it has a quorum again');
  }

  /** A server without a quorum may simply not know yet of a session. */
  #refused(connection: Connection, response: ConnectResponse): void {
    if (this.#isGuest || response.readOnly === true) return connection.end('it does not take the session');
    this.#expire('the servers know no such session: it has expired or was closed');
  }

  received(header: ReplyHeader, body: JuteReader): void {
    if (header.xid !== Xid.ping) this.#host.received(header, body);
    // An event's zxid does not count: the rest of its transaction's events may be still to come.
    if (header.xid !== Xid.notification) this.#seen(header.zxid);
  }

  #seen(zxid: Long): void {
    if (!zxidEquals(zxid, NO_ZXID)) this.lastZxid = maxZxid(this.lastZxid, zxid);
  }

  // ---- losing it ----

  ended(reason: string): void {
    const connection = this.#connection;
    if (this.#over || connection === null) return;
    this.#connection = null;
    this.#attempt.clear();
    this.#reasons.set(connection.name, reason);
    if (!this.#isConnected) return this.#attemptFailed(connection, reason);
    this.#isConnected = false;
    this.readOnly = false;
    this.#liveness.stop();
    this.#search.stop();
    this.#options.logger('warn', `session 0x${this.id.toString(16)} lost ${connection.name}: ${reason}`);
    if (this.#isReal) this.#armExpiry(connection.lastHeard);
    this.#shortLives = this.#options.clock.now() - this.#connectedAt < SHORT_LIFE ? this.#shortLives + 1 : 0;
    // At random, so that not all clients of a server that died come to another at once.
    this.#attempt.set(this.#options.random.below(this.#backoff(this.#shortLives) + 1), () => this.#dial());
    this.#host.lost(connection, reason);
  }

  #attemptFailed(connection: Connection, reason: string): void {
    this.#failures++;
    this.#options.logger('debug', `no session at ${connection.name}: ${reason}`);
    this.#attempt.set(this.#pause(), () => this.#dial());
  }

  /** How long to wait before the next attempt, ms: not within a round, ever longer between rounds. */
  #pause(): number {
    if (this.#failures % this.#servers.length !== 0) return 0;
    const most = this.#backoff(this.#failures / this.#servers.length - 1);
    return most - this.#options.random.below(Math.floor(most / 2) + 1);
  }

  /** The longest pause after so many pauses, ms. */
  #backoff(pauses: number): number {
    const { minBackoff, maxBackoff } = this.#options;
    return Math.floor(Math.min(minBackoff * 2 ** Math.min(pauses, 30), maxBackoff, Math.max(minBackoff, this.timeout / 6)));
  }

  #armExpiry(lastHeard: number): void {
    const left = lastHeard + expiryTime(this.timeout) - this.#options.clock.now();
    // A process that stood still gets the chance to ask a server before it gives its session up.
    this.#expiry.set(Math.max(left, this.timeout / 3), () => {
      this.#expire(`no server could be reached for ${Math.round(expiryTime(this.timeout))} ms`);
    });
  }

  #expire(reason: string): void {
    this.stop();
    this.#options.logger('warn', `session 0x${this.id.toString(16)} has expired: ${reason}`);
    this.#host.expired(reason);
  }

  /** Another server has a quorum. */
  #moveTo(index: number): void {
    if (!this.#isConnected || !this.readOnly) return;
    this.#next = index;
    this.#connection?.end('another server has a quorum');
  }
}

const noPassword = (): Uint8Array => allocBytes(PASSWORD_BYTES).fill(0);

/**
 * How long after the last word from a server a session can't be alive any more, ms, for a timeout of `timeout`. The servers count from the last word that they got, and that may be a ping
 * that was sent when a third of the timeout had passed and whose answer was lost. So a session is not given up that a working ensemble still keeps, but for the rounding to its ticks.
 */
export const expiryTime = (timeout: number): number => (timeout * 4) / 3;
