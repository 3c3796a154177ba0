import Long from 'long';
import { describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/model/errors.ts';
import type { Stat } from '../../src/model/records.ts';
import { makeZxid, ZXID_NONE } from '../../src/model/zxid.ts';
import type { Call, CallOutcome, Part } from '../../src/testing/clients/history.ts';
import { checkRegisters } from '../../src/testing/clients/registers.ts';
import type { Octets } from '../../src/util/bytes.ts';
import { clientRun, conclude } from './clients-rig.ts';

const PATH = '/w/r0';

const stat = (version: number, czxid = 1): Stat => ({
  czxid: makeZxid(1, czxid),
  mzxid: makeZxid(1, czxid + version),
  pzxid: makeZxid(1, czxid),
  ctime: 0,
  mtime: 0,
  version,
  cversion: 0,
  aversion: 0,
  ephemeralOwner: ZXID_NONE,
  dataLength: 1,
  numChildren: 0,
});

type Told = Partial<Pick<Call, 'answer' | 'outcome' | 'code' | 'sync' | 'parts'>>;

function call(kind: Call['kind'], invoked: number, returned: number, told: Told): Call {
  const who = {
    number: invoked,
    client: 'c',
    place: { name: 'server 1', over: false },
    session: '1',
    path: PATH,
    invokedAt: invoked,
    returnedAt: returned,
  };
  const rest = {
    xid: null,
    shown: null,
    committedBefore: 0,
    shownBefore: 0,
    shownAfter: 0,
    connection: 0,
    ids: [],
    sync: null,
    code: null,
    parts: [],
    answer: {},
  };
  return { ...who, ...rest, kind, invoked, returned, outcome: 'ok' as CallOutcome, ...told };
}

const part = (type: Part['type'], data: string | null = null, version = -1): Part => ({
  type,
  path: PATH,
  data,
  version,
  mode: 'persistent',
});
const create = (data: string, at: number, to: number, told: Told = { answer: { stat: stat(0) } }) =>
  call('create', at, to, { parts: [part('create', data)], ...told });
const set = (data: string, version: number, at: number, to: number, told: Told) =>
  call('setData', at, to, { parts: [part('setData', data, version)], ...told });
const remove = (at: number, to: number, told: Told = {}) => call('delete', at, to, { parts: [part('delete')], ...told });
const sync = (at: number, to: number) => call('sync', at, to, {});
const read = (synced: Call | null, at: number, to: number, octets: string, version: number, czxid = 1) =>
  call('getData', at, to, { sync: synced, answer: { octets: octets as Octets, stat: stat(version, czxid) } });
const refused = (code: ErrorCode): Told => ({ outcome: 'refused', code });
const version = (n: number): Told => ({ answer: { stat: stat(n) } });

describe('writes and synced reads of one znode', () => {
  const cases: [string, number, Call[]][] = [
    [
      'in order',
      0,
      [create('a', 1, 2), set('b', 0, 3, 4, version(1)), read(sync(5, 7), 6, 8, 'b', 1), remove(9, 10), create('c', 11, 12, version(0))],
    ],
    ['a synced read that misses a write', 1, [create('a', 1, 2), set('b', 0, 3, 4, version(1)), read(sync(5, 7), 6, 8, 'a', 0)]],
    ['a plain read that misses a write', 0, [create('a', 1, 2), set('b', 0, 3, 4, version(1)), read(null, 6, 8, 'a', 0)]],
    ['a sync that was called before the write', 0, [create('a', 1, 2), read(sync(3, 7), 6, 8, 'a', 0), set('b', 0, 4, 5, version(1))]],
    ['two creations without a deletion', 1, [create('a', 1, 2), create('b', 3, 4)]],
    ['a creation refused without reason', 1, [create('a', 1, 2, refused('NODE_EXISTS'))]],
    ['a lost update', 1, [create('a', 1, 2), set('b', 0, 3, 9, version(1)), set('c', 0, 4, 8, version(1))]],
    ['of two at once one is refused', 0, [create('a', 1, 2), set('b', 0, 3, 9, version(1)), set('c', 0, 4, 8, refused('BAD_VERSION'))]],
    ['an unknown write that shows', 0, [create('a', 1, 2), set('b', -1, 3, 4, { outcome: 'unknown' }), read(sync(5, 7), 6, 8, 'b', 1)]],
    [
      'an unknown write that shows and is gone',
      1,
      [create('a', 1, 2), set('b', -1, 3, 4, { outcome: 'unknown' }), read(sync(5, 7), 6, 8, 'b', 1), read(sync(9, 11), 10, 12, 'a', 0)],
    ],
    [
      'a write that was not done shows',
      1,
      [create('a', 1, 2), set('b', -1, 3, 4, { outcome: 'not-done' }), read(sync(5, 7), 6, 8, 'b', 1)],
    ],
    ['the same data in another znode', 1, [create('a', 1, 2), read(sync(5, 7), 6, 8, 'a', 0, 3)]],
    [
      'a multi is one step',
      1,
      [
        create('a', 1, 2),
        call('multi', 3, 9, {
          parts: [part('setData', 'b'), part('setData', 'c')],
          answer: {
            results: [
              { type: 'setData', stat: stat(1) },
              { type: 'setData', stat: stat(2) },
            ],
          },
        }),
        read(sync(4, 7), 6, 8, 'b', 1),
      ],
    ],
  ];
  test.each(cases)('%s', (_, violations, calls) => {
    const result = checkRegisters(calls, (path) => path === PATH, 10_000);
    expect(result.violations, result.violations.join()).toHaveLength(violations);
    expect(result.undecided).toBe(0);
  });
});

test('a server whose tree is not what the transactions make', async () => {
  const run = clientRun(2);
  await run.sim.start();
  await run.sim.advance(1000);
  const header = { clientId: ZXID_NONE, cxid: 0, zxid: makeZxid(1, 1), time: 0, type: 7 };
  run.sim.treeOf(2).apply({ header, body: { type: 7, path: '/w', acl: [], version: 9 }, digest: null }, false);
  run.workload.finish();
  expect(run.violations[0].message).toMatch(/^TreeMatchesHistory: server 2: \/w /);
});

describe('sessions', () => {
  test('one that its process keeps alive must not expire', async () => {
    const { sim, workload, violations } = clientRun(2, { plan: { timeout: [2, 4], left: 0, sessionCalls: [1000, 1000] } });
    await sim.start();
    workload.calm();
    await sim.advance(10_000);
    expect(violations).toEqual([]);
    const { session } = workload.history.calls.at(-1) as { session: string };
    const header = { clientId: Long.fromString(session, true, 16), cxid: 0, zxid: makeZxid(9, 1), time: 0, type: -11 };
    workload.probe.applied(1, { header, body: { type: -11, paths: null }, digest: null }, sim.treeOf(1));
    expect(violations.map((violation) => violation.message)).toContainEqual(expect.stringMatching(/^SessionExpiry: .*kept it alive/));
  });

  test('one that nobody has must expire', async () => {
    const run = clientRun(2, { bounds: { answer: 10_000, expiry: -20_000, alive: 10_000 } });
    await run.sim.start();
    await run.sim.advance(1000);
    run.sim.crash(1);
    await expect(conclude(run, 100)).rejects.toThrow(/^SessionExpiry: .*nobody has had/);
  });
});
