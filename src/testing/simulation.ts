import { ZabError } from '../model/errors.ts';
import { formatZxid } from '../model/zxid.ts';
import type { EnsembleNode, ServerSpec, Session, SessionOptions } from '../node/api.ts';
import type { Clock } from '../seams/clock.ts';
import { fileStorage } from '../storage/file-storage.ts';
import { tcpTransport } from '../transport/tcp.ts';
import type { ZnodeTree } from '../tree/tree.ts';
import { awaitable } from './awaitable.ts';
import { Chance } from './chance.ts';
import { Checks } from './checks/all.ts';
import { type ClientOptions, SimClient } from './client.ts';
import { type Remains, SimDisk } from './disk.ts';
import { DurableEnds } from './durable.ts';
import { Kernel } from './kernel.ts';
import { Machine } from './machine.ts';
import { SimNetwork } from './network.ts';
import { Panel } from './panel.ts';
import { type Probe, Violation } from './probe.ts';
import type { Program } from './program.ts';
import { SimServer } from './server.ts';
import { CLIENT_PORT, type PartitionOptions, type SharedOptions, type SimulationOptions, specsOf } from './simulation-options.ts';
import { SlowWalk } from './slow-walk.ts';
import type { SendFilter, VoteFilter } from './taps.ts';
import { FIRST_CLIENT, formatLine, Trace, whoIs } from './trace.ts';
import { tapPortSockets } from './wire-deeds.ts';

export type { PartitionOptions, ProcessParts, SharedOptions, SimulatedServer, SimulationOptions } from './simulation-options.ts';

/**
 * A whole ensemble in this process: real nodes with the real TCP codecs and the real file storage, on simulated sockets, files and clocks. All that chance decides comes from one seed,
 * so the same calls with the same seed give the same run, event for event.
 *
 * Time stands still unless somebody waits: for a promise of this object, or of the nodes and sessions it gives out. The rules of Zab and of the tree are checked at
 * every event; when one is broken, everything that waits rejects with a {@link Violation}.
 */
export class Simulation implements Disposable {
  readonly seed: number;
  readonly kernel: Kernel;
  readonly network: SimNetwork;
  /** Ids of all servers, participants first. */
  readonly servers: readonly number[];
  readonly participants: readonly number[];
  readonly specs: readonly ServerSpec[];
  /** The simulation's own clock: true time, without drift, that no crash stops. */
  readonly clock: Clock;
  /** Chance for the caller's own use; a stream of its own. */
  readonly chance: Chance;
  readonly checks: Checks;
  /** Where each server's durable history ends. */
  readonly durable = new DurableEnds();
  readonly #servers = new Map<number, SimServer>();
  readonly #clients = new Map<string, SimClient>();
  readonly #root: Chance;
  readonly #ensemble: SharedOptions;
  readonly #probes: Panel;
  /** The tick of every node, ms. */
  readonly tickTime: number;
  #filter: SendFilter | null = null;
  #voteFilter: VoteFilter | null = null;

  constructor(options: SimulationOptions) {
    const { seed } = options;
    if (!Number.isSafeInteger(seed) || seed < 0)
      throw new RangeError(`seed must be a whole number from 0 to 2^53 - 1, not ${String(seed)}`);
    this.seed = seed;
    this.kernel = new Kernel(new Trace(options.story ?? 1000), options.maxEvents ?? 20_000_000);
    const root = new Chance(seed, 'simulation');
    this.#root = root;
    this.#ensemble = { digest: true, clientPort: CLIENT_PORT, ...options.ensemble };
    this.chance = root.fork('caller');
    const specs = specsOf(options);
    this.specs = specs;
    this.servers = specs.map((spec) => spec.id);
    this.participants = specs.filter((spec) => spec.role !== 'observer').map((spec) => spec.id);
    this.clock = new Machine(this.kernel, 0).clock;
    this.network = new SimNetwork(this.kernel, root.fork('network'));
    const [min, max] = options.latency ?? [0.1, 2];
    this.network.latency = { min, max };
    this.checks = new Checks(specs, (violation) => this.kernel.fail(violation));
    this.#probes = new Panel([this.checks, this.durable]);
    this.tickTime = this.#ensemble.tickTime ?? 2000;
    for (const spec of specs) this.#servers.set(spec.id, this.#newServer(spec, specs, options));
  }

