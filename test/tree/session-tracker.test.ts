import { describe, expect, it } from 'vitest';
import { SessionTracker } from '../../src/tree/session-tracker.ts';
import { session } from './support.ts';

describe('SessionTracker', () => {
  it('rounds a deadline up to the next tick, strictly', () => {
    const tracker = new SessionTracker(2000);
    tracker.touch(session(1), 4000, 0);
    expect(tracker.nextDeadline()).toBe(6000);
    expect(tracker.expired(5999)).toEqual([]);
    expect(tracker.expired(6000)).toEqual([session(1)]);
    expect(tracker.nextDeadline()).toBeUndefined();
  });

  it('puts a touched session off, and reports each once, the earliest first', () => {
    const tracker = new SessionTracker(10);
    for (const n of [1, 2, 3]) tracker.touch(session(n), 100, 0);
    expect(tracker.touch(session(1), 100, 95)).toBe(true);
    expect(tracker.renew(session(2), 50)).toBe(true);
    expect(tracker.renew(session(9), 50)).toBe(false);
    expect(tracker.expired(110)).toEqual([session(3)]);
    expect(tracker.expired(1000)).toEqual([session(2), session(1)]);
    expect(tracker.expired(2000)).toEqual([]);
  });

  it('never revives an expired session, and knows it until it is removed', () => {
    const tracker = new SessionTracker(10);
    tracker.touch(session(1), 10, 0);
    tracker.expired(1000);
    expect(tracker.touch(session(1), 10, 1000)).toBe(false);
    expect(tracker.expired(5000)).toEqual([]);
    expect(tracker.has(session(1))).toBe(true);
    tracker.remove(session(1));
    expect(tracker.has(session(1))).toBe(false);
    expect(tracker.touch(session(1), 10, 1000)).toBe(true);
  });

  it('forgets a removed session, and takes a new timeout at a touch', () => {
    const tracker = new SessionTracker(10);
    tracker.touch(session(1), 10, 0);
    tracker.touch(session(2), 10, 0);
    tracker.remove(session(1));
    tracker.remove(session(1));
    tracker.touch(session(2), 100, 5);
    expect(tracker.nextDeadline()).toBe(110);
    expect(tracker.expired(1000)).toEqual([session(2)]);
    expect(tracker.size).toBe(1);
  });

  it('shows who expires when, and nobody who has expired', () => {
    const tracker = new SessionTracker(10);
    for (const n of [1, 2, 3]) tracker.touch(session(n), n === 3 ? 50 : 15, 0);
    const shown = () => [...tracker.buckets()].map(({ deadline, ids }) => [deadline, ids]);
    expect(shown()).toEqual([
      [20, [session(1), session(2)]],
      [60, [session(3)]],
    ]);
    tracker.remove(session(1));
    tracker.expired(20);
    expect(shown()).toEqual([[60, [session(3)]]]);
  });

  it('notices a session that moved', () => {
    const tracker = new SessionTracker(10);
    const [here, there] = [{}, {}];
    expect(tracker.checkOwner(session(1), here)).toBe(true);
    tracker.touch(session(1), 10, 0);
    expect(tracker.checkOwner(session(1), here)).toBe(true);
    expect(tracker.checkOwner(session(1), there)).toBe(false);
    tracker.setOwner(session(1), there);
    expect(tracker.checkOwner(session(1), there)).toBe(true);
    expect(tracker.checkOwner(session(1), here)).toBe(false);
  });
});
