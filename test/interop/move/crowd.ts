import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Child } from '../../../examples/support/processes.ts';
import { within } from '../../ensemble/client.ts';
import type { Note } from '../load.ts';

/* Clients of two kinds, in a process for each kind, and how long they ever had to wait. */

export type ClientKind = 'ours' | 'kazoo';
export const CLIENT_KINDS: readonly ClientKind[] = ['ours', 'kazoo'];

/** What a client tells, with its name and the time on a clock that all processes of this machine share, ms. */
export type MoveNote = { readonly client: string; readonly at: number } & (
  | Note
  /** The client has its session, and in it the ephemeral znode `path`. */
  | { readonly kind: 'session'; readonly id: string; readonly path: string }
  /** The watch for `path` has told that it is there. */
  | { readonly kind: 'told'; readonly path: string }
);

/** What a process with clients does when it is told to, for all of its clients. */
export type ClientHandlers = {
  open: (argument: { names: readonly string[]; servers: string }) => Promise<void>;
  /** Resolves when each has set a watch on a path that is not there yet. */
  arm: (path: string) => Promise<void>;
  /** Nothing is under way any more when this resolves. */
  pause: (argument?: never) => Promise<void>;
  resume: (argument?: never) => void;
  close: (argument?: never) => Promise<void>;
};

/** CLOCK_MONOTONIC, ms. */
export const monotonicNow = (): number => Number(process.hrtime.bigint()) / 1e6;

interface ClientProcess {
  readonly pid: number;
  call<K extends keyof ClientHandlers>(name: K, argument?: Parameters<ClientHandlers[K]>[0]): Promise<void>;
  kill(): Promise<void>;
}

function ourClients(take: (note: MoveNote) => void): ClientProcess {
  const child = new Child<ClientHandlers>('clients of ours', new URL('./our-clients.ts', import.meta.url), ['--import', 'tsx']);
  child.onNote = (note) => take(note as MoveNote);
  return { pid: child.pid, call: (name, argument) => child.call(name, argument as never), kill: () => child.kill() };
}

/** The same over standard input and output. */
class KazooClients implements ClientProcess {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  #calls = 0;

  constructor(take: (note: MoveNote) => void) {
    const script = fileURLToPath(new URL('./kazoo_clients.py', import.meta.url));
    this.#process = spawn('setpriv', ['--pdeathsig', 'KILL', '/usr/bin/python3', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: this.#process.stdout! });
    lines.on('line', (line) => {
      const message = JSON.parse(line) as { note?: MoveNote; call: number; error?: string };
      if (message.note !== undefined) return take(message.note);
      const waiting = this.#waiting.get(message.call);
      this.#waiting.delete(message.call);
      if (message.error === undefined) waiting?.resolve();
      else waiting?.reject(new Error(`clients of kazoo: ${message.error}`));
    });
    this.#process.stdin!.on('error', () => {});
    this.#process.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the clients of kazoo have ended (${signal ?? code})`));
    });
  }

  get pid(): number {
    return this.#process.pid as number;
  }

  call(name: string, argument: unknown = null): Promise<void> {
    const call = ++this.#calls;
    return new Promise((resolve, reject) => {
      this.#waiting.set(call, { resolve, reject });
      this.#process.stdin!.write(`${JSON.stringify({ call, name, argument })}\n`);
    });
  }

  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await gone;
  }
}

/** The longest times without an acknowledged write, ms. */
export interface Gap {
  /** While no client of the kind had one. */
  readonly all: number;
  /** Of the client that had to wait longest. */
  readonly one: number;
}

/** Measures the times between acknowledged writes. A time counts where it ends. */
export class Gaps {
  /** When somebody was last told of a write, by client and for all of a kind. */
  #last = new Map<string, number>();
  #longest = new Map<ClientKind, Gap>();

