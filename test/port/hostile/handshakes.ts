import Long from 'long';
import { type ConnectRequest, encodeConnectRequest } from '../../../src/wire/client-connect.ts';
import { bytesOf, frameOf, RawClient } from '../../interop/raw.ts';

export interface Handshake {
  readonly name: string;
  /** What is written first, the length of a frame included. */
  readonly bytes: Uint8Array;
  /** A session, the word that there is none, or nothing. */
  readonly expected: 'session' | 'refused' | 'closed';
}

const MIN = -0x80000000;
const MAX = 0x7fffffff;

const GOOD: ConnectRequest = {
  protocolVersion: 0,
  lastZxidSeen: Long.UZERO,
  timeout: 10_000,
  sessionId: Long.UZERO,
  password: new Uint8Array(16),
  readOnly: false,
};

const payloadOf = (changes: Partial<ConnectRequest> = {}): Uint8Array => bytesOf((w) => encodeConnectRequest(w, { ...GOOD, ...changes }));

/** With a length of the password that is not its own. */
const passwordLength = (length: number): Uint8Array => {
  const bytes = payloadOf();
  new DataView(bytes.buffer, bytes.byteOffset).setInt32(24, length);
  return bytes;
};

const concat = (...parts: readonly Uint8Array[]): Uint8Array => Buffer.concat(parts);

const random = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (Math.imul(i + 1, 2654435761) >>> 13) & 0xff);

/** What a server makes of one. */
export async function outcomeOf(port: number, { bytes }: Handshake): Promise<Handshake['expected'] | 'mute'> {
  const client = await RawClient.dial(port);
  const response = await client.helloAs(bytes);
  const outcome = response === 'closed' ? response : response.timeout === 0 ? 'refused' : 'session';
  // A session works, and all else is the end.
  const pong = outcome === 'session' ? await client.ping() : await client.closed;
  await client.drop();
  return pong === 'closed' ? 'mute' : outcome;
}

/** First frames, and what is none. `victim` is a session of somebody else. */
export function handshakes(victim: { readonly sessionId: Long; readonly password: Uint8Array }): Handshake[] {
  const whole = payloadOf();
  const framed = (name: string, payload: Uint8Array, expected: Handshake['expected']): Handshake => ({
    name,
    bytes: frameOf(payload),
    expected,
  });
  const field = (name: string, changes: Partial<ConnectRequest>, expected: Handshake['expected']) =>
    framed(name, payloadOf(changes), expected);
  const { sessionId } = victim;
  return [
    ...Array.from({ length: 44 }, (_, length) => framed(`cut to ${length} bytes`, whole.subarray(0, length), 'closed')),
    framed('without the last byte, as old clients send it', whole.subarray(0, 44), 'session'),
    framed('1,000 bytes behind it', concat(whole, random(1000)), 'session'),
    ...[MIN, -1, 0, 0x100000, MAX].map(
      (length): Handshake => ({ name: `length ${length}`, bytes: frameOf(whole, length), expected: 'closed' }),
    ),
    ...[MIN, -2, 18, 1000, MAX].map((length) =>
      framed(`a password of ${length} bytes that are not there`, passwordLength(length), 'closed'),
    ),
    ...[MIN, -1, 1, MAX].map((n) => field(`protocol version ${n}`, { protocolVersion: n }, 'session')),
    ...[MIN, -1, 0, 1, MAX].map((n) => field(`timeout ${n}`, { timeout: n }, 'session')),
    field('more seen than there is', { lastZxidSeen: Long.MAX_VALUE }, 'closed'),
    field('no password', { password: null }, 'session'),
    field('an empty password', { password: new Uint8Array(0) }, 'session'),
    field('a long password', { password: new Uint8Array(100_000) }, 'session'),
    field('a session that never was', { sessionId: sessionId.add(12_345), password: victim.password }, 'refused'),
    field('session MIN', { sessionId: Long.fromBits(0, MIN, true) }, 'refused'),
    field('session -1', { sessionId: Long.MAX_UNSIGNED_VALUE }, 'refused'),
    field("somebody else's session, a wrong password", { sessionId, password: new Uint8Array(16) }, 'refused'),
    field("somebody else's session, no password", { sessionId, password: null }, 'refused'),
    field("somebody else's session, an empty password", { sessionId, password: new Uint8Array(0) }, 'refused'),
    field("somebody else's session, half the password", { sessionId, password: victim.password.subarray(0, 8) }, 'refused'),
    field(
      "somebody else's session, more than the password",
      { sessionId, password: concat(victim.password, new Uint8Array(1)) },
      'refused',
    ),
    ...['GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'quit', '\r\n\r\n', 'RUOK', 'ruok\n'.repeat(1000).slice(1)].map(
      (words): Handshake => ({ name: JSON.stringify(words.slice(0, 20)), bytes: new TextEncoder().encode(words), expected: 'closed' }),
    ),
    { name: 'the beginning of TLS', bytes: Uint8Array.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), expected: 'closed' },
    { name: 'a megabyte of zeros', bytes: new Uint8Array(1 << 20), expected: 'closed' },
    { name: 'a megabyte of chance', bytes: random(1 << 20), expected: 'closed' },
  ];
}
