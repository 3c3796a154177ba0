import { describe, expect, it } from 'vitest';
import { pathProblem, sequenceSuffix } from '../../src/tree/paths.ts';
import { joined, MTIME, numberAt, ownerKind, putNumber } from '../../src/tree/row.ts';
import { CHILDREN, FIRST_CHILD, NEXT, ZnodeTable } from '../../src/tree/znode-table.ts';
import { text } from './support.ts';

describe('ZnodeTable', () => {
  it('uses slots again, cleared, over many pages', () => {
    const table = new ZnodeTable();
    const root = table.insert('', 0, null);
    for (let i = 0; i < 10_000; i++) table.set(table.insert(`/n${i}`, root, text(`${i}`)), 0, i + 1);
    for (let i = 0; i < 10_000; i += 2) table.remove(table.find(`/n${i}`));
    expect(table.size).toBe(5001);
    expect(table.get(root, CHILDREN)).toBe(5000);
    const slots = new Set<number>();
    for (let i = 0; i < 5000; i++) {
      const slot = table.insert(`/again${i}`, root, null);
      expect(table.get(slot, 0)).toBe(0);
      slots.add(slot);
    }
    expect(Math.max(...slots)).toBeLessThanOrEqual(10_001);
    for (let i = 1; i < 10_000; i += 2) {
      const slot = table.find(`/n${i}`);
      expect([table.get(slot, 0), table.data(slot)]).toEqual([i + 1, `${i}`]);
    }
    expect(table.childNames(root)).toHaveLength(10_000);
  });

  it('counts what paths and data take', () => {
    const table = new ZnodeTable();
    const root = table.insert('', 0, null);
    const a = table.insert('/a', root, text('123'));
    const b = table.insert('/a/b', a, null);
    expect(table.bytes).toBe(2 + 3 + 4);
    table.setData(a, text('1'));
    table.setData(b, text('12345'));
    expect(table.bytes).toBe(2 + 1 + 4 + 5);
    table.setData(a, null);
    table.remove(b);
    expect(table.bytes).toBe(2);
  });

  it('keeps the list of children whole when its first, last and middle go', () => {
    for (const order of ['abc', 'acb', 'bac', 'bca', 'cab', 'cba']) {
      const table = new ZnodeTable();
      const root = table.insert('', 0, null);
      for (const name of 'abc') table.insert(`/${name}`, root, null);
      let left = 'abc';
      for (const name of order) {
        table.remove(table.find(`/${name}`));
        left = left.replace(name, '');
        expect(table.childNames(root).join(''), order).toBe(left);
      }
      expect([table.get(root, FIRST_CHILD), table.get(root, NEXT)]).toEqual([0, 0]);
    }
  });
});

describe('rows', () => {
  it('hold times of more than 32 bits', () => {
    const words = new Int32Array(10);
    for (const time of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 1_795_362_365_399, 2 ** 53 - 1, -1]) {
      putNumber(words, MTIME, time);
      expect(numberAt(words, MTIME)).toBe(time);
    }
    expect(joined(0, -1)).toBe(2 ** 32 - 1);
  });

  it('tell the kinds of owner apart', () => {
    const kinds = [
      [0, 0],
      [0x01000000, 5],
      [0x80000000, 0],
      [0x80000000, 1],
      [0xff000000, 600_000],
      [0xff0000ff, -1],
      [0xff000100, 1],
    ].map(([high, low]) => ownerKind(high | 0, low | 0));
    expect(kinds).toEqual([0, 1, 2, 1, 3, 3, 1]);
  });
});

describe('paths', () => {
  it('are checked as ZooKeeper does', () => {
    const good = ['/', '/a', '/a/b', '/...', '/a.b', '/.a', '/a..', '/ ', '/a\ud7ff', '/\u00a0', '/é', '/\uf900', '/~', '/a/..b'];
    const bad = [
      '',
      'a',
      '//',
      '/a/',
      '/a//b',
      '/.',
      '/..',
      '/a/./b',
      '/a/../b',
      '/a/..',
      '/a\0',
      '/\u001f',
      '/\u007f',
      '/\u009f',
      '/\ud83d',
      '/\ue000',
      '/\uf8ff',
      '/\ufff0',
    ];
    for (const path of good) expect(pathProblem(path), JSON.stringify(path)).toBeNull();
    for (const path of bad) expect(pathProblem(path), JSON.stringify(path)).not.toBeNull();
  });

  it('get suffixes of ten characters', () => {
    expect([0, 2147483647, -1, -2147483648].map(sequenceSuffix)).toEqual(['0000000000', '2147483647', '-000000001', '-2147483648']);
  });
});
