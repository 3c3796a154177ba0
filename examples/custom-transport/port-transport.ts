import { MessageChannel, type MessagePort } from 'node:worker_threads';
import {
  ElectionDecoder,
  type ElectionMessage,
  encodeElectionMessage,
  encodeQuorumMessage,
  JuteWriter,
  type OpenTransport,
  QuorumDecoder,
  type QuorumLink,
  type QuorumLinkHandler,
  type QuorumMessage,
  type Transport,
  type TransportHandler,
  type TransportOptions,
} from 'zab-ensemble';

/*
 * A transport between the threads of one process. Each pair of replicas shares one port, the line: election messages go over it, and so do the ports of new quorum links. What
 * travels is bytes in ZooKeeper's own formats, from the codecs that the package exports for this purpose.
 */

/** What is sent over a line. `hello` says that the sender listens and wants to hear whether the receiver does; `here` answers it. */
type LineMessage =
  | { readonly kind: 'hello' | 'here' | 'bye' }
  | { readonly kind: 'election'; readonly bytes: Uint8Array }
  | { readonly kind: 'dial'; readonly port: MessagePort };

/** `lines` holds the port to each other replica. */
export const portTransport = (lines: ReadonlyMap<number, MessagePort>): Transport => ({
  open(options, handler, done) {
    options.clock.defer(() => done(null, new PortNode(options, handler, lines)));
  },
});

class PortNode implements OpenTransport {
  readonly #lines = new Map<number, Line>();
  readonly #links = new Set<PortLink>();

  constructor(
    readonly options: TransportOptions,
    readonly handler: TransportHandler,
    lines: ReadonlyMap<number, MessagePort>,
  ) {
    for (const [peer, port] of lines) this.#lines.set(peer, new Line(peer, port, handler, (link) => this.#incoming(peer, link)));
  }

  sendElection(peer: number, message: ElectionMessage): void {
    this.#lines.get(peer)?.sendElection(message);
  }

  electionLinkUp(peer: number): boolean {
    return this.#lines.get(peer)?.up ?? false;
  }

  reconnectElection(): void {
    for (const line of this.#lines.values()) line.call();
  }

  dial(peer: number, handler: QuorumLinkHandler): QuorumLink {
    const { port1, port2 } = new MessageChannel();
    this.#lines.get(peer)?.post({ kind: 'dial', port: port2 }, [port2]);
    return this.#keep(new PortLink(`thread of replica ${peer}`, port1, 'learner', this.options, handler));
  }

  close(done: () => void): void {
    for (const line of this.#lines.values()) line.close();
    for (const link of this.#links) link.close('the transport closed');
    this.options.clock.defer(done);
  }

  #incoming(peer: number, port: MessagePort): void {
    const link = this.#keep(new PortLink(`thread of replica ${peer}`, port, 'leader', this.options));
    link.handler = this.handler.incoming(link);
  }

  #keep(link: PortLink): PortLink {
    this.#links.add(link);
    link.whenClosed = () => this.#links.delete(link);
    return link;
  }
}

/** The election side of a pair. The last message is kept: it goes out (again) when the other side comes up. */
class Line {
  up = false;
  #last: ElectionMessage | undefined;
  readonly #writer = new JuteWriter();
  readonly #listen: (message: LineMessage) => void;
  readonly #lost = (): void => this.#setUp(false);

  constructor(
    readonly peer: number,
    readonly port: MessagePort,
    readonly handler: TransportHandler,
    incoming: (port: MessagePort) => void,
  ) {
    this.#listen = (message) => this.#received(message, incoming);
    port.on('message', this.#listen);
    port.on('close', this.#lost);
    this.call();
  }

  /** Asks whether the other side is there. */
  call(): void {
    if (!this.up) this.post({ kind: 'hello' });
  }

  post(message: LineMessage, transfer: readonly MessagePort[] = []): void {
    this.port.postMessage(message, [...transfer]);
  }

  sendElection(message: ElectionMessage): void {
    this.#last = message;
    if (!this.up) return this.call();
    this.#writer.reset();
    encodeElectionMessage(this.#writer, message);
    this.post({ kind: 'election', bytes: this.#writer.copy() });
  }

  close(): void {
    this.post({ kind: 'bye' });
    this.port.off('message', this.#listen);
    this.port.off('close', this.#lost);
    this.up = false;
  }

  #received(message: LineMessage, incoming: (port: MessagePort) => void): void {
    if (message.kind === 'dial') return incoming(message.port);
    if (message.kind === 'bye') return this.#setUp(false);
    if (message.kind === 'hello') this.post({ kind: 'here' });
    if (message.kind !== 'election') return this.#setUp(true);
    const messages: ElectionMessage[] = [];
    new ElectionDecoder({ header: false, algorithm: 'fast' }).push(message.bytes, messages);
    for (const election of messages) this.handler.election(this.peer, election);
  }

  #setUp(up: boolean): void {
    if (up === this.up) return;
    this.up = up;
    this.handler.electionLink(this.peer, up);
    if (up && this.#last !== undefined) this.sendElection(this.#last);
  }
}

/** A quorum link over a port of its own. All messages of one turn leave as one piece. */
class PortLink implements QuorumLink {
  handler: QuorumLinkHandler | undefined;
  whenClosed: () => void = () => {};
  readonly #writer = new JuteWriter();
  readonly #decoder: QuorumDecoder;
  readonly #batch: QuorumMessage[] = [];
  #flushing = false;
  #closed = false;

  constructor(
    readonly remote: string,
    readonly port: MessagePort,
    side: 'leader' | 'learner',
    readonly options: TransportOptions,
    handler?: QuorumLinkHandler,
  ) {
    this.handler = handler;
    this.#decoder = new QuorumDecoder(side, options.maxPacket);
    port.on('message', (bytes: Uint8Array) => this.#received(bytes));
    port.on('close', () => this.#lost('the other side closed'));
  }

  /** A port takes whatever it is given, so only what waits for the end of the turn counts. */
  get buffered(): number {
    return this.#writer.pos;
  }

  send(message: QuorumMessage): void {
    if (this.#closed) return;
    encodeQuorumMessage(this.#writer, message);
    if (this.#flushing) return;
    this.#flushing = true;
    this.options.clock.defer(() => this.#flush());
  }

  close(_reason: string): void {
    if (this.#closed) return;
    this.#flush();
    this.#closed = true;
    this.whenClosed();
    this.port.close();
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#closed || this.#writer.pos === 0) return;
    this.port.postMessage(this.#writer.copy());
    this.#writer.reset();
    this.handler?.drained();
  }

  #received(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#batch.length = 0;
    try {
      this.#decoder.push(bytes, this.#batch);
    } catch (error) {
      this.port.close();
      return this.#lost(`bad bytes: ${error instanceof Error ? error.message : error}`);
    }
    this.handler?.messages(this.#batch);
  }

  #lost(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.whenClosed();
    this.handler?.closed(reason);
  }
}
