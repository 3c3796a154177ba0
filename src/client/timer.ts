import type { Clock, TimerHandle } from '../seams/clock.ts';

/** A timer that is set again and again; only the last setting counts. */
export class Timer {
  readonly #clock: Clock;
  #handle: TimerHandle | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  set(ms: number, fn: () => void): void {
    this.clear();
    this.#handle = this.#clock.setTimer(Math.min(ms, 0x7fffffff), () => {
      this.#handle = null;
      fn();
    });
  }

  clear(): void {
    if (this.#handle === null) return;
    this.#clock.clearTimer(this.#handle);
    this.#handle = null;
  }
}
