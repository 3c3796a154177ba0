import { describe, expect, it } from 'vitest';
import { ZXID_NONE } from '../../src/model/zxid.ts';
import { BasicElection } from '../../src/zab/basic-election.ts';
import type { Decision } from '../../src/zab/election.ts';
import { FastElection } from '../../src/zab/fast-election.ts';
import { type ElectionMessage, NON_VOTER, type Notification, PeerState, type PeerStateCode } from '../../src/zab/messages.ts';
import { QuorumRules } from '../../src/zab/quorum.ts';
import { FakeContext, type Shape, z } from './fake.ts';

const { LOOKING, FOLLOWING, LEADING, OBSERVING } = PeerState;

/** A notification that votes for `leader`; round 1, epoch 1 and a last zxid of 1.1 if nothing else is said. */
function vote(state: PeerStateCode, leader: number, more: Partial<Notification> = {}): Notification {
  return { kind: 'notification', state, leader, zxid: z(1, 1), electionEpoch: 1, peerEpoch: 1, version: 2, config: null, ...more };
}

class Fast {
  readonly ctx: FakeContext;
  readonly election: FastElection;
  decision: Decision | undefined;

  constructor(shape: Shape = {}, up = [2, 3, 4, 5], lastRound = 0) {
    this.ctx = new FakeContext({ committed: [z(1, 1)], currentEpoch: 1, ...shape });
    for (const peer of up) this.ctx.up.add(peer);
    this.election = new FastElection(this.ctx, lastRound);
    this.decision = this.election.start();
  }
  hear(from: number, n: ElectionMessage): this {
    this.decision ??= this.election.message(from, n);
    return this;
  }
  down(peer: number): this {
    this.ctx.up.delete(peer);
    this.decision ??= this.election.linkChanged(peer, false);
    return this;
  }
  wait(ms: number): this {
    this.ctx.now += ms;
    this.decision ??= this.election.tick();
    return this;
  }
  get leader(): number | undefined {
    return this.decision?.vote.leader;
  }
  effects(): string[] {
    return this.ctx.effects();
  }
}

describe('fast election: one round', () => {
  it('begins a new round with its own vote, and tells all other voters', () => {
    expect(new Fast({}, [2, 3], 6).effects()).toEqual(['election 2: 0 1 1.1 round 7 epoch 1', 'election 3: 0 1 1.1 round 7 epoch 1']);
  });

  it('of one voter is decided at once', () => {
    expect(new Fast({ voters: [1] }).leader).toBe(1);
  });

  it('takes over a better vote and passes it on', () => {
    const e = new Fast({}, [2, 3]);
    e.effects();
    e.hear(2, vote(LOOKING, 2));
    expect(e.effects()).toEqual(['election 2: 0 2 1.1 round 1 epoch 1', 'election 3: 0 2 1.1 round 1 epoch 1']);
  });

  it('keeps its own against a worse one, and tells that server', () => {
    const e = new Fast({}, [2, 3]);
    e.effects();
    e.hear(3, vote(LOOKING, 3, { zxid: ZXID_NONE }));
    expect(e.effects()).toEqual(['election 3: 0 1 1.1 round 1 epoch 1']);
  });

  it('waits finalizeWait for a better vote while somebody could still send one', () => {
    const e = new Fast({}, [2, 3]).hear(2, vote(LOOKING, 2));
    expect(e.wait(19).leader).toBeUndefined();
    expect(e.hear(3, vote(LOOKING, 3)).leader).toBe(3);
    expect(new Fast({}, [2, 3]).hear(2, vote(LOOKING, 2)).wait(20).leader).toBe(2);
  });

  it('does not wait anew because it says the same again', () => {
    const e = new Fast({}, [2, 3]).wait(190).hear(2, vote(LOOKING, 1));
    e.effects();
    expect(e.wait(10).effects()).toContain('reconnectElection');
    expect(e.wait(10).leader).toBe(1);
  });

  it('waits no longer when every other voter has voted or has no link', () => {
    expect(new Fast({}, [2]).hear(2, vote(LOOKING, 2)).leader).toBe(2);
    expect(new Fast({}, [2, 3]).hear(2, vote(LOOKING, 2)).down(3).leader).toBe(2);
  });

  it('needs a quorum: half is none', () => {
    const e = new Fast({ voters: [1, 2, 3, 4] }, [2]).hear(2, vote(LOOKING, 2)).wait(1000);
    expect(e.leader).toBeUndefined();
    expect(e.hear(3, vote(LOOKING, 2)).leader).toBe(2);
  });

  it('does not count the vote of a server whose link went down (fault 3109)', () => {
    const e = new Fast({ voters: [1, 2, 3, 4, 5] }, [2, 3, 4, 5]).hear(5, vote(LOOKING, 5)).hear(4, vote(LOOKING, 5));
    expect(e.down(4).wait(1000).leader).toBeUndefined();
    expect(e.hear(3, vote(LOOKING, 5)).wait(20).leader).toBe(5);
  });
});

