import Long from 'long';
import { expect, it } from 'vitest';
import { ConnectionStats, Latencies, PortStats, SizeRange } from '../../src/node/port/stats.ts';

const ZERO = { min: 0, average: 0, max: 0 };

it('latencies: smallest, mean and largest, nothing before the first and after a reset', () => {
  const latencies = new Latencies();
  expect(latencies.spread()).toEqual(ZERO);
  for (const ms of [4, 1, 7]) latencies.add(ms);
  expect(latencies.spread()).toEqual({ min: 1, average: 4, max: 7 });
  latencies.reset();
  expect(latencies.spread()).toEqual(ZERO);
  latencies.add(9);
  expect(latencies.spread()).toEqual({ min: 9, average: 9, max: 9 });
});

it('sizes: -1 while there are none; the count goes on over a reset', () => {
  const sizes = new SizeRange();
  for (const bytes of [30, 10, 20]) sizes.add(bytes);
  expect(sizes).toMatchObject({ last: 20, min: 10, max: 30, count: 3 });
  sizes.reset();
  expect(sizes).toMatchObject({ last: -1, min: -1, max: -1, count: 3 });
  sizes.add(0);
  expect(sizes).toMatchObject({ last: 0, min: 0, max: 0, count: 4 });
});

it('a connection counts for itself and for its port, and each is reset by itself', () => {
  const port = new PortStats();
  const [one, two] = [new ConnectionStats(port, 5), new ConnectionStats(port, 6)];
  one.packetIn();
  two.packetIn();
  two.packetOut(16);
  two.packetOut(40);
  one.answered(1, 7, Long.fromInt(9, true), 100.2, 103.6);
  two.answered(11, -2, Long.fromInt(9, true), 100, 100);
  expect([port.received, port.sent, port.bytesSent, port.latency.spread()]).toEqual([2, 2, 56, { min: 0, average: 1.5, max: 3 }]);
  expect(port.answers).toMatchObject({ last: 40, min: 16, max: 40 });
  expect(one).toMatchObject({ received: 1, sent: 0, lastOp: 1, lastXid: 7, lastResponse: 103.6, lastLatency: 3, established: 5 });
  // A ping has no number.
  expect(two).toMatchObject({ received: 1, sent: 2, lastOp: 11, lastXid: -1, lastLatency: 0 });
  // A clock that is looked at seldom may seem to go back.
  one.answered(1, 8, Long.UONE, 200, 199);
  expect(one.lastLatency).toBe(0);
  one.reset();
  expect(one).toMatchObject({ received: 0, sent: 0, lastOp: 0, lastXid: -1, lastResponse: 0, established: 5 });
  expect(one.lastZxid.eq(Long.MAX_UNSIGNED_VALUE)).toBe(true);
  expect(one.latency.spread()).toEqual(ZERO);
  expect([two.sent, port.sent]).toEqual([2, 2]);
  port.reset();
  expect([two.sent, port.sent, port.received, port.bytesSent]).toEqual([2, 0, 0, 0]);
});
