/** A timer handle; opaque to everybody but the clock that made it. */
export type TimerHandle = unknown;

/**
 * Time. The system clock uses the host's timers; a simulation gives a virtual one. No call blocks or throws. What is handed over is called once, in a turn of its own or with others,
 * never from inside a call of the clock. It should not throw: what becomes of the error, and of what was to run behind it, is each clock's own matter.
 */
export interface Clock {
  /** Monotonic milliseconds, perhaps with a fraction; never less than before, and only differences mean anything. It may stand still within a turn and while functions are deferred. */
  now(): number;
  /** Wall clock in whole milliseconds since 1970, which may jump: for the times in a Stat, never for a deadline. */
  wall(): number;
  /**
   * Calls `fn` once, not before `ms` have passed as `now` shows them and never before this returns. `ms` may have a fraction and is at most 2^31 - 1; 0 or less is as soon as may be. Of
   * two timers that were set in one turn for the same `ms` the first runs first; no other order is promised, not to deferred functions either.
   */
  setTimer(ms: number, fn: () => void): TimerHandle;
  /** After this `fn` is not called, even if its time has come. Clearing a timer that has run, or twice, does nothing. */
  clearTimer(handle: TimerHandle): void;
  /**
   * Calls `fn` once at the end of this turn of the event loop, behind its microtasks, in the order of the calls, never before this returns. What is deferred in a deferred function runs
   * at the end of a later turn. Time need not move meanwhile, so nobody may wait for time by deferring.
   */
  defer(fn: () => void): void;
}
