import type { ByteSocket, Sockets } from '../../src/seams/sockets.ts';
import type { ServerAddress } from '../../src/seams/transport.ts';

/** Sockets of servers whose connections with each other can be broken: real ones, but for that. */
export class Cuts {
  readonly #inner: Sockets;
  readonly #dialled: { readonly from: number; readonly to: number; readonly socket: ByteSocket }[] = [];
  readonly #cut = new Set<string>();
  servers: readonly ServerAddress[] = [];

  constructor(inner: Sockets) {
    this.#inner = inner;
  }

  /** The sockets of one server. A connection that is cut is one to a port that can be none: it fails like any other. */
  socketsOf(from: number): Sockets {
    return {
      ...this.#inner,
      connect: (host, port, handler) => {
        const to = this.servers.find((server) => server.quorumPort === port || server.electionPort === port)?.id ?? 0;
        const socket = this.#inner.connect(host, this.#cut.has(key(from, to)) ? 70_000 : port, handler);
        this.#dialled.push({ from, to, socket });
        return socket;
      },
    };
  }

  cut(a: number, b: number): void {
    this.#cut.add(key(a, b));
    for (const { from, to, socket } of this.#dialled) if (key(from, to) === key(a, b)) socket.destroy();
  }

  heal(): void {
    this.#cut.clear();
  }
}

const key = (a: number, b: number): string => (a < b ? `${a}-${b}` : `${b}-${a}`);
