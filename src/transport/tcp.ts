import type { ByteSocket, Listener, SocketHandler, Sockets } from '../seams/sockets.ts';
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
  /** The connections under it. */
  readonly sockets: Sockets;
}

/** The transport over TCP as the entry `index` describes it, over any sockets. */
export function tcpTransport(options: TcpTransportOptions): Transport {
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
  readonly #links = new Set<TcpQuorumLink>();
  /** Every socket of which something may still be left. */
  readonly #alive = new Set<ByteSocket>();
  /** Ports that are listened on; none once they are being closed. */
  readonly #listeners: Listener[] = [];
  /** Ports that are not free yet. */
  #openPorts = 0;
  #closed = false;
  #onClosed: (() => void)[] = [];

  constructor(tcp: TcpTransportOptions, options: TransportOptions, handler: TransportHandler) {
    this.#tcp = tcp;
    this.#options = options;
    this.#handler = handler;
    const { self, servers, clock, logger, connectTimeout, election: algorithm } = options;
    const { sockets } = tcp;
    const made = (socket: ByteSocket): void => void this.#alive.add(socket);
    this.#election = new ElectionManager(
      { self, servers, clock, logger, connectTimeout, algorithm, sockets, made, gone: this.#gone },
      handler,
    );
  }

  // ---- opening ----

  listen(done: (error: Error | null) => void): void {
    const { self, clock, connectTimeout } = this.#options;
    this.#resolveOwn(clock.now() + connectTimeout, LOOKUP_RETRY_FIRST, (error, host) => {
      if (error !== null) return done(error);
      this.#listenOn(
        host,
        self.quorumPort,
        (socket) => this.#accept(socket),
        (quorumError) => {
          if (quorumError !== null) return done(quorumError);
          this.#listenOn(
            host,
            self.electionPort,
            (socket) => this.#election.accept(socket),
            (electionError) => {
              if (electionError === null) return done(null);
              this.close(() => done(electionError));
            },
          );
        },
      );
    });
  }

  #resolveOwn(deadline: number, wait: number, done: (error: Error | null, host: string) => void): void {
    const { clock, logger, self } = this.#options;
    const host = this.#tcp.listenHost ?? self.host;
    this.#tcp.sockets.lookup(host, (error, address) => {
      if (error === null) return done(null, address ?? host);
      if (clock.now() + wait > deadline) return done(new Error(`cannot listen on ${host}: ${error.message}`, { cause: error }), host);
      logger('warn', 'the own host name cannot be resolved yet', { host, reason: error.message });
      clock.setTimer(wait, () => this.#resolveOwn(deadline, Math.min(2 * wait, LOOKUP_RETRY_LAST), done));
    });
  }

  #listenOn(host: string, port: number, accept: (socket: ByteSocket) => SocketHandler, done: (error: Error | null) => void): void {
    const listening = (error: Error | null, listener?: Listener): void => {
      if (listener === undefined) return done(new Error(`cannot listen on ${host}:${port}: ${error?.message}`, { cause: error }));
      this.#listeners.push(listener);
      this.#openPorts++;
      done(null);
    };
    const trouble = (reason: string): void => this.#options.logger('error', 'a port has failed', { host, port, reason });
    this.#tcp.sockets.listen(host, port, accept, listening, trouble);
  }

  // ---- quorum links ----

  #accept(socket: ByteSocket): SocketHandler {
    const link = this.#newLink('leader', socket.remote);
    this.#carry(link, socket);
    if (this.#closed) link.close('the transport is closed');
    else link.attach(this.#handler.incoming(link));
    return link;
  }

  dial(peer: number, handler: QuorumLinkHandler): QuorumLink {
    const address = this.#options.servers.find((server) => server.id === peer);
    if (this.#closed || address === undefined)
      return this.#deadLink(peer, handler, this.#closed ? null : `server ${peer} is not in the ensemble`);
    const link = this.#newLink('learner', `${address.host}:${address.quorumPort}`);
    this.#carry(link, this.#tcp.sockets.connect(address.host, address.quorumPort, link));
    link.attach(handler);
    return link;
  }

  #carry(link: TcpQuorumLink, socket: ByteSocket): void {
    this.#alive.add(socket);
    link.carry(socket);
  }

  #newLink(side: 'leader' | 'learner', remote: string): TcpQuorumLink {
    const { clock, logger, connectTimeout } = this.#options;
    const maxPacket = side === 'learner' ? Math.max(this.#options.maxPacket, LARGEST_TRANSACTION) : this.#options.maxPacket;
    const released = (link: TcpQuorumLink, reason: string): void => {
      this.#links.delete(link);
      logger('debug', 'quorum link closed', { remote, reason });
    };
    const link = new TcpQuorumLink({ clock, side, remote, maxPacket, connectTimeout, released, gone: this.#gone });
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
      for (const socket of this.#alive) socket.destroy();
      for (const listener of this.#listeners.splice(0))
        listener.close(() => {
          this.#openPorts--;
          this.#checkClosed();
        });
    }
    this.#options.clock.defer(() => this.#checkClosed());
  }

  /** Nothing is left of a socket. */
  readonly #gone = (socket: ByteSocket): void => {
    this.#alive.delete(socket);
    this.#checkClosed();
  };

  #checkClosed(): void {
    if (!this.#closed || this.#openPorts > 0 || this.#alive.size > 0) return;
    const waiting = this.#onClosed;
    this.#onClosed = [];
    for (const done of waiting) done();
  }
}
