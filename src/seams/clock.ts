/** A timer handle; opaque to everybody but the clock that made it. */
export type TimerHandle = unknown;

/**
 * Time. The system clock uses the host's timers; a simulation gives a virtual one. No call blocks or throws.
 */
export interface Clock {
  /** Monotonic milliseconds, perhaps with a fraction; only differences mean anything. */
  now(): number;
  /** Wall clock in whole milliseconds since 1970: for the times in a Stat, never for a deadline. */
  wall(): number;
  /** Calls `fn` once, not before `ms` have passed and never before this returns. */
  setTimer(ms: number, fn: () => void): TimerHandle;
  /** After this `fn` is not called. Clearing a timer that has run, or twice, does nothing. */
  clearTimer(handle: TimerHandle): void;
  /** Calls `fn` once at the end of this turn of the event loop, in the order of the calls, never before this returns. */
  defer(fn: () => void): void;
}
