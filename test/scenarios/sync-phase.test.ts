import { expect, test } from 'vitest';
import { makeZxid } from '../../src/model/zxid.ts';
import { describeMessage } from '../../src/testing/describe.ts';
import { finale } from '../../src/testing/finale.ts';
import { createSimulation, type Simulation } from '../../src/testing/simulation.ts';
import type { SendFilter } from '../../src/testing/taps.ts';
import { Packet, type QuorumMessage } from '../../src/zab/messages.ts';
import { ACTOR, playFollower } from './actor.ts';
import { linesOf } from './kit.ts';
import { Held, Seen, startOnly } from './seen.ts';

/*
 * Server 3 leads with server 2; server 1 joins late, while writes are under way. What of them comes before, between and behind the packets of its synchronisation
 * is decided by what is held back of 2's acknowledgements and of 3's packets to 1.
 */

interface Late {
  readonly sim: Simulation;
  readonly seen: Seen;
  /** ACKs of server 2 that are kept back. */
  readonly acks: Held;
  /** Index of the first line of the late join. */
  readonly from: number;
  /** Makes a write that stays outstanding for as long as the ACKs are kept. */
  outstanding(path: string): Promise<void>;
}

/** Server 1 has /a, was away while /b and /c were committed, and is about to start. */
async function beforeLateJoin(seed: number): Promise<Late> {
  const sim = createSimulation({ seed });
  const seen = new Seen(sim);
  await startOnly(sim, [1, 2, 3]);
  expect(sim.leader).toBe(3);
  const session = await sim.openSession(3);
  await session.create('/a');
  await sim.until(() => seen.count('applies 0x100000002') === 3);
  sim.crash(1);
  await session.create('/b');
  await session.create('/c');
  await sim.until(() => seen.count('applies 0x100000004') === 2);
  const acks = new Held();
  sim.filterSends(keepAcks(acks));
  return {
    sim,
    seen,
    acks,
    from: seen.lines.length,
    outstanding: async (path) => {
      session.create(path).catch((error: Error) => sim.kernel.fail(error));
      const before = acks.count;
      await sim.until(() => acks.count > before);
    },
  };
}

/** Keeps server 2's ACKs; `also` decides over the rest. */
const keepAcks =
  (acks: Held, also: SendFilter = () => true): SendFilter =>
  (from, to, message, send) =>
    from === 2 && message.type === Packet.ACK ? acks.keep(send) : also(from, to, message, send);

/** What a server has got of the leader from a line on, PINGs aside: `DIFF 4 PROPOSAL 5 NEWLEADER`. */
function packets(seen: Seen, learner: number, from: number): string[] {
  const prefix = `${learner}<3 `;
  const got = seen.lines.slice(from).filter((line) => line.startsWith(prefix) && !line.includes('PING'));
  return got.map((line) => line.slice(prefix.length));
}

/** Fails if server 1 was not brought up in one go: then it has left the leader, or was dropped, and came again. */
function expectOneSynchronisation(seen: Seen, from: number): void {
  expect(packets(seen, 1, from).filter((packet) => /^(LEADERINFO|DIFF|SNAP|TRUNC) /.test(packet)).length).toBe(2);
}

test('ZOOKEEPER-4685: a proposal between the synchronisation and NEWLEADER is acknowledged behind NEWLEADER, and nobody leaves', async () => {
  const { sim, seen, acks, from, outstanding } = await beforeLateJoin(4685);
  await outstanding('/d');
  sim.restart(1);
  await sim.until(() => seen.has('1 serves', from));
  // Reached: the proposal was on disk before NEWLEADER could be acknowledged.
  seen.inOrder(
    ['1<3 DIFF', '1<3 PROPOSAL 0x100000005', '1<3 NEWLEADER', '1 has 0x100000005', '1>3 ACK 0x100000000', '1>3 ACK 0x100000005'],
    from,
  );
  seen.inOrder(['1<3 NEWLEADER', '1 has 0x100000005', '1 current epoch 1', '1>3 ACK 0x100000000'], from);
  expect(linesOf(seen, /^1>3 ACK 0x/, from)[0]).toBe('1>3 ACK 0x100000000');
  // 2 has not said a word yet: it is 1's acknowledgement that commits.
  await sim.until(() => sim.treeOf(3).exists('/d') !== undefined);
  expect(seen.has(/[23] is looking/, from)).toBe(false);
  acks.release();
  sim.filterSends(null);
  await finale(sim);
  expectOneSynchronisation(seen, from);
  expect(sim.treeOf(1).exists('/d')).toBeDefined();
});

