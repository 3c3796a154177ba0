import { describe, expect, it } from 'vitest';
import { formatZxid, makeZxid } from '../../src/model/zxid.ts';
import { sampleEntry } from '../../src/testing/storage-kit.ts';
import { JuteWriter } from '../../src/wire/jute.ts';
import {
  adler32,
  appendRecord,
  LOG_HEADER_BYTES,
  type LogEnd,
  LogReader,
  MAX_TORN_BYTES,
  payloadIsOf,
  writeLogHeader,
} from '../../src/wire/txnlog.ts';
import { DIRECTORIES, decodedLogs, unpack } from '../storage/datadirs.ts';

interface Read {
  readonly zxids: string[];
  readonly offsets: number[];
  readonly payloads: Uint8Array[];
  readonly end: LogEnd;
}

/** Reads a file that arrives in chunks of `chunk` bytes. */
function read(file: Uint8Array, chunk = 1 << 20, most = Number.MAX_SAFE_INTEGER): Read {
  const zxids: string[] = [];
  const offsets: number[] = [];
  const payloads: Uint8Array[] = [];
  const reader = new LogReader((zxid, payload, offset) => {
    if (zxids.length === most) return false;
    zxids.push(formatZxid(zxid));
    offsets.push(offset);
    payloads.push(payload);
    return true;
  });
  for (let at = 0; at < file.length && reader.wantsMore; at += chunk) reader.push(Uint8Array.from(file.subarray(at, at + chunk)));
  const end = reader.end();
  expect(reader.records).toBe(zxids.length + (end.kind === 'stopped' ? 1 : 0));
  return { zxids, offsets, payloads, end };
}

/** A log with records 1.1 to 1.count, and where each starts. */
function sampleLog(count: number, dataBytes = 60): { bytes: Buffer; starts: number[] } {
  const w = new JuteWriter();
  writeLogHeader(w);
  const starts: number[] = [];
  for (let i = 1; i <= count; i++) {
    starts.push(w.pos);
    appendRecord(w, sampleEntry(1, i, '', dataBytes).bytes);
  }
  return { bytes: Buffer.from(w.copy()), starts };
}

const padded = (bytes: Uint8Array, zeros = 5000): Buffer => Buffer.concat([bytes, Buffer.alloc(zeros)]);

function plainAdler(bytes: Uint8Array, seed: number): number {
  let a = seed & 0xffff;
  let b = seed >>> 16;
  for (const byte of bytes) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return b * 65536 + a;
}

describe('Adler-32', () => {
  it('is the sum of the definition, for every length and at the limits of 32 bits', () => {
    const high = new Uint8Array(20_000).fill(255);
    const mixed = Uint8Array.from({ length: 20_000 }, (_, i) => (i * 131 + (i >> 3)) & 255);
    for (const bytes of [high, mixed]) {
      for (const length of [0, 1, 7, 8, 9, 150, 3791, 3792, 3793, 7584, 20_000]) {
        expect(adler32(bytes, 0, length)).toBe(plainAdler(bytes.subarray(0, length), 1));
        expect(adler32(bytes, 0, length, 0xfff0fff0)).toBe(plainAdler(bytes.subarray(0, length), 0xfff0fff0));
      }
    }
    expect(adler32(mixed, 3, 9000, adler32(mixed, 0, 3))).toBe(adler32(mixed, 0, 9000));
  });
});

describe.each(DIRECTORIES)('the logs of %s', (directory) => {
  const files = unpack(directory);
  const logs = decodedLogs(directory);

  it('are read as the independent reader read them, in chunks of any size', () => {
    expect(logs.length).toBeGreaterThan(3);
    for (const [name, decoded] of logs) {
      const file = files.get(`version-2/${name}`) as Buffer;
      for (const chunk of [1 << 20, 4096, 7]) {
        const { zxids, offsets, payloads, end } = read(file, chunk);
        expect(zxids).toEqual(decoded.records.map((record) => record.decoded.hdr.zxid));
        expect(offsets).toEqual(decoded.records.map((record) => record.offset));
        expect(payloads.map((payload) => Buffer.from(payload).toString('hex'))).toEqual(decoded.records.map((record) => record.hex));
        expect(end).toEqual({ kind: 'padding', offset: decoded.paddingAt, reason: '' });
      }
    }
  });

  it('are written again byte for byte', () => {
    for (const [name, decoded] of logs) {
      const file = files.get(`version-2/${name}`) as Buffer;
      const w = new JuteWriter(16);
      writeLogHeader(w);
      for (const record of decoded.records) appendRecord(w, Buffer.from(record.hex, 'hex'));
      expect(Buffer.compare(padded(w.view(), file.length - w.pos), file)).toBe(0);
    }
  });
});

