import Long from 'long';
import { describe, expect, it } from 'vitest';
import {
  compareZxid,
  counterOf,
  epochOf,
  followsInHistory,
  formatZxid,
  LAST_COUNTER,
  makeZxid,
  nextZxid,
  parseZxidHex,
  ZXID_NONE,
} from '../../src/model/zxid.ts';
import { Fifo } from '../../src/util/fifo.ts';
import { LongMap } from '../../src/util/long-map.ts';
import { configText } from '../../src/zab/ensemble-config.ts';
import { History } from '../../src/zab/history.ts';
import { NON_VOTER, type Notification, PeerState } from '../../src/zab/messages.ts';
import { QuorumRules } from '../../src/zab/quorum.ts';
import { planSync } from '../../src/zab/sync-plan.ts';
import { compareVotes, NO_VOTE, sameLeader, sameVote, voteOf } from '../../src/zab/vote.ts';
import { entry, historyOf, z } from './fake.ts';

describe('zxids', () => {
  it.each([
    ['the counter decides within an epoch', z(3, 1), z(3, 2)],
    ['the epoch comes first', z(3, 0xffffffff), z(4, 0)],
    ['counters are unsigned', z(3, 0x7fffffff), z(3, 0x80000000)],
    ['epochs are unsigned', z(0x7fffffff, 9), z(0x80000000, 0)],
    ['far apart counters', z(1, 0), z(1, 0xffffffff)],
  ])('compare: %s', (_name, low, high) => {
    expect(compareZxid(low, high)).toBeLessThan(0);
    expect(compareZxid(high, low)).toBeGreaterThan(0);
    expect(compareZxid(high, makeZxid(epochOf(high), counterOf(high)))).toBe(0);
  });

  it.each([
    [z(1, 1), z(1, 2), true],
    [z(1, 1), z(1, 3), false],
    [z(1, 2), z(1, 2), false],
    [z(1, 2), z(1, 1), false],
    [z(1, 7), z(2, 1), true],
    [z(1, 7), z(9, 1), true],
    [z(1, 7), z(2, 2), false],
    [z(1, 7), z(2, 0), false],
    [z(2, 7), z(1, 8), false],
    [ZXID_NONE, z(1, 1), true],
    [z(5, 0), z(5, 1), true],
    [z(1, 0x7fffffff), z(1, 0x80000000), true],
    [z(1, 0xffffffff), z(1, 0), false],
    [z(0x7fffffff, 3), z(0x80000000, 1), true],
  ])('%o may be followed by %o: %s', (last, next, expected) => {
    expect(followsInHistory(last, next)).toBe(expected);
  });

  it('count up to the last usable counter inside the epoch', () => {
    expect(nextZxid(z(7, LAST_COUNTER - 1))).toEqual(z(7, 0xfffffffe));
    expect(epochOf(nextZxid(z(7, 0x7fffffff)))).toBe(7);
  });

  it.each([
    [ZXID_NONE, '0x0'],
    [z(0, 255), '0xff'],
    [z(1, 1), '0x100000001'],
    [z(0xffffffff, 0xffffffff), '0xffffffffffffffff'],
  ])('%o is written %s and read back', (zxid, text) => {
    expect(formatZxid(zxid)).toBe(text);
    expect(parseZxidHex(text.slice(2))).toEqual(zxid);
  });

  it('refuse text that is no zxid', () => {
    for (const text of ['', 'xyz', '0x1', '12345678901234567', '-1']) expect(parseZxidHex(text)).toBeUndefined();
  });
});

