import { connectSession } from '../client/connect.ts';
import type { ConnectOptions } from '../client/options.ts';
import type { Session } from '../node/api.ts';
import type { Clock } from '../seams/clock.ts';
import type { Sockets } from '../seams/sockets.ts';
import { awaitable } from './awaitable.ts';
import type { Chance } from './chance.ts';
import type { Machine } from './machine.ts';
import type { CrashKind } from './network.ts';
import type { Deed } from './probe.ts';
import { WireDeeds } from './wire-deeds.ts';
import { tapSockets, type WireProbe } from './wire-tap.ts';

/** How a session over the wire behaves: the client's own options but for what is simulated, and which servers it may use. */
export interface ClientOptions extends Omit<ConnectOptions, 'sockets' | 'clock' | 'random'> {
  /** Ids of the servers to look for. @default all */
  readonly servers?: readonly number[];
  /** What all paths of the session are relative to, such as `/app`; must exist. @default nothing */
  readonly chroot?: string;
  /** Sees what the session says and hears. */
  readonly wire?: WireProbe;
}

/** What code gets that lives in the process of a client. When the process dies the code is gone with it: its promises never settle, not even to run a `finally`. */
export interface ClientProgram {
  /** Name and id of the client. */
  readonly name: string;
  readonly client: number;
  /** Ids of all servers. */
  readonly servers: readonly number[];
  /** Opens a session over the wire, or goes on with one by `resume`. */
  connect(options?: ClientOptions): Promise<Session>;
  /** The process's own clock, with its drift and its jumps. */
  readonly clock: Clock;
  /** Resolves after so many ms of that clock. */
  sleep(ms: number): Promise<void>;
  /** Chance that the seed decides; a stream of its own. */
  readonly chance: Chance;
  /** Writes a line into the story of the run. */
  note(text: string): void;
}

/** What a client needs of its simulation. */
export interface ClientSetup {
  readonly name: string;
  readonly machine: Machine;
  readonly sockets: Sockets;
  readonly chance: Chance;
  readonly servers: readonly number[];
  /** Servers with these ids as a connect string. */
  readonly addresses: (servers: readonly number[]) => string;
  readonly serverAt: (host: string) => number;
  readonly did: (deed: Deed) => void;
  /** The process is about to die. */
  readonly crashed: (how: CrashKind) => void;
  /** A program has thrown. */
  readonly failed: (error: unknown) => void;
}

/** A process that hosts no replica, on a machine of its own: it has sessions over the simulated network, as applications in other processes do. */
export class SimClient {
  readonly name: string;
  /** Stands for this machine wherever a server's id stands for a server: `crash`, `restart`, `pause`, `partition`, `isolate`, `isUp`, `machine`, `network`. */
  readonly id: number;
  readonly machine: Machine;
  readonly #setup: ClientSetup;
  readonly #programs: ((program: ClientProgram) => unknown)[] = [];
  #boots = 0;
  #sessions = 0;

  constructor(setup: ClientSetup) {
    this.#setup = setup;
    this.name = setup.name;
    this.machine = setup.machine;
    this.id = setup.machine.id;
    this.restart();
  }

  /** Opens a session over the wire from this process, or goes on with one by `resume`. Rejects while the process is down. */
  connect(options?: ClientOptions): Promise<Session> {
    const { machine, name } = this;
    if (!machine.up) return Promise.reject(new Error(`${name} is down`));
    return awaitable({ connect: () => this.#connect(options) }, machine.kernel, machine).connect();
  }

  /** Runs code in this process: now, if it is up, and again each time it is started. What it throws ends the simulation as a failure. */
  spawn(program: (program: ClientProgram) => unknown): void {
    this.#programs.push(program);
    if (this.machine.up) this.#run(program);
  }

  /** The process dies at once, as by kill -9; with `power` the machine goes too, and nobody answers at its address. */
  crash(options: { power?: boolean } = {}): void {
    const { machine } = this;
    if (!machine.up) return;
    const how = options.power ? 'power' : 'process';
    machine.kernel.note(this.id, options.power ? 'loses its power' : 'process is killed');
    this.#setup.crashed(how);
    machine.kill();
    this.#setup.did('client is killed');
  }

  /** Starts a process again, and its programs with it. Does nothing if it is up. */
  restart(): void {
    const { machine, name } = this;
    if (machine.up) return;
    machine.boot();
    machine.kernel.note(this.id, `process of ${name} starts`);
    this.#boots++;
    for (const program of this.#programs) this.#run(program);
  }

  async #run(program: (program: ClientProgram) => unknown): Promise<void> {
    const { machine, name } = this;
    const { clock, kernel } = machine;
    try {
      await program({
        name,
        client: this.id,
        servers: this.#setup.servers,
        connect: (options) => this.#connect(options),
        clock,
        sleep: (ms) => new Promise((resolve) => void clock.setTimer(ms, resolve)),
        chance: this.#setup.chance.fork(`program ${this.#boots}`),
        note: (text) => kernel.note(this.id, text),
      });
    } catch (error) {
      kernel.note(this.id, 'a program throws');
      this.#setup.failed(error);
    }
  }

  async #connect({ servers = this.#setup.servers, chroot = '', wire, ...options }: ClientOptions = {}): Promise<Session> {
    const { machine, sockets, chance, addresses, serverAt, did } = this.#setup;
    const deeds = new WireDeeds(did);
    const session = await connectSession(addresses(servers) + chroot, {
      ...options,
      clock: machine.clock,
      random: chance.fork(`session ${++this.#sessions}`),
      sockets: tapSockets(sockets, serverAt, wire === undefined ? [deeds] : [deeds, wire]),
      logger: (level, message, fields) => {
        if (level !== 'debug') machine.kernel.note(this.id, `${level}: ${message}`);
        options.logger?.(level, message, fields);
      },
    });
    session.on('state', (state) => {
      if (state === 'expired') deeds.expired();
    });
    return session;
  }
}
