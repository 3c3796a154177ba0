import type { ByteSocket, Listener, SocketHandler, Sockets } from '../../src/seams/sockets.ts';
import { Chance } from '../../src/testing/chance.ts';
import { Kernel } from '../../src/testing/kernel.ts';
import { Machine } from '../../src/testing/machine.ts';
import { SimNetwork } from '../../src/testing/network.ts';
import type { NetworkSettings } from '../../src/testing/network-path.ts';
import { Trace } from '../../src/testing/trace.ts';

/** Bytes that tell where they belong: no piece can be left out, swapped or sent twice unseen. */
export function sample(length: number, mark = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >>> 8) * 7 + mark) & 0xff);
}

/** One side of a connection and all that it was told. */
export class Side implements SocketHandler {
  socket!: ByteSocket;
  /** opened, ended and `closed: reason`, each with its time. */
  readonly told: string[] = [];
  readonly times: number[] = [];
  readonly chunks: Uint8Array[] = [];
  /** Writes that were taken. */
  taken = 0;

  constructor(readonly kernel: Kernel) {}

  get bytes(): Uint8Array {
    return Uint8Array.from(this.chunks.flatMap((chunk) => [...chunk]));
  }
  get count(): number {
    return this.chunks.reduce((sum, { length }) => sum + length, 0);
  }
  /** Why it was closed; undefined while it is not. */
  get reason(): string | undefined {
    return this.told.find((what) => what.startsWith('closed: '))?.slice(8);
  }

  opened(): void {
    this.#told('opened');
  }
  data(chunk: Uint8Array): void {
    this.chunks.push(chunk.slice());
  }
  ended(): void {
    this.#told('ended');
  }
  closed(reason: string): void {
    this.#told(`closed: ${reason}`);
  }
  #told(what: string): void {
    this.told.push(what);
    this.times.push(this.kernel.now);
  }

  write(bytes: Uint8Array): void {
    this.socket.write(bytes, () => this.taken++);
  }
}

/** A few machines in a network. Machine n is called `host<n>`, with a process that runs. */
export class Rig {
  readonly kernel = new Kernel(new Trace(100), 1_000_000);
  readonly network: SimNetwork;
  readonly machines: Machine[] = [];
  readonly sockets: Sockets[] = [];
  /** What was accepted at each machine, oldest first. */
  readonly accepted: Side[][] = [];

  constructor(size: number, seed: number, settings: Partial<NetworkSettings> = {}) {
    this.network = new SimNetwork(this.kernel, new Chance(seed, 'network'));
    Object.assign(this.network, { latency: { min: 1, max: 3 } }, settings);
    for (let id = 0; id <= size; id++) {
      const machine = new Machine(this.kernel, id);
      machine.boot();
      this.machines.push(machine);
      this.sockets.push(this.network.attach(machine, `host${id}`));
      this.accepted.push([]);
    }
  }

  async listen(id: number, port = 1000): Promise<Listener> {
    return this.kernel.keepRunning(
      new Promise((resolve, reject) => {
        const accept = (socket: ByteSocket): SocketHandler => {
          const side = new Side(this.kernel);
          side.socket = socket;
          this.accepted[id].push(side);
          return side;
        };
        const done = (error: Error | null, listener?: Listener): void => (error === null ? resolve(listener!) : reject(error));
        this.sockets[id].listen(`host${id}`, port, accept, done, () => {});
      }),
    );
  }

  dial(from: number, to: number, port = 1000): Side {
    const side = new Side(this.kernel);
    side.socket = this.sockets[from].connect(`host${to}`, port, side);
    return side;
  }

  /** The two sides of a connection that stands, the dialling one first. */
  async pair(from: number, to: number): Promise<[Side, Side]> {
    const before = this.accepted[to].length;
    if (before === 0) await this.listen(to);
    const near = this.dial(from, to);
    await this.until(() => near.told.length > 0 && this.accepted[to].length > before, 'a connection');
    return [near, this.accepted[to][before]];
  }

  until(condition: () => boolean, what: string, ms = 100_000): Promise<void> {
    return this.kernel.until(condition, ms, () => what);
  }

  pass(ms: number): Promise<void> {
    return this.kernel.sleep(ms);
  }

  crash(id: number, how: 'process' | 'power'): void {
    this.network.crashed(this.machines[id], how);
    this.machines[id].kill();
  }
}
