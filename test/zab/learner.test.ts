import type Long from 'long';
import { beforeEach, describe, expect, it } from 'vitest';
import { ZXID_NONE } from '../../src/model/zxid.ts';
import type { LogEntry } from '../../src/zab/entry.ts';
import { Follower, type Learner, Observer } from '../../src/zab/learner.ts';
import { LAST_EPOCH, Packet, PROTOCOL_VERSION, type QuorumMessage } from '../../src/zab/messages.ts';
import { entry, FakeContext, FakeLink, request, type Shape, z } from './fake.ts';

const SYNC = 9;
const HEAD = { sessions: [], acls: [] };

/** A learner of server 3, dialled; every helper is one packet from the leader. */
class Rig {
  readonly ctx: FakeContext;
  readonly learner: Learner;
  readonly link = new FakeLink('L');

  constructor(shape: Shape = {}, role: 'follower' | 'observer' = 'follower') {
    this.ctx = new FakeContext({ id: 1, ...shape });
    this.learner = role === 'follower' ? new Follower(this.ctx, 3) : new Observer(this.ctx, 3);
    this.learner.start();
    this.learner.dialled(this.link);
  }
  get(...messages: QuorumMessage[]): string[] {
    for (const m of messages) this.learner.message(this.link, m);
    return this.ctx.effects();
  }
  /** Up to LEADERINFO for this epoch; the outbox is empty, the disk has everything. */
  discover(epoch: number): this {
    this.get(leaderInfo(epoch));
    this.ctx.history.acceptedEpoch = epoch;
    return this;
  }
  history(): [Long, Long] {
    return [this.ctx.history.lastCommitted, this.ctx.history.lastLogged];
  }
}

const leaderInfo = (epoch: number): QuorumMessage => ({ type: Packet.LEADERINFO, zxid: z(epoch, 0), protocolVersion: PROTOCOL_VERSION });
const diff = (zxid: Long): QuorumMessage => ({ type: Packet.DIFF, zxid });
const trunc = (zxid: Long): QuorumMessage => ({ type: Packet.TRUNC, zxid });
const proposal = (zxid: Long): QuorumMessage => ({ type: Packet.PROPOSAL, entry: entry(zxid) });
const commit = (zxid: Long): QuorumMessage => ({ type: Packet.COMMIT, zxid });
const inform = (zxid: Long): QuorumMessage => ({ type: Packet.INFORM, entry: entry(zxid) });
const newLeader = (epoch: number): QuorumMessage => ({ type: Packet.NEWLEADER, zxid: z(epoch, 0), config: null });
const upToDate: QuorumMessage = { type: Packet.UPTODATE, zxid: ZXID_NONE };
const ping: QuorumMessage = { type: Packet.PING, zxid: ZXID_NONE, touches: null };
const snap = (zxid: Long): QuorumMessage[] => [
  { type: Packet.SNAP, zxid },
  { type: Packet.SNAPSHOT_HEAD, head: HEAD },
  { type: Packet.SNAPSHOT_NODES, nodes: [] },
  { type: Packet.SNAPSHOT_END },
];

let rig: Rig;

