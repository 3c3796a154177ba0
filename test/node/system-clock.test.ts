import { describe, expect, it, vi } from 'vitest';
import { systemClock, systemRandom } from '../../src/node/system-clock.ts';

/** A host whose event loop turns when told to. */
function fakeLoop() {
  const immediates: (() => void)[] = [];
  vi.stubGlobal('setImmediate', (fn: () => void) => immediates.push(fn));
  const clock = systemClock();
  vi.unstubAllGlobals();
  return { clock, turn: () => immediates.shift()?.(), waiting: () => immediates.length };
}

// That it is a right clock is shown with the conformance suite, in test/testing.
describe('system clock', () => {
  it('shows the wall clock of the host', () => {
    expect(Math.abs(systemClock().wall() - Date.now())).toBeLessThan(1000);
  });

  it('wakes up once for all that is deferred in a turn', () => {
    const { clock, turn, waiting } = fakeLoop();
    const seen: string[] = [];
    clock.defer(() => seen.push('a'));
    clock.defer(() => {
      seen.push('b');
      clock.defer(() => seen.push('next turn'));
    });
    expect(waiting()).toBe(1);
    turn();
    expect([seen, waiting()]).toEqual([['a', 'b'], 1]);
    turn();
    expect([seen, waiting()]).toEqual([['a', 'b', 'next turn'], 0]);
  });

  it('lets the others run when a deferred function throws, in order, and gives the error to the host', () => {
    const { clock, turn, waiting } = fakeLoop();
    const seen: string[] = [];
    clock.defer(() => {
      seen.push('a');
      clock.defer(() => seen.push('d'));
    });
    clock.defer(() => {
      throw new Error('broken');
    });
    clock.defer(() => seen.push('b'));
    clock.defer(() => {
      seen.push('c');
      throw new Error('broken too');
    });
    expect(turn).toThrow('broken');
    expect(turn).toThrow('broken too');
    turn();
    expect([seen, waiting()]).toEqual([['a', 'b', 'c', 'd'], 0]);
    clock.defer(() => seen.push('e'));
    turn();
    expect(seen.at(-1)).toBe('e');
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
