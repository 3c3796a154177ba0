import { check, same } from './conformance.ts';
import type { TransportCases } from './transport-bench.ts';
import { ack, leaders, vote } from './transport-samples.ts';

/** A transport from its opening to its close. */
export const LIFE_CASES: TransportCases = {
  async 'open calls back once, and nothing is told before'(bench) {
    const a = await bench.open(1);
    const b = await bench.open(2);
    await bench.settle();
    same([a.accepted.length, a.elections.length, b.accepted.length, b.elections.length], [0, 0, 0, 0], 'what was told');
  },

  async 'of two at one address the second gets an error, and the first goes on'(bench) {
    const first = await bench.open(1);
    await bench.refused(1);
    const other = await bench.open(2);
    const [out, inn] = await bench.link(other, first);
    out.send(ack(1));
    await bench.until(() => inn.got.length === 1, 'the first one works');
    other.sendElection(1, vote(2));
    await bench.until(() => first.elections.length > 0, 'the first one takes election messages');
    await bench.close(first);
    const second = await bench.open(1);
    await bench.link(other, second);
  },

  async 'it can be opened again at its address after a close, often'(bench) {
    const other = await bench.open(2);
    await bench.close(await bench.open(1));
    const transport = bench.transport(1);
    for (let i = 0; i < 5; i++) {
      const station = await bench.open(1, {}, transport);
      const [out, inn] = await bench.link(other, station);
      out.send(ack(1));
      const [back, there] = await bench.link(station, other);
      back.send(ack(1));
      await bench.until(() => inn.got.length === 1 && there.got.length === 1, 'links work both ways');
      await bench.close(station);
    }
  },

  async 'a close breaks the links on the other sides, and tells nothing here'(bench) {
    const [a, b] = await bench.pair();
    const [out, inn] = await bench.link(a, b);
    const [fromB, atA] = await bench.link(b, a);
    out.send(ack(1));
    await bench.until(() => inn.got.length === 1, 'the link works');
    fromB.send(ack(1));
    await bench.close(b);
    await bench.until(() => out.ends.length > 0 && atA.ends.length > 0, 'both links have ended');
    const again = a.dial(2);
    await bench.until(() => again.ends.length > 0, 'nobody listens there any more');
    await bench.settle();
    same([out.ends.length, atA.ends.length, inn.ends.length, fromB.ends.length], [1, 1, 0, 0], 'ends told');
  },

  async 'after a close no call does anything'(bench) {
    const [a, b] = await bench.pair();
    const [out] = await bench.link(a, b);
    a.sendElection(2, vote(1));
    await bench.until(() => a.isUp(2), 'an election link is up');
    const closed = bench.close(a);
    for (let round = 0; round < 2; round++) {
      check(!a.isUp(2), 'an election link is up after the close');
      a.sendElection(2, vote(5));
      a.reconnectElection();
      out.send(ack(9));
      out.close();
      const dead = a.dial(2);
      dead.send(ack(1));
      check(typeof dead.link.remote === 'string' && dead.link.buffered >= 0, 'what dial gives is no link');
      a.dial(9).close();
      dead.close();
      if (round === 0) await closed;
    }
    await bench.settle();
    same([leaders(b.from(1)).includes(5), b.accepted.length], [false, 1], 'what came to the other server');
  },

  async 'every call of close calls back once'(bench) {
    const [a] = await bench.pair();
    let done = 0;
    for (let i = 0; i < 3; i++) a.close(() => done++);
    await bench.until(() => done >= 3, 'every close has called back');
    a.close(() => done++);
    await bench.until(() => done >= 4, 'a close of what is closed has called back');
    await bench.settle();
    same(done, 4, 'callbacks');
  },

  async 'a close leaves nothing of what is under way'(bench) {
    const b = await bench.open(2);
    for (let turns = 0; turns < 4; turns++) {
      const a = await bench.open(1);
      for (const peer of [2, 3, 9]) {
        a.dial(peer).send(ack(1));
        a.sendElection(peer, vote(turns));
      }
      b.sendElection(1, vote(2));
      b.dial(1).send(ack(1));
      for (let i = 0; i < turns; i++) await bench.turn();
      await bench.close(a);
      await bench.until(() => b.accepted.every((log) => log.ends.length === 1), 'what came in has ended');
    }
    const a = await bench.open(1);
    const [out, inn] = await bench.link(a, b);
    out.send(ack(1));
    await bench.until(() => inn.got.length === 1, 'the next one works');
  },

  async 'a close may come from inside each call of a handler'(bench) {
    const b = await bench.open(2);
    for (const call of ['incoming', 'messages', 'closed', 'drained', 'election', 'electionLink'] as const) {
      const a = await bench.open(1);
      const [out, inn] = await bench.link(a, b);
      let done = false;
      const close = (): void => {
        if (!a.closed)
          a.close(() => {
            done = true;
          });
      };
      if (call === 'incoming' || call === 'election' || call === 'electionLink') a.react[call] = close;
      else out.react[call] = close;
      if (call === 'incoming') b.dial(1).send(ack(1));
      if (call === 'messages') for (let i = 1; i <= 5; i++) inn.send(ack(i));
      if (call === 'closed') inn.close();
      if (call === 'drained') out.send(ack(1));
      if (call === 'election') for (const leader of [1, 2, 3]) b.sendElection(1, vote(leader));
      if (call === 'electionLink') a.reconnectElection();
      await bench.until(() => done, `the close in \`${call}\` has called back`);
      await bench.until(() => call === 'closed' || inn.ends.length === 1, 'the other side has been told');
      await bench.settle(10);
    }
  },
};
