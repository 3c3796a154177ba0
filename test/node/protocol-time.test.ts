import { expect, test } from 'vitest';
import { ProtocolTime } from '../../src/node/protocol-time.ts';
import type { Clock } from '../../src/seams/clock.ts';

/** A clock that stands still unless told; timers run when `go` passes them. */
class HandClock implements Clock {
  time = 0;
  readonly timers = new Set<{ at: number; fn: () => void }>();
  now = () => this.time;
  wall = () => this.time;
  setTimer = (ms: number, fn: () => void) => {
    const timer = { at: this.time + ms, fn };
    this.timers.add(timer);
    return timer;
  };
  clearTimer = (handle: unknown) => void this.timers.delete(handle as { at: number; fn: () => void });
  defer = (fn: () => void) => fn();
  go(ms: number): void {
    this.time += ms;
    for (const timer of [...this.timers]) {
      if (timer.at > this.time) continue;
      this.timers.delete(timer);
      timer.fn();
    }
  }
}

test('fires when it is due, at the earliest time asked for', () => {
  const clock = new HandClock();
  const fired: number[] = [];
  const time = new ProtocolTime(clock, 50, () => fired.push(time.now()));
  time.arm(100);
  time.arm(60);
  time.arm(80);
  clock.go(59);
  expect(fired).toEqual([]);
  clock.go(1);
  expect(fired).toEqual([60]);
  expect(clock.timers.size).toBe(0);
});

test('does not count a stall of the event loop, but counts a timer that is a little late', () => {
  const clock = new HandClock();
  const time = new ProtocolTime(clock, 50, () => {});
  time.arm(100);
  clock.go(140);
  expect(time.now()).toBe(140);
  time.arm(200);
  clock.go(5060);
  expect(time.now()).toBe(200);
  time.arm(300);
  clock.go(100);
  expect(time.now()).toBe(300);
});

test('never goes back, nor stands still for as long as a stall, when I/O comes before the timer that tells of it', () => {
  const clock = new HandClock();
  const time = new ProtocolTime(clock, 50, () => {});
  time.arm(100);
  clock.time = 6000;
  // The first I/O after the stall, and what it arms.
  expect(time.now()).toBe(100);
  time.arm(80);
  clock.go(10);
  expect(time.now()).toBe(110);
  time.arm(200);
  clock.go(90);
  expect(time.now()).toBe(200);
});

test('leaves no timer when it is stopped', () => {
  const clock = new HandClock();
  const time = new ProtocolTime(clock, 50, () => {});
  time.arm(100);
  time.stop();
  expect(clock.timers.size).toBe(0);
});
