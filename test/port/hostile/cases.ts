import { AUTH_FIELDS, type Field, OPERATIONS, type Operation, UNKNOWN_OPS } from './operations.ts';
import { type Fields, rule } from './rules.ts';
import { bytesOf, MALFORMED, type Value } from './values.ts';

export interface Case {
  /** Operation, and what is wrong with it. */
  readonly name: string;
  readonly op: number;
  readonly xid?: number;
  readonly body: Uint8Array;
  readonly expected: Expected;
}

/**
 * The error of the reply; of a multi or a multiRead that is answered part by part the errors of the parts; or that the connection is closed, with a reply before it (its error) or without.
 */
export type Expected = number | readonly number[] | 'closed' | { readonly closedAfter: number };

const MARSHALLING = -5;
const UNIMPLEMENTED = -6;
const AUTH_FAILED = -115;
const RUNTIME_INCONSISTENCY = -2;

type Values = readonly (readonly [field: Field, value: Value])[];

const concat = (parts: readonly Uint8Array[]): Uint8Array => Buffer.concat(parts);
const bodyOf = (values: Values): Uint8Array => concat(values.map(([, value]) => value.bytes));
const goodOf = ({ fields }: Operation): Values => fields.map((field) => [field, field.good]);

/** What the rules say of an operation with these values; null lists and paths in lists are ZooKeeper's -5 for watches. */
function expectedOf(op: number, values: Values, inMulti = false): number {
  if (values.some(([, value]) => value.means === MALFORMED)) return MARSHALLING;
  const means = values.map(([, value]) => value.means);
  if (op === 101 || op === 105) {
    const isBad = (list: unknown) => list === null || (Array.isArray(list) && list.includes(null));
    return means.some(isBad) ? MARSHALLING : 0;
  }
  return rule(op, Object.fromEntries(values.map(([field, value]) => [field.name, value.means])) as Fields, inMulti);
}

interface Variant {
  readonly name: string;
  readonly body: Uint8Array;
  readonly err: number;
}

/** An operation with one field hostile, with its body cut at every byte, and with bytes behind it. */
function variants(operation: Operation, inMulti = false): Variant[] {
  const { op, fields } = operation;
  const good = goodOf(operation);
  const whole = bodyOf(good);
  const hostile = fields.flatMap((field, i) =>
    field.hostile.map((value) => {
      const values = good.with(i, [field, value]);
      return { name: `${field.name}: ${value.name}`, body: bodyOf(values), err: expectedOf(op, values, inMulti) };
    }),
  );
  const cut = Array.from({ length: whole.length }, (_, length) => ({
    name: `cut to ${length} bytes`,
    body: whole.subarray(0, length),
    err: MARSHALLING,
  }));
  return [{ name: 'all in order', body: whole, err: expectedOf(op, good, inMulti) }, ...hostile, ...cut];
}

function single(operation: Operation): Case[] {
  const { name, op } = operation;
  const good = goodOf(operation);
  const [whole, err] = [bodyOf(good), expectedOf(op, good)];
  const trailing = [1, 4, 1000].map((count) => ({
    name: `${count} bytes behind it`,
    body: concat([whole, new Uint8Array(count).fill(255)]),
    err,
  }));
  const cases = [...variants(operation), ...trailing].map((variant) => ({
    name: `${name}, ${variant.name}`,
    op,
    body: variant.body,
    expected: variant.err,
  }));
  const xids = [0, -1, -2, -4, -8, -0x80000000, 0x7fffffff].map((xid) => ({
    name: `${name}, xid ${xid}`,
    op,
    xid,
    body: whole,
    expected: err,
  }));
  return [...cases, ...xids];
}

// ---- multi ----

const multiHeader = (type: number, done: boolean, err = -1): Uint8Array =>
  bytesOf((w) => {
    w.int(type);
    w.bool(done);
    w.int(err);
  });
const END = multiHeader(-1, true);

const byOp = (op: number): Operation => OPERATIONS.find((operation) => operation.op === op) as Operation;
const part = (op: number, body = bodyOf(goodOf(byOp(op)))): Uint8Array => concat([multiHeader(op, false), body]);

