import type { Id, Request } from '../../model/records.ts';
import type { ReadRequest } from '../../wire/client-requests.ts';

/** What a request waits for: its transaction, the leader's word, or only those before it; `fixed` is an answer that stands already. */
export const PendingKind = { write: 0, sync: 1, read: 2, fixed: 3 } as const;

/** A client's request that is not answered yet. */
export class Pending {
  /** A sync that came back before its turn. */
  done = false;
  /** When it came, monotonic ms. */
  since = 0;

  constructor(
    readonly kind: number,
    readonly xid: number,
    /** The operation; the error number for a `fixed` one. */
    readonly op: number,
    /** About what it takes in memory. */
    readonly bytes: number,
    readonly record: ReadRequest | null,
    /** The identities that the client had when it asked. */
    readonly auth: readonly Id[],
    /** What was handed to the leader. */
    readonly request: Request | null,
  ) {}
}
