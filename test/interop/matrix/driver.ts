import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** A Stat as drivers tell it: czxid, mzxid, ctime, mtime, version, cversion, aversion, ephemeralOwner, dataLength, numChildren, pzxid. */
export type RawStat = [string, string, string, string, number, number, number, string, number, number, string];

/** What a driver answers (drivers/README.md). */
export interface Answer {
  readonly error?: number;
  readonly refused?: string;
  readonly unsupported?: string;
  readonly session?: string;
  readonly timeout?: number;
  readonly state?: string;
  readonly path?: string;
  readonly stat?: RawStat | null;
  readonly data?: string | null;
  readonly children?: string[] | null;
  readonly acl?: string[] | null;
  readonly results?: Answer[] | null;
  readonly paths?: string[] | null;
  readonly ids?: string[] | null;
  readonly count?: number;
  readonly events?: string[];
}

/** A client library that carries out the commands of a script. */
export interface Driver {
  readonly name: string;
  call(verb: string, ...args: string[]): Promise<Answer>;
  /** Ends it; its sessions are left to expire unless they were closed. */
  end(): Promise<void>;
}

/** A driver that needs longer hangs. */
const LIMIT_MS = 40_000;

export const encodeField = (field: string): string => encodeURIComponent(field);

/** One part of a multi as a field. */
export const part = (...fields: string[]): string => fields.map(encodeField).join('|');

/** A driver in a process of its own, spoken to by lines. */
export class ProcessDriver implements Driver {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  #said = '';

  constructor(name: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.name = name;
    // The kernel ends the driver with this process, whatever ends this process.
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    this.#child.on('error', () => {});
    this.#child.stdin?.on('error', () => {});
    this.#child.stderr?.on('data', (text) => {
      this.#said = (this.#said + text).slice(-4000);
    });
    this.#answers = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async call(verb: string, ...args: string[]): Promise<Answer> {
    this.#child.stdin?.write(`${[verb, ...args].map(encodeField).join('\t')}\n`);
    const { value, done } = await this.#nextAnswer(`${verb} ${args.join(' ')}`);
    if (done) throw new Error(`the ${this.name} driver ended at ${verb} ${args.join(' ')}:\n${this.#said}`);
    try {
      return JSON.parse(value) as Answer;
    } catch {
      throw new Error(`the ${this.name} driver answered ${verb} with: ${value}\n${this.#said}`);
    }
  }

  async #nextAnswer(command: string): Promise<IteratorResult<string>> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`the ${this.name} driver does not answer ${command}\n${this.#said}`)), LIMIT_MS);
    });
    try {
      for (;;) {
        const next = await Promise.race([this.#answers.next(), limit]);
        // Some libraries print what they have to say on the standard output.
        if (next.done || next.value.startsWith('{')) return next;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}
