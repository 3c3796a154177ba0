import { Err, Op } from '../../model/codes.ts';
import type { Request } from '../../model/records.ts';
import { InvariantError } from '../../util/assert.ts';
import { allocBytes } from '../../util/bytes.ts';
import { JuteError, type JuteReader } from '../../wire/jute.ts';
import { decodeRequestBody } from '../../wire/requests.ts';

export function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = allocBytes(bytes.length);
  copy.set(bytes);
  return copy;
}

/** The path of a sync, which is only echoed, but there must be one; null if there is none. */
export function syncPathOf(r: JuteReader): string | null {
  try {
    return r.string();
  } catch (error) {
    if (error instanceof JuteError) return null;
    throw error;
  }
}

/** What can't be read is a write that fails, as the leader will say. */
export function recordOf(op: number, body: Uint8Array): Request['record'] {
  try {
    return decodeRequestBody(op, body);
  } catch (error) {
    if (error instanceof InvariantError || !(error instanceof JuteError)) throw error;
    return { op: Op.error, err: Err.marshallingError };
  }
}
