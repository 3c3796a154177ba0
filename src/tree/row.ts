import Long from 'long';
import type { Stat } from '../model/records.ts';
import { ZXID_NONE } from '../model/zxid.ts';

/*
 * A znode's metadata as int32 words, so that a tree of millions of znodes has no objects for the garbage collector to look at. The first STAT_WORDS words
 * are laid out like this in the tree's table and in the leader's outstanding changes alike: the rules below (PROTOCOL 6) stand once, and what
 * the leader foresees is what every replica gets. The order is that of the bytes under the node digest (PROTOCOL 17.1).
 */
export const CZXID = 0;
export const MZXID = 2;
export const PZXID = 4;
export const CTIME = 6;
export const MTIME = 8;
export const VERSION = 10;
/** The stored form: counts creations of children only. */
export const CVERSION = 11;
export const AVERSION = 12;
/** The raw encoded form (see {@link ownerKind}). */
export const OWNER = 13;
export const STAT_WORDS = 15;

const TWO_32 = 4294967296;

export function putLong(words: Int32Array, at: number, value: Long): void {
  words[at] = value.high;
  words[at + 1] = value.low;
}

export const longAt = (words: Int32Array, at: number): Long => new Long(words[at + 1], words[at], true);

/** Writes a whole number of up to 2^53 in 64-bit form. */
export function putNumber(words: Int32Array, at: number, value: number): void {
  words[at] = Math.floor(value / TWO_32);
  words[at + 1] = value;
}

export const joined = (high: number, low: number): number => high * TWO_32 + (low >>> 0);

export const numberAt = (words: Int32Array, at: number): number => joined(words[at], words[at + 1]);

/** Fills the stat words of a znode created by `zxid` at `time`. */
export function initRow(words: Int32Array, at: number, zxid: Long, time: number, ownerHigh: number, ownerLow: number): void {
  putLong(words, at + CZXID, zxid);
  putLong(words, at + MZXID, zxid);
  putLong(words, at + PZXID, zxid);
  putNumber(words, at + CTIME, time);
  words[at + MTIME] = words[at + CTIME];
  words[at + MTIME + 1] = words[at + CTIME + 1];
  words[at + VERSION] = 0;
  words[at + CVERSION] = 0;
  words[at + AVERSION] = 0;
  words[at + OWNER] = ownerHigh;
  words[at + OWNER + 1] = ownerLow;
}

/**
 * A parent's side of a creation: counter and pzxid move together and never back, so that a replay over a newer snapshot changes nothing (faults 3249, 3145).
 * `cversion` -1 (old logs) means one more than now.
 */
export function childCreated(words: Int32Array, at: number, cversion: number, zxid: Long): void {
  const now = words[at + CVERSION];
  const next = cversion === -1 ? (now + 1) | 0 : cversion;
  if (next <= now) return;
  words[at + CVERSION] = next;
  putLong(words, at + PZXID, zxid);
}

/** A parent's side of a deletion: pzxid only ever rises (fault 3145). */
export function childDeleted(words: Int32Array, at: number, zxid: Long): void {
  const high = words[at + PZXID];
  if (zxid.high >>> 0 > high >>> 0 || (zxid.high === high && zxid.low >>> 0 > words[at + PZXID + 1] >>> 0))
    putLong(words, at + PZXID, zxid);
}

export function dataSet(words: Int32Array, at: number, version: number, zxid: Long, time: number): void {
  putLong(words, at + MZXID, zxid);
  putNumber(words, at + MTIME, time);
  words[at + VERSION] = version;
}

// ---- the owner field (PROTOCOL 5) ----

export const OwnerKind = { none: 0, session: 1, container: 2, ttl: 3 } as const;

const CONTAINER_HIGH = 0x80000000 | 0;
const TTL_HIGH = 0xff000000 | 0;
/** The largest TTL: 40 bits of milliseconds. */
export const MAX_TTL = 0xffffffffff;

/** What a stored owner says about its znode: `OwnerKind`. */
export function ownerKind(high: number, low: number): number {
  if (high === 0 && low === 0) return OwnerKind.none;
  if (high === CONTAINER_HIGH && low === 0) return OwnerKind.container;
  // Bits 55..40 number the extended feature; 0 is TTL.
  if ((high & 0xffffff00) === TTL_HIGH) return OwnerKind.ttl;
  return OwnerKind.session;
}

/** The TTL in ms of a stored owner of the kind `ttl`. */
export const ttlOf = (high: number, low: number): number => (high & 0xff) * TWO_32 + (low >>> 0);

/** Whether the leader's cleaner may delete the znode once it has no children: a container that had some, or a TTL that has run out (PROTOCOL 5). */
export function isDisposable(words: Int32Array, at: number, now: number): boolean {
  const high = words[at + OWNER];
  const low = words[at + OWNER + 1];
  const kind = ownerKind(high, low);
  if (kind === OwnerKind.container) return words[at + CVERSION] > 0;
  return kind === OwnerKind.ttl && now - numberAt(words, at + MTIME) > ttlOf(high, low);
}

/** Upper half of the stored owner of a znode that a create transaction makes. */
export function ownerHigh(type: number, ephemeral: boolean, session: Long, ttl: number): number {
  if (type === 19) return CONTAINER_HIGH;
  if (type === 21) return TTL_HIGH | (Math.floor(ttl / TWO_32) & 0xff);
  return ephemeral ? session.high : 0;
}

/** Lower half of the same. */
export function ownerLow(type: number, ephemeral: boolean, session: Long, ttl: number): number {
  if (type === 19) return 0;
  if (type === 21) return ttl | 0;
  return ephemeral ? session.low : 0;
}

/** The Stat that a client sees (PROTOCOL 6) of a row's words: cversion counts deletions too, and only a session is shown as owner. */
export function statOf(w: Int32Array, at: number, dataLength: number, numChildren: number): Stat {
  const czxid = longAt(w, at + CZXID);
  return {
    czxid,
    mzxid: sharedLong(w[at + MZXID], w[at + MZXID + 1], czxid),
    ctime: numberAt(w, at + CTIME),
    mtime: numberAt(w, at + MTIME),
    version: w[at + VERSION],
    cversion: (2 * w[at + CVERSION] - numChildren) | 0,
    aversion: w[at + AVERSION],
    ephemeralOwner: shownOwner(w[at + OWNER], w[at + OWNER + 1]),
    dataLength,
    numChildren,
    pzxid: sharedLong(w[at + PZXID], w[at + PZXID + 1], czxid),
  };
}

/** Most znodes have one zxid in several fields; one object for all keeps a read cheap. */
export const sharedLong = (high: number, low: number, other: Long): Long =>
  low === other.low && high === other.high ? other : new Long(low, high, true);

export const shownOwner = (high: number, low: number): Long =>
  ownerKind(high, low) === OwnerKind.session ? new Long(low, high, true) : ZXID_NONE;
