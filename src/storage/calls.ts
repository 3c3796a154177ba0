import type { Clock } from '../seams/clock.ts';
import type { Done } from '../seams/storage.ts';
import type { LogEntry } from '../zab/entry.ts';
import { Cancelled, type Running, run, type Steps, step } from './steps.ts';

/** Where appends go. */
export interface Appender {
  /** Nothing is being written and nothing waits. */
  readonly idle: boolean;
  /** Enough is gathered: give no more before {@link Calls.pump} is called again. */
  readonly full: boolean;
  /** Takes entries; an error if they do not continue the history, and then none is taken. */
  append(entries: readonly LogEntry[], done: Done): Error | null;
  /** Stops for good: a write in flight ends, everything else fails with `error`, then `done`, which may come before this returns. */
  stop(error: Error, done: () => void): void;
}

interface AppendCall {
  readonly entries: readonly LogEntry[];
  readonly done: Done;
}

/** A call that has the store to itself. */
export interface ChainCall {
  readonly chain: () => Steps<void>;
  readonly done: Done;
  /** Reads the whole history, replaces it or cuts it: nothing may go on beside it. */
  readonly exclusive?: boolean;
  /** Gives back what was passed in, if the chain never starts. */
  readonly drop?: () => void;
}

/**
 * The order of an open store's calls. Calls that depend on order go through one queue; while it is empty an append goes straight to the {@link Appender}. Snapshots being
 * saved, purges and readers of the log are jobs beside it.
 *
 * It ends once: from then on no call is begun, chains stop at their next step, and every waiting call fails with the reason.
 */
export class Calls {
  readonly #clock: Clock;
  readonly #failsStore: (error: Error) => boolean;
  readonly #queue: (AppendCall | ChainCall)[] = [];
  /** The chain that runs now. */
  #current: ChainCall | null = null;
  #running: Running | null = null;
  readonly #jobs = new Set<Running>();
  #jobsEnded: (() => void) | null = null;
  /** Null until the first recovery. */
  #appender: Appender | null = null;
  #ended: Error | null = null;
  #appenderStopped = false;
  #onQuiet: (() => void)[] = [];

  /** `failsStore` tells, and sees to it, that an error of a chain is the end of the store. */
  constructor(clock: Clock, failsStore: (error: Error) => boolean) {
    this.#clock = clock;
    this.#failsStore = failsStore;
  }

  /** Why nothing goes any more; null while it does. */
  get ended(): Error | null {
    return this.#ended;
  }

  setAppender(appender: Appender): void {
    this.#appender = appender;
  }

  append(entries: readonly LogEntry[], done: Done): void {
    const appender = this.#appender;
    if (appender === null || this.#ended !== null || this.#current !== null || this.#queue.length > 0 || appender.full) {
      if (this.#ended !== null) return this.fail(done, this.#ended);
      this.#queue.push({ entries, done });
      this.pump();
      return;
    }
    const error = appender.append(entries, done);
    if (error !== null) this.fail(done, error);
  }

  chain(call: ChainCall): void {
    if (this.#ended !== null) {
      call.drop?.();
      return this.fail(call.done, this.#ended);
    }
    this.#queue.push(call);
    this.pump();
  }

  /** Begins whatever may begin. */
  pump(): void {
    const appender = this.#appender;
    while (this.#queue.length > 0 && this.#current === null && this.#ended === null) {
      const call = this.#queue[0];
      if ('chain' in call) {
        if (appender !== null && !appender.idle) return;
        this.#queue.shift();
        return this.#start(call);
      }
      if (appender?.full) return;
      this.#queue.shift();
      const error = appender === null ? new Error('append: not recovered yet') : appender.append(call.entries, call.done);
      if (error !== null) this.fail(call.done, error);
    }
  }

  #start(call: ChainCall): void {
    this.#current = call;
    this.#running = run(this.#clock, call.chain(), (error) => {
      this.#current = null;
      this.#running = null;
      if (error !== null && this.#ended === null && this.#failsStore(error)) this.end(error);
      call.done(error === null ? null : (this.#ended ?? error));
      if (this.#ended === null) this.pump();
      else this.#settle();
    });
  }

  /** Runs a chain beside the queue. */
  job(steps: Steps<void>, done: Done): void {
    const job = run(this.#clock, steps, (error) => {
      this.#jobs.delete(job);
      done(error instanceof Cancelled ? (this.#ended ?? error) : error);
      if (this.#jobs.size > 0) return;
      const ended = this.#jobsEnded;
      this.#jobsEnded = null;
      ended?.();
      this.#settle();
    });
    this.#jobs.add(job);
  }

  /** Why a job named `name` may not begin; null if it may. */
  refusal(name: string): Error | null {
    if (this.#ended !== null) return this.#ended;
    if (this.#appender === null) return new Error(`${name}: not recovered yet`);
    const exclusive = this.#current?.exclusive || this.#queue.some((call) => 'chain' in call && call.exclusive);
    return exclusive ? new Error(`${name}: the history is being read or changed`) : null;
  }

  /** Stops what runs beside the queue and waits for its end: an exclusive chain begins with this. */
  *stopJobs(why: string): Steps<void> {
    for (const job of this.#jobs) job.cancel(new Cancelled(why));
    yield* step((done) => {
      if (this.#jobs.size === 0) this.#clock.defer(() => done(null));
      else this.#jobsEnded = () => done(null);
    });
  }

  fail(done: Done, error: Error): void {
    this.#clock.defer(() => done(error));
  }

  /** Ends everything for `reason`. Only the first call counts. */
  end(reason: Error): void {
    if (this.#ended !== null) return;
    this.#ended = reason;
    this.#running?.cancel(new Cancelled(reason.message));
    for (const job of this.#jobs) job.cancel(new Cancelled(reason.message));
    const stopped = (): void => {
      this.#appenderStopped = true;
      this.#settle();
    };
    if (this.#appender === null) stopped();
    else this.#appender.stop(reason, stopped);
  }

  /** Calls `fn` when, after the end, nothing is under way any more. */
  whenQuiet(fn: () => void): void {
    this.#onQuiet.push(fn);
    this.#settle();
  }

  /** After the end: fails what waits as soon as nothing before it is under way, then tells who waits for quiet. */
  #settle(): void {
    if (this.#ended === null || !this.#appenderStopped || this.#current !== null) return;
    for (const call of this.#queue.splice(0)) {
      if ('chain' in call) call.drop?.();
      this.fail(call.done, this.#ended);
    }
    if (this.#jobs.size > 0) return;
    for (const fn of this.#onQuiet.splice(0)) fn();
  }
}

/** Something that one chain waits for and another call brings. */
export class Barrier {
  readonly #clock: Clock;
  #passed = false;
  #error: Error | null = null;
  #waiting: Done | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  pass = (error: Error | null): void => {
    this.#passed = true;
    this.#error = error;
    this.#waiting?.(error);
  };

  wait = (done: Done): void => {
    if (this.#passed) this.#clock.defer(() => done(this.#error));
    else this.#waiting = done;
  };
}