  #newServer(spec: ServerSpec, servers: readonly ServerSpec[], options: SimulationOptions): SimServer {
    const { kernel } = this;
    const chance = this.#root.fork(`server ${spec.id}`);
    // No two servers' monotonic clocks have anything in common.
    const machine = new Machine(kernel, spec.id, chance.below(1_000_000));
    const disk = new SimDisk(machine, chance.fork('disk'));
    const [min, max] = options.diskLatency ?? [0.05, 1];
    disk.latency = { cached: [min / 10, min], durable: [min, max] };
    const sockets = this.network.attach(machine, spec.host);
    const { preAllocSize = 65536, logSizeLimit = 65536, transport, storage } = options;
    const parts = { id: spec.id, clock: machine.clock, sockets, fs: disk, chance: chance.fork('parts') };
    return new SimServer({
      spec,
      machine,
      disk,
      chance,
      tapped: {
        id: spec.id,
        kernel,
        probe: this.#probes,
        idOfHost: (host) => this.network.serverAt(host),
        filter: () => this.#filter,
        voteFilter: () => this.#voteFilter,
      },
      options: { ...this.#ensemble, servers, sockets: tapPortSockets(sockets, (deed) => this.#probes.did(spec.id, deed)) },
      transport: () => transport?.(parts) ?? tcpTransport({ sockets }),
      storage: () => storage?.(parts) ?? fileStorage({ dataDir: '/data', fs: disk, preAllocSize, logSizeLimit }),
      walk: () => new SlowWalk(machine.clock, chance.fork('walk'), options.snapshotPause ?? 0),
    });
  }

  // ---- looking ----

  /** Simulated milliseconds since the beginning. */
  get now(): number {
    return this.kernel.now;
  }

  /** A digest over every event so far: equal for equal runs. */
  get digest(): string {
    return this.kernel.trace.digest;
  }

  /** What has ended the simulation; null while it is fine. */
  get failure(): Error | null {
    return this.kernel.failure;
  }

  /** Writes a line into the story. */
  note(text: string): void {
    this.kernel.note(0, text);
  }

  /** The last lines of what happened, for people. */
  story(lines = 50): string {
    const kept = this.kernel.trace.lines();
    return kept.slice(-lines).map(formatLine).join('\n');
  }

  /** Whether the server's process runs and its node has not ended; or whether the client's process runs. */
  isUp(id: number): boolean {
    return this.#clientAt(id)?.machine.up ?? this.#server(id).node !== null;
  }

  /** The node of the process that runs now. Throws while there is none. */
  node(id: number): EnsembleNode {
    const server = this.#server(id);
    if (server.node === null) throw new Error(`server ${id} is down${server.error === null ? '' : `: ${server.error.message}`}`);
    return awaitable(server.node, this.kernel, server.machine);
  }

  /** What ended the server's last node by itself, such as a disk error; null if nothing did. */
  errorOf(id: number): Error | null {
    return this.#server(id).error;
  }

