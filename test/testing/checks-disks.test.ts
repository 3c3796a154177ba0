import { describe, expect, it } from 'vitest';
import { makeZxid, ZXID_NONE } from '../../src/model/zxid.ts';
import type { LogEntry } from '../../src/zab/entry.ts';
import { Packet, type QuorumMessage } from '../../src/zab/messages.ts';
import { broken, type Story, write } from './story.ts';

const [a, b, c] = [1, 2, 3].map((counter) => write(1, counter));

const leaderInfo = (epoch: number): QuorumMessage => ({ type: Packet.LEADERINFO, zxid: makeZxid(epoch, 0), protocolVersion: 0x10000 });
const newLeader = (epoch: number): QuorumMessage => ({ type: Packet.NEWLEADER, zxid: makeZxid(epoch, 0), config: null });
const diff = (to: LogEntry): QuorumMessage => ({ type: Packet.DIFF, zxid: to.zxid });
const proposal = (entry: LogEntry): QuorumMessage => ({ type: Packet.PROPOSAL, entry });
const ackEpoch = (last: LogEntry, currentEpoch: number): QuorumMessage => ({ type: Packet.ACKEPOCH, zxid: last.zxid, currentEpoch });

describe('CommittedOnQuorum', () => {
  it('something is delivered that only a minority has, by the word of its stores', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.log(a, 1);
      s.checks.appending(2, [a]);
      s.apply(a, 1);
    });
    expect(rules).toEqual(['CommittedOnQuorum']);
  });

  it('observers make no quorum', () => {
    const tell = (voter: number) => (s: Story) => {
      s.reign(1, 1, 2);
      s.commit(a, 1, voter);
    };
    expect(broken(tell(4), 3, 2)).toEqual(['CommittedOnQuorum']);
    expect(broken(tell(2), 3, 2)).toEqual([]);
  });

  it('a shown tree holds something that only a minority has', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.log(a, 1);
      s.show(1, a);
    });
    expect(rules).toEqual(['CommittedOnQuorum']);
  });

  const committed = (s: Story): void => {
    s.reign(1, 1, 2, 3);
    s.commit(a, 1, 2, 3);
    s.commit(b, 1, 2);
  };

  it('a truncation takes a committed entry from the last quorum that has it', () => {
    const rules = broken((s) => {
      committed(s);
      s.cut(2, a);
    });
    expect(rules).toEqual(['CommittedOnQuorum']);
  });

  it('a snapshot takes one away', () => {
    const rules = broken((s) => {
      committed(s);
      s.install(1, a);
    });
    expect(rules).toEqual(['CommittedOnQuorum']);
  });

  it('a copy beyond the quorum may go', () => {
    const rules = broken((s) => {
      committed(s);
      s.log(b, 3);
      s.cut(3, a);
    });
    expect(rules).toEqual([]);
  });

  it('a restart takes one away, and that is forgiven only to a damaged disk', () => {
    const restart = (s: Story): void => {
      committed(s);
      s.checks.died(2);
      s.boot(2, a.zxid, 1);
    };
    expect(broken(restart)).toEqual(['CommittedOnQuorum', 'DurableIsKept']);
    const damaged = broken((s) => {
      s.checks.forgot(2);
      restart(s);
    });
    // It began to serve meanwhile, so it is no longer excused.
    expect(damaged).toEqual(['CommittedOnQuorum', 'DurableIsKept']);
    const excused = broken((s) => {
      committed(s);
      s.checks.forgot(2);
      s.checks.died(2);
      s.boot(2, a.zxid, 0);
    });
    expect(excused).toEqual([]);
  });
});

describe('LogBeforeSnapshot', () => {
  const rulesOf = (saved: LogEntry): string[] =>
    broken((s) => {
      s.reign(1, 1, 2, 3);
      s.log(a, 1, 2, 3);
      s.log(b, 1, 2);
      s.checks.saved(3, saved.zxid);
    });

  it('a snapshot may end where its log does, and not behind that', () => {
    expect(rulesOf(a)).toEqual([]);
    expect(rulesOf(b)).toEqual(['LogBeforeSnapshot']);
  });
});

