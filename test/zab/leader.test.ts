import { beforeEach, describe, expect, it } from 'vitest';
import { LAST_COUNTER, ZXID_NONE } from '../../src/model/zxid.ts';
import { Leader } from '../../src/zab/leader.ts';
import { LAST_EPOCH, Packet, PROTOCOL_VERSION } from '../../src/zab/messages.ts';
import { FakeContext, FakeLink, request, type Shape, short, z } from './fake.ts';

const WRITE = 5;
const SYNC = 9;

/** A leader with the links of its learners; every helper is one message in. */
class Ensemble {
  readonly ctx: FakeContext;
  readonly leader: Leader;
  readonly links = new Map<string, FakeLink>();

  constructor(shape: Shape = {}) {
    this.ctx = new FakeContext(shape);
    this.leader = new Leader(this.ctx);
    this.leader.start();
  }

  link(name: string): FakeLink {
    let link = this.links.get(name);
    if (link === undefined) {
      this.links.set(name, (link = new FakeLink(name)));
      this.leader.incoming(link);
    }
    return link;
  }
  info(name: string, serverId: number, acceptedEpoch = 0, observer = false): this {
    this.leader.message(this.link(name), {
      type: observer ? Packet.OBSERVERINFO : Packet.FOLLOWERINFO,
      zxid: z(acceptedEpoch, 0),
      serverId,
      protocolVersion: PROTOCOL_VERSION,
      configVersion: ZXID_NONE,
    });
    return this;
  }
  ackEpoch(name: string, zxid = ZXID_NONE, currentEpoch = 0): this {
    this.leader.message(this.link(name), { type: Packet.ACKEPOCH, zxid, currentEpoch });
    return this;
  }
  ack(name: string, zxid = z(this.leader.epoch, 0)): this {
    this.leader.message(this.link(name), { type: Packet.ACK, zxid });
    return this;
  }
  pong(name: string): this {
    this.leader.message(this.link(name), { type: Packet.PING, zxid: ZXID_NONE, touches: [] });
    return this;
  }
  disk(): this {
    this.leader.persisted(this.ctx.settleDisk());
    return this;
  }
  /** Joins a server up to NEWLEADER. */
  join(name: string, serverId: number, zxid = ZXID_NONE, currentEpoch = 0, observer = false): this {
    return this.info(name, serverId, 0, observer).ackEpoch(name, zxid, currentEpoch);
  }
  /** Leads with server 2 behind it over link `a`; the outbox is empty. */
  establish(): this {
    this.info('a', 2).disk().ackEpoch('a', this.ctx.history.lastLogged, 0).disk().ack('a');
    expect(this.leader.serving).toBe(true);
    this.ctx.effects();
    return this;
  }
  effects(): string[] {
    return this.ctx.effects();
  }
}

let e: Ensemble;

