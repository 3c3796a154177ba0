import { lookup as defaultLookup } from 'node:dns';
import { connect, createServer, isIP, type LookupFunction, type Server, type Socket } from 'node:net';
import type { OpenTransport, QuorumLink, QuorumLinkHandler, Transport, TransportHandler, TransportOptions } from '../seams/transport.ts';
import type { ElectionMessage } from '../zab/messages.ts';
import { ElectionManager } from './tcp-election.ts';
import { TcpQuorumLink } from './tcp-quorum.ts';

/**
 * What a learner takes from its leader, bytes: a transaction can be far larger than the request that it comes from, such as the closing of a session with a hundred thousand
 * ephemeral znodes, and a learner that refused it could never join again (faults 3496, 706, 4306).
 */
const LARGEST_TRANSACTION = 0x10000000;

/** Wait before the own name is looked up again, in ms: it doubles from the first to the second value. */
const LOOKUP_RETRY_FIRST = 50;
const LOOKUP_RETRY_LAST = 1000;

export interface TcpTransportOptions {
  /**
   * Address to listen on, for both ports; `0.0.0.0` or `::` for all.
   * @default the host of the server itself
   */
  readonly listenHost?: string;
  /**
   * Resolves names, with the signature of `dns.lookup`.
   * @default dns.lookup
   */
  readonly lookup?: LookupFunction;
}

/**
 * A transport over TCP in ZooKeeper's formats (PROTOCOL 12, 14): it can talk to Apache ZooKeeper servers.
 *
 * A name that cannot be resolved is a failed attempt to connect. The own name is looked up again until `connectTimeout` is over; only then does `open` fail
 * (faults 3320, 3756).
 */
export function tcpTransport(options: TcpTransportOptions = {}): Transport {
  return {
    open(openOptions, handler, done) {
      const transport = new TcpTransport(options, openOptions, handler);
      transport.listen((error) => (error === null ? done(null, transport) : done(error)));
    },
  };
}

class TcpTransport implements OpenTransport {
  readonly #options: TransportOptions;
  readonly #tcp: TcpTransportOptions;
  readonly #handler: TransportHandler;
  readonly #election: ElectionManager;
  readonly #quorumServer: Server;
  readonly #electionServer: Server;
  readonly #links = new Set<TcpQuorumLink>();
  /** Every socket whose handle may still be open. */
  readonly #sockets = new Set<Socket>();
  #closed = false;
  #onClosed: (() => void)[] = [];
  #openServers = 0;

