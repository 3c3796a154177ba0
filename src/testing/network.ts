import type { ByteSocket, Listener, SocketHandler, Sockets } from '../seams/sockets.ts';
import type { Chance } from './chance.ts';
import type { Kernel } from './kernel.ts';
import type { Machine } from './machine.ts';
import { Connection, type End, type Station, type Switchboard } from './network-connection.ts';
import { countFault, drawTime, type NetworkCounts, type NetworkSettings, Path, type PathSettings, type Range } from './network-path.ts';

/** What ends a process: `process` leaves its machine, whose kernel ends its connections; with `power` the machine is gone from one moment to the next. */
export type CrashKind = 'process' | 'power';

/** A connection as {@link SimNetwork.connections} shows it. */
export interface ConnectionView {
  readonly number: number;
  /** The server that has connected. */
  readonly from: number;
  /** The server that listens, and on which port. */
  readonly to: number;
  readonly port: number;
  /** Whether the processes at both ends have it. */
  readonly stands: boolean;
  /** Bytes that the network has taken and no process has read: from the connecting side, and to it. */
  readonly inFlight: readonly [number, number];
}

interface Port {
  readonly life: number;
  readonly accept: (socket: ByteSocket) => SocketHandler;
}

interface Host extends Station {
  machine: Machine;
  readonly name: string;
  isDown: boolean;
  readRate: number;
  /** Its name is not found before this time. */
  unknownUntil: number;
  readonly ports: Map<number, Port>;
  nextPort: number;
}

/** A process finds its own machine under these. */
const LOOPBACK = new Set(['localhost', '127.0.0.1', '::1']);
const EVERY_ADDRESS = new Set(['0.0.0.0', '::']);
const FIRST_CLIENT_PORT = 32768;

/**
 * A simulated network of TCP connections: ordered bytes per connection, torn and joined by chance, with bandwidth, windows, half closes and resets. Nothing is lost
 * without a broken connection, as with TCP: what the network loses comes late.
 *
 * The settings may be changed at any time. Servers are named by the ids of their machines; paths have a direction.
 */
export class SimNetwork implements Switchboard, NetworkSettings {
  readonly kernel: Kernel;
  /** Connections, bytes and faults so far. */
  readonly traffic: NetworkCounts = { connections: 0, bytes: 0, faults: new Map() };
  latency: Range = { min: 0.1, max: 2 };
  bytesPerMs = 100_000;
  loss = 0;
  window = 262_144;
  segment = 16_384;
  tear = 0.1;
  retransmit: Range = { min: 1, max: 300 };
  breakAfter = 30_000;
  readonly #chance: Chance;
  readonly #lookups: Chance;
  readonly #hosts = new Map<number, Host>();
  readonly #paths = new Map<string, Path>();
  readonly #connections = new Set<Connection>();
  /** Servers that nobody reaches, not even over paths that nobody has used yet. */
  readonly #isolated = new Set<number>();

  constructor(kernel: Kernel, chance: Chance) {
    this.kernel = kernel;
    this.#chance = chance;
    this.#lookups = chance.fork('lookups');
  }

  /** What connections are governed by: this network's own fields. */
  get settings(): NetworkSettings {
    return this;
  }

  /**
   * Gives a machine a place in the network, once for all its lives. `hostName` is found by everybody; a name made of digits and dots, or with a colon, is its address too,
   * any other has an address of its own. Calls made while no process runs on the machine do nothing.
   */
  attach(machine: Machine, hostName: string): Sockets {
    const { id } = machine;
    const address = isAddress(hostName) ? hostName : `10.0.${id >> 8}.${id & 255}`;
    const host: Host = {
      machine,
      name: hostName,
      address,
      isDown: false,
      readRate: Infinity,
      unknownUntil: 0,
      ports: new Map(),
      nextPort: FIRST_CLIENT_PORT,
    };
    this.#hosts.set(id, host);
    return {
      connect: (to, port, handler) => this.#connect(host, to, port, handler),
      listen: (at, port, accept, done) => this.#listen(host, at, port, accept, done),
      lookup: (name, done) => this.#lookup(host, name, done),
    };
  }

