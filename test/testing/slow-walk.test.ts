import { expect, it } from 'vitest';
import type { SnapshotSource, Txn, ZnodeRecord } from '../../src/model/records.ts';
import type { Clock } from '../../src/seams/clock.ts';
import { Chance } from '../../src/testing/chance.ts';
import { SlowWalk } from '../../src/testing/slow-walk.ts';
import { ZnodeTree } from '../../src/tree/tree.ts';
import { create, write } from './story.ts';

/** A clock that runs one timer when it is told to. */
class Timers implements Clock {
  readonly #waiting: (() => void)[] = [];

  get count(): number {
    return this.#waiting.length;
  }
  run(): void {
    this.#waiting.shift()?.();
  }
  now(): number {
    return 0;
  }
  wall(): number {
    return 0;
  }
  setTimer(_ms: number, fn: () => void): undefined {
    this.#waiting.push(fn);
  }
  clearTimer(): void {}
  defer(fn: () => void): void {
    this.#waiting.push(fn);
  }
}

function begin(pause: number) {
  const tree = new ZnodeTree({ digest: true });
  const applied = (counter: number, path: string): unknown => tree.apply(write(1, counter, create(path, false)).txn as Txn, false);
  for (let i = 1; i <= 20; i++) applied(i, `/${i}`);
  const source = tree.openSnapshot();
  let closed = 0;
  const close = source.close.bind(source);
  source.close = () => {
    closed++;
    close();
  };
  const timers = new Timers();
  const walk = new SlowWalk(timers, new Chance(1, 'walk'), pause);
  const got: SnapshotSource[] = [];
  const errors: (Error | null)[] = [];
  walk.begin(
    source,
    (walked) => void got.push(walked),
    (error) => void errors.push(error),
  );
  return { tree, applied, source, timers, walk, got, errors, closed: () => closed };
}

const pathsOf = (walked: SnapshotSource): string[] => {
  const all: ZnodeRecord[] = [];
  for (let some = walked.next(7); some.length > 0; some = walked.next(7)) all.push(...some);
  return all.map(({ path }) => path);
};

it('hands a source on at once when there are no pauses', () => {
  const { source, got, timers } = begin(0);
  expect(got).toEqual([source]);
  expect(timers.count).toBe(0);
});

it('meets what is applied in the pauses, and says with the digest up to where', () => {
  const { tree, applied, timers, got, errors, closed } = begin(5);
  timers.run();
  timers.run();
  // The walk meets no newcomer of a list that it has begun with, but what is below a znode that it has not met.
  applied(21, '/1/late');
  while (timers.count > 0) timers.run();
  expect(errors).toEqual([]);
  expect(closed()).toBe(1);
  const [walked] = got;
  expect(pathsOf(walked)).toContain('/1/late');
  expect(walked.zxid.low).toBe(20);
  expect(walked.digest()?.zxid).toEqual(tree.lastZxid);
});

it('closes the source of a walk that is given up, and tells that', () => {
  const { timers, walk, got, errors, closed } = begin(5);
  timers.run();
  walk.end();
  expect(errors).toEqual([]);
  while (timers.count > 0) timers.run();
  expect(got).toEqual([]);
  expect(errors.map((error) => error?.message)).toEqual(['the walk over the tree was given up']);
  expect(closed()).toBe(1);
});