describe('votes', () => {
  const vote = (peerEpoch: number, zxid: Long, leader: number) => ({ peerEpoch, zxid, leader });
  it.each([
    ['a later epoch beats a longer history', vote(5, z(4, 1), 1), vote(4, z(4, 900), 9)],
    ['a longer history beats a larger id', vote(4, z(4, 2), 1), vote(4, z(4, 1), 9)],
    ['the id breaks the tie', vote(4, z(4, 1), 3), vote(4, z(4, 1), 2)],
    ['any real vote beats none', vote(0, ZXID_NONE, 1), NO_VOTE],
  ])('%s', (_name, better, worse) => {
    expect(compareVotes(better, worse)).toBeGreaterThan(0);
    expect(compareVotes(worse, better)).toBeLessThan(0);
    expect(sameVote(better, worse)).toBe(false);
  });

  it('of settled servers are equal when leader and epoch are, whatever zxid they remember (faults 1732, 1818)', () => {
    expect(sameLeader(vote(5, z(4, 1), 2), vote(5, z(3, 9), 2))).toBe(true);
    expect(sameLeader(vote(5, z(4, 1), 2), vote(4, z(4, 1), 2))).toBe(false);
    expect(sameLeader(vote(5, z(4, 1), 2), vote(5, z(4, 1), 3))).toBe(false);
  });

  it('say nothing in the notification of a non-voter or a legacy one', () => {
    const n: Notification = {
      kind: 'notification',
      state: PeerState.LOOKING,
      leader: 2,
      zxid: z(1, 1),
      electionEpoch: 1,
      peerEpoch: 1,
      version: 2,
      config: null,
    };
    expect(voteOf(n)).toEqual({ leader: 2, zxid: z(1, 1), peerEpoch: 1 });
    expect(voteOf({ ...n, leader: NON_VOTER })).toBeUndefined();
    expect(voteOf({ ...n, peerEpoch: undefined })).toBeUndefined();
  });
});

describe('quorums', () => {
  const setOf = (rules: QuorumRules, ids: number[]) => ids.reduce((set, id) => set | rules.bit(id), 0);
  it.each([
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
    [31, 16],
  ])('of %i voters need %i', (voters, needed) => {
    const ids = Array.from({ length: voters }, (_, i) => i + 1);
    const rules = new QuorumRules(ids.map((id) => ({ id })));
    expect(rules.isQuorum(setOf(rules, ids.slice(0, needed)))).toBe(true);
    expect(rules.isQuorum(setOf(rules, ids.slice(voters - needed)))).toBe(true);
    expect(rules.isQuorum(setOf(rules, ids.slice(0, needed - 1)))).toBe(false);
  });

  it('never count an observer (fault 2959)', () => {
    const rules = new QuorumRules([{ id: 1 }, { id: 2 }, { id: 3 }]);
    expect(rules.isVoter(4)).toBe(false);
    expect(rules.isQuorum(setOf(rules, [1, 4, 5, 6]))).toBe(false);
  });

  const groups = new QuorumRules([
    { id: 1, group: 1 },
    { id: 2, group: 1 },
    { id: 3, group: 1 },
    { id: 4, group: 2, weight: 3 },
    { id: 5, group: 2, weight: 1 },
    { id: 6, group: 3 },
    { id: 7, group: 4, weight: 0 },
  ]);
  it.each([
    [[1, 2, 4], true],
    [[1, 2, 5], false],
    [[1, 4, 6], true],
    [[1, 2], false],
    [[1, 2, 6], true],
    [[4, 6], true],
    [[4, 7], false],
    [[1, 2, 3, 5, 7], false],
  ])('of groups with weights: %o is one: %s', (ids, expected) => {
    expect(groups.isQuorum(setOf(groups, ids))).toBe(expected);
  });

  it('refuse a number of voters that the set cannot hold', () => {
    expect(() => new QuorumRules([])).toThrow();
    expect(() => new QuorumRules(Array.from({ length: 32 }, (_, i) => ({ id: i + 1 })))).toThrow();
  });
});