describe('a damaged log', () => {
  /** Server 3, which had three entries and one bit of damage, finds a log that ends so. */
  const rulesOf = (last: LogEntry, tell: (s: Story) => void = () => {}): string[] =>
    broken((s) => {
      s.reign(1, 1, 2, 3);
      s.log(a, 1, 2, 3);
      s.log(b, 1, 2, 3);
      s.log(c, 1, 2, 3);
      tell(s);
      s.checks.forgot(3, 1);
      s.checks.died(3);
      s.checks.booted(3);
      s.checks.recovered(3, { lastZxid: last.zxid, snapshotZxid: ZXID_NONE, acceptedEpoch: 1, currentEpoch: 1 });
    });

  it('may miss its last entry, which looks like a torn write, and nothing more', () => {
    expect(rulesOf(c)).toEqual([]);
    expect(rulesOf(b)).toEqual([]);
    expect(rulesOf(a)).toEqual(['DurableIsKept']);
  });

  it('may miss what was about to be cut off', () => {
    expect(rulesOf(a, (s) => s.checks.truncating(3, a.zxid))).toEqual([]);
  });
});

describe('NoGap in a log', () => {
  it('an entry follows another one than it was broadcast behind', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.log(a, 1, 2, 3);
      s.log(b, 1);
      s.log(c, 1, 2);
    });
    expect(rules).toEqual(['NoGap']);
  });

  it('a tail that should have been cut off stays', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.commit(a, 1, 2, 3);
      s.log(b, 1);
      s.look(2);
      s.reign(2, 2, 3);
      s.log(write(2, 1), 2, 3, 1);
    });
    expect(rules).toEqual(['NoGap']);
  });

  it('a log is cut where it has no entry', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.log(a, 1, 2);
      s.log(b, 1);
      s.cut(2, b);
    });
    expect(rules).toEqual(['NoGap']);
  });
});

describe('DurableIsKept', () => {
  const begun = (s: Story): void => {
    s.reign(1, 1, 2, 3);
    s.log(a, 1, 2);
    s.log(b, 1);
  };

  it('a crash leaves any first part of what was under way', () => {
    for (const last of [a, b, c]) {
      const rules = broken((s) => {
        begun(s);
        s.log(c, 1);
        s.checks.appending(2, [b, c]);
        s.checks.died(2);
        s.boot(2, last.zxid, 1);
      });
      expect(rules).toEqual([]);
    }
  });

  it('a crash in a truncation or an installation leaves what it leaves', () => {
    const parts: ((s: Story) => void)[] = [
      (s) => s.boot(1, c.zxid, 1),
      (s) => s.boot(1, b.zxid, 1),
      (s) => s.boot(1, a.zxid, 1),
      (s) => s.boot(1, write(2, 1).zxid, 2),
    ];
    for (const part of parts) {
      const rules = broken((s) => {
        begun(s);
        s.log(c, 1);
        s.look(2);
        s.reign(2, 2, 3);
        s.log(a, 3);
        s.log(write(2, 1), 2);
        s.checks.truncating(1, a.zxid);
        s.checks.installing(1, write(2, 1).zxid);
        part(s);
      });
      expect(rules).toEqual([]);
    }
  });

  it('a restart has lost what the store had called durable', () => {
    const rules = broken((s) => {
      begun(s);
      s.boot(2, ZXID_NONE, 1);
    });
    expect(rules).toEqual(['DurableIsKept']);
  });

  it('a restart has what the store was not given', () => {
    const rules = broken((s) => {
      begun(s);
      s.boot(2, b.zxid, 1);
    });
    expect(rules).toEqual(['DurableIsKept']);
  });

  it('a store that is read again in the same process is as it was', () => {
    const found = (last: LogEntry): string[] =>
      broken((s) => {
        begun(s);
        s.checks.recovered(1, { lastZxid: last.zxid, snapshotZxid: ZXID_NONE, acceptedEpoch: 1, currentEpoch: 1 });
      });
    expect(found(b)).toEqual([]);
    expect(found(a)).toEqual(['DurableIsKept']);
  });

  it('a store has cut what is not its turn yet', () => {
    const rules = broken((s) => {
      begun(s);
      s.checks.appending(1, [c]);
      s.checks.truncating(1, a.zxid);
      s.checks.truncated(1, a.zxid);
    });
    expect(rules).toEqual(['DurableIsKept']);
  });

  it('a store calls durable what it was not given', () => {
    const rules = broken((s) => {
      begun(s);
      s.checks.durable(2, b.zxid);
    });
    expect(rules).toEqual(['DurableIsKept']);
  });
});