  /** The id of the server that leads; of the latest epoch, if a deposed one does not know yet. Undefined when nobody does. */
  get leader(): number | undefined {
    const leading = [...this.#servers.values()].filter(({ node }) => node?.role === 'leading' && node.serving);
    leading.sort((a, b) => b.node!.epoch - a.node!.epoch);
    return leading[0]?.id;
  }

  /** What every server is and where it stands, in words. */
  states(): string {
    const stateOf = ({ id, node, error, tree }: SimServer): string => {
      if (node === null || tree === null) return `server ${id} is down${error === null ? '' : ` (${error.message})`}`;
      return `server ${id} is ${node.role}${node.serving ? ', serves' : ''} at ${formatZxid(tree.lastZxid)}`;
    };
    return [...this.#servers.values()].map(stateOf).join('; ');
  }

  /** The tree that a server shows. Throws while its node is down. */
  treeOf(id: number): ZnodeTree {
    const { tree } = this.#server(id);
    if (tree === null) throw new Error(`server ${id} is down`);
    return tree;
  }

  /** Whether a server serves, with this leader. */
  serves(id: number, leader: number): boolean {
    const { node } = this.#server(id);
    return node?.serving === true && node.leaderId === leader;
  }

  /** The disk of a server, to look into and to break. */
  disk(id: number): SimDisk {
    return this.#server(id).disk;
  }

  /** The machine of a server or a client: its clocks and pauses. */
  machine(id: number): Machine {
    return (this.#clientAt(id) ?? this.#server(id)).machine;
  }

  // ---- waiting ----

  /** Boots every server that is down and waits until all serve. Rejects when that takes longer than `within` simulated ms. */
  async start(within = 30 * this.tickTime): Promise<void> {
    for (const server of this.#servers.values()) this.restart(server.id);
    await this.settled(within);
  }

  /** Resolves when every server that is up serves, all with one leader. Rejects when that takes longer than `within` simulated ms after the last pause. */
  async settled(within = 30 * this.tickTime): Promise<void> {
    const isSettled = (): boolean => {
      const { leader } = this;
      return [...this.#servers.values()].every(({ id, node }) => node === null || (leader !== undefined && this.serves(id, leader)));
    };
    await this.kernel.until(isSettled, this.#paused() + within, () => `one leader for all that are up; ${this.states()}`);
  }

  /** Lets simulated time pass. */
  advance(ms: number): Promise<void> {
    return this.kernel.sleep(ms);
  }

  /** Resolves as soon as the condition holds, which is looked at after every event. Rejects when that takes longer than `within` simulated ms, or when the condition throws. */
  until(condition: () => boolean, within = 60_000): Promise<void> {
    return this.kernel.until(
      () => isTrue(condition),
      within,
      () => condition.toString(),
    );
  }

  /**
   * Runs the simulation until the promise is settled, or that of the function. Needed for code that waits for something else than a call of a node or a session, such as a watch or a timer of
   * {@link clock}: time would stand still for it.
   */
  run<T>(work: Promise<T> | (() => Promise<T>)): Promise<T> {
    return this.kernel.keepRunning(typeof work === 'function' ? work() : work);
  }

  /** Opens a session at a server. */
  openSession(id: number, options?: SessionOptions): Promise<Session> {
    return this.node(id).openSession(options);
  }

  /** Opens a session over the wire, from a client of its own. */
  connect(options?: ClientOptions): Promise<Session> {
    return this.client().connect(options);
  }

  // ---- clients ----

  /** Those that have been made, the oldest first. */
  get clients(): readonly SimClient[] {
    return [...this.#clients.values()];
  }

  /**
   * A process that hosts no server, on a machine of its own: made, and started, when its name is heard first, and always without a name. It has sessions over the simulated network, at the servers' client
   * ports; and it can be cut off, paused and killed like a server.
   */
  client(name?: string): SimClient {
    const known = name === undefined ? undefined : this.#clients.get(name);
    if (known !== undefined) return known;
    const number = this.#clients.size + 1;
    const called = name ?? `client${number}`;
    if (this.network.serverAt(called) !== 0) throw new RangeError(`there is another machine of the name ${called}`);
    const chance = this.#root.fork(`client ${number}`);
    const machine = new Machine(this.kernel, FIRST_CLIENT + number - 1, chance.below(1_000_000));
    const client = new SimClient({
      name: called,
      machine,
      sockets: this.network.attach(machine, called),
      chance,
      servers: this.servers,
      addresses: (servers) => this.#addresses(servers),
      serverAt: (host) => this.network.serverAt(host),
      did: (deed) => this.#probes.did(machine.id, deed),
      crashed: (how) => this.network.crashed(machine, how),
      failed: (error) => this.kernel.fail(asError(error)),
    });
    this.#clients.set(called, client);
    return client;
  }

  /** The client ports of servers, as a connect string. */
  #addresses(servers: readonly number[]): string {
    const { clientPort } = this.#ensemble;
    if (clientPort === undefined) throw new Error('the servers have no client port: ensemble.clientPort is undefined');
    return servers.map((id) => `${this.#server(id).setup.spec.host}:${clientPort}`).join(',');
  }

  /** The client with this id; undefined for a server's. */
  #clientAt(id: number): SimClient | undefined {
    return id < FIRST_CLIENT ? undefined : this.clients[id - FIRST_CLIENT];
  }

  // ---- processes ----

  /**
   * Runs code in the process of a server: now, if it is up, and again with each node that starts there, which may not serve yet (`await program.node.start()` waits for that). It dies with the
   * process. What it throws ends the simulation as a failure, unless it only says that its node has ended.
   */
  spawn(id: number, program: (program: Program) => unknown): void {
    this.#server(id).install((context) => {
      this.#begin(context, program);
    });
  }

  async #begin(context: Program, program: (program: Program) => unknown): Promise<void> {
    const { node, server } = context;
    let fatal: Error | null = null;
    node.once('fatal', (error) => {
      fatal = error;
    });
    try {
      await program(context);
    } catch (thrown) {
      const error = asError(thrown);
      // A supervisor starts such a process again, and so does whoever restarts the server here.
      if (error === fatal || (error instanceof ZabError && error.code === 'NODE_STOPPED'))
        this.kernel.note(server, 'a program has ended with its node');
      else {
        this.kernel.note(server, 'a program throws');
        this.kernel.fail(error);
      }
    }
  }

  /** The process dies at once, as by kill -9; with `power` the machine goes too, and loses what was not synced to disk but for what `remains`, which is drawn if it is not given. */
  crash(id: number, options: { power?: boolean; remains?: Remains } = {}): void {
    const client = this.#clientAt(id);
    if (client !== undefined) return client.crash(options);
    const server = this.#server(id);
    if (!server.machine.up) return;
    const how = options.power ? 'power' : 'process';
    this.network.crashed(server.machine, how);
    server.crash(how, options.remains);
  }

  /** Stops the node in good order; with `node: true` the process goes on and {@link restart} starts a node in it, otherwise it ends. */
  async stop(id: number, options: { node?: boolean } = {}): Promise<void> {
    const server = this.#server(id);
    if (server.node !== null) {
      this.#probes.stopping(id);
      await this.node(id).stop();
    }
    if (!options.node) this.crash(id);
  }

  /**
   * Starts the server or the client again, the server with what its disk has. Does nothing if it is up. A process whose node has ended by an error is ended too, unless with `node: true`: then a new node starts in it.
   */
  restart(id: number, options: { node?: boolean } = {}): void {
    const client = this.#clientAt(id);
    if (client !== undefined) return client.restart();
    const server = this.#server(id);
    if (server.node !== null) return;
    if (server.error !== null && !options.node) this.crash(id);
    if (server.machine.up) server.startNode();
    else server.boot();
  }

  /** The event loop of the server or the client stands still for so long; what comes in waits. */
  pause(id: number, ms: number): void {
    this.kernel.note(id, `stands still for ${ms} ms`);
    this.machine(id).pause(ms);
  }

  /** How long somebody still stands still, ms. */
  #paused(): number {
    return Math.max(...this.servers.map((id) => this.machine(id).pausedUntil - this.now), 0);
  }

  // ---- network ----

  /** Holds up everything between two groups of servers and clients until {@link heal}. */
  partition(groupA: readonly number[], groupB: readonly number[], options: PartitionOptions = {}): void {
    const [a, b] = [groupA, groupB].map((group) => group.map((id) => (id < FIRST_CLIENT ? id : whoIs(id))).join());
    this.kernel.note(0, `partition: ${a} ${options.oneWay ? '-/->' : '|'} ${b}`);
    this.network.partition(groupA, groupB, options);
  }

  /** Cuts a server or a client off from all other servers and clients that there are. */
  isolate(id: number): void {
    const all = [...this.servers, ...this.clients.map((client) => client.id)];
    this.partition(
      [id],
      all.filter((other) => other !== id),
    );
  }

  /** Ends every partition. */
  heal(): void {
    this.kernel.note(0, 'the network is healed');
    this.network.heal();
  }

  /** Sees every quorum message before it goes to the network and may keep it from leaving; null ends that. */
  filterSends(filter: SendFilter | null): void {
    this.#filter = filter;
  }

  /** The same for what is said in elections. */
  filterVotes(filter: VoteFilter | null): void {
    this.#voteFilter = filter;
  }

  // ---- rules ----

  /**
   * A rule of the caller's own, looked at after every event: as soon as it does not hold or throws, the simulation ends with a {@link Violation}. Returns the function that takes it away.
   *
   * @param rule its name, for reports
   */
  always(rule: string, holds: () => boolean): () => void {
    return this.kernel.afterEvery(() => {
      try {
        if (!isTrue(holds)) this.kernel.fail(new Violation(rule, `does not hold: ${holds.toString()}`));
      } catch (error) {
        this.kernel.fail(new Violation(rule, asError(error).message));
      }
    });
  }

  /** Adds somebody who looks at what the servers do: any of the calls of {@link Probe}. */
  addProbe(probe: Partial<Probe>): void {
    this.#probes.add(probe);
  }

  /** Ends it: nothing happens any more, and code that waits is left waiting, as in a process that is gone. */
  close(): void {
    this.kernel.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #server(id: number): SimServer {
    const server = this.#servers.get(id);
    if (server === undefined) throw new RangeError(`there is no server ${id}, only ${this.servers}`);
    return server;
  }
}

/** Makes an ensemble that runs in simulated time. Its servers are down until {@link Simulation.start}. */
export function createSimulation(options: SimulationOptions): Simulation {
  return new Simulation(options);
}

/** A promise would count as true at once. */
function isTrue(condition: () => unknown): boolean {
  const value = condition();
  if (value instanceof Promise) throw new TypeError('a condition must not be asynchronous');
  return Boolean(value);
}

const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));

export { Violation };
