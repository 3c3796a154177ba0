import { expect, test } from 'vitest';
import { Chance } from '../../src/testing/chance.ts';
import { checkLinearizable, type Operation, type SequentialModel } from '../../src/testing/clients/linearizability.ts';

const register: SequentialModel<number> = { initial: 0, key: String };

const write = (value: number, called: number, returned: number): Operation<number> => ({
  name: `write ${value}`,
  called,
  returned,
  step: () => value,
});
const read = (value: number, called: number, returned: number): Operation<number> => ({
  name: `read ${value}`,
  called,
  returned,
  step: (state) => (state === value ? state : undefined),
});
const swap = (from: number, to: number, called: number, returned: number): Operation<number> => ({
  name: `swap ${from} for ${to}`,
  called,
  returned,
  step: (state) => (state === from ? to : undefined),
});

const open = Number.POSITIVE_INFINITY;

const cases: [name: string, verdict: 'linearizable' | 'violated', history: Operation<number>[]][] = [
  ['nothing', 'linearizable', []],
  ['one after the other', 'linearizable', [write(1, 0, 1), read(1, 2, 3), write(2, 4, 5), read(2, 6, 7)]],
  ['a read that overlaps a write sees the old value', 'linearizable', [write(1, 0, 9), read(0, 1, 2), read(1, 3, 4)]],
  ['a value that was never written', 'violated', [write(1, 0, 1), read(2, 2, 3)]],
  ['a read sees the old value after the write was answered', 'violated', [write(1, 0, 1), read(0, 2, 3)]],
  ['two reads within one write see it and then not', 'violated', [write(1, 0, 9), read(1, 1, 2), read(0, 3, 4)]],
  ['two reads at the same time see it and not', 'linearizable', [write(1, 0, 9), read(1, 1, 5), read(0, 2, 6)]],
  [
    'two readers see two writes in different orders',
    'violated',
    [write(1, 0, 1), write(2, 0, 1), read(1, 2, 3), read(2, 4, 5), read(1, 6, 7)],
  ],
  ['an unknown write takes effect late', 'linearizable', [write(1, 0, open), read(0, 1, 2), read(1, 30, 31)]],
  ['an unknown write never takes effect', 'linearizable', [write(1, 0, open), read(0, 1, 2), read(0, 30, 31)]],
  ['an unknown write takes effect before it was called', 'violated', [read(1, 0, 1), write(1, 2, open)]],
  ['an unknown write takes effect twice', 'violated', [write(1, 0, open), read(1, 1, 2), write(2, 3, 4), read(2, 5, 6), read(1, 7, 8)]],
  ['an unknown write is undone', 'violated', [write(1, 0, open), read(1, 1, 2), read(0, 3, 4)]],
  ['both of two swaps of one value succeed', 'violated', [swap(0, 1, 0, 9), swap(0, 2, 0, 9)]],
  ['a chain of swaps called in the wrong order', 'linearizable', [swap(2, 3, 0, 9), swap(1, 2, 0, 9), swap(0, 1, 0, 9), read(3, 10, 11)]],
  [
    'a chain needs an unknown one in its middle',
    'linearizable',
    [swap(2, 3, 0, 9), swap(1, 2, 0, open), swap(0, 1, 0, 9), read(3, 10, 11)],
  ],
];

test.each(cases)('%s', (_name, verdict, history) => {
  expect(checkLinearizable(register, history, 10_000).kind).toBe(verdict);
  expect(checkLinearizable(register, [...history].reverse(), 10_000).kind).toBe(verdict);
});

test('a violation names the operation that nothing explains', () => {
  const verdict = checkLinearizable(register, [write(1, 0, 1), read(1, 2, 3), read(7, 4, 5), read(1, 6, 7)], 1000);
  expect(verdict).toEqual({ kind: 'violated', at: 'read 7', state: '1' });
});

// Without a memory of what was tried, n writes at once that no order explains cost n! attempts.
test('many operations at the same time, with and without an explanation', () => {
  const writes = Array.from({ length: 12 }, (_, i) => write(i + 1, 0, 100));
  expect(checkLinearizable(register, [...writes, read(7, 101, 102)], 100_000).kind).toBe('linearizable');
  expect(checkLinearizable(register, [...writes, read(99, 101, 102)], 1_000_000).kind).toBe('violated');
});

test('many unknown outcomes cost little, and a history that needs too much is undecided, not fine', () => {
  const history: Operation<number>[] = [];
  for (let i = 0; i < 300; i++) {
    history.push(write(1000 + i, 3 * i, open), write(i, 3 * i, 3 * i + 1), read(i, 3 * i + 1.5, 3 * i + 2));
  }
  expect(checkLinearizable(register, history, 10_000).kind).toBe('linearizable');
  expect(checkLinearizable(register, [...history, read(-1, 1000, 1001)], 10_000).kind).toBe('undecided');
});

/** Tries every order. */
function bruteForce(operations: readonly Operation<number>[]): boolean {
  const visit = (state: number, left: readonly Operation<number>[]): boolean => {
    if (left.every((o) => o.returned === open)) return true;
    return left.some((o) => {
      if (left.some((other) => other !== o && other.returned < o.called)) return false;
      const next = o.step(state);
      return (
        next !== undefined &&
        visit(
          next,
          left.filter((other) => other !== o),
        )
      );
    });
  };
  return visit(0, operations);
}

test('agrees with trying every order, on random small histories', () => {
  const chance = new Chance(1, 'histories');
  const verdicts = { linearizable: 0, violated: 0 };
  for (let round = 0; round < 4000; round++) {
    const history = Array.from({ length: chance.between(2, 6) }, () => {
      const called = chance.below(12) + 0.5;
      const returned = chance.chance(0.2) ? open : called + chance.between(1, 6) + 0.25;
      const kind = chance.below(3);
      if (kind === 0) return write(chance.below(3), called, returned);
      if (kind === 1) return swap(chance.below(3), chance.below(3), called, returned);
      return read(chance.below(3), called, returned);
    });
    const { kind } = checkLinearizable(register, history, 10_000);
    const expected = bruteForce(history) ? 'linearizable' : 'violated';
    expect(kind, history.map((o) => `${o.name} [${o.called}, ${o.returned}]`).join('; ')).toBe(expected);
    verdicts[expected]++;
  }
  expect(Math.min(verdicts.linearizable, verdicts.violated)).toBeGreaterThan(500);
});
