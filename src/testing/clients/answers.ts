import { Err, Perms } from '../../model/codes.ts';
import { type ErrorCode, ZabError } from '../../model/errors.ts';
import type { CreateTxn, Id, Stat, TxnBody } from '../../model/records.ts';
import { zxidEquals, zxidHex } from '../../model/zxid.ts';
import type { CommittedHistory, Entry } from './committed.ts';
import { longsAsHex } from './committed.ts';
import { type Frontier, type Handle, later, zxidTold } from './handle.ts';
import { type Call, describeCall, type Part, tagOf } from './history.ts';
import { allows, type Complain, parentOf, sameStat, type Znode } from './reference.ts';

/** Which rule a session has broken that saw the history further before, by what it had seen it. */
const STALE: Readonly<Record<Frontier['by'], string>> = {
  write: 'ReadYourWrites',
  read: 'MonotonicReads',
  sync: 'SyncedReads',
  nothing: 'ReadsAreCommitted',
};

/**
 * What clients are told, against the committed history: each write that was acknowledged is there, once, with the result that it gave there; each read shows what was at a point of it, and for each session these
 * points follow each other in the order of its calls.
 */
export class AnswerChecks {
  readonly #committed: CommittedHistory;
  readonly #complain: Complain;
  /** How far any handle of a session has seen the history. */
  readonly #frontiers = new Map<string, Frontier>();
  readonly #handles: Handle[] = [];
  /** Writes whose request number is not known yet. */
  readonly #unchecked = new Map<Handle, Call[]>();
  /** Data of writes, which tells them apart. */
  readonly #byTag = new Map<string, Call>();

  constructor(committed: CommittedHistory, complain: Complain) {
    this.#committed = committed;
    this.#complain = complain;
  }

  opened(handle: Handle): void {
    this.#handles.push(handle);
    if (!this.#frontiers.has(handle.key)) this.#frontiers.set(handle.key, handle.seen);
  }

  /** How far the session has seen the history by now: whoever goes on with it must see as much. */
  frontier(session: string): Frontier {
    return this.#frontiers.get(session) ?? { position: 0, by: 'nothing' };
  }

  settled(handle: Handle, call: Call): void {
    const { outcome, kind } = call;
    if (kind === 'nodeSync') return outcome === 'ok' ? this.#checkSync(call, this.#committed.positionOf(call.answer.zxid!)) : undefined;
    if (outcome === 'ok' || outcome === 'refused') this.#inTurn(handle, call);
    if (kind === 'sync') return outcome === 'ok' ? this.#synced(handle, call) : undefined;
    // Over the wire a close never rejects, and says nothing of what became of it.
    if (kind === 'close') return outcome === 'ok' && handle.wire === null ? this.#closed(handle, call) : undefined;
    if (call.parts.length > 0) return this.#written(handle, call);
    if (outcome === 'ok' || outcome === 'refused') this.#read(handle, call);
  }

  #inTurn(handle: Handle, call: Call): void {
    if (call.number < handle.lastAnswered)
      this.#complain('SessionOrder', `${describeCall(call)} was answered after call #${handle.lastAnswered}`);
    handle.lastAnswered = call.number;
  }

