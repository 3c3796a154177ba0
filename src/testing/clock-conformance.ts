import type { Clock } from '../seams/clock.ts';
import { type ConformanceCase, check, same } from './conformance.ts';

/** A clock to be tested. */
export interface ClockHarness {
  readonly clock: Clock;
  /**
   * Drives the clock until `work` is settled, and gives what it gives: for a clock that moves only when it is told to.
   * @default waits for `work`
   */
  drive?<T>(work: Promise<T>): Promise<T>;
}

/**
 * Tests that every {@link Clock} has to pass, for any test runner: `make` is called once per test. Real clocks need about half a second for all of them. Example with
 * vitest: `for (const { name, run } of clockConformance(() => ({ clock }))) it(name, run);`
 */
export function clockConformance(make: () => ClockHarness): readonly ConformanceCase[] {
  return Object.entries(CASES).map(([name, test]) => ({
    name,
    async run() {
      const harness = make();
      const work = test(new Bench(harness.clock));
      await (harness.drive === undefined ? work : harness.drive(work));
    },
  }));
}

/** The clock under test. */
class Bench {
  /** Whether a call of the clock is on the stack. */
  #inside = false;

  constructor(readonly clock: Clock) {}

  /** Sets a timer; `fn` fails the test when it comes too early. `failed` is told, since an error thrown in a timer is the clock's matter. */
  timer(ms: number, fn: () => void, failed: (error: Error) => void): unknown {
    const due = this.clock.now() + ms;
    return this.#call(() =>
      this.clock.setTimer(ms, () => {
        if (this.#inside) failed(new Error('a timer ran from inside a call of the clock'));
        const now = this.clock.now();
        if (now < due) failed(new Error(`a timer of ${ms} ms ran ${due - now} ms too early`));
        fn();
      }),
    );
  }

  /** Resolves when a timer of so many ms has run. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve, reject) => void this.timer(ms, resolve, reject));
  }

  defer(fn: () => void, failed: (error: Error) => void): void {
    this.#call(() =>
      this.clock.defer(() => {
        if (this.#inside) failed(new Error('a deferred function ran from inside a call of the clock'));
        fn();
      }),
    );
  }

  /** Resolves at the end of the turn. */
  turn(): Promise<void> {
    return new Promise((resolve, reject) => this.defer(resolve, reject));
  }

  #call<T>(call: () => T): T {
    this.#inside = true;
    try {
      return call();
    } finally {
      this.#inside = false;
    }
  }
}

/** Fails a test from inside a function that the clock calls. */
class Failures {
  #first: Error | null = null;

  readonly add = (error: Error): void => {
    this.#first ??= error;
  };

  check(): void {
    if (this.#first !== null) throw this.#first;
  }
}

const CASES: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  async 'time is monotonic and passes'(bench) {
    const { clock } = bench;
    const start = clock.now();
    check(Number.isFinite(start), `now() is ${start}`);
    let last = start;
    for (let i = 0; i < 200; i++) {
      if (i % 20 === 19) await bench.sleep(1);
      else await bench.turn();
      const now = clock.now();
      check(now >= last, `time went back from ${last} to ${now}`);
      last = now;
    }
    check(last - start >= 10, `ten timers of 1 ms took ${last - start} ms`);
  },

  async 'the wall clock shows whole milliseconds'(bench) {
    for (const ms of [0, 0.3, 1.7]) {
      await bench.sleep(ms);
      const wall = bench.clock.wall();
      check(Number.isSafeInteger(wall) && wall >= 0, `wall() is ${wall}`);
    }
  },

  async 'a timer runs once, when its time has come'(bench) {
    const failures = new Failures();
    const runs: number[] = [];
    for (const ms of [0, 1, 2, 5, 10, 20]) bench.timer(ms, () => runs.push(ms), failures.add);
    same(runs, [], 'timers that ran at once');
    await bench.sleep(60);
    failures.check();
    runs.sort((a, b) => a - b);
    same(runs, [0, 1, 2, 5, 10, 20], 'timers that ran');
  },

  async 'a timer may have a fraction of a millisecond, none, or less'(bench) {
    const failures = new Failures();
    let runs = 0;
    for (const ms of [0.1, 0.5, 0.999, 1.001, 3.3333, 7.77]) {
      await bench.sleep(ms);
      // From a time that is no whole number either.
      bench.timer(ms / 3, () => runs++, failures.add);
    }
    for (const ms of [0, -0, -1, -1e9]) bench.timer(Math.min(0, ms), () => runs++, failures.add);
    await bench.sleep(40);
    failures.check();
    same(runs, 10, 'timers that ran');
  },

  async 'the longest timer does not run at once'(bench) {
    const failures = new Failures();
    const handles = [2 ** 31 - 1, 2 ** 31 - 2, 2 ** 30].map((ms) => bench.timer(ms, () => {}, failures.add));
    await bench.sleep(20);
    for (const handle of handles) bench.clock.clearTimer(handle);
    failures.check();
  },

  async 'timers of one turn and one length run in the order set'(bench) {
    const failures = new Failures();
    const runs: number[] = [];
    for (let i = 0; i < 20; i++) {
      for (const [at, ms] of [0, 3, 3.25, 10].entries()) bench.timer(ms, () => runs.push(100 * at + i), failures.add);
    }
    await bench.sleep(60);
    failures.check();
    for (let at = 0; at < 4; at++) {
      same(
        runs.filter((run) => Math.floor(run / 100) === at).map((run) => run % 100),
        Array.from({ length: 20 }, (_, i) => i),
        'order of timers',
      );
    }
  },