describe('DurableBeforeAck of a proposal', () => {
  const synced = (s: Story): void => {
    s.reign(1, 1, 2, 3);
    s.receive(1, 2, diff(a));
    s.receive(1, 2, newLeader(1));
    s.log(a, 1, 2, 3);
    s.ack(2, 1, makeZxid(1, 0));
    s.log(b, 1);
    s.checks.appending(2, [b]);
  };

  it('leaves with the entry on disk', () => {
    const rules = broken((s) => {
      synced(s);
      s.checks.durable(2, b.zxid);
      s.ack(2, 1, b.zxid);
    });
    expect(rules).toEqual([]);
  });

  it('does not leave while it is under way', () => {
    const rules = broken((s) => {
      synced(s);
      s.ack(2, 1, b.zxid);
    });
    expect(rules).toEqual(['DurableBeforeAck']);
  });

  it('does not leave before NEWLEADER was acknowledged over the same link', () => {
    const rules = broken((s) => {
      synced(s);
      s.checks.durable(2, b.zxid);
      s.receive(1, 2, diff(a), 2);
      s.ack(2, 1, b.zxid, 2);
    });
    expect(rules).toEqual(['DurableBeforeAck']);
  });

  it('is not that of an observer (NoObserverVotes)', () => {
    const rules = broken(
      (s) => {
        synced(s);
        s.log(b, 4);
        s.receive(1, 4, diff(a), 3);
        s.receive(1, 4, newLeader(1), 3);
        s.enter(1, 4);
        s.ack(4, 1, makeZxid(1, 0), 3);
        s.ack(4, 1, b.zxid, 3);
      },
      3,
      1,
    );
    expect(rules).toContain('NoObserverVotes');
  });
});

describe('DurableBeforeAck of NEWLEADER', () => {
  const tell = (change: (s: Story) => void) => (s: Story) => {
    s.reign(1, 1, 2, 3);
    s.log(a, 1, 2, 3);
    s.log(b, 1, 2);
    s.log(c, 3);
    s.enter(2, 1, 2);
    s.checks.epoch(3, 'accepted', 2);
    s.receive(1, 3, leaderInfo(2));
    change(s);
    s.receive(1, 3, newLeader(2));
    s.ack(3, 1, makeZxid(2, 0));
  };

  it('leaves with all that came before it on disk', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.log(a, 1, 2, 3);
      s.log(b, 1, 2);
      s.enter(2, 1, 2);
      s.receive(1, 3, diff(b));
      s.receive(1, 3, proposal(b));
      s.log(b, 3);
      s.enter(2, 3);
      s.receive(1, 3, newLeader(2));
      s.ack(3, 1, makeZxid(2, 0));
    });
    expect(rules).toEqual([]);
  });

  it('does not leave before what came with DIFF is durable', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.log(a, 1, 2, 3);
      s.log(b, 1, 2);
      s.enter(2, 1, 2, 3);
      s.receive(1, 3, diff(b));
      s.receive(1, 3, proposal(b));
      s.checks.appending(3, [b]);
      s.receive(1, 3, newLeader(2));
      s.ack(3, 1, makeZxid(2, 0));
    });
    expect(rules).toEqual(['DurableBeforeAck']);
  });

  it('does not leave before the current epoch is durable', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2);
      s.checks.epoch(3, 'accepted', 1);
      s.receive(1, 3, { type: Packet.SNAP, zxid: ZXID_NONE });
      s.receive(1, 3, newLeader(1));
      s.ack(3, 1, makeZxid(1, 0));
    });
    expect(rules).toEqual(['DurableBeforeAck']);
  });

  it('does not leave with an old tail behind the end of the leader', () => {
    const rules = broken(
      tell((s) => {
        s.receive(1, 3, { type: Packet.TRUNC, zxid: a.zxid });
        s.checks.epoch(3, 'current', 2);
      }),
    );
    expect(rules).toContain('DurableBeforeAck');
  });

  it('does not leave when nothing was synchronised', () => {
    expect(broken(tell((s) => s.checks.epoch(3, 'current', 2)))).toContain('DurableBeforeAck');
  });
});