describe('the sync plan (PROTOCOL 13.2)', () => {
  const committed = [z(4, 1), z(4, 2), z(4, 3), z(6, 1), z(6, 2)];
  const small = () => historyOf(committed, { recentLimit: 3 });
  it.each([
    ['nothing is missing', z(6, 2), { kind: 'diff' }],
    ['a recent entry', z(6, 1), { kind: 'diff' }],
    ['the last entry of an earlier epoch', z(4, 3), { kind: 'diff' }],
    ['the entry before the oldest in memory', z(4, 2), { kind: 'diff' }],
    ['an entry before that', z(4, 1), { kind: 'disk', memoryFrom: z(4, 2) }],
    ['an uncommitted tail beyond the end', z(6, 9), { kind: 'trunc' }],
    ['an uncommitted tail of a later epoch', z(7, 1), { kind: 'trunc' }],
    ['an uncommitted tail between our epochs (fault 1154)', z(4, 4), { kind: 'snap' }],
    ['the same from an epoch we never saw', z(5, 1), { kind: 'snap' }],
    ['the start of an epoch, beyond the end', z(7, 0), { kind: 'snap' }],
    ['the start of an epoch, inside', z(6, 0), { kind: 'snap' }],
    ['an empty learner (fault 4352)', ZXID_NONE, { kind: 'snap' }],
  ])('%s', (_name, peer, expected) => {
    expect(planSync(small(), z(6, 2), peer)).toEqual({ ...expected, upTo: z(6, 2) });
  });

  it('gives an empty learner everything when memory reaches back to the very beginning', () => {
    const history = historyOf([z(1, 1), z(1, 2)], { recentLimit: 10 });
    expect(planSync(history, z(1, 2), ZXID_NONE)).toEqual({ kind: 'diff', upTo: z(1, 2) });
    expect(planSync(new History(10), ZXID_NONE, ZXID_NONE)).toEqual({ kind: 'diff', upTo: ZXID_NONE });
  });

  it('never gives an empty learner a DIFF from a history that began with a snapshot (fault 4352)', () => {
    const history = new History(10);
    history.reset(z(1, 5));
    history.recovered(entry(z(1, 6)));
    expect(planSync(history, z(1, 6), ZXID_NONE).kind).toBe('snap');
  });

  it('makes a learner with history start afresh when the leader has none', () => {
    expect(planSync(new History(10), ZXID_NONE, z(1, 3)).kind).toBe('snap');
  });

  it('does not serve from before a snapshot that replaced the history (fault 2846)', () => {
    const history = historyOf(committed, { recentLimit: 100 });
    history.reset(z(8, 4));
    history.append(entry(z(8, 5)));
    history.commitNext();
    expect(planSync(history, z(8, 5), z(6, 1))).toEqual({ kind: 'disk', upTo: z(8, 5), memoryFrom: z(8, 4) });
    expect(planSync(history, z(8, 5), z(8, 4)).kind).toBe('diff');
  });
});

describe('the history', () => {
  it('keeps its positions in order', () => {
    const history = historyOf([z(1, 1)], { tail: [z(1, 2), z(1, 3)] });
    expect([history.lastCommitted, history.lastLogged]).toEqual([z(1, 1), z(1, 3)]);
    expect(history.commitNext().zxid).toEqual(z(1, 2));
    expect([history.lastCommitted, history.lastLogged, history.tail.length]).toEqual([z(1, 2), z(1, 3), 1]);
  });

  it('refuses a gap and a repetition (faults 2846, 4925)', () => {
    const history = historyOf([z(1, 1)], { tail: [z(1, 2)] });
    for (const bad of [z(1, 2), z(1, 4), z(2, 2), z(1, 1)]) {
      expect(history.canAppend(entry(bad))).toBe(false);
      expect(() => history.append(entry(bad))).toThrow();
    }
    history.append(entry(z(2, 1)));
    expect(history.lastLogged).toEqual(z(2, 1));
  });

  it('cuts its tail, but never below the commit line', () => {
    const history = historyOf([z(1, 1), z(1, 2)], { tail: [z(1, 3), z(2, 1), z(2, 2)] });
    history.truncate(z(2, 1));
    expect([history.lastLogged, history.tail.length]).toEqual([z(2, 1), 2]);
    history.truncate(z(1, 2));
    expect([history.lastLogged, history.lastCommitted, history.tail.length]).toEqual([z(1, 2), z(1, 2), 0]);
    expect(() => history.truncate(z(1, 1))).toThrow();
    expect(() => historyOf([z(1, 1)], { tail: [z(1, 2)] }).truncate(z(1, 5))).toThrow();
  });

  it('knows its recent entries, its tail and the position before them, and nothing else', () => {
    const history = historyOf([z(1, 1), z(1, 2), z(2, 1)], { recentLimit: 2, tail: [z(2, 2)] });
    for (const known of [z(1, 1), z(1, 2), z(2, 1), z(2, 2)]) expect(history.knows(known)).toBe(true);
    for (const unknown of [ZXID_NONE, z(1, 3), z(2, 0), z(2, 3), z(3, 1)]) expect(history.knows(unknown)).toBe(false);
    expect(history.oldestKnown).toEqual(z(1, 1));
    expect(history.entriesAfter(z(1, 1), z(2, 2)).map((e) => e.zxid)).toEqual([z(1, 2), z(2, 1), z(2, 2)]);
    expect(history.entriesAfter(z(1, 2), z(2, 1)).map((e) => e.zxid)).toEqual([z(2, 1)]);
    expect(history.entriesAfter(z(2, 2), z(2, 2))).toEqual([]);
  });

  it('has reached the epoch of its last entry even before currentEpoch says so', () => {
    const history = historyOf([z(4, 1)], { currentEpoch: 4 });
    expect(history.reachedEpoch).toBe(4);
    history.append(entry(z(5, 1)));
    expect(history.reachedEpoch).toBe(5);
    history.currentEpoch = 7;
    expect(history.reachedEpoch).toBe(7);
  });
});

