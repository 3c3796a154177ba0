import { type ConformanceCase, check, fails, same } from './conformance.ts';
import { Bench, type SocketsHarness, sameBytes } from './sockets-bench.ts';
import { type End, sampleBytes } from './sockets-kit.ts';
import { PAUSE_CASES } from './sockets-pause-cases.ts';

/**
 * Tests that all {@link Sockets} have to pass, for any test runner: `make` is called once per test. Example with vitest:
 * `for (const { name, run } of socketsConformance(make)) it(name, run);`
 */
export function socketsConformance(make: () => Promise<SocketsHarness>): readonly ConformanceCase[] {
  return Object.entries({ ...CASES, ...PAUSE_CASES }).map(([name, test]) => ({
    name,
    async run() {
      const harness = await make();
      const bench = new Bench(harness);
      try {
        await test(bench, harness);
        await bench.finish();
      } finally {
        bench.drop();
        await harness.dispose();
      }
    },
  }));
}

const CASES: Readonly<Record<string, (bench: Bench, harness: SocketsHarness) => Promise<void>>> = {
  async 'a connection stands on both sides, and each knows whom it talks to'(bench) {
    const [near, far, port] = await bench.pair();
    same([near.events, far.events], [['opened'], []], 'what was told');
    check(near.socket.remote.includes(String(port.port)), `the remote of the dialling side is '${near.socket.remote}'`);
    check(far.socket.remote !== '', 'the accepting side has no remote');
    same([near.socket.pending, far.socket.pending], [0, 0], 'pending');
  },

  async 'bytes come in order, both ways at once, whatever the size of the writes'(bench) {
    const [near, far] = await bench.pair();
    const [there, back] = [sampleBytes(3_000_000, 1), sampleBytes(2_000_000, 2)];
    let size = 1;
    for (let at = 0; at < there.length; at += size) {
      size = (size * 7 + 1) % 90_001;
      near.write(there.subarray(at, at + size));
      far.write(back.subarray(at, at + size));
    }
    await bench.until(() => far.count >= there.length && near.count >= back.length, 'all bytes');
    await bench.settle();
    sameBytes(far.bytes, there, 'there');
    sameBytes(near.bytes, back, 'back');
  },

  async 'what is written before a connection stands is pending, and goes first'(bench) {
    const port = await bench.listen();
    const near = bench.dial(port.port);
    const bytes = sampleBytes(1000);
    near.write(bytes.subarray(0, 400));
    near.write(bytes.subarray(400, 700));
    same(near.socket.pending, 700, 'pending');
    await bench.until(() => near.isOpen, 'opened');
    near.write(bytes.subarray(700));
    await bench.until(() => port.accepted[0]?.count === 1000, 'all bytes');
    sameBytes(port.accepted[0].bytes, bytes, 'received');
    await bench.until(() => near.socket.pending === 0, 'nothing pending');
  },

  async 'taken comes once for every write that asks for it, in order, and then nothing is pending'(bench) {
    const [near, far] = await bench.pair();
    const order: number[] = [];
    for (let i = 0; i < 100; i++) near.write(sampleBytes(i * 1000, i), i % 3 === 0 ? undefined : () => order.push(i));
    await bench.until(() => order.length === 66, 'taken of every write');
    await bench.until(() => near.socket.pending === 0 && far.count === 4_950_000, 'all bytes');
    await bench.settle();
    same(
      order,
      Array.from({ length: 100 }, (_, i) => i).filter((i) => i % 3 !== 0),
      'order',
    );
  },

  async 'bytes may change once they were taken'(bench) {
    const [near, far] = await bench.pair();
    const buffer = new Uint8Array(50_000);
    let round = 0;
    const next = (): void => {
      buffer.fill(++round);
      if (round <= 30) near.write(buffer, next);
    };
    next();
    await bench.until(() => far.count === 30 * buffer.length, 'all bytes');
    const expected = Uint8Array.from({ length: far.count }, (_, i) => 1 + Math.floor(i / buffer.length));
    sameBytes(far.bytes, expected, 'received');
  },

  async 'end comes after all that was written, and the other direction goes on'(bench) {
    const [near, far] = await bench.pair();
    const [there, back] = [sampleBytes(800_000, 3), sampleBytes(700_000, 4)];
    near.write(there);
    near.end();
    near.end();
    near.write(sampleBytes(10), bench.never('taken of a write after end'));
    await bench.until(() => far.hasEnded, 'ended');
    sameBytes(far.bytes, there, 'there');
    await bench.settle();
    same([near.events, far.events], [['opened'], ['ended']], 'what was told of one end');
    far.write(back);
    far.end();
    await bench.until(() => near.isClosed && far.isClosed, 'closed');
    sameBytes(near.bytes, back, 'back');
    same(
      [near.events, far.events],
      [
        ['opened', 'ended', 'closed'],
        ['ended', 'closed'],
      ],
      'what was told',
    );
    same([near.reason, far.reason], ['', ''], 'reasons');
  },

  async 'a dialling side may write and end before the connection stands'(bench) {
    const port = await bench.listen();
    const near = bench.dial(port.port);
    near.write(sampleBytes(100));
    near.end();
    await bench.until(() => port.accepted[0]?.hasEnded, 'ended');
    sameBytes(port.accepted[0].bytes, sampleBytes(100), 'received');
    port.accepted[0].end();
    await bench.until(() => near.isClosed && port.accepted[0].isClosed, 'closed');
    same([near.events, near.reason], [['opened', 'ended', 'closed'], ''], 'what the dialling side was told');
  },

  async 'destroy ends both sides, and only its own end is told to the one that called it'(bench) {
    for (const who of ['dialled', 'accepted']) {
      const [near, far] = await bench.pair();
      const [own, other] = who === 'dialled' ? [near, far] : [far, near];
      other.write(sampleBytes(100_000));
      own.destroy();
      own.destroy();
      await bench.until(() => own.isClosed, 'closed of the side that destroyed it');
      same(own.reason, '', 'reason of the side that destroyed it');
      await bench.until(() => other.hasEnded || other.isClosed, 'the end of the other side');
      if (!other.isClosed) other.end();
      await bench.until(() => other.isClosed, 'closed of the other side');
    }
  },

  async 'nothing is taken after destroy, and no call does anything after the end'(bench) {
    const [near, far] = await bench.pair();
    const taken = bench.never('taken after the end');
    near.write(sampleBytes(10), taken);
    near.destroy();
    near.write(sampleBytes(10), taken);
    near.end();
    await bench.until(() => near.isClosed, 'closed');
    near.write(sampleBytes(10), taken);
    near.end();
    near.destroy();
    far.destroy();
    await bench.until(() => far.isClosed, 'closed');
    far.write(sampleBytes(10), taken);
    far.end();
    await bench.settle();
  },

  async 'a side may end it while it is told of bytes, and is told nothing more'(bench) {
    const port = await bench.listen(undefined, undefined, (end) => {
      end.receiving = () => end.destroy();
    });
    const near = bench.dial(port.port);
    for (let i = 0; i < 50; i++) near.write(sampleBytes(10_000, i));
    near.end();
    await bench.until(() => port.accepted[0]?.isClosed && near.isClosed, 'closed');
    same(port.accepted[0].events, ['closed'], 'what the side that ended it was told');
  },

  async 'an attempt that is destroyed at once is closed without having been opened'(bench, { address }) {
    const port = await bench.listen();
    const ends = [bench.dial(port.port), bench.dial(70_000), bench.dial(port.port, '')];
    for (const end of ends) end.destroy();
    await bench.until(() => ends.every((end) => end.isClosed), `closed of attempts to ${address}`);
    same(
      ends.map((end) => end.events),
      [['closed'], ['closed'], ['closed']],
      'what was told',
    );
    same(ends[0].reason, '', 'reason');
  },

  async 'where nobody listens, the end says why'(bench, { freePort }) {
    const near = bench.dial(await freePort());
    near.write(sampleBytes(100), bench.never('taken without a connection'));
    await bench.until(() => near.isClosed, 'closed');
    same(near.events, ['closed'], 'what was told');
    check(near.reason !== '', 'a refused connection has no reason');
  },

  async 'an address that is none, and a name that is not known, are ends as well'(bench, { unknownName }) {
    const port = (await bench.listen()).port;
    const attempts = [70_000, -1, 1.5, Number.NaN].map((none) => bench.dial(none));
    attempts.push(bench.dial(port, ''), bench.dial(port, unknownName));
    await bench.until(() => attempts.every((end) => end.isClosed), 'closed');
    for (const [i, end] of attempts.entries()) {
      same(end.events, ['closed'], `what was told of attempt ${i}`);
      check(end.reason !== '', `attempt ${i} has no reason`);
    }
  },

  async 'a name leads to its address'(bench, { name, address, unknownName }) {
    const port = await bench.listen();
    same(await bench.lookup(address), address, 'the address of an address');
    const found = await bench.lookup(name);
    const ends = [bench.dial(port.port, name), bench.dial(port.port, found)];
    await bench.until(() => ends.every((end) => end.isOpen), 'connections by name');
    await fails(bench.lookup(unknownName), 'looking up a name that is not known');
    await fails(bench.lookup(''), 'looking up no name');
  },

  async 'a port in use, or one that is none, is an error, and harms nobody'(bench, { foreignAddress, freePort }) {
    const [near, far, port] = await bench.pair();
    await fails(bench.listen(port.port), 'listening on a port in use');
    await fails(bench.listen(70_000), 'listening on port 70000');
    await fails(bench.listen(-1), 'listening on port -1');
    await fails(bench.listen(await freePort(), foreignAddress), 'listening on the address of somebody else');
    await fails(bench.listen(await freePort(), ''), 'listening on no address');
    near.write(sampleBytes(5));
    const second = bench.dial(port.port);
    await bench.until(() => far.count === 5 && second.isOpen, 'the first listener goes on');
  },

  async 'a listener that closes takes nobody more, and leaves alone what stands'(bench) {
    const [near, far, port] = await bench.pair();
    await bench.close(port);
    const late = bench.dial(port.port);
    await bench.until(() => late.isClosed, 'the end of a late connection');
    same([late.events, port.accepted.length], [['closed'], 1], 'what a late connection was told');
    near.write(sampleBytes(10));
    far.write(sampleBytes(20));
    await bench.until(() => far.count === 10 && near.count === 20, 'bytes over the old connection');
    const again = await bench.listen(port.port);
    const next = bench.dial(port.port);
    await bench.until(() => next.isOpen && again.accepted.length === 1, 'a connection to the new listener');
    near.write(sampleBytes(10));
    await bench.until(() => far.count === 20, 'bytes over the old connection beside the new one');
  },

  async 'a connection may be ended while it is accepted'(bench) {
    const port = await bench.listen(undefined, undefined, (end) => end.destroy());
    const near = bench.dial(port.port);
    await bench.until(() => port.accepted[0]?.isClosed, 'closed of the accepted side');
    same([port.accepted[0].events, port.accepted[0].reason], [['closed'], ''], 'what the accepting side was told');
    await bench.until(() => near.hasEnded || near.isClosed, 'the end of the dialling side');
  },

  async 'a side may write while it accepts'(bench) {
    const port = await bench.listen(undefined, undefined, (end) => end.write(sampleBytes(300)));
    const near = bench.dial(port.port);
    await bench.until(() => near.count === 300, 'the greeting');
    sameBytes(near.bytes, sampleBytes(300), 'received');
  },

  async 'many connections do not mix'(bench) {
    const ports = [await bench.listen(), await bench.listen()];
    const ends = Array.from({ length: 60 }, (_, i) => bench.dial(ports[i % 2].port));
    for (const [i, end] of ends.entries()) end.write(sampleBytes(5000 + i, i));
    const all = (): End[] => ports.flatMap(({ accepted }) => accepted);
    await bench.until(() => all().reduce((sum, { count }) => sum + count, 0) === 60 * 5000 + 1770, 'all bytes');
    same(
      ports.map(({ accepted }) => accepted.length),
      [30, 30],
      'connections per port',
    );
    for (const end of all()) sameBytes(end.bytes, sampleBytes(end.count, end.count - 5000), `connection ${end.count - 5000}`);
    for (const end of all()) end.write(end.bytes.subarray(0, 7));
    await bench.until(() => ends.every(({ count }) => count === 7), 'answers');
    for (const [i, end] of ends.entries()) sameBytes(end.bytes, sampleBytes(5000 + i, i).subarray(0, 7), `answer ${i}`);
  },
};
