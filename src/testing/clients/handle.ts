import type Long from 'long';
import { type ErrorCode, ZabError } from '../../model/errors.ts';
import type { Acl, Id, Stat } from '../../model/records.ts';
import { zxidHex } from '../../model/zxid.ts';
import type {
  CallOptions,
  EnsembleNode,
  MultiOperation,
  Session,
  SessionState,
  WatchEvent,
  Watcher,
  WatchOptions,
} from '../../node/api.ts';
import { Violation } from '../probe.ts';
import type { CommittedHistory, NodeLife } from './committed.ts';
import { type Answer, type Call, type CallKind, type CallOutcome, describeCall, type History, type Part } from './history.ts';
import type { Place } from './place.ts';
import type { WireLog } from './wire-log.ts';

/** What all handles of a run write to and are checked by. */
export interface Ledger {
  /** Simulated ms. */
  readonly now: () => number;
  readonly history: History;
  readonly committed: CommittedHistory;
  readonly report: (violation: Violation) => void;
  /** An answer came, or what stands for one. */
  readonly settled: (handle: Handle, call: Call) => void;
  readonly stateChanged: (handle: Handle, before: SessionState) => void;
  /** Its session has another id. */
  readonly renamed: (handle: Handle, before: string) => void;
}

/** Codes with which the ensemble answers a request: each of them is a point of its history. */
const ANSWERS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'NO_NODE',
  'NO_AUTH',
  'BAD_VERSION',
  'NO_CHILDREN_FOR_EPHEMERALS',
  'NODE_EXISTS',
  'NOT_EMPTY',
  'INVALID_ACL',
  'QUOTA_EXCEEDED',
]);

const READS: ReadonlySet<CallKind> = new Set<CallKind>(['getData', 'exists', 'getChildren']);

/** Codes that, with the outcome `not-done`, say of a write that the process kept it back. */
const KEPT_BACK: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['CONNECTION_LOSS', 'NODE_STOPPED', 'OVERLOADED', 'ABORTED']);

export function outcomeOf(error: ZabError): CallOutcome {
  if (ANSWERS.has(error.code)) return 'refused';
  if (error.outcome === 'not-done' && KEPT_BACK.has(error.code)) return 'not-sent';
  return error.outcome;
}

/** Whom a client can prove to be, by {@link CREDENTIAL}. */
export const USER: Id = { scheme: 'digest', id: 'u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=' };
export const CREDENTIAL = 'u:p';

/** A promise that never settles: what code of a dead process waits for. */
export const never = <T>(): Promise<T> => new Promise(() => {});

/**
 * Carries out one call and writes it down: the promise resolves with the call when there is an answer of whatever kind, and never if the process is dead by then.
 */
export function record<T>(
  ledger: Ledger,
  life: Place,
  call: Call,
  run: () => Promise<T>,
  answerOf: (value: T) => Answer,
): Promise<T | null> {
  const settle = (outcome: CallOutcome, code: ErrorCode | null, answer: Answer): void => {
    // Over the wire nobody knows which server has answered, unless the answer itself says more.
    call.shownAfter = isNode(life) ? (life.position ?? 0) : (call.shown ?? ledger.committed.latest);
    if (call.shown !== null) call.shownBefore = call.shown;
    ledger.history.end(call, outcome, code, answer);
  };
  return run().then(
    (value) => {
      if (life.over) return never();
      settle('ok', null, answerOf(value));
      return value;
    },
    (error: unknown) => {
      if (life.over) return never();
      if (error instanceof ZabError) settle(outcomeOf(error), error.code, {});
      else {
        settle('unknown', null, {});
        ledger.report(new Violation('OnlyZabErrors', `${describeCall(call)} rejected with ${String(error)}`));
      }
      return null;
    },
  );
}

const isNode = (place: Place): place is NodeLife => 'serving' in place;

/** How far a session is known to have seen the history, and by what. */
export interface Frontier {
  readonly position: number;
  readonly by: 'write' | 'read' | 'sync' | 'nothing';
}

export const later = (a: Frontier, b: Frontier): Frontier => (b.position > a.position ? b : a);