  acknowledged(kind: ClientKind, client: string, at: number): void {
    const { all, one } = this.#longest.get(kind) ?? { all: 0, one: 0 };
    this.#longest.set(kind, { all: Math.max(all, this.#since(`${kind}:`, at)), one: Math.max(one, this.#since(`${kind}:${client}`, at)) });
  }

  #since(name: string, at: number): number {
    const gap = at - (this.#last.get(name) ?? at);
    this.#last.set(name, at);
    return gap;
  }

  /** The longest since the last call. */
  take(kind: ClientKind): Gap {
    const gap = this.#longest.get(kind) ?? { all: 0, one: 0 };
    this.#longest.delete(kind);
    return gap;
  }

  /** The clients have been told to wait: what comes next ends no gap. */
  forget(): void {
    this.#last = new Map();
    this.#longest = new Map();
  }
}

/** Clients of both kinds. */
export class Crowd {
  readonly names: readonly string[];
  readonly gaps = new Gaps();
  /** What each client's session is, and an ephemeral znode in it. */
  readonly sessions = new Map<string, { readonly id: string; readonly path: string }>();
  readonly #processes: readonly ClientProcess[];
  readonly #take: (note: Note) => void;
  /** The last transaction that each client was told of as its own, and when. */
  readonly #acked = new Map<string, { readonly zxid: bigint; readonly at: number }>();
  readonly #told = new Map<string, Set<string>>();

  /** `size` clients of each kind; what they say of their writes goes to `take`. */
  constructor(
    readonly size: number,
    take: (note: Note) => void,
  ) {
    this.#take = take;
    this.names = CLIENT_KINDS.flatMap((kind) => this.#namesOf(kind));
    this.#processes = CLIENT_KINDS.map((kind) => {
      const hear = (note: MoveNote) => this.#hear(kind, note);
      return kind === 'ours' ? ourClients(hear) : new KazooClients(hear);
    });
  }

  #namesOf(kind: ClientKind): string[] {
    return Array.from({ length: this.size }, (_, k) => `${kind}-${k}`);
  }

  #hear(kind: ClientKind, note: MoveNote): void {
    const { client, at } = note;
    if (note.kind === 'session') return void this.sessions.set(client, note);
    if (note.kind === 'told') return void this.#toldOf(note.path).add(client);
    if (note.kind === 'ack' && note.zxid !== undefined) {
      const zxid = BigInt(note.zxid);
      // After a lost connection a client looks what became of its last write: that is news only if it was done.
      if (zxid > (this.#acked.get(client)?.zxid ?? 0n)) {
        this.#acked.set(client, { zxid, at });
        this.gaps.acknowledged(kind, client, at);
      }
    }
    this.#take(note);
  }

  #toldOf(path: string): Set<string> {
    const told = this.#told.get(path) ?? new Set();
    this.#told.set(path, told);
    return told;
  }

  async open(servers: string): Promise<void> {
    const opened = CLIENT_KINDS.map((kind, i) => this.#processes[i].call('open', { names: this.#namesOf(kind), servers }));
    await within('all clients have a session', Promise.all(opened), 60_000);
  }

  /** Every process with clients does this. */
  async all(verb: 'pause' | 'resume' | 'close'): Promise<void> {
    await within(`all clients ${verb}`, Promise.all(this.#processes.map((process) => process.call(verb))), 60_000);
    this.gaps.forget();
  }

  /** Every client watches `path` from now on. */
  async arm(path: string): Promise<void> {
    await within(`all clients watch ${path}`, Promise.all(this.#processes.map((process) => process.call('arm', path))), 60_000);
  }

  signal(s: NodeJS.Signals): void {
    for (const { pid } of this.#processes) process.kill(pid, s);
  }

  /** Clients whose watch has not told of `path`. */
  untold(path: string): string[] {
    return this.names.filter((name) => !this.#toldOf(path).has(name));
  }

  /** Clients that have had no write acknowledged since `time`. */
  waiting(time: number): string[] {
    return this.names.filter((name) => (this.#acked.get(name)?.at ?? 0) < time);
  }

  async kill(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.kill()));
  }
}
