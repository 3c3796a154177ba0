import type { ErrorCode } from '../../model/errors.ts';
import { zxidHex } from '../../model/zxid.ts';
import type { MultiResult } from '../../node/api.ts';
import { type Call, describeCall, type Part, tagOf } from './history.ts';
import { checkLinearizable, type Operation, type SequentialModel } from './linearizability.ts';

/** A znode as a register: null while there is none. */
type Register = {
  readonly tag: string;
  readonly version: number;
  /** czxid in hexadecimal digits; null when its creation was never acknowledged. */
  readonly czxid: string | null;
} | null;

const model: SequentialModel<Register> = {
  initial: null,
  key: (state) => (state === null ? 'none' : `${state.tag} v${state.version} of ${state.czxid ?? 'unknown'}`),
};

export interface LinearizabilityResult {
  /** Znodes whose operations have an order that explains them. */
  readonly linearizable: number;
  /** Znodes for which the search was given up. */
  readonly undecided: number;
  /** Operations looked at. */
  readonly operations: number;
  /** What is wrong, one for each other znode. */
  readonly violations: readonly string[];
}

/**
 * Checks writes and synced reads of each znode for linearizability, from nothing but what the clients have seen. It is for znodes that only these calls create and delete: no children, not ephemeral, and the parent
 * always there. An ensemble orders all znodes together, so each alone must be in order; what a multi does to one of them is one operation.
 *
 * @param maxSteps bound on the work for each znode
 */
export function checkRegisters(calls: readonly Call[], isRegister: (path: string) => boolean, maxSteps: number): LinearizabilityResult {
  const byPath = new Map<string, Operation<Register>[]>();
  for (const call of calls) {
    for (const path of new Set([call.path, ...call.parts.map((part) => part.path)])) {
      const operation = isRegister(path) ? operationOn(path, call) : null;
      if (operation === null) continue;
      const operations = byPath.get(path);
      if (operations === undefined) byPath.set(path, [operation]);
      else operations.push(operation);
    }
  }
  const violations: string[] = [];
  let undecided = 0;
  let operations = 0;
  for (const [path, ofPath] of byPath) {
    operations += ofPath.length;
    const verdict = checkLinearizable(model, ofPath, maxSteps);
    if (verdict.kind === 'undecided') undecided++;
    if (verdict.kind === 'violated')
      violations.push(`no order of the operations on ${path} explains ${verdict.at}; the longest one ends with ${verdict.state}`);
  }
  return { linearizable: byPath.size - undecided - violations.length, undecided, operations, violations };
}

/** null for a call that says nothing about the znode. */
function operationOn(path: string, call: Call): Operation<Register> | null {
  const { outcome } = call;
  if (outcome === 'not-sent' || outcome === 'not-done') return null;
  if (call.parts.length === 0) return readOf(call);
  const name = describeCall(call);
  if (outcome === 'ok') {
    const { invoked: called, returned } = call;
    const results = resultsOf(call);
    const step = (state: Register) => steps(state, path, call.parts, results);
    return { name, called, returned, step };
  }
  if (outcome === 'refused') return refusalOf(path, call, name);
  return { name, called: call.invoked, returned: Number.POSITIVE_INFINITY, step: (state) => steps(state, path, call.parts, null) };
}

/** A sync and the read behind it are one operation: of what was committed before the sync the read must show all. */
function readOf({ kind, sync, outcome, code, answer, returned, ...call }: Call): Operation<Register> | null {
  if (sync?.outcome !== 'ok' || (kind !== 'getData' && kind !== 'exists')) return null;
  const name = describeCall({ kind, sync, outcome, code, answer, returned, ...call });
  const isThere = outcome === 'ok' && answer.stat !== null;
  if (outcome !== 'ok' && code !== 'NO_NODE') return null;
  const step = (state: Register): Register | undefined => {
    if (!isThere || state === null) return isThere === (state !== null) ? state : undefined;
    const { stat, octets } = answer;
    if (stat?.version !== state.version || (octets !== undefined && tagOf(octets) !== state.tag)) return undefined;
    return state.czxid === null || zxidHex(stat.czxid) === state.czxid ? state : undefined;
  };
  return { name, called: sync.invoked, returned, step };
}

/** A refused write is a read: it tells why it could not be done. The parts of a multi before the one at fault would change what that one meets, so only a single part says anything here. */
function refusalOf(path: string, call: Call, name: string): Operation<Register> | null {
  const { parts, code, invoked: called, returned } = call;
  if (parts.length !== 1 || parts[0].path !== path) return null;
  // These tell of the parent and of the ACL.
  if (parts[0].type === 'setAcl' || (parts[0].type === 'create' && code === 'NO_NODE')) return null;
  const step = (state: Register) => (refusal(state, parts[0]) === code ? state : undefined);
  return { name, called, returned, step };
}

function refusal(state: Register, { type, version }: Part): ErrorCode | null {
  if (type === 'create') return state === null ? null : 'NODE_EXISTS';
  if (state === null) return 'NO_NODE';
  return type !== 'setAcl' && version !== -1 && version !== state.version ? 'BAD_VERSION' : null;
}

type PartResult = { readonly version?: number; readonly czxid?: string };

function resultsOf({ kind, answer, parts }: Call): readonly PartResult[] {
  if (kind === 'multi') return (answer.results ?? []).map(ofMulti);
  const { stat } = answer;
  return parts.map(() =>
    stat === undefined || stat === null || kind === 'setAcl' ? {} : { version: stat.version, czxid: zxidHex(stat.czxid) },
  );
}

function ofMulti(result: MultiResult): PartResult {
  if (!('stat' in result) || result.stat === null) return {};
  return { version: result.stat.version, czxid: zxidHex(result.stat.czxid) };
}

/** The state after those parts that are about `path`; undefined when one of them can't be, or not with its result. `results` is null if nobody knows them. */
function steps(state: Register, path: string, parts: readonly Part[], results: readonly PartResult[] | null): Register | undefined {
  let now = state;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    if (part.path !== path) continue;
    if (refusal(now, part) !== null) return undefined;
    const { version, czxid } = results?.[i] ?? {};
    if (part.type === 'create') now = { tag: tagOf(part.data), version: 0, czxid: czxid ?? null };
    else if (part.type === 'setData') now = { tag: tagOf(part.data), version: now!.version + 1, czxid: now!.czxid };
    else if (part.type === 'delete') now = null;
    if (now === null || version === undefined) continue;
    if (version !== now.version || (now.czxid !== null && czxid !== now.czxid)) return undefined;
  }
  return now;
}
