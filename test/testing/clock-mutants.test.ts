import { expect, it } from 'vitest';
import type { Clock } from '../../src/seams/clock.ts';
import { clockConformance } from '../../src/testing/clock-conformance.ts';
import { Kernel } from '../../src/testing/kernel.ts';
import { Machine } from '../../src/testing/machine.ts';
import { Trace } from '../../src/testing/trace.ts';

/* Clocks with one small fault each: the suite must find every one, or it checks nothing. */

/** A right clock that is then spoilt. */
const machineClock = (kernel: Kernel): Clock => {
  const machine = new Machine(kernel, 1, 1000.25);
  machine.boot();
  return machine.clock;
};

const mutants: Record<string, (clock: Clock) => Partial<Clock>> = {
  'a timer one millisecond early': (clock) => ({ setTimer: (ms, fn) => clock.setTimer(ms - 1, fn) }),
  'a timer that cuts fractions off': (clock) => ({ setTimer: (ms, fn) => clock.setTimer(Math.floor(ms), fn) }),
  'a timer of 0 that runs at once': (clock) => ({ setTimer: (ms, fn) => (ms <= 0 ? fn() : clock.setTimer(ms, fn)) }),
  'a timer that runs twice': (clock) => ({
    setTimer: (ms, fn) => {
      clock.setTimer(ms + 1, fn);
      return clock.setTimer(ms, fn);
    },
  }),
  'a negative timer that never runs': (clock) => ({ setTimer: (ms, fn) => clock.setTimer(ms, ms < 0 ? () => {} : fn) }),
  'a long timer that overflows': (clock) => ({ setTimer: (ms, fn) => clock.setTimer(ms > 0x7ffffffe ? 1 : ms, fn) }),
  'timers of one length in the wrong order': (clock) => {
    const groups = new Map<number, (() => void)[]>();
    return {
      setTimer: (ms, fn) => {
        const due = clock.now() + ms;
        const group = groups.get(due) ?? [];
        groups.set(due, group);
        group.push(fn);
        return clock.setTimer(ms, () => group.pop()?.());
      },
    };
  },
  'a timer that cannot be cleared': () => ({ clearTimer: () => {} }),
  'a timer that cannot be cleared once its time has come': (clock) => {
    const dues = new Map<unknown, number>();
    return {
      setTimer: (ms, fn) => {
        const handle = clock.setTimer(ms, fn);
        dues.set(handle, clock.now() + ms);
        return handle;
      },
      clearTimer: (handle) => {
        if ((dues.get(handle) ?? 0) > clock.now()) clock.clearTimer(handle);
      },
    };
  },
  'clearing twice throws': (clock) => {
    const cleared = new Set<unknown>();
    return {
      clearTimer: (handle) => {
        if (cleared.has(handle)) throw new Error('no such timer');
        cleared.add(handle);
        clock.clearTimer(handle);
      },
    };
  },
  'handles that are used again': (clock) => {
    const timers: unknown[] = [];
    const free: number[] = [];
    return {
      setTimer: (ms, fn) => {
        const slot = free.pop() ?? timers.length;
        timers[slot] = clock.setTimer(ms, () => {
          free.push(slot);
          fn();
        });
        return slot;
      },
      clearTimer: (handle) => clock.clearTimer(timers[handle as number]),
    };
  },
  'defer that calls at once': () => ({ defer: (fn) => fn() }),
  'defer in the wrong order': (clock) => {
    let stack: (() => void)[] = [];
    return {
      defer: (fn) => {
        stack.push(fn);
        if (stack.length > 1) return;
        clock.defer(() => {
          const batch = stack.reverse();
          stack = [];
          for (const one of batch) one();
        });
      },
    };
  },
  'defer before the microtasks': () => ({ defer: (fn) => queueMicrotask(fn) }),
  'defer that runs what is deferred meanwhile in the same turn': (clock) => {
    const queue: (() => void)[] = [];
    return {
      defer: (fn) => {
        if (queue.push(fn) > 1) return;
        clock.defer(() => {
          for (let i = 0; i < queue.length; i++) queue[i]();
          queue.length = 0;
        });
      },
    };
  },
  'defer that loses the last of many': (clock) => {
    let n = 0;
    return { defer: (fn) => (++n % 256 === 0 ? undefined : clock.defer(fn)) };
  },
  'defer that calls twice': (clock) => ({
    defer: (fn) => {
      clock.defer(fn);
      clock.defer(fn);
    },
  }),
  'defer by a slow timer': (clock) => ({ defer: (fn) => void clock.setTimer(200, fn) }),
  'time that goes back': (clock) => {
    let calls = 0;
    return { now: () => clock.now() - (++calls % 50 === 0 ? 2 : 0) };
  },
  'time that stands still': () => ({ now: () => 5 }),
  'wall time with a fraction': (clock) => ({ wall: () => clock.now() }),
};

/** The cases that do not pass with the clock that `spoil` makes. */
async function caught(spoil: (clock: Clock) => Partial<Clock>): Promise<string[]> {
  const failed: string[] = [];
  const make = () => {
    const kernel = new Kernel(new Trace(0), 50_000);
    const clock = machineClock(kernel);
    return { clock: { ...clock, ...spoil(clock) }, drive: <T>(work: Promise<T>) => kernel.keepRunning(work) };
  };
  for (const { name, run } of clockConformance(make)) {
    try {
      await run();
    } catch {
      failed.push(name);
    }
  }
  return failed;
}

it('the right clock is found right', async () => {
  expect(await caught(() => ({}))).toEqual([]);
});

it.each(Object.entries(mutants))('finds %s', async (_name, spoil) => {
  expect(await caught(spoil)).not.toEqual([]);
});
