import type { ElectionMessage } from '../zab/messages.ts';
import { check, same } from './conformance.ts';
import type { TransportBench, TransportCases } from './transport-bench.ts';
import type { Station } from './transport-kit.ts';
import { basicMessages, leaders, notifications, shownElection, vote } from './transport-samples.ts';

/** Every message may come again when its link is made anew; otherwise the order is that of sending, and the newest comes last. */
function checkOrder(station: Station, from: number, newest: number): void {
  const seen = leaders(station.from(from));
  check(
    seen.every((leader, i) => i === 0 || leader >= seen[i - 1]),
    `messages in the order ${seen.join(', ')}`,
  );
  same(seen.at(-1), newest, 'the last message');
}

/** Waits until the newest message from one server is there. */
async function newest(bench: TransportBench, station: Station, from: number, leader: number): Promise<void> {
  await bench.until(() => leaders(station.from(from)).at(-1) === leader, `the newest message from ${from} has come to ${station.self.id}`);
  checkOrder(station, from, leader);
}

async function bothUp(bench: TransportBench, a: Station, b: Station): Promise<void> {
  await bench.until(() => a.isUp(b.self.id) && b.isUp(a.self.id), 'the election link is up on both sides');
  for (const [one, other] of [
    [a, b],
    [b, a],
  ])
    await bench.until(() => one.ups.includes(`${other.self.id} up`), 'that the link is up has been told');
}

/** Each message in turn, and the next only when it has come. */
async function carries(bench: TransportBench, from: Station, to: Station, messages: readonly ElectionMessage[]): Promise<void> {
  for (const [i, line] of shownElection(messages).entries()) {
    from.sendElection(to.self.id, messages[i]);
    const came = (): string[] => shownElection(to.from(from.self.id));
    await bench.until(() => to.from(from.self.id).length > 0 && came().at(-1) === line, `message ${i} has come: ${line.slice(0, 200)}`);
  }
}

