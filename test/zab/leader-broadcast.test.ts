import { beforeEach, describe, expect, it } from 'vitest';
import { LAST_COUNTER, ZXID_NONE } from '../../src/model/zxid.ts';
import { Packet } from '../../src/zab/messages.ts';
import { FakeLink, request, short, z } from './fake.ts';
import { Ensemble } from './leader-rig.ts';

const WRITE = 5;
const SYNC = 9;

let e: Ensemble;

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

describe('SYNC of a learner', () => {
  beforeEach(() => {
    e = new Ensemble().establish();
  });

  it('is answered before what came after it is committed to that learner', () => {
    e.join('b', 3).ack('b').effects();
    const sync = (cxid: number) => e.leader.message(e.link('a'), { type: Packet.REQUEST, request: request(SYNC, cxid) });
    const write = () => e.leader.message(e.link('a'), { type: Packet.REQUEST, request: request(WRITE) });
    write();
    sync(7);
    write();
    sync(8);
    write();
    e.effects();
    e.disk().ack('b', z(1, 3));
    const others = ['b <- COMMIT 1.1', 'b <- COMMIT 1.2', 'b <- COMMIT 1.3'];
    expect(e.effects()).toEqual(['a <- COMMIT 1.1', ...others, 'commit 1.1 1.2 1.3']);
    e.pong('b');
    expect(e.effects()).toEqual(['a <- SYNC 0.0', 'a <- COMMIT 1.2', 'a <- PING 1.1', 'b <- PING 1.1']);
    e.pong('b');
    expect(e.effects()).toEqual(['a <- SYNC 0.0', 'a <- COMMIT 1.3']);
    write();
    e.effects();
    e.disk().ack('b', z(1, 4));
    expect(e.effects()).toEqual(['a <- COMMIT 1.4', 'b <- COMMIT 1.4', 'commit 1.4']);
  });

  it('of an observer too; what waits behind it is counted', () => {
    const o = new Ensemble({ observers: [4] }).establish();
    o.join('o', 4, ZXID_NONE, 0, true).ack('o');
    o.leader.message(o.link('o'), { type: Packet.REQUEST, request: request(SYNC, 7) });
    o.leader.request(request(WRITE), null);
    o.effects();
    o.disk().ack('a', z(1, 1));
    expect(o.effects()).toEqual(['a <- COMMIT 1.1', 'commit 1.1']);
    const waiting = () => o.leader.learners.get(o.link('o'))?.waitingBytes;
    expect(waiting()).toBeGreaterThan(0);
    o.pong('a');
    expect(o.effects()).toEqual(['o <- SYNC 0.0', 'o <- INFORM 1.1']);
    expect(waiting()).toBe(0);
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
