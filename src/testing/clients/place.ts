import type { Clock } from '../../seams/clock.ts';

/** One life of a process that has sessions. What it has in its hands at its end goes with it. */
export interface Place {
  /** For reports. */
  readonly name: string;
  over: boolean;
}

/** One life of a process that has its sessions over the wire. */
export class ClientLife implements Place {
  readonly name: string;
  /** 1 for the process's first one. */
  readonly number: number;
  over = false;
  readonly #clock: Clock;
  readonly #tick: number;
  #stalled = 0;
  /** When the process looks next whether it stands still. */
  #due: number;

  /** @param tick how often it looks, ms */
  constructor(name: string, number: number, clock: Clock, tick: number) {
    this.name = name;
    this.number = number;
    this.#clock = clock;
    this.#tick = tick;
    this.#due = clock.now() + tick;
    this.#look();
  }

  /** By the process's own clock, ms. */
  now(): number {
    return this.#clock.now();
  }

  /** How long the process has stood still so far, at least the half of it and at most a tick more each time, ms. */
  get stalled(): number {
    const late = this.#clock.now() - this.#due;
    return this.#stalled + (late > 0 ? late + this.#tick : 0);
  }

  readonly #look = (): void => {
    this.#clock.setTimer(this.#due - this.#clock.now(), () => {
      if (this.over) return;
      this.#stalled = this.stalled;
      this.#due = this.#clock.now() + this.#tick;
      this.#look();
    });
  };
}
