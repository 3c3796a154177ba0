import type { ElectionMessage, QuorumMessage } from '../zab/messages.ts';
import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';

/** Where a server of the ensemble listens. */
export interface ServerAddress {
  /** 1..255 */
  readonly id: number;
  /** Name or IP address. */
  readonly host: string;
  readonly quorumPort: number;
  readonly electionPort: number;
}

/**
 * An ordered, reliable stream of quorum messages between a learner and a leader, until it breaks. The break is a protocol event: what was sent but had not
 * arrived is lost, nothing is ever sent again on another link.
 */
export interface QuorumLink {
  /** For logs: the other side's address. */
  readonly remote: string;
  /**
   * Queues a message; everything queued in one turn leaves in one write at the turn's end. Never blocks and never throws; after the link has closed it
   * does nothing. The message and what it refers to must not be changed afterwards.
   */
  send(message: QuorumMessage): void;
  /** Bytes queued and not yet taken by the network: what a slow reader makes us hold. */
  readonly buffered: number;
  /** Closes at once; what is queued may be lost. The handler's `closed` is not called for it. Calling twice does nothing. */
  close(reason: string): void;
}

/** What a link tells its owner. No call comes from inside a call of the link or the transport. */
export interface QuorumLinkHandler {
  /** Messages in the order sent. One call holds all that one chunk of bytes completed; the array is reused after the call. */
  messages(batch: readonly QuorumMessage[]): void;
  /** The network has taken everything that was queued (`buffered` is 0 again after it had been above 0 at a turn's end). */
  drained(): void;
  /** Exactly once, last: the link is gone, by the other side, an error or bad input from it; not called after our own `close`. */
  closed(reason: string): void;
}

/** What a transport tells the node that opened it. */
export interface TransportHandler {
  /** A learner has connected to the quorum port. Return the handler of the new link. */
  incoming(link: QuorumLink): QuorumLinkHandler;
  /** An election message from server `from`. */
  election(from: number, message: ElectionMessage): void;
  /** The election link to `peer` has come up or gone down (also: an attempt to connect failed). May repeat itself. */
  electionLink(peer: number, up: boolean): void;
}

export interface TransportOptions {
  readonly self: ServerAddress;
  /** All servers of the ensemble, this one too. */
  readonly servers: readonly ServerAddress[];
  readonly clock: Clock;
  readonly logger: Logger;
  /** The ensemble's election: a transport that encodes messages needs it, since a body of 28 bytes means another thing in each (PROTOCOL 14.2, 14.5). */
  readonly election: 'fast' | 'basic';
  /** How long an attempt to connect may take, ms. */
  readonly connectTimeout: number;
  /** The largest packet (its data) that is accepted from a learner, bytes. A larger one closes the link. What a leader sends may be as large as a transaction can be. */
  readonly maxPacket: number;
}

/** A transport that is listening. */
export interface OpenTransport {
  /**
   * Sends an election message to `peer`, connecting first where needed. Newest wins: at most one message per peer waits, a newer one replaces it;
   * a message may be lost with its link. When a link comes up with nothing waiting, the last message to that peer is sent again (PROTOCOL 14.1).
   */
  sendElection(peer: number, message: ElectionMessage): void;
  /** Whether an election link to `peer` is up right now. */
  electionLinkUp(peer: number): boolean;
  /** Tries again at once to connect to every peer without an election link. */
  reconnectElection(): void;
  /**
   * Connects to the quorum port of `peer`; messages sent before it is connected wait. A failure to connect comes as `closed`.
   */
  dial(peer: number, handler: QuorumLinkHandler): QuorumLink;
  /** Stops listening and closes every link without telling their handlers; `done` once, when ports are free and no handle is left. */
  close(done: () => void): void;
}

/** Opens ports or joins a network for one server. One transport object may be opened again after its close. */
export interface Transport {
  /**
   * Starts to listen. `done` is called exactly once, never before this returns: with an error (for example a port in use) or the open transport.
   * The handler may be called from then on.
   */
  open(options: TransportOptions, handler: TransportHandler, done: (error: Error | null, open?: OpenTransport) => void): void;
}
