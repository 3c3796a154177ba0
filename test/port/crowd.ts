import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Thousands of clients in a process of their own. */
export class Crowd {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** `ports` are those of the servers. */
  static async start(ports: readonly number[]): Promise<Crowd> {
    const child = fork(fileURLToPath(new URL('./crowd-process.ts', import.meta.url)), [JSON.stringify(ports)], {
      execArgv: ['--import', 'tsx'],
    });
    const crowd = new Crowd(child);
    await crowd.#told('ready');
    return crowd;
  }

  #told(what: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const ended = (code: number | null) => reject(new Error(`the crowd’s process has ended with ${code}`));
      const listen = (message: { what: string; count: number }) => {
        if (message.what !== what) return;
        this.#child.off('message', listen);
        this.#child.off('exit', ended);
        resolve(message.count);
      };
      this.#child.on('message', listen);
      this.#child.once('exit', ended);
    });
  }

  /** Opens `count` sessions, spread over the servers, each with a watch on the data of `path`. */
  connect(count: number, path: string): Promise<number> {
    this.#child.send({ order: 'connect', count, path });
    return this.#told('connected');
  }

  /** Resolves to the number of clients that were told of a change, when it is all of them. */
  allTold(): Promise<number> {
    return this.#told('fired');
  }

  /** Closes all sessions. */
  leave(): Promise<number> {
    this.#child.send({ order: 'leave' });
    return this.#told('left');
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await gone;
  }
}
