import type { Sockets } from '../seams/sockets.ts';
import { check, same } from './conformance.ts';
import { End, Port, Watch } from './sockets-kit.ts';

/** Sockets to be tested, on which nothing goes on yet. */
export interface SocketsHarness {
  /** Where connections are dialled. */
  readonly near: Sockets;
  /** Where they are accepted: the same, or those of another host. */
  readonly far: Sockets;
  /** An address that `far` can listen on and `near` can connect to. */
  readonly address: string;
  /** A name of `address`, for `near`. */
  readonly name: string;
  /** A name that `near` does not know. */
  readonly unknownName: string;
  /** An address that is none of `far`. */
  readonly foreignAddress: string;
  /** A port of `address` on which nobody listens, another one each time. */
  freePort(): Promise<number>;
  /** Waits so many ms; where time is simulated, lets them pass. */
  sleep(ms: number): Promise<void>;
  /** Clears away what the harness has made. */
  dispose(): Promise<void>;
}

/** How often a condition is looked at, 1 ms apart, before a test gives up. */
const PATIENCE = 5000;
/** Time for what must not happen, ms. */
const WHILE = 60;

/** Where a test of sockets takes place. */
export class Bench {
  readonly #harness: SocketsHarness;
  readonly #watch = new Watch();
  readonly #dialled: End[] = [];
  readonly #ports: Port[] = [];

  constructor(harness: SocketsHarness) {
    this.#harness = harness;
  }

  /** Waits until `condition` holds. Throws at once when something is told against the contract. */
  async until(condition: () => boolean, what: string): Promise<void> {
    for (let tries = 0; ; tries++) {
      this.#watch.look();
      if (condition()) return;
      check(tries < PATIENCE, `it never came: ${what}`);
      await this.#harness.sleep(1);
    }
  }

  /** Gives what must not happen the time to happen. */
  async settle(): Promise<void> {
    await this.#harness.sleep(WHILE);
    this.#watch.look();
  }

  async listen(port?: number, host = this.#harness.address, accepting: (end: End) => void = () => {}): Promise<Port> {
    const listening = new Port(this.#watch, port ?? (await this.#harness.freePort()));
    this.#ports.push(listening);
    const opened = listening.open(this.#harness.far, host, accepting);
    await this.#settled(opened, 'done of listen');
    await opened;
    return listening;
  }

  async close(port: Port): Promise<void> {
    await this.#settled(port.close(), 'done of close');
  }

  dial(port: number, host = this.#harness.address): End {
    const end = new End(this.#watch, 'dialled');
    end.socket = this.#watch.call('connect', () => this.#harness.near.connect(host, port, end));
    this.#dialled.push(end);
    return end;
  }

  /** The two sides of a connection that stands. */
  async pair(): Promise<[End, End, Port]> {
    const port = await this.listen();
    const near = this.dial(port.port);
    await this.until(() => near.isOpen && port.accepted.length === 1, 'a connection');
    return [near, port.accepted[0], port];
  }

  async lookup(host: string): Promise<string> {
    const found = new Promise<string>((resolve, reject) => {
      let done = 0;
      this.#watch.call('lookup', () =>
        this.#harness.near.lookup(host, (error, address) => {
          this.#watch.told('done of lookup');
          if (++done > 1) this.#watch.breach('done of lookup came twice');
          if (error !== null) reject(error);
          else resolve(address ?? '');
        }),
      );
    });
    await this.#settled(found, 'done of lookup');
    return found;
  }

  /** A callback that must not be called. */
  never(what: string): () => void {
    return () => this.#watch.breach(what);
  }

  /** Ends all that stands, each of which must be told so, and looks for what came too much. */
  async finish(): Promise<void> {
    for (const port of this.#ports) await this.close(port);
    this.drop();
    await this.until(() => this.#ends().every((end) => end.isClosed), 'closed of every connection');
    await this.settle();
  }

  /** Leaves nothing behind, without waiting for it. */
  drop(): void {
    for (const port of this.#ports) void port.close();
    for (const end of this.#ends()) if (!end.isClosed) end.destroy();
  }

  #ends(): End[] {
    return [...this.#dialled, ...this.#ports.flatMap(({ accepted }) => accepted)];
  }

  /** Lets time pass until a promise is settled. */
  async #settled(promise: Promise<unknown>, what: string): Promise<void> {
    let settled = false;
    const settle = (): void => {
      settled = true;
    };
    promise.then(settle, settle);
    await this.until(() => settled, what);
  }
}

/** Bytes that are too many to be printed. */
export function sameBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  same(actual.length, expected.length, `${what}: bytes`);
  const wrong = actual.findIndex((byte, i) => byte !== expected[i]);
  check(wrong < 0, `${what}: another byte at ${wrong}`);
}
