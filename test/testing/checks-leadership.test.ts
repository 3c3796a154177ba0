import { describe, expect, it } from 'vitest';
import { makeZxid, ZXID_NONE } from '../../src/model/zxid.ts';
import { Packet, type QuorumMessage } from '../../src/zab/messages.ts';
import { broken, type Story } from './story.ts';

/* Who may lead: the rules Leadership1, Leadership2 and NoObserverVotes. */

const leaderInfo = (epoch: number): QuorumMessage => ({ type: Packet.LEADERINFO, zxid: makeZxid(epoch, 0), protocolVersion: 0x10000 });
const newLeader = (epoch: number): QuorumMessage => ({ type: Packet.NEWLEADER, zxid: makeZxid(epoch, 0), config: null });

/** The followers promise the epoch to the leader, as far as it knows. */
function promise(s: Story, leader: number, epoch: number, ...followers: number[]): void {
  for (const follower of followers) {
    s.send(leader, follower, leaderInfo(epoch));
    s.receive(follower, leader, { type: Packet.ACKEPOCH, zxid: ZXID_NONE, currentEpoch: 0 });
  }
}

const BREACHES: readonly [rule: string, name: string, tell: (s: Story) => void][] = [
  ['Leadership1', 'another server leads the same epoch', (s) => s.lead(2, 1)],
  [
    'Leadership1',
    'a server leads the same epoch again after a restart',
    (s) => {
      s.boot(1, ZXID_NONE, 1);
      s.lead(1, 1);
    },
  ],
  [
    'Leadership1',
    'a server leads the same epoch again after it has left it',
    (s) => {
      s.look(1);
      s.lead(1, 1);
    },
  ],
  ['Leadership1', 'a server follows somebody else', (s) => s.follow(3, 2, 1)],
  ['Leadership1', 'a server follows before there is a leader', (s) => s.follow(3, 2, 2)],
  [
    'Leadership1',
    'two servers send NEWLEADER of an epoch',
    (s) => {
      promise(s, 1, 1, 2, 3);
      s.send(1, 2, newLeader(1));
      s.send(2, 3, newLeader(1));
    },
  ],
  ['Leadership1', 'NEWLEADER of an epoch that a minority has promised', (s) => s.send(1, 2, newLeader(1))],
  [
    'Leadership1',
    'the promises of observers count',
    (s) => {
      promise(s, 1, 1, 4, 5);
      s.send(1, 2, newLeader(1));
    },
  ],
  [
    'Leadership1',
    'a server promises an epoch to two leaders',
    (s) => {
      promise(s, 1, 1, 3);
      promise(s, 2, 1, 3);
    },
  ],
  [
    'Leadership2',
    'a leader serves whose epoch is current on a minority',
    (s) => {
      s.enter(2, 3);
      s.lead(3, 2);
    },
  ],
  [
    'Leadership2',
    'observers are no support',
    (s) => {
      s.enter(2, 3, 4, 5);
      s.lead(3, 2);
    },
  ],
  [
    'NoObserverVotes',
    'an observer leads',
    (s) => {
      s.enter(2, 2, 3, 4);
      s.lead(4, 2);
    },
  ],
];

describe('leadership', () => {
  it.each(BREACHES)('%s: %s', (rule, _name, tell) => {
    const rules = broken(
      (s) => {
        s.reign(1, 1, 2, 3);
        tell(s);
      },
      3,
      2,
    );
    expect(rules).toEqual([rule]);
  });
});

describe('legal leadership', () => {
  it('one leader after the other, a role told twice, and an observer that learns', () => {
    const rules = broken(
      (s) => {
        s.reign(1, 1, 2, 3);
        s.checks.role(1, 'leading', 1, 1);
        promise(s, 1, 1, 2, 4);
        s.send(1, 2, newLeader(1));
        s.send(1, 3, newLeader(1));
        s.enter(1, 4);
        s.follow(4, 1, 1, 'observing');
        s.look(1);
        s.reign(2, 1, 2, 3);
      },
      3,
      1,
    );
    expect(rules).toEqual([]);
  });
});
