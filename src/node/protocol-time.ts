import type { Clock, TimerHandle } from '../seams/clock.ts';

/**
 * The protocol's monotonic time and its one timer. Time in which our own event loop stood still does not count: nobody could be heard in it, so neither a peer's silence nor a
 * session's may be held against them. Nothing that must not be lost rests on it.
 */
export class ProtocolTime {
  readonly #clock: Clock;
  readonly #tolerance: number;
  readonly #fire: () => void;
  #stalled = 0;
  #timer: TimerHandle | null = null;
  #due = Number.POSITIVE_INFINITY;

  /** A timer that is late by more than `tolerance` ms tells of a stall. `fire` is called after the I/O of the turn in which the timer ran out. */
  constructor(clock: Clock, tolerance: number, fire: () => void) {
    this.#clock = clock;
    this.#tolerance = tolerance;
    this.#fire = fire;
  }

  /** ms */
  now(): number {
    return this.#clock.now() - this.#stalled;
  }

  /** Sees to it that `fire` is called when it is `due`; an earlier time that was asked for before stays. */
  arm(due: number): void {
    if (this.#timer !== null && this.#due <= due) return;
    if (this.#timer !== null) this.#clock.clearTimer(this.#timer);
    this.#due = due;
    this.#timer = this.#clock.setTimer(Math.max(0, due - this.now()), () => {
      this.#timer = null;
      const late = this.now() - due;
      if (late > this.#tolerance) this.#stalled += late;
      this.#clock.defer(this.#fire);
    });
  }

  stop(): void {
    if (this.#timer !== null) this.#clock.clearTimer(this.#timer);
    this.#timer = null;
  }
}