  #saw(handle: Handle, position: number, by: Frontier['by']): void {
    handle.seen = later(handle.seen, { position, by });
    this.#frontiers.set(handle.key, later(this.frontier(handle.key), handle.seen));
  }

  // ---- syncs and reads ----

  #checkSync(call: Call, reached: number): void {
    if (reached >= call.committedBefore) return;
    const what = `the server is at ${reached} of ${call.committedBefore} transactions that were committed before`;
    this.#complain('SyncedReads', `${describeCall(call)}: ${what}`);
  }

  #synced(handle: Handle, call: Call): void {
    this.#checkSync(call, call.shownAfter);
    this.#saw(handle, call.committedBefore, 'sync');
  }

  #closed(handle: Handle, call: Call): void {
    const closed = this.#committed.reference.sessions.get(handle.key)?.closed ?? Number.POSITIVE_INFINITY;
    if (closed > call.shownAfter) this.#complain('AcknowledgedWrites', `${describeCall(call)}: the session is not closed`);
  }

  #read(handle: Handle, call: Call): void {
    const { path } = call;
    const { reference, latest } = this.#committed;
    const wanted = (znode: Znode | null, position: number): boolean => this.#shows(call, znode, position);
    const low = Math.max(handle.seen.position, call.shownBefore);
    const found = reference.find(path, low, call.shownAfter, wanted);
    if (found !== undefined) return this.#saw(handle, found, 'read');
    const instead = reference.find(path, 0, latest, wanted);
    if (instead === undefined) return this.#complain('ReadsAreCommitted', `${describeCall(call)} shows what never was`);
    const stale = reference.find(path, low, latest, wanted) === undefined;
    const rule = stale && handle.seen.position >= call.shownBefore ? STALE[handle.seen.by] : 'ReadsAreCommitted';
    const should = `between ${low} and ${call.shownAfter}`;
    this.#complain(rule, `${describeCall(call)} shows the state after ${instead} transactions; the session is ${should}`);
  }

  /** Whether an answer is what a read gives of a znode. */
  #shows({ kind, path, outcome, code, answer, ids }: Call, znode: Znode | null, position: number): boolean {
    const isHidden = znode !== null && kind !== 'exists' && !allows(znode, Perms.READ, ids);
    if (outcome === 'refused') return znode === null ? code === 'NO_NODE' : isHidden && code === 'NO_AUTH';
    if (isHidden) return false;
    const { stat, octets, children } = answer;
    if (stat === null || stat === undefined || znode === null) return stat === null && znode === null;
    if (!sameStat(znode, stat)) return false;
    if (kind === 'getData') return octets === znode.data;
    if (kind !== 'getChildren') return true;
    const names = new Set(this.#committed.reference.childNames(path, position));
    return children !== undefined && children.length === names.size && children.every((name) => names.has(name));
  }

  // ---- writes ----

  #written(handle: Handle, call: Call): void {
    for (const { data } of call.parts) if (data !== null) this.#byTag.set(tagOf(data), call);
    if (!handle.isNumbered) this.#learnNumbers(handle, call);
    const waiting = this.#unchecked.get(handle) ?? [];
    waiting.push(call);
    if (!handle.isNumbered) return void this.#unchecked.set(handle, waiting);
    this.#unchecked.delete(handle);
    for (const one of waiting) this.#checkWrite(handle, one);
  }

  /** A session that goes on elsewhere begins with a number of its own: the first answer that names its transaction tells it. */
  #learnNumbers(handle: Handle, call: Call): void {
    const zxid = call.outcome === 'ok' ? zxidTold(call) : undefined;
    const entry = zxid === undefined ? undefined : this.#committed.withZxid(zxid);
    const index = handle.sent.lastIndexOf(call);
    if (entry !== undefined && index >= 0) handle.firstCxid = entry.txn.header.cxid - index - 1;
  }

  #entryOf(handle: Handle, call: Call): Entry | undefined {
    const cxid = handle.cxidOf(call);
    return cxid === undefined ? undefined : this.#committed.withRequest(handle.key, cxid);
  }

  #checkWrite(handle: Handle, call: Call): void {
    const { outcome } = call;
    if (outcome !== 'ok' && outcome !== 'refused') return;
    const entry = this.#entryOf(handle, call);
    if (entry === undefined || entry.position > call.shownAfter) {
      return this.#complain(
        'AcknowledgedWrites',
        `${describeCall(call)} is ${entry === undefined ? 'nowhere' : 'not yet'} in the committed history`,
      );
    }
    const problem =
      call.shown === null || call.shown === entry.position ? this.#problem(handle, call, entry) : 'the answer has another zxid';
    if (problem !== null) {
      const txn = JSON.stringify(entry.txn, longsAsHex);
      this.#complain('AcknowledgedWrites', `${describeCall(call)}: ${problem}; it is ${txn.slice(0, 400)}`);
    }
    if (entry.position < handle.seen.position && handle.seen.by === 'write') {
      this.#complain('SessionOrder', `${describeCall(call)} was committed before an earlier write of its session`);
    }
    this.#saw(handle, entry.position, 'write');
  }

  /** What is wrong between a call's answer and its transaction. */
  #problem(handle: Handle, call: Call, entry: Entry): string | null {
    const { body, header } = entry.txn;
    const told = zxidTold(call);
    if (told !== undefined && call.outcome === 'ok' && !zxidEquals(told, header.zxid)) return `it was told zxid 0x${zxidHex(told)}`;
    const bodies = body.type === 14 ? body.txns : [body];
    const failed = bodies.find((part) => part.type === -1);
    if (call.outcome === 'refused') {
      if (failed === undefined || failed.type !== -1) return 'it was refused and yet it happened';
      const code = ZabError.fromNumber(failed.err).code;
      if (code !== call.code) return `the transaction says ${code}`;
    } else {
      if (failed !== undefined) return 'it was acknowledged and yet it failed';
      if (bodies.length !== call.parts.length) return 'the transaction is another';
      for (let i = 0; i < bodies.length; i++) if (!matches(call.parts[i], bodies[i])) return `part ${i} of the transaction is another`;
    }
    if (call.kind === 'multi') return call.outcome === 'ok' ? this.#multiProblem(call, entry) : null;
    const right = this.#codeOf(call.parts[0], entry.position - 1, call.ids);
    if (right !== call.code) return `the history before it demands ${right ?? 'success'}`;
    return call.outcome === 'ok' ? this.#resultProblem(handle, call, entry) : null;
  }

  /** The results of a multi, one for each part. A Stat can be told where no other part is about the same znode. */
  #multiProblem({ parts, answer }: Call, { position }: Entry): string | null {
    const results = answer.results ?? [];
    if (results.length !== parts.length) return `it has ${results.length} results`;
    for (const [i, { type, path }] of parts.entries()) {
      const result = results[i];
      if (result.type !== type) return `result ${i} is one of ${result.type}`;
      if (result.type !== 'setData' || parts.filter((part) => part.path === path).length > 1) continue;
      const znode = this.#committed.reference.at(path, position);
      const stat: Stat | null = result.stat;
      if (znode === null || stat === null || !sameStat(znode, stat)) return `the Stat of part ${i} is another`;
    }
    return null;
  }

  #resultProblem(handle: Handle, { kind, answer, parts }: Call, entry: Entry): string | null {
    if (kind === 'delete') return null;
    if (kind === 'create' && parts[0].mode.includes('Sequential')) {
      const parent = this.#committed.reference.at(parentOf(parts[0].path), entry.position - 1);
      // The number of children created so far (PROTOCOL 5).
      const number = parent === null ? 0 : (parent.stat.cversion + parent.stat.numChildren) / 2;
      if (answer.path !== parts[0].path + String(number).padStart(10, '0')) return `the sequence number is ${number}`;
    }
    const path = answer.path ?? parts[0].path;
    const znode = this.#committed.reference.at(path, entry.position);
    if (znode === null) return `there is no ${path} after it`;
    if (!sameStat(znode, answer.stat as Stat)) return `the Stat is ${JSON.stringify(znode.stat, longsAsHex)}`;
    const isOwn = zxidEquals(znode.stat.ephemeralOwner, handle.session.id);
    return kind === 'create' && parts[0].mode.startsWith('ephemeral') !== isOwn ? 'the ephemeral owner is another' : null;
  }

  /** The error that a request must have at a position; null when it must succeed (PROTOCOL 7). */
  #codeOf({ type, path, version, mode }: Part, position: number, ids: readonly Id[]): ErrorCode | null {
    const { reference } = this.#committed;
    const parent = reference.at(parentOf(path), position);
    const znode = reference.at(path, position);
    if (type === 'create') {
      if (parent === null) return 'NO_NODE';
      if (!allows(parent, Perms.CREATE, ids)) return 'NO_AUTH';
      if (!mode.includes('Sequential') && znode !== null) return 'NODE_EXISTS';
      return parent.kind === 'ephemeral' ? 'NO_CHILDREN_FOR_EPHEMERALS' : null;
    }
    if (type === 'delete' && parent !== null && !allows(parent, Perms.DELETE, ids)) return 'NO_AUTH';
    if (znode === null) return 'NO_NODE';
    const demanded = type === 'setData' ? Perms.WRITE : type === 'setAcl' ? Perms.ADMIN : 0;
    if (demanded !== 0 && !allows(znode, demanded, ids)) return 'NO_AUTH';
    const { stat } = znode;
    if (version !== -1 && version !== (type === 'setAcl' ? stat.aversion : stat.version)) return 'BAD_VERSION';
    return type === 'delete' && stat.numChildren > 0 ? 'NOT_EMPTY' : null;
  }

  // ---- the end ----

  /** Looks at what only the end can tell: what must not have happened, and the order of what did. Returns how many writes could not be told apart. */
  finish(): number {
    for (const { txn } of this.#committed.entries) {
      for (const tag of tagsIn(txn.body)) {
        const call = this.#byTag.get(tag);
        if (call === undefined || call.outcome === 'ok' || call.outcome === 'unknown') continue;
        if (txn.body.type === 14 && txn.body.txns.some((part) => part.type === -1)) continue;
        this.#complain('AcknowledgedWrites', `${describeCall(call)}, but it happened at 0x${zxidHex(txn.header.zxid)}`);
      }
    }
    for (const handle of this.#handles) this.#checkOrder(handle);
    let untold = 0;
    for (const calls of this.#unchecked.values()) untold += calls.length;
    return untold;
  }

  /** Writes of one connection are committed in the order of the calls, and without a hole: a request overtakes no other. */
  #checkOrder(handle: Handle): void {
    if (!handle.isNumbered) return;
    let last: Entry | undefined;
    let missing: Call | null = null;
    for (const call of handle.sent) {
      if (call.kind === 'sync') continue;
      const entry = this.#entryOf(handle, call);
      // A client that has gone on elsewhere may still have a request on its way through the old server, which then comes too late, and must have no effect.
      if (entry === undefined || isRefused(entry.txn.body, Err.sessionMoved)) {
        if (missing?.connection !== call.connection) missing = call;
        continue;
      }
      // Nor has it any when it comes after the session's end.
      if (isRefused(entry.txn.body, Err.sessionExpired)) continue;
      if (call.outcome === 'not-done' && succeeded(entry.txn.body)) {
        this.#complain('AcknowledgedWrites', `${describeCall(call)}, but it happened at 0x${zxidHex(entry.txn.header.zxid)}`);
      }
      if (missing?.connection === call.connection) {
        this.#complain('SessionOrder', `${describeCall(call)} was committed without the earlier ${describeCall(missing)}`);
      }
      if (last !== undefined && last.position >= entry.position) {
        this.#complain('SessionOrder', `${describeCall(call)} was committed before an earlier write of its session`);
      }
      last = entry;
    }
  }
}

