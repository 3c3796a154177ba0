import type { Clock } from '../seams/clock.ts';
import type { OpenTransport, QuorumLink, QuorumLinkHandler, Transport, TransportHandler, TransportOptions } from '../seams/transport.ts';
import type { ElectionMessage } from '../zab/messages.ts';
import { type Fabric, type LinkOwner, MemoryLink, Pipe } from './memory-link.ts';

/** How long a message from one server to another takes, in ms. Order on a link is kept whatever it says. */
export type DelayRule = (from: number, to: number) => number;

/** What a cut does. */
export interface CutOptions {
  /** Only what the first sends to the second is held up. Implies `stall`, since a network that loses one direction closes no connection. */
  readonly oneWay?: boolean;
  /** Links stay open and what is sent waits for {@link MemoryNetwork.heal}, as in a real partition. Otherwise links break at once on both sides. */
  readonly stall?: boolean;
}

type Block = 'break' | 'stall';

/**
 * A network inside one process, for tests and for several replicas in one program. Messages are handed over by reference, in order, never from inside the call
 * that sends them; time passes on the given clock only, so with a virtual clock a whole ensemble runs deterministically.
 */
export class MemoryNetwork {
  readonly #hub: Hub;

  constructor(clock: Clock) {
    this.#hub = new Hub(clock);
  }

  /** A transport that joins this network with the id of the server that opens it. */
  transport(): Transport {
    const hub = this.#hub;
    return {
      open(options, handler, done) {
        hub.clock.defer(() => {
          const { id } = options.self;
          if (hub.nodes.has(id)) return done(new Error(`server ${id} is on this network already`));
          const node = new MemoryNode(hub, options, handler);
          hub.nodes.set(id, node);
          done(null, node);
          hub.retryElections();
        });
      },
    };
  }

  /** Sets the delay of everything sent from now on: one number for all, or a rule. */
  setDelay(delay: number | DelayRule): void {
    this.#hub.rule = typeof delay === 'number' ? () => delay : delay;
  }

  /** Cuts the servers `a` and `b` off from each other. */
  cut(a: number, b: number, options: CutOptions = {}): void {
    const block: Block = options.stall || options.oneWay ? 'stall' : 'break';
    const { blocks, links, pairs } = this.#hub;
    blocks.set(directionKey(a, b), block);
    if (!options.oneWay) blocks.set(directionKey(b, a), block);
    if (block === 'stall') return;
    for (const link of [...links]) if (link.joins(a, b)) link.fail('the network was cut');
    pairs.get(pairKey(a, b))?.down();
  }

  /** Cuts every server of one group off from every server of the other. */
  partition(groupA: readonly number[], groupB: readonly number[], options: CutOptions = {}): void {
    for (const a of groupA) for (const b of groupB) this.cut(a, b, options);
  }