  constructor(tcp: TcpTransportOptions, options: TransportOptions, handler: TransportHandler) {
    this.#tcp = tcp;
    this.#options = options;
    this.#handler = handler;
    const { self, servers, clock, logger, connectTimeout, election: algorithm } = options;
    const track = (socket: Socket): void => this.#track(socket);
    this.#election = new ElectionManager({ self, servers, clock, logger, connectTimeout, algorithm, lookup: tcp.lookup, track }, handler);
    const socketOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 };
    this.#quorumServer = createServer(socketOptions, (socket) => this.#accept(socket));
    this.#electionServer = createServer(socketOptions, (socket) => this.#election.accept(socket));
  }

  // ---- opening ----

  listen(done: (error: Error | null) => void): void {
    const { self, clock, connectTimeout } = this.#options;
    this.#resolveOwn(clock.now() + connectTimeout, LOOKUP_RETRY_FIRST, (error, host) => {
      if (error !== null) return done(error);
      this.#listenOn(this.#quorumServer, host, self.quorumPort, (quorumError) => {
        if (quorumError !== null) return done(quorumError);
        this.#listenOn(this.#electionServer, host, self.electionPort, (electionError) => {
          if (electionError === null) return done(null);
          this.close(() => done(electionError));
        });
      });
    });
  }

  #resolveOwn(deadline: number, wait: number, done: (error: Error | null, host: string) => void): void {
    const { clock, logger, self } = this.#options;
    const host = this.#tcp.listenHost ?? self.host;
    if (isIP(host) !== 0) return clock.defer(() => done(null, host));
    const lookup = this.#tcp.lookup ?? defaultLookup;
    lookup(host, { all: false }, (error, address) => {
      if (!error) return done(null, Array.isArray(address) ? address[0].address : address);
      if (clock.now() + wait > deadline) {
        return clock.defer(() => done(new Error(`cannot listen on ${host}: ${error.message}`, { cause: error }), host));
      }
      logger('warn', 'the own host name cannot be resolved yet', { host, reason: error.message });
      clock.setTimer(wait, () => this.#resolveOwn(deadline, Math.min(2 * wait, LOOKUP_RETRY_LAST), done));
    });
  }

  #listenOn(server: Server, host: string, port: number, done: (error: Error | null) => void): void {
    const failed = (error: Error): void => done(new Error(`cannot listen on ${host}:${port}: ${error.message}`, { cause: error }));
    server.once('error', failed);
    try {
      server.listen({ host, port }, () => {
        server.off('error', failed);
        server.on('error', (error) => this.#options.logger('error', 'a port has failed', { host, port, reason: error.message }));
        this.#openServers++;
        server.on('close', () => {
          this.#openServers--;
          this.#checkClosed();
        });
        done(null);
      });
    } catch (error) {
      // A port that can be none throws at once.
      server.off('error', failed);
      this.#options.clock.defer(() => failed(error as Error));
    }
  }

  // ---- quorum links ----

  #accept(socket: Socket): void {
    this.#track(socket);
    const link = this.#newLink(socket, 'leader', `${socket.remoteAddress}:${socket.remotePort}`);
    if (this.#closed) return link.close('the transport is closed');
    link.attach(this.#handler.incoming(link));
  }

  dial(peer: number, handler: QuorumLinkHandler): QuorumLink {
    const address = this.#options.servers.find((server) => server.id === peer);
    if (this.#closed || address === undefined)
      return this.#deadLink(peer, handler, this.#closed ? null : `server ${peer} is not in the ensemble`);
    let socket: Socket;
    try {
      socket = connect({ host: address.host, port: address.quorumPort, lookup: this.#tcp.lookup });
    } catch (error) {
      return this.#deadLink(peer, handler, String(error));
    }
    this.#track(socket);
    const link = this.#newLink(socket, 'learner', `${address.host}:${address.quorumPort}`);
    link.attach(handler);
    return link;
  }

  #newLink(socket: Socket, side: 'leader' | 'learner', remote: string): TcpQuorumLink {
    const { clock, logger, connectTimeout } = this.#options;
    const maxPacket = side === 'learner' ? Math.max(this.#options.maxPacket, LARGEST_TRANSACTION) : this.#options.maxPacket;
    const released = (link: TcpQuorumLink, reason: string): void => {
      this.#links.delete(link);
      logger('debug', 'quorum link closed', { remote, reason });
    };
    const link = new TcpQuorumLink(socket, { clock, side, remote, maxPacket, connectTimeout, released });
    this.#links.add(link);
    return link;
  }

  /** A link that could not even be begun. Its end is told in a later turn; not at all with `reason` null. */
  #deadLink(peer: number, handler: QuorumLinkHandler, reason: string | null): QuorumLink {
    let told = reason === null;
    this.#options.clock.defer(() => {
      if (told || this.#closed) return;
      told = true;
      handler.closed(reason ?? '');
    });
    return {
      remote: `server ${peer}`,
      buffered: 0,
      send() {},
      close() {
        told = true;
      },
    };
  }

  // ---- election links ----

  sendElection(peer: number, message: ElectionMessage): void {
    this.#election.send(peer, message);
  }

  electionLinkUp(peer: number): boolean {
    return this.#election.isUp(peer);
  }

  reconnectElection(): void {
    this.#election.reconnect();
  }

  // ---- closing ----

  close(done: () => void): void {
    this.#onClosed.push(done);
    if (!this.#closed) {
      this.#closed = true;
      this.#election.close();
      for (const link of [...this.#links]) link.close('the transport closed');
      for (const socket of this.#sockets) socket.destroy();
      if (this.#quorumServer.listening) this.#quorumServer.close();
      if (this.#electionServer.listening) this.#electionServer.close();
    }
    this.#options.clock.defer(() => this.#checkClosed());
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#checkClosed();
    });
  }

  #checkClosed(): void {
    if (!this.#closed || this.#openServers > 0 || this.#sockets.size > 0) return;
    const waiting = this.#onClosed;
    this.#onClosed = [];
    for (const done of waiting) done();
  }
}
