import Long from 'long';
import { describe, expect, it } from 'vitest';
import { Op } from '../../src/model/codes.ts';
import { ZXID_NONE } from '../../src/model/zxid.ts';
import type { LogEntry } from '../../src/zab/entry.ts';
import { Packet } from '../../src/zab/messages.ts';
import { broken, type Story, text, write } from './story.ts';

/* Server 1 leads; the sessions 5 and 6 are at server 2, and the cxid of a write is 1. */

const five = write(1, 1, text('a'), 5);
const six = write(1, 2, text('b'), 6);

function asks(s: Story, op: number, session: number, from = 2): void {
  const request = { sessionId: Long.fromNumber(session, true), cxid: 1, op, auth: [], record: null, body: new Uint8Array(0) };
  s.receive(from, 1, { type: Packet.REQUEST, request }, from);
}
const commits = (s: Story, { zxid }: LogEntry, to = 2): void => s.send(1, to, { type: Packet.COMMIT, zxid }, to);
const ping = (s: Story, to = 2): void => s.send(1, to, { type: Packet.PING, zxid: ZXID_NONE, touches: null }, to);
const pong = (s: Story, from = 2): void => s.receive(from, 1, { type: Packet.PING, zxid: ZXID_NONE, touches: [] }, from);
const answersSync = (s: Story, to = 2): void => s.send(1, to, { type: Packet.SYNC, zxid: ZXID_NONE }, to);

function synced(s: Story): void {
  ping(s);
  pong(s);
  answersSync(s);
}

/** Both writes are committed; what is told of whom is up to `tell`. */
function rulesOf(tell: (s: Story) => void, observers = 0): string[] {
  return broken(
    (s) => {
      s.reign(1, 1, 2, 3);
      s.commit(five, 1, 2, 3);
      s.commit(six, 1, 2, 3);
      tell(s);
    },
    3,
    observers,
  );
}

describe('AnswersInOrder', () => {
  it('is kept by answers in the order of the requests, and by what others have asked for', () => {
    const rules = rulesOf((s) => {
      asks(s, Op.setData, 5);
      asks(s, Op.sync, 6);
      commits(s, five);
      commits(s, six);
      synced(s);
    });
    expect(rules).toEqual([]);
  });

  it('is broken by a commit before the answer to an earlier sync', () => {
    const rules = rulesOf((s) => {
      asks(s, Op.sync, 5);
      asks(s, Op.setData, 6);
      commits(s, five);
      commits(s, six);
    });
    expect(rules).toEqual(['AnswersInOrder']);
  });

  it('is broken by a sync that is answered before an earlier write', () => {
    const rules = rulesOf((s) => {
      asks(s, Op.setData, 5);
      asks(s, Op.sync, 6);
      synced(s);
    });
    expect(rules).toEqual(['AnswersInOrder']);
  });

  it('counts for observers too', () => {
    const rules = rulesOf((s) => {
      asks(s, Op.sync, 5, 4);
      asks(s, Op.setData, 6, 4);
      s.send(1, 4, { type: Packet.INFORM, entry: six }, 4);
    }, 1);
    expect(rules).toEqual(['AnswersInOrder']);
  });

  it('speaks of one link, and of one life of the leader', () => {
    const rules = rulesOf((s) => {
      asks(s, Op.sync, 5, 3);
      asks(s, Op.setData, 6);
      commits(s, six);
      s.checks.died(1);
      s.boot(1, six.zxid, 1);
      asks(s, Op.setData, 6, 3);
      commits(s, six, 3);
    });
    expect(rules).toEqual([]);
  });
});

describe('SyncConfirmed', () => {
  it('is kept when a quorum has answered a PING that left behind the request', () => {
    const rules = rulesOf((s) => {
      ping(s);
      asks(s, Op.sync, 5);
      ping(s);
      pong(s);
      pong(s);
      answersSync(s);
    });
    expect(rules).toEqual([]);
  });

  it('is broken by an answer that rests on an earlier PING', () => {
    const rules = rulesOf((s) => {
      ping(s);
      asks(s, Op.sync, 5);
      ping(s);
      pong(s);
      answersSync(s);
    });
    expect(rules).toEqual(['SyncConfirmed']);
  });

  it('is broken by one that rests on an observer', () => {
    const rules = rulesOf((s) => {
      asks(s, Op.sync, 5);
      ping(s, 4);
      pong(s, 4);
      answersSync(s);
    }, 1);
    expect(rules).toEqual(['SyncConfirmed']);
  });

  it('takes the word of another learner than the one that asks, over a link that is newer than the request', () => {
    const rules = rulesOf((s) => {
      asks(s, Op.sync, 5);
      ping(s, 3);
      pong(s, 3);
      answersSync(s);
    });
    expect(rules).toEqual([]);
  });
});
