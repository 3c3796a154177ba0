import type { Clock, TimerHandle } from '../seams/clock.ts';
import type { Logger } from '../seams/logger.ts';
import type { ByteSocket, SocketHandler, Sockets } from '../seams/sockets.ts';
import type { ServerAddress, TransportHandler } from '../seams/transport.ts';
import { type ElectionAlgorithm, ElectionDecoder, encodeElectionHeader, encodeElectionMessage } from '../wire/election.ts';
import { JuteWriter } from '../wire/jute.ts';
import type { ElectionMessage } from '../zab/messages.ts';

/** Wait before another attempt to connect, in ms: it doubles from the first to the second value. */
const RETRY_FIRST = 10;
const RETRY_LAST = 1000;
/** How long a server with a larger id gets to connect back before we knock again, ms. */
const KNOCK_PATIENCE = 200;
/** Connections that have not said who they are; with more, the oldest is closed. */
const MAX_ANONYMOUS = 128;

export interface ElectionManagerOptions {
  readonly self: ServerAddress;
  readonly servers: readonly ServerAddress[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly connectTimeout: number;
  readonly algorithm: ElectionAlgorithm;
  readonly sockets: Sockets;
  /** Called for every socket made or taken here, so that the transport can wait for its end. */
  readonly made: (socket: ByteSocket) => void;
  /** Called once for each of them, when nothing is left of it. */
  readonly gone: (socket: ByteSocket) => void;
}

/** What is known of another server. */
interface Peer {
  readonly address: ServerAddress;
  /** The connection that stands, or null. */
  link: Connection | null;
  /** When it came up, on the clock. */
  linkSince: number;
  /** Our attempt to connect: a link to be, or a knock that asks a server with a larger id to connect back. */
  attempt: Connection | null;
  /** Waits for a link; a newer message takes its place. */
  waiting: ElectionMessage | null;
  /** The last one sent or waiting, for the next link. */
  last: ElectionMessage | null;
  /** Somebody has wanted a link: it is made again when it breaks. */
  wanted: boolean;
  retryAfter: number;
  retryTimer: TimerHandle | null;
}

/** A socket that is one thing after another: dialled, then a link or a knock; or accepted, then a link. */
class Connection implements SocketHandler {
  socket!: ByteSocket;
  /** What it is now, and so who is told. */
  phase: Partial<SocketHandler> = {};
  readonly #gone: ElectionManagerOptions['gone'];

  constructor(gone: ElectionManagerOptions['gone']) {
    this.#gone = gone;
  }

  opened(): void {
    this.phase.opened?.();
  }

  data(chunk: Uint8Array): void {
    this.phase.data?.(chunk);
  }

  ended(): void {
    this.phase.ended?.();
  }

  closed(reason: string): void {
    this.phase.closed?.(reason);
    this.#gone(this.socket);
  }
}

/**
 * ZooKeeper's rules for election connections (PROTOCOL 14.1): one per pair of servers, opened by the one with the larger id. A smaller id that needs one connects,
 * says who it is and closes; the larger id then drops what it has and connects back.
 */
export class ElectionManager {
  readonly #options: ElectionManagerOptions;
  readonly #handler: TransportHandler;
  readonly #peers = new Map<number, Peer>();
  readonly #anonymous = new Set<Connection>();
  readonly #header: Uint8Array;
  #rejected = 0;
  #closed = false;

  constructor(options: ElectionManagerOptions, handler: TransportHandler) {
    this.#options = options;
    this.#handler = handler;
    for (const address of options.servers) {
      if (address.id === options.self.id) continue;
      const peer: Peer = {
        address,
        link: null,
        linkSince: 0,
        attempt: null,
        waiting: null,
        last: null,
        wanted: false,
        retryAfter: RETRY_FIRST,
        retryTimer: null,
      };
      this.#peers.set(address.id, peer);
    }
    const { id, host, electionPort } = options.self;
    const name = host.includes(':') ? `[${host}]` : host;
    this.#header = encodeElectionHeader({ sid: id, addresses: [`${name}:${electionPort}`] });
  }

  /** Incoming connections refused: for what they said, or because they said nothing. */
  get rejected(): number {
    return this.#rejected;
  }

