import { beforeEach, describe, expect, it } from 'vitest';
import { ZXID_NONE } from '../../src/model/zxid.ts';
import { Leader } from '../../src/zab/leader.ts';
import { LAST_EPOCH, Packet, PROTOCOL_VERSION } from '../../src/zab/messages.ts';
import { FakeLink, request, z } from './fake.ts';
import { Ensemble } from './leader-rig.ts';

const WRITE = 5;

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
    ['an epoch that nobody can have reached', { zxid: z(0x200000, 0) }],
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

  it.each([
    ['a voter', 3, false],
    ['an observer', 4, true],
  ])('make way for %s that has accepted a later epoch: the next one is later than that (faults 335, 3608)', (_who, id, observer) => {
    e = new Ensemble({ observers: [4] });
    e.info('a', 2).disk().ackEpoch('a').disk();
    e.info('b', id, 9, observer);
    expect(e.ctx.left).toContain('accepted epoch 9');
    e.effects();
    const next = new Leader(e.ctx);
    const link = new FakeLink('c');
    next.start();
    next.incoming(link);
    next.message(link, {
      type: Packet.FOLLOWERINFO,
      zxid: z(1, 0),
      serverId: 2,
      protocolVersion: PROTOCOL_VERSION,
      configVersion: ZXID_NONE,
    });
    expect(e.effects()[0]).toBe('acceptedEpoch 10');
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
    e.ack('a', z(1, 1)).ack('b', z(1, 1));
    expect(e.effects()).toEqual([]);
    e.ack('b', z(1, 0));
    expect(e.effects()).toEqual(['b <- UPTODATE', 'a <- COMMIT 1.1', 'b <- COMMIT 1.1', 'commit 1.1']);
  });
});
