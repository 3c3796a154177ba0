import { check, same } from './conformance.ts';
import { type Bench, sameBytes } from './sockets-bench.ts';
import { sampleBytes } from './sockets-kit.ts';

/** More than the network holds between two sides. */
const FLOOD = 12_000_000;

/** Tests of `pause` and `resume`. */
export const PAUSE_CASES: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  async 'a side that is paused is told nothing and holds up the other side, and then gets all in order'(bench) {
    const [near, far] = await bench.pair();
    const bytes = sampleBytes(FLOOD, 5);
    near.pause();
    for (let at = 0; at < FLOOD; at += 100_000) far.write(bytes.subarray(at, at + 100_000));
    far.end();
    near.write(sampleBytes(50));
    await bench.until(() => far.count === 50, 'bytes of the side that is paused');
    await bench.settle();
    same([near.count, near.events], [0, ['opened']], 'what was told');
    const { pending } = far.socket;
    check(pending > 0, 'the network has taken all that nobody reads');
    await bench.settle();
    same(far.socket.pending, pending, 'pending a while later');
    near.resume();
    // In steps: a network may be slow.
    for (let step = 1; step <= 10; step++) await bench.until(() => near.count >= (FLOOD / 10) * step, `${step} tenths of the bytes`);
    await bench.until(() => near.hasEnded, 'ended');
    sameBytes(near.bytes, bytes, 'received');
  },

  async 'a side may pause while it is told of bytes, and as often as it likes'(bench) {
    const [near, far] = await bench.pair();
    const bytes = sampleBytes(400_000, 6);
    near.resume();
    near.receiving = () => {
      near.pause();
      near.pause();
    };
    far.write(bytes);
    far.end();
    let rounds = 0;
    for (; !near.hasEnded; rounds++) {
      const { count } = near;
      await bench.until(() => near.count > count || near.hasEnded, 'the next bytes');
      near.resume();
      near.pause();
      near.resume();
      near.resume();
    }
    check(rounds > 2, `it was told all in ${rounds} pieces`);
    sameBytes(near.bytes, bytes, 'received');
  },

  async 'the end of a side waits while the other one is paused, also when the connection is over with it'(bench) {
    for (const first of ['none', 'near']) {
      const [near, far] = await bench.pair();
      if (first === 'near') {
        near.end();
        await bench.until(() => far.hasEnded, 'the end of the side that is paused');
      }
      near.pause();
      far.end();
      await bench.settle();
      same(near.events, ['opened'], 'what was told of the end');
      near.resume();
      near.pause();
      await bench.settle();
      same(near.events, ['opened'], 'what was told when paused again at once');
      near.resume();
      await bench.until(() => near.hasEnded, 'ended');
      near.end();
      await bench.until(() => near.isClosed && far.isClosed, 'closed');
      same([near.events, near.reason, far.reason], [['opened', 'ended', 'closed'], '', ''], 'what was told');
    }
  },

  async 'a side that is paused may destroy it at any time, and is told nothing else'(bench) {
    for (const [i, what] of ['nothing', 'bytes', 'end', 'end', 'end of both', 'end of both'].entries()) {
      const [near, far] = await bench.pair();
      near.pause();
      if (what === 'bytes') far.write(sampleBytes(300_000));
      if (what === 'end of both') near.end();
      if (what.startsWith('end')) far.end();
      await bench.settle();
      near.destroy();
      if (i % 2 === 1) near.resume();
      await bench.until(() => near.isClosed, 'closed');
      same([near.events, near.reason, near.count], [['opened', 'closed'], '', 0], `what was told after ${what}`);
    }
  },

  async 'a connection that breaks is closed, paused or not'(bench) {
    for (const size of [0, 1000, FLOOD]) {
      const [near, far] = await bench.pair();
      near.pause();
      if (size > 0) far.write(sampleBytes(size));
      await bench.settle();
      far.destroy();
      const writes = (): boolean => {
        if (!near.isClosed) near.write(sampleBytes(1));
        return near.isClosed;
      };
      await bench.until(writes, 'closed');
      same([near.events, near.count], [['opened', 'closed'], 0], `what was told after ${size} bytes`);
      check(near.reason !== '', 'a broken connection has no reason');
    }
  },

  async 'a connection may be paused while it is dialled, and while it is accepted'(bench) {
    const port = await bench.listen(undefined, undefined, (end) => {
      end.pause();
      end.write(sampleBytes(2000));
    });
    const near = bench.dial(port.port);
    near.pause();
    near.write(sampleBytes(3000));
    await bench.until(() => near.isOpen && port.accepted.length === 1, 'a connection');
    await bench.settle();
    const [far] = port.accepted;
    same([near.count, far.count], [0, 0], 'bytes told to sides that are paused');
    near.resume();
    far.resume();
    await bench.until(() => near.count === 2000 && far.count === 3000, 'bytes');
  },

  async 'pause and resume do nothing after the end'(bench) {
    const [near, far] = await bench.pair();
    near.destroy();
    near.pause();
    near.resume();
    await bench.until(() => near.isClosed, 'closed');
    near.pause();
    near.resume();
    far.end();
    await bench.until(() => far.isClosed, 'closed of the other side');
    far.resume();
    far.pause();
    await bench.settle();
  },
};
