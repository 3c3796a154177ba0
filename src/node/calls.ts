import { ZabError } from '../model/errors.ts';
import type { MultiOp } from '../model/records.ts';

/** The number of the request after the one with `cxid`. After the highest comes 1: 0 and below mean something else (PROTOCOL 2.3, 17). */
export const nextCxid = (cxid: number): number => (cxid === 0x7fffffff ? 1 : cxid + 1);

/** What kind of call waits; decides the shape of its result. */
export const CallKind = { create: 0, delete: 1, setData: 2, setAcl: 3, multi: 4, close: 5, sync: 6, read: 7 } as const;
export type CallKindCode = (typeof CallKind)[keyof typeof CallKind];

/**
 * A call of a session that is not answered yet: a write or sync under way, or a read that waits for those before it. It also listens to the caller's AbortSignal.
 * It is settled once; later attempts do nothing.
 */
export class Call {
  /** A sync that came back before an earlier write did: it is answered in its turn. */
  done = false;
  settled = false;
  /** The parts of a multi, whose paths its error names. */
  ops: readonly MultiOp[] | null = null;
  #signal: AbortSignal | null = null;

  constructor(
    readonly kind: CallKindCode,
    /** The request's number; 0 for a read, which sends none. */
    readonly cxid: number,
    readonly path: string,
    readonly run: (() => unknown) | null,
    readonly resolve: (value: never) => void,
    readonly reject: (error: unknown) => void,
  ) {}

  /** Whether a transaction answers it. */
  get isWrite(): boolean {
    return this.kind < CallKind.sync;
  }

  listen(signal: AbortSignal): void {
    this.#signal = signal;
    signal.addEventListener('abort', this);
  }

  /** The signal's listener: an object, so that no closure is made per call. */
  handleEvent(): void {
    this.fail(abortError(this.#signal!, this.path, this.kind === CallKind.read ? 'not-done' : 'unknown'));
  }

  succeed(value: unknown): void {
    if (this.#settle()) this.resolve(value as never);
  }

  fail(error: unknown): void {
    if (this.#settle()) this.reject(error);
  }

  #settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    if (this.#signal !== null) {
      this.#signal.removeEventListener('abort', this);
      this.#signal = null;
    }
    return true;
  }
}

export function abortError(signal: AbortSignal, path: string | undefined, outcome: 'not-done' | 'unknown'): ZabError {
  const what =
    outcome === 'unknown'
      ? 'aborted by its signal after it was sent: it may still happen'
      : 'aborted by its signal before anything was sent';
  return new ZabError('ABORTED', `ABORTED${path === undefined ? '' : ` ${path}`}: ${what}`, outcome, path, { cause: signal.reason });
}

/** The error of a call that is refused because the replica has no ensemble at the moment. */
export const notServing = (path?: string): ZabError =>
  new ZabError(
    'CONNECTION_LOSS',
    'CONNECTION_LOSS: the replica is not serving; nothing was sent, try again once it serves',
    'not-done',
    path,
  );

export const overloaded = (path?: string): ZabError =>
  new ZabError(
    'OVERLOADED',
    'OVERLOADED: too many calls of this process are under way (maxOutstanding); nothing was sent',
    'not-done',
    path,
  );

const ADVICE: Readonly<Record<CallKindCode, string>> = {
  [CallKind.create]:
    'the znode may or may not have been created; once connected again look for it (for a sequential one among the parent’s children) before creating it again',
  [CallKind.delete]: 'the znode may or may not have been deleted; deleting it again then either works or ends with NO_NODE',
  [CallKind.setData]: 'the data may or may not have been set; once connected again compare data and version before setting it again',
  [CallKind.setAcl]: 'the ACL may or may not have been set; once connected again compare it before setting it again',
  [CallKind.multi]: 'all of it or nothing may have happened; once connected again look which before repeating it',
  [CallKind.close]: 'the session may be closed, or live until it expires',
  [CallKind.sync]: 'ask again once connected again',
  [CallKind.read]: 'it has changed nothing; ask again once connected again',
};

/** The error of a call that was waiting when the replica lost its ensemble, or when `what` happened. Says what the caller can do about it. */
export function lostError(call: Call, what = 'the replica lost its ensemble before the answer came'): ZabError {
  const outcome = call.kind === CallKind.read ? 'not-done' : 'unknown';
  return new ZabError('CONNECTION_LOSS', `CONNECTION_LOSS ${call.path}: ${what}: ${ADVICE[call.kind]}`, outcome, call.path);
}

/** The error of whatever is under way or asked for when the node has stopped, because of `cause` if that is given. */
export function stoppedError(outcome: 'not-done' | 'unknown', cause: Error | null, path?: string): ZabError {
  const why = cause === null ? 'the node was stopped' : `the node stopped because of an error: ${cause.message}`;
  const fate = outcome === 'unknown' ? '; whether the call still happens is unknown' : '';
  return new ZabError('NODE_STOPPED', `NODE_STOPPED: ${why}${fate}`, outcome, path, cause === null ? undefined : { cause });
}
