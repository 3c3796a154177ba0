import { describe, expect, it } from 'vitest';
import { makeZxid, zxidHex } from '../../src/model/zxid.ts';
import {
  type ElectionAlgorithm,
  ElectionDecoder,
  type ElectionHeader,
  encodeElectionHeader,
  encodeElectionMessage,
} from '../../src/wire/election.ts';
import { JuteError, JuteWriter } from '../../src/wire/jute.ts';
import { type ElectionMessage, NON_VOTER, type Notification } from '../../src/zab/messages.ts';
import { concat, type FrameRow, frames, fromHex, toHex, vectorFiles } from './vectors.ts';

function decode(bytes: Uint8Array, algorithm: ElectionAlgorithm = 'fast', chunk = bytes.length, header = false) {
  const decoder = new ElectionDecoder({ header, algorithm });
  const messages: ElectionMessage[] = [];
  for (let at = 0; at < bytes.length; at += chunk) decoder.push(bytes.subarray(at, at + chunk), messages);
  return { messages, header: decoder.header, ignored: decoder.ignored };
}

function encode(messages: readonly ElectionMessage[]): Uint8Array {
  const w = new JuteWriter(8);
  for (const message of messages) encodeElectionMessage(w, message);
  return w.copy();
}

const streams = vectorFiles('election').flatMap((file) => {
  const byKey = new Map<string, FrameRow[]>();
  for (const row of frames(file)) {
    const key = `${row.conn} from ${row.from}`;
    byKey.set(key, [...(byKey.get(key) ?? []), row]);
  }
  return [...byKey].map(([key, rows]) => ({ name: `${file} conn ${key}`, rows }));
});

describe('captured election connections', () => {
  it('are there', () => expect(streams.length).toBeGreaterThan(30));

  it.each(streams)('$name decodes and encodes to the same bytes', ({ rows }) => {
    const bytes = concat(rows.map((row) => fromHex(row.frame)));
    const withHeader = rows[0].decoded.kind === 'ConnectionHeader';
    for (const chunk of [bytes.length, 1, 50]) {
      const { header, messages, ignored } = decode(bytes, 'fast', chunk, withHeader);
      expect(ignored).toBe(0);
      const again = withHeader ? [encodeElectionHeader(header as ElectionHeader), encode(messages)] : [encode(messages)];
      expect(toHex(concat(again))).toBe(toHex(bytes));
    }
  });

  it.each(streams)('$name has fields as captured', ({ rows }) => {
    const withHeader = rows[0].decoded.kind === 'ConnectionHeader';
    const { header, messages } = decode(concat(rows.map((row) => fromHex(row.frame))), 'fast', 1000, withHeader);
    if (withHeader) expect(header).toEqual({ sid: rows[0].decoded.sid, addresses: [rows[0].decoded.electionAddr] });
    for (const [i, row] of rows.slice(withHeader ? 1 : 0).entries()) {
      const m = messages[i] as Notification;
      expect(m.state).toBe(row.decoded.state);
      expect(m.version).toBe(2);
      expect(m.config).toMatch(/version=/);
      expect(`0x${zxidHex(m.zxid)}`).toBe(row.decoded.zxid);
    }
  });
});

describe('header', () => {
  const read = (hex: string) => decode(fromHex(hex), 'fast', 1, true).header;

  it('takes one address, several, and the old form', () => {
    for (const header of [
      { sid: 3, addresses: ['127.0.0.1:3888'] },
      { sid: 255, addresses: ['[::1]:3888', 'host.example:3889'] },
      { sid: 7, addresses: [] },
    ]) {
      expect(read(toHex(encodeElectionHeader(header)))).toEqual(header);
    }
  });

  it('is null until complete', () => {
    const bytes = encodeElectionHeader({ sid: 3, addresses: ['127.0.0.1:3888'] });
    for (let cut = 0; cut < bytes.length; cut++) expect(decode(bytes.subarray(0, cut), 'fast', undefined, true).header).toBeNull();
  });

  it('refuses other versions and lengths outside 1..2048', () => {
    expect(() => read('fffffffffffffffe0000000000000001000000016100000000')).toThrow(JuteError);
    expect(() => read('ffffffffffff0000000000000000000300000000')).toThrow(JuteError);
    expect(() => read('ffffffffffff000000000000000000030000 0801'.replace(' ', ''))).toThrow(JuteError);
    expect(() => read('ffffffffffff00000000000000000003ffffffff')).toThrow(JuteError);
    expect(read('ffffffffffff0000000000000000000300000800')).toBeNull();
  });
});

describe('messages', () => {
  const legacy: Notification = {
    kind: 'notification',
    state: 0,
    leader: 2,
    zxid: makeZxid(1, 4),
    electionEpoch: 5,
    peerEpoch: undefined,
    version: 0,
    config: null,
  };

  it('carries the legacy bodies of 28 and 40 bytes', () => {
    const forms: [Notification, number][] = [
      [legacy, 28],
      [{ ...legacy, peerEpoch: 6 }, 40],
      [{ ...legacy, peerEpoch: 6, version: 2, config: '' }, 44],
    ];
    for (const [m, size] of forms) {
      expect(encode([m]).length).toBe(4 + size);
      expect(decode(encode([m, m])).messages).toEqual([m, m]);
    }
  });

  it('carries the values of a server without a vote', () => {
    const m: Notification = {
      ...legacy,
      state: 3,
      leader: NON_VOTER,
      zxid: makeZxid(0x80000000, 0),
      peerEpoch: NON_VOTER,
      version: 2,
      config: 'version=0',
    };
    expect(toHex(encode([m])).slice(16, 48)).toBe('80000000000000008000000000000000');
    expect(decode(encode([m])).messages).toEqual([m]);
  });

  it('carries the basic election, where 28 bytes are an answer', () => {
    const messages: ElectionMessage[] = [
      { kind: 'voteRequest', xid: -17 },
      { kind: 'voteResponse', xid: -17, id: 3, leader: 2, zxid: makeZxid(9, 0xffffffff) },
    ];
    expect(encode(messages).length).toBe(8 + 32);
    expect(decode(encode(messages), 'basic', 3).messages).toEqual(messages);
    const fast = decode(encode(messages));
    expect(fast.ignored).toBe(2);
  });

  it('skips bodies that are no message and goes on (fault 3769)', () => {
    const w = new JuteWriter();
    const full = encode([{ ...legacy, peerEpoch: 6, version: 2, config: 'c' }]);
    for (const size of [1, 4, 27, 29, 36, 39]) w.bytes(new Uint8Array(size));
    const badState = Uint8Array.from(full);
    badState[7] = 4;
    w.raw(badState);
    const cutConfig = Uint8Array.from(full);
    cutConfig[4 + 40 + 3] = 200;
    w.raw(cutConfig);
    const negativeConfig = Uint8Array.from(full);
    negativeConfig[4 + 40] = 0xff;
    w.raw(negativeConfig);
    w.raw(full);
    const { messages, ignored } = decode(w.copy());
    expect(ignored).toBe(9);
    expect(messages.length).toBe(1);
  });

  it('refuses lengths that are not positive or above 512 KiB', () => {
    for (const hex of ['00000000', 'ffffffff', '00080001', '7fffffff']) expect(() => decode(fromHex(hex))).toThrow(JuteError);
    expect(decode(fromHex('00080000')).messages).toEqual([]);
  });
});