describe('discovery', () => {
  beforeEach(() => {
    e = new Ensemble({ observers: [4, 5, 6], acceptedEpoch: 3, committed: [z(2, 1)], currentEpoch: 2 });
  });

  it('proposes an epoch after every accepted one, and says so only when that is durable', () => {
    e.info('a', 2, 7);
    expect(e.effects()).toEqual(['acceptedEpoch 8', 'a <- durable LEADERINFO 8.0']);
  });

  it('waits for a quorum of voters: observers never count (fault 2959)', () => {
    for (const id of [4, 5, 6]) e.info(`o${id}`, id, 0, true);
    expect(e.effects()).toEqual([]);
    e.info('a', 2, 0);
    expect(e.effects()[0]).toBe('acceptedEpoch 4');
  });

  it('counts an observer in no later quorum either', () => {
    for (const id of [4, 5, 6]) e.info(`o${id}`, id, 0, true);
    e.info('a', 2).disk().effects();
    for (const id of [4, 5, 6]) e.ackEpoch(`o${id}`, ZXID_NONE, 0);
    expect(e.effects()).toEqual([]);
    e.ackEpoch('a', z(2, 1), 2).disk();
    for (const id of [4, 5, 6]) e.ack(`o${id}`);
    expect(e.leader.serving).toBe(false);
    e.ack('a');
    expect(e.leader.serving).toBe(true);
  });

  it('takes an epoch that is still being written for accepted', () => {
    e.ctx.history.promise(9);
    e.info('a', 2);
    expect(e.effects()[0]).toBe('acceptedEpoch 10');
  });

  it.each([
    ['an unknown server', { serverId: 9 }],
    ['our own id', { serverId: 1 }],
    ['an observer that calls itself a follower', { serverId: 4 }],
    ['an old protocol', { protocolVersion: 0 }],
    ['a newer configuration', { configVersion: z(0, 1) }],
    ['an epoch after which there is none', { zxid: z(LAST_EPOCH, 0) }],
  ])('refuses %s, and nobody else suffers', (_name, odd) => {
    const message = {
      type: Packet.FOLLOWERINFO,
      zxid: ZXID_NONE,
      serverId: 2,
      protocolVersion: PROTOCOL_VERSION,
      configVersion: ZXID_NONE,
    };
    e.leader.message(e.link('x'), { ...message, ...odd });
    expect(e.effects()).toEqual(['close x']);
    e.info('a', 3);
    expect(e.effects()).toEqual(['acceptedEpoch 4', 'a <- durable LEADERINFO 4.0']);
  });

  it('keeps the newer of two links of one server', () => {
    e.info('a', 2).disk().effects();
    e.info('b', 2);
    expect(e.effects()).toEqual(['b <- LEADERINFO 4.0', 'close a']);
  });

  it.each([
    ['ACKEPOCH before FOLLOWERINFO', (ens: Ensemble) => ens.ackEpoch('x')],
    ['FOLLOWERINFO twice', (ens: Ensemble) => ens.info('x', 3).info('x', 3)],
    ['PING before UPTODATE', (ens: Ensemble) => ens.info('x', 3).pong('x')],
    ['a packet that only leaders send', (ens: Ensemble) => ens.leader.message(ens.link('x'), { type: Packet.UPTODATE, zxid: ZXID_NONE })],
    ['REQUEST before UPTODATE', (ens: Ensemble) => ens.leader.message(ens.link('x'), { type: Packet.REQUEST, request: request(WRITE) })],
    [
      'REVALIDATE before UPTODATE',
      (ens: Ensemble) => ens.leader.message(ens.link('x'), { type: Packet.REVALIDATE, sessionId: ZXID_NONE, timeout: 1 }),
    ],
  ])('closes only the link that brings %s', (_name, act) => {
    e.info('a', 2).disk().effects();
    act(e);
    expect(e.effects().filter((line) => line.startsWith('close'))).toEqual(['close x']);
    expect(e.ctx.left).toBeNull();
  });
});

describe('the acknowledgements of the epoch', () => {
  beforeEach(() => {
    e = new Ensemble({ acceptedEpoch: 3, committed: [z(2, 1), z(2, 2)], currentEpoch: 2 });
    e.info('a', 2).disk().effects();
  });

  it('lead to currentEpoch and the first synchronisation', () => {
    e.ackEpoch('a', z(2, 1), 2);
    expect(e.effects()).toEqual(['currentEpoch 4', 'a <- DIFF 2.2', 'a <- PROPOSAL 2.2', 'a <- COMMIT 2.2', 'a <- NEWLEADER 4.0']);
  });

  it('do not count as -1: that server has promised this epoch to somebody before', () => {
    e.ackEpoch('a', z(2, 1), -1);
    expect(e.effects()).toEqual([]);
    e.info('b', 3).ackEpoch('b', z(2, 1), 1);
    expect(e.effects()).toContain('currentEpoch 4');
  });

  it('still count when their link is gone: the promise holds, and on the next link it is a -1', () => {
    const five = new Ensemble({ voters: [1, 2, 3, 4, 5] });
    five.info('a', 2).info('b', 3).disk().ackEpoch('a');
    five.leader.closed(five.link('a'));
    five.links.delete('a');
    five.info('a', 2, 1).ackEpoch('a', ZXID_NONE, -1).ackEpoch('b');
    expect(five.effects()).toContain('currentEpoch 1');
  });

  it('wait for our own accepted epoch to be durable', () => {
    const slow = new Ensemble();
    slow.info('a', 2);
    slow.effects();
    slow.ackEpoch('a');
    expect(slow.effects()).toEqual([]);
  });

  it.each([
    ['a later epoch', z(2, 1), 3, true],
    ['a longer history in the same epoch', z(2, 3), 2, true],
    ['a longer history of an earlier epoch', z(2, 9), 1, false],
    ['the same history', z(2, 2), 2, false],
  ])('end the role when a voter has %s', (_name, zxid, currentEpoch, ends) => {
    e.ackEpoch('a', zxid, currentEpoch);
    expect(e.ctx.left !== null).toBe(ends);
    expect(e.effects().includes('currentEpoch 4')).toBe(!ends);
  });

  it('make way for a voter that has accepted a later epoch (faults 335, 3608)', () => {
    e.info('b', 3, 9);
    expect(e.ctx.left).toContain('accepted epoch 9');
  });
});

