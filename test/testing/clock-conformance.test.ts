import { describe, it } from 'vitest';
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