/** The operation between two good ones. What can't be read there ends the multi, unless it happens to look like something else. */
function inMulti(operation: Operation, op: number): Case[] {
  const { name, op: type } = operation;
  const neighbour = part(op === 14 ? 5 : 4);
  const partsOf = (err: number): readonly number[] => {
    if (op === 22) return [0, err, 0];
    // The setData behind a delete finds nothing.
    if (err === 0) return [0, 0, type === 2 ? -101 : 0];
    return [0, err, RUNTIME_INCONSISTENCY];
  };
  return variants(operation, true).map((variant) => {
    const isCut = variant.name.startsWith('cut');
    // Behind a part that is cut there must be nothing, or its rest would be taken from there.
    const behind = isCut ? [] : [neighbour, END];
    return {
      name: `${name} in a ${op === 14 ? 'multi' : 'multiRead'}, ${variant.name}`,
      op,
      body: concat([neighbour, multiHeader(type, false), variant.body, ...behind]),
      expected: variant.err === MARSHALLING ? MARSHALLING : partsOf(variant.err),
    };
  });
}

/** Multis that are wrong as such. */
function malformedMultis(op: 14 | 22): Case[] {
  const name = op === 14 ? 'multi' : 'multiRead';
  const good = part(op === 14 ? 5 : 4);
  const other = part(op === 14 ? 4 : 5);
  const bodies: readonly (readonly [name: string, body: Uint8Array, expected: Expected])[] = [
    ['empty', END, []],
    ['nothing at all', new Uint8Array(0), MARSHALLING],
    ['no end', good, MARSHALLING],
    ['an end that is cut', concat([good, END.subarray(0, 5)]), MARSHALLING],
    ['bytes behind the end', concat([good, END, good, new Uint8Array([1, 2, 3])]), [0]],
    ['an end of another type', concat([good, multiHeader(14, true)]), [0]],
    ['an error in its header', concat([multiHeader(op === 14 ? 5 : 4, false, 77), good.subarray(9), END]), [0]],
    ['a part of the other kind', concat([other, END]), MARSHALLING],
    ['a part of the other kind behind a good one', concat([good, other, END]), MARSHALLING],
    ['one within it', concat([multiHeader(op, false), good, END, END]), MARSHALLING],
    ...[-1, 0, 3, 7, 9, 11, 16, 20, 99, -10, -11, 100, 101, 107, 0x7fffffff, -0x80000000].map(
      (type) => [`a part of type ${type}`, concat([good, multiHeader(type, false), good.subarray(9), END]), MARSHALLING] as const,
    ),
    ['10,000 parts', concat([...Array.from({ length: 10_000 }, () => good), END]), new Array<number>(10_000).fill(0)],
  ];
  return bodies.map(([what, body, expected]) => ({ name: `${name}, ${what}`, op, body, expected }));
}

/** All requests, generated from the descriptions of the operations; `check` is sent within multis only. */
export function requestCases(): Case[] {
  const singles = OPERATIONS.filter(({ name }) => name !== 'check').flatMap(single);
  const multis = OPERATIONS.filter((operation) => operation.in === 'multi').flatMap((operation) => inMulti(operation, 14));
  const reads = OPERATIONS.filter((operation) => operation.in === 'multiRead').flatMap((operation) => inMulti(operation, 22));
  return [...singles, ...multis, ...reads, ...malformedMultis(14), ...malformedMultis(22)];
}

/** Operations that are none, and identities that prove nothing: the answer is the last word. */
export function fatalCases(): Case[] {
  const unknown = UNKNOWN_OPS.flatMap((op) =>
    [new Uint8Array(0), new Uint8Array(100), bodyOf(goodOf(byOp(1)))].map((body) => ({
      name: `operation ${op} with ${body.length} bytes`,
      op,
      body,
      expected: { closedAfter: UNIMPLEMENTED },
    })),
  );
  const auth = { name: 'auth', op: 100, fields: AUTH_FIELDS };
  const good = goodOf(auth);
  const whole = bodyOf(good);
  const hostile = AUTH_FIELDS.flatMap((field, i) =>
    field.hostile.map((value) => {
      const values = good.with(i, [field, value]);
      return { name: `auth, ${field.name}: ${value.name}`, op: 100, body: bodyOf(values), expected: authExpected(values) };
    }),
  );
  // What is no auth packet ends the connection without a word.
  const cut = Array.from({ length: whole.length }, (_, length) => ({
    name: `auth, cut to ${length} bytes`,
    op: 100,
    body: whole.subarray(0, length),
    expected: 'closed' as const,
  }));
  return [...unknown, ...hostile, ...cut];
}

function authExpected(values: Values): Expected {
  const [, scheme, credential] = values.map(([, value]) => value.means);
  if (scheme === MALFORMED || credential === MALFORMED) return 'closed';
  if (scheme === 'ip') return 0;
  const proves = scheme === 'digest' && credential instanceof Uint8Array && credential.length <= 10_000;
  return proves ? 0 : { closedAfter: AUTH_FAILED };
}
