import { expect, test } from 'vitest';
import { makeZxid } from '../../src/model/zxid.ts';
import type { Sockets } from '../../src/seams/sockets.ts';
import { describeElection } from '../../src/testing/describe.ts';
import { finale } from '../../src/testing/finale.ts';
import { Machine } from '../../src/testing/machine.ts';
import type { Simulation } from '../../src/testing/simulation.ts';
import { encodeElectionHeader, encodeElectionMessage } from '../../src/wire/election.ts';
import { JuteWriter } from '../../src/wire/jute.ts';
import { type Notification, PeerState } from '../../src/zab/messages.ts';
import { bring, bringLedBy3, create, level, linesOf, names, stage } from './kit.ts';
import { Held } from './seen.ts';

/** What servers that follow or lead have told of their leader from now on, a line each. */
function settledVotes(sim: Simulation): string[] {
  const told: string[] = [];
  sim.filterVotes((from, _to, message) => {
    if (message.kind === 'notification' && message.state !== PeerState.LOOKING) told.push(`${from} ${describeElection(message)}`);
    return true;
  });
  return told;
}

/** Restarts a server that has crashed, and gives the simulated ms until it serves. */
async function timeToJoin(sim: Simulation, id: number): Promise<number> {
  const began = sim.now;
  await bring(sim, id);
  return sim.now - began;
}

test('ZOOKEEPER-1732, 1818: a server that is restarted after several elections finds the leader, whom everybody has found in another way', async () => {
  const { sim } = stage({ seed: 1732, servers: 5 });
  await sim.start();
  for (let round = 0; round < 4; round++) {
    const leader = sim.leader!;
    await create(await sim.openSession(leader), `/r${round}`);
    sim.crash(leader);
    await sim.until(() => sim.leader !== undefined);
    await bring(sim, leader);
  }
  // Those who were there at the election and those who have come later tell the same of the leader; only then is there a quorum in what they tell.
  const told = settledVotes(sim);
  const leader = sim.leader!;
  for (const id of sim.servers.filter((server) => server !== leader)) {
    sim.crash(id);
    expect(await timeToJoin(sim, id)).toBeLessThan(1000);
    expect(sim.node(id).leaderId).toBe(leader);
  }
  expect(new Set(told.map((line) => line.split(',')[1])).size).toBe(1);
  expect(told.filter((line) => !line.startsWith(`${leader} `)).length).toBeGreaterThan(4);
  await finale(sim);
});

test('ZOOKEEPER-1732, 1818: a quorum of which some were in the election and some have joined later lets another server join', async () => {
  const { sim } = stage({ seed: 1818, servers: 5 });
  await bring(sim, 2, 3, 4, 5);
  await create(await sim.openSession(5), '/a');
  expect([sim.leader, sim.node(5).epoch]).toEqual([5, 1]);
  // Server 3 comes back and learns of the leader from others; then server 1 has only 3, 4 and 5 to learn of it.
  sim.crash(3);
  await bring(sim, 3);
  sim.crash(2);
  const told = settledVotes(sim);
  expect(await timeToJoin(sim, 1)).toBeLessThan(1000);
  expect(sim.node(1).leaderId).toBe(5);
  for (const id of [3, 4, 5])
    expect(told.some((line) => line.startsWith(`${id} FOLLOWING`) || line.startsWith(`${id} LEADING`))).toBe(true);
  await bring(sim, 2);
  await finale(sim);
});

test.each([
  ['zxid', { zxid: makeZxid(0, 9) }],
  ['round', { electionEpoch: 41 }],
])(
  'ZOOKEEPER-1732, 1818: a follower that remembers another %s of its leader’s election still counts for a server that looks for it',
  async (_what, memory) => {
    const { sim } = stage({ seed: 17320 });
    await bring(sim, 2, 3);
    await create(await sim.openSession(3), '/a');
    const told: string[] = [];
    sim.filterVotes((from, _to, message, send) => {
      if (from !== 2 || message.kind !== 'notification' || message.state !== PeerState.FOLLOWING) return true;
      const other: Notification = { ...message, ...memory };
      told.push(describeElection(other));
      send(other);
      return false;
    });
    // Without server 2 it has no quorum for what it hears.
    expect(await timeToJoin(sim, 1)).toBeLessThan(1000);
    expect(told.length).toBeGreaterThan(0);
    sim.crash(1);
    expect(await timeToJoin(sim, 1)).toBeLessThan(1000);
    await finale(sim);
    expect(names(sim, 1)).toEqual(['a']);
  },
);

