import { type Trace, whoIs } from './trace.ts';

/** Something whose events stop with it, and wait while it is paused. */
export interface Owner {
  /** 0 for the simulation itself, else the id of a server or of a client's machine. */
  readonly id: number;
  /** Changes when everything scheduled so far must not happen any more: the process has died. */
  readonly life: number;
  /** Simulated ms before which no event of it happens. */
  readonly pausedUntil: number;
}

/** An event to come. */
export interface Scheduled {
  readonly at: number;
  readonly seq: number;
  readonly owner: Owner | null;
  readonly life: number;
  readonly kind: string;
  readonly detail: number;
  /** null: it was cancelled. */
  run: (() => void) | null;
}

/** What the host offers to go on after all microtasks: the promises that an event has settled are seen by those who wait for them before the next event. */
const host = globalThis as unknown as {
  setImmediate?: (fn: () => void) => unknown;
  MessageChannel: new () => { port1: { onmessage: (() => void) | null; close(): void }; port2: { postMessage(message: null): void } };
};

// Taken at once: a test may put fake timers into its place later.
const { setImmediate } = host;

function afterMicrotasks(fn: () => void): () => void {
  if (setImmediate !== undefined) return () => void setImmediate(fn);
  const { port1, port2 } = new host.MessageChannel();
  port1.onmessage = fn;
  return () => port2.postMessage(null);
}

/**
 * Simulated time and the queue of what is to happen, one event at a time, in the order of time and then of scheduling. Between two events every promise is
 * carried as far as it goes. It runs only while somebody waits for something ({@link keepRunning}), so nothing happens behind the back of the caller's code.
 */
export class Kernel {
  /** Simulated ms since the beginning. */
  now = 0;
  readonly trace: Trace;
  /** What has ended the simulation: a broken rule, or an error that would have ended a process. */
  failure: Error | null = null;
  readonly #heap: Scheduled[] = [];
  #seq = 0;
  #waiting = 0;
  #running = false;
  #conditions = new Set<() => void>();
  readonly #onFailure: ((error: Error) => void)[] = [];
  #supervisor: ((error: Error) => void) | null = null;
  #closed = false;
  readonly #maxEvents: number;
  readonly #next = afterMicrotasks(() => this.#turn());

  /** @param maxEvents a run that goes on beyond this is ended as a failure */
  constructor(trace: Trace, maxEvents: number) {
    this.trace = trace;
    this.#maxEvents = maxEvents;
  }

  // ---- events ----