describe('discovery', () => {
  it('introduces itself with its role and the epoch it has accepted', () => {
    expect(new Rig({ acceptedEpoch: 4 }).ctx.effects()).toEqual(['L <- FOLLOWERINFO 4.0', 'dial 3']);
    expect(new Rig({ acceptedEpoch: 4 }, 'observer').ctx.effects()).toEqual(['L <- OBSERVERINFO 4.0', 'dial 3']);
  });

  it('accepts a later epoch durably before it says so, with its last zxid and epoch', () => {
    rig = new Rig({ acceptedEpoch: 4, currentEpoch: 3, committed: [z(3, 1)], tail: [z(3, 2)] });
    rig.ctx.effects();
    expect(rig.get(leaderInfo(5))).toEqual(['acceptedEpoch 5', 'L <- durable ACKEPOCH 3.2 epoch 3']);
  });

  it('says -1 for an epoch that it had accepted before', () => {
    rig = new Rig({ acceptedEpoch: 5, currentEpoch: 3 });
    rig.ctx.effects();
    expect(rig.get(leaderInfo(5))).toEqual(['L <- durable ACKEPOCH 0.0 epoch -1']);
  });

  it.each([
    ['an earlier epoch', [leaderInfo(3)]],
    ['an epoch beyond the last', [leaderInfo(LAST_EPOCH + 1)]],
    ['an old protocol', [{ type: Packet.LEADERINFO, zxid: z(9, 0), protocolVersion: 1 } as QuorumMessage]],
    ['LEADERINFO twice', [leaderInfo(5), leaderInfo(5)]],
    ['DIFF before LEADERINFO', [diff(ZXID_NONE)]],
    ['NEWLEADER before the sync', [leaderInfo(5), newLeader(5)]],
    ['NEWLEADER of another epoch', [leaderInfo(5), diff(ZXID_NONE), newLeader(6)]],
    ['UPTODATE before NEWLEADER', [leaderInfo(5), diff(ZXID_NONE), upToDate]],
    ['a second sync', [leaderInfo(5), diff(ZXID_NONE), diff(ZXID_NONE)]],
    ['PROPOSAL before the sync', [leaderInfo(5), proposal(z(1, 1))]],
    ['COMMIT before the sync', [leaderInfo(5), commit(z(1, 1))]],
    ['COMMIT of what was not sent', [leaderInfo(5), diff(ZXID_NONE), commit(z(1, 1))]],
    ['a gap (fault 4925)', [leaderInfo(5), diff(z(1, 3)), proposal(z(1, 1)), proposal(z(1, 3))]],
    ['a gap behind a snapshot', [leaderInfo(5), ...snap(z(1, 3)), proposal(z(1, 5))]],
    ['the end of a snapshot that never began', [leaderInfo(5), diff(ZXID_NONE), { type: Packet.SNAPSHOT_END } as QuorumMessage]],
    ['NEWLEADER inside a snapshot', [leaderInfo(5), ...snap(z(1, 3)).slice(0, 3), newLeader(5)]],
    ['a proposal inside a snapshot', [leaderInfo(5), ...snap(z(1, 3)).slice(0, 3), proposal(z(1, 4))]],
    [
      'SYNC that nobody asked for',
      [leaderInfo(5), diff(ZXID_NONE), newLeader(5), upToDate, { type: Packet.SYNC, zxid: ZXID_NONE } as QuorumMessage],
    ],
    ['REVALIDATE without an answer', [leaderInfo(5), { type: Packet.REVALIDATE, sessionId: ZXID_NONE } as QuorumMessage]],
    ['a packet that only learners send', [leaderInfo(5), { type: Packet.ACKEPOCH, zxid: ZXID_NONE, currentEpoch: 1 } as QuorumMessage]],
  ])('leaves a leader that sends %s', (_name, messages) => {
    rig = new Rig({ acceptedEpoch: 4 });
    const effects = rig.get(...messages);
    expect(effects.at(-1)).toBe('close L');
    expect(rig.ctx.left).toContain('bad leader');
    expect(effects.some((line) => line.includes('ACK '))).toBe(messages.at(-1)?.type === Packet.SYNC);
  });

  it('leaves a leader whose proposal or snapshot makes no sense, and logs nothing of it', () => {
    rig = new Rig().discover(5);
    rig.ctx.app.readableEntries = false;
    expect(rig.get(diff(ZXID_NONE), proposal(z(1, 1)))).toEqual(['close L']);
    const other = new Rig().discover(5);
    other.ctx.app.goodSnapshot = false;
    expect(other.get(...snap(z(1, 3)))).toEqual(['close L']);
  });

  it('does not lower an epoch whose write is still under way from an earlier role', () => {
    rig = new Rig({ acceptedEpoch: 4 });
    rig.get(leaderInfo(7));
    const next = new Follower(rig.ctx, 2);
    const link = new FakeLink('M');
    next.dialled(link);
    expect(rig.ctx.effects()).toEqual(['M <- FOLLOWERINFO 7.0']);
    next.message(link, leaderInfo(6));
    expect(rig.ctx.effects()).toEqual(['close M']);
  });

  it('does not listen to another link', () => {
    rig = new Rig();
    rig.ctx.effects();
    rig.learner.message(new FakeLink('other'), leaderInfo(5));
    expect(rig.ctx.effects()).toEqual([]);
  });
});

