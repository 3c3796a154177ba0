import { describe, expect, it } from 'vitest';
import type { Txn, TxnBody, WriteRequest } from '../../src/model/records.ts';
import { makeZxid } from '../../src/model/zxid.ts';
import { octetsFromText } from '../../src/util/bytes.ts';
import { JuteError, JuteReader, JuteWriter } from '../../src/wire/jute.ts';
import { decodeRequestBody, encodeRequestBody } from '../../src/wire/requests.ts';
import { decodeTxn, decodeTxnBody, encodeTxn, encodeTxnBody } from '../../src/wire/txn.ts';
import { frames, fromHex, toHex } from './vectors.ts';

const acl = [
  { perms: 31, scheme: 'world', id: 'anyone' },
  { perms: 1, scheme: 'digest', id: 'ä:x' },
];
const data = octetsFromText('däta');
const digest = { version: 2, value: makeZxid(0xdeadbeef, 0xfeedf00d) };

const bodies: TxnBody[] = [
  { type: 1, path: '/a', data, acl, ephemeral: true, parentCVersion: 4, ttl: 0 },
  { type: 15, path: '/ä', data: null, acl, ephemeral: false, parentCVersion: 4, ttl: 0 },
  { type: 19, path: '/a', data, acl, ephemeral: false, parentCVersion: 4, ttl: 0 },
  { type: 21, path: '/a', data, acl: [], ephemeral: false, parentCVersion: 4, ttl: 0xffffffffff },
  { type: 2, path: '/a' },
  { type: 20, path: '/a' },
  { type: 5, path: '/a', data, version: 8 },
  { type: 5, path: '/a', data: null, version: 8 },
  { type: 5, path: '/a', data: octetsFromText(''), version: -1 },
  { type: 16, path: '/zookeeper/config', data, version: -1 },
  { type: 7, path: '/a', acl, version: 2 },
  { type: 13, path: '/a', version: 2 },
  { type: -10, timeout: 4000 },
  { type: -11, paths: ['/a', '/b'] },
  { type: -11, paths: [] },
  { type: -11, paths: ['/abc'] },
  { type: -11, paths: null },
  { type: -1, err: -101 },
  { type: 14, txns: [] },
  {
    type: 14,
    txns: [
      { type: 1, path: '/a', data, acl, ephemeral: true, parentCVersion: 4, ttl: 0 },
      { type: 5, path: '/a', data, version: 8 },
      { type: 2, path: '/a' },
      { type: 13, path: '/a', version: 1 },
      { type: -1, err: -2 },
    ],
  },
];

const header = (type: number) => ({
  clientId: makeZxid(0x80000000, 2),
  cxid: -3,
  zxid: makeZxid(5, 0xfffffffe),
  time: 1_700_000_000_123,
  type,
});

function bytesOf(txn: Txn): Uint8Array {
  const w = new JuteWriter(8);
  encodeTxn(w, txn);
  return w.copy();
}

describe('transactions', () => {
  it.each(bodies)('type $type survives, with and without a digest', (body) => {
    for (const d of [null, digest]) {
      const txn: Txn = { header: header(body.type), body, digest: d };
      expect(decodeTxn(bytesOf(txn))).toEqual(txn);
    }
  });

  it('reads a CreateTxnV0, alone and inside a multi', () => {
    const v0 = fromHex('00000002' + '2f61' + '00000001' + '78' + '00000000' + '01');
    const expected = { type: 1, path: '/a', data: 'x', acl: [], ephemeral: true, parentCVersion: -1, ttl: 0 };
    expect(decodeTxnBody(new JuteReader(v0), 1)).toEqual(expected);
    const w = new JuteWriter();
    w.int(2);
    for (let i = 0; i < 2; i++) {
      w.int(1);
      w.bytes(v0);
    }
    expect(decodeTxnBody(new JuteReader(w.copy()), 14)).toEqual({ type: 14, txns: [expected, expected] });
  });

  it('refuses bytes that are no transaction', () => {
    const good = bytesOf({ header: header(5), body: bodies[6], digest });
    for (let cut = 0; cut < good.length; cut++) {
      // Without the digest's 12 bytes it is a whole transaction again.
      if (cut === good.length - 12) continue;
      expect(() => decodeTxn(good.subarray(0, cut)), `${cut} bytes`).toThrow(JuteError);
    }
    const unknown = Uint8Array.from(good);
    unknown[31] = 99;
    expect(() => decodeTxn(unknown)).toThrow(/unknown txn type 99/);
    expect(() => decodeTxn(Uint8Array.from([...good, 0]))).toThrow(/too many/);
  });

  it('refuses a null path, a null ACL and a multi inside a multi', () => {
    expect(() => decodeTxnBody(new JuteReader(fromHex('ffffffff')), 2)).toThrow(JuteError);
    expect(() => decodeTxnBody(new JuteReader(fromHex('000000022f61ffffffffffffffff0000000001')), 1)).toThrow(/null ACL/);
    expect(() => decodeTxnBody(new JuteReader(fromHex('000000010000000e0000000400000000')), 14)).toThrow(/inside a multi/);
    expect(() => decodeTxnBody(new JuteReader(fromHex('000000010000000200000fff')), 14)).toThrow(JuteError);
    expect(() => decodeTxnBody(new JuteReader(fromHex('ffffffff')), 14)).toThrow(JuteError);
  });

  it('writes a body alone as after the header', () => {
    const w = new JuteWriter();
    encodeTxnBody(w, { type: 5, path: '/a', data: null, version: 1 });
    expect(toHex(w.view())).toBe('000000022f61ffffffff00000001');
  });
});