  /** Lets `run` happen `delay` simulated ms from now. `kind` and `detail` tell it in the digest. */
  after(delay: number, owner: Owner | null, kind: string, run: () => void, detail = 0): Scheduled {
    const event = { at: this.now + Math.max(0, delay), seq: this.#seq++, owner, life: owner?.life ?? 0, kind, detail, run };
    this.#push(event);
    return event;
  }

  cancel(event: Scheduled): void {
    event.run = null;
  }

  note(server: number, text: string | (() => string)): void {
    this.trace.note(this.now, server, text);
  }

  /** A note of something that happens very often. */
  detail(server: number, text: () => string): void {
    this.trace.note(this.now, server, text, true);
  }

  /** Ends the simulation: no event happens any more, and everybody who waits gets `error`, or the supervisor alone. The first failure counts. */
  fail(error: Error): void {
    if (this.failure !== null || this.#closed) return;
    this.failure = error;
    this.note(0, `FAILED: ${error.message}`);
    const waiting = this.#onFailure.splice(0);
    if (this.#supervisor === null) for (const tell of waiting) tell(error);
    else this.#supervisor(error);
  }

  /**
   * From now on a failure is told to `onFailure` alone, and whoever waits is left waiting: code that was begun and that nobody waits for would otherwise end the whole host by a rejection
   * that is nobody's.
   */
  supervise(onFailure: (error: Error) => void): void {
    this.#supervisor = onFailure;
  }

  /** Nothing happens any more, and whoever waits is left waiting, as in a process that is gone. */
  close(): void {
    this.#closed = true;
    this.#onFailure.length = 0;
  }

  /** Calls `look` after every event, until what it returns is called. */
  afterEvery(look: () => void): () => void {
    this.#conditions.add(look);
    return () => void this.#conditions.delete(look);
  }

  // ---- running ----

  /** Runs the simulation until `promise` is settled. The result also rejects when the simulation fails before. */
  keepRunning<T>(promise: Promise<T>): Promise<T> {
    if (this.failure !== null || this.#closed) {
      promise.catch(() => {});
      return this.#refuse(this.failure ?? new Error('the simulation was closed'));
    }
    this.#waiting++;
    const settled = new Promise<T>((resolve, reject) => {
      const failed = (error: Error): void => {
        this.#waiting--;
        reject(error);
      };
      this.#onFailure.push(failed);
      const leave = (): boolean => {
        const at = this.#onFailure.indexOf(failed);
        if (at < 0) return false;
        this.#onFailure.splice(at, 1);
        this.#waiting--;
        return true;
      };
      promise.then(
        (value) => leave() && resolve(value),
        (error) => leave() && reject(error),
      );
    });
    this.#wake();
    return settled;
  }

  /** Resolves after `ms` simulated milliseconds. */
  sleep(ms: number): Promise<void> {
    return this.keepRunning(new Promise((resolve) => void this.after(ms, null, 'sleep', resolve)));
  }

  /** Resolves as soon as `condition` holds, looked at after every event; rejects when that takes more than `ms` simulated milliseconds. */
  until(condition: () => boolean, ms: number, what: () => string): Promise<void> {
    const promise = new Promise<void>((resolve, reject) => {
      const end = (settle: () => void): void => {
        this.#conditions.delete(look);
        this.cancel(timeout);
        settle();
      };
      const look = (): void => {
        try {
          if (condition()) end(resolve);
        } catch (error) {
          end(() => reject(error));
        }
      };
      const timeout = this.after(ms, null, 'timeout', () => end(() => reject(new Error(`not within ${ms} simulated ms: ${what()}`))));
      this.#conditions.add(look);
      look();
    });
    return this.keepRunning(promise);
  }

  /** In a turn of its own: who tries again without end would stop the host otherwise. */
  #refuse(error: Error): Promise<never> {
    return new Promise((_, reject) => afterMicrotasks(() => reject(error))());
  }

  #wake(): void {
    if (this.#running) return;
    this.#running = true;
    this.#next();
  }

  #turn(): void {
    if (this.#waiting === 0 || this.failure !== null || this.#closed) {
      this.#running = false;
      return;
    }
    this.#step();
    this.#next();
  }

  #step(): void {
    const event = this.#pop();
    if (event === undefined) return this.fail(new Error('somebody waits, but nothing can happen any more'));
    const { owner, run } = event;
    if (run === null || (owner !== null && owner.life !== event.life)) return;
    if (owner !== null && owner.pausedUntil > event.at) {
      this.#push({ ...event, at: owner.pausedUntil, seq: this.#seq++, run: () => event.run?.() });
      return;
    }
    this.now = event.at;
    this.trace.event(event.at, owner?.id ?? 0, event.kind, event.detail);
    if (this.trace.events > this.#maxEvents) return this.fail(new Error(`more than ${this.#maxEvents} events`));
    event.run = null;
    try {
      run();
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error));
      this.fail(owner === null ? cause : new Error(`${whoIs(owner.id)}: an error would have ended the process: ${cause.stack}`, { cause }));
    }
    for (const look of [...this.#conditions]) look();
  }

  // ---- the heap ----

  #push(event: Scheduled): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (!before(event, heap[up])) break;
      heap[at] = heap[up];
      at = up;
    }
    heap[at] = event;
  }

  #pop(): Scheduled | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return last;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      if (down >= heap.length) break;
      if (down + 1 < heap.length && before(heap[down + 1], heap[down])) down++;
      if (!before(heap[down], last)) break;
      heap[at] = heap[down];
      at = down;
    }
    heap[at] = last;
    return first;
  }
}

const before = (a: Scheduled, b: Scheduled): boolean => a.at < b.at || (a.at === b.at && a.seq < b.seq);
