import { connect, type LookupFunction, type Socket } from 'node:net';
import type { Clock, TimerHandle } from '../seams/clock.ts';
import type { Logger } from '../seams/logger.ts';
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
  readonly lookup: LookupFunction | undefined;
  /** Every socket made or taken here, so that the transport can wait for its end. */
  readonly track: (socket: Socket) => void;
}

/** What is known of another server. */
interface Peer {
  readonly address: ServerAddress;
  /** The connection that stands, or null. */
  link: Socket | null;
  /** When it came up, on the clock. */
  linkSince: number;
  /** Our attempt to connect: a link to be, or a knock that asks a server with a larger id to connect back. */
  attempt: Socket | null;
  /** Waits for a link; a newer message takes its place. */
  waiting: ElectionMessage | null;
  /** The last one sent or waiting, for the next link. */
  last: ElectionMessage | null;
  /** Somebody has wanted a link: it is made again when it breaks. */
  wanted: boolean;
  retryAfter: number;
  retryTimer: TimerHandle | null;
}

/**
 * ZooKeeper's rules for election connections (PROTOCOL 14.1): one per pair of servers, opened by the one with the larger id. A smaller id that needs one connects,
 * says who it is and closes; the larger id then drops what it has and connects back.
 */
export class ElectionManager {
  readonly #options: ElectionManagerOptions;
  readonly #handler: TransportHandler;
  readonly #peers = new Map<number, Peer>();
  readonly #anonymous = new Set<Socket>();
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
      peer.attempt?.destroy();
      peer.link?.destroy();
      peer.attempt = null;
      peer.link = null;
    }
    for (const socket of this.#anonymous) socket.destroy();
  }

  // ---- connecting ----

  #connect(peer: Peer): void {
    this.#stopRetry(peer);
    if (this.#closed || peer.attempt !== null || peer.link !== null) return;
    const { address } = peer;
    let socket: Socket;
    try {
      socket = connect({ host: address.host, port: address.electionPort, lookup: this.#options.lookup, noDelay: true, keepAlive: true });
    } catch (error) {
      // Only an address that can be no address throws here.
      return this.#options.clock.defer(() => this.#attemptFailed(peer, null, String(error)));
    }
    peer.attempt = socket;
    this.#options.track(socket);
    const timer = this.#options.clock.setTimer(this.#options.connectTimeout, () => socket.destroy(new Error('connect timeout')));
    let reason = 'closed';
    let knocked = false;
    socket.on('error', (error) => {
      reason = errorText(error);
    });
    socket.on('close', () => {
      this.#options.clock.clearTimer(timer);
      if (knocked) this.#knockDone(peer, socket);
      else this.#attemptFailed(peer, socket, reason);
    });
    socket.on('connect', () => {
      if (peer.attempt !== socket) return;
      if (address.id > this.#options.self.id) {
        // Only a knock: the timer stays until the other side has closed as well.
        knocked = true;
        socket.resume();
        socket.end(this.#header);
        return;
      }
      this.#options.clock.clearTimer(timer);
      peer.attempt = null;
      socket.write(this.#header);
      this.#adopt(peer, socket, new ElectionDecoder({ header: false, algorithm: this.#options.algorithm }));
    });
  }

  /** We have said who we are; it is for the other side to connect now. */
  #knockDone(peer: Peer, socket: Socket): void {
    if (this.#closed || peer.attempt !== socket) return;
    peer.attempt = null;
    if (peer.link !== null) return;
    peer.retryAfter = Math.max(peer.retryAfter, KNOCK_PATIENCE);
    this.#retryLater(peer);
  }

  /** The attempt is over without a link of its own. */
  #attemptFailed(peer: Peer, socket: Socket | null, reason: string): void {
    if (this.#closed || peer.attempt !== socket) return;
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
  accept(socket: Socket): void {
    this.#options.track(socket);
    socket.on('error', () => {});
    if (this.#closed) return void socket.destroy();
    // A server of the ensemble says who it is at once, so whoever has been silent longest is the one to go.
    if (this.#anonymous.size >= MAX_ANONYMOUS)
      for (const oldest of this.#anonymous) {
        this.#reject(oldest, 'too many connections without a header');
        break;
      }
    this.#anonymous.add(socket);
    const decoder = new ElectionDecoder({ header: true, algorithm: this.#options.algorithm });
    const early: ElectionMessage[] = [];
    const timer = this.#options.clock.setTimer(this.#options.connectTimeout, () => this.#reject(socket, 'no header in time'));
    const leave = (): void => {
      this.#options.clock.clearTimer(timer);
      this.#anonymous.delete(socket);
    };
    const onData = (chunk: Uint8Array): void => {
      try {
        decoder.push(chunk, early);
      } catch (error) {
        return this.#reject(socket, (error as Error).message);
      }
      if (decoder.header === null) return;
      leave();
      socket.off('close', leave);
      socket.off('data', onData);
      this.#introduced(socket, decoder.header.sid, decoder, early);
    };
    socket.on('close', leave);
    socket.on('data', onData);
  }

  #introduced(socket: Socket, sid: number, decoder: ElectionDecoder, early: readonly ElectionMessage[]): void {
    const peer = this.#peers.get(sid);
    if (peer === undefined)
      return this.#reject(socket, sid === this.#options.self.id ? 'it has our own id' : `server ${sid} is not in the ensemble`);
    if (sid < this.#options.self.id) {
      // A knock. Whoever knocks has no link, whatever we may believe.
      socket.destroy();
      peer.wanted = true;
      if (peer.link !== null) {
        // Unless it knocked before it saw the link that we have just opened: dropping that one would go on for ever.
        if (this.#options.clock.now() - peer.linkSince < KNOCK_PATIENCE) return;
        this.#drop(peer, 'the other side has none');
      }
      return this.#connect(peer);
    }
    peer.retryAfter = RETRY_FIRST;
    this.#adopt(peer, socket, decoder);
    for (const message of early) this.#deliver(peer, socket, message);
  }

  #reject(socket: Socket, reason: string): void {
    socket.destroy();
    if (this.#closed) return;
    this.#rejected++;
    this.#options.logger('warn', 'election connection refused', { remote: socket.remoteAddress, reason, refused: this.#rejected });
  }

  // ---- a link that stands ----

  /** `socket` is the link to `peer` from now on; an older one is replaced. */
  #adopt(peer: Peer, socket: Socket, decoder: ElectionDecoder): void {
    this.#stopRetry(peer);
    const old = peer.link;
    peer.link = socket;
    peer.linkSince = this.#options.clock.now();
    old?.destroy();
    const messages: ElectionMessage[] = [];
    let reason = 'closed by the other side';
    socket.on('error', (error) => {
      reason = errorText(error);
    });
    socket.on('end', () => this.#lost(peer, socket, reason));
    socket.on('close', () => this.#lost(peer, socket, reason));
    socket.on('data', (chunk: Uint8Array) => {
      try {
        decoder.push(chunk, messages);
      } catch (error) {
        reason = `bad input: ${(error as Error).message}`;
      }
      for (const message of messages) this.#deliver(peer, socket, message);
      messages.length = 0;
      if (reason.startsWith('bad input')) this.#lost(peer, socket, reason);
    });
    this.#handler.electionLink(peer.address.id, true);
    peer.waiting ??= peer.last;
    this.#write(peer, socket);
  }

  #deliver(peer: Peer, socket: Socket, message: ElectionMessage): void {
    if (peer.link !== socket) return;
    // It talks sense, so the next loss is a new trouble.
    peer.retryAfter = RETRY_FIRST;
    this.#handler.election(peer.address.id, message);
  }

  /** Sends what waits, unless the network has not even taken the last one. */
  #write(peer: Peer, socket: Socket): void {
    if (peer.waiting === null || peer.link !== socket || socket.writableLength > 0) return;
    const w = new JuteWriter(512);
    encodeElectionMessage(w, peer.waiting);
    peer.waiting = null;
    socket.write(w.view(), () => this.#write(peer, socket));
  }

  #lost(peer: Peer, socket: Socket, reason: string): void {
    socket.destroy();
    if (this.#closed || peer.link !== socket) return;
    this.#options.logger('info', 'election link lost', { peer: peer.address.id, reason });
    this.#drop(peer, reason);
    this.#retryLater(peer);
  }

  #drop(peer: Peer, reason: string): void {
    peer.link?.destroy();
    peer.link = null;
    this.#options.logger('debug', 'election link down', { peer: peer.address.id, reason });
    this.#handler.electionLink(peer.address.id, false);
  }
}

/** A failed connection to several addresses comes as an error without a message of its own. */
function errorText(error: NodeJS.ErrnoException): string {
  return error.message || error.code || String(error);
}