const requests: WriteRequest[] = [
  { op: 1, path: '/a', data, acl, flags: 3, ttl: 0 },
  { op: 15, path: '/a', data: null, acl: null, flags: 0, ttl: 0 },
  { op: 19, path: '/a', data, acl: [], flags: 4, ttl: 0 },
  { op: 21, path: '/a', data, acl, flags: 5, ttl: -1 },
  { op: 2, path: '/a', version: -1 },
  { op: 5, path: '/a', data, version: 3 },
  { op: 7, path: '/a', acl: null, version: 3 },
  { op: 20, path: '/cönt' },
  { op: -10, timeout: 30_000 },
  { op: -11 },
  { op: -1, err: -8 },
  { op: 14, ops: [] },
  {
    op: 14,
    ops: [
      { op: 13, path: '/a', version: 1 },
      { op: 21, path: '/a', data, acl, flags: 5, ttl: 9 },
      { op: 2, path: '/a', version: -1 },
      { op: 5, path: '/a', data, version: 3 },
    ],
  },
];

function bodyOf(record: WriteRequest): Uint8Array {
  const w = new JuteWriter(4);
  encodeRequestBody(w, record);
  return w.copy();
}

describe('request bodies', () => {
  it.each(requests)('operation $op survives', (record) => {
    expect(decodeRequestBody(record.op, bodyOf(record))).toEqual(record);
  });

  it('read the client port captures', () => {
    const writes = new Set(['create', 'create2', 'createContainer', 'createTTL', 'delete', 'setData', 'setACL', 'sync', 'multi']);
    let read = 0;
    for (const { frame, decoded } of frames('client-session.jsonl')) {
      const opName = decoded?.op ?? decoded?.opName;
      if (!writes.has(opName) || decoded.undecodable !== undefined) continue;
      const bytes = fromHex(frame);
      const op = new JuteReader(bytes, 8).int();
      let record: ReturnType<typeof decodeRequestBody>;
      try {
        record = decodeRequestBody(op, bytes.subarray(12));
      } catch {
        continue;
      }
      if (record.op === -1) continue;
      const w = new JuteWriter();
      encodeRequestBody(w, record);
      expect(toHex(bytes.subarray(12)).startsWith(toHex(w.view()))).toBe(true);
      read++;
    }
    expect(read).toBeGreaterThan(100);
  });

  it('a multi with an operation that may not be there is invalid as a whole', () => {
    const multi = (op: number) => fromHex(`${(op >>> 0).toString(16).padStart(8, '0')}00ffffffff000000022f61${'00'.repeat(40)}`);
    for (const op of [7, 14, -10, -11, 9, 4, 16, -1, 99]) expect(decodeRequestBody(14, multi(op))).toEqual({ op: -1, err: -5 });
  });

  it('refuses what ZooKeeper refuses outside a multi', () => {
    expect(decodeRequestBody(13, bodyOf({ op: 13, path: '/a', version: 1 }))).toEqual({ op: -1, err: -6 });
    expect(decodeRequestBody(16, fromHex('ff'.repeat(20)))).toEqual({ op: -1, err: -123 });
    expect(() => decodeRequestBody(16, fromHex('ff'.repeat(19)))).toThrow(JuteError);
  });

  it('fails on null paths, cut bodies and operations that are no write', () => {
    for (const op of [1, 2, 9, 15, 19, 21]) expect(() => decodeRequestBody(op, fromHex(`ffffffff${'00'.repeat(40)}`))).toThrow(JuteError);
    expect(() => decodeRequestBody(14, fromHex('0000000200ffffffffffffffff00000000'))).toThrow(JuteError);
    for (const op of [3, 4, 8, 11, 99, 100]) expect(() => decodeRequestBody(op, new Uint8Array(64))).toThrow(JuteError);
    for (const record of requests.filter((r) => r.op !== 20 && r.op !== -11)) {
      const body = bodyOf(record);
      for (let cut = 0; cut < body.length; cut++) expect(() => decodeRequestBody(record.op, body.subarray(0, cut))).toThrow(JuteError);
    }
  });

  it('takes a null path for one out of rule where ZooKeeper does', () => {
    const nullPath = fromHex(`ffffffff${'00'.repeat(40)}`);
    for (const op of [5, 7]) expect(decodeRequestBody(op, nullPath)).toMatchObject({ op, path: '' });
    const multi = Uint8Array.from([...fromHex('0000000500ffffffff'), ...nullPath.subarray(0, 12), ...fromHex('ffffffff01ffffffff')]);
    expect(() => decodeRequestBody(14, multi)).toThrow(JuteError);
  });

  it('ignores bytes after a complete body', () => {
    expect(decodeRequestBody(2, Uint8Array.from([...bodyOf({ op: 2, path: '/a', version: 1 }), 9, 9]))).toEqual({
      op: 2,
      path: '/a',
      version: 1,
    });
  });
});
