import type Long from 'long';
import { Op } from '../../model/codes.ts';
import { zxidHex } from '../../model/zxid.ts';
import type { ConnectRequest, ConnectResponse } from '../../wire/client-connect.ts';
import type { ReplyHeader } from '../../wire/client-replies.ts';
import type { WireProbe } from '../wire-tap.ts';
import type { CommittedHistory } from './committed.ts';
import { type Call, type CallKind, describeCall } from './history.ts';
import type { Complain } from './reference.ts';

/** A watch of a session over the wire, as the answers of its servers bear on it. Positions are those of the committed history. */
export interface WireWatch {
  readonly over: boolean;
  /** A server has taken the session, and is asked for the watches first of all. */
  granted(): void;
  /** All watches that there were are in force again, at this position; what they had missed has been told. */
  restored(position: number): void;
  /** An answer shows the history up to here. `call` is what it answers, if that is one of the application's. */
  shown(position: number, call: Call | null): void;
  /** The connection is over. Everything up to here had been told: the servers will be asked for what comes after it. */
  lost(since: number): void;
}

/** Requests for which the application has made a call. */
const KINDS: ReadonlyMap<number, CallKind> = new Map<number, CallKind>([
  [Op.create2, 'create'],
  [Op.createContainer, 'create'],
  [Op.createTtl, 'create'],
  [Op.delete, 'delete'],
  [Op.setData, 'setData'],
  [Op.setAcl, 'setAcl'],
  [Op.multi, 'multi'],
  [Op.sync, 'sync'],
  [Op.closeSession, 'close'],
  [Op.exists, 'exists'],
  [Op.getData, 'getData'],
  [Op.getChildren2, 'getChildren'],
]);

/** What has no zxid: the answer to an identity, or what 3.8.0 puts into refusals. */
const isNone = (zxid: Long): boolean => zxid.isZero() || zxidHex(zxid) === 'ffffffffffffffff';

/**
 * What a session has said and heard on its connections: gives each call the number of its request, and the position of the history that its answer shows, which stands in the header of every reply
 * (PROTOCOL 3.1). So nothing of what a session over the wire is told has to be guessed.
 */
export class WireLog implements WireProbe {
  readonly watches = new Set<WireWatch>();
  /** The last position that an answer has shown. */
  position = 0;
  /** Whether a server serves the session, as far as the client knows. */
  isGranted = false;
  /** Whether a server with a quorum knows the session, and whether the client has asked for another one. */
  #isReal = false;
  #asksAnew = true;
  readonly #committed: CommittedHistory;
  readonly #complain: Complain;
  /** Calls that have not gone out yet, in order. */
  readonly #waiting: Call[] = [];
  /** Calls under way, by their requests' numbers. */
  readonly #calls = new Map<number, Call>();
  /** Requests for watches under way. */
  #restoring = 0;
  /** Up to here the watches have missed nothing; null while nothing can be missed. */
  #since: number | null = null;

  constructor(committed: CommittedHistory, complain: Complain) {
    this.#committed = committed;
    this.#complain = complain;
  }

  /** A call is about to be made. */
  begin(call: Call): void {
    this.#waiting.push(call);
  }

  /** It has an answer, or something in the place of one; without ever having gone out, perhaps. */
  end(call: Call): void {
    const at = this.#waiting.indexOf(call);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  asks(_server: number, { sessionId }: ConnectRequest): void {
    this.#asksAnew = sessionId.isZero();
    if (!this.#asksAnew) this.#isReal = true;
  }

  answered(_server: number, { timeout, readOnly }: ConnectResponse): void {
    if (timeout <= 0) return;
    // It has asked for reads without its session, and the server has a quorum again: it goes on there, with its own.
    if (this.#asksAnew && this.#isReal && readOnly !== true) return;
    if (readOnly !== true) this.#isReal = true;
    this.isGranted = true;
    for (const watch of this.#living()) watch.granted();
  }

  sent(xid: number, op: number): void {
    if (op === Op.setWatches || op === Op.setWatches2) {
      this.#restoring++;
      return;
    }
    // Watches are asked for before anything but who it is: so there were none.
    if (op !== Op.auth && this.#restoring === 0) this.#since = null;
    const kind = KINDS.get(op);
    if (kind === undefined) return;
    const call = this.#waiting.shift();
    if (call?.kind !== kind) {
      const due = call === undefined ? 'nobody has made' : `stands for ${describeCall(call)}`;
      return this.#complain('OneAttempt', `request ${xid} is a ${kind} that ${due}`);
    }
    call.xid = xid;
    this.#calls.set(xid, call);
  }

  replied(op: number, { xid, zxid }: ReplyHeader): void {
    if (!isNone(zxid)) this.position = this.#committed.positionOf(zxid);
    const { position } = this;
    const call = this.#calls.get(xid) ?? null;
    this.#calls.delete(xid);
    if (call !== null) call.shown = position;
    if (op !== Op.setWatches && op !== Op.setWatches2) {
      for (const watch of this.#living()) watch.shown(position, call);
    } else if (--this.#restoring === 0) {
      this.#since = null;
      for (const watch of this.#living()) watch.restored(position);
    }
  }

  told(): void {}

  ended(): void {
    this.#calls.clear();
    this.#restoring = 0;
    if (!this.isGranted) return;
    this.isGranted = false;
    this.#since ??= this.position;
    for (const watch of this.#living()) watch.lost(this.#since);
  }

  #living(): readonly WireWatch[] {
    for (const watch of this.watches) if (watch.over) this.watches.delete(watch);
    return [...this.watches];
  }
}
