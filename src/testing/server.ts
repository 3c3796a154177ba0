import type { EnsembleNode, EnsembleOptions, ServerSpec } from '../node/api.ts';
import { type Engine, LocalNode } from '../node/ensemble-node.ts';
import { resolveOptions } from '../node/options.ts';
import { Replica } from '../node/replica.ts';
import type { Storage } from '../seams/storage.ts';
import type { Transport } from '../seams/transport.ts';
import type { ZnodeTree } from '../tree/tree.ts';
import type { Chance } from './chance.ts';
import type { Remains, SimDisk } from './disk.ts';
import type { Machine } from './machine.ts';
import type { Program } from './program.ts';
import type { SlowWalk } from './slow-walk.ts';
import { type Tapped, tapHooks, tapStorage, tapTransport } from './taps.ts';
import { portDeed } from './wire-deeds.ts';

/** What an ensemble gives to each of its servers. */
export interface ServerSetup {
  readonly spec: ServerSpec;
  readonly machine: Machine;
  readonly disk: SimDisk;
  readonly tapped: Tapped;
  readonly chance: Chance;
  /** Everything but the parts that are simulated. */
  readonly options: Omit<EnsembleOptions, 'id' | 'transport' | 'storage' | 'clock' | 'random' | 'logger'>;
  readonly transport: () => Transport;
  readonly storage: () => Storage;
  readonly walk: () => SlowWalk;
}

/** One server of a simulated ensemble: the process that hosts a node, on a machine with a disk. */
export class SimServer {
  readonly id: number;
  readonly setup: ServerSetup;
  readonly machine: Machine;
  readonly disk: SimDisk;
  /** The node of the process that runs; null while the server is down. */
  node: EnsembleNode | null = null;
  /** What ended the last node by itself; null if nothing did. */
  error: Error | null = null;
  readonly #programs: ((program: Program) => void)[] = [];
  #transport: Transport | null = null;
  #storage: Storage | null = null;
  #engine: Engine | null = null;
  #boots = 0;

  constructor(setup: ServerSetup) {
    this.setup = setup;
    this.id = setup.spec.id;
    this.machine = setup.machine;
    this.disk = setup.disk;
  }

  /** Runs `program` in this server's process, now if it is up, and in every later one. */
  install(program: (program: Program) => void): void {
    this.#programs.push(program);
    if (this.node !== null) program(this.#program(this.node));
  }

  /** The tree that the node shows; null while there is none. */
  get tree(): ZnodeTree | null {
    return this.node === null ? null : this.#engine!.tree;
  }

  /** Starts a process with a node. */
  boot(): void {
    if (this.machine.up) return;
    const { tapped } = this.setup;
    this.machine.boot();
    tapped.kernel.note(this.id, 'process starts');
    this.#transport = tapTransport(this.setup.transport(), tapped);
    this.#storage = tapStorage(this.setup.storage(), tapped, this.setup.walk());
    this.startNode();
  }

  /** Starts a node in the process that runs: at its boot, and again after a stop of the node alone. */
  startNode(): void {
    const { tapped, chance, options } = this.setup;
    const { machine } = this;
    if (!machine.up || this.node !== null) return;
    tapped.probe.booted(this.id);
    this.error = null;
    const resolved = resolveOptions({
      ...options,
      id: this.id,
      transport: this.#transport!,
      storage: this.#storage!,
      clock: machine.clock,
      random: chance.fork(`life ${++this.#boots}`),
      logger: (level, message, fields = {}) => {
        const deed = portDeed(message);
        if (deed !== null) tapped.probe.did(this.id, deed);
        if (level !== 'debug') tapped.kernel.note(this.id, () => `${level}: ${message}${describeFields(fields)}`);
      },
    });
    const node = new LocalNode(resolved, (hooks) => {
      const engine: Engine = new Replica(
        resolved,
        tapHooks(hooks, tapped, () => engine),
      );
      this.#engine = engine;
      return engine;
    });
    this.node = node;
    const ended = (error: Error | null): void => {
      if (this.node !== node) return;
      this.node = null;
      this.error = error;
      tapped.kernel.note(this.id, error === null ? 'node has stopped' : `node has ended: ${error.message}`);
      tapped.probe.stopped(this.id, error);
    };
    node.closed.then(
      () => ended(null),
      (error: Error) => ended(error),
    );
    // Why it failed to start is told by `closed` too.
    node.start().catch(() => {});
    for (const program of this.#programs) program(this.#program(node));
  }

  /** The process dies: `process` as by kill -9, `power` with the machine, so that what was not synced to disk may be lost, but for what `remains`. */
  crash(how: 'process' | 'power', remains?: Remains): void {
    if (!this.machine.up) return;
    const { tapped } = this.setup;
    tapped.kernel.note(this.id, how === 'power' ? 'loses its power' : 'process is killed');
    const ran = this.node !== null;
    this.node = null;
    this.machine.kill();
    this.disk.crash(how, remains);
    if (ran) tapped.probe.died(this.id);
  }

  #program(node: EnsembleNode): Program {
    const { machine } = this;
    const { clock } = machine;
    return {
      server: this.id,
      node,
      clock,
      chance: this.setup.chance.fork(`program ${this.#boots}`),
      sleep: (ms) => new Promise((resolve) => void clock.setTimer(ms, resolve)),
      note: (text) => this.setup.tapped.kernel.note(this.id, text),
    };
  }
}

function describeFields(fields: Readonly<Record<string, unknown>>): string {
  const shown = Object.entries(fields).filter(([name]) => name !== 'server');
  return shown.length === 0 ? '' : ` (${shown.map(([name, value]) => `${name}: ${String(value)}`).join(', ')})`;
}
