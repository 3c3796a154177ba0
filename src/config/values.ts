/*
 * The forms of values in a ZooKeeper configuration file. Each reader throws a RangeError whose message is the rule that the value breaks.
 */

/** The largest number that any setting takes: Java's `int`. */
export const MAX_INT = 0x7fffffff;

export function whole(value: string, min: number, max = MAX_INT): number {
  const number = /^[+-]?\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw new RangeError(`must be a whole number from ${min} to ${max}`);
}

/** A number that Java reads from a system property: hexadecimal too, with `0x` in front. */
export function systemNumber(value: string, min: number): number {
  return /^0x[0-9a-f]{1,8}$/i.test(value) ? whole(String(Number(value)), min) : whole(value, min);
}

export function trueOrFalse(value: string): boolean {
  const lower = value.toLowerCase();
  if (lower === 'true' || lower === 'false') return lower === 'true';
  throw new RangeError('must be true or false');
}

/** ZooKeeper looks for exactly these words here, and takes `true` for the opposite of what it says. */
export function yesOrNo(value: string): boolean {
  if (value === 'yes' || value === 'no') return value === 'yes';
  throw new RangeError('must be yes or no');
}

export function filled(value: string): string {
  if (value === '') throw new RangeError('must not be empty');
  return value;
}