  /** The server with this name or address; 0 if there is none. */
  serverAt(nameOrAddress: string): number {
    for (const host of this.#hosts.values()) if (host.name === nameOrAddress || host.address === nameOrAddress) return host.machine.id;
    return 0;
  }

  /** Faults injected by kind. */
  get counts(): ReadonlyMap<string, number> {
    return this.traffic.faults;
  }

  /** The connections that somebody still has, oldest first. */
  connections(): ConnectionView[] {
    return [...this.#connections].map(({ number, port, client, server, stands }) => ({
      number,
      from: client.machine.id,
      to: server.machine.id,
      port,
      stands,
      inFlight: [client.out.inFlight, server.out.inFlight],
    }));
  }

  // ---- faults ----

  /** Holds what `from` sends to `to`, and attempts to connect, until {@link heal}; nothing is lost, unless it takes longer than `breakAfter`. */
  cut(from: number, to: number): void {
    this.#count('cut');
    this.#cut(from, to);
  }

  /** Cuts every path between the groups; with `oneWay` only those from the first to the second. */
  partition(groupA: readonly number[], groupB: readonly number[], options: { oneWay?: boolean } = {}): void {
    this.#count(options.oneWay ? 'one-way partition' : 'partition');
    for (const a of groupA)
      for (const b of groupB) {
        this.#cut(a, b);
        if (!options.oneWay) this.#cut(b, a);
      }
  }

  /** Cuts a server off from all others, those that come later too. */
  isolate(id: number): void {
    this.#count('isolate');
    this.#isolated.add(id);
    for (const path of this.#paths.values()) if (path.from === id || path.to === id) this.#cut(path.from, path.to);
  }

  /** Ends cuts and slowness: from one server to another, of one server in both directions (and the slowness of its reading and the failures to find it), or all. */
  heal(from?: number, to?: number): void {
    if (to === undefined)
      for (const host of this.#hosts.values()) {
        if (from !== undefined && from !== host.machine.id) continue;
        this.#isolated.delete(host.machine.id);
        host.unknownUntil = 0;
        this.slowReader(host.machine.id, null);
      }
    for (const path of this.#paths.values()) {
      const isMeant =
        to === undefined ? from === undefined || path.from === from || path.to === from : path.from === from && path.to === to;
      if (isMeant) path.heal();
    }
  }

  /** Settings of one direction, instead of the network's, until {@link heal}; null ends it. */
  slow(from: number, to: number, settings: Partial<PathSettings> | null): void {
    if (settings !== null) this.#count('slow path');
    this.#path(from, to).override(settings ?? {});
  }

  /** A server reads each of its connections no faster than this; null ends it. */
  slowReader(id: number, bytesPerMs: number | null): void {
    if (bytesPerMs !== null) this.#count('slow reader');
    const host = this.#host(id);
    host.readRate = bytesPerMs ?? Infinity;
    for (const end of this.#endsAt(host)) end.in.hurry();
  }

  /**
   * Breaks every connection between two servers, in either direction: a part of what is under way arrives, cut anywhere; then both sides learn of it, at different
   * times, or one of them only when it sends next. Returns how many there were.
   */
  reset(a: number, b: number): number {
    const broken = [...this.#connections].filter(({ stands, client, server }) => {
      const [from, to] = [client.machine.id, server.machine.id];
      return stands && ((from === a && to === b) || (from === b && to === a));
    });
    for (const connection of broken) connection.reset();
    if (broken.length > 0) this.#count('reset');
    return broken.length;
  }

  /** Nobody finds the host by its name, for so long or until {@link heal}: look-ups and connects by it fail. */
  failLookups(hostName: string, ms = Infinity): void {
    for (const host of this.#hosts.values()) if (host.name === hostName) host.unknownUntil = this.kernel.now + ms;
    this.#count('lookup failures');
  }

  /**
   * The process of a machine is gone, before or after {@link Machine.kill}. `process`: what its kernel had taken still goes, and then an end or a reset; its ports are
   * free. `power`: nothing goes and nobody answers until a new process uses the network; then it answers what still comes with a reset.
   */
  crashed(machine: Machine, how: CrashKind): void {
    const host = this.#host(machine.id);
    host.ports.clear();
    if (how === 'power') host.isDown = true;
    for (const end of this.#endsAt(host)) {
      if (how === 'power') end.lostPower();
      else end.crashed();
    }
  }

  #cut(from: number, to: number): void {
    if (from !== to) this.#path(from, to).setCut(true);
  }

  #count(kind: string): void {
    countFault(this.traffic, `network: ${kind}`);
  }

  // ---- what connections ask ----

  hasListener(connection: Connection): boolean {
    return this.#listener(connection) !== undefined;
  }

  accept(connection: Connection): SocketHandler | null {
    return this.#listener(connection)?.accept(connection.server) ?? null;
  }

  over(connection: Connection): void {
    connection.dispose();
    this.#connections.delete(connection);
  }

  #listener({ server, port }: Connection): Port | undefined {
    const host = this.#host(server.machine.id);
    const found = host.ports.get(port);
    return found?.life === host.machine.life ? found : undefined;
  }

  // ---- what processes ask ----

  #connect(host: Host, to: string, port: number, handler: SocketHandler): ByteSocket {
    if (!this.#isRunning(host)) return new FailedSocket(`${to}:${port}`, '');
    const { machine } = host;
    const fails = (reason: string): ByteSocket => {
      const socket = new FailedSocket(`${to}:${port}`, reason);
      machine.after(this.#lookupTime(), 'closed', () => handler.closed(socket.reason));
      return socket;
    };
    if (!isPort(port)) return fails(`port should be from 1 to 65535, not ${port}`);
    const target = this.#find(host, to);
    if (target === null) return fails(isAddress(to) ? `connect EHOSTUNREACH ${to}:${port}` : `getaddrinfo ENOTFOUND ${to}`);
    const from = machine.id;
    const there = this.#path(from, target.machine.id);
    const back = this.#path(target.machine.id, from);
    const number = ++this.traffic.connections;
    const chance = this.#chance.fork(`connection ${number}`);
    const clientPort = host.nextPort++;
    if (host.nextPort > 65535) host.nextPort = FIRST_CLIENT_PORT;
    const connection = new Connection(this, number, port, clientPort, { client: host, server: target }, { there, back }, chance, handler);
    this.#connections.add(connection);
    return connection.client;
  }

  #listen(
    host: Host,
    at: string,
    port: number,
    accept: (socket: ByteSocket) => SocketHandler,
    done: (error: Error | null, listener?: Listener) => void,
  ): void {
    if (!this.#isRunning(host)) return;
    const { machine, ports } = host;
    const problem = (): string | null => {
      if (!isPort(port)) return `port should be from 1 to 65535, not ${port}`;
      if (!EVERY_ADDRESS.has(at) && this.#find(host, at) !== host) return `listen EADDRNOTAVAIL: address not available ${at}:${port}`;
      return ports.has(port) ? `listen EADDRINUSE: address already in use ${at}:${port}` : null;
    };
    const error = problem();
    if (error !== null) {
      machine.after(0, 'listen', () => done(new Error(error)));
      return;
    }
    const own: Port = { life: machine.life, accept };
    ports.set(port, own);
    const listener: Listener = {
      close: (closed) => {
        if (!machine.up || machine.life !== own.life) return;
        if (ports.get(port) === own) ports.delete(port);
        machine.after(0, 'unlisten', closed);
      },
    };
    machine.after(0, 'listen', () => done(null, listener));
  }

  #lookup(host: Host, name: string, done: (error: Error | null, address?: string) => void): void {
    if (!this.#isRunning(host)) return;
    host.machine.after(this.#lookupTime(), 'lookup', () => {
      if (isAddress(name)) return done(null, name);
      const found = this.#find(host, name);
      if (found === null) done(new Error(`getaddrinfo ENOTFOUND ${name}`));
      else done(null, found.address);
    });
  }

  /** Whether the machine has a process; if so, it has power. */
  #isRunning(host: Host): boolean {
    if (host.machine.up && host.isDown) {
      host.isDown = false;
      for (const connection of this.#connections)
        for (const end of connection.ends) if (end.station === host) connection.regainedPower(end);
    }
    return host.machine.up;
  }

  #find(host: Host, name: string): Host | null {
    if (LOOPBACK.has(name)) return host;
    for (const other of this.#hosts.values()) {
      if (other.address === name) return other;
      if (other.name === name) {
        if (this.kernel.now >= other.unknownUntil) return other;
        this.#count('failed lookup');
        return null;
      }
    }
    return null;
  }

  #lookupTime(): number {
    return drawTime(this.#lookups, this.latency);
  }

  // ---- small things ----

  #host(id: number): Host {
    const host = this.#hosts.get(id);
    if (host === undefined) throw new RangeError(`server ${id} is not in the network`);
    return host;
  }

  #path(from: number, to: number): Path {
    const key = `${from}>${to}`;
    let path = this.#paths.get(key);
    if (path === undefined) {
      path = new Path(from, to, this, from !== to && (this.#isolated.has(from) || this.#isolated.has(to)));
      this.#paths.set(key, path);
    }
    return path;
  }

  #endsAt(host: Host): End[] {
    return [...this.#connections].flatMap(({ ends }) => ends.filter((end) => end.station === host));
  }
}

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= 65535;

const isAddress = (name: string): boolean => /^[\d.]+$|:/.test(name);

/** A connection that could not even be begun. */
class FailedSocket implements ByteSocket {
  readonly pending = 0;

  constructor(
    readonly remote: string,
    public reason: string,
  ) {}

  write(): void {}
  end(): void {}
  pause(): void {}
  resume(): void {}
  destroy(): void {
    this.reason = '';
  }
}