describe('NEWLEADER', () => {
  it('is acknowledged after log and currentEpoch, in this order; proposals not before it (faults 3023, 4646, 4643, 4685)', () => {
    rig = new Rig().discover(5);
    expect(
      rig.get(diff(z(1, 2)), proposal(z(1, 1)), commit(z(1, 1)), proposal(z(1, 2)), commit(z(1, 2)), proposal(z(5, 1)), newLeader(5)),
    ).toEqual(['append 1.1 1.2 5.1', 'currentEpoch 5', 'L <- durable ACK 5.0', 'L <- durable ACK 5.1']);
  });

  it('applies nothing before UPTODATE, and then what is committed (fault 3023)', () => {
    rig = new Rig().discover(5);
    rig.get(diff(z(1, 2)), proposal(z(1, 1)), commit(z(1, 1)), proposal(z(1, 2)), commit(z(1, 2)), proposal(z(5, 1)), newLeader(5));
    expect(rig.get(commit(z(5, 1)))).toEqual([]);
    expect(rig.learner.serving).toBe(false);
    expect(rig.get(upToDate)).toEqual(['L <- durable ACK 5.0', 'commit 1.1 1.2 5.1']);
    expect(rig.learner.serving).toBe(true);
  });

  it('survives DIFF, PROPOSAL, COMMIT, PROPOSAL, NEWLEADER, COMMIT, UPTODATE (fault 4394)', () => {
    rig = new Rig().discover(5);
    rig.get(diff(z(1, 1)), proposal(z(1, 1)), commit(z(1, 1)), proposal(z(5, 1)), newLeader(5), commit(z(5, 1)));
    expect(rig.get(upToDate).at(-1)).toBe('commit 1.1 5.1');
    expect(rig.ctx.left).toBeNull();
  });

  it('takes a proposal twice, or again after NEWLEADER, as one (Zab.tla issue 3)', () => {
    rig = new Rig().discover(5);
    rig.get(diff(ZXID_NONE), proposal(z(5, 1)), proposal(z(5, 1)), newLeader(5));
    expect(rig.get(proposal(z(5, 1)), proposal(z(5, 2)))).toEqual(['append 5.2', 'L <- durable ACK 5.2']);
    expect(rig.get(upToDate, commit(z(5, 1)), commit(z(5, 2)), commit(z(5, 1))).at(-1)).toBe('commit 5.1 5.2');
  });

  it('of an earlier tail that the leader has too does not log it again', () => {
    rig = new Rig({ committed: [z(1, 1)], tail: [z(1, 2), z(1, 3)] }).discover(5);
    expect(rig.get(diff(z(1, 3)), newLeader(5))).toEqual(['currentEpoch 5', 'L <- durable ACK 5.0']);
    expect(rig.get(upToDate)).toEqual(['L <- durable ACK 5.0', 'commit 1.2 1.3']);
  });

  it('is all that an observer acknowledges besides UPTODATE', () => {
    rig = new Rig({}, 'observer').discover(5);
    expect(rig.get(diff(z(1, 1)), proposal(z(1, 1)), commit(z(1, 1)), inform(z(5, 1)), newLeader(5))).toEqual([
      'append 1.1 5.1',
      'currentEpoch 5',
      'L <- durable ACK 5.0',
    ]);
    expect(rig.get(upToDate)).toEqual(['L <- durable ACK 5.0', 'commit 1.1 5.1']);
    expect(rig.get(inform(z(5, 2)))).toEqual(['append 5.2', 'commit 5.2']);
  });
});

describe('a link that dies inside the sync', () => {
  const resume = (after: Rig, leader: number) => {
    after.ctx.left = null;
    const learner = new Follower(after.ctx, leader);
    const link = new FakeLink('N');
    learner.dialled(link);
    after.ctx.effects();
    return {
      get: (...messages: QuorumMessage[]) => {
        for (const m of messages) learner.message(link, m);
        return after.ctx.effects();
      },
    };
  };

  it('leaves what a DIFF brought: logged, not applied, and not more than that (fault 2355)', () => {
    rig = new Rig({ committed: [z(1, 1)] }).discover(5);
    rig.get(diff(z(1, 9)), proposal(z(1, 2)), commit(z(1, 2)));
    rig.learner.closed(rig.link, 'cut');
    expect(rig.ctx.left).toContain('lost the leader');
    expect(rig.history()).toEqual([z(1, 1), z(1, 2)]);
    expect(resume(rig, 2).get(leaderInfo(6))).toEqual(['acceptedEpoch 6', 'N <- durable ACKEPOCH 1.2 epoch 1']);
  });

  it('leaves nothing of a SNAP: neither the log nor the state changes before NEWLEADER (faults 3642, 3104)', () => {
    rig = new Rig({ committed: [z(1, 1)], tail: [z(1, 2)] }).discover(5);
    expect(rig.get(...snap(z(3, 7)), proposal(z(3, 8)), commit(z(3, 8)))).toEqual([]);
    rig.learner.closed(rig.link, 'cut');
    expect(rig.history()).toEqual([z(1, 1), z(1, 2)]);
    const next = resume(rig, 2);
    next.get(leaderInfo(6));
    expect(next.get(diff(z(1, 2)), newLeader(6), upToDate).at(-1)).toBe('commit 1.2');
  });

  it('leaves the cut of a TRUNC, in log and history alike (fault 5094)', () => {
    rig = new Rig({ committed: [z(1, 1)], tail: [z(1, 2), z(1, 3)] }).discover(5);
    expect(rig.get(trunc(z(1, 2)))).toEqual(['truncate 1.2']);
    rig.learner.closed(rig.link, 'cut');
    expect(rig.history()).toEqual([z(1, 1), z(1, 2)]);
    const next = resume(rig, 2);
    next.get(leaderInfo(6));
    expect(next.get(diff(z(1, 3)), proposal(z(1, 3)), newLeader(6))[0]).toBe('append 1.3');
  });

  it('drops the tail of a role that ended only when the next leader says so (fault 2845)', () => {
    rig = new Rig({ committed: [z(1, 1)], tail: [z(1, 2)] }).discover(5);
    expect(rig.get(trunc(z(1, 1)), proposal(z(2, 1)), commit(z(2, 1)), newLeader(5))).toEqual([
      'truncate 1.1',
      'append 2.1',
      'currentEpoch 5',
      'L <- durable ACK 5.0',
    ]);
    expect(rig.get(upToDate).at(-1)).toBe('commit 2.1');
  });
});