describe('NEWLEADER', () => {
  it('is won with a quorum of ACKs, our own only when currentEpoch and the log are durable; then everything is committed', () => {
    e = new Ensemble({ committed: [z(1, 1)], tail: [z(1, 2)] });
    e.info('a', 2).disk().ackEpoch('a', z(1, 2), 1);
    e.effects();
    e.ack('a');
    expect(e.leader.serving).toBe(false);
    e.disk();
    expect(e.leader.serving).toBe(true);
    expect(e.effects()).toEqual(['a <- UPTODATE', 'commit 1.2']);
    expect(e.leader.lastProposed).toEqual(z(1, 0));
  });

  it('is won by the others alone', () => {
    e = new Ensemble();
    e.info('a', 2).info('b', 3).disk().ackEpoch('a').ackEpoch('b').ack('a');
    expect(e.leader.serving).toBe(false);
    e.ack('b');
    expect(e.leader.serving).toBe(true);
  });

  it('of an early ACK of a proposal does not end anything, nor does that ACK count (fault 4685)', () => {
    e = new Ensemble().establish();
    e.leader.request(request(WRITE), null);
    e.join('b', 3);
    e.effects();
    e.ack('b', z(1, 1));
    expect(e.effects()).toEqual([]);
    e.ack('b', z(1, 0));
    expect(e.effects()).toEqual(['b <- UPTODATE']);
    e.ack('a', z(1, 1));
    expect(e.effects()).toEqual(['a <- COMMIT 1.1', 'b <- COMMIT 1.1', 'commit 1.1']);
  });
});

