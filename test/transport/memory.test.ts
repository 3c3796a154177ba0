import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../src/seams/clock.ts';
import type { ServerAddress } from '../../src/seams/transport.ts';
import { type LinkLog, openStation, Referee, Station } from '../../src/testing/transport-kit.ts';
import { ack, counters } from '../../src/testing/transport-samples.ts';
import { MemoryNetwork } from '../../src/transport/memory.ts';
import type { ElectionMessage } from '../../src/zab/messages.ts';

/** Time that moves only when told to. */
class VirtualClock implements Clock {
  #now = 0;
  #seq = 0;
  #timers: { at: number; seq: number; fn: () => void }[] = [];

  now = (): number => this.#now;
  wall = (): number => this.#now;
  setTimer(ms: number, fn: () => void): unknown {
    const timer = { at: this.#now + ms, seq: this.#seq++, fn };
    this.#timers.push(timer);
    return timer;
  }
  clearTimer(handle: unknown): void {
    this.#timers = this.#timers.filter((timer) => timer !== handle);
  }
  defer(fn: () => void): void {
    this.setTimer(0, fn);
  }
  /** Runs everything that is due within the next `ms`. */
  run(ms = 0): void {
    const until = this.#now + ms;
    for (;;) {
      const next = this.#timers.filter((t) => t.at <= until).sort((a, b) => a.at - b.at || a.seq - b.seq)[0];
      if (next === undefined) break;
      this.clearTimer(next);
      this.#now = Math.max(this.#now, next.at);
      next.fn();
    }
    this.#now = until;
  }
}

const servers: ServerAddress[] = [1, 2, 3].map((id) => ({ id, host: 'memory', quorumPort: 1, electionPort: 2 }));
const vote = (xid: number): ElectionMessage => ({ kind: 'voteRequest', xid });
const numbers = (log: LinkLog): number[] => counters(log.got);

let clock: VirtualClock;
let network: MemoryNetwork;
let one: Station;
let two: Station;
let three: Station;

function open(id: number): Station {
  const station = new Station(servers[id - 1], new Referee());
  openStation(network.transport(), station, { servers, clock, connectTimeout: 500 }, (error) => expect(error).toBeNull());
  clock.run();
  return station;
}

beforeEach(() => {
  clock = new VirtualClock();
  network = new MemoryNetwork(clock);
  one = open(1);
  two = open(2);
  three = open(3);
});

afterEach(() => {
  for (const station of [one, two, three]) station.referee.check();
});

/** A link from `a` to `b` that stands. */
function linked(a: Station, b: Station): [LinkLog, LinkLog] {
  const out = a.dial(b.self.id);
  clock.run(1000);
  return [out, b.accepted[b.accepted.length - 1]];
}

describe('delays', () => {
  it('messages of one turn come as one batch, by reference, when their time has come', () => {
    const [out, inn] = linked(one, two);
    network.setDelay(20);
    const message = ack(1);
    out.link.send(message);
    out.link.send(ack(2));
    clock.run(19);
    expect(inn.got).toEqual([]);
    expect(out.link.buffered).toBeGreaterThan(0);
    clock.run(1);
    expect(numbers(inn)).toEqual([1, 2]);
    expect(inn.got[0]).toBe(message);
    expect([inn.batches, out.drains, out.link.buffered]).toEqual([1, 1, 0]);
  });

  it('order is kept when the delay shrinks, and each direction has its own', () => {
    const [out, inn] = linked(one, two);
    network.setDelay((from) => (from === 1 ? 50 : 5));
    out.link.send(ack(1));
    inn.link.send(ack(9));
    network.setDelay(1);
    clock.run(1);
    out.link.send(ack(2));
    clock.run(10);
    expect(numbers(inn)).toEqual([]);
    expect(numbers(out)).toEqual([9]);
    clock.run(40);
    expect(numbers(inn)).toEqual([1, 2]);
  });

  it('connecting takes a round trip', () => {
    network.setDelay(10);
    const out = one.dial(2);
    out.link.send(ack(1));
    clock.run(19);
    expect(two.accepted.length).toBe(0);
    clock.run(1);
    expect(two.accepted.length).toBe(1);
  });

  it('a close comes behind what was sent before it', () => {
    const [out, inn] = linked(one, two);
    network.setDelay(10);
    out.link.send(ack(1));
    out.link.close('done');
    clock.run(9);
    expect(inn.ends).toEqual([]);
    clock.run(1);
    expect([numbers(inn), inn.ends.length]).toEqual([[1], 1]);
  });
});

describe('cuts', () => {
  it('break links on both sides, lose what was on its way, and refuse new ones until healed', () => {
    const [out, inn] = linked(one, two);
    const [other] = linked(one, three);
    network.setDelay(10);
    out.link.send(ack(1));
    network.cut(1, 2);
    expect([...out.ends, ...inn.ends]).toEqual([]);
    clock.run(100);
    expect([out.ends.length, inn.ends.length, other.ends.length, inn.got.length]).toEqual([1, 1, 0, 0]);
    const refused = one.dial(2);
    clock.run(100);
    expect(refused.ends).toEqual(['network unreachable']);
    network.heal();
    expect(linked(one, two)[0].ends).toEqual([]);
  });

  it('with stall, links stay and what was sent arrives after healing, in order', () => {
    const [out, inn] = linked(one, two);
    network.cut(1, 2, { stall: true });
    out.link.send(ack(1));
    inn.link.send(ack(5));
    clock.run(60_000);
    out.link.send(ack(2));
    clock.run();
    expect([inn.got, out.got, out.ends]).toEqual([[], [], []]);
    expect(out.link.buffered).toBeGreaterThan(0);
    const waiting = one.dial(2);
    clock.run(499);
    expect(waiting.ends).toEqual([]);
    clock.run(1);
    expect(waiting.ends).toEqual(['connect timeout']);
    network.heal();
    clock.run();
    expect([numbers(inn), numbers(out)]).toEqual([[1, 2], [5]]);
    expect(out.link.buffered).toBe(0);
  });

  it('one way, hold up only that direction', () => {
    const [out, inn] = linked(one, two);
    network.cut(1, 2, { oneWay: true });
    out.link.send(ack(1));
    inn.link.send(ack(2));
    clock.run(100);
    expect([numbers(inn), numbers(out)]).toEqual([[], [2]]);
    network.heal();
    clock.run();
    expect(numbers(inn)).toEqual([1]);
  });

  it('a partition separates the groups only, an isolation one server', () => {
    const [ab] = linked(one, two);
    const [ac] = linked(one, three);
    const [bc] = linked(two, three);
    network.partition([1, 2], [3]);
    clock.run();
    expect([ab.ends.length, ac.ends.length, bc.ends.length]).toEqual([0, 1, 1]);
    network.isolate(1);
    clock.run();
    expect(ab.ends.length).toBe(1);
  });
});

describe('elections', () => {
  it('links break with a cut, come back with healing, and the last message is sent again', () => {
    one.open.sendElection(2, vote(1));
    clock.run();
    expect(two.elections).toEqual([{ from: 1, message: vote(1) }]);
    network.cut(1, 2);
    clock.run();
    expect([one.ups, two.ups]).toEqual([
      ['2 up', '2 down', '2 down'],
      ['1 up', '1 down'],
    ]);
    one.open.sendElection(2, vote(2));
    one.open.sendElection(2, vote(3));
    clock.run();
    expect(one.open.electionLinkUp(2)).toBe(false);
    network.heal();
    clock.run();
    expect(two.elections.map((e) => e.message)).toEqual([vote(1), vote(3)]);
    expect(one.open.electionLinkUp(2)).toBe(true);
  });

  it('all messages come while the link is up, in order, with their delay', () => {
    one.open.sendElection(2, vote(1));
    clock.run();
    network.setDelay(10);
    for (let i = 2; i < 5; i++) one.open.sendElection(2, vote(i));
    clock.run(9);
    expect(two.elections.length).toBe(1);
    clock.run(1);
    expect(two.elections.map((e) => e.message)).toEqual([vote(1), vote(2), vote(3), vote(4)]);
  });

  it('a server that comes back is not called by those whom only its former self has called', () => {
    one.open.sendElection(2, vote(1));
    clock.run();
    one.open.close(() => {});
    clock.run();
    one = open(1);
    clock.run();
    expect([one.ups, two.ups]).toEqual([[], ['1 up', '1 down']]);
  });
});
