import Long from 'long';
import { Op } from '../model/codes.ts';
import { ZabError } from '../model/errors.ts';
import type { Request, Txn, TxnHeader } from '../model/records.ts';
import type { Logger } from '../seams/logger.ts';
import type { TxnResult } from '../tree/tree.ts';
import { LongMap } from '../util/long-map.ts';
import type { SessionTouch } from '../zab/messages.ts';
import type { Access } from './access.ts';
import type { Session, SessionOptions, SessionState } from './api.ts';
import { abortError, notServing, stoppedError } from './calls.ts';
import type { HolderHost, ReplicaControl, SessionHolder } from './hooks.ts';
import type { ResolvedOptions } from './options.ts';
import { LocalSession, type SessionHost } from './session.ts';
import { isSessionPassword } from './session-id.ts';
import type { Watches } from './watches.ts';

/** An `openSession` under way: its createSession transaction, or the leader's word on a session that is to go on. */
class Opening {
  aborted = false;
  /** The leader's word on a session that is to go on. */
  valid = false;

  constructor(
    readonly id: Long,
    readonly timeout: number,
    readonly signal: AbortSignal | undefined,
    readonly resolve: (session: Session) => void,
    readonly reject: (error: unknown) => void,
  ) {
    signal?.addEventListener('abort', this);
  }

  handleEvent(): void {
    this.aborted = true;
    this.reject(abortError(this.signal!, undefined, 'unknown'));
  }

  succeed(session: Session): void {
    this.signal?.removeEventListener('abort', this);
    this.resolve(session);
  }

  fail(error: unknown): void {
    this.signal?.removeEventListener('abort', this);
    this.reject(error);
  }
}

/** The number of the createSession request (PROTOCOL 17). */
const OPENING_CXID = 0;

/** All sessions that the application has opened in this process. */
export class Sessions implements SessionHost, SessionHolder {
  readonly control: ReplicaControl;
  readonly watches: Watches;
  readonly logger: Logger;
  readonly maxRequestBytes: number;
  readonly access: Access;
  stopped: { readonly cause: Error | null } | null = null;
  readonly #options: ResolvedOptions;
  readonly #host: HolderHost;
  readonly #onState: (sessionId: Long, state: SessionState) => void;
  readonly #sessions = new LongMap<LocalSession>();
  readonly #creating = new LongMap<Opening>();
  readonly #resuming = new LongMap<Opening[]>();
  #underWay = 0;

  constructor(options: ResolvedOptions, host: HolderHost, watches: Watches, onState: (sessionId: Long, state: SessionState) => void) {
    this.#options = options;
    this.#host = host;
    this.control = host.control;
    this.watches = watches;
    this.logger = options.logger;
    this.maxRequestBytes = options.maxRequestBytes;
    this.access = host.access;
    this.#onState = onState;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Calls that are not answered yet. */
  get underWay(): number {
    return this.#underWay;
  }

  take(): boolean {
    if (this.#underWay >= this.#options.maxOutstanding) return false;
    this.#underWay++;
    return true;
  }

  release(): void {
    this.#underWay--;
  }

  stateChanged(session: LocalSession, state: SessionState): void {
    if (session.isFinal) this.#sessions.delete(session.id);
    this.#emit(session, state);
    this.#onState(session.id, state);
  }

  #emit(session: LocalSession, state: SessionState): void {
    try {
      session.emit('state', state);
    } catch (error) {
      this.logger('error', 'a listener of a session’s state threw', { error });
    }
  }

  // ---- opening ----

  open(options: SessionOptions | undefined): Promise<Session> {
    const signal = options?.signal;
    if (this.stopped !== null) return Promise.reject(stoppedError('not-done', this.stopped.cause));
    if (signal?.aborted) return Promise.reject(abortError(signal, undefined, 'not-done'));
    const { tickTime, minSessionTimeout, maxSessionTimeout } = this.#options;
    const wanted = options?.timeout ?? 10 * tickTime;
    if (!Number.isInteger(wanted) || wanted < 0) {
      return Promise.reject(
        new ZabError('BAD_ARGUMENTS', `BAD_ARGUMENTS: a session’s timeout must be a whole number of ms, not ${wanted}`),
      );
    }
    const timeout = Math.min(Math.max(wanted, minSessionTimeout), maxSessionTimeout);
    return options?.resume === undefined ? this.#create(timeout, signal) : this.#resume(options.resume, timeout, signal);
  }

  #create(timeout: number, signal: AbortSignal | undefined): Promise<Session> {
    const { sessions } = this.control.tree;
    const id = this.#host.ids.next((candidate) => sessions.has(candidate) || this.isLocal(candidate));
    const record = { op: Op.createSession, timeout } as const;
    const request: Request = { sessionId: id, cxid: OPENING_CXID, op: Op.createSession, auth: [], record, body: null };
    if (!this.control.submit(request)) return Promise.reject(notServing());
    return new Promise((resolve, reject) => this.#creating.set(id, new Opening(id, timeout, signal, resolve, reject)));
  }

  #resume(
    resume: { readonly id: Long; readonly password: Uint8Array },
    timeout: number,
    signal: AbortSignal | undefined,
  ): Promise<Session> {
    if (!Long.isLong(resume.id) || !(resume.password instanceof Uint8Array)) {
      return Promise.reject(
        new ZabError('BAD_ARGUMENTS', 'BAD_ARGUMENTS: to go on with a session takes its id as a Long and its password as bytes'),
      );
    }
    const id = resume.id.toUnsigned();
    if (!isSessionPassword(id, resume.password)) return Promise.reject(unknownSession('wrong password, or no such session'));
    // A deposed leader knows neither what the session has seen since nor whether it lives; the sync behind the question is answered only if this one is none.
    const sync: Request = { sessionId: id, cxid: OPENING_CXID, op: Op.sync, auth: [], record: { op: Op.sync, path: '/' }, body: null };
    if (!this.control.revalidate(id, timeout) || !this.control.submit(sync)) return Promise.reject(notServing());
    return new Promise((resolve, reject) => {
      const waiting = this.#resuming.get(id) ?? [];
      waiting.push(new Opening(id, timeout, signal, resolve, reject));
      this.#resuming.set(id, waiting);
    });
  }

