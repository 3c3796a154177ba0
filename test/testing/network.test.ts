import { describe, expect, it } from 'vitest';
import type { SocketsHarness } from '../../src/testing/sockets-bench.ts';
import { socketsConformance } from '../../src/testing/sockets-conformance.ts';
import { Rig, type Side, sample } from './network-kit.ts';

const SEEDS = Array.from({ length: 20 }, (_, i) => i + 1);

/** What is told of a connection whose other side has gone on. */
const isPrefix = (part: Uint8Array, whole: Uint8Array): boolean => part.every((byte, i) => byte === whole[i]);

describe('simulated sockets keep the contract of sockets', () => {
  const make = (seed: number, settings: ConstructorParameters<typeof Rig>[2]) => async (): Promise<SocketsHarness> => {
    const rig = new Rig(2, seed, settings);
    let port = 1000;
    return {
      near: rig.sockets[1],
      far: rig.sockets[2],
      address: '10.0.0.2',
      name: 'host2',
      unknownName: 'nobody',
      foreignAddress: '10.0.0.1',
      freePort: async () => port++,
      sleep: (ms) => rig.pass(ms),
      dispose: async () => {},
    };
  };
  for (const { name, run } of socketsConformance(make(1, {}))) it(name, run);
  for (const { name, run } of socketsConformance(
    make(2, { latency: { min: 0.1, max: 3 }, tear: 1, window: 20_000, segment: 3000, loss: 0.001 }),
  ))
    it(`torn, late and with a small window: ${name}`, run);
});

describe('delivery', () => {
  it('bytes come in order and complete, in other pieces than they were written in', async () => {
    const sizes = new Set<number>();
    for (const seed of SEEDS) {
      const rig = new Rig(2, seed, { segment: 50, tear: 0.5, loss: 0.05 });
      const [near, far] = await rig.pair(1, 2);
      const all = sample(4000);
      for (let at = 0; at < all.length; at += 100) near.write(all.subarray(at, at + 100));
      await rig.until(() => far.count === all.length, 'all bytes');
      expect(far.bytes).toEqual(all);
      for (const { length } of far.chunks) sizes.add(length);
    }
    expect(sizes.size).toBeGreaterThan(40);
    expect(Math.max(...sizes)).toBeGreaterThan(100);
  });

  it('a chunk that is kept beyond the call is spoilt, and what is written is copied', async () => {
    const rig = new Rig(2, 1);
    const [near, far] = await rig.pair(1, 2);
    let kept: Uint8Array = new Uint8Array();
    far.data = (chunk) => {
      far.chunks.push(chunk.slice());
      kept = chunk;
    };
    // A Buffer shares its memory with its slices.
    const bytes = Buffer.from(sample(10));
    near.socket.write(bytes, () => bytes.fill(0));
    await rig.until(() => far.count === 10, 'all bytes');
    expect([...bytes]).toEqual(Array(10).fill(0));
    expect(far.bytes).toEqual(sample(10));
    expect(kept).not.toEqual(sample(10));
  });
});

describe('time', () => {
  it('connections overtake each other', async () => {
    const rig = new Rig(2, 1, { latency: { min: 1, max: 20 } });
    const pairs: [Side, Side][] = [];
    for (let i = 0; i < 10; i++) pairs.push(await rig.pair(1, 2));
    const order: number[] = [];
    for (const [i, [near, far]] of pairs.entries()) {
      far.data = () => order.push(i);
      near.write(sample(10));
    }
    await rig.until(() => order.length === 10, 'all bytes');
    expect(order).not.toEqual(order.toSorted((a, b) => a - b));
  });

  it('a connection takes a round trip, and the bandwidth is shared', async () => {
    const rig = new Rig(2, 1, { latency: { min: 10, max: 10 }, bytesPerMs: 100, tear: 0 });
    await rig.listen(2);
    const near = rig.dial(1, 2);
    const other = rig.dial(1, 2);
    await rig.until(() => rig.accepted[2].length === 2, 'connections');
    expect(near.times).toEqual([20]);
    expect(rig.kernel.now).toBe(30);
    near.write(sample(1000));
    other.write(sample(1000));
    await rig.until(() => rig.accepted[2].every((far) => far.count === 1000), 'all bytes');
    expect(rig.kernel.now).toBe(30 + 10 + 20);
  });

  it('a lost packet holds up what is behind it on its connection alone', async () => {
    const rig = new Rig(2, 1, { latency: { min: 1, max: 1 }, retransmit: { min: 200, max: 200 } });
    const [near, far] = await rig.pair(1, 2);
    const [other, otherFar] = await rig.pair(1, 2);
    rig.network.loss = 1;
    near.write(sample(10));
    rig.network.loss = 0;
    near.write(sample(10, 10));
    other.write(sample(10));
    await rig.pass(100);
    expect([far.count, otherFar.count]).toEqual([0, 10]);
    await rig.pass(110);
    expect(far.bytes).toEqual(Uint8Array.from([...sample(10), ...sample(10, 10)]));
    expect(rig.network.counts.get('network: lost packet')).toBe(1);
  });

  it('a path that is slow is slow in one direction, and fast again after it, with what is under way', async () => {
    const rig = new Rig(2, 1);
    const [near, far] = await rig.pair(1, 2);
    rig.network.slow(1, 2, { bytesPerMs: 1 });
    near.write(sample(100_000));
    far.write(sample(100_000));
    await rig.pass(50);
    expect(near.count).toBe(100_000);
    expect(far.count).toBeLessThanOrEqual(50);
    rig.network.slow(1, 2, null);
    await rig.pass(50);
    expect(far.count).toBe(100_000);
  });
});