/** A session as one client has it: every call through it goes into the history, none of its promises rejects. */
export class Handle {
  readonly client: string;
  /** The process that has the session. */
  readonly life: Place;
  /** The node in that process; null for a session over the wire, which has a {@link wire} instead. */
  readonly node: NodeLife | null;
  readonly wire: WireLog | null;
  readonly session: Session;
  /** Session id in hexadecimal digits. Another one only when a session that began without a quorum gets to a server with one. */
  key: string;
  /** Simulated ms. */
  readonly openedAt: number;
  /** The call that opened it: its number, and when it was made. */
  readonly openedBy: number;
  readonly askedAt: number;
  /** When it was connected last, and suspended, simulated ms. */
  connectedAt: number;
  suspendedAt = Number.NEGATIVE_INFINITY;
  /** Over the wire: since when there is no connection, and how long the process had stood still by then; ms by its clock. */
  away: { readonly since: number; readonly stalled: number } | null = null;
  /** Until when it was held; Infinity while it is. */
  heldUntil = Number.POSITIVE_INFINITY;
  state: SessionState;
  /** Writes and syncs that have left the process, in order: each has the next request number (cxid). */
  readonly sent: Call[] = [];
  /** Request number before that of the first; null until an answer has told it. */
  firstCxid: number | null;
  seen: Frontier;
  /** Its identities, as far as ACLs of a run name them. */
  ids: readonly Id[] = [];
  /** Number of the last call that was answered in its turn. */
  lastAnswered = 0;
  connection = 0;
  readonly #ledger: Ledger;
  readonly #syncing: Call[] = [];

  /** @param opening the call that has just opened it */
  constructor(
    ledger: Ledger,
    client: string,
    life: Place,
    session: Session,
    opening: Call,
    resumedFrom: Frontier | null,
    wire: WireLog | null = null,
  ) {
    this.#ledger = ledger;
    this.client = client;
    this.life = life;
    this.node = isNode(life) ? life : null;
    this.wire = wire;
    this.session = session;
    this.key = zxidHex(session.id);
    this.openedAt = ledger.now();
    this.connectedAt = this.openedAt;
    this.openedBy = opening.number;
    this.askedAt = opening.invokedAt;
    this.state = session.state;
    this.firstCxid = resumedFrom === null ? 0 : null;
    this.seen = resumedFrom ?? { position: 0, by: 'nothing' };
    session.on('state', (state) => {
      if (life.over) return;
      const before = this.state;
      this.state = state;
      if (state === 'suspended') {
        this.connection++;
        this.suspendedAt = ledger.now();
      }
      if (state === 'connected') {
        this.connectedAt = ledger.now();
        this.#rename();
      }
      ledger.stateChanged(this, before);
    });
  }