describe('fast election: other rounds, other states', () => {
  it('goes over to a higher round with the better of the two votes, and forgets the votes of the lower', () => {
    const e = new Fast({}, [2, 3]).hear(2, vote(LOOKING, 1));
    e.effects();
    e.hear(3, vote(LOOKING, 3, { electionEpoch: 9, zxid: ZXID_NONE }));
    expect(e.election.round).toBe(9);
    expect(e.effects()[0]).toBe('election 2: 0 1 1.1 round 9 epoch 1');
    expect(e.wait(1000).leader).toBeUndefined();
    expect(e.hear(3, vote(LOOKING, 1, { electionEpoch: 9 })).wait(20).leader).toBe(1);
  });

  it('answers a lower round and takes nothing from it', () => {
    const e = new Fast({}, [2, 3], 4);
    e.effects();
    e.hear(2, vote(LOOKING, 2, { electionEpoch: 2 }));
    expect(e.effects()).toEqual(['election 2: 0 1 1.1 round 5 epoch 1']);
    expect([e.election.proposal.leader, e.wait(1000).leader]).toEqual([1, undefined]);
  });

  it.each([
    ['the vote of an observer', 4, vote(LOOKING, 3)],
    ['a vote for an observer', 2, vote(LOOKING, 4)],
    ['the vote of a non-voter', 2, vote(LOOKING, NON_VOTER, { peerEpoch: NON_VOTER })],
    ['a vote without an epoch', 2, vote(LOOKING, 3, { peerEpoch: undefined })],
    ['what an observing server says', 2, vote(OBSERVING, 3)],
    ['a message of the basic election', 2, { kind: 'voteResponse', xid: 1, id: 2, leader: 3, zxid: z(1, 1) } as ElectionMessage],
  ])('ignores %s', (_name, from, message) => {
    const e = new Fast({ observers: [4] }, [2, 3, 4]);
    e.hear(from, message);
    expect(e.election.proposal.leader).toBe(1);
    expect(e.hear(3, vote(LOOKING, 3)).leader).toBeUndefined();
  });

  it('answers an observer that looks', () => {
    const e = new Fast({ observers: [4] }, [2, 3, 4]);
    e.effects();
    e.hear(4, vote(LOOKING, NON_VOTER, { peerEpoch: NON_VOTER }));
    expect(e.effects()).toEqual(['election 4: 0 1 1.1 round 1 epoch 1']);
  });
});

