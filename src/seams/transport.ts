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
   * Queues a message, before the link stands and inside `incoming` too; everything queued in one turn leaves in one write at the turn's end. Never blocks and never
   * throws; after the link has closed it does nothing. The message and what it refers to must not be changed afterwards.
   */
  send(message: QuorumMessage): void;
  /** Bytes queued and not yet taken by the network: what a slow reader makes us hold. */
  readonly buffered: number;
  /** Closes at once; what is queued may be lost. No call of the handler follows, `closed` neither. Calling twice does nothing. */
  close(reason: string): void;
}

/** What a link tells its owner. No call comes from inside a call of any link or transport; each of them may be called from inside these, `close` too. */
export interface QuorumLinkHandler {
  /**
   * Messages in the order sent, at least one. One call holds all that one chunk of bytes completed; the array is reused after the call. A message arrives equal, but
   * a request may have its `body` in place of its `record`, and the znodes of a snapshot may be cut into other batches.
   */
  messages(batch: readonly QuorumMessage[]): void;
  /** The network has taken everything that was queued (`buffered` is 0 again after it had been above 0 at a turn's end). */
  drained(): void;
  /** Exactly once, last: the link is gone, by the other side, an error or bad input from it; not called after our own `close`. */
  closed(reason: string): void;
}

/** What a transport tells the node that opened it. No call comes from inside a call of any link or transport, and none after the transport's `close`. */
export interface TransportHandler {
  /** A learner has connected to the quorum port. Return the handler of the new link, which may be used and closed already. */
  incoming(link: QuorumLink): QuorumLinkHandler;
  /** An election message from server `from`, another one of the ensemble. Those of one link come in the order sent. */
  election(from: number, message: ElectionMessage): void;
  /** The election link to `peer` has come up or gone down (also: an attempt to connect failed), as `electionLinkUp` says in this moment. May repeat itself. */
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
   * a message may be lost with its link. When a link comes up with nothing waiting, the last message to that peer is sent again (PROTOCOL 14.1). A link that
   * was wanted once is tried again until it stands, and made again when it breaks. Who is no other server of the ensemble gets nothing.
   */
  sendElection(peer: number, message: ElectionMessage): void;
  /** Whether an election link to `peer` is up right now. */
  electionLinkUp(peer: number): boolean;
  /** Tries again at once to connect to every peer without an election link. */
  reconnectElection(): void;
  /**
   * Connects to the quorum port of `peer`; messages sent before it is connected wait. A failure to connect comes as `closed`, also when no server of the ensemble has
   * that id. Every call makes a link of its own.
   */
  dial(peer: number, handler: QuorumLinkHandler): QuorumLink;
  /**
   * Stops listening and closes every link without telling their handlers; `done` once, never before this returns, when ports are free and no handle is left. From
   * then on no call does anything, and what `dial` gives is closed already. Each further call has its own `done` called.
   */
  close(done: () => void): void;
}

/** Opens ports or joins a network for one server. One transport object may be opened again after its close. */
export interface Transport {
  /**
   * Starts to listen. `done` is called exactly once, never before this returns: with an error (for example a port in use), and then nothing stays open, or with the
   * open transport. The handler may be called from then on, not before.
   */
  open(options: TransportOptions, handler: TransportHandler, done: (error: Error | null, open?: OpenTransport) => void): void;
}