describe('SNAP', () => {
  beforeEach(() => {
    rig = new Rig({ committed: [z(1, 1)] }).discover(5);
  });

  it('takes effect at NEWLEADER in one step with what is committed behind it; the rest goes to the log', () => {
    rig.get(...snap(z(3, 7)), proposal(z(3, 8)), commit(z(3, 8)), proposal(z(5, 1)));
    expect(rig.get(newLeader(5))).toEqual([
      'install snapshot 3.8',
      'append 5.1',
      'currentEpoch 5',
      'L <- durable ACK 5.0',
      'L <- durable ACK 5.1',
    ]);
    expect(rig.history()).toEqual([z(3, 8), z(5, 1)]);
    expect(rig.get(commit(z(5, 1)), upToDate).at(-1)).toBe('commit 5.1');
  });

  it('that covers everything leaves the log empty', () => {
    rig.get(...snap(z(3, 7)));
    expect(rig.get(newLeader(5))).toEqual(['install snapshot', 'currentEpoch 5', 'L <- durable ACK 5.0']);
    expect(rig.get(upToDate)).toEqual(['L <- durable ACK 5.0']);
    expect(rig.history()).toEqual([z(3, 7), z(3, 7)]);
  });

  it('tells the state when it begins and ends', () => {
    rig.get(...snap(z(3, 7)));
    expect(rig.ctx.app.calls).toEqual(['begin 3.7', 'end']);
  });
});

describe('TRUNC', () => {
  it('reads the tree again when it has applied what goes: after a restart it has the whole log', () => {
    rig = new Rig({ committed: [z(1, 1), z(1, 2), z(1, 3)] }).discover(5);
    expect(rig.get(trunc(z(1, 1)))).toEqual(['truncate 1.1 reload']);
    expect(rig.history()).toEqual([z(1, 1), z(1, 1)]);
  });

  it.each([
    ['is not in the log', z(1, 9)],
    ['lies inside the snapshot that the log begins with', z(0, 5)],
    ['is beyond the end', z(9, 1)],
  ])('to a point that %s is not carried out; the next leader is asked for a snapshot', (_name, zxid) => {
    rig = new Rig({ committed: [z(1, 1), z(1, 2)], tail: [z(2, 1)], acceptedEpoch: 4, currentEpoch: 2 });
    rig.ctx.history.reset(z(1, 1));
    rig.discover(5);
    expect(rig.get(trunc(zxid))).toEqual(['close L']);
    expect(rig.ctx.left).toContain('no point of this log');
    const next = new Follower(rig.ctx, 2);
    const link = new FakeLink('N');
    next.dialled(link);
    rig.ctx.effects();
    next.message(link, leaderInfo(6));
    // No leader has the start of its own new epoch in its history, so it cannot but send a snapshot.
    expect(rig.ctx.effects()).toEqual(['acceptedEpoch 6', 'N <- durable ACKEPOCH 6.0 epoch 2']);
    next.message(link, diff(z(6, 0)));
    expect(rig.ctx.effects()).toEqual(['close N']);
    // It asks once: whoever comes next hears the truth.
    const third = new Follower(rig.ctx, 2);
    third.dialled(link);
    rig.ctx.effects();
    third.message(link, leaderInfo(7));
    expect(rig.ctx.effects()[1]).toContain('ACKEPOCH 1.1');
  });
});