describe('fast election: settled servers, silence, weights', () => {
  it('joins a settled ensemble, whatever its round, when the leader says so itself', () => {
    const e = new Fast({}, [2, 3]).hear(2, vote(FOLLOWING, 3, { electionEpoch: 40, peerEpoch: 7 }));
    expect(e.leader).toBeUndefined();
    e.hear(3, vote(LEADING, 3, { electionEpoch: 40, peerEpoch: 7 }));
    expect(e.decision).toMatchObject({ vote: { leader: 3, peerEpoch: 7 }, round: 40 });
  });

  it('joins one whose members remember different zxids and rounds of the same election (faults 1732, 1818)', () => {
    const e = new Fast({}, [2, 3])
      .hear(2, vote(FOLLOWING, 3, { electionEpoch: 40, peerEpoch: 7, zxid: z(5, 5) }))
      .hear(3, vote(LEADING, 3, { electionEpoch: 41, peerEpoch: 7, zxid: z(6, 6) }));
    expect(e.leader).toBe(3);
  });

  it('does not believe in a leader that does not say itself that it leads', () => {
    const e = new Fast({ voters: [1, 2, 3, 4, 5] }, [2, 3, 4, 5]);
    for (const id of [2, 3, 4]) e.hear(id, vote(FOLLOWING, 5, { electionEpoch: 40 }));
    expect(e.wait(1000).leader).toBeUndefined();
  });

  it('does not take itself for the leader of an earlier round', () => {
    const e = new Fast({}, [2, 3], 7).hear(2, vote(FOLLOWING, 1, { electionEpoch: 5 })).hear(3, vote(FOLLOWING, 1, { electionEpoch: 5 }));
    expect(e.leader).toBeUndefined();
  });

  it('gives its vote to who leads in this very round and may lack just that', () => {
    const e = new Fast({ voters: [1, 2, 3, 4] }, [2, 3, 4]).hear(2, vote(FOLLOWING, 3));
    expect(e.hear(3, vote(LEADING, 3)).wait(20).leader).toBe(3);
  });

  it('resends when nothing is heard, with growing pauses', () => {
    const e = new Fast({}, []);
    e.effects();
    expect(e.wait(199).effects()).toEqual([]);
    expect(e.wait(1).effects()[0]).toBe('reconnectElection');
    expect(e.wait(399).effects()).toEqual([]);
    expect(e.wait(1).effects()).toHaveLength(3);
  });

  it('tells a voter its vote when the link comes up', () => {
    const e = new Fast({}, []);
    e.effects();
    e.election.linkChanged(3, true);
    expect(e.effects()).toEqual(['election 3: 0 1 1.1 round 1 epoch 1']);
  });

  it('never prefers a candidate without weight', () => {
    const rules = new QuorumRules([
      { id: 1, group: 1 },
      { id: 2, group: 1 },
      { id: 3, group: 1, weight: 0 },
    ]);
    const e = new Fast({ rules }, [2, 3]).hear(3, vote(LOOKING, 3, { zxid: z(1, 9) }));
    expect(e.election.proposal.leader).toBe(1);
    expect(e.hear(2, vote(LOOKING, 2)).wait(20).leader).toBe(2);
  });

  it.each([
    ['another observer', 5, vote(LOOKING, NON_VOTER, { peerEpoch: NON_VOTER })],
    ['a voter with a worse vote', 2, vote(LOOKING, 2, { zxid: ZXID_NONE })],
    ['a voter in an earlier round', 2, vote(LOOKING, 3)],
  ])('as an observer does not answer %s, which would answer back', (_name, from, n) => {
    const e = new Fast({ id: 4, observers: [4, 5] }, [1, 2, 3, 5]).hear(3, vote(LOOKING, 3, { electionEpoch: 2 }));
    e.effects();
    expect(e.hear(from, n.leader === 3 ? n : { ...n, electionEpoch: 2 }).effects()).toEqual([]);
  });

  it('as an observer follows the voters and has no vote', () => {
    const e = new Fast({ id: 4, observers: [4] }, [1, 2, 3]);
    expect(e.effects()).toHaveLength(3);
    e.hear(1, vote(LOOKING, 3)).hear(2, vote(LOOKING, 3)).hear(3, vote(LOOKING, 3));
    expect(e.leader).toBe(3);
  });
});

class Basic {
  readonly ctx: FakeContext;
  readonly election: BasicElection;
  decision: Decision | undefined;