describe('broadcast', () => {
  beforeEach(() => {
    e = new Ensemble({ observers: [4] }).establish();
    e.join('o', 4, ZXID_NONE, 0, true).ack('o');
    e.effects();
  });

  it('sends and logs a proposal at once, and commits it with a quorum of disks', () => {
    e.leader.request(request(WRITE), null);
    expect(e.effects()).toEqual(['append 1.1', 'a <- PROPOSAL 1.1']);
    e.ack('a', z(1, 1));
    expect(e.effects()).toEqual([]);
    e.disk();
    expect(e.effects()).toEqual(['a <- COMMIT 1.1', 'o <- INFORM 1.1', 'commit 1.1']);
  });

  it('does not count an observer', () => {
    e.leader.request(request(WRITE), null);
    e.disk().ack('o', z(1, 1)).effects();
    e.ack('o', z(1, 1));
    expect(e.effects()).toEqual([]);
  });

  it('commits in order only: an ACK of a later one is one of all before it', () => {
    for (let i = 0; i < 3; i++) e.leader.request(request(WRITE), null);
    e.disk().effects();
    e.ack('a', z(1, 2));
    expect(e.effects().at(-1)).toBe('commit 1.1 1.2');
    e.ack('a', z(1, 1)).ack('a', z(1, 2));
    expect(e.effects()).toEqual([]);
    e.ack('a', z(1, 3));
    expect(e.effects().at(-1)).toBe('commit 1.3');
  });

  it('commits without its own disk, and takes late ACKs calmly', () => {
    e.join('b', 3).ack('b');
    for (let i = 0; i < 2; i++) e.leader.request(request(WRITE), null);
    e.effects();
    e.ack('a', z(1, 1)).ack('b', z(1, 1));
    expect(e.effects().at(-1)).toBe('commit 1.1');
    e.ack('a', z(1, 2));
    expect(e.effects()).toEqual([]);
    e.disk();
    expect(e.effects().at(-1)).toBe('commit 1.2');
    e.ack('b', z(1, 2)).disk();
    expect(e.effects()).toEqual([]);
  });

  it('closes the link of who acknowledges what was never proposed', () => {
    e.leader.request(request(WRITE), null);
    e.effects();
    e.ack('a', z(1, 2));
    expect(e.effects()).toEqual(['close a']);
  });

  it('closes the link of who acknowledges before it was sent anything', () => {
    e.info('b', 3).effects();
    e.ack('b', z(0, 1));
    expect(e.effects()).toEqual(['close b']);
  });

  it('forgets the ACKs of a server that is about to be told to cut its log: what it cuts must not count', () => {
    e.leader.request(request(WRITE), null);
    e.disk().ack('a', z(1, 1));
    e.leader.request(request(WRITE), null);
    e.ack('a', z(1, 2)).effects();
    // Its link breaks, and it comes back before our own disk has 1.2: its log ends beyond what is committed.
    e.leader.closed(e.link('a'));
    e.info('a2', 2, 1).ackEpoch('a2', z(1, 2), -1);
    expect(e.effects()).toEqual(['a2 <- LEADERINFO 1.0', 'a2 <- TRUNC 1.1', 'a2 <- PROPOSAL 1.2', 'a2 <- NEWLEADER 1.0']);
    e.disk();
    expect(e.effects()).toEqual([]);
    e.ack('a2');
    expect(e.effects()).toEqual(['a2 <- UPTODATE']);
    e.ack('a2', z(1, 2));
    expect(e.effects().at(-1)).toBe('commit 1.2');
  });
});

describe('a late joiner (Zab.tla issues 1-3)', () => {
  beforeEach(() => {
    e = new Ensemble().establish();
    for (let i = 0; i < 2; i++) e.leader.request(request(WRITE), null);
    e.disk().ack('a', z(1, 1)).effects();
  });

  it('gets what is committed now as committed, what is outstanding without a COMMIT', () => {
    e.join('b', 3);
    expect(e.effects()).toEqual([
      'b <- LEADERINFO 1.0',
      'b <- DIFF 1.1',
      'b <- PROPOSAL 1.1',
      'b <- COMMIT 1.1',
      'b <- PROPOSAL 1.2',
      'b <- NEWLEADER 1.0',
    ]);
  });

  it('gets proposals between NEWLEADER and UPTODATE, but their COMMITs after it (fault 4394)', () => {
    e.join('b', 3);
    e.leader.request(request(WRITE), null);
    e.effects();
    e.disk().ack('a', z(1, 3));
    expect(e.effects().filter((line) => line.startsWith('b'))).toEqual([]);
    e.ack('b');
    expect(e.effects()).toEqual(['b <- UPTODATE', 'b <- COMMIT 1.2', 'b <- COMMIT 1.3']);
  });

  it('as an observer gets no outstanding proposal, but INFORM at its commit', () => {
    const o = new Ensemble({ observers: [4] }).establish();
    o.leader.request(request(WRITE), null);
    o.effects();
    o.join('o', 4, ZXID_NONE, 0, true);
    expect(o.effects()).toEqual(['o <- LEADERINFO 1.0', 'o <- DIFF 0.0', 'o <- NEWLEADER 1.0']);
    o.ack('o').disk().ack('a', z(1, 1));
    expect(o.effects()).toEqual(['o <- UPTODATE', 'a <- COMMIT 1.1', 'o <- INFORM 1.1', 'commit 1.1']);
  });
});

