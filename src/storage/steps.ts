import type { Clock } from '../seams/clock.ts';

/*
 * A chain of asynchronous calls written as one generator. Each `yield* step(...)` waits for a callback and gives its value or throws its error, so `try` and
 * `finally` work as usual; but there are no promises, so that a simulation can run everything in one synchronous loop.
 */

/** One asynchronous call: does its work and calls `done` once, never before it returns. */
export type Call<T> = (done: (error: Error | null, value?: T) => void) => void;

interface Step {
  readonly call: Call<unknown>;
  /** Made even when the chain has been cancelled: gives something back. */
  readonly always: boolean;
}

/** A chain of calls with a result. */
export type Steps<T> = Generator<Step, T, unknown>;

/** The chain was given up: the store is closing, has failed, or its history is being replaced. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled';
}

/** Makes one call and waits for it. */
export function* step<T = void>(call: Call<T>): Steps<T> {
  return (yield { call: call as Call<unknown>, always: false }) as T;
}

/** The same for a call that closes or unlocks something: it is made in a cancelled chain too. */
export function* release(call: Call<void>): Steps<void> {
  yield { call: call as Call<unknown>, always: true };
}

/** A chain under way. */
export interface Running {
  /** Lets the chain throw `reason` in place of the next call it wants to make; after that, what `finally` blocks do still happens. */
  cancel(reason: Cancelled): void;
}

/** Runs a chain, beginning at the end of this turn. `done` is called once, never before this returns. */
export function run<T>(clock: Clock, steps: Steps<T>, done: (error: Error | null, value?: T) => void): Running {
  const running = new Run(steps, done);
  clock.defer(() => running.start());
  return running;
}

class Run<T> implements Running {
  readonly #steps: Steps<T>;
  readonly #done: (error: Error | null, value?: T) => void;
  #cancelled: Cancelled | null = null;

  constructor(steps: Steps<T>, done: (error: Error | null, value?: T) => void) {
    this.#steps = steps;
    this.#done = done;
  }

  cancel(reason: Cancelled): void {
    this.#cancelled ??= reason;
  }

  start(): void {
    this.#advance(null);
  }

  #advance = (error: Error | null, value?: unknown): void => {
    let result: IteratorResult<Step, T>;
    try {
      result = error === null ? this.#steps.next(value) : this.#steps.throw(error);
      // The value of the last call always arrives, so that what it opened can be closed; a cancellation only keeps the next call from being made.
      while (result.done !== true && this.#cancelled !== null && !result.value.always) {
        const reason = this.#cancelled;
        this.#cancelled = null;
        result = this.#steps.throw(reason);
      }
    } catch (thrown) {
      this.#done(thrown instanceof Error ? thrown : new Error(String(thrown)));
      return;
    }
    if (result.done === true) this.#done(null, result.value);
    else result.value.call(this.#advance);
  };
}
