import { check, same } from './conformance.ts';
import type { TransportCases } from './transport-bench.ts';
import { ack, acks, counters, leaders, vote } from './transport-samples.ts';

/** Connections that break, and none that can be made. */
export const CUT_CASES: TransportCases = {
  async 'a link that breaks is told on both sides once, and nothing of it comes later'(bench) {
    const [a, b] = await bench.pair();
    const c = await bench.open(3);
    const [out, inn] = await bench.link(a, b);
    const [other, otherInn] = await bench.link(a, c);
    out.send(...acks(1, 10));
    await bench.until(() => inn.got.length === 10, 'the link works');
    out.send(...acks(11, 500));
    inn.send(...acks(1, 500));
    bench.cut(1, 2);
    await bench.until(() => out.ends.length > 0 && inn.ends.length > 0, 'both sides have been told');
    for (const log of [out, inn]) {
      same(
        counters(log.got),
        log.got.map((_, i) => i + 1),
        'what came before the break',
      );
      log.send(ack(600));
    }
    const refused = a.dial(2);
    await bench.until(() => refused.ends.length > 0, 'a link cannot be made');
    bench.heal();
    await bench.settle();
    const [again, innAgain] = await bench.link(a, b);
    again.send(ack(700));
    other.send(ack(700));
    await bench.until(() => innAgain.got.length > 0 && otherInn.got.length > 0, 'the new link works, and that to another server');
    same([counters(innAgain.got), out.ends.length, inn.ends.length, other.ends.length], [[700], 1, 1, 0], 'messages and ends');
  },

  async 'a link closed by its owner when it has broken, but was not told yet, stays silent'(bench) {
    const [a, b] = await bench.pair();
    const [out, inn] = await bench.link(a, b);
    bench.cut(1, 2);
    out.close();
    await bench.until(() => inn.ends.length > 0, 'the other side has been told');
    await bench.settle();
    same([out.ends.length, inn.ends.length], [0, 1], 'ends told');
  },

  async 'an election link that breaks comes back by itself, with the newest message'(bench) {
    const [a, b] = await bench.pair();
    a.sendElection(2, vote(1));
    b.sendElection(1, vote(1));
    await bench.until(() => a.elections.length > 0 && b.elections.length > 0, 'both have heard each other');
    bench.cut(1, 2);
    await bench.until(() => a.ups.at(-1) === '2 down' && b.ups.at(-1) === '1 down', 'both have been told');
    const before = b.elections.length;
    a.sendElection(2, vote(2));
    a.sendElection(2, vote(3));
    await bench.settle();
    check(!a.isUp(2) && !b.isUp(1), 'a link is up through a cut');
    bench.heal();
    await bench.until(() => b.elections.length > before && a.isUp(2) && b.isUp(1), 'the link is up again');
    await bench.until(() => leaders(b.from(1)).at(-1) === 3, 'the newest message has come');
    same([...new Set(leaders(b.from(1).slice(before)))], [3], 'messages after the break');
  },

  async 'a transport closes in the midst of a cut'(bench) {
    const [a, b] = await bench.pair();
    const [out, inn] = await bench.link(a, b);
    a.sendElection(2, vote(1));
    await bench.until(() => b.isUp(1), 'the election link is up');
    out.send(...acks(1, 100));
    bench.cut(1, 2);
    await bench.close(a);
    await bench.until(() => inn.ends.length === 1 && !b.isUp(1), 'the other side has been told');
    bench.heal();
    await bench.open(1);
    await bench.until(() => inn.ends.length === 1, 'nothing more is told');
  },
};

/** Silence: nothing breaks and nothing comes. */
export const STALL_CASES: TransportCases = {
  async 'an attempt to connect that gets no answer is given up in time'(bench) {
    const connectTimeout = 300;
    const [a] = await bench.pair({ connectTimeout });
    bench.stall(1, 2);
    const start = bench.clock.now();
    const out = a.dial(2);
    out.send(ack(1));
    a.sendElection(2, vote(1));
    await bench.until(() => out.ends.length > 0 && a.ups.includes('2 down'), 'both attempts have been given up');
    const took = bench.clock.now() - start;
    check(took < 5 * connectTimeout, `an attempt was given up after ${took} ms instead of ${connectTimeout}`);
    bench.heal();
  },

  async 'what was held up comes in order when the silence ends'(bench) {
    const [a, b] = await bench.pair();
    const [out, inn] = await bench.link(a, b);
    out.send(ack(1));
    await bench.until(() => inn.got.length === 1, 'the link works');
    bench.stall(1, 2);
    for (let i = 0; i < 10; i++) {
      out.send(...acks(2 + 50 * i, 51 + 50 * i));
      inn.send(...acks(1 + 50 * i, 50 + 50 * i));
      await bench.settle(10);
    }
    same([inn.got.length, out.got.length, out.ends.length, inn.ends.length], [1, 0, 0, 0], 'what was told in the silence');
    bench.heal();
    await bench.until(() => inn.got.length >= 501 && out.got.length >= 500, 'all has come');
    const expected = Array.from({ length: 501 }, (_, i) => i + 1);
    same([counters(inn.got), counters(out.got)], [expected, expected.slice(0, 500)], 'order');
    await bench.until(() => out.drains > 0 && out.link.buffered === 0, 'it has drained');
  },

  async 'a transport closes in the midst of silence'(bench) {
    const [a, b] = await bench.pair({ connectTimeout: 300 });
    const [out, inn] = await bench.link(a, b);
    bench.stall(1, 2);
    out.send(...acks(1, 100));
    a.dial(2).send(ack(1));
    b.dial(1);
    a.sendElection(2, vote(1));
    await bench.turn();
    await bench.close(a);
    bench.heal();
    await bench.until(() => inn.ends.length === 1, 'the other side has been told');
  },
};