test('ZOOKEEPER-4685: a leader that gets the ACK of a proposal before that of NEWLEADER goes on leading, and does not count it until then', async () => {
  const { sim, seen, acks, from, outstanding } = await beforeLateJoin(46850);
  await outstanding('/d');
  // A follower as ZooKeeper's, with a disk that is faster than its synchronisation.
  const { got, link, ended } = await playFollower(sim, 1, 3);
  const has = (packet: number): boolean => got.some((message) => message.type === packet);
  link.send({ type: Packet.ACKEPOCH, zxid: makeZxid(1, 4), currentEpoch: 0 });
  await sim.until(() => has(Packet.NEWLEADER));
  link.send({ type: Packet.ACK, zxid: makeZxid(1, 5) });
  await sim.until(() => seen.has(`3<${ACTOR} ACK 0x100000005`, from));
  await sim.advance(50);
  expect(ended()).toBeNull();
  expect(seen.has('3 applies 0x100000005', from)).toBe(false);
  // 2 has it on disk; the leader has not heard of that. So this one makes the quorum, now that it has acknowledged NEWLEADER.
  link.send({ type: Packet.ACK, zxid: makeZxid(1, 0) });
  await sim.until(() => has(Packet.UPTODATE));
  expect(seen.has('3 applies 0x100000005', from)).toBe(true);
  expect(seen.has(/3 serves no more|[23] is looking/, from)).toBe(false);
  acks.release();
  sim.filterSends(null);
  sim.restart(1);
  await finale(sim);
  expect(sim.node(3).epoch).toBe(1);
});

test('ZOOKEEPER-4394: PROPOSAL, NEWLEADER, COMMIT, UPTODATE in this order do not make a follower leave', async () => {
  const { sim, seen, acks, from, outstanding } = await beforeLateJoin(4394);
  await outstanding('/d');
  // The leader of this project sends COMMITs behind UPTODATE. ZooKeeper's does not, so UPTODATE is held up here.
  const upToDate = new Held();
  sim.filterSends(
    keepAcks(acks, (_from, to, message, send) => (to === 1 && message.type === Packet.UPTODATE ? upToDate.keep(send) : true)),
  );
  sim.restart(1);
  await sim.until(() => seen.has('1<3 COMMIT 0x100000005', from));
  expect(sim.node(1).serving).toBe(false);
  upToDate.release();
  await sim.until(() => seen.has('1 serves', from));
  expect(sim.treeOf(1).exists('/d')).toBeDefined();
  expect(packets(seen, 1, from)).toEqual([
    'LEADERINFO 0x100000000',
    'DIFF 0x100000004',
    'PROPOSAL 0x100000003',
    'COMMIT 0x100000003',
    'PROPOSAL 0x100000004',
    'COMMIT 0x100000004',
    'PROPOSAL 0x100000005',
    'NEWLEADER 0x100000000',
    'COMMIT 0x100000005',
    'UPTODATE 0xffffffffffffffff',
  ]);
  acks.release();
  sim.filterSends(null);
  await finale(sim);
  expectOneSynchronisation(seen, from);
});

test('Zab.tla issue 1: a proposal made between NEWLEADER and its ACK goes to the late follower, and its COMMIT behind UPTODATE', async () => {
  const { sim, seen, acks, from, outstanding } = await beforeLateJoin(1);
  const newLeader = new Held();
  sim.filterSends(
    keepAcks(acks, (sender, to, message, send) => (sender === 1 && to === 3 && message.type === Packet.ACK ? newLeader.keep(send) : true)),
  );
  sim.restart(1);
  await sim.until(() => newLeader.count > 0);
  await outstanding('/d');
  await sim.until(() => seen.has('1 has 0x100000005', from));
  // Committed with 2's ACK alone, while 1 has not acknowledged NEWLEADER.
  acks.release();
  await sim.until(() => seen.has('3 applies 0x100000005', from));
  await sim.advance(10);
  expect(seen.has('3>1 COMMIT 0x100000005', from)).toBe(false);
  newLeader.release();
  await sim.until(() => seen.has('1 serves', from));
  seen.inOrder(['3>1 NEWLEADER', '3>1 PROPOSAL 0x100000005', '3 applies 0x100000005', '3>1 UPTODATE', '3>1 COMMIT 0x100000005'], from);
  sim.filterSends(null);
  // Nothing else is written: what brings it level is that COMMIT.
  await finale(sim);
  expectOneSynchronisation(seen, from);
  expect(sim.treeOf(1).exists('/d')).toBeDefined();
  expect(seen.count(/^1 logs 0x100000005/)).toBe(1);
});

test('Zab.tla issue 2: what is committed between the plan of the synchronisation and the ACK of NEWLEADER reaches the late follower', async () => {
  const { sim, seen, acks, from, outstanding } = await beforeLateJoin(2);
  await outstanding('/d');
  await outstanding('/e');
  const newLeader = new Held();
  sim.filterSends(
    keepAcks(acks, (_from, to, message, send) => (to === 1 && message.type === Packet.NEWLEADER ? newLeader.keep(send) : true)),
  );
  sim.restart(1);
  await sim.until(() => newLeader.count > 0);
  // The plan was made when /c was the last committed one.
  expect(packets(seen, 1, from)).not.toContain('DIFF 0x100000005');
  acks.release();
  await sim.until(() => seen.has('3 applies 0x100000006', from));
  newLeader.release();
  await sim.until(() => seen.has('1 serves', from));
  expect(packets(seen, 1, from)).toContain('DIFF 0x100000004');
  sim.filterSends(null);
  await finale(sim);
  expectOneSynchronisation(seen, from);
  expect(sim.treeOf(1).exists('/e')).toBeDefined();
});

