import { connectSession } from '../client/connect.ts';
import type { ConnectOptions } from '../client/options.ts';
import type { Session } from '../node/api.ts';
import type { Sockets } from '../seams/sockets.ts';
import { awaitable } from './awaitable.ts';
import type { Chance } from './chance.ts';
import type { Machine } from './machine.ts';

/** Everything of {@link ConnectOptions} that is not simulated. */
export type ClientOptions = Omit<ConnectOptions, 'sockets' | 'clock' | 'random'>;

/** A process that hosts no server, on a machine of its own: it has sessions over the simulated network. */
export class SimClient {
  /** Its place in the network, for partitions: no server has such an id. */
  readonly id: number;
  readonly machine: Machine;
  readonly #sockets: Sockets;
  readonly #chance: Chance;
  readonly #servers: string;
  #sessions = 0;

  /** `servers` is the connect string that names all servers. */
  constructor(machine: Machine, sockets: Sockets, chance: Chance, servers: string) {
    this.id = machine.id;
    this.machine = machine;
    this.#sockets = sockets;
    this.#chance = chance;
    this.#servers = servers;
    machine.boot();
  }

  /** Opens a session at the client ports of the servers, or of those that `servers` names, with a chroot behind them if need be. */
  async connect(options: ClientOptions = {}, servers = this.#servers): Promise<Session> {
    const { machine } = this;
    const seams = { sockets: this.#sockets, clock: machine.clock, random: this.#chance.fork(`session ${++this.#sessions}`) };
    const session = await machine.kernel.keepRunning(connectSession(servers, { ...options, ...seams }));
    return awaitable(session, machine.kernel, machine);
  }
}
