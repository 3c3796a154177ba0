import { expect, test } from 'vitest';
import { exceeded, line, type Result, whole } from './report.ts';
import { Histogram, spread } from './stats.ts';

/* The figures that the bench prints have to be right before they can say anything. */

test('percentiles are within 4 % of the exact ones, over the whole range', () => {
  for (const scale of [0.01, 1, 50, 5000]) {
    const histogram = new Histogram();
    const exact = Array.from({ length: 1000 }, (_, i) => scale * (1 + i / 100));
    for (const latency of exact) histogram.add(latency);
    for (const p of [0.5, 0.9, 0.99]) {
      const [got, want] = [histogram.percentile(p), exact[Math.ceil(p * 1000) - 1]];
      expect(Math.abs(got - want)).toBeLessThanOrEqual(0.04 * want + 0.002);
    }
  }
});

test('a histogram that was sent and one that was merged say the same', () => {
  const [a, b, both] = [new Histogram(), new Histogram(), new Histogram()];
  for (let i = 1; i <= 100; i++) {
    (i % 2 === 0 ? a : b).add(i);
    both.add(i);
  }
  const sent = new Histogram(JSON.parse(JSON.stringify(a.counts)));
  sent.merge(b);
  expect(sent.counts).toEqual(both.counts);
});

test('nothing measured is no latency', () => {
  expect(new Histogram().percentile(0.99)).toBe(0);
});

test('the spread of an even and an odd number of runs', () => {
  expect(spread([3, 1, 2])).toEqual({ min: 1, median: 2, max: 3, runs: 3 });
  expect(spread([4, 1, 2, 3]).median).toBe(2.5);
});

const pause = (...values: number[]): Result => ({
  what: 'pause',
  unit: 'ms',
  value: spread(values),
  show: whole,
  mark: { value: 50, better: 'less' },
  limit: 250,
});

test('a mark is missed before the limit is exceeded', () => {
  expect(line(pause(40))).toMatch(/reached/);
  expect(line(pause(60))).toMatch(/MISSED/);
  expect(exceeded(pause(60))).toBe(false);
  expect(exceeded(pause(10, 251, 300))).toBe(true);
});
