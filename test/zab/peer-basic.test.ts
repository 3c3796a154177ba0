import { describe, expect, it } from 'vitest';
import { ZXID_NONE } from '../../src/model/zxid.ts';
import { Packet, PROTOCOL_VERSION, type VoteResponse } from '../../src/zab/messages.ts';
import { Outbox } from '../../src/zab/outbox.ts';
import { Peer } from '../../src/zab/peer.ts';
import { FakeContext, FakeLink, FakeState, z } from './fake.ts';

/** Server 1 of three with the basic election; the outbox is read and emptied by hand. */
class Rig {
  readonly out = new Outbox();
  readonly ctx = new FakeContext();
  readonly peer: Peer;

  constructor() {
    const { config, history } = this.ctx;
    this.peer = new Peer(config, history, this.out, new FakeState(), 'basic', 7);
    this.peer.now = 1000;
    this.peer.start();
  }
  /** Reasons of the links closed since the last call. */
  closed(): string[] {
    const reasons = this.out.actions.flatMap((action) => (action.kind === 'closeLink' ? [action.reason] : []));
    this.out.clear();
    return reasons;
  }
  /** What it answers to a server that asks for its vote. */
  answerTo(peer: number): VoteResponse | undefined {
    this.out.clear();
    this.peer.electionMessage(peer, { kind: 'voteRequest', xid: 5 });
    for (const action of this.out.actions) {
      if (action.kind === 'election' && action.peer === peer && action.message.kind === 'voteResponse') return action.message;
    }
    return undefined;
  }
  /** Two others vote for server 3, so that this one follows it. */
  follow3(): this {
    const asked = this.out.actions.find((action) => action.kind === 'election');
    const xid = asked?.kind === 'election' && asked.message.kind === 'voteRequest' ? asked.message.xid : -1;
    this.peer.electionLink(2, true);
    this.peer.electionLink(3, true);
    for (const from of [2, 3]) this.peer.electionMessage(from, { kind: 'voteResponse', xid, id: from, leader: 3, zxid: ZXID_NONE });
    return this;
  }
}

describe('what a server answers that has voted', () => {
  it('names its leader to all, also to the leader as long as that has not led yet', () => {
    const rig = new Rig().follow3();
    expect(rig.peer.kind).toBe('following');
    expect([rig.answerTo(2)?.leader, rig.answerTo(3)?.leader]).toEqual([3, 3]);
  });

  it('does not name the leader that it has followed to that leader itself, which looks again', () => {
    const rig = new Rig().follow3();
    const link = new FakeLink('leader');
    rig.peer.dialled(link);
    rig.peer.message(link, { type: Packet.LEADERINFO, zxid: z(4, 0), protocolVersion: PROTOCOL_VERSION });
    expect([rig.answerTo(2)?.leader, rig.answerTo(3)?.leader]).toEqual([3, 1]);
  });
});

describe('connections while no leader is known', () => {
  it('are kept for initLimit', () => {
    const rig = new Rig();
    rig.peer.incoming(new FakeLink('a'));
    rig.peer.now = 1500;
    rig.peer.incoming(new FakeLink('b'));
    rig.peer.now = 1999;
    rig.peer.tick();
    expect(rig.closed()).toEqual([]);
    expect(rig.peer.deadline).toBeLessThanOrEqual(2000);
    rig.peer.now = 2000;
    rig.peer.tick();
    expect(rig.closed()).toEqual(['no leader was found in time']);
    rig.peer.now = 2500;
    rig.peer.tick();
    expect(rig.closed()).toEqual(['no leader was found in time']);
  });

  it('are only so many: the oldest makes room', () => {
    const rig = new Rig();
    // All in one turn: it must not cost more than the one.
    for (let k = 0; k < 256; k++) rig.peer.incoming(new FakeLink(`${k}`));
    expect(rig.closed()).toEqual([]);
    rig.peer.incoming(new FakeLink('one more'));
    expect(rig.closed()).toEqual(['too many connections while no leader is known']);
  });

  it('are closed when this server follows another, and when it stops', () => {
    const rig = new Rig();
    rig.peer.incoming(new FakeLink('a'));
    rig.follow3();
    expect(rig.closed()).toEqual(['this server does not lead']);
    const other = new Rig();
    other.peer.incoming(new FakeLink('a'));
    other.peer.stop();
    expect(other.closed()).toEqual(['stopped']);
  });
});