  async 'a timer set in a timer runs later'(bench) {
    const failures = new Failures();
    const runs: string[] = [];
    bench.timer(
      1,
      () => {
        bench.timer(0, () => runs.push('inner'), failures.add);
        runs.push('outer');
      },
      failures.add,
    );
    await bench.sleep(30);
    failures.check();
    same(runs, ['outer', 'inner'], 'timers that ran');
  },

  async 'a cleared timer does not run, and no other is touched'(bench) {
    const failures = new Failures();
    const runs: number[] = [];
    const handles = Array.from({ length: 9 }, (_, i) => bench.timer(i % 3, () => runs.push(i), failures.add));
    for (let i = 0; i < 9; i += 2) bench.clock.clearTimer(handles[i]);
    await bench.sleep(30);
    failures.check();
    runs.sort();
    same(runs, [1, 3, 5, 7], 'timers that ran');
  },

  async 'a timer is cleared even by another one that ran in the same moment'(bench) {
    const failures = new Failures();
    const runs: string[] = [];
    const handles: unknown[] = [];
    const clear = (): void => bench.clock.clearTimer(handles[0]);
    bench.timer(5, clear, failures.add);
    handles.push(bench.timer(5, () => runs.push('cleared'), failures.add));
    bench.timer(5, () => runs.push('kept'), failures.add);
    await bench.sleep(40);
    failures.check();
    same(runs, ['kept'], 'timers that ran');
  },

  async 'clearing twice, or a timer that has run or runs, does nothing'(bench) {
    const failures = new Failures();
    let runs = 0;
    const cleared = bench.timer(1, () => runs++, failures.add);
    bench.clock.clearTimer(cleared);
    bench.clock.clearTimer(cleared);
    const handles: unknown[] = [];
    const self = (): void => {
      runs++;
      bench.clock.clearTimer(handles[0]);
    };
    handles.push(bench.timer(1, self, failures.add));
    await bench.sleep(10);
    // A handle that has been used up must not stand for a later timer.
    const later = Array.from({ length: 5 }, () => bench.timer(2, () => runs++, failures.add));
    for (const handle of [cleared, ...handles]) bench.clock.clearTimer(handle);
    await bench.sleep(20);
    for (const handle of later) bench.clock.clearTimer(handle);
    failures.check();
    same(runs, 6, 'timers that ran');
  },

  async 'deferred functions run once, in order, behind the microtasks'(bench) {
    const failures = new Failures();
    const runs: string[] = [];
    const settled = Promise.resolve();
    bench.defer(() => runs.push('a'), failures.add);
    void settled.then(() => runs.push('microtask')).then(() => runs.push('its microtask'));
    for (let i = 0; i < 20; i++) bench.defer(() => runs.push(`${i}`), failures.add);
    void settled.then(() => bench.defer(() => runs.push('deferred by a microtask'), failures.add));
    same(runs, [], 'functions that ran at once');
    await bench.sleep(5);
    failures.check();
    const numbers = Array.from({ length: 20 }, (_, i) => `${i}`);
    same(runs, ['microtask', 'its microtask', 'a', ...numbers, 'deferred by a microtask'], 'order');
  },

  async 'what a deferred function defers comes behind all of its turn'(bench) {
    const failures = new Failures();
    const runs: string[] = [];
    const chain = (name: string, left: number) => (): void => {
      runs.push(`${name}${left}`);
      if (left > 0) bench.defer(chain(name, left - 1), failures.add);
    };
    bench.defer(chain('a', 2), failures.add);
    bench.defer(chain('b', 2), failures.add);
    bench.defer(() => void Promise.resolve().then(() => runs.push('microtask')), failures.add);
    await bench.sleep(10);
    failures.check();
    const deferred = runs.filter((run) => run !== 'microtask');
    same(deferred, ['a2', 'b2', 'a1', 'b1', 'a0', 'b0'], 'order');
    check(runs.indexOf('microtask') < runs.indexOf('a1'), 'a microtask came behind the next turn');
  },

  async 'a deferred function comes soon, timers or not'(bench) {
    const failures = new Failures();
    const runs: string[] = [];
    await bench.sleep(1);
    bench.timer(100, () => runs.push('timer'), failures.add);
    bench.defer(() => runs.push('deferred'), failures.add);
    bench.timer(
      1,
      () => {
        bench.timer(100, () => runs.push('timer'), failures.add);
        bench.defer(() => runs.push('deferred in a timer'), failures.add);
      },
      failures.add,
    );
    await bench.sleep(110);
    await bench.sleep(1);
    failures.check();
    same(runs.slice(0, 2), ['deferred', 'deferred in a timer'], 'what ran first');
  },

  async 'timers set by deferred functions, and many of them, all run'(bench) {
    const failures = new Failures();
    let runs = 0;
    for (let i = 0; i < 300; i++) {
      bench.defer(() => {
        bench.timer(i % 7, () => bench.defer(() => runs++, failures.add), failures.add);
      }, failures.add);
    }
    await bench.sleep(60);
    await bench.turn();
    failures.check();
    same(runs, 300, 'timers that ran');
  },
};
