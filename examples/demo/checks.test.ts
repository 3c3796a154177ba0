import { expect, test } from 'vitest';
import { verify } from './checks.ts';
import { nameOf } from './names.ts';
import type { Row, WriteReport } from './replica.ts';

/* The demo's verdict is only worth something if it can be a bad one. */

const report = (writes: number): WriteReport => ({
  zxids: Array.from({ length: writes }, (_, i) => `0x10000000${i + 1}`),
  firstTry: Array.from({ length: writes }, () => true),
  unknown: 0,
  refused: 0,
  doneBefore: 0,
  longestWait: 0,
  milliseconds: 1,
});
const rows = (writes: number): Row[] =>
  Array.from({ length: writes }, (_, i) => ({ name: nameOf(i), value: String(i), czxid: `0x10000000${i + 1}` }));

const found = (told: WriteReport, ...lists: Row[][]): string[] =>
  verify(5, told, new Map(lists.map((list, i) => [i + 1, list])))
    .filter(({ wrong }) => wrong.length > 0)
    .map(({ what }) => what);

test('nothing is wrong when all is there', () => {
  expect(found(report(5), rows(5), rows(5), rows(5))).toEqual([]);
});

test('a lost write is seen', () => {
  expect(found(report(5), rows(5), rows(5).slice(0, 4))).toContain(
    'replica 2 has every acknowledged write, under its zxid and with its value',
  );
});

test('a write that was never acknowledged is seen', () => {
  expect(found(report(4), rows(5), rows(5))).toContain('the writer has a zxid for each of 5 writes');
});

test('a write of nobody is seen', () => {
  expect(found(report(5), rows(6), rows(5))).toContain('replica 1 has nothing else');
});

test('another value or zxid is seen', () => {
  const [first, ...rest] = rows(5);
  expect(found(report(5), rows(5), [{ ...first, value: 'x' }, ...rest])).toHaveLength(1);
  expect(found(report(5), rows(5), [{ ...first, czxid: '0x1' }, ...rest])).toHaveLength(2);
});

test('another order is seen', () => {
  const [a, b, ...rest] = rows(5);
  expect(found(report(5), rows(5), [b, a, ...rest])).toEqual(['replica 2 has them in the same order as replica 1']);
});

test('writes that overtook each other are seen', () => {
  const swapped = report(5);
  const zxids = [...swapped.zxids];
  [zxids[1], zxids[2]] = [zxids[2], zxids[1]];
  expect(found({ ...swapped, zxids }, rows(5))).toContain(
    'writes acknowledged at the first try took effect in the order in which they were sent',
  );
});
