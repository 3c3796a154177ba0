import type { EnsembleOptions } from '../../src/node/api.ts';
import type { EnsembleNode, Logger, ServerSpec, Session, Storage } from '../../src/index.ts';
import { createNode, MemoryNetwork, memoryStorage, systemClock, systemRandom, ZabError } from '../../src/index.ts';

/** Awaits a condition; fails with its name after `limit` ms. */
export async function eventually(what: string, condition: () => boolean, limit = 20_000): Promise<void> {
  const end = performance.now() + limit;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${limit} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export interface RigOptions extends Partial<EnsembleOptions> {
  readonly voters: number;
  readonly observers?: number;
}

/** Several replicas in this process on an in-memory network; each server's storage outlives its node, as a disk outlives a process. */
export class Rig {
  readonly clock = systemClock();
  readonly network = new MemoryNetwork(this.clock);
  readonly servers: ServerSpec[];
  readonly nodes = new Map<number, EnsembleNode>();
  readonly log: string[] = [];
  readonly #storages = new Map<number, Storage>();
  readonly #options: RigOptions;

  constructor(options: RigOptions) {
    this.#options = options;
    const total = options.voters + (options.observers ?? 0);
    this.servers = Array.from({ length: total }, (_, k) => ({
      id: k + 1,
      host: '127.0.0.1',
      quorumPort: 2001 + k,
      electionPort: 3001 + k,
      role: k < options.voters ? ('participant' as const) : ('observer' as const),
    }));
  }

  /** Makes and starts the node of a server, over the storage that it left. */
  start(id: number): Promise<void> {
    const logger: Logger = (level, text) => this.log.push(`${performance.now().toFixed(0)} ${id} ${level} ${text}`);
    const storage = this.#storages.get(id) ?? memoryStorage();
    this.#storages.set(id, storage);
    const { voters: _v, observers: _o, ...rest } = this.#options;
    const node = createNode({
      tickTime: 100,
      ...rest,
      id,
      servers: this.servers,
      transport: this.network.transport(),
      storage,
      clock: this.clock,
      random: systemRandom(),
      logger,
    });
    this.nodes.set(id, node);
    return node.start();
  }

  async startAll(): Promise<void> {
    await Promise.all(this.servers.map((s) => this.start(s.id)));
  }

  node(id: number): EnsembleNode {
    const node = this.nodes.get(id);
    if (node === undefined) throw new Error(`server ${id} is not running`);
    return node;
  }

  leader(): EnsembleNode | undefined {
    return [...this.nodes.values()].find((n) => n.role === 'leading' && n.serving);
  }

  /** Every running node serves and follows the same leader. */
  settled(): boolean {
    const leader = this.leader();
    return leader !== undefined && [...this.nodes.values()].every((n) => n.serving && n.leaderId === leader.id && n.epoch === leader.epoch);
  }

  /** Ends a server as if its process were killed: its links break, nothing is said or written any more. */
  async kill(id: number): Promise<void> {
    this.network.isolate(id);
    const node = this.node(id);
    this.nodes.delete(id);
    await node.stop();
    this.network.heal();
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.nodes.values()].map((n) => n.stop()));
    this.nodes.clear();
  }

  /** Waits until all running nodes have applied the same last transaction. */
  async converge(): Promise<void> {
    await eventually('one leader for all', () => this.settled());
    const leader = this.leader() as EnsembleNode;
    const zxid = await leader.sync();
    await Promise.all([...this.nodes.values()].map((n) => n.tree.reached(zxid)));
  }
}

/** Everything in a replica's tree, Stat fields and ACLs too, as comparable text. */
export function contents(node: EnsembleNode): string[] {
  const out: string[] = [];
  for (const [path, { octets, stat }] of node.tree.walk('/')) {
    out.push(JSON.stringify([path, octets, stat, node.tree.getAcl(path)?.acl]));
  }
  return out.sort();
}

/** A client that writes numbered znodes one after another, `width` at a time, over whichever sessions it is given, and remembers what was acknowledged. */
export class Writer {
  readonly acknowledged = new Map<string, string>();
  unknown = 0;
  #stop = false;
  #next = 0;
  readonly #running: Promise<void>[] = [];

  constructor(
    readonly name: string,
    readonly session: () => Promise<Session | undefined>,
    width = 16,
  ) {
    for (let k = 0; k < width; k++) this.#running.push(this.#run());
  }

  async stop(): Promise<void> {
    this.#stop = true;
    await Promise.all(this.#running);
  }

  async #run(): Promise<void> {
    while (!this.#stop) {
      const path = `/${this.name}-${this.#next++}`;
      for (let done = false; !done && !this.#stop; ) done = await this.#attempt(path);
    }
  }

  /** One try; a node that exists already was made by an earlier try whose outcome was unknown. */
  async #attempt(path: string): Promise<boolean> {
    const session = await this.session();
    if (session === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      return false;
    }
    try {
      const { stat } = await session.create(path, path);
      this.acknowledged.set(path, stat.czxid.toString());
      return true;
    } catch (error) {
      if (!(error instanceof ZabError)) throw error;
      if (error.code === 'NODE_EXISTS') return true;
      if (error.outcome === 'unknown') this.unknown++;
      else await new Promise((resolve) => setTimeout(resolve, 1));
      return false;
    }
  }
}
