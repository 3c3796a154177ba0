import { lookup as defaultLookup } from 'node:dns';
import { createServer, isIP, type LookupFunction, Socket, type SocketConstructorOpts } from 'node:net';
import type { ByteSocket, Listener, SocketHandler, Sockets } from '../seams/sockets.ts';
import { Fifo } from '../util/fifo.ts';

export interface NodeSocketsOptions {
  /**
   * Resolves names, with the signature of `dns.lookup`.
   * @default dns.lookup
   */
  readonly lookup?: LookupFunction;
}

/** Small messages leave at once, a dead host is noticed in the end, and what is left to say after the other side's end can be said. */
const SOCKET_OPTIONS = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 };

/** The TCP of this machine. */
export function nodeSockets(options: NodeSocketsOptions = {}): Sockets {
  const resolve = options.lookup ?? defaultLookup;
  return {
    connect: (host, port, handler) => connect(host, port, resolve, handler),
    listen,
    lookup: (host, done) => lookup(host, resolve, done),
  };
}

function connect(host: string, port: number, lookup: LookupFunction, handler: SocketHandler): ByteSocket {
  // The types of Node know less than the documentation: a socket takes the same options as a server's.
  const socket = new Socket(SOCKET_OPTIONS as SocketConstructorOpts);
  const dialled = new NodeSocket(socket, `${host}:${port}`);
  dialled.tell(handler);
  try {
    // To Node no host is the own one.
    if (host === '') throw new Error('no host to connect to');
    socket.connect({ host, port, lookup });
  } catch (error) {
    // A port that can be none throws at once.
    setImmediate(() => socket.destroy(error as Error));
  }
  return dialled;
}

function listen(
  host: string,
  port: number,
  accept: (socket: ByteSocket) => SocketHandler,
  done: (error: Error | null, listener?: Listener) => void,
  trouble: (reason: string) => void,
): void {
  const server = createServer(SOCKET_OPTIONS, (socket) => {
    const accepted = new NodeSocket(socket, `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? 0}`);
    accepted.tell(accept(accepted));
  });
  server.once('error', done);
  try {
    // To Node no host is every address.
    if (host === '') throw new Error('no address to listen on');
    server.listen({ host, port }, () => {
      server.off('error', done);
      server.on('error', (error) => trouble(reasonOf(error)));
      done(null, {
        close(closed) {
          // The callback of `close` would wait for the connections that stand. The handle goes at the end of this or the next turn.
          server.close();
          setImmediate(() => setImmediate(closed));
        },
      });
    });
  } catch (error) {
    // A port that can be none throws at once.
    server.off('error', done);
    setImmediate(() => done(error as Error));
  }
}

function lookup(host: string, resolve: LookupFunction, done: (error: Error | null, address?: string) => void): void {
  let answered = false;
  // A function of the user may answer at once, or twice.
  const answer = (error: Error | null, address?: string): void => {
    if (answered) return;
    answered = true;
    setImmediate(() => done(error, address));
  };
  if (isIP(host) !== 0) return answer(null, host);
  if (host === '') return answer(new Error('no name to look up'));
  try {
    resolve(host, { all: false }, (error, found) => {
      if (error) answer(error);
      else answer(null, Array.isArray(found) ? found[0].address : found);
    });
  } catch (error) {
    answer(error as Error);
  }
}

class NodeSocket implements ByteSocket {
  readonly remote: string;
  readonly #socket: Socket;
  /** Those to be called when the network has taken what was written, in the order of the writes. */
  readonly #takers = new Fifo<() => void>();
  /** We have said that nothing more is sent. */
  #ended = false;
  /** Only `closed` may be told now. */
  #destroyed = false;
  #lastError = '';
  #isPaused = false;
  /** Of what Node tells of a paused socket all the same: that nothing more comes, and then that it is over. */
  #heldEnd = false;
  #heldClose = false;
  #handler!: SocketHandler;

  constructor(socket: Socket, remote: string) {
    this.#socket = socket;
    this.remote = remote;
  }

  /** Whom it tells. To be called in the turn in which it was made. */
  tell(handler: SocketHandler): void {
    const socket = this.#socket;
    this.#handler = handler;
    socket.on('connect', () => {
      if (!this.#destroyed) handler.opened();
    });
    socket.on('data', (chunk: Uint8Array) => {
      if (!this.#destroyed) handler.data(chunk);
    });
    socket.on('end', () => {
      this.#heldEnd = true;
      this.#tellEnd();
    });
    socket.on('error', (error) => {
      this.#lastError = reasonOf(error);
    });
    socket.on('close', () => {
      // It is over because both sides have ended it, and the owner has not heard the other side's end yet.
      this.#heldClose = true;
      if (this.#lastError !== '') this.#destroyed = true;
      this.#tellEnd();
    });
  }

  /** Tells what is held, as far as it may be told now. */
  readonly #tellEnd = (): void => {
    if (this.#heldEnd && !this.#isPaused && !this.#destroyed) {
      this.#heldEnd = false;
      this.#handler.ended();
    }
    if (!this.#heldClose || (this.#heldEnd && !this.#destroyed)) return;
    this.#heldClose = false;
    this.#destroyed = true;
    this.#handler.closed(this.#lastError);
  };

  get pending(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Uint8Array, taken?: () => void): void {
    if (this.#ended || this.#destroyed) return;
    if (taken === undefined) {
      this.#socket.write(bytes);
    } else {
      this.#takers.push(taken);
      this.#socket.write(bytes, this.#taken);
    }
  }

  end(): void {
    if (this.#ended || this.#destroyed) return;
    this.#ended = true;
    this.#socket.end();
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#socket.resume();
    if (this.#heldEnd) setImmediate(this.#tellEnd);
  }

  destroy(): void {
    this.#destroyed = true;
    this.#socket.destroy();
    if (this.#heldClose) setImmediate(this.#tellEnd);
  }

  /** One function for all writes: Node answers them in order. After an error 'close' follows. */
  readonly #taken = (error?: Error | null): void => {
    if (!error && !this.#destroyed) this.#takers.shift()?.();
  };
}

/** A failed connection to several addresses comes as an error without a message of its own. */
function reasonOf(error: NodeJS.ErrnoException): string {
  return error.message || error.code || String(error);
}
