import { describe, expect, it } from 'vitest';
import type { Txn } from '../../src/model/records.ts';
import { makeZxid } from '../../src/model/zxid.ts';
import { LogEntry } from '../../src/zab/entry.ts';
import { Packet } from '../../src/zab/messages.ts';
import { broken, Story, text, write } from './story.ts';

const [a, b, c] = [1, 2, 3].map((counter) => write(1, counter));

describe('legal stories', () => {
  it('three servers deliver one history, one of them later', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.commit(a, 1, 2, 3);
      s.commit(b, 1, 2);
      s.commit(b, 3);
    });
    expect(rules).toEqual([]);
  });

  it('an entry of a dead leader, logged by a quorum, is committed by the next one', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.commit(a, 1, 2, 3);
      s.log(b, 1, 2);
      s.checks.died(1);
      s.look(2);
      s.look(3);
      s.log(b, 3);
      s.enter(2, 2, 3);
      s.apply(b, 2);
      s.lead(2, 2);
      s.apply(b, 3);
      s.follow(3, 2, 2);
      const d = write(2, 1);
      s.commit(d, 2, 3);
      s.boot(1, b.zxid, 1);
      s.log(d, 1);
      s.enter(2, 1);
      s.show(1, a, b, d);
      s.follow(1, 2, 2);
    });
    expect(rules).toEqual([]);
  });
});

describe('legal stories of what is not committed', () => {
  it('a tail that no quorum had is cut off, and its place is taken', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.commit(a, 1, 2, 3);
      s.log(b, 1);
      s.checks.died(1);
      s.look(2);
      s.look(3);
      s.reign(2, 2, 3);
      s.boot(1, b.zxid, 1);
      s.cut(1, a);
      s.enter(2, 1);
      s.commit(write(2, 1), 2, 3);
      s.log(write(2, 1), 1);
      s.show(1, a, write(2, 1));
      s.follow(1, 2, 2);
    });
    expect(rules).toEqual([]);
  });

  it('a learner that was behind gets a snapshot, over a tail that nobody wants', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.commit(a, 1, 2, 3);
      s.log(b, 1);
      s.look(1);
      s.look(2);
      s.look(3);
      s.reign(2, 2, 3);
      s.commit(write(2, 1), 2, 3);
      s.install(1, write(2, 1));
      s.enter(2, 1);
      s.show(1, a, write(2, 1));
      s.follow(1, 2, 2);
      s.commit(write(2, 2), 2, 1);
    });
    expect(rules).toEqual([]);
  });

  it('a leader that hears late that it has been elected, when a later one serves already', () => {
    const rules = broken((s) => {
      s.enter(1, 1, 2);
      s.reign(2, 3, 2);
      s.commit(write(2, 1), 3, 2);
      s.lead(1, 1);
    });
    expect(rules).toEqual([]);
  });
});

describe('PrefixConsistency and Agreement', () => {
  it('two servers deliver different transactions in one place', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.commit(a, 1, 2, 3);
      s.log(b, 1, 2);
      s.look(3);
      s.enter(2, 3);
      s.lead(3, 2);
      s.log(write(2, 1), 3);
      s.apply(b, 1);
      s.apply(write(2, 1), 3);
    });
    expect(rules).toContain('PrefixConsistency');
    expect(rules).toContain('Agreement');
  });

  it('a tree that is shown holds another history', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.commit(a, 1, 2, 3);
      s.log(b, 1);
      s.look(2);
      s.reign(2, 2, 3);
      s.commit(write(2, 1), 2, 3);
      s.show(1, a, b);
    });
    expect(rules).toContain('PrefixConsistency');
  });
});

