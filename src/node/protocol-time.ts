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

  /** ms. Never goes back: I/O may come before the timer that tells of a stall, so whoever asks first finds it out. */
  now(): number {
    const now = this.#clock.now() - this.#stalled;
    if (this.#timer === null) return now;
    const late = now - this.#due;
    if (late <= this.#tolerance) return now;
    this.#stalled += late;
    return this.#due;
  }

  /** Sees to it that `fire` is called when it is `due`; an earlier time that was asked for before stays. */
  arm(due: number): void {
    if (this.#timer !== null && this.#due <= due) return;
    const now = this.now();
    if (this.#timer !== null) this.#clock.clearTimer(this.#timer);
    this.#due = Math.max(due, now);
    this.#timer = this.#clock.setTimer(this.#due - now, () => {
      this.now();
      this.#timer = null;
      this.#clock.defer(this.#fire);
    });
  }

  stop(): void {
    if (this.#timer !== null) this.#clock.clearTimer(this.#timer);
    this.#timer = null;
  }
}