  #rename(): void {
    const before = this.key;
    this.key = zxidHex(this.session.id);
    if (this.key !== before) this.#ledger.renamed(this, before);
  }

  /** For reports. */
  get name(): string {
    return `${this.client} at ${this.life.name}, session 0x${this.key},`;
  }

  /** Since when somebody has told the leader that the session lives, without a break; Infinity while nobody does. Simulated ms. */
  get keptAliveSince(): number {
    if (this.node !== null) return this.node.serving ? Math.max(this.node.servingSince, this.openedAt) : Number.POSITIVE_INFINITY;
    return this.state === 'connected' ? this.connectedAt : Number.POSITIVE_INFINITY;
  }

  /** Since when the session, which is suspended, could have gone on; Infinity while it can't. Simulated ms. */
  get couldGoOnSince(): number {
    if (this.node !== null) return this.node.serving ? this.node.servingSince : Number.POSITIVE_INFINITY;
    return this.suspendedAt;
  }

  /** Whether the session lives in its process, as far as that knows. */
  get isHeld(): boolean {
    return !this.life.over && (this.state === 'connected' || this.state === 'suspended');
  }

  #begin(kind: CallKind, path: string, parts: readonly Part[]): Call {
    const { history, committed } = this.#ledger;
    const { client, life, node, key, connection } = this;
    return history.begin({
      client,
      place: life,
      session: key,
      kind,
      path,
      parts,
      committedBefore: committed.latest,
      shownBefore: node?.position ?? 0,
      connection,
      ids: this.ids,
      sync: null,
    });
  }

  async #call<T>(
    kind: CallKind,
    path: string,
    parts: readonly Part[],
    run: () => Promise<T>,
    answerOf: (value: T) => Answer,
  ): Promise<Call> {
    const call = this.#begin(kind, path, parts);
    if (kind === 'sync' || parts.length > 0) this.sent.push(call);
    if (kind === 'sync') this.#syncing.push(call);
    else if (READS.has(kind)) call.sync = this.#syncing.at(-1) ?? null;
    this.wire?.begin(call);
    await record(this.#ledger, this.life, call, run, (value) => answerOf(value));
    this.wire?.end(call);
    if (kind === 'sync') this.#syncing.splice(this.#syncing.indexOf(call), 1);
    // It used up no request number.
    if (call.outcome === 'not-sent' && this.sent.includes(call)) this.sent.splice(this.sent.indexOf(call), 1);
    this.#ledger.settled(this, call);
    return call;
  }

  /** Proves to be {@link USER}. */
  async identify(): Promise<void> {
    if (!this.isHeld) return;
    const isProven = await this.session.addAuth(USER.scheme, CREDENTIAL).then(
      () => true,
      // The session is over by now, or its connection is lost before a server has said so: then it goes on without.
      () => false,
    );
    if (isProven) this.ids = [USER];
  }

  // ---- writes ----

  create(part: Part, acl: readonly Acl[] | undefined, ttl: number | undefined, options: CallOptions): Promise<Call> {
    const { path, data, mode } = part;
    const run = () => this.session.create(path, data, { mode, acl, ttl, ...options });
    return this.#call('create', path, [part], run, (result) => result);
  }

  setData(part: Part, options: CallOptions): Promise<Call> {
    const run = () => this.session.setData(part.path, part.data, { version: part.version, ...options });
    return this.#call('setData', part.path, [part], run, (stat) => ({ stat }));
  }

  delete(part: Part, options: CallOptions): Promise<Call> {
    const run = () => this.session.delete(part.path, { version: part.version, ...options });
    return this.#call('delete', part.path, [part], run, () => ({}));
  }

  setAcl(part: Part, acl: readonly Acl[]): Promise<Call> {
    return this.#call(
      'setAcl',
      part.path,
      [part],
      () => this.session.setAcl(part.path, acl, { version: part.version }),
      (stat) => ({ stat }),
    );
  }

  multi(parts: readonly Part[], options: CallOptions): Promise<Call> {
    const run = () => this.session.multi(parts.map(operationOf), options);
    return this.#call('multi', parts[0].path, parts, run, (results) => ({ results }));
  }

  close(): Promise<Call> {
    return this.#call(
      'close',
      '',
      [],
      () => this.session.close(),
      () => ({}),
    );
  }

  // ---- reads ----

  sync(): Promise<Call> {
    return this.#call(
      'sync',
      '/',
      [],
      () => this.session.sync(),
      () => ({}),
    );
  }

  getData(path: string, watch: Watcher | undefined, options: CallOptions): Promise<Call> {
    const run = () => this.session.getData(path, { watch, ...options });
    return this.#call('getData', path, [], run, ({ octets, stat }) => ({ octets, stat }));
  }

  exists(path: string, watch: Watcher | undefined, options: CallOptions): Promise<Call> {
    const run = () => this.session.exists(path, { watch, ...options });
    return this.#call('exists', path, [], run, (stat) => ({ stat }));
  }

  getChildren(path: string, watch: Watcher | undefined, options: CallOptions): Promise<Call> {
    const run = () => this.session.getChildren(path, { watch, ...options });
    return this.#call('getChildren', path, [], run, (result) => result);
  }

  // ---- watches: null when the session is over ----

  watch(path: string, listener: Watcher, options: WatchOptions): (() => void) | null {
    return this.#unlessOver(() => this.session.watch(path, listener, options));
  }

  stream(path: string, capacity: number): AsyncIterableIterator<WatchEvent> | null {
    return this.#unlessOver(() => this.session.watch(path, { capacity }));
  }

  #unlessOver<T>(run: () => T): T | null {
    try {
      return run();
    } catch (error) {
      if (!(error instanceof ZabError)) this.#ledger.report(new Violation('OnlyZabErrors', `watch threw ${String(error)}`));
      return null;
    }
  }

  /** A sync of the node itself, which belongs to no session. */
  nodeSync(node: EnsembleNode): Promise<Call> {
    const told = (zxid: Long): Answer => ({ zxid });
    const call = this.#begin('nodeSync', '/', []);
    return record(this.#ledger, this.life, call, () => node.sync(), told).then(() => {
      this.#ledger.settled(this, call);
      return call;
    });
  }

  /** Whether the numbers of its requests are known. */
  get isNumbered(): boolean {
    return this.wire !== null || this.firstCxid !== null;
  }

  /** The request number of a call that has been sent; undefined while that is not known. */
  cxidOf(call: Call): number | undefined {
    if (this.wire !== null) return call.xid ?? undefined;
    const index = this.sent.lastIndexOf(call);
    return this.firstCxid === null || index < 0 ? undefined : this.firstCxid + index + 1;
  }
}

function operationOf({ type, path, data, version, mode }: Part): MultiOperation {
  if (type === 'create') return { type, path, data, mode };
  if (type === 'setData') return { type, path, data, version };
  return type === 'delete' ? { type, path, version } : { type: 'check', path, version };
}

/** zxid of the transaction that an answer tells of, by the Stat that it left; undefined if it tells of none. */
export function zxidTold({ kind, answer }: Call): Stat['mzxid'] | undefined {
  if (kind === 'create' || kind === 'setData') return answer.stat?.mzxid;
  for (const result of answer.results ?? []) if ('stat' in result && result.stat !== null) return result.stat.mzxid;
  return undefined;
}