test('ZOOKEEPER-3109: a leader whose only supporter changes its mind at the last moment does not wait for it', async () => {
  const { sim, seen } = stage({ seed: 3109 });
  await bringLedBy3(sim);
  await create(await sim.openSession(3), '/a');
  await level(sim, 3, 1, 2);
  for (const id of sim.servers) sim.crash(id);
  // The others wait a little for what server 3 has to say, since they have a link to it; server 1, whose clock is slow, longer than server 2.
  sim.machine(1).setClockRate(0.25);
  const first = new Held();
  const better = new Held();
  const votes: string[] = [];
  let linked = false;
  sim.filterVotes((from, to, message, send) => {
    if (from === 3) return to === 1 ? better.keep(send) : false;
    if (!linked) return first.keep(send);
    votes.push(`${from}>${to} ${describeElection(message)}`);
    return true;
  });
  const restart = seen.count(/did electionLinkUp/);
  for (const id of sim.servers) sim.restart(id);
  await sim.until(() => seen.count(/did electionLinkUp/) === restart + 6);
  linked = true;
  first.release();
  await sim.until(() => votes.some((vote) => vote.startsWith('1>2 LOOKING in round 1, votes for 2')));
  await sim.advance(500);
  // Server 2 leads, and waits for server 1, which gets a better vote now, of one that dies with it.
  better.release();
  await sim.until(() => votes.some((vote) => vote.startsWith('1>2 LOOKING in round 1, votes for 3')));
  sim.crash(3);
  sim.machine(1).setClockRate(1);
  const changed = sim.now;
  await sim.until(() => sim.leader === 2 && sim.serves(1, 2));
  // By initLimit it would be 20 s.
  expect(sim.now - changed).toBeLessThan(3000);
  expect(sim.story(200)).toContain('server 2  warn: leading ends: server 1 has gone on voting, and no quorum is here yet');
  expect(seen.has('3 serves', seen.find('3 dies'))).toBe(false);
  sim.filterVotes(null);
  sim.restart(3);
  await finale(sim);
  expect(names(sim, 3)).toEqual(['a']);
});

/** Where whoever plays server 3 by hand is in the network. */
const STRANGER = 98;

/** Opens a connection to a server's election port from a machine of its own; what it sends is for the scenario. */
class Stranger {
  readonly #sockets: Sockets;

  constructor(readonly sim: Simulation) {
    const machine = new Machine(sim.kernel, STRANGER);
    machine.boot();
    this.#sockets = sim.network.attach(machine, 'stranger');
  }

  /** Sends a header, and the pieces when that has been taken for a server's; resolves to whether the other side still has the connection some time later. */
  async send(to: number, header: Uint8Array, ...pieces: Uint8Array[]): Promise<boolean> {
    let isOpen = true;
    const socket = this.#sockets.connect(`server${to}`, 3888, {
      opened: () => socket.write(header),
      data: () => {},
      ended: () => {
        isOpen = false;
        socket.destroy();
      },
      closed: () => void (isOpen = false),
    });
    await this.sim.advance(10);
    for (const piece of pieces) socket.write(piece);
    await this.sim.advance(20);
    return isOpen;
  }
}

const HEADER = encodeElectionHeader({ sid: 3, addresses: ['server3:3888'] });

