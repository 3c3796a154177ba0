import { check, same } from './conformance.ts';
import type { TransportCases } from './transport-bench.ts';
import type { LinkLog } from './transport-kit.ts';
import { ack, acks, counters } from './transport-samples.ts';

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** What has come is the beginning of what was sent. */
function checkPrefix(log: LinkLog, what: string): void {
  same(counters(log.got), numbers(1, log.got.length), what);
}

/** Quorum links: order, what is told and when, and their ends. */
export const LINK_CASES: TransportCases = {
  async 'messages arrive in order both ways, those sent before the link stands too'(bench) {
    const [a, b] = await bench.pair();
    const out = a.dial(2);
    out.send(...acks(1, 500));
    check(out.link.buffered > 0, 'nothing is buffered of 500 messages on a link that does not stand yet');
    same([b.accepted.length, out.ends.length], [0, 0], 'what was told in the same turn');
    await bench.until(() => b.accepted.length === 1, 'the link has come in');
    const inn = b.accepted[0];
    for (let turn = 0; turn < 20; turn++) {
      out.send(...acks(501 + 10 * turn, 510 + 10 * turn));
      inn.send(...acks(1 + 10 * turn, 10 + 10 * turn));
      await bench.turn();
    }
    await bench.until(() => inn.got.length >= 700 && out.got.length >= 200, 'all has arrived');
    await bench.settle();
    same(counters(inn.got), numbers(1, 700), 'what came to the one that was dialled');
    same(counters(out.got), numbers(1, 200), 'what came to the one that dialled');
  },

  async 'messages may be sent from inside every call of a handler'(bench) {
    const [a, b] = await bench.pair();
    b.react.incoming = (log) => {
      log.send(ack(1));
      log.react = { messages: () => log.send(ack(log.got.length + 1)) };
    };
    const out = a.dial(2);
    out.react = { messages: () => out.got.length < 100 && out.send(ack(out.got.length)) };
    await bench.until(() => out.got.length >= 100, '100 messages have gone to and fro');
    await bench.settle();
    checkPrefix(out, 'answers');
    checkPrefix(b.accepted[0], 'questions');
  },

  async 'drained is told when all has been taken, and only then'(bench) {
    const [a, b] = await bench.pair();
    const [out, inn] = await bench.link(a, b);
    await bench.settle();
    same([out.drains, inn.drains], [0, 0], 'drains with nothing sent');
    out.send(ack(1));
    check(out.link.buffered > 0, 'nothing is buffered of a message sent in this turn');
    await bench.until(() => out.drains > 0, 'one message has drained');
    same(out.link.buffered, 0, 'bytes buffered');
    const { drains } = out;
    await bench.settle();
    same(out.drains, drains, 'drains with nothing more sent');
    let again = 0;
    out.react = { drained: () => again++ < 50 && out.send(ack(1 + again)) };
    out.send(ack(0));
    await bench.until(() => inn.got.length >= 52 && again > 50, 'each message sent in `drained` has drained');
    same(out.link.buffered, 0, 'bytes buffered in the end');
  },

  async 'a close is told to the other side once, and not to the one that closed'(bench) {
    const [a, b] = await bench.pair();
    for (const closer of ['dialled', 'accepted'] as const) {
      const [out, inn] = await bench.link(a, b);
      out.send(ack(1));
      inn.send(ack(1));
      await bench.until(() => inn.got.length === 1 && out.got.length === 1, 'the link works');
      const [own, other] = closer === 'dialled' ? [out, inn] : [inn, out];
      own.close();
      own.close();
      own.send(ack(2));
      other.send(ack(3));
      await bench.until(() => other.ends.length > 0, 'the close has been told');
      other.send(ack(4));
      other.close();
      await bench.settle();
      same([own.ends.length, other.ends.length, own.got.length, other.got.length], [0, 1, 1, 1], 'ends and messages');
    }
  },

  async 'before a close comes the beginning of what was sent, after it nothing'(bench) {
    const [a, b] = await bench.pair();
    for (const wait of [0, 1]) {
      const [out, inn] = await bench.link(a, b);
      out.send(...acks(1, 300));
      await bench.until(() => inn.got.length >= wait, 'something has come');
      out.send(...acks(301, 600));
      out.close();
      out.send(ack(601));
      await bench.until(() => inn.ends.length > 0, 'the close has been told');
      checkPrefix(inn, 'what came before the close');
      await bench.settle();
    }
  },

  async 'a link may be closed before it stands'(bench) {
    const [a, b] = await bench.pair();
    const before = a.dial(2);
    before.send(ack(1));
    before.close();
    const later = a.dial(2);
    await bench.turn();
    later.close();
    for (const peer of [3, 9]) a.dial(peer).close();
    await bench.settle();
    await bench.until(() => b.accepted.every((log) => log.ends.length === 1), 'what came in of it has ended');
    const [out, inn] = await bench.link(a, b);
    out.send(ack(1));
    await bench.until(() => inn.got.length === 1, 'the next link works');
  },

  async 'a link may be closed from inside each call of its handler'(bench) {
    const [a, b] = await bench.pair();
    b.react.incoming = (log) => {
      log.send(ack(1));
      log.close();
    };
    const refused = a.dial(2);
    refused.send(ack(1));
    await bench.until(() => refused.ends.length > 0, 'a link closed in `incoming` has ended');
    checkPrefix(refused, 'what was sent in `incoming`');
    b.react = {};
    const closeInside = { messages: (log: LinkLog) => log.close(), drained: (log: LinkLog) => log.close() };
    for (const call of ['messages', 'drained'] as const) {
      const [out, inn] = await bench.link(a, b);
      const [own, other] = call === 'messages' ? [inn, out] : [out, inn];
      own.react = { [call]: closeInside[call] };
      for (let i = 1; i <= 10; i++) {
        out.send(...acks(100 * i - 99, 100 * i));
        await bench.turn();
      }
      await bench.until(() => other.ends.length > 0, `a link closed in \`${call}\` has ended`);
    }
    const [out, inn] = await bench.link(a, b);
    out.react = {
      closed: () => {
        out.send(ack(1));
        out.close();
        a.dial(2).send(ack(77));
      },
    };
    inn.close();
    await bench.until(() => b.accepted.at(-1)?.got.length === 1, 'the link dialled in `closed` works');
  },

  async 'both sides may close at once'(bench) {
    const [a, b] = await bench.pair();
    for (let i = 0; i < 5; i++) {
      const [out, inn] = await bench.link(a, b);
      out.send(ack(1));
      inn.send(ack(1));
      for (const log of i % 2 === 0 ? [out, inn] : [inn, out]) log.close();
      await bench.settle(10);
      same([out.ends.length, inn.ends.length], [0, 0], 'ends told');
    }
  },

  async 'links between the same servers have nothing to do with each other'(bench) {
    const [a, b] = await bench.pair();
    const pairs = [await bench.link(a, b), await bench.link(a, b), await bench.link(b, a)];
    for (const [i, [out, inn]] of pairs.entries()) {
      out.send(...acks(1, 10 * (i + 1)));
      inn.send(ack(1));
    }
    pairs[1][0].close();
    await bench.until(() => pairs[1][1].ends.length > 0, 'the close has been told');
    for (const [out] of [pairs[0], pairs[2]]) out.send(ack(1000));
    await bench.until(() => pairs[0][1].got.length === 11 && pairs[2][1].got.length === 31, 'the others go on');
    for (const [out, inn] of [pairs[0], pairs[2]]) same([out.got.length, out.ends.length, inn.ends.length], [1, 0, 0], 'the others');
  },

  async 'to dial nobody, or an unknown id, ends with closed'(bench) {
    const [a] = await bench.pair();
    const logs = [3, 9, 200].map((peer) => a.dial(peer));
    for (const log of logs) log.send(ack(1));
    same(
      logs.map((log) => log.ends.length),
      [0, 0, 0],
      'ends told in the same turn',
    );
    await bench.until(() => logs.every((log) => log.ends.length > 0), 'every attempt has failed');
    for (const log of logs) {
      log.send(ack(2));
      log.close();
    }
    await bench.settle();
    same(
      logs.map((log) => [log.ends.length, log.got.length]),
      [
        [1, 0],
        [1, 0],
        [1, 0],
      ],
      'ends and messages',
    );
  },

  async 'a link says who is on its other side'(bench) {
    const [a, b] = await bench.pair();
    for (const log of [...(await bench.link(a, b)), a.dial(9)])
      check(typeof log.link.remote === 'string' && log.link.remote !== '', 'an empty `remote`');
  },
};