test('Zab.tla issue 3: a proposal that comes twice, before and behind NEWLEADER, is logged and applied once', async () => {
  const { sim, seen, acks, from, outstanding } = await beforeLateJoin(3);
  await outstanding('/d');
  let again = (): void => {};
  sim.filterSends(
    keepAcks(acks, (_from, to, message, send) => {
      if (to !== 1) return true;
      if (message.type === Packet.PROPOSAL) again = send;
      if (message.type === Packet.NEWLEADER) {
        again();
        send();
        again();
        return false;
      }
      return true;
    }),
  );
  sim.restart(1);
  await sim.until(() => seen.has('1 serves', from));
  again();
  acks.release();
  await sim.until(() => seen.count(/^1<3 PROPOSAL 0x100000005/) === 4);
  seen.inOrder(['1<3 PROPOSAL 0x100000005', '1<3 PROPOSAL 0x100000005', '1<3 NEWLEADER', '1<3 PROPOSAL 0x100000005', '1 serves'], from);
  sim.filterSends(null);
  await finale(sim);
  expectOneSynchronisation(seen, from);
  expect(seen.count(/^1 logs 0x100000005/)).toBe(1);
  expect(sim.treeOf(1).exists('/d')?.version).toBe(0);
});

test('ZOOKEEPER-4925: what came in the synchronisation is handed on without a hole by the server that leads next', async () => {
  const sim = createSimulation({ seed: 4925, servers: 5 });
  const seen = new Seen(sim);
  await startOnly(sim, [1, 2, 3, 4, 5]);
  expect(sim.leader).toBe(5);
  const session = await sim.openSession(5);
  await session.create('/a');
  await sim.until(() => seen.count('applies 0x100000002') === 5);
  sim.crash(1);
  sim.crash(2);
  const paths = ['/b', '/c', '/d', '/e'];
  await session.create('/b');
  await session.create('/c');
  // /d is outstanding while 2 joins: its PROPOSAL comes in the synchronisation, its COMMIT behind it.
  const acks = new Held();
  sim.filterSends((sender, to, message, send) => (to === 5 && sender !== 2 && message.type === Packet.ACK ? acks.keep(send) : true));
  const outstanding = session.create('/d');
  await sim.until(() => acks.count === 2);
  const joined = seen.lines.length;
  sim.restart(2);
  await sim.until(() => seen.has('2 serves', joined));
  seen.inOrder(['2<5 DIFF 0x100000004', '2<5 PROPOSAL 0x100000005', '2<5 NEWLEADER', '2<5 UPTODATE'], joined);
  acks.release();
  sim.filterSends(null);
  await outstanding;
  sim.crash(3);
  await session.create('/e');
  await sim.until(() => seen.has('2 applies 0x100000006', joined));
  sim.crash(4);
  sim.crash(5);

  const led = seen.lines.length;
  sim.restart(1);
  sim.restart(3);
  await sim.settled();
  expect(sim.leader).toBe(2);
  // From memory, everything in a row.
  const proposals = seen.lines.slice(led).filter((line) => line.startsWith('1<2 PROPOSAL'));
  expect(proposals.map((line) => line.slice(-1))).toEqual(['3', '4', '5', '6']);
  expect(seen.has(/2 did log(Not)?ReadForLearner/, led)).toBe(false);
  for (const path of paths) expect(sim.treeOf(1).exists(path), path).toBeDefined();
  sim.restart(4);
  sim.restart(5);
  await finale(sim);
});

test('ZOOKEEPER-4925: a leader that leaves a hole in the synchronisation is left, and nothing behind the hole is logged', async () => {
  const { sim, seen, acks, from } = await beforeLateJoin(49250);
  // The synchronisation is PROPOSAL and COMMIT of 3 and then of 4; both of 3 are lost once.
  let lost = 0;
  const isThree = (message: QuorumMessage): boolean => /^(PROPOSAL|COMMIT) 0x100000003$/.test(describeMessage(message));
  sim.filterSends(keepAcks(acks, (_from, to, message) => to !== 1 || !isThree(message) || lost++ >= 2));
  sim.restart(1);
  await sim.until(() => seen.has('1 serves', from));
  expect(lost).toBe(4);
  seen.inOrder(['1<3 PROPOSAL 0x100000004', '1<3 LEADERINFO', '1<3 PROPOSAL 0x100000003', '1<3 PROPOSAL 0x100000004', '1 serves'], from);
  expect(seen.find('1 logs 0x100000004', from)).toBeGreaterThan(seen.find('1 logs 0x100000003', from));
  sim.filterSends(null);
  await finale(sim);
  expect(sim.treeOf(1).exists('/b')).toBeDefined();
});