  send(id: number, message: ElectionMessage): void {
    const peer = this.#peers.get(id);
    if (this.#closed || peer === undefined) return;
    peer.waiting = message;
    peer.last = message;
    peer.wanted = true;
    if (peer.link !== null) this.#write(peer, peer.link);
    else if (peer.retryTimer === null) this.#connect(peer);
  }

  isUp(id: number): boolean {
    return (this.#peers.get(id)?.link ?? null) !== null;
  }

  /** Connects to everybody to whom there is no link, without waiting for the next attempt's time. */
  reconnect(): void {
    if (this.#closed) return;
    for (const peer of this.#peers.values()) {
      peer.wanted = true;
      peer.retryAfter = RETRY_FIRST;
      if (peer.link === null) this.#connect(peer);
    }
  }

  close(): void {
    this.#closed = true;
    for (const peer of this.#peers.values()) {
      this.#stopRetry(peer);
      peer.attempt?.socket.destroy();
      peer.link?.socket.destroy();
      peer.attempt = null;
      peer.link = null;
    }
    for (const { socket } of this.#anonymous) socket.destroy();
  }

  // ---- connecting ----

  #connect(peer: Peer): void {
    this.#stopRetry(peer);
    if (this.#closed || peer.attempt !== null || peer.link !== null) return;
    const { clock, sockets, connectTimeout, gone } = this.#options;
    const { id, host, electionPort } = peer.address;
    const connection = new Connection(gone);
    let late = false;
    const timer = clock.setTimer(connectTimeout, () => {
      late = true;
      connection.socket.destroy();
    });
    connection.phase = {
      opened: () => {
        // The timer of a knock stays until the other side has closed as well.
        if (id > this.#options.self.id) return this.#knock(peer, connection, timer);
        clock.clearTimer(timer);
        peer.attempt = null;
        connection.socket.write(this.#header);
        this.#adopt(peer, connection, new ElectionDecoder({ header: false, algorithm: this.#options.algorithm }));
      },
      closed: (reason) => {
        clock.clearTimer(timer);
        this.#attemptFailed(peer, connection, late ? 'connect timeout' : reason || 'closed');
      },
    };
    peer.attempt = connection;
    this.#carry(connection, sockets.connect(host, electionPort, connection));
  }

  #carry(connection: Connection, socket: ByteSocket): void {
    connection.socket = socket;
    this.#options.made(socket);
  }

  #knock(peer: Peer, connection: Connection, timer: TimerHandle): void {
    connection.phase = {
      closed: () => {
        this.#options.clock.clearTimer(timer);
        this.#knockDone(peer, connection);
      },
    };
    connection.socket.write(this.#header);
    connection.socket.end();
  }

  /** We have said who we are; it is for the other side to connect now. */
  #knockDone(peer: Peer, connection: Connection): void {
    if (this.#closed || peer.attempt !== connection) return;
    peer.attempt = null;
    if (peer.link !== null) return;
    peer.retryAfter = Math.max(peer.retryAfter, KNOCK_PATIENCE);
    this.#retryLater(peer);
  }

  /** The attempt is over without a link of its own. */
  #attemptFailed(peer: Peer, connection: Connection, reason: string): void {
    if (this.#closed || peer.attempt !== connection) return;
    peer.attempt = null;
    if (peer.link !== null) return;
    this.#options.logger('debug', 'no election link', { peer: peer.address.id, reason });
    this.#retryLater(peer);
    this.#handler.electionLink(peer.address.id, false);
  }

  #retryLater(peer: Peer): void {
    if (peer.retryTimer !== null || !peer.wanted) return;
    peer.retryTimer = this.#options.clock.setTimer(peer.retryAfter, () => {
      peer.retryTimer = null;
      this.#connect(peer);
    });
    peer.retryAfter = Math.min(2 * peer.retryAfter, RETRY_LAST);
  }

  #stopRetry(peer: Peer): void {
    if (peer.retryTimer !== null) this.#options.clock.clearTimer(peer.retryTimer);
    peer.retryTimer = null;
  }

  // ---- accepting ----

  /** A connection to the election port: it must say who it is in time. */
  accept(socket: ByteSocket): SocketHandler {
    const { clock, algorithm, connectTimeout, gone } = this.#options;
    const connection = new Connection(gone);
    this.#carry(connection, socket);
    if (this.#closed) {
      socket.destroy();
      return connection;
    }
    // A server of the ensemble says who it is at once, so whoever has been silent longest is the one to go.
    if (this.#anonymous.size >= MAX_ANONYMOUS)
      for (const oldest of this.#anonymous) {
        this.#reject(oldest, 'too many connections without a header');
        break;
      }
    this.#anonymous.add(connection);
    const decoder = new ElectionDecoder({ header: true, algorithm });
    const early: ElectionMessage[] = [];
    const timer = clock.setTimer(connectTimeout, () => this.#reject(connection, 'no header in time'));
    const leave = (): void => {
      clock.clearTimer(timer);
      this.#anonymous.delete(connection);
    };
    connection.phase = {
      data: (chunk) => {
        try {
          decoder.push(chunk, early);
        } catch (error) {
          return this.#reject(connection, (error as Error).message);
        }
        if (decoder.header === null) return;
        leave();
        this.#introduced(connection, decoder.header.sid, decoder, early);
      },
      ended: () => socket.destroy(),
      closed: leave,
    };
    return connection;
  }

  #introduced(connection: Connection, sid: number, decoder: ElectionDecoder, early: readonly ElectionMessage[]): void {
    const peer = this.#peers.get(sid);
    if (peer === undefined)
      return this.#reject(connection, sid === this.#options.self.id ? 'it has our own id' : `server ${sid} is not in the ensemble`);
    if (sid < this.#options.self.id) {
      // A knock. Whoever knocks has no link, whatever we may believe.
      connection.socket.destroy();
      peer.wanted = true;
      if (peer.link !== null) {
        // Unless it knocked before it saw the link that we have just opened: dropping that one would go on for ever.
        if (this.#options.clock.now() - peer.linkSince < KNOCK_PATIENCE) return;
        this.#drop(peer, 'the other side has none');
      }
      return this.#connect(peer);
    }
    peer.retryAfter = RETRY_FIRST;
    this.#adopt(peer, connection, decoder);
    for (const message of early) this.#deliver(peer, connection, message);
  }

  #reject({ socket }: Connection, reason: string): void {
    socket.destroy();
    if (this.#closed) return;
    this.#rejected++;
    this.#options.logger('warn', 'election connection refused', { remote: socket.remote, reason, refused: this.#rejected });
  }

  // ---- a link that stands ----

  /** `connection` is the link to `peer` from now on; an older one is replaced. */
  #adopt(peer: Peer, connection: Connection, decoder: ElectionDecoder): void {
    this.#stopRetry(peer);
    const old = peer.link;
    peer.link = connection;
    peer.linkSince = this.#options.clock.now();
    old?.socket.destroy();
    const messages: ElectionMessage[] = [];
    connection.phase = {
      data: (chunk) => {
        let bad: Error | null = null;
        try {
          decoder.push(chunk, messages);
        } catch (error) {
          bad = error as Error;
        }
        for (const message of messages) this.#deliver(peer, connection, message);
        messages.length = 0;
        if (bad !== null) this.#lost(peer, connection, `bad input: ${bad.message}`);
      },
      ended: () => this.#lost(peer, connection, 'closed by the other side'),
      closed: (reason) => this.#lost(peer, connection, reason || 'closed by the other side'),
    };
    this.#handler.electionLink(peer.address.id, true);
    peer.waiting ??= peer.last;
    this.#write(peer, connection);
  }

  #deliver(peer: Peer, connection: Connection, message: ElectionMessage): void {
    if (peer.link !== connection) return;
    // It talks sense, so the next loss is a new trouble.
    peer.retryAfter = RETRY_FIRST;
    this.#handler.election(peer.address.id, message);
  }

  /** Sends what waits, unless the network has not even taken the last one. */
  #write(peer: Peer, connection: Connection): void {
    if (peer.waiting === null || peer.link !== connection || connection.socket.pending > 0) return;
    const w = new JuteWriter(512);
    encodeElectionMessage(w, peer.waiting);
    peer.waiting = null;
    connection.socket.write(w.view(), () => this.#write(peer, connection));
  }

  #lost(peer: Peer, connection: Connection, reason: string): void {
    connection.socket.destroy();
    if (this.#closed || peer.link !== connection) return;
    this.#options.logger('info', 'election link lost', { peer: peer.address.id, reason });
    this.#drop(peer, reason);
    this.#retryLater(peer);
  }

  #drop(peer: Peer, reason: string): void {
    peer.link?.socket.destroy();
    peer.link = null;
    this.#options.logger('debug', 'election link down', { peer: peer.address.id, reason });
    this.#handler.electionLink(peer.address.id, false);
  }
}