/** Election links. */
export const ELECTION_CASES: TransportCases = {
  async 'an election message finds its way, whoever has the larger id'(bench) {
    for (const [from, to] of [
      [1, 2],
      [2, 1],
    ]) {
      const pair = await bench.pair();
      const [sender, receiver] = from === 1 ? pair : [pair[1], pair[0]];
      sender.sendElection(to, vote(from));
      await newest(bench, receiver, from, from);
      await bothUp(bench, sender, receiver);
      receiver.sendElection(from, vote(9));
      await newest(bench, sender, to, 9);
      for (const station of pair) await bench.close(station);
    }
  },

  async 'notifications of every form arrive as they were sent'(bench) {
    const [a, b] = await bench.pair();
    await carries(bench, a, b, notifications());
    await carries(bench, b, a, notifications());
  },

  async 'the messages of the basic election arrive as they were sent'(bench) {
    const [a, b] = await bench.pair({ election: 'basic' });
    await carries(bench, a, b, basicMessages());
    await carries(bench, b, a, basicMessages());
  },

  async 'without a link the newest message alone waits, and goes out when the other one comes'(bench) {
    const a = await bench.open(1);
    const c = await bench.open(3);
    for (let leader = 1; leader <= 5; leader++) for (const station of [a, c]) station.sendElection(2, vote(leader));
    await bench.until(() => [a, c].every((station) => station.ups.includes('2 down')), 'the failed attempts have been told');
    check(!a.isUp(2) && !c.isUp(2), 'a link to nobody is up');
    const b = await bench.open(2);
    for (const station of [a, c]) {
      await newest(bench, b, station.self.id, 5);
      same([...new Set(leaders(b.from(station.self.id)))], [5], 'messages');
      await bothUp(bench, station, b);
    }
  },

  async 'while the link is up messages arrive in order, and the newest in any case'(bench) {
    const [a, b] = await bench.pair();
    a.sendElection(2, vote(1));
    await bothUp(bench, a, b);
    for (let burst = 1; burst <= 20; burst++) {
      for (let i = 0; i < 10; i++) a.sendElection(2, vote(10 * burst + i));
      if (burst % 2 === 0) await bench.turn();
    }
    await newest(bench, b, 1, 209);
    for (let leader = 210; leader < 220; leader++) {
      a.sendElection(2, vote(leader));
      await newest(bench, b, 1, leader);
    }
  },

  async 'messages may be sent from inside the calls of the handler'(bench) {
    const a = await bench.open(1);
    a.react.election = () => {
      if (a.elections.length < 30) a.sendElection(2, vote(a.elections.length));
    };
    a.react.electionLink = (_, up) => {
      if (up) a.sendElection(2, vote(0));
    };
    a.reconnectElection();
    const b = await bench.open(2);
    b.react.election = () => b.sendElection(1, vote(b.elections.length));
    b.sendElection(1, vote(0));
    await bench.until(() => a.elections.length >= 30, '30 messages have gone to and fro');
  },

  async 'a link that goes is told on the other side, and comes back with the last message'(bench) {
    for (const [own, other] of [
      [1, 2],
      [2, 1],
    ]) {
      const stays = await bench.open(own);
      const goes = await bench.open(other);
      stays.sendElection(other, vote(7));
      await newest(bench, goes, own, 7);
      await bothUp(bench, stays, goes);
      await bench.close(goes);
      await bench.until(() => stays.ups.at(-1) === `${other} down` && !stays.isUp(other), 'the loss has been told');
      // Nobody asks for the link now.
      const back = await bench.open(other);
      await newest(bench, back, own, 7);
      await bothUp(bench, stays, back);
      await bench.close(stays);
      await bench.close(back);
    }
  },

  async 'reconnectElection connects to everybody, though nothing was sent'(bench) {
    const [a, b] = await bench.pair();
    a.reconnectElection();
    await bothUp(bench, a, b);
    await bench.until(() => a.ups.includes('3 down'), 'the failed attempt has been told');
    same([a.elections.length, b.elections.length], [0, 0], 'messages');
    const c = await bench.open(3);
    a.reconnectElection();
    await bothUp(bench, a, c);
    b.reconnectElection();
    b.reconnectElection();
    await bothUp(bench, b, c);
    await bench.settle();
    check(a.isUp(2) && a.isUp(3) && b.isUp(1), 'reconnectElection has broken a link that stood');
  },

  async 'a whole ensemble connects, all talking at once'(bench) {
    const ids = [1, 2, 3, 4, 5];
    await bench.ensemble(ids);
    const all: Station[] = [];
    for (const id of ids) all.push(await bench.open(id));
    const pairs = all.flatMap((a) => all.filter((b) => b !== a).map((b) => [a, b] as const));
    for (const [a, b] of pairs) a.sendElection(b.self.id, vote(a.self.id));
    await bench.until(() => pairs.every(([a, b]) => b.from(a.self.id).length > 0), 'everybody has heard everybody');
    await bench.until(() => pairs.every(([a, b]) => a.isUp(b.self.id)), 'all links are up');
    for (const [a, b] of pairs) a.sendElection(b.self.id, vote(100 + a.self.id));
    for (const [a, b] of pairs) await newest(bench, b, a.self.id, 100 + a.self.id);
  },

  async 'a transport may close when it is told of a link'(bench) {
    for (const [own, other] of [
      [1, 2],
      [2, 1],
    ]) {
      const closes = await bench.open(own);
      let done = false;
      closes.react.electionLink = (_, up) => {
        if (up && !closes.closed)
          closes.close(() => {
            done = true;
          });
      };
      closes.sendElection(other, vote(1));
      const stays = await bench.open(other);
      await bench.until(() => done, 'the close has called back');
      await bench.until(() => !stays.isUp(own), 'the other side has no link');
      await bench.settle();
      check(stays.ups.at(-1) !== `${own} up`, 'the last that the other side was told of the link is that it is up');
      await bench.close(stays);
    }
  },

  async 'nothing is sent to an unknown id, nor to oneself'(bench) {
    const [a, b] = await bench.pair();
    for (const id of [9, 1, 0, 255]) {
      a.sendElection(id, vote(1));
      check(!a.isUp(id), `a link to ${id} is up`);
    }
    await bench.settle();
    const told = a.ups.filter((what) => !/^[23] /.test(what));
    same([told, a.elections, b.elections], [[], [], []], 'what was told');
    a.sendElection(2, vote(2));
    await newest(bench, b, 1, 2);
  },
};