describe('back-pressure', () => {
  it('a process that stands still fills the window and no more, and then all comes in order', async () => {
    const rig = new Rig(2, 1, { window: 10_000, segment: 1000 });
    const [near, far] = await rig.pair(1, 2);
    rig.machines[2].pause(5000);
    for (let i = 0; i < 30; i++) near.write(sample(1000, i));
    await rig.pass(4000);
    expect([near.taken, near.socket.pending, far.count]).toEqual([10, 20_000, 0]);
    await rig.until(() => far.count === 30_000, 'all bytes');
    expect(far.bytes).toEqual(Uint8Array.from(Array.from({ length: 30 }, (_, i) => [...sample(1000, i)]).flat()));
    await rig.pass(10);
    expect([near.taken, near.socket.pending]).toEqual([30, 0]);
  });

  it('a process that stands still is connected to all the same, and finds the connection afterwards', async () => {
    const rig = new Rig(2, 1);
    await rig.listen(2);
    rig.machines[2].pause(1000);
    const near = rig.dial(1, 2);
    await rig.until(() => near.told.length > 0, 'opened');
    near.write(sample(10));
    await rig.pass(500);
    expect([near.told, near.taken, rig.accepted[2].length]).toEqual([['opened'], 1, 0]);
    await rig.pass(600);
    expect(rig.accepted[2][0].bytes).toEqual(sample(10));
  });

  it('a slow reader holds its senders back, until it is fast again', async () => {
    const rig = new Rig(2, 1, { window: 5000, segment: 500 });
    const [near, far] = await rig.pair(1, 2);
    rig.network.slowReader(2, 10);
    near.write(sample(20_000));
    await rig.pass(500);
    expect(far.count).toBeGreaterThan(4000);
    expect(far.count).toBeLessThan(6100);
    expect(near.taken).toBe(0);
    rig.network.slowReader(2, null);
    await rig.pass(50);
    expect([far.count, near.taken]).toEqual([20_000, 1]);
  });
});

describe('cuts', () => {
  it('one direction holds bytes, connects and ends, loses nothing, and the other goes on', async () => {
    const rig = new Rig(2, 1);
    const [near, far] = await rig.pair(1, 2);
    rig.network.cut(1, 2);
    near.write(sample(3000));
    near.socket.end();
    far.write(sample(2000));
    const late = rig.dial(1, 2);
    const alsoLate = rig.dial(2, 1);
    await rig.pass(5000);
    expect([far.count, far.told, late.told, alsoLate.told]).toEqual([0, [], [], []]);
    expect(near.bytes).toEqual(sample(2000));
    rig.network.heal(1, 2);
    await rig.pass(700);
    expect(far.bytes).toEqual(sample(3000));
    expect([far.told, late.told]).toEqual([['ended'], ['opened']]);
    expect(alsoLate.reason).toMatch(/ECONNREFUSED/);
  });

  it('what was sent before the cut and has not arrived is held too, what has arrived is not', async () => {
    const rig = new Rig(2, 1, { latency: { min: 10, max: 10 } });
    const [near, far] = await rig.pair(1, 2);
    rig.machines[2].pause(100);
    near.write(sample(10));
    await rig.pass(11);
    near.write(sample(10, 10));
    await rig.pass(5);
    rig.network.cut(1, 2);
    await rig.pass(500);
    expect(far.bytes).toEqual(sample(10));
    rig.network.heal();
    await rig.pass(500);
    expect(far.count).toBe(20);
  });

  it('a sender whose acknowledgements are cut off is held back by its window', async () => {
    const rig = new Rig(2, 1, { window: 1000 });
    const [near, far] = await rig.pair(1, 2);
    rig.network.cut(2, 1);
    near.write(sample(5000));
    await rig.pass(1000);
    expect([far.count, near.taken]).toEqual([1000, 0]);
    rig.network.heal(2, 1);
    await rig.until(() => far.count === 5000, 'all bytes');
    expect(far.bytes).toEqual(sample(5000));
  });
});