describe('a snapshot to a learner', () => {
  it('carries the committed state; the leader that is not established sends its tail behind it (fault 3104)', () => {
    e = new Ensemble({ recentLimit: 1, committed: [z(1, 1), z(1, 2)], tail: [z(2, 1)], acceptedEpoch: 2, currentEpoch: 2 });
    e.info('a', 2).disk().effects();
    e.ackEpoch('a', ZXID_NONE, 0);
    expect(e.effects()).toEqual(['currentEpoch 3', 'a <- SNAP 1.2', 'stream a']);
    e.leader.snapshotStreamed(e.link('a'));
    expect(e.effects()).toEqual(['a <- PROPOSAL 2.1', 'a <- COMMIT 2.1', 'a <- NEWLEADER 3.0']);
  });

  it('holds back what goes on meanwhile, in order', () => {
    e = new Ensemble({ recentLimit: 1 }).establish();
    for (let i = 0; i < 4; i++) e.leader.request(request(WRITE), null);
    e.disk().ack('a', z(1, 3)).effects();
    e.join('b', 3);
    expect(e.effects()).toEqual(['b <- LEADERINFO 1.0', 'b <- SNAP 1.3', 'stream b']);
    e.leader.request(request(WRITE), null);
    e.disk().ack('a', z(1, 5)).effects();
    e.leader.snapshotStreamed(e.link('b'));
    expect(e.effects()).toEqual(['b <- PROPOSAL 1.4', 'b <- PROPOSAL 1.5', 'b <- COMMIT 1.4', 'b <- COMMIT 1.5', 'b <- NEWLEADER 1.0']);
  });

  it('takes the place of a log that cannot be read, or has a hole (fault 2846)', () => {
    for (const entries of [null, [], ['hole']]) {
      e = new Ensemble({ recentLimit: 1, committed: [z(1, 1), z(1, 2), z(1, 3), z(1, 4)], acceptedEpoch: 1, currentEpoch: 1 });
      e.info('a', 2).disk().ackEpoch('a', z(1, 1), 1);
      expect(e.effects()).toContain('read log 1.1..1.3');
      const read = entries === null ? null : entries.map(() => e.ctx.history.entriesAfter(z(1, 3), z(1, 4))[0]);
      e.leader.logRead(e.link('a'), read);
      expect(e.effects()).toEqual(['a <- SNAP 1.4', 'stream a']);
    }
  });

  it('is not needed when the log has it all: one DIFF over both sources', () => {
    e = new Ensemble({ recentLimit: 1, committed: [z(1, 1), z(1, 2), z(1, 3)], acceptedEpoch: 1, currentEpoch: 1 });
    e.info('a', 2).disk().ackEpoch('a', z(1, 1), 1);
    e.effects();
    const [last] = e.ctx.history.entriesAfter(z(1, 2), z(1, 3));
    e.leader.logRead(e.link('a'), [{ ...last, zxid: z(1, 2) }]);
    expect(e.effects()).toEqual([
      'a <- DIFF 1.3',
      'a <- PROPOSAL 1.2',
      'a <- COMMIT 1.2',
      'a <- PROPOSAL 1.3',
      'a <- COMMIT 1.3',
      'a <- NEWLEADER 2.0',
    ]);
  });

  it("to a learner that is gone is nobody's business", () => {
    e = new Ensemble().establish();
    const gone = new FakeLink('gone');
    e.leader.snapshotStreamed(gone);
    e.leader.logRead(gone, null);
    e.leader.streamProgress(gone);
    expect(e.effects()).toEqual([]);
  });
});

