import { readFileSync } from 'node:fs';
import Long from 'long';
import { describe, expect, test } from 'vitest';
import { isSessionPassword, SessionIds, sessionPassword } from '../../src/node/session-id.ts';
import { systemClock } from '../../src/node/system-clock.ts';
import type { Clock } from '../../src/seams/clock.ts';

/** Every handshake of the captured client sessions that ZooKeeper granted. */
function handshakes(): { id: string; password: string }[] {
  const lines = readFileSync(new URL('../vectors/client-session.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n');
  return lines
    .map((line) => JSON.parse(line).decoded)
    .filter((decoded) => decoded?.kind === 'ConnectResponse' && decoded.sessionId !== '0x0')
    .map(({ sessionId, passwd }) => ({ id: sessionId, password: passwd }));
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const never = () => false;
const clockAt = (wall: number): Clock => ({ ...systemClock(), wall: () => wall });

describe('session passwords', () => {
  test('are those that ZooKeeper gave', () => {
    const granted = handshakes();
    expect(granted).toHaveLength(37);
    for (const { id, password } of granted) expect(hex(sessionPassword(Long.fromString(id.slice(2), true, 16)))).toBe(password);
  });

  test('of ids with all bits in use follow the same generator', () => {
    // Worked out with arbitrary precision below, so that an error of the arithmetic on halves shows.
    for (const id of [1n, 0xffffffffffffffffn, 0x8000000000000001n, 0xff00_1234_5678_9abcn, 0x0102_0304_0506_0708n]) {
      let state = (id ^ 0xb3415c00n ^ 0x5deece66dn) & ((1n << 48n) - 1n);
      let expected = '';
      for (let i = 0; i < 4; i++) {
        state = (state * 0x5deece66dn + 11n) & ((1n << 48n) - 1n);
        const word = (state >> 16n).toString(16).padStart(8, '0');
        expected += word.slice(6) + word.slice(4, 6) + word.slice(2, 4) + word.slice(0, 2);
      }
      expect(hex(sessionPassword(Long.fromString(id.toString(16), true, 16)))).toBe(expected);
    }
  });

  test('must match in full', () => {
    const id = Long.fromString('100001e70840000', true, 16);
    const right = sessionPassword(id);
    expect(isSessionPassword(id, right)).toBe(true);
    expect(isSessionPassword(id, right.subarray(0, 15))).toBe(false);
    expect(isSessionPassword(id, new Uint8Array(0))).toBe(false);
    const wrong = Uint8Array.from(right);
    wrong[15] ^= 1;
    expect(isSessionPassword(id, wrong)).toBe(false);
  });
});

describe('session ids', () => {
  test('carry the server’s id and the time, and grow', () => {
    const ids = new SessionIds(3, clockAt(0x123456789ab), { below: () => 0xfffe });
    const made = [ids.next(never), ids.next(never), ids.next(never)].map((id) => id.toString(16));
    // 0x123456789ab has 41 bits, of which 40 stay; the counter runs over into the milliseconds.
    expect(made).toEqual(['323456789abfffe', '323456789abffff', '323456789ac0000']);
  });

  test('of servers from 128 on stay unsigned', () => {
    const id = new SessionIds(255, clockAt(1), { below: () => 0 }).next(never);
    expect(id.toString(16)).toBe('ff00000000010000');
    expect(id.unsigned).toBe(true);
  });

  test('skip the owner of containers and ids that are taken', () => {
    const ids = new SessionIds(128, clockAt(0), { below: () => 0 });
    expect(ids.next((id) => id.low === 1).toString(16)).toBe('8000000000000002');
  });
});