/** A good notification as a frame: its length, then its body. The vote is one that nobody else's can beat, unless it is `modest`. */
function frame(modest = false): Uint8Array {
  const w = new JuteWriter(256);
  encodeElectionMessage(w, {
    kind: 'notification',
    state: PeerState.LOOKING,
    leader: 3,
    zxid: modest ? makeZxid(0, 0) : makeZxid(9, 9),
    electionEpoch: modest ? 1 : 9,
    peerEpoch: modest ? 0 : 9,
    version: 2,
    config: 'server.1=server1:2888:3888',
  });
  return w.copy();
}

/** A frame whose length is right for the `length` bytes that are left of its body. */
function cutBody(length: number): Uint8Array {
  const bytes = frame(true).slice(0, 4 + length);
  new DataView(bytes.buffer).setInt32(0, length);
  return bytes;
}

const withLength = (length: number): Uint8Array => {
  const bytes = frame();
  new DataView(bytes.buffer).setInt32(0, length);
  return bytes;
};

/** A notification with four bytes of its body replaced. */
const withInt = (at: number, value: number, modest = false): Uint8Array => {
  const bytes = frame(modest);
  new DataView(bytes.buffer).setInt32(4 + at, value);
  return bytes;
};

const BODY = frame().length - 4;

/** What is wrong, and whether the connection may go on. */
const NONSENSE: readonly (readonly [what: string, bytes: Uint8Array, goesOn: boolean])[] = [
  ['a frame of no bytes', withLength(0), false],
  ['a frame of negative length', withLength(-1), false],
  ['a frame of 2 GB', withLength(0x7fffffff), false],
  ['a frame that never ends', frame().slice(0, BODY), true],
  ['an unknown state', withInt(0, 77), true],
  ['a leader that nobody is', withInt(8, 4711), true],
  ['a configuration of negative length', withInt(40, -5), true],
  ['a configuration that is longer than the frame', withInt(40, 1 << 20), true],
  ['a version from the far future', withInt(36, 0x7fffffff, true), true],
];

/** Servers 1 and 2 hold an election with each other, and server 2 wins. `meanwhile` comes when server 1 looks. */
async function stillVotes(sim: Simulation, meanwhile: () => Promise<unknown> = async () => {}): Promise<void> {
  sim.crash(2);
  await sim.until(() => sim.node(1).role === 'looking');
  await meanwhile();
  const began = sim.now;
  await bring(sim, 2);
  await sim.until(() => sim.serves(1, 2) && sim.serves(2, 2));
  expect(sim.now - began).toBeLessThan(2000);
}

test.each(NONSENSE)('ZOOKEEPER-3769: a server that gets %s in the name of another goes on voting', async (_what, bytes, goesOn) => {
  const { sim, seen } = stage({ seed: 3769 });
  await bring(sim, 1, 2);
  const stranger = new Stranger(sim);
  expect(await stranger.send(1, HEADER, bytes)).toBe(goesOn);
  await stillVotes(sim, async () => expect(await stranger.send(1, HEADER, bytes)).toBe(goesOn));
  expect(linesOf(seen, /^1 (dies|stops)/)).toEqual([]);
  await bring(sim, 3);
  await finale(sim);
});

test('ZOOKEEPER-3769: notifications cut at every length, while the server looks and while it leads, do not stop it from voting', async () => {
  const { sim, seen } = stage({ seed: 37690 });
  const stranger = new Stranger(sim);
  // Alone it looks, for as long as it takes.
  sim.restart(2);
  await sim.advance(100);
  for (let length = 1; length < BODY; length++) await stranger.send(2, HEADER, cutBody(length));
  expect(sim.node(2).role).toBe('looking');
  await bring(sim, 1);
  await sim.until(() => sim.leader === 2);
  const many = Array.from({ length: BODY - 1 }, (_, i) => cutBody(i + 1));
  for (const to of [1, 2]) await stranger.send(to, HEADER, ...many);
  for (let end = 1; end < HEADER.length; end++) await stranger.send(1, HEADER.slice(0, end));
  await stillVotes(sim);
  expect(linesOf(seen, /^\d stops/)).toEqual([]);
  await bring(sim, 3);
  await finale(sim);
});
