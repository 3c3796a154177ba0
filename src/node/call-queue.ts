import { ZabError } from '../model/errors.ts';
import type { TxnResult } from '../tree/tree.ts';
import { Fifo } from '../util/fifo.ts';
import { multiError, multiResults } from './answers.ts';
import { type Call, CallKind, type CallKindCode } from './calls.ts';

/**
 * The calls of one session that are not answered yet, in the order made, which is the order they are answered in.
 *
 * A session's writes go to the leader over one ordered channel, so they are answered in order: when the transaction for a write is applied, everything before it in the queue has been
 * answered. A sync before it is, because the write was committed after the sync was asked: whatever had been committed by then is applied here by now, and a quorum has confirmed the
 * leader since. Then the reads behind the sync run, before the write shows in the tree.
 */
export class CallQueue {
  readonly #calls = new Fifo<Call>();
  readonly #left: () => void;

  /** `left` is told of every call that leaves the queue. */
  constructor(left: () => void) {
    this.#left = left;
  }

  get length(): number {
    return this.#calls.length;
  }

  push(call: Call): void {
    this.#calls.push(call);
  }

  /** The write with this number is about to be applied: answers what stands before it. Does nothing if that is not the first write, see {@link answerWrite}. */
  answerBefore(cxid: number): void {
    const calls = this.#calls;
    let index = 0;
    while (index < calls.length && !calls.at(index).isWrite) index++;
    if (index === calls.length || calls.at(index).cxid !== cxid) return;
    for (; index > 0; index--) this.#answerFirst();
  }

  /**
   * Answers the first write, then the reads that waited for it; returns the write. Null if `cxid` is not its number: the transaction's request was given up when
   * the replica lost its ensemble, or another handle of the session made it.
   */
  answerWrite(cxid: number, result: TxnResult): Call | null {
    const first = this.#calls.peek();
    if (first === undefined || !first.isWrite || first.cxid !== cxid) return null;
    const call = this.#shift();
    answer(call, result);
    this.#runReady();
    return call;
  }

  /** A sync came back: it is answered now, or when earlier calls have been. */
  answerSync(cxid: number): void {
    for (let index = 0; index < this.#calls.length; index++) {
      const call = this.#calls.at(index);
      if (call.kind !== CallKind.sync || call.cxid !== cxid) continue;
      call.done = true;
      break;
    }
    this.#runReady();
  }

  /** Settles the calls of a kind that needs nothing more. */
  succeed(kind: CallKindCode): void {
    for (const call of this.#calls) if (call.kind === kind) call.succeed(undefined);
  }

  /** Empties the queue. */
  failAll(errorOf: (call: Call) => Error): void {
    while (this.#calls.length !== 0) {
      const call = this.#shift();
      call.fail(errorOf(call));
    }
  }

  /** Answers what stands at the front and waits for nothing any more. */
  #runReady(): void {
    for (;;) {
      const call = this.#calls.peek();
      if (call === undefined || !(call.kind === CallKind.read || call.done)) return;
      this.#answerFirst();
    }
  }

  /** Answers the first call, which is no write. */
  #answerFirst(): void {
    const call = this.#shift();
    if (call.run === null || call.settled) return call.succeed(undefined);
    try {
      call.succeed(call.run());
    } catch (error) {
      call.fail(error);
    }
  }

  #shift(): Call {
    this.#left();
    return this.#calls.shift()!;
  }
}

function answer(call: Call, result: TxnResult): void {
  if (result.err !== 0) {
    const { ops } = call;
    const isMulti = ops !== null && result.results !== null;
    return call.fail(isMulti ? multiError(result.results, ops) : ZabError.fromNumber(result.err, call.path));
  }
  switch (call.kind) {
    case CallKind.create:
      return call.succeed({ path: result.path!, stat: result.stat! });
    case CallKind.setData:
    case CallKind.setAcl:
      return call.succeed(result.stat!);
    case CallKind.multi:
      return call.succeed(multiResults(result.results!));
    default:
      return call.succeed(undefined);
  }
}
