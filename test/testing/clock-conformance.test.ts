import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/node/system-clock.ts';
import { type ClockHarness, clockConformance } from '../../src/testing/clock-conformance.ts';
import { Kernel } from '../../src/testing/kernel.ts';
import { Machine } from '../../src/testing/machine.ts';
import { Trace } from '../../src/testing/trace.ts';

/** A machine that has been up for a while, so that its time is no round number. */
function machine(base: number, rate: number, began: number): () => ClockHarness {
  return () => {
    const kernel = new Kernel(new Trace(0), 100_000);
    kernel.now = began;
    const { clock } = booted(kernel, base, rate);
    return { clock, drive: (work) => kernel.keepRunning(work) };
  };
}

function booted(kernel: Kernel, base: number, rate: number): Machine {
  const machine = new Machine(kernel, 1, base);
  machine.boot();
  machine.setClockRate(rate);
  return machine;
}

const kinds: Record<string, () => ClockHarness> = {
  'the system clock': () => ({ clock: systemClock() }),
  'the clock of a simulated machine': machine(0, 1, 0),
  'the clock of a machine that has run for days': machine(123_456_789.123, 1, 654_321_987.654),
  'a clock that runs fast': machine(1000.1, 1.0007, 777_777.77),
  'a clock that runs slow': machine(1000.1, 0.913, 777_777.77),
};

for (const [kind, make] of Object.entries(kinds)) {
  describe(kind, () => {
    for (const { name, run } of clockConformance(make)) it(name, run);
  });
}

it('a timer of a machine is not early when its clock has become slower meanwhile, and can still be cleared', async () => {
  const kernel = new Kernel(new Trace(0), 1000);
  const machine = booted(kernel, 0, 1);
  const { clock } = machine;
  const ran: number[] = [];
  clock.setTimer(100, () => ran.push(clock.now()));
  const cleared = clock.setTimer(100, () => ran.push(-1));
  await kernel.sleep(50);
  machine.setClockRate(0.1);
  await kernel.sleep(60);
  expect(ran).toEqual([]);
  clock.clearTimer(cleared);
  await kernel.sleep(1000);
  expect(ran.length).toBe(1);
  expect(ran[0]).toBeGreaterThanOrEqual(100);
});