describe('SYNC (faults 1675, 2136)', () => {
  beforeEach(() => {
    e = new Ensemble().establish();
  });

  it('is answered only when a quorum has answered a PING sent after it came', () => {
    e.leader.request(request(SYNC, 7), null);
    expect(e.effects()).toEqual(['a <- PING 1.0']);
    e.pong('a');
    expect(e.effects()).toEqual(['synced 7']);
  });

  it('is not answered by the answer to an earlier PING', () => {
    e.ctx.now += 50;
    e.leader.tick();
    expect(e.effects()).toEqual(['a <- PING 1.0']);
    e.leader.request(request(SYNC, 7), null);
    e.effects();
    e.pong('a');
    expect(e.effects()).toEqual([]);
    e.pong('a');
    expect(e.effects()).toEqual(['synced 7']);
  });

  it('waits for what was proposed before it, and only for that', () => {
    e.leader.request(request(WRITE), null);
    e.leader.request(request(SYNC, 7), null);
    e.leader.request(request(WRITE), null);
    e.disk().pong('a').effects();
    e.ack('a', z(1, 1));
    expect(e.effects()).toEqual(['a <- COMMIT 1.1', 'commit 1.1', 'synced 7']);
  });

  it('of a learner is answered on its link, behind the COMMITs', () => {
    e.leader.message(e.link('a'), { type: Packet.REQUEST, request: request(SYNC, 7) });
    e.effects();
    e.pong('a');
    expect(e.effects()).toEqual(['a <- SYNC 0.0']);
  });

  it('does not count an observer', () => {
    const o = new Ensemble({ observers: [4] }).establish();
    o.join('o', 4, ZXID_NONE, 0, true).ack('o');
    o.leader.request(request(SYNC, 7), null);
    o.effects();
    o.pong('o');
    expect(o.effects()).toEqual([]);
    o.pong('a');
    expect(o.effects()).toEqual(['synced 7']);
  });

  it('of many shares the rounds of PINGs', () => {
    for (let i = 1; i <= 5; i++) e.leader.request(request(SYNC, i), null);
    expect(e.effects()).toEqual(['a <- PING 1.0']);
    e.pong('a');
    expect(e.effects()).toEqual(['a <- PING 1.0', 'synced 1']);
    e.pong('a');
    expect(e.effects()).toEqual(['synced 2', 'synced 3', 'synced 4', 'synced 5']);
  });
});

describe('the end of a leader', () => {
  it('comes when a quorum of followers is gone or silent', () => {
    e = new Ensemble().establish();
    e.leader.closed(e.link('a'));
    e.ctx.now += 50;
    e.leader.tick();
    expect(e.ctx.left).toContain('quorum');
    const silent = new Ensemble().establish();
    silent.ctx.now += 501;
    silent.leader.tick();
    expect(silent.effects()).toContain('close a');
    expect(silent.ctx.left).toContain('quorum');
  });

  it('does not come while a quorum answers, nor does an observer keep it', () => {
    e = new Ensemble({ observers: [4] }).establish();
    e.join('o', 4, ZXID_NONE, 0, true).ack('o');
    for (let i = 0; i < 20; i++) {
      e.ctx.now += 100;
      e.pong('a').leader.tick();
    }
    expect(e.ctx.left).toBeNull();
    e.leader.closed(e.link('a'));
    e.ctx.now += 100;
    e.pong('o').leader.tick();
    expect(e.ctx.left).not.toBeNull();
  });

  it('comes when nobody follows within initLimit, or voters have gone on voting (fault 3109)', () => {
    e = new Ensemble();
    e.ctx.now += 1001;
    e.leader.tick();
    expect(e.ctx.left).toContain('initLimit');
    const lonely = new Ensemble();
    lonely.leader.overtaken(3);
    expect(lonely.ctx.left).not.toBeNull();
    const followed = new Ensemble();
    followed.info('a', 2).leader.overtaken(3);
    expect(followed.ctx.left).toBeNull();
  });

  it('comes with the last counter: the request that would get 0xffffffff is not taken (faults 1277, 2789, 4883)', () => {
    const single = new Ensemble({ voters: [1] });
    single.disk();
    single.disk();
    expect(single.leader.serving).toBe(true);
    const { history } = single.ctx;
    jump(single, LAST_COUNTER - 1);
    expect(single.leader.request(request(WRITE), null)).toBe(true);
    expect(short(single.leader.lastProposed)).toBe(`1.${LAST_COUNTER}`);
    expect(single.leader.request(request(WRITE), null)).toBe(false);
    expect(single.ctx.left).toContain('counter');
    expect(history.lastLogged).toEqual(z(1, LAST_COUNTER));
  });

  it('closes every link', () => {
    e = new Ensemble().establish();
    e.info('b', 3).effects();
    e.leader.stop();
    expect(e.effects()).toEqual(['close a', 'close b']);
  });
});

/** Lets the leader's history stand at `counter` of its epoch, as after so many writes. */
function jump(ens: Ensemble, counter: number): void {
  const { history } = ens.ctx;
  const zxid = z(ens.leader.epoch, counter);
  history.reset(zxid);
  Object.assign(ens.leader.lastProposed, { low: zxid.low, high: zxid.high });
}
