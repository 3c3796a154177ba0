import Long from 'long';

/*
 * A zxid is 64 bits: the epoch in the upper 32, the counter in the lower 32. Everything here works on the two halves, because
 * general Long arithmetic costs several times more. Epochs and counters are handled as unsigned numbers (0 .. 2^32-1).
 */

/** The zxid of an empty history. */
export const ZXID_NONE: Long = Long.UZERO;

/**
 * The last counter that a transaction may use; the request that would get 0xffffffff makes the ensemble go into a new epoch
 * (PROTOCOL 13.3, faults 1277, 2789, 4883).
 */
export const LAST_COUNTER = 0xfffffffe;

/** The zxid of `epoch` and `counter`, each 0 .. 2^32-1. */
export function makeZxid(epoch: number, counter: number): Long {
  return new Long(counter | 0, epoch | 0, true);
}

export const epochOf = (zxid: Long): number => zxid.high >>> 0;
export const counterOf = (zxid: Long): number => zxid.low >>> 0;

/** Negative, zero or positive as `a` is before, equal to or after `b`. */
export function compareZxid(a: Long, b: Long): number {
  return a.high === b.high ? (a.low >>> 0) - (b.low >>> 0) : (a.high >>> 0) - (b.high >>> 0);
}

export const zxidEquals = (a: Long, b: Long): boolean => a.low === b.low && a.high === b.high;

export const maxZxid = (a: Long, b: Long): Long => (compareZxid(a, b) >= 0 ? a : b);

/** The zxid after `zxid` in the same epoch. The caller has checked {@link LAST_COUNTER}. */
export const nextZxid = (zxid: Long): Long => new Long((zxid.low + 1) | 0, zxid.high, true);

/**
 * Whether `next` may directly follow `last` in a history: the next counter of the same epoch, or the first transaction of a later one.
 */
export function followsInHistory(last: Long, next: Long): boolean {
  if (next.high === last.high) return next.low >>> 0 === (last.low >>> 0) + 1;
  return next.high >>> 0 > last.high >>> 0 && next.low === 1;
}

/** `0x` and lower-case hex without padding, as ZooKeeper prints zxids and names its files. */
export const formatZxid = (zxid: Long): string => `0x${zxidHex(zxid)}`;

/** Lower-case hex without padding or prefix. */
export function zxidHex(zxid: Long): string {
  const high = zxid.high >>> 0;
  const low = (zxid.low >>> 0).toString(16);
  return high === 0 ? low : high.toString(16) + low.padStart(8, '0');
}

/** Reads what {@link zxidHex} writes; undefined when `text` is not 1 to 16 hex digits. */
export function parseZxidHex(text: string): Long | undefined {
  if (!/^[0-9a-f]{1,16}$/i.test(text)) return undefined;
  const high = text.length > 8 ? Number.parseInt(text.slice(0, -8), 16) : 0;
  return makeZxid(high, Number.parseInt(text.slice(-8), 16));
}
