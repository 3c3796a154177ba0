import { expect } from 'vitest';
import type { EnsembleNode, EnsembleOptions, Logger, ServerSpec, Storage, Transport } from '../../src/index.ts';
import { createNode, MemoryNetwork, memoryStorage, systemClock, systemRandom } from '../../src/index.ts';
import { contents, eventually, Writer, within } from './client.ts';

export interface RigOptions extends Partial<EnsembleOptions> {
  readonly voters: number;
  readonly observers?: number;
}

/** Several replicas in this process on an in-memory network; each server's storage outlives its node, as a disk outlives a process. */
export class Rig {
  readonly clock = systemClock();
  readonly network = new MemoryNetwork(this.clock);
  readonly servers: readonly ServerSpec[];
  readonly nodes = new Map<number, EnsembleNode>();
  readonly log: string[] = [];
  readonly #storages = new Map<number, Storage>();
  readonly #options: Partial<EnsembleOptions>;

  constructor({ voters, observers, ...options }: RigOptions) {
    this.#options = options;
    this.servers = options.servers ?? memoryServers(voters, observers);
  }

  /** The store of a server; a test may put one there before the node starts, or take it away. */
  get storages(): Map<number, Storage> {
    return this.#storages;
  }

  protected newStorage(_id: number): Storage {
    return memoryStorage();
  }

  protected newTransport(): Transport {
    return this.network.transport();
  }

  /** Makes the node of a server over the storage that it left. */
  make(id: number, overrides: Partial<EnsembleOptions> = {}): EnsembleNode {
    const logger: Logger = (level, text, fields) =>
      this.log.push(`${performance.now().toFixed(0)} ${id} ${level} ${text}${fields?.reason === undefined ? '' : ` (${fields.reason})`}`);
    const storage = this.#storages.get(id) ?? this.newStorage(id);
    this.#storages.set(id, storage);
    const node = createNode({
      tickTime: 100,
      // Long ones, so that no server is given up because the machine is busy; a test about silence sets its own.
      initLimit: 40,
      syncLimit: 40,
      ...this.#options,
      ...overrides,
      id,
      servers: this.servers,
      transport: overrides.transport ?? this.newTransport(),
      storage,
      clock: this.clock,
      random: systemRandom(),
      logger,
    });
    this.nodes.set(id, node);
    return node;
  }

  /** Makes and starts the node of a server. */
  start(id: number, overrides: Partial<EnsembleOptions> = {}): Promise<void> {
    return this.make(id, overrides).start();
  }

  async startAll(ids: readonly number[] = this.servers.map((s) => s.id)): Promise<void> {
    await within('all servers serve', Promise.all(ids.map((id) => this.start(id))));
  }

  node(id: number): EnsembleNode {
    const node = this.nodes.get(id);
    if (node === undefined) throw new Error(`server ${id} is not running`);
    return node;
  }

  leader(): EnsembleNode | undefined {
    return [...this.nodes.values()].find((n) => n.role === 'leading' && n.serving);
  }

  /** Waits for a leader that all running nodes follow; gives it and the others, in the order of their ids. */
  async roles(): Promise<{ leader: EnsembleNode; others: EnsembleNode[] }> {
    await eventually('one leader for all', () => this.settled());
    const leader = this.leader() as EnsembleNode;
    const others = [...this.nodes.values()].filter((n) => n !== leader).sort((a, b) => a.id - b.id);
    return { leader, others };
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

  async stop(id: number): Promise<void> {
    const node = this.node(id);
    this.nodes.delete(id);
    await within(`server ${id} stops`, node.stop());
  }

  async stopAll(): Promise<void> {
    await within('all servers stop', Promise.all([...this.nodes.values()].map((n) => n.stop())));
    this.nodes.clear();
  }

  /** Waits until all running nodes have applied the same last transaction. */
  async converge(): Promise<void> {
    const { leader } = await this.roles();
    const zxid = await within('the leader synchronises', leader.sync());
    await within('all have applied the same', Promise.all([...this.nodes.values()].map((n) => n.tree.reached(zxid))));
  }

  /** A writer on one server, which opens a session wherever its last one was lost. */
  writer(id: number, width = 8, name = `w${id}`): Writer {
    return Writer.on(name, () => this.nodes.get(id), width);
  }

  /** Ends the writers, then checks on every replica that all they were told is there and that the trees are equal. */
  async verify(writers: readonly Writer[]): Promise<void> {
    await within('the writers stop', Promise.all(writers.map((w) => w.stop())));
    await this.converge();
    const [first, ...rest] = [...this.nodes.values()];
    const expected = contents(first);
    for (const node of rest) expect(contents(node), `the trees of ${node.id} and ${first.id}`).toEqual(expected);
    for (const writer of writers) {
      expect(writer.acknowledged.size, `writes of ${writer.name}`).toBeGreaterThan(0);
      for (const [path, czxid] of writer.acknowledged) expect(first.tree.exists(path)?.czxid.toString(), path).toBe(czxid);
    }
  }

  /** Waits until the writers together have been told of `count` more writes. */
  async progress(writers: readonly Writer[], count = 100): Promise<void> {
    const total = () => writers.reduce((n, w) => n + w.acknowledged.size, 0);
    const wanted = total() + count;
    await eventually(`${count} more writes`, () => total() >= wanted);
  }
}

function memoryServers(voters: number, observers = 0): ServerSpec[] {
  return Array.from({ length: voters + observers }, (_, k) => ({
    id: k + 1,
    host: '127.0.0.1',
    quorumPort: 2001 + k,
    electionPort: 3001 + k,
    role: k < voters ? ('participant' as const) : ('observer' as const),
  }));
}
