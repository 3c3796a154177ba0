import { describe, expect, it } from 'vitest';
import { makeZxid } from '../../src/model/zxid.ts';
import { Packet } from '../../src/zab/messages.ts';
import { broken, type Story, write } from './story.ts';

const [a, b, c] = [1, 2, 3].map((counter) => write(1, counter));

/** All is written in epoch 1 and only a is committed; then server 1 leads epoch 2, and server 3, which has more than it, follows. */
const rulesOf = (tell: (s: Story) => void): string[] =>
  broken((s) => {
    s.reign(1, 3, 1, 2);
    s.commit(a, 3, 1, 2);
    s.log(b, 3);
    s.log(c, 3);
    for (const server of [1, 2, 3]) s.look(server);
    s.enter(2, 1, 2);
    s.lead(1, 2);
    s.checks.epoch(3, 'accepted', 2);
    tell(s);
  });

const snapshotComes = (s: Story): void => s.receive(1, 3, { type: Packet.SNAP, zxid: a.zxid });
const newLeaderComes = (s: Story): void => s.receive(1, 3, { type: Packet.NEWLEADER, zxid: makeZxid(2, 0), config: null });

describe('KeptUntilNewLeader', () => {
  it('a snapshot takes effect with NEWLEADER', () => {
    const rules = rulesOf((s) => {
      snapshotComes(s);
      newLeaderComes(s);
      s.install(3, a);
    });
    expect(rules).toEqual([]);
  });

  it('and not before', () => {
    const rules = rulesOf((s) => {
      snapshotComes(s);
      s.install(3, a);
    });
    expect(rules).toEqual(['KeptUntilNewLeader']);
  });

  it('NEWLEADER of an earlier attempt says nothing', () => {
    const rules = rulesOf((s) => {
      newLeaderComes(s);
      snapshotComes(s);
      s.install(3, a);
    });
    expect(rules).toEqual(['KeptUntilNewLeader']);
  });
});

describe('NoVainSynchronisation', () => {
  const says = (s: Story, zxid = c.zxid): void => s.send(3, 1, { type: Packet.ACKEPOCH, zxid, currentEpoch: 1 });
  const isToCut = (s: Story): void => s.receive(1, 3, { type: Packet.TRUNC, zxid: a.zxid });

  it('a log is cut at once, or a snapshot is asked for', () => {
    expect(
      rulesOf((s) => {
        says(s);
        isToCut(s);
        s.cut(3, a);
        says(s, a.zxid);
      }),
    ).toEqual([]);
    const asks = (s: Story): void => {
      says(s);
      isToCut(s);
      says(s, makeZxid(2, 0));
    };
    expect(rulesOf((s) => [asks, asks, asks, asks].forEach((ask) => void ask(s)))).toEqual([]);
  });

  it('the same is not asked again and again', () => {
    const again = (times: number) => (s: Story) => {
      says(s);
      for (let i = 0; i < times; i++) {
        isToCut(s);
        says(s);
      }
    };
    expect(rulesOf(again(2))).toEqual([]);
    expect(rulesOf(again(3))).toEqual(['NoVainSynchronisation']);
  });

  it('a process that begins knows nothing of it', () => {
    const rules = rulesOf((s) => {
      for (let i = 0; i < 5; i++) {
        says(s);
        isToCut(s);
        s.boot(3, c.zxid, 2, 1);
      }
    });
    expect(rules).toEqual([]);
  });
});
