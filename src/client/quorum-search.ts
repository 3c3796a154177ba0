import type { ByteSocket, SocketHandler } from '../seams/sockets.ts';
import { asBytes, readUtf8 } from '../util/bytes.ts';
import type { ClientAddress } from './address.ts';
import type { ResolvedConnectOptions } from './options.ts';
import { Timer } from './timer.ts';

/** The four-letter word that asks a server whether it only reads: it answers `rw` or `ro`. */
const QUESTION = new Uint8Array([0x69, 0x73, 0x72, 0x6f]);
/** One server's answer is waited for so long, ms, and the pause between two questions grows to this at most. */
const PATIENCE = 2000;
const MAX_PAUSE = 10_000;

/** Asks one server. */
class Question implements SocketHandler {
  readonly #socket: ByteSocket;
  readonly #answered: (answer: string) => void;
  #over = false;
  #text = '';

  constructor(options: ResolvedConnectOptions, { host, port }: ClientAddress, answered: (answer: string) => void) {
    this.#answered = answered;
    this.#socket = options.sockets.connect(host, port, this);
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket.destroy();
  }

  opened(): void {
    if (!this.#over) this.#socket.write(QUESTION);
  }

  data(chunk: Uint8Array): void {
    if (this.#over) return;
    this.#text += readUtf8(asBytes(chunk), 0, Math.min(chunk.length, 2));
    if (this.#text.length >= 2) this.#answer();
  }

  ended(): void {
    this.#answer();
  }

  closed(): void {
    this.#answer();
  }

  #answer(): void {
    if (this.#over) return;
    this.end();
    this.#answered(this.#text.slice(0, 2));
  }
}

/** While a session is served without a quorum: asks the servers in turn, at growing intervals, until one has a quorum. */
export class QuorumSearch {
  readonly #options: ResolvedConnectOptions;
  readonly #servers: readonly ClientAddress[];
  readonly #found: (index: number) => void;
  readonly #timer: Timer;
  #question: Question | null = null;
  #next = 0;
  #pause = 0;

  /** `found` gets the index of a server with a quorum. */
  constructor(options: ResolvedConnectOptions, servers: readonly ClientAddress[], found: (index: number) => void) {
    this.#options = options;
    this.#servers = servers;
    this.#found = found;
    this.#timer = new Timer(options.clock);
  }

  start(): void {
    this.#pause = this.#options.minBackoff;
    this.#wait();
  }

  stop(): void {
    this.#timer.clear();
    this.#question?.end();
    this.#question = null;
  }

  #wait(): void {
    this.#timer.set(this.#pause, () => this.#ask());
    this.#pause = Math.min(2 * this.#pause, MAX_PAUSE);
  }

  #ask(): void {
    const index = this.#next;
    this.#next = (index + 1) % this.#servers.length;
    const answered = (answer: string) => {
      this.stop();
      if (answer === 'rw') this.#found(index);
      else this.#wait();
    };
    this.#question = new Question(this.#options, this.#servers[index], answered);
    this.#timer.set(PATIENCE, () => {
      this.stop();
      this.#wait();
    });
  }
}