describe('Fifo', () => {
  it('behaves like an array through a long life of pushes, shifts and cuts', () => {
    const fifo = new Fifo<number>();
    const model: number[] = [];
    let next = 0;
    for (let round = 0; round < 20_000; round++) {
      const what = (round * 7919) % 17;
      if (what < 10) {
        fifo.push(next);
        model.push(next++);
      } else if (what < 16) expect(fifo.shift()).toBe(model.shift());
      else if (model.length > 3) {
        fifo.truncate(model.length - 1);
        model.length -= 1;
      }
      expect(fifo.length).toBe(model.length);
      expect(fifo.peek()).toBe(model[0]);
      if (model.length > 0) expect(fifo.at(model.length - 1)).toBe(model.at(-1));
    }
    expect([...fifo]).toEqual(model);
    fifo.clear();
    expect([fifo.length, fifo.shift(), fifo.peek()]).toEqual([0, undefined, undefined]);
  });

  it('truncates to nothing in the middle of its life and goes on', () => {
    const fifo = new Fifo<number>();
    for (let i = 0; i < 5; i++) fifo.push(i);
    fifo.shift();
    fifo.truncate(0);
    expect([fifo.length, fifo.peek(), fifo.shift()]).toEqual([0, undefined, undefined]);
    fifo.push(9);
    expect([...fifo]).toEqual([9]);
  });
});

describe('LongMap', () => {
  it('tells keys apart by both halves', () => {
    const map = new LongMap<string>();
    const keys = [new Long(1, 0, true), new Long(0, 1, true), new Long(-1, -1, true), new Long(1, 1, false)];
    for (const [i, key] of keys.entries()) map.set(key, `v${i}`);
    expect(keys.map((key) => map.get(key))).toEqual(['v0', 'v1', 'v2', 'v3']);
    map.set(new Long(1, 1, true), 'new');
    expect([map.size, map.get(keys[3])]).toEqual([4, 'new']);
    expect([map.delete(keys[0]), map.delete(keys[0]), map.has(keys[0]), map.size]).toEqual([true, false, false, 3]);
    expect([...map.values()].sort()).toEqual(['new', 'v1', 'v2']);
    map.clear();
    expect([map.size, map.get(keys[1])]).toEqual([0, undefined]);
  });
});

it('the configuration text has servers, groups, weights and the version (PROTOCOL 18.1)', () => {
  const at = (id: number) => ({ id, host: `h${id}`, quorumPort: 2000 + id, electionPort: 3000 + id });
  expect(configText([at(1), { ...at(2), role: 'observer' as const }])).toBe(
    'server.1=h1:2001:3001:participant\nserver.2=h2:2002:3002:observer\nversion=0',
  );
  expect(
    configText([
      { ...at(1), group: 1 },
      { ...at(2), group: 1, weight: 3 },
      { ...at(3), group: 2 },
    ]),
  ).toBe(
    'server.1=h1:2001:3001:participant\nserver.2=h2:2002:3002:participant\nserver.3=h3:2003:3003:participant\n' +
      'group.1=1:2\ngroup.2=3\nweight.1=1\nweight.2=3\nweight.3=1\nversion=0',
  );
  const client = { host: '0.0.0.0', port: 2181 };
  expect(
    configText([
      { ...at(1), client },
      { ...at(2), host: '::1', client: { ...client, host: '::' } },
    ]),
  ).toBe('server.1=h1:2001:3001:participant;0.0.0.0:2181\nserver.2=[::1]:2002:3002:participant;[::]:2181\nversion=0');
});