describe('patience', () => {
  it('after too long a cut the connection breaks on both sides, at different times, also when nothing was sent', async () => {
    for (const bytes of [0, 100]) {
      const rig = new Rig(2, 1, { breakAfter: 4000 });
      const [near, far] = await rig.pair(1, 2);
      rig.network.cut(1, 2);
      if (bytes > 0) near.write(sample(bytes));
      const late = rig.dial(1, 2);
      await rig.pass(3900);
      expect([near.told, far.told, late.told]).toEqual([['opened'], [], []]);
      await rig.pass(3000);
      expect([near.reason, far.reason, late.reason]).toEqual(Array(3).fill(expect.stringMatching(/ETIMEDOUT/)));
      expect(near.times.at(-1)).not.toBe(far.times.at(-1));
      rig.network.heal();
      await rig.pass(1000);
      expect(far.count).toBe(0);
      expect(rig.network.connections()).toEqual([]);
    }
  });

  it('two cuts, each shorter than the patience, break nothing', async () => {
    const rig = new Rig(2, 1, { breakAfter: 4000 });
    const [near, far] = await rig.pair(1, 2);
    for (let i = 0; i < 2; i++) {
      rig.network.cut(1, 2);
      near.write(sample(10));
      await rig.pass(3500);
      rig.network.heal(1, 2);
      await rig.pass(600);
    }
    expect([far.count, near.told, far.told]).toEqual([20, ['opened'], []]);
  });

  it('partitions and isolation cut what they say and nothing else', async () => {
    const reached = async (set: (rig: Rig) => void): Promise<string[]> => {
      const rig = new Rig(4, 1);
      const pairs = [];
      for (const from of [1, 2, 3, 4])
        for (const to of [1, 2, 3, 4]) if (from !== to) pairs.push({ from, to, sides: await rig.pair(from, to) });
      set(rig);
      for (const { sides } of pairs) sides[0].write(sample(1));
      await rig.pass(100);
      return pairs.filter(({ sides }) => sides[1].count === 1).map(({ from, to }) => `${from}${to}`);
    };
    expect(await reached(({ network }) => network.partition([1, 2], [3, 4]))).toEqual(['12', '21', '34', '43']);
    expect(await reached(({ network }) => network.partition([1], [2, 3], { oneWay: true }))).toEqual([
      '14',
      '21',
      '23',
      '24',
      '31',
      '32',
      '34',
      '41',
      '42',
      '43',
    ]);
    expect(await reached(({ network }) => network.isolate(2))).toEqual(['13', '14', '31', '34', '41', '43']);
    const healed = await reached(({ network }) => {
      network.partition([1, 2], [3, 4]);
      network.heal(3);
      network.heal(2, 4);
    });
    expect(healed).toEqual(['12', '13', '21', '23', '24', '31', '32', '34', '43']);
  });
});

