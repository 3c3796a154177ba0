import Long from 'long';
import { describe, expect, it } from 'vitest';
import type { Txn, ZnodeRecord } from '../../src/model/records.ts';
import { formatZxid, makeZxid, ZXID_NONE } from '../../src/model/zxid.ts';
import { allocBytes, octetsFromText } from '../../src/util/bytes.ts';
import { JuteError, JuteWriter } from '../../src/wire/jute.ts';
import { encodeQuorumMessage, QuorumDecoder } from '../../src/wire/quorum.ts';
import { decodeRequestBody, encodeRequestBody } from '../../src/wire/requests.ts';
import { decodeTxn, encodeTxn } from '../../src/wire/txn.ts';
import { LogEntry } from '../../src/zab/entry.ts';
import { Packet, type QuorumMessage } from '../../src/zab/messages.ts';
import { concat, type FrameRow, frames, fromHex, toHex, vectorFiles } from './vectors.ts';

const MAX = 1_048_575;

function encode(messages: readonly QuorumMessage[]): Uint8Array {
  const w = new JuteWriter(16);
  for (const message of messages) encodeQuorumMessage(w, message);
  return w.copy();
}

function decode(side: 'leader' | 'learner', bytes: Uint8Array, chunk = bytes.length, maxPacket = MAX): QuorumMessage[] {
  const decoder = new QuorumDecoder(side, maxPacket);
  const out: QuorumMessage[] = [];
  for (let at = 0; at < bytes.length; at += chunk) {
    // A fresh copy that is wiped afterwards: nothing decoded may refer to the chunk.
    const piece = Uint8Array.from(bytes.subarray(at, at + chunk));
    decoder.push(piece, out);
    piece.fill(0xee);
  }
  return out;
}

/** The byte streams of a capture: per connection and direction, the frames in order. */
function streams(file: string): { name: string; side: 'leader' | 'learner'; rows: FrameRow[] }[] {
  const byKey = new Map<string, FrameRow[]>();
  for (const row of frames(file)) {
    const key = `${row.conn} ${row.dir}`;
    byKey.set(key, [...(byKey.get(key) ?? []), row]);
  }
  return [...byKey].map(([key, rows]) => ({
    name: `${file} conn ${key}`,
    side: rows[0].dir === 'leader->learner' ? 'learner' : 'leader',
    rows,
  }));
}

const all = vectorFiles('quorum-').flatMap(streams);

describe('captured streams', () => {
  it('there are captures of both directions', () => {
    expect(all.length).toBeGreaterThan(40);
    expect(new Set(all.map((stream) => stream.side)).size).toBe(2);
  });

  it.each(all)('$name decodes and encodes to the same bytes', ({ side, rows }) => {
    const bytes = concat(rows.map((row) => fromHex(row.frame)));
    for (const chunk of [bytes.length, 1, 7, 1000]) {
      if (chunk === 1 && bytes.length > 60_000) continue;
      expect(toHex(encode(decode(side, bytes, chunk)))).toBe(toHex(bytes));
    }
  });

  it.each(all)('$name has types and zxids as captured', ({ side, rows }) => {
    const messages = decode(side, concat(rows.map((row) => fromHex(row.frame))));
    const packets = messages.filter((m) => m.type > 0);
    const captured = rows.filter((row) => row.decoded.kind === 'QuorumPacket');
    expect(packets.map((m) => m.type)).toEqual(captured.map((row) => row.decoded.type));
    for (const [i, m] of packets.entries()) {
      const row = captured[i].decoded;
      if ('zxid' in m) expect(formatZxid(m.zxid)).toBe(row.zxid);
      if ('entry' in m) expect(formatZxid(m.entry.zxid)).toBe(row.zxid);
      if (m.type === Packet.REQUEST) {
        expect([formatZxid(m.request.sessionId), m.request.cxid, m.request.op]).toEqual([row.sessionId, row.cxid, row.opType]);
        expect(m.request.auth).toEqual(row.authinfo ?? []);
      }
    }
  });

  it('transactions in them decode and encode to the same bytes', () => {
    const seen = new Set<number>();
    for (const { side, rows } of all) {
      for (const m of decode(side, concat(rows.map((row) => fromHex(row.frame))))) {
        if (!('entry' in m)) continue;
        const txn = decodeTxn(m.entry.bytes);
        seen.add(txn.header.type);
        expect(formatZxid(txn.header.zxid)).toBe(formatZxid(m.entry.zxid));
        const w = new JuteWriter(8);
        encodeTxn(w, txn);
        expect(toHex(w.view())).toBe(toHex(m.entry.bytes));
      }
    }
    expect([...seen].sort((a, b) => a - b)).toEqual(expect.arrayContaining([-11, -10, -1, 1, 2, 5, 14]));
  });

  it('request bodies in them decode and encode to the same bytes', () => {
    const seen = new Set<number>();
    for (const { side, rows } of all) {
      for (const m of decode(side, concat(rows.map((row) => fromHex(row.frame))))) {
        if (m.type !== Packet.REQUEST || m.request.op === 16) continue;
        seen.add(m.request.op);
        const w = new JuteWriter(8);
        encodeRequestBody(w, decodeRequestBody(m.request.op, m.request.body!));
        expect(toHex(w.view())).toBe(toHex(m.request.body!));
      }
    }
    expect(seen.size).toBeGreaterThan(4);
  });
});