  #add(opening: Opening, lastCxid: number): void {
    const session = new LocalSession(this, opening.id, opening.timeout, lastCxid);
    this.#sessions.set(session.id, session);
    opening.succeed(session);
  }

  #created(opening: Opening, result: TxnResult): void {
    this.#creating.delete(opening.id);
    if (result.err !== 0) return opening.fail(ZabError.fromNumber(result.err));
    if (!opening.aborted) return this.#add(opening, OPENING_CXID);
    // Nobody wants it any more; if this does not reach the leader it expires.
    const record = { op: Op.closeSession } as const;
    this.control.submit({ sessionId: opening.id, cxid: 1, op: Op.closeSession, auth: [], record, body: null });
  }

  // ---- what the replica tells ----

  isLocal(sessionId: Long): boolean {
    return this.#sessions.has(sessionId) || this.#creating.has(sessionId);
  }

  applying({ clientId, cxid }: TxnHeader): boolean {
    const session = this.#sessions.get(clientId);
    session?.applying(cxid);
    return session !== undefined || this.#creating.has(clientId);
  }

  applied(txn: Txn, result: TxnResult): void {
    const { clientId, cxid } = txn.header;
    const session = this.#sessions.get(clientId);
    if (session !== undefined) return session.applied(txn, result);
    const opening = this.#creating.get(clientId);
    if (opening !== undefined && cxid === OPENING_CXID) this.#created(opening, result);
  }

  synced({ sessionId, cxid }: Request): boolean {
    if (cxid === OPENING_CXID) this.#confirmed(sessionId);
    else this.#sessions.get(sessionId)?.synced(cxid);
    return true;
  }

  /** The session goes on at a client of the client port. */
  taken(sessionId: Long): void {
    this.#sessions.get(sessionId)?.moved();
  }

  /** Everything under way is lost. */
  suspend(): void {
    for (const session of [...this.#sessions.values()]) session.suspend();
    const message = 'the replica lost its ensemble before the session was open; if it was created it will expire';
    this.#failOpenings(new ZabError('CONNECTION_LOSS', `CONNECTION_LOSS: ${message}`, 'unknown'));
  }

  #failOpenings(error: ZabError): void {
    const openings = [...this.#creating.values(), ...[...this.#resuming.values()].flat()];
    this.#creating.clear();
    this.#resuming.clear();
    for (const opening of openings) opening.fail(error);
  }

  /** The replica serves again: asks the leader about every session. Until the answer comes a session stays suspended. */
  resume(): void {
    for (const session of [...this.#sessions.values()]) this.control.revalidate(session.id, session.timeout);
  }

  revalidated(sessionId: Long, valid: boolean): void {
    const session = this.#sessions.get(sessionId);
    if (valid) session?.resume();
    else session?.expired();
    for (const opening of this.#resuming.get(sessionId) ?? []) opening.valid = valid;
  }

  /** The leader that has given its word on a session leads indeed, and all is applied that was committed before it was asked: the first who asked gets it. */
  #confirmed(sessionId: Long): void {
    const openings = this.#resuming.get(sessionId);
    const opening = openings?.shift();
    if (opening === undefined) return;
    if (openings?.length === 0) this.#resuming.delete(sessionId);
    if (opening.aborted) return;
    if (!opening.valid || !this.control.tree.sessions.has(sessionId))
      return opening.fail(unknownSession('the session has expired or was closed'));
    this.#sessions.get(sessionId)?.moved();
    this.#host.taken(sessionId, this);
    // Requests that an earlier handle made may still be answered: numbers from elsewhere keep the answers apart.
    this.#add(opening, this.#options.random.below(0x40000000));
  }

  /** Connected and suspended sessions: what is alive in this process must not expire. A session never ends by the clock of this process: only the leader knows. */
  live(touches: SessionTouch[]): void {
    for (const session of this.#sessions.values()) touches.push({ sessionId: session.id, timeout: session.timeout });
  }

  /** The node has stopped: settles everything. */
  stop(cause: Error | null): void {
    this.stopped = { cause };
    for (const session of [...this.#sessions.values()]) session.stop(cause);
    this.#failOpenings(stoppedError('unknown', cause));
  }
}

function unknownSession(why: string): ZabError {
  return new ZabError('SESSION_EXPIRED', `SESSION_EXPIRED: ${why}`);
}
