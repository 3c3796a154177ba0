import type Long from 'long';
import type { ErrorCode } from '../../model/errors.ts';
import type { Id, Stat } from '../../model/records.ts';
import { zxidHex } from '../../model/zxid.ts';
import type { CreateMode, MultiResult } from '../../node/api.ts';
import type { Octets } from '../../util/bytes.ts';
import type { Place } from './place.ts';

export type CallKind =
  | 'open'
  | 'resume'
  | 'close'
  | 'create'
  | 'setData'
  | 'delete'
  | 'setAcl'
  | 'multi'
  | 'getData'
  | 'exists'
  | 'getChildren'
  | 'sync'
  | 'nodeSync';

/** One change that a write asks for. */
export interface Part {
  readonly type: 'create' | 'setData' | 'delete' | 'check' | 'setAcl';
  readonly path: string;
  /** ASCII; for create and setData. No two writes of a run have the same, unless it is null. */
  readonly data: string | null;
  /** -1 for any. */
  readonly version: number;
  /** For create. */
  readonly mode: CreateMode;
}

/** What a call was told; only what its kind has. */
export interface Answer {
  /** null: there is no such znode. */
  readonly stat?: Stat | null;
  readonly path?: string;
  readonly octets?: Octets | null;
  readonly children?: readonly string[];
  readonly results?: readonly MultiResult[];
  /** For nodeSync. */
  readonly zxid?: Long;
}

/**
 * What has become of a call. `ok` and `refused` have been answered by the ensemble, in order and at a point of its history; `not-sent` never left the process; `not-done` and
 * `unknown` as in ZabError; `dead` is a call whose process died before the answer.
 */
export type CallOutcome = 'open' | 'ok' | 'refused' | 'not-sent' | 'not-done' | 'unknown' | 'dead';

/** A call of a client, from its invocation to its answer. */
export interface Call {
  /** From 1 on, in the order of the invocations. */
  readonly number: number;
  readonly client: string;
  readonly place: Place;
  /** Session id in hexadecimal digits; '' while there is none. */
  readonly session: string;
  readonly kind: CallKind;
  readonly path: string;
  readonly parts: readonly Part[];
  /** Simulated ms, and the place among all invocations and answers of the run. */
  readonly invokedAt: number;
  readonly invoked: number;
  /** How far the history was committed, and how far it was surely shown to the session, when the call was made. */
  readonly committedBefore: number;
  shownBefore: number;
  /** Counts how often the session had been suspended. */
  readonly connection: number;
  /** Whom the session had proved to be. */
  readonly ids: readonly Id[];
  outcome: CallOutcome;
  code: ErrorCode | null;
  returnedAt: number;
  returned: number;
  /** How far the history can have been shown to the session when the answer came. */
  shownAfter: number;
  /** Over the wire: the number of the request, and how far the answer shows the history; null while that is not known, and in a server's process. */
  xid: number | null;
  shown: number | null;
  answer: Answer;
  /** For a read that was sent right behind a sync: the sync. */
  sync: Call | null;
}

/** How many calls of each kind ended how. */
export type CallCounts = Partial<Record<CallKind, Partial<Record<CallOutcome, number>>>>;

/** Everything that the clients of a run have asked, and what they were told. */
export class History {
  readonly calls: Call[] = [];
  readonly #now: () => number;
  #events = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  begin(
    call: Omit<
      Call,
      'number' | 'invokedAt' | 'invoked' | 'outcome' | 'code' | 'returnedAt' | 'returned' | 'shownAfter' | 'xid' | 'shown' | 'answer'
    >,
  ): Call {
    const open = { outcome: 'open', code: null, returnedAt: Number.POSITIVE_INFINITY, returned: Number.POSITIVE_INFINITY } as const;
    const begun: Call = {
      ...call,
      ...open,
      number: this.calls.length + 1,
      invokedAt: this.#now(),
      invoked: ++this.#events,
      shownAfter: 0,
      xid: null,
      shown: null,
      answer: {},
    };
    this.calls.push(begun);
    return begun;
  }

  end(call: Call, outcome: CallOutcome, code: ErrorCode | null, answer: Answer): void {
    call.outcome = outcome;
    call.code = code;
    call.answer = answer;
    call.returnedAt = this.#now();
    call.returned = ++this.#events;
  }

  counts(): CallCounts {
    const counts: CallCounts = {};
    for (const { kind, outcome } of this.calls) {
      counts[kind] ??= {};
      const ofKind = counts[kind];
      ofKind[outcome] = (ofKind[outcome] ?? 0) + 1;
    }
    return counts;
  }

  /** One line for each call. */
  lines(): string[] {
    return this.calls.map(describeCall);
  }
}

export function describeCall(call: Call): string {
  const { number, client, place, session, kind, path, invokedAt, returnedAt, outcome, code } = call;
  const what = kind === 'multi' ? call.parts.map(describePart).join(' + ') : [path, ...call.parts.map(describeArguments)].join(' ');
  const when = Number.isFinite(returnedAt) ? `${invokedAt.toFixed(3)}-${returnedAt.toFixed(3)}` : `${invokedAt.toFixed(3)}-`;
  const told = describeAnswer(call.answer);
  return `#${number} ${client} at ${place.name} 0x${session} ${kind} ${what} [${when}] ${outcome}${code === null ? '' : ` ${code}`}${told}`;
}

const describePart = (part: Part): string => `${part.type} ${part.path} ${describeArguments(part)}`;

function describeArguments({ type, data, version, mode }: Part): string {
  if (type === 'create') return `${mode} ${tagOf(data)}`;
  return type === 'setData' ? `${tagOf(data)} v${version}` : `v${version}`;
}

function describeAnswer({ stat, path, octets, children, results }: Answer): string {
  const parts: string[] = [];
  if (path !== undefined) parts.push(path);
  if (octets !== undefined) parts.push(tagOf(octets));
  if (children !== undefined) parts.push(`${children.length} children`);
  if (stat === null) parts.push('no znode');
  else if (stat !== undefined) parts.push(`c0x${zxidHex(stat.czxid)} m0x${zxidHex(stat.mzxid)} v${stat.version}`);
  if (results !== undefined) parts.push(`${results.length} results`);
  return parts.length === 0 ? '' : `: ${parts.join(' ')}`;
}

/** What tells one write's data from every other's: what stands before the padding. */
export function tagOf(data: string | null): string {
  if (data === null) return 'null';
  const end = data.indexOf('|');
  return end < 0 ? data : data.slice(0, end);
}
