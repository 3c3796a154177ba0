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
  type TimerHandle,
  type Transport,
  type TransportHandler,
  type TransportOptions,
} from 'zab-ensemble';

/*
 * A transport between the threads of one process. Each pair of replicas shares one port, the line: election messages go over it, and so do the ports of new quorum links. What
 * travels is bytes in ZooKeeper's own formats, from the codecs that the package exports for this purpose. port-transport.test.ts proves it with the package's conformance suite.
 */

/** What is sent over a line. `hello` says that the sender listens and wants to hear whether the receiver does; `here` answers it; `bye` takes both back. */
type LineMessage =
  | { readonly kind: 'hello' | 'here' | 'bye' }
  | { readonly kind: 'election'; readonly bytes: Uint8Array }
  | { readonly kind: 'dial'; readonly port: MessagePort };

/** The first message on the port of a quorum link, from the one that was dialled; all others are bytes. */
const ACCEPTED = 'accepted';

/** What a learner takes from its leader, bytes: a transaction can be far larger than the request that it comes from. */
const LARGEST_TRANSACTION = 0x10000000;

/** `lines` holds the port to each other replica. Nobody else may use them. */
export function portTransport(lines: ReadonlyMap<number, MessagePort>): Transport {
  let inUse = false;
  return {
    open(options, handler, done) {
      options.clock.defer(() => {
        if (inUse) return done(new Error('the lines of this replica are in use'));
        inUse = true;
        const left = (): void => {
          inUse = false;
        };
        done(null, new PortNode(options, handler, lines, left));
      });
    },
  };
}

class PortNode implements OpenTransport {
  readonly #lines = new Map<number, Line>();
  readonly #links = new Set<PortLink>();
  #closed = false;

  constructor(
    readonly options: TransportOptions,
    readonly handler: TransportHandler,
    lines: ReadonlyMap<number, MessagePort>,
    readonly left: () => void,
  ) {
    for (const [peer, port] of lines) this.#lines.set(peer, new Line(peer, port, options, handler, (link) => this.#incoming(peer, link)));
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
    const link = new PortLink(peer, port1, 'learner', this.options);
    link.handler = handler;
    if (this.#closed) {
      link.close();
      return link;
    }
    this.#keep(link);
    const line = this.#lines.get(peer);
    if (line === undefined) port2.close();
    else line.post({ kind: 'dial', port: port2 }, [port2]);
    return link;
  }

  close(done: () => void): void {
    if (!this.#closed) {
      this.#closed = true;
      for (const line of this.#lines.values()) line.close();
      for (const link of this.#links) link.close();
      this.left();
    }
    this.options.clock.defer(done);
  }

  #incoming(peer: number, port: MessagePort): void {
    const link = new PortLink(peer, port, 'leader', this.options);
    this.#keep(link);
    const handler = this.handler.incoming(link);
    if (!link.closed) link.handler = handler;
  }

  #keep(link: PortLink): void {
    this.#links.add(link);
    link.whenClosed = () => this.#links.delete(link);
  }
}

/** The election side of a pair. It is up while both sides listen. The last message is kept: it goes out (again) when the other side comes up. */
class Line {
  up = false;
  #last: ElectionMessage | undefined;
  #closed = false;
  /** Waits for an answer to `hello`. */
  #timer: TimerHandle | undefined;
  readonly #writer = new JuteWriter();
  readonly #listen: (message: LineMessage) => void;
  readonly #lost = (): void => this.#setUp(false);

