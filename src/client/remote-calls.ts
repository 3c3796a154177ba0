import { Err, Op } from '../model/codes.ts';
import { ZabError } from '../model/errors.ts';
import type { Watcher } from '../node/api.ts';
import { Call, type CallKindCode, lostError } from '../node/calls.ts';
import { Fifo } from '../util/fifo.ts';
import type { ReplyHeader } from '../wire/client-replies.ts';
import { JuteError, type JuteReader } from '../wire/jute.ts';
import type { Connection } from './connection.ts';

/** The one-shot watch that a read asks for, and on which path, as the session names it. */
export interface WantedWatch {
  readonly table: 'data' | 'child';
  readonly path: string;
  readonly callback: Watcher;
}

/** Makes a call's result of its reply. A {@link ZabError} that it returns is the call's error. Throws JuteError. */
export type ReadReply = (body: JuteReader, header: ReplyHeader) => unknown;

/** A call that was sent and waits for its reply. */
export class RemoteCall extends Call {
  /** Which request of its connection it is. */
  index = -1;
  watch: WantedWatch | null = null;

  constructor(
    kind: CallKindCode,
    cxid: number,
    path: string,
    readonly op: number,
    readonly reply: ReadReply,
    resolve: (value: never) => void,
    reject: (error: unknown) => void,
  ) {
    super(kind, cxid, path, null, resolve, reject);
  }
}

/**
 * The calls of a session that are not answered yet, in the order made, in which the server answers them. Those that need no server stand among them as plain {@link Call}s: they run when
 * all before them have been answered.
 */
export class RemoteCalls {
  readonly #calls = new Fifo<Call>();

  get length(): number {
    return this.#calls.length;
  }

  push(call: Call): void {
    this.#calls.push(call);
  }

  /** The call that a reply answers, which is the first; {@link settle} is to follow. Throws JuteError when the reply is to another: then this is no ZooKeeper server. */
  answered({ xid }: ReplyHeader): RemoteCall {
    const call = this.#calls.peek();
    if (call instanceof RemoteCall && call.cxid === xid) return call;
    throw new JuteError(`an answer to request ${xid} while ${call === undefined ? 'none' : call.cxid} is the next to be answered`, 0);
  }

  /** Settles the first call, and those behind it that need no server. `result` is what {@link resultOf} gave. */
  settle(result: unknown): void {
    const call = this.#calls.shift()!;
    if (result instanceof ZabError) call.fail(result);
    else call.succeed(result);
    for (;;) {
      const next = this.#calls.peek();
      if (next === undefined || next instanceof RemoteCall) return;
      this.#calls.shift();
      runLocal(next);
    }
  }

  /** Empties the queue. */
  failAll(errorOf: (call: Call) => Error): void {
    for (;;) {
      const call = this.#calls.shift();
      if (call === undefined) return;
      call.fail(errorOf(call));
    }
  }

  /** Settles the calls of a kind that needs no answer any more. */
  succeed(kind: CallKindCode): void {
    for (const call of this.#calls) if (call.kind === kind) call.succeed(undefined);
  }
}

/** Runs a call that needs no server. */
export function runLocal(call: Call): void {
  if (call.settled) return;
  try {
    call.succeed(call.run!());
  } catch (error) {
    call.fail(error);
  }
}

/** What a reply says to its call: its result, or a {@link ZabError}. Throws JuteError for a body that can't be read. */
export function resultOf(call: RemoteCall, header: ReplyHeader, body: JuteReader): unknown {
  const { err } = header;
  if (call.settled) return undefined;
  if (err === Err.ok) return call.reply(body, header);
  if (err === Err.noNode && call.op === Op.exists) return null;
  return ZabError.fromNumber(err, call.path);
}

/** The error of a call whose connection is over. What never left this process surely did not happen. */
export function lostCall(call: Call, connection: Connection, reason: string): ZabError {
  if (call instanceof RemoteCall && connection.hasWritten(call.index)) {
    return lostError(call, `the connection to ${connection.name} ended before the answer came (${reason})`);
  }
  return notSent(call.path, `the connection to ${connection.name} has ended (${reason})`);
}

export function notSent(path: string, why: string): ZabError {
  return new ZabError('CONNECTION_LOSS', `CONNECTION_LOSS ${path}: ${why}; nothing was sent, try again once connected`, 'not-done', path);
}