  constructor(shape: Shape = {}, up = [2, 3]) {
    this.ctx = new FakeContext({ committed: [z(1, 1)], currentEpoch: 1, ...shape });
    for (const peer of up) this.ctx.up.add(peer);
    this.election = new BasicElection(this.ctx, 77);
    this.decision = this.election.start();
  }
  /** The answer of a voter to the question that is open. */
  answer(id: number, leader: number, zxid = z(1, 1), xid = this.xid): this {
    this.decision ??= this.election.message(id, { kind: 'voteResponse', xid, id, leader, zxid });
    return this;
  }
  get xid(): number {
    for (const action of this.ctx.out.actions)
      if (action.kind === 'election' && action.message.kind === 'voteRequest') this.#xid = action.message.xid;
    this.ctx.effects();
    return this.#xid;
  }
  #xid = 0;
  /** Time passes until the next question is asked. */
  nextRound(): this {
    const before = this.xid;
    for (let i = 0; i < 10 && this.xid === before && this.decision === undefined; i++) {
      this.ctx.now = Math.max(this.ctx.now, this.election.deadline);
      this.decision ??= this.election.tick();
    }
    return this;
  }
  get leader(): number | undefined {
    return this.decision?.vote.leader;
  }
}

describe('basic election', () => {
  it('asks every other voter', () => {
    expect(new Basic().ctx.effects()).toEqual(['election 2: voteRequest', 'election 3: voteRequest', 'reconnectElection']);
    expect(new Basic({ voters: [1] }).leader).toBe(1);
  });

  it('takes over the best vote, and decides when it has a quorum', () => {
    const e = new Basic().answer(2, 2).answer(3, 3);
    expect([e.leader, e.election.proposal.leader]).toEqual([undefined, 3]);
    expect(e.nextRound().answer(2, 3).answer(3, 3).leader).toBe(3);
  });

  it('prefers the longer history to the larger id', () => {
    const e = new Basic().answer(2, 2, z(1, 5)).answer(3, 3, z(1, 2));
    expect(e.election.proposal.leader).toBe(2);
  });

  it('says for a server what its epoch is worth: much of an old epoch loses against little of a new one', () => {
    const old = new Basic({ committed: [z(4, 900)], currentEpoch: 4 });
    expect(old.election.proposal.zxid).toEqual(z(4, 900));
    const young = new Basic({ committed: [z(4, 7)], currentEpoch: 5 });
    expect(young.election.proposal.zxid).toEqual(z(5, 0));
    expect(old.answer(2, 2, z(5, 0)).answer(3, 3, z(1, 1)).election.proposal.leader).toBe(2);
  });

  it('does not elect a candidate that was not heard from: it may be dead', () => {
    const e = new Basic({}, [2]).answer(2, 3, z(9, 9));
    expect([e.leader, e.election.proposal.leader]).toEqual([undefined, 1]);
  });

  it('counts only answers to the open question, of voters, about themselves', () => {
    const e = new Basic({ observers: [4] });
    e.answer(2, 3, z(1, 1), e.xid - 1).answer(4, 3);
    e.election.message(2, { kind: 'voteResponse', xid: e.xid, id: 3, leader: 3, zxid: z(1, 1) });
    e.nextRound();
    expect([e.leader, e.election.proposal.leader]).toEqual([undefined, 1]);
  });

  it('needs a quorum', () => {
    const e = new Basic({ voters: [1, 2, 3, 4] }, [2]).answer(2, 2);
    expect(e.nextRound().answer(2, 2).leader).toBeUndefined();
  });

  it('does not wait for who has no link, nor count who lost it', () => {
    expect(new Basic({}, [2]).answer(2, 2).nextRound().answer(2, 2).leader).toBe(2);
    const e = new Basic().answer(2, 1);
    e.ctx.up.clear();
    e.decision ??= e.election.linkChanged(2, false);
    expect(e.leader).toBeUndefined();
  });

  it('as an observer follows the voters', () => {
    const e = new Basic({ id: 4, observers: [4] }, [1, 2, 3]);
    expect(e.answer(1, 3).answer(2, 3).answer(3, 3).leader).toBe(3);
  });
});
