import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/*
 * A replica in a process of its own, steered by calls over the channel that `fork` opens: the parent calls a handler of the child by name, and gets what it
 * returns (as JSON) or an error.
 */

/** What a child answers to. Arguments and results must survive JSON. */
export type Handlers = Record<string, (argument: never) => unknown>;

interface Call {
  readonly call: number;
  readonly name: string;
  readonly argument: unknown;
}
interface Answer {
  readonly call: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** Tells the parent something without being asked. What was told is with the parent even if this process is killed right after. */
export function tellParent(note: unknown): void {
  process.send?.({ note });
}

/** Makes this process answer its parent's calls; it ends when the parent is gone. */
export function answerCalls(handlers: Handlers): void {
  process.on('message', (message: Call) => {
    const handler = handlers[message.name] as ((argument: unknown) => unknown) | undefined;
    const answer = (rest: Omit<Answer, 'call'>): void => void process.send?.({ call: message.call, ...rest });
    Promise.resolve()
      .then(() => {
        if (handler === undefined) throw new Error(`no handler ${message.name}`);
        return handler(message.argument);
      })
      .then(
        (result) => answer({ result }),
        (error) => answer({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
      );
  });
  process.on('disconnect', () => process.exit(0));
}

/** A child process that runs a module with {@link answerCalls}. */
export class Child<H extends Handlers> {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #calls = 0;
  /** Hears what the child tells with {@link tellParent}. */
  onNote: ((note: unknown) => void) | undefined;

  /** `module` is the URL of the child's TypeScript or JavaScript file. */
  constructor(
    readonly name: string,
    module: URL,
    nodeOptions: readonly string[] = [],
  ) {
    this.#process = fork(fileURLToPath(module), { execArgv: [...process.execArgv, ...nodeOptions] });
    this.#process.on('message', (message) => {
      if ('note' in (message as object)) this.onNote?.((message as { note: unknown }).note);
      else this.#answered(message as Answer);
    });
    this.#process.on('error', (error) => this.#failAll(error));
    this.#process.on('exit', (code, signal) => this.#failAll(new Error(`${name} has ended (${signal ?? code})`)));
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Calls a handler of the child. Rejects when the handler throws and when the child ends. */
  call<K extends keyof H & string>(name: K, argument: Parameters<H[K]>[0]): Promise<Awaited<ReturnType<H[K]>>> {
    const call = ++this.#calls;
    return new Promise((resolve, reject) => {
      if (this.#process.exitCode !== null || this.#process.signalCode !== null) return reject(new Error(`${this.name} has ended`));
      this.#waiting.set(call, { resolve: resolve as (value: unknown) => void, reject });
      this.#process.send({ call, name, argument });
    });
  }

  /** Ends the process as a crash would: nothing of it gets to run any more. Resolves when it is gone. */
  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await gone;
  }

  #answered(answer: Answer): void {
    const waiting = this.#waiting.get(answer.call);
    this.#waiting.delete(answer.call);
    if (answer.error === undefined) waiting?.resolve(answer.result);
    else waiting?.reject(new Error(`${this.name}: ${answer.error}`));
  }

  #failAll(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

/** Milliseconds on a clock that all processes of this machine share and that never jumps back within one of them. */
export const sharedNow = (): number => performance.timeOrigin + performance.now();

/** Asks every 5 ms until there is an answer; rejects after 30 s. */
export async function until<T>(what: string, ask: () => Promise<T | undefined | false>): Promise<T> {
  for (const end = sharedNow() + 30_000; sharedNow() < end; await sleep(5)) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
  }
  throw new Error(`30 s have passed without ${what}`);
}
