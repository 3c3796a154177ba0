import type { Clock, TimerHandle } from '../seams/clock.ts';
import type { Kernel, Owner, Scheduled } from './kernel.ts';

/** Wall clock at the beginning of every simulation: 2020-01-01T00:00:00Z. */
const WALL_EPOCH = 1_577_836_800_000;

/** ms; more than numbers of any simulation's length are rounded by. */
const SHORTEST_WAIT = 0.001;

/** A timer of a process. `due` is on its own clock. */
interface Timer {
  readonly due: number;
  readonly fn: () => void;
  event: Scheduled | null;
}

/**
 * The process of one server and the machine under it: its life, its clock, and whether its event loop stands still. Everything of a process is scheduled with its
 * machine as the owner, so a crash ends all of it at once, and a pause holds all of it up.
 */
export class Machine implements Owner {
  readonly id: number;
  readonly kernel: Kernel;
  life = 0;
  /** Whether a process runs on it. */
  up = false;
  /** A process has died and no other has begun: what is left of its last turn sets no timers for the next one. */
  #isDead = false;
  pausedUntil = 0;
  #rate = 1;
  /** Own monotonic time at the simulated time `#since`. */
  #base: number;
  #since = 0;
  #wallOffset = 0;
  #deferred: (() => void)[] = [];
  /** Told when the process dies. */
  readonly onKill = new Set<() => void>();

  /** @param base what its monotonic clock shows at the beginning, ms */
  constructor(kernel: Kernel, id: number, base = 0) {
    this.kernel = kernel;
    this.id = id;
    this.#base = base;
  }

  /** A process begins. */
  boot(): void {
    this.up = true;
    this.#isDead = false;
    this.pausedUntil = 0;
  }

  /** The process is gone from one moment to the next: nothing that it has scheduled or is owed happens. */
  kill(): void {
    this.up = false;
    this.#isDead = true;
    this.life++;
    this.#deferred = [];
    for (const tell of [...this.onKill]) tell();
    this.onKill.clear();
  }

  /** Its event loop stands still for so long, ms. */
  pause(ms: number): void {
    this.pausedUntil = Math.max(this.pausedUntil, this.kernel.now + ms);
  }

  /** From now on its clock runs at `rate` of the true speed. */
  setClockRate(rate: number): void {
    this.#base = this.#now();
    this.#since = this.kernel.now;
    this.#rate = rate;
  }

  /** Moves its wall clock, not its monotonic one, by `ms`, back if negative. */
  jumpWall(ms: number): void {
    this.#wallOffset += ms;
  }

  /** Schedules an event of this process, after `ms` of true time. */
  after(ms: number, kind: string, run: () => void, detail = 0): Scheduled {
    return this.kernel.after(ms, this, kind, run, detail);
  }

  #now(): number {
    return this.#base + (this.kernel.now - this.#since) * this.#rate;
  }

  /** This process's time. */
  readonly clock: Clock = {
    now: () => this.#now(),
    wall: () => Math.floor(WALL_EPOCH + this.#now() + this.#wallOffset),
    setTimer: (ms, fn): TimerHandle => {
      // A wait too short to move the time at all would have run out before it had begun.
      const wait = ms > 0 ? Math.max(ms, SHORTEST_WAIT) : 0;
      const timer: Timer = { due: this.#now() + wait, fn, event: null };
      if (!this.#isDead) this.#arm(timer, wait);
      return timer;
    },
    clearTimer: (handle) => {
      const { event } = handle as Timer;
      if (event !== null) this.kernel.cancel(event);
    },
    defer: (fn) => {
      if (this.#isDead) return;
      this.#deferred.push(fn);
      if (this.#deferred.length === 1) this.after(0, 'turn', this.#turn);
    },
  };

  #arm(timer: Timer, wait: number): void {
    timer.event = this.after(wait / this.#rate, 'timer', () => {
      // Rounding, or a rate that has fallen since, can bring it too early by its own clock; and a wait too short to move the time at all would never end.
      const left = timer.due - this.#now();
      if (left > 0) this.#arm(timer, Math.max(left, SHORTEST_WAIT));
      else timer.fn();
    });
  }

  /** The end of a turn. What is deferred meanwhile comes at the end of another one, behind the I/O that has come. */
  readonly #turn = (): void => {
    const batch = this.#deferred;
    this.#deferred = [];
    for (const fn of batch) fn();
  };
}