describe('Integrity', () => {
  it('a transaction that nobody has broadcast is applied', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.commit(a, 1, 2, 3);
      s.apply(b, 2);
    });
    expect(rules).toEqual(['Integrity']);
  });

  it('a transaction is another one when it is applied', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.log(a, 1, 2);
      s.apply(write(1, 1, text('other')), 1);
    });
    expect(rules).toContain('Integrity');
  });

  it('a follower logs what no leader has broadcast', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.log(a, 2);
    });
    expect(rules).toContain('Integrity');
  });

  it('a leader broadcasts in the name of another epoch', () => {
    const rules = broken((s) => {
      s.reign(2, 1, 2, 3);
      s.log(a, 1);
    });
    expect(rules).toContain('Integrity');
  });

  it('a proposal changes on its way to the log, or into the network', () => {
    const changed = new LogEntry(a.zxid, write(1, 1, text('other')).bytes);
    const logged = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.log(a, 1);
      s.log(changed, 2);
    });
    expect(logged).toEqual(['Integrity']);
    const sent = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.log(a, 1);
      s.send(1, 2, { type: Packet.PROPOSAL, entry: changed });
    });
    expect(sent).toEqual(['Integrity']);
  });

  it('a copy of the bytes is as good as the bytes', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.log(a, 1);
      s.send(1, 2, { type: Packet.PROPOSAL, entry: new LogEntry(a.zxid, a.bytes.slice()) });
      s.log(new LogEntry(a.zxid, a.bytes.slice()), 2);
      s.apply(a, 1, 2);
    });
    expect(rules).toEqual([]);
  });

  it('a restart finds an entry that was never broadcast', () => {
    expect(broken((s) => s.boot(1, makeZxid(1, 9), 1))).toContain('Integrity');
  });

  it('history that was there before the run is told, and then it is known', () => {
    const s = new Story(3, 0, false);
    s.checks.preload(makeZxid(0, 0), [new LogEntry(a.zxid, new Uint8Array(0)), b]);
    for (const id of [1, 2, 3]) s.boot(id, b.zxid, 1);
    for (const id of [1, 2, 3]) s.show(id, a, b);
    s.reign(2, 1, 2, 3);
    s.commit(write(2, 1), 1, 2);
    expect(s.broken).toEqual([]);
  });
});

describe('order', () => {
  it('LocalPrimaryOrder: a leader leaves out a number', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.log(a, 1);
      s.log(c, 1);
    });
    expect(rules).toEqual(['LocalPrimaryOrder']);
  });

  it('NoGap, LocalPrimaryOrder, TotalOrder: a server leaves out what others have delivered', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.commit(a, 1, 2, 3);
      s.commit(b, 1, 2);
      s.commit(c, 1, 2);
      s.apply(c, 3);
    });
    expect(rules).toEqual(expect.arrayContaining(['NoGap', 'LocalPrimaryOrder', 'TotalOrder']));
  });

  it('a server delivers the same again', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.commit(a, 1, 2);
      s.apply(a, 1);
    });
    expect(rules).toContain('TimeNeverBack');
  });

  it('GlobalPrimaryOrder: an earlier epoch is delivered after a later one', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.commit(a, 1, 2);
      s.look(2);
      s.reign(2, 2, 3);
      s.log(write(2, 1), 2);
      s.apply(write(2, 1), 2);
      s.apply(a, 2);
    });
    expect(rules).toContain('GlobalPrimaryOrder');
    expect(rules).toContain('TotalOrder');
  });

  it('GlobalPrimaryOrder: a leader broadcasts behind a later epoch', () => {
    const rules = broken((s) => {
      s.reign(2, 1, 2, 3);
      s.log(write(2, 1), 1, 2);
      s.checks.role(2, 'leading', 2, 1);
      s.log(a, 2);
    });
    expect(rules).toContain('GlobalPrimaryOrder');
  });
});

describe('PrimaryIntegrity', () => {
  it('a leader begins without something that was delivered', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.commit(a, 1, 2);
      s.enter(2, 3, 2);
      s.lead(3, 2);
    });
    expect(rules).toEqual(['PrimaryIntegrity']);
  });

  it('a deposed leader commits what the new one has not got', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.log(a, 1, 2);
      s.enter(2, 3, 2);
      s.lead(3, 2);
      s.apply(a, 1);
    });
    expect(rules).toEqual(['PrimaryIntegrity']);
  });
});

describe('TimeNeverBack', () => {
  it('a server shows an earlier tree, in the same process or a later one', () => {
    const shown = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.commit(a, 1, 2, 3);
      s.commit(b, 1, 2, 3);
      s.show(3, a);
    });
    expect(shown).toEqual(['TimeNeverBack']);
    const restarted = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.commit(a, 1, 2, 3);
      s.checks.died(3);
      s.boot(3, a.zxid, 1);
      s.follow(3, 1, 1);
    });
    expect(restarted).toEqual(['TimeNeverBack']);
  });

  it('a server whose disk was damaged may begin anew', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.commit(a, 1, 2, 3);
      s.checks.forgot(3);
      s.checks.died(3);
      s.boot(3);
      s.enter(1, 3);
      s.install(3, a);
      s.show(3, a);
      s.follow(3, 1, 1);
    });
    expect(rules).toEqual([]);
  });
});

it('a transaction that nothing is known of does no harm to the next check', () => {
  const rules = broken((s) => {
    s.reign(1, 1, 2, 3);
    s.checks.applied(1, b.txn as Txn, s.tree(1));
    s.commit(a, 1, 2);
  });
  expect(rules).toEqual(['Integrity']);
});
