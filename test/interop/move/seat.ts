import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ApacheMember, type ApacheServer, apacheServer, ask, modeOf } from '../apache.ts';

/** The sources as they stand; for a measurement the built command starts quicker. */
export const COMMAND: readonly string[] = ['--import', 'tsx', fileURLToPath(new URL('../../../src/cli.ts', import.meta.url))];

export type ServerKind = 'apache' | 'ours';
export const PROGRAMS: Readonly<Record<ServerKind, string>> = { apache: 'Apache ZooKeeper', ours: 'zab-ensemble' };

/** The place of one server: its `zoo.cfg`, data directory and ports, on which either program runs. */
export class Seat {
  readonly id: number;
  readonly clientPort: number;
  readonly #command: readonly string[];
  readonly #apache: ApacheServer;
  #ours: ChildProcess | undefined;
  #kind: ServerKind = 'apache';

  constructor(options: {
    readonly id: number;
    readonly dir: string;
    readonly clientPort: number;
    readonly servers: readonly ApacheMember[];
    readonly config: Readonly<Record<string, string | number>>;
    /** Arguments for Node that run zab-ensemble. */
    readonly command: readonly string[];
  }) {
    this.id = options.id;
    this.clientPort = options.clientPort;
    this.#command = options.command;
    this.#apache = apacheServer(options);
  }

  /** What runs here, or ran here last. */
  get kind(): ServerKind {
    return this.#kind;
  }

  /** Resolves when the process has begun; `mode` tells when it serves. */
  async start(kind: ServerKind): Promise<void> {
    this.#kind = kind;
    if (kind === 'apache') return this.#apache.start();
    const output = openSync(this.#logFile, 'a');
    const node = [process.execPath, ...this.#command, join(this.#apache.dir, 'zoo.cfg')];
    // The kernel ends the server with this process, whatever ends this process.
    this.#ours = spawn('setpriv', ['--pdeathsig', 'KILL', ...node], { stdio: ['ignore', output, output] });
    closeSync(output);
    await once(this.#ours, 'spawn');
  }

  /** Resolves when the process is gone. */
  async stop(signal: NodeJS.Signals): Promise<void> {
    const child = this.#ours;
    this.#ours = undefined;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit');
      child.kill(signal);
      await gone;
    }
    await this.#apache.stop(signal);
  }

  /** Throws when the process has ended by itself. */
  check(): void {
    const gone = this.#kind === 'apache' ? this.#apache.pid === undefined : this.#ours?.exitCode !== null || this.#ours.signalCode !== null;
    if (gone) throw new Error(`server ${this.id} (${PROGRAMS[this.#kind]}) has ended:\n${this.log().split('\n').slice(-20).join('\n')}`);
  }

  fourLetter(word: string): Promise<string> {
    return ask(this.clientPort, word);
  }

  /** Asks with little patience: a question that came as the port was opened may stay without an answer. */
  mode(): Promise<string | undefined> {
    return modeOf({ fourLetter: (word) => ask(this.clientPort, word, 2000) });
  }

  /** The last transaction that it has applied; undefined while it does not serve. */
  async zxid(): Promise<bigint | undefined> {
    const found = /^Zxid: 0x([0-9a-f]+)$/m.exec(await this.fourLetter('srvr').catch(() => ''));
    return found === null ? undefined : BigInt(`0x${found[1]}`);
  }

  /** A number of `mntr`, without its `zk_`; undefined where there is none of that name, and while it does not serve. */
  async gauge(name: string): Promise<number | undefined> {
    const found = new RegExp(`^zk_${name}\t(\\S+)$`, 'm').exec(await this.fourLetter('mntr').catch(() => ''));
    return found === null ? undefined : Number(found[1]);
  }

  get #logFile(): string {
    return join(this.#apache.dir, 'zab-ensemble.log');
  }

  /** What the program that runs here has logged, over every start. */
  log(): string {
    if (this.#kind === 'apache') return this.#apache.log();
    return existsSync(this.#logFile) ? readFileSync(this.#logFile, 'utf8') : '';
  }
}
