import Long from 'long';
import type { Clock } from '../seams/clock.ts';
import type { Random } from '../seams/random.ts';
import { allocBytes } from '../util/bytes.ts';

/** What the session id is mixed with before it seeds the generator (PROTOCOL 4). */
const PASSWORD_SALT = 0xb3415c00;

/*
 * The 48-bit generator of java.util.Random: state * 0x5DEECE66D + 11. The state and the factor are kept as halves of 24 bits, so that no product
 * leaves the 53 bits that a double holds exactly.
 */
const MULTIPLIER_HIGH = 0x5de;
const MULTIPLIER_LOW = 0xece66d;
const INCREMENT = 11;
const TWO_24 = 0x1000000;

/**
 * The 16 bytes that prove the right to a session: every server derives them from the id, so that a client may move between servers (PROTOCOL 4).
 */
export function sessionPassword(sessionId: Long): Uint8Array {
  const seedLow = (sessionId.low ^ PASSWORD_SALT) >>> 0;
  // The low 48 bits of the seed XOR the multiplier.
  let high = (((sessionId.high & 0xffff) << 8) | (seedLow >>> 24)) ^ MULTIPLIER_HIGH;
  let low = (seedLow & 0xffffff) ^ MULTIPLIER_LOW;
  const out = allocBytes(16);
  for (let at = 0; at < 16; at += 4) {
    const product = low * MULTIPLIER_LOW + INCREMENT;
    high = (high * MULTIPLIER_LOW + low * MULTIPLIER_HIGH + Math.floor(product / TWO_24)) % TWO_24;
    low = product % TWO_24;
    const word = (high << 8) | (low >>> 16);
    out[at] = word;
    out[at + 1] = word >>> 8;
    out[at + 2] = word >>> 16;
    out[at + 3] = word >>> 24;
  }
  return out;
}

/** Whether `password` opens the session. Compares all bytes in any case, so that its time tells nothing. */
export function isSessionPassword(sessionId: Long, password: Uint8Array): boolean {
  const right = sessionPassword(sessionId);
  if (password.length !== right.length) return false;
  let difference = 0;
  for (let i = 0; i < right.length; i++) difference |= right[i] ^ password[i];
  return difference === 0;
}

/** The stored owner of a container znode: no session may have this id (PROTOCOL 4, 5). */
const CONTAINER_OWNER_HIGH = 0x80000000 | 0;

/**
 * Makes session ids as ZooKeeper does: the server's id in the top 8 bits, 40 bits of milliseconds, then a counter that may run into them (PROTOCOL 4).
 * The milliseconds are the wall clock's and the counter begins at random, so that a restarted server, its clock set back or not, does not repeat ids.
 */
export class SessionIds {
  readonly #serverId: number;
  #high: number;
  #low: number;

  constructor(serverId: number, clock: Clock, random: Random) {
    this.#serverId = serverId;
    const ms = clock.wall() % 2 ** 40;
    this.#high = Math.floor(ms / 0x10000) | 0;
    this.#low = ((ms & 0xffff) << 16) | random.below(0x10000) | 0;
  }

  /** An id for which `taken` is false. */
  next(taken: (id: Long) => boolean): Long {
    for (;;) {
      const id = new Long(this.#low, (this.#serverId << 24) | (this.#high & 0xffffff), true);
      this.#low = (this.#low + 1) | 0;
      if (this.#low === 0) this.#high = (this.#high + 1) & 0xffffff;
      const reserved = id.isZero() || (id.low === 0 && id.high === CONTAINER_OWNER_HIGH);
      if (!reserved && !taken(id)) return id;
    }
  }
}
