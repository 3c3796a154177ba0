import { describe, expect, it } from 'vitest';
import { systemClock, systemRandom } from '../../src/node/system-clock.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('system clock', () => {
  it('runs deferred functions in order, after the call and after the microtasks of this turn', async () => {
    const clock = systemClock();
    const seen: string[] = [];
    clock.defer(() => seen.push('a'));
    clock.defer(() => seen.push('b'));
    queueMicrotask(() => seen.push('micro'));
    expect(seen).toEqual([]);
    await turn();
    expect(seen).toEqual(['micro', 'a', 'b']);
  });

  it('runs what a deferred function defers in a later turn, however often', async () => {
    const clock = systemClock();
    const seen: number[] = [];
    const again = (n: number) => () => {
      seen.push(n);
      if (n < 5) clock.defer(again(n + 1));
    };
    await new Promise<void>((resolve) => {
      clock.defer(again(1));
      clock.defer(() => {
        expect(seen).toEqual([1]);
        setTimeout(resolve, 20);
      });
    });
    expect(seen).toEqual([1, 2, 3, 4, 5]);
  });

  it('does not fire a timer that was cleared, or early', async () => {
    const clock = systemClock();
    const cleared = clock.setTimer(1, () => expect.unreachable());
    clock.clearTimer(cleared);
    clock.clearTimer(cleared);
    const start = clock.now();
    await new Promise<void>((resolve) => clock.setTimer(30, resolve));
    expect(clock.now() - start).toBeGreaterThanOrEqual(30);
    expect(Math.abs(clock.wall() - Date.now())).toBeLessThan(1000);
  });
});

describe('system random', () => {
  it('stays below its bound', () => {
    const random = systemRandom();
    const seen = new Set(Array.from({ length: 500 }, () => random.below(3)));
    expect([...seen].sort()).toEqual([0, 1, 2]);
    expect(random.below(1)).toBe(0);
    expect(random.below(2 ** 32)).toBeLessThan(2 ** 32);
  });
});