  /** Cuts a server off from all others that are on the network now. */
  isolate(id: number, options: CutOptions = {}): void {
    for (const other of this.#hub.nodes.keys()) if (other !== id) this.cut(id, other, options);
  }

  /** Ends every cut. What was stalled moves on. */
  heal(): void {
    this.#hub.blocks.clear();
    for (const pipe of this.#hub.pipes) pipe.schedule();
    this.#hub.retryElections();
  }
}

const directionKey = (from: number, to: number): string => `${from}>${to}`;
const pairKey = (a: number, b: number): string => (a < b ? `${a}-${b}` : `${b}-${a}`);

/** After `ms` on the clock; 0 is the end of the turn. */
function later(clock: Clock, ms: number, fn: () => void): void {
  if (ms > 0) clock.setTimer(ms, fn);
  else clock.defer(fn);
}

/** The state of a network. */
class Hub implements Fabric {
  rule: DelayRule = () => 0;
  readonly nodes = new Map<number, MemoryNode>();
  /** Directions that are cut, by {@link directionKey}. */
  readonly blocks = new Map<string, Block>();
  readonly pairs = new Map<string, ElectionPair>();
  readonly pipes = new Set<Pipe>();
  readonly links = new Set<MemoryLink>();

  constructor(readonly clock: Clock) {}

  delay(from: number, to: number): number {
    return Math.max(0, this.rule(from, to));
  }

  blocked(from: number, to: number): boolean {
    return this.blocks.has(directionKey(from, to));
  }

  node(id: number): MemoryNode | undefined {
    return this.nodes.get(id);
  }

  /** What keeps `from` from connecting to `to`. */
  barrier(from: number, to: number): Block | 'refused' | undefined {
    const there = this.blocks.get(directionKey(from, to));
    const back = this.blocks.get(directionKey(to, from));
    if (there === 'stall' || back === 'stall') return 'stall';
    return there ?? back ?? (this.nodes.has(to) ? undefined : 'refused');
  }

  pair(a: number, b: number): ElectionPair {
    const key = pairKey(a, b);
    let pair = this.pairs.get(key);
    if (pair === undefined) this.pairs.set(key, (pair = new ElectionPair(this, a, b)));
    return pair;
  }

  /** The node has closed: its links break. */
  leave(node: MemoryNode): void {
    this.nodes.delete(node.id);
    for (const link of [...this.links]) if (link.owner === node) link.close('the transport closed');
    for (const pair of this.pairs.values()) if (pair.a === node.id || pair.b === node.id) pair.leave(node.id);
  }

  retryElections(): void {
    for (const pair of this.pairs.values()) pair.retry();
  }
}

/** The election connection of two servers. */
class ElectionPair {
  #up = false;
  #connecting = false;
  /** The servers, of those on the network, that have asked for it. */
  readonly #wantedBy = new Set<number>();
  #pipes: Pipe<ElectionMessage>[] = [];

  constructor(
    readonly network: Hub,
    readonly a: number,
    readonly b: number,
  ) {}

  get isUp(): boolean {
    return this.#up;
  }

  send(from: number, message: ElectionMessage): void {
    this.#pipes[from === this.a ? 0 : 1].push(message, 0);
  }

  /** Starts to connect for `from`, unless it is on the way. */
  connect(from: number): void {
    const node = this.network.node(from);
    if (node === undefined) return;
    this.#wantedBy.add(from);
    if (this.#up || this.#connecting) return;
    this.#connecting = true;
    const to = from === this.a ? this.b : this.a;
    const stalled = this.network.barrier(from, to) === 'stall';
    const { clock } = this.network;
    later(clock, stalled ? node.connectTimeout : this.network.delay(from, to) + this.network.delay(to, from), () => {
      this.#connecting = false;
      if (this.#up) return;
      const there = this.network.node(to);
      if (this.network.node(from) !== node) {
        // The one who wanted it has left in between; the other side may want it still.
        this.retry();
      } else if (there === undefined || this.network.barrier(from, to) !== undefined) {
        node.handler.electionLink(to, false);
      } else {
        this.#establish();
      }
    });
  }

  /** The network has changed: another attempt for a link that somebody wants. */
  retry(): void {
    if (this.#up) return;
    for (const id of this.#wantedBy) return this.connect(id);
  }

  /** A server has left: what it asked for does not count any more. */
  leave(id: number): void {
    this.#wantedBy.delete(id);
    this.down();
  }

  down(): void {
    if (!this.#up) return;
    this.#up = false;
    for (const pipe of this.#pipes) pipe.stop();
    this.network.clock.defer(() => {
      if (this.#up) return;
      this.network.node(this.a)?.handler.electionLink(this.b, false);
      this.network.node(this.b)?.handler.electionLink(this.a, false);
      this.retry();
    });
  }

  #establish(): void {
    this.#up = true;
    this.#pipes = [this.#pipe(this.a, this.b), this.#pipe(this.b, this.a)];
    for (const [self, peer] of [
      [this.a, this.b],
      [this.b, this.a],
    ]) {
      const node = this.network.node(self);
      node?.handler.electionLink(peer, true);
      // It may have closed in that call.
      if (!this.#up) return;
      const message = node?.lastElection(peer);
      if (message !== undefined) this.send(self, message);
    }
  }

  #pipe(from: number, to: number): Pipe<ElectionMessage> {
    const pipe = new Pipe<ElectionMessage>(this.network, from, to, {
      deliver: (batch) => {
        for (const message of batch) this.network.node(to)?.handler.election(from, message);
      },
      drained: () => {},
      end: () => {},
    });
    pipe.open();
    return pipe;
  }
}

/** One server on the network. */
class MemoryNode implements OpenTransport, LinkOwner {
  readonly id: number;
  readonly handler: TransportHandler;
  readonly connectTimeout: number;
  readonly maxPacket: number;
  readonly #network: Hub;
  readonly #peers: ReadonlySet<number>;
  /** The last message to each peer: what waits for a link is always this one. */
  readonly #last = new Map<number, ElectionMessage>();
  #closed = false;

  constructor(network: Hub, options: TransportOptions, handler: TransportHandler) {
    this.#network = network;
    this.id = options.self.id;
    this.connectTimeout = options.connectTimeout;
    this.maxPacket = options.maxPacket;
    this.handler = handler;
    this.#peers = new Set(options.servers.map((server) => server.id).filter((id) => id !== this.id));
  }

  sendElection(peer: number, message: ElectionMessage): void {
    if (this.#closed || !this.#peers.has(peer)) return;
    this.#last.set(peer, message);
    const pair = this.#network.pair(this.id, peer);
    if (pair.isUp) pair.send(this.id, message);
    else pair.connect(this.id);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** What goes out first on a new election link, be it for the first time or again. */
  lastElection(peer: number): ElectionMessage | undefined {
    return this.#last.get(peer);
  }

  electionLinkUp(peer: number): boolean {
    return !this.#closed && this.#peers.has(peer) && this.#network.pair(this.id, peer).isUp;
  }

  reconnectElection(): void {
    if (this.#closed) return;
    for (const peer of this.#peers) this.#network.pair(this.id, peer).connect(this.id);
  }

  dial(peer: number, handler: QuorumLinkHandler): QuorumLink {
    const link = new MemoryLink(this.#network, this, peer, handler);
    if (this.#closed) {
      link.fail('the transport is closed');
      return link;
    }
    const network = this.#network;
    const stalled = network.barrier(this.id, peer) === 'stall';
    later(network.clock, stalled ? this.connectTimeout : network.delay(this.id, peer) + network.delay(peer, this.id), () => {
      const target = network.node(peer);
      const barrier = network.barrier(this.id, peer);
      if (target !== undefined && barrier === undefined) link.connect(target, (incoming) => target.handler.incoming(incoming));
      else link.fail(stalled ? 'connect timeout' : barrier === 'refused' ? 'connection refused' : 'network unreachable');
    });
    return link;
  }

  close(done: () => void): void {
    if (!this.#closed) {
      this.#closed = true;
      this.#network.leave(this);
    }
    this.#network.clock.defer(done);
  }
}
