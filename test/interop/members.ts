import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { Child } from '../../examples/support/processes.ts';
import { type ApacheServer, ask, modeOf } from './apache.ts';
import type { HostHandlers, HostOptions } from './host.ts';
import type { Note } from './load.ts';

export type Mode = 'leader' | 'follower' | 'observer';

/** A server of a mixed ensemble, in a process of its own. */
export interface Member {
  readonly id: number;
  readonly kind: 'apache' | 'ours';
  readonly isObserver: boolean;
  readonly clientPort: number;
  readonly dataDir: string;
  /** Resolves when the process has begun; `mode` tells when it serves. */
  start(): Promise<void>;
  /** `kill -9`; resolves when the process is gone. */
  kill(): Promise<void>;
  signal(s: NodeJS.Signals): void;
  /** What it is; undefined while it does not serve or does not run. */
  mode(): Promise<Mode | undefined>;
  fourLetter(word: string): Promise<string>;
  log(): string;
}

export class ApacheMember implements Member {
  readonly kind = 'apache';

  constructor(
    readonly server: ApacheServer,
    readonly isObserver: boolean,
  ) {}

  get id(): number {
    return this.server.id;
  }
  get clientPort(): number {
    return this.server.clientPort;
  }
  get dataDir(): string {
    return this.server.dataDir;
  }
  start(): Promise<void> {
    return this.server.start();
  }
  kill(): Promise<void> {
    return this.server.stop();
  }
  signal(s: NodeJS.Signals): void {
    this.server.signal(s);
  }
  async mode(): Promise<Mode | undefined> {
    return (await modeOf(this.server)) as Mode | undefined;
  }
  fourLetter(word: string): Promise<string> {
    return this.server.fourLetter(word);
  }
  log(): string {
    return this.server.log();
  }
}

export class OurMember implements Member {
  readonly kind = 'ours';
  /** Names of the clients in the replica's process: they die with it and come again with it. */
  readonly clients: string[] = [];
  #child: Child<HostHandlers> | undefined;

  constructor(
    readonly options: HostOptions,
    readonly isObserver: boolean,
    readonly onNote: (note: Note) => void,
  ) {}

  get id(): number {
    return this.options.id;
  }
  get clientPort(): number {
    return this.options.clientPort as number;
  }
  get dataDir(): string {
    return this.options.dataDir as string;
  }
  /** The running process; undefined when there is none. */
  get child(): Child<HostHandlers> | undefined {
    return this.#child;
  }
  async start(): Promise<void> {
    mkdirSync(this.dataDir, { recursive: true });
    const child = new Child<HostHandlers>(`server ${this.id}`, new URL('./host.ts', import.meta.url), ['--import', 'tsx']);
    child.onNote = (note) => this.onNote(note as Note);
    this.#child = child;
    await child.call('start', this.options);
    for (const client of this.clients) await child.call('load', { client });
  }
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    await child?.kill();
  }
  signal(s: NodeJS.Signals): void {
    if (this.#child === undefined) throw new Error(`server ${this.id} does not run`);
    process.kill(this.#child.pid, s);
  }
  async mode(): Promise<Mode | undefined> {
    return (await modeOf(this)) as Mode | undefined;
  }
  fourLetter(word: string): Promise<string> {
    return ask(this.clientPort, word);
  }
  log(): string {
    const { logFile } = this.options;
    return existsSync(logFile) ? readFileSync(logFile, 'utf8') : '';
  }
  async metrics(): Promise<Readonly<Record<string, number>>> {
    if (this.#child === undefined) throw new Error(`server ${this.id} does not run`);
    return this.#child.call('metrics', undefined as never);
  }
}
