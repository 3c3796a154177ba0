import type Long from 'long';
import type { Id, Request } from '../../model/records.ts';
import type { Clock } from '../../seams/clock.ts';
import type { ConnectRequest } from '../../wire/client-connect.ts';
import type { AuthRequest, ReadRequest, SetWatchesRequest } from '../../wire/client-requests.ts';
import type { JuteWriter } from '../../wire/jute.ts';
import type { OutputPool } from './output.ts';
import type { PortStats } from './stats.ts';

/** What a connection needs of the port that it came to. */
export interface ConnectionHost<C> {
  readonly pool: OutputPool;
  readonly stats: PortStats;
  readonly clock: Clock;
  /** The time of this turn of the event loop, or a little later: looking at the clock for each answer would cost too much. Monotonic ms. */
  readonly turnTime: number;
  /** Limit of a frame (jute.maxbuffer), bytes. */
  readonly maxFrame: number;
  /** True while there is no quorum: then only reads are served. */
  readonly readOnly: boolean;
  /** The last zxid that has been applied. */
  readonly lastZxid: Long;
  /** Whether no more requests may come under way. */
  readonly isFull: boolean;
  /** Answers a four-letter word; ends in its `answerText`. */
  answerWord(connection: C, word: string): void;
  /** The first frame; ends in its `open`, its `refuse` or a closed connection. */
  connect(connection: C, request: ConnectRequest): void;
  /** Hands a write to the leader; null if that can't be done. `body` may not be kept. */
  write(connection: C, xid: number, op: number, body: Uint8Array): Request | null;
  /** The same for a sync. */
  sync(connection: C, xid: number, path: string): Request | null;
  /** Writes the body of the answer to a read; returns the error if there is one, and then what was written does not count. */
  read(connection: C, record: ReadRequest, auth: readonly Id[], w: JuteWriter): number;
  /** Registers watches again, and tells of what they have missed. */
  restoreWatches(connection: C, record: SetWatchesRequest): void;
  /** What an auth packet adds to the identities; null if it proves nothing. */
  authenticate(request: AuthRequest, known: readonly Id[]): readonly Id[] | null;
  /** A request came under way, or is not any more. */
  entered(bytes: number): void;
  left(bytes: number): void;
  /** The connection waits until {@link isFull} is false. */
  waits(connection: C): void;
  /** There is something to flush at the end of this turn. */
  dirty(connection: C): void;
  /** Called once, when the connection is over. */
  over(connection: C, reason: string): void;
}
