import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { within } from '../ensemble/client.ts';

const COMMAND = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
/** A process that reads TypeScript first takes seconds on a busy machine. */
const PATIENCE = 60_000;

/** How a process has ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command `zab-ensemble` in a process of its own. */
export class ServerProcess implements AsyncDisposable {
  readonly process: ChildProcess;
  stdout = '';
  stderr = '';
  readonly #ended: Promise<Ended>;
  readonly #waiting = new Set<() => void>();

  constructor(...args: readonly string[]) {
    this.process = spawn(process.execPath, ['--import', 'tsx', COMMAND, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.process.stdout?.on('data', (chunk) => {
      this.stdout += chunk;
      for (const look of this.#waiting) look();
    });
    this.process.stderr?.on('data', (chunk) => (this.stderr += chunk));
    this.#ended = once(this.process, 'close').then(([code, signal]) => ({ code, signal, stdout: this.stdout, stderr: this.stderr }));
    this.#ended.then(() => {
      for (const look of this.#waiting) look();
    });
  }

  /** Resolves when the process has ended by itself. */
  ended(): Promise<Ended> {
    return within('the end of the process', this.#ended, PATIENCE);
  }

  /** Resolves to the match when `pattern` is on the standard output; rejects when the process ends without. */
  says(pattern: RegExp): Promise<RegExpExecArray> {
    const found = new Promise<RegExpExecArray>((resolve, reject) => {
      const look = () => {
        const match = pattern.exec(this.stdout);
        const gone = this.process.exitCode !== null || this.process.signalCode !== null;
        if (match === null && !gone) return;
        this.#waiting.delete(look);
        if (match !== null) resolve(match);
        else reject(new Error(`ended without ${pattern}:\n${this.stdout}${this.stderr}`));
      };
      this.#waiting.add(look);
      look();
    });
    return within(`${pattern}`, found, PATIENCE);
  }

  /** What came on the standard output from now on is looked at by {@link says}. */
  forget(): void {
    this.stdout = '';
  }

  /** Sends a signal and waits for the end. */
  stop(signal: NodeJS.Signals): Promise<Ended> {
    this.process.kill(signal);
    return this.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill('SIGKILL');
    await this.#ended;
  }
}

/** The end of a command that ends by itself. */
export async function run(...args: readonly string[]): Promise<Ended> {
  await using server = new ServerProcess(...args);
  return await server.ended();
}
