import { connect, type Socket } from 'node:net';
import Long from 'long';
import { answerCalls } from '../../examples/support/processes.ts';
import { octetsFromText } from '../../src/util/bytes.ts';
import { encodeConnectRequest } from '../../src/wire/client-connect.ts';
import { encodeReadRequest, writeRequestHeader } from '../../src/wire/client-requests.ts';
import { JuteWriter } from '../../src/wire/jute.ts';
import { encodeRequestBody } from '../../src/wire/requests.ts';
import { Histogram } from './stats.ts';

/*
 * A load generator for any server of ZooKeeper's client protocol, in a process of its own: sessions that keep so many requests under way each. It is lean: the frames are made once
 * and only their numbers are put in, and of replies only the header is read.
 */

/** What is asked: all writes, all reads, or so many reads of a hundred. */
export interface GeneratorLoad {
  readonly outstanding: number;
  /** Bytes of data. */
  readonly size: number;
  /** Reads among a hundred requests. */
  readonly reads: number;
  /** Seconds that do not count. */
  readonly leadIn: number;
  readonly seconds: number;
}

export interface GeneratorResult {
  readonly answered: number;
  readonly failed: number;
  readonly counts: readonly number[];
}

const ZNODES = 1000;
const ROOT = '/zab-bench-port';
const OPEN = [{ perms: 31, scheme: 'world', id: 'anyone' }];
const HEADER = 20;

const frame = (write: (w: JuteWriter) => void): Buffer => {
  const w = new JuteWriter(256);
  w.int(0);
  write(w);
  w.setInt(0, w.pos - 4);
  return Buffer.from(w.copy());
};

const create = (path: string): Buffer =>
  frame((w) => {
    writeRequestHeader(w, 0, 1);
    encodeRequestBody(w, { op: 1, path, data: octetsFromText('x'), acl: OPEN, flags: 0, ttl: 0 });
  });

const set = (path: string, size: number): Buffer =>
  frame((w) => {
    writeRequestHeader(w, 0, 5);
    encodeRequestBody(w, { op: 5, path, data: octetsFromText('x'.repeat(size)), version: -1 });
  });

const get = (path: string): Buffer =>
  frame((w) => {
    writeRequestHeader(w, 0, 4);
    encodeReadRequest(w, { op: 4, path, watch: false });
  });

/** One session. Requests have the numbers 1, 2, ...; the answers come in that order. */
class Client {
  readonly #socket: Socket;
  #left: Buffer = Buffer.alloc(0);
  #greeted: (() => void) | null = null;
  #xid = 0;
  /** When each request under way was sent. */
  readonly #sent: number[] = [];
  #head = 0;
  onAnswer: (err: number, sentAt: number) => void = () => {};
  /** After all answers of a chunk. */
  onChunk: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#data(chunk));
    socket.on('error', (error) => {
      throw error;
    });
  }

  static async open(port: number): Promise<Client> {
    const socket = connect({ port, host: '127.0.0.1' });
    const client = new Client(socket);
    const hello = {
      protocolVersion: 0,
      lastZxidSeen: Long.UZERO,
      timeout: 40_000,
      sessionId: Long.UZERO,
      password: new Uint8Array(16),
      readOnly: false,
    };
    socket.write(frame((w) => encodeConnectRequest(w, hello)));
    await new Promise<void>((resolve) => {
      client.#greeted = resolve;
    });
    return client;
  }

  get underWay(): number {
    return this.#sent.length - this.#head;
  }

  /** Sends frames as one write; each has its number put in. */
  send(frames: readonly Buffer[], now: number): void {
    const all = Buffer.concat(frames);
    let at = 0;
    for (const { length } of frames) {
      all.writeInt32BE(++this.#xid, at + 4);
      at += length;
      this.#sent.push(now);
    }
    this.#socket.write(all);
  }

  #data(chunk: Buffer): void {
    const bytes = this.#left.length === 0 ? chunk : Buffer.concat([this.#left, chunk]);
    let at = 0;
    while (bytes.length - at >= 4) {
      const length = bytes.readInt32BE(at);
      if (bytes.length - at < 4 + length) break;
      if (this.#greeted !== null) {
        this.#greeted();
        this.#greeted = null;
      } else if (length >= HEADER - 4) {
        this.onAnswer(bytes.readInt32BE(at + 16), this.#sent[this.#head++]);
      }
      at += 4 + length;
    }
    this.#left = bytes.subarray(at);
    if (this.#head > 4096) {
      this.#sent.splice(0, this.#head);
      this.#head = 0;
    }
    this.onChunk();
  }

  close(): void {
    this.#socket.destroy();
  }
}

class Generator {
  #clients: Client[] = [];
  readonly #gets = Array.from({ length: ZNODES }, (_, i) => get(`${ROOT}/${i}`));

  /** `sessions` sessions, spread over the servers. */
  async open({ ports, sessions }: { ports: readonly number[]; sessions: number }): Promise<void> {
    this.#clients = await Promise.all(Array.from({ length: sessions }, (_, i) => Client.open(ports[i % ports.length])));
  }

  async prepare(): Promise<void> {
    const client = this.#clients[0];
    const paths = [ROOT, ...Array.from({ length: ZNODES }, (_, i) => `${ROOT}/${i}`)];
    await new Promise<void>((resolve) => {
      let answered = 0;
      client.onAnswer = () => {
        if (++answered === paths.length) resolve();
      };
      client.send(paths.map(create), 0);
    });
  }

  async load({ outstanding, size, reads, leadIn, seconds }: GeneratorLoad): Promise<GeneratorResult> {
    const sets = Array.from({ length: ZNODES }, (_, i) => set(`${ROOT}/${i}`, size));
    const latencies = new Histogram();
    let [answered, failed, running] = [0, 0, true];
    const begin = performance.now() + leadIn * 1000;
    const clients = this.#clients.slice(0, Math.min(outstanding, this.#clients.length));
    const quiet = clients.map((client, i) => {
      const share = Math.floor(((i + 1) * outstanding) / clients.length) - Math.floor((i * outstanding) / clients.length);
      return new Promise<void>((resolve) => {
        const fill = (): void => {
          if (!running) return client.underWay === 0 ? resolve() : undefined;
          const frames: Buffer[] = [];
          for (let n = client.underWay; n < share; n++) {
            const znode = (Math.random() * ZNODES) | 0;
            frames.push(Math.random() * 100 < reads ? this.#gets[znode] : sets[znode]);
          }
          if (frames.length > 0) client.send(frames, performance.now());
        };
        let now = 0;
        client.onAnswer = (err, sentAt) => {
          if (now === 0) now = performance.now();
          if (now < begin || !running) return;
          if (err !== 0) failed++;
          answered++;
          latencies.add(now - sentAt);
        };
        client.onChunk = () => {
          now = 0;
          fill();
        };
        fill();
      });
    });
    await new Promise((resolve) => setTimeout(resolve, (leadIn + seconds) * 1000));
    running = false;
    await Promise.all(quiet);
    return { answered, failed, counts: latencies.counts };
  }

  close(): void {
    for (const client of this.#clients) client.close();
    this.#clients = [];
  }
}

const generator = new Generator();
const handlers = {
  open: (argument: { ports: readonly number[]; sessions: number }): Promise<void> => generator.open(argument),
  prepare: (): Promise<void> => generator.prepare(),
  load: (load: GeneratorLoad): Promise<GeneratorResult> => generator.load(load),
  close: (): void => generator.close(),
};
export type GeneratorHandlers = typeof handlers;

answerCalls(handlers);