const succeeded = (body: TxnBody): boolean => body.type !== -1 && !(body.type === 14 && body.txns.some((part) => part.type === -1));

const isRefused = (body: TxnBody, err: number): boolean => body.type === -1 && body.err === err;

function* tagsIn(body: TxnBody): Generator<string> {
  if (body.type === 14) for (const part of body.txns) yield* tagsIn(part);
  else if ('data' in body && body.data !== null) yield tagOf(body.data);
}

const CREATES: readonly number[] = [1, 15, 19, 21];

/** Whether a transaction's part does what was asked. */
function matches(part: Part, body: TxnBody): boolean {
  switch (part.type) {
    case 'create':
      return CREATES.includes(body.type) && isCreateOf(part, body as CreateTxn);
    case 'setData':
      return body.type === 5 && body.path === part.path && body.data === part.data && follows(part.version, body.version);
    case 'delete':
      return body.type === 2 && body.path === part.path;
    case 'check':
      return body.type === 13 && body.path === part.path;
    case 'setAcl':
      return body.type === 7 && body.path === part.path && follows(part.version, body.version);
  }
}

const follows = (asked: number, got: number): boolean => asked === -1 || got === asked + 1;

function isCreateOf({ path, data, mode }: Part, body: CreateTxn): boolean {
  const sequential = mode.includes('Sequential');
  const samePath = sequential ? body.path.startsWith(path) && /^-?\d{9,10}$/.test(body.path.slice(path.length)) : body.path === path;
  return samePath && body.data === data && body.ephemeral === mode.startsWith('ephemeral');
}