describe('broken connections', () => {
  it('a reset delivers a part of what is under way, mid-frame, and tells both sides, or one when it writes', async () => {
    const kept = new Set<number>();
    let quiet = 0;
    for (const seed of SEEDS) {
      const rig = new Rig(2, seed, { latency: { min: 10, max: 10 }, tear: 0, segment: 100, breakAfter: 60_000 });
      const [near, far] = await rig.pair(1, 2);
      for (let i = 0; i < 3; i++) near.write(sample(100, i));
      await rig.pass(5);
      expect(rig.network.reset(2, 1)).toBe(1);
      await rig.pass(5000);
      const sent = Uint8Array.from([...sample(100), ...sample(100, 1), ...sample(100, 2)]);
      expect(isPrefix(far.bytes, sent)).toBe(true);
      kept.add(far.count);
      const silent = [near, far].filter(({ reason }) => reason === undefined);
      expect(silent.length).toBeLessThan(2);
      if (silent.length === 1) {
        quiet++;
        silent[0].write(sample(10));
        await rig.pass(100);
      } else expect(near.times.at(-1)).not.toBe(far.times.at(-1));
      expect([near.reason, far.reason]).toEqual(['read ECONNRESET', 'read ECONNRESET']);
      expect(rig.network.connections()).toEqual([]);
    }
    expect([...kept].some((count) => count % 100 > 0)).toBe(true);
    expect(quiet).toBeGreaterThan(3);
    expect(quiet).toBeLessThan(SEEDS.length - 3);
  });

  it('what comes behind a lost packet does not arrive without it, when the connection breaks before it is sent again', async () => {
    for (const seed of SEEDS) {
      const rig = new Rig(2, seed, { retransmit: { min: 200, max: 200 } });
      const [near, far] = await rig.pair(1, 2);
      rig.network.loss = 1;
      near.write(sample(100));
      rig.network.loss = 0;
      near.write(sample(100, 1));
      await rig.pass(50);
      rig.network.reset(1, 2);
      await rig.pass(500);
      expect(isPrefix(far.bytes, Uint8Array.from([...sample(100), ...sample(100, 1)]))).toBe(true);
    }
  });

  it('a side that is told nothing and sends nothing gives up in the end', async () => {
    for (const seed of SEEDS) {
      const rig = new Rig(2, seed, { breakAfter: 1000 });
      const [near, far] = await rig.pair(1, 2);
      rig.network.reset(1, 2);
      await rig.pass(1500);
      expect([near.reason, far.reason]).toEqual(Array(2).fill(expect.stringMatching(/ECONNRESET|ETIMEDOUT/)));
    }
  });
});

describe('ends', () => {
  it('after destroy the other side gets what the network had taken, or a part of it and a reset', async () => {
    const ends = new Set<string>();
    for (let seed = 1; seed <= 60; seed++) {
      const rig = new Rig(2, seed, { window: 1000 });
      const [near, far] = await rig.pair(1, 2);
      near.write(sample(800));
      near.write(sample(800, 1));
      near.socket.destroy();
      await rig.pass(1000);
      expect(isPrefix(far.bytes, Uint8Array.from([...sample(800), ...sample(800, 1)]))).toBe(true);
      expect(far.told).toHaveLength(1);
      if (far.told[0] === 'ended') expect(far.count).toBe(1000);
      ends.add(far.told[0]);
      expect(near.told).toEqual(['opened', 'closed: ']);
    }
    expect([...ends].sort()).toEqual(['closed: read ECONNRESET', 'ended']);
  });

  it('who goes on writing to a side that has destroyed its end is reset', async () => {
    const rig = new Rig(2, 1);
    const [near, far] = await rig.pair(1, 2);
    near.socket.destroy();
    await rig.until(() => far.told.length > 0, 'an end');
    expect(far.told).toEqual(['ended']);
    far.write(sample(10));
    await rig.until(() => far.told.length > 1, 'the reset');
    expect(far.reason).toBe('read ECONNRESET');
    expect(rig.network.connections()).toEqual([]);
  });

  it('an attempt that a cut holds is gone as soon as it is given up', async () => {
    const rig = new Rig(2, 1);
    await rig.listen(2);
    rig.network.cut(1, 2);
    const near = rig.dial(1, 2);
    await rig.pass(100);
    expect(rig.network.connections()).toMatchObject([{ from: 1, to: 2, port: 1000, stands: false }]);
    near.socket.destroy();
    expect(rig.network.connections()).toEqual([]);
    rig.network.heal();
    await rig.pass(1000);
    expect([near.told, rig.accepted[2]]).toEqual([['closed: '], []]);
  });

  it('an attempt that is given up leaves nothing, at any moment of it', async () => {
    for (let ms = 0; ms < 8; ms++) {
      const rig = new Rig(2, ms, { latency: { min: 2, max: 2 } });
      await rig.listen(2);
      const near = rig.dial(1, 2);
      await rig.pass(ms);
      near.socket.destroy();
      await rig.pass(100);
      expect(near.reason).toBe('');
      for (const far of rig.accepted[2]) {
        expect(far.told).toHaveLength(1);
        far.socket.destroy();
      }
      await rig.pass(100);
      expect(rig.network.connections()).toEqual([]);
    }
  });
});