  constructor(
    readonly peer: number,
    readonly port: MessagePort,
    readonly options: TransportOptions,
    readonly handler: TransportHandler,
    incoming: (port: MessagePort) => void,
  ) {
    this.#listen = (message) => this.#received(message, incoming);
    port.on('message', this.#listen);
    port.on('close', this.#lost);
    // Whoever comes later says so, so nobody has to ask again and again.
    this.post({ kind: 'hello' });
  }

  /** Asks whether the other side is there; if it does not say so in time, that is told. */
  call(): void {
    if (this.up || this.#closed) return;
    this.post({ kind: 'hello' });
    this.#timer ??= this.options.clock.setTimer(this.options.connectTimeout, () => {
      this.#timer = undefined;
      this.handler.electionLink(this.peer, false);
    });
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
    this.#closed = true;
    this.up = false;
    this.#stopTimer();
  }

  #received(message: LineMessage, incoming: (port: MessagePort) => void): void {
    if (message.kind === 'dial') return incoming(message.port);
    if (message.kind === 'bye') return this.#setUp(false);
    if (message.kind === 'hello') this.post({ kind: 'here' });
    if (message.kind !== 'election') return this.#setUp(true);
    const messages: ElectionMessage[] = [];
    new ElectionDecoder({ header: false, algorithm: this.options.election }).push(message.bytes, messages);
    for (const election of messages) this.handler.election(this.peer, election);
  }

  #setUp(up: boolean): void {
    if (up === this.up) return;
    this.up = up;
    this.#stopTimer();
    this.handler.electionLink(this.peer, up);
    if (this.up && this.#last !== undefined) this.sendElection(this.#last);
  }

  #stopTimer(): void {
    if (this.#timer !== undefined) this.options.clock.clearTimer(this.#timer);
    this.#timer = undefined;
  }
}

/** A quorum link over a port of its own. All messages of one turn leave as one piece. */
class PortLink implements QuorumLink {
  readonly remote: string;
  handler: QuorumLinkHandler | undefined;
  whenClosed: () => void = () => {};
  closed = false;
  readonly #writer = new JuteWriter();
  readonly #decoder: QuorumDecoder;
  readonly #batch: QuorumMessage[] = [];
  /** Waits until the other side has accepted; undefined once it has. */
  #timer: TimerHandle | undefined;
  #flushing = false;

  constructor(
    peer: number,
    readonly port: MessagePort,
    side: 'leader' | 'learner',
    readonly options: TransportOptions,
  ) {
    this.remote = `thread of replica ${peer}`;
    this.#decoder = new QuorumDecoder(side, side === 'leader' ? options.maxPacket : LARGEST_TRANSACTION);
    port.on('message', (piece: Uint8Array | typeof ACCEPTED) => (piece === ACCEPTED ? this.#accepted() : this.#received(piece)));
    port.on('close', () => this.#lost('the other side closed'));
    if (side === 'leader') port.postMessage(ACCEPTED);
    else this.#timer = options.clock.setTimer(options.connectTimeout, () => this.#lost('connect timeout'));
  }

  /** A port takes whatever it is given, so only what waits for the end of the turn, or for the other side to accept, counts. */
  get buffered(): number {
    return this.#writer.pos;
  }

  send(message: QuorumMessage): void {
    if (this.closed) return;
    encodeQuorumMessage(this.#writer, message);
    if (this.#flushing || this.#timer !== undefined) return;
    this.#flushing = true;
    this.options.clock.defer(() => this.#flush());
  }

  close(): void {
    this.handler = undefined;
    this.#lost('closed');
  }

  #accepted(): void {
    if (this.#timer !== undefined) this.options.clock.clearTimer(this.#timer);
    this.#timer = undefined;
    this.#flush();
  }

  #flush(): void {
    this.#flushing = false;
    if (this.closed || this.#writer.pos === 0) return;
    this.port.postMessage(this.#writer.copy());
    this.#writer.reset();
    this.handler?.drained();
  }

  #received(bytes: Uint8Array): void {
    if (this.closed) return;
    let bad: unknown;
    try {
      this.#decoder.push(bytes, this.#batch);
    } catch (error) {
      bad = error;
    }
    // What came before the bad bytes is good.
    if (this.#batch.length > 0) this.handler?.messages(this.#batch);
    this.#batch.length = 0;
    if (bad !== undefined) this.#lost(`bad bytes: ${bad instanceof Error ? bad.message : bad}`);
  }

  #lost(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    if (this.#timer !== undefined) this.options.clock.clearTimer(this.#timer);
    this.port.close();
    this.whenClosed();
    this.handler?.closed(reason);
  }
}