describe('broadcast', () => {
  beforeEach(() => {
    rig = new Rig().discover(5);
    rig.get(diff(ZXID_NONE), newLeader(5), upToDate);
  });

  it('acknowledges a proposal when it is durable, and applies it at its COMMIT', () => {
    expect(rig.get(proposal(z(5, 1)), proposal(z(5, 2)))).toEqual(['append 5.1 5.2', 'L <- durable ACK 5.1', 'L <- durable ACK 5.2']);
    expect(rig.get(commit(z(5, 1)))).toEqual(['commit 5.1']);
    expect(rig.get(commit(z(5, 2)), commit(z(5, 2)))).toEqual(['commit 5.2']);
  });

  it('leaves a leader that leaves a gap (fault 4925)', () => {
    expect(rig.get(proposal(z(5, 1)), proposal(z(5, 3)))).toEqual(['append 5.1', 'L <- durable ACK 5.1', 'close L']);
    expect(rig.ctx.history.lastLogged).toEqual(z(5, 1));
  });

  it('answers PING, forwards requests, and ends a SYNC in the order they were sent', () => {
    expect(rig.get(ping)).toEqual(['L <- PING 0.0']);
    expect(rig.learner.request(request(SYNC, 1))).toBe(true);
    expect(rig.learner.request(request(5, 2))).toBe(true);
    expect(rig.learner.request(request(SYNC, 3))).toBe(true);
    rig.ctx.effects();
    const sync: QuorumMessage = { type: Packet.SYNC, zxid: ZXID_NONE };
    expect(rig.get(sync)).toEqual(['synced 1']);
    expect(rig.get(sync)).toEqual(['synced 3']);
  });

  it('ends when the leader is silent for syncLimit', () => {
    rig.ctx.now += 499;
    rig.learner.tick();
    expect(rig.ctx.left).toBeNull();
    rig.ctx.now += 1;
    rig.learner.tick();
    expect(rig.ctx.left).toContain('silent');
  });

  it('ends at its deadline, whatever the sums round to: a timer that has run out must not run out again at the same time', () => {
    for (let k = 1; k < 200; k++) {
      rig = new Rig().discover(5);
      rig.get(diff(ZXID_NONE), newLeader(5), upToDate);
      rig.ctx.now = 31.00053 + k / 1000;
      rig.get(ping);
      rig.ctx.now = rig.learner.deadline;
      rig.learner.tick();
      expect(rig.ctx.left).toContain('silent');
    }
  });
});

describe('connecting', () => {
  it('does not take requests before UPTODATE', () => {
    rig = new Rig().discover(5);
    rig.get(diff(ZXID_NONE), newLeader(5));
    expect(rig.learner.request(request(5))).toBe(false);
    expect(rig.learner.revalidate(ZXID_NONE, 1)).toBe(false);
  });

  it('dials again while the leader lives, but not for ever', () => {
    rig = new Rig();
    rig.ctx.up.add(3);
    rig.ctx.effects();
    let dials = 0;
    for (; rig.ctx.left === null && dials < 1000; dials++) {
      rig.learner.dialled(rig.link);
      rig.learner.closed(rig.link, 'refused');
      rig.ctx.now = Math.max(rig.ctx.now, rig.learner.deadline);
      if (rig.ctx.left === null) rig.learner.tick();
    }
    expect(dials).toBeGreaterThan(10);
    expect(rig.ctx.now).toBeLessThanOrEqual(2020);
  });

  it('gives up at once on a leader that is dead, or has gone on voting (fault 3109)', () => {
    rig = new Rig();
    rig.learner.closed(rig.link, 'refused');
    expect(rig.ctx.left).toContain('reach');
    const down = new Rig();
    down.learner.electionLinkDown(2);
    expect(down.ctx.left).toBeNull();
    down.learner.electionLinkDown(3);
    expect(down.ctx.left).not.toBeNull();
    const voting = new Rig();
    voting.learner.overtaken(2);
    expect(voting.ctx.left).toBeNull();
    voting.learner.overtaken(3);
    expect(voting.ctx.left).not.toBeNull();
    const synchronising = new Rig().discover(5);
    synchronising.learner.overtaken(3);
    expect(synchronising.ctx.left).toBeNull();
  });

  it('ends when the sync does not come within initLimit', () => {
    rig = new Rig().discover(5);
    rig.ctx.now += 1000;
    rig.learner.tick();
    expect(rig.ctx.left).toContain('initLimit');
  });

  it('keeps the entries it was sent as they were', () => {
    rig = new Rig().discover(5);
    const sent: LogEntry = entry(z(5, 1));
    rig.learner.message(rig.link, diff(ZXID_NONE));
    rig.learner.message(rig.link, { type: Packet.PROPOSAL, entry: sent });
    expect(rig.ctx.history.tail.at(0)).toBe(sent);
  });
});