describe('the end of a log', () => {
  it('is told apart: end, padding, stopped', () => {
    const { bytes, starts } = sampleLog(5);
    expect(read(bytes).end).toEqual({ kind: 'end', offset: bytes.length, reason: '' });
    expect(read(padded(bytes)).end).toEqual({ kind: 'padding', offset: bytes.length, reason: '' });
    expect(read(bytes, 50, 3).end).toEqual({ kind: 'stopped', offset: starts[3], reason: '' });
    expect(read(bytes.subarray(0, LOG_HEADER_BYTES)).end).toEqual({ kind: 'end', offset: 16, reason: '' });
  });

  it('is torn wherever the last record is cut off, with or without padding behind it', () => {
    const { bytes, starts } = sampleLog(3);
    for (let size = starts[2] + 1; size < bytes.length; size++) {
      for (const file of [bytes.subarray(0, size), padded(bytes.subarray(0, size))]) {
        for (const chunk of [1 << 20, 37]) {
          const { zxids, end } = read(file, chunk);
          expect(zxids.length, `cut at ${size}`).toBe(2);
          // A cut inside the zeros that a record begins with leaves nothing but padding.
          const nothing = file.subarray(starts[2]).every((byte) => byte === 0);
          expect([size, end.kind, end.offset]).toEqual([size, nothing ? 'padding' : 'torn', starts[2]]);
        }
      }
    }
  });

  it('is torn when a file was only begun', () => {
    const { bytes } = sampleLog(1);
    for (let size = 0; size < LOG_HEADER_BYTES; size++) {
      expect(read(bytes.subarray(0, size)).end).toMatchObject({ kind: 'torn', offset: 0 });
      // Behind the version a header holds zeros only.
      const whole = size >= 8;
      expect(read(padded(bytes.subarray(0, size))).end).toMatchObject(
        whole ? { kind: 'padding', offset: 16 } : { kind: 'torn', offset: 0 },
      );
    }
    expect(read(Buffer.from('a note that somebody has put here')).end).toMatchObject({ kind: 'corrupt', offset: 0 });
  });

  it('is corrupt when any bit before the last record has changed', () => {
    const { bytes, starts } = sampleLog(4);
    for (let at = starts[1]; at < starts[2]; at++) {
      for (const bit of [1, 128]) {
        const damaged = padded(bytes);
        damaged[at] ^= bit;
        const { zxids, end } = read(damaged, 64);
        expect([at, zxids.length, end.kind, end.offset]).toEqual([at, 1, 'corrupt', starts[1]]);
        expect(end.reason).not.toBe('');
      }
    }
  });

  it('is torn, not corrupt, when sectors of one write arrived out of order', () => {
    const { bytes, starts } = sampleLog(60);
    for (const sector of [1, 3, 5]) {
      const damaged = padded(bytes);
      damaged.fill(0, sector * 512, sector * 512 + 512);
      const firstLost = starts.findIndex((start, i) => (starts[i + 1] ?? bytes.length) > sector * 512 && start < (sector + 1) * 512);
      expect(read(damaged).end).toMatchObject({ kind: 'torn', offset: starts[firstLost] });
      // Less than a sector of zeros is no lost sector.
      const partly = padded(bytes);
      partly.fill(0, sector * 512 + 1, sector * 512 + 511);
      expect(read(partly).end).toMatchObject({ kind: 'corrupt' });
    }
  });

  it('is corrupt when more lies behind the damage than one write can have left', () => {
    const { bytes, starts } = sampleLog(3);
    const far = Buffer.concat([bytes, Buffer.alloc(MAX_TORN_BYTES), Buffer.from([1])]);
    expect(read(far).end).toMatchObject({ kind: 'corrupt', offset: bytes.length });
    const near = Buffer.concat([bytes, Buffer.alloc(MAX_TORN_BYTES - 1000), Buffer.from([1])]);
    expect(read(near).end).toMatchObject({ kind: 'torn', offset: bytes.length });
    expect(starts.length).toBe(3);
  });

  it('is not waited for in vain when a length is damaged', () => {
    const { bytes, starts } = sampleLog(200, 3000);
    const damaged = Buffer.from(bytes);
    damaged.writeInt32BE(0x0fffffff, starts[5] + 8);
    const { zxids, end } = read(damaged, 8192);
    expect(zxids.length).toBe(5);
    expect(end).toMatchObject({ kind: 'corrupt', offset: starts[5] });
  });
});

it('a payload is known to be of a zxid', () => {
  const { bytes } = sampleEntry(3, 9);
  expect(payloadIsOf(bytes, makeZxid(3, 9))).toBe(true);
  expect(payloadIsOf(bytes, makeZxid(3, 8))).toBe(false);
  expect(payloadIsOf(bytes, makeZxid(4, 9))).toBe(false);
  expect(payloadIsOf(bytes.subarray(0, 31), makeZxid(3, 9))).toBe(false);
});