function txnOf(zxid: Long, data: string): LogEntry {
  const txn: Txn = {
    header: { clientId: makeZxid(1, 2), cxid: 3, zxid, time: 1_700_000_000_123, type: 5 },
    body: { type: 5, path: '/a', data: octetsFromText(data), version: 7 },
    digest: null,
  };
  const w = new JuteWriter();
  encodeTxn(w, txn);
  return new LogEntry(zxid, w.copy());
}

const node = (path: string, data: string): ZnodeRecord => ({
  path,
  data: octetsFromText(data),
  aclKey: -1,
  czxid: makeZxid(1, 1),
  mzxid: makeZxid(1, 2),
  ctime: 5,
  mtime: 6,
  version: 1,
  cversion: 2,
  aversion: 3,
  ephemeralOwner: Long.UZERO,
  pzxid: makeZxid(1, 3),
});

describe('what captures do not hold', () => {
  it('carries a snapshot of many nodes in any chunks and goes on behind it', () => {
    const nodes = [node('', ''), ...Array.from({ length: 5000 }, (_, i) => node(`/n${i}`, 'x'.repeat(i % 50)))];
    const head = {
      sessions: [{ id: makeZxid(0xff000000, 9), timeout: 4000 }],
      acls: [{ key: 1, acl: [{ perms: 31, scheme: 'world', id: 'anyone' }] }],
    };
    const sent: QuorumMessage[] = [
      { type: Packet.SNAP, zxid: makeZxid(1, 9) },
      { type: Packet.SNAPSHOT_HEAD, head },
      { type: Packet.SNAPSHOT_NODES, nodes },
      { type: Packet.SNAPSHOT_END },
      { type: Packet.NEWLEADER, zxid: makeZxid(2, 0), config: 'version=0' },
    ];
    for (const chunk of [13, 4096, 1 << 20]) {
      const got = decode('learner', encode(sent), chunk);
      expect(got[0]).toEqual(sent[0]);
      expect(got[1]).toEqual(sent[1]);
      expect(got.flatMap((m) => (m.type === Packet.SNAPSHOT_NODES ? m.nodes : []))).toEqual(nodes);
      expect(got.slice(-2)).toEqual(sent.slice(-2));
    }
  });

  it('takes the short forms of LearnerInfo', () => {
    const packet = (length: number): QuorumMessage => {
      const w = new JuteWriter();
      w.int(11);
      w.long(makeZxid(3, 0));
      w.bytes(length < 0 ? null : fromHex('0000000000000007000100000000000000000009').subarray(0, length));
      w.int(-1);
      return decode('leader', w.copy())[0];
    };
    const common = { type: 11, zxid: makeZxid(3, 0) };
    expect(packet(20)).toEqual({ ...common, serverId: 7, protocolVersion: 0x10000, configVersion: makeZxid(0, 9) });
    expect(packet(12)).toEqual({ ...common, serverId: 7, protocolVersion: 0x10000, configVersion: ZXID_NONE });
    expect(packet(8)).toEqual({ ...common, serverId: 7, protocolVersion: 1, configVersion: ZXID_NONE });
    expect(packet(-1)).toEqual({ ...common, serverId: -1, protocolVersion: 1, configVersion: ZXID_NONE });
  });

  it('takes a NEWLEADER without data', () => {
    const m: QuorumMessage = { type: Packet.NEWLEADER, zxid: makeZxid(3, 0), config: null };
    expect(decode('learner', encode([m]))).toEqual([m]);
  });

  it('encodes a request from its record when there is no body, and many identities', () => {
    const auth = Array.from({ length: 100 }, (_, i) => ({ scheme: 'digest', id: `user${i}:x` }));
    const record = { op: 2, path: '/a', version: 4 } as const;
    const request = { sessionId: makeZxid(7, 8), cxid: 9, op: 2, auth, record, body: null };
    for (const chunk of [1, 50, 10_000]) {
      const [m] = decode('leader', encode([{ type: 1, request }]), chunk);
      expect(m.type === 1 && m.request.auth).toEqual(auth);
      expect(m.type === 1 && decodeRequestBody(2, m.request.body!)).toEqual(record);
    }
  });

  it('tells the identities of one request from those of the next', () => {
    const request = (id: string): QuorumMessage => ({
      type: 1,
      request: {
        sessionId: makeZxid(7, 8),
        cxid: 9,
        op: -11,
        auth: id === '' ? [] : [{ scheme: 'ip', id }],
        record: null,
        body: allocBytes(0),
      },
    });
    const sent = ['1.1.1.1', '1.1.1.1', '1.1.1.2', '', '', '1.1.1.2'].map(request);
    expect(decode('leader', encode(sent))).toEqual(sent);
  });

  it('keeps payloads apart and intact over many blocks', () => {
    const entries = Array.from({ length: 2000 }, (_, i) => txnOf(makeZxid(1, i + 1), `${i}`.repeat(i % 70)));
    const big = txnOf(makeZxid(1, 2001), 'b'.repeat(900_000));
    const sent: QuorumMessage[] = [...entries, big].map((entry) => ({ type: Packet.PROPOSAL, entry }));
    const got = decode('learner', encode(sent), 65_536);
    expect(got.length).toBe(sent.length);
    for (const [i, m] of got.entries()) {
      const entry = i < 2000 ? entries[i] : big;
      if (m.type !== Packet.PROPOSAL || toHex(m.entry.bytes) !== toHex(entry.bytes)) throw new Error(`entry ${i} differs`);
    }
  });

  it('takes a large packet in small chunks without looking at it again and again', () => {
    const bytes = encode([{ type: Packet.PROPOSAL, entry: txnOf(makeZxid(1, 1), 'b'.repeat(1_000_000)) }]);
    const started = performance.now();
    expect(decode('learner', bytes, 16).length).toBe(1);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

describe('bad bytes', () => {
  const bad = (side: 'leader' | 'learner', hex: string, maxPacket = MAX) =>
    expect(() => decode(side, fromHex(hex), undefined, maxPacket)).toThrow(JuteError);
  const zxid = '0000000100000001';

  it('refuses what is no packet', () => {
    bad('leader', `00000063${zxid}ffffffffffffffff`);
    bad('leader', `00000000${zxid}ffffffffffffffff`);
    bad('learner', `ffffffff${zxid}ffffffffffffffff`);
    bad('leader', `00000003${zxid}fffffffeffffffff`);
    bad('leader', `00000003${zxid}fffffffffffffff0`);
  });

  it('refuses a packet above the limit before its data has come', () => {
    bad('learner', `00000002${zxid}00000401`, 1024);
    expect(decode('learner', fromHex(`00000002${zxid}00000400`), undefined, 1024)).toEqual([]);
  });

  it('refuses an authinfo without end', () => {
    bad('leader', `00000003${zxid}ffffffff7fffffff`);
    bad('leader', `00000003${zxid}ffffffff000000017fffffff`);
  });

  it('refuses data that is too short for its type', () => {
    const short = (type: number, length: number) =>
      `${type.toString(16).padStart(8, '0')}${zxid}${length.toString(16).padStart(8, '0')}${'00'.repeat(length)}ffffffff`;
    for (const [type, length] of [
      [1, 15],
      [2, 31],
      [6, 11],
      [8, 4],
      [9, 7],
      [17, 3],
      [18, 0],
      [19, 39],
      [5, 13],
    ])
      bad('leader', short(type, length));
    bad('learner', short(6, 8));
    bad('leader', `00000012${zxid}ffffffffffffffff`);
  });

  it('refuses a proposal whose transaction has another zxid', () => {
    const entry = txnOf(makeZxid(1, 5), 'x');
    const message: QuorumMessage = { type: Packet.PROPOSAL, entry: new LogEntry(makeZxid(1, 6), entry.bytes) };
    expect(() => decode('learner', encode([message]))).toThrow(/zxid/);
  });

  it('refuses a snapshot from a learner, without signature, or with negative counts', () => {
    const snap = encode([{ type: Packet.SNAP, zxid: makeZxid(1, 1) }]);
    expect(() => decode('leader', snap)).toThrow(JuteError);
    bad('learner', `${toHex(snap)}0000000000000000000000012f0000000a42656e5761734865726f`);
    bad('learner', `${toHex(snap)}ffffffff`);
    bad('learner', `${toHex(snap)}00000000fffffffe`);
    expect(decode('learner', fromHex(`${toHex(snap)}0000000000000000000000012f0000000a42656e57617348657265`)).map((m) => m.type)).toEqual([
      15, -1, -3,
    ]);
  });

  it('delivers what came before the bad bytes', () => {
    const out: QuorumMessage[] = [];
    const good = encode([{ type: Packet.ACK, zxid: makeZxid(1, 1) }]);
    const decoder = new QuorumDecoder('leader', MAX);
    expect(() => decoder.push(concat([good, fromHex('77777777777777777777777777777777')]), out)).toThrow(JuteError);
    expect(out).toEqual([{ type: Packet.ACK, zxid: makeZxid(1, 1) }]);
  });
});

describe('damaged captures', () => {
  it('never fails otherwise than by JuteError on damaged captures, and never holds much', () => {
    let seed = 12345;
    const random = (n: number) => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) % n;
    let errors = 0;
    for (const { side, rows } of all.slice(0, 20)) {
      const bytes = concat(rows.slice(0, 60).map((row) => fromHex(row.frame)));
      for (let round = 0; round < 30; round++) {
        const damaged = Uint8Array.from(bytes);
        for (let i = 0; i < 3; i++) damaged[random(damaged.length)] = random(256);
        try {
          decode(side, damaged, 1 + random(300));
        } catch (error) {
          expect(error).toBeInstanceOf(JuteError);
          errors++;
        }
      }
    }
    expect(errors).toBeGreaterThan(50);
  });
});