describe('DurableBeforeAck of the history that an epoch stands for', () => {
  it('the current epoch is not written before what came with DIFF', () => {
    const written = (first: (s: Story) => void, then: (s: Story) => void): string[] =>
      broken((s) => {
        s.reign(1, 1, 2, 3);
        s.log(a, 1, 2, 3);
        s.log(b, 1, 2);
        s.enter(2, 1, 2);
        s.checks.epoch(3, 'accepted', 2);
        s.receive(1, 3, leaderInfo(2));
        s.receive(1, 3, diff(b));
        s.receive(1, 3, proposal(b));
        s.receive(1, 3, newLeader(2));
        first(s);
        then(s);
      });
    const log = (s: Story): void => s.log(b, 3);
    const epoch = (s: Story): void => s.checks.epoch(3, 'current', 2);
    expect(written(log, epoch)).toEqual([]);
    expect(written(epoch, log)).toEqual(['DurableBeforeAck']);
  });
});

describe('DurableBeforeAck and EpochsNeverGoBack of an epoch', () => {
  const heard = (s: Story, epoch: number): void => {
    s.reign(3, 1, 2);
    s.log(write(3, 1), 1, 2);
    s.receive(1, 2, leaderInfo(epoch), 2);
  };
  const last = write(3, 1);

  it('ACKEPOCH leaves with the accepted epoch on disk, and says what is there', () => {
    const tell = (answer: QuorumMessage, durable = true): string[] =>
      broken((s) => {
        heard(s, 4);
        if (durable) s.checks.epoch(2, 'accepted', 4);
        s.send(2, 1, answer, 2);
      });
    expect(tell(ackEpoch(last, 3))).toEqual([]);
    expect(tell(ackEpoch(last, 3), false)).toEqual(['DurableBeforeAck']);
    expect(tell(ackEpoch(write(3, 2), 3))).toEqual(['DurableBeforeAck']);
    expect(tell(ackEpoch(last, 4))).toEqual(['DurableBeforeAck']);
  });

  it('an epoch that is behind the accepted one is not acknowledged', () => {
    const rules = broken((s) => {
      heard(s, 2);
      s.send(2, 1, ackEpoch(last, 3), 2);
    });
    expect(rules).toEqual(['EpochsNeverGoBack']);
  });

  it('LEADERINFO leaves with the accepted epoch on disk', () => {
    const tell = (epoch: number): string[] =>
      broken((s) => {
        heard(s, 4);
        s.checks.epoch(1, 'accepted', 4);
        s.send(1, 2, leaderInfo(epoch), 2);
      });
    expect(tell(4)).toEqual([]);
    expect(tell(5)).toEqual(['DurableBeforeAck']);
  });

  it.each<[string, (s: Story) => void]>([
    ['an accepted epoch falls', (s) => s.checks.epoch(1, 'accepted', 2)],
    ['a current epoch falls', (s) => s.checks.epoch(1, 'current', 2)],
    ['one is current that was not accepted', (s) => s.checks.epoch(1, 'current', 4)],
    ['one is lost over a restart', (s) => s.boot(1, last.zxid, 3, 2)],
    ['a server serves in an earlier epoch than before', (s) => s.checks.role(2, 'following', 1, 2)],
  ])('EpochsNeverGoBack: %s', (_name, tell) => {
    const rules = broken((s) => {
      heard(s, 3);
      tell(s);
    });
    expect(rules).toContain('EpochsNeverGoBack');
  });
});
