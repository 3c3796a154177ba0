import type { ByteSocket, Listener, SocketHandler, Sockets } from '../seams/sockets.ts';
import { check } from './conformance.ts';

/*
 * What tests of sockets need: both sides of a connection, which write down what they are told and hold it against the contract.
 */

/** `length` bytes that no shift or swap of pieces leaves the same; `mark` tells apart two of the same length. */
export function sampleBytes(length: number, mark = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 8) * 7 + mark) & 0xff;
  return bytes;
}

/** Watches over one test: who is inside a call, and what has been told against the contract. */
export class Watch {
  /** Whether a call of the owner is on the stack. */
  inside = false;
  readonly #breaches: string[] = [];

  breach(what: string): void {
    this.#breaches.push(what);
  }

  /** Throws if something has been told that must not be. */
  look(): void {
    check(this.#breaches.length === 0, this.#breaches.join('; '));
  }

  /** Makes a call of the owner: nothing may be told before it returns, and it must not throw. */
  call<T>(what: string, call: () => T): T {
    const outer = this.inside;
    this.inside = true;
    try {
      return call();
    } catch (error) {
      this.breach(`${what} threw ${error}`);
      throw error;
    } finally {
      this.inside = outer;
    }
  }

  /** Something was told. */
  told(what: string): void {
    if (this.inside) this.breach(`${what} came from inside a call`);
  }
}

/** One side of a connection. */
export class End implements SocketHandler {
  socket!: ByteSocket;
  /** Calls so far of `opened`, `ended` and `closed`, in order. */
  readonly events: string[] = [];
  readonly #chunks: Uint8Array[] = [];
  readonly #watch: Watch;
  readonly #name: string;
  #destroyed = false;
  #isPaused = false;
  /** Bytes received. */
  count = 0;
  /** Why it is over. */
  reason = '';
  /** Called for each piece of bytes. */
  receiving: () => void = () => {};

  constructor(watch: Watch, name: string) {
    this.#watch = watch;
    this.#name = name;
  }

  get isOpen(): boolean {
    return this.events.includes('opened');
  }

  get hasEnded(): boolean {
    return this.events.includes('ended');
  }

  get isClosed(): boolean {
    return this.events.includes('closed');
  }

  /** All that was received. */
  get bytes(): Uint8Array {
    const all = new Uint8Array(this.count);
    let at = 0;
    for (const chunk of this.#chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }

  write(bytes: Uint8Array, taken?: () => void): void {
    this.#watch.call('write', () => {
      if (taken === undefined) return this.socket.write(bytes);
      let times = 0;
      this.socket.write(bytes, () => {
        this.#watch.told('taken');
        if (++times > 1) this.#watch.breach('taken came twice');
        if (this.#destroyed || this.isClosed) this.#watch.breach('taken came after the end');
        taken();
      });
    });
  }

  end(): void {
    this.#watch.call('end', () => this.socket.end());
  }

  pause(): void {
    this.#isPaused = true;
    this.#watch.call('pause', () => this.socket.pause());
  }

  resume(): void {
    this.#isPaused = false;
    this.#watch.call('resume', () => this.socket.resume());
  }

  destroy(): void {
    this.#destroyed = true;
    this.#watch.call('destroy', () => this.socket.destroy());
  }

  // ---- what it is told ----

  opened(): void {
    this.#event('opened');
    if (this.#name === 'accepted') this.#watch.breach('opened was told of an accepted connection');
  }

  data(chunk: Uint8Array): void {
    this.#told('data');
    if (this.#name === 'dialled' && !this.isOpen) this.#watch.breach('data came before opened');
    if (this.hasEnded) this.#watch.breach('data came after ended');
    this.#chunks.push(new Uint8Array(chunk));
    this.count += chunk.length;
    this.receiving();
  }

  ended(): void {
    this.#event('ended');
  }

  closed(reason: string): void {
    this.#destroyed = false;
    this.#event('closed');
    this.reason = reason;
  }

  #event(what: string): void {
    this.#told(what);
    if (this.events.includes(what)) this.#watch.breach(`${what} came twice`);
    this.events.push(what);
  }

  #told(what: string): void {
    this.#watch.told(what);
    if (this.#isPaused && (what === 'data' || what === 'ended')) this.#watch.breach(`${what} came while paused`);
    if (this.isClosed) this.#watch.breach(`${what} came after closed`);
    if (this.#destroyed) this.#watch.breach(`${what} came after destroy`);
  }
}

/** A port that is listened on, and what was accepted there. */
export class Port {
  readonly accepted: End[] = [];
  #listener: Listener | null;

  constructor(
    readonly watch: Watch,
    readonly port: number,
  ) {
    this.#listener = null;
  }

  /** Rejects with the error of `listen`. `accepting` is called inside each `accept`. */
  open(sockets: Sockets, host: string, accepting: (end: End) => void): Promise<void> {
    const { watch } = this;
    return new Promise((resolve, reject) => {
      const accept = (socket: ByteSocket): SocketHandler => {
        watch.told('accept');
        if (this.#listener === null) watch.breach('accept came while it does not listen');
        const end = new End(watch, 'accepted');
        end.socket = socket;
        this.accepted.push(end);
        accepting(end);
        return end;
      };
      let done = 0;
      const listening = (error: Error | null, listener?: Listener): void => {
        watch.told('done of listen');
        if (++done > 1) watch.breach('done of listen came twice');
        if ((error === null) === (listener === undefined)) watch.breach('done of listen must give an error or a listener');
        this.#listener = listener ?? null;
        if (error === null) resolve();
        else reject(error);
      };
      const trouble = (reason: string): void => watch.breach(`trouble of a port: ${reason}`);
      watch.call('listen', () => sockets.listen(host, this.port, accept, listening, trouble));
    });
  }

  /** Resolves when the port is free. */
  close(): Promise<void> {
    const listener = this.#listener;
    this.#listener = null;
    if (listener === null) return Promise.resolve();
    return new Promise((resolve) => {
      let done = 0;
      this.watch.call('close', () =>
        listener.close(() => {
          this.watch.told('done of close');
          if (++done > 1) this.watch.breach('done of close came twice');
          resolve();
        }),
      );
    });
  }
}
