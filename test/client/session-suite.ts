import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  CREATOR_ALL_ACL,
  type MultiError,
  OPEN_ACL,
  READ_ACL,
  type Session,
  type SessionOptions,
  type WatchEvent,
  type ZabError,
} from '../../src/index.ts';
import { eventually, failureOf, within } from '../ensemble/client.ts';

/** Where sessions come from: a node of this process, or servers over the wire. */
export interface SuiteEnsemble {
  open(options?: SessionOptions): Promise<Session>;
  end(): Promise<void>;
}

interface Scene {
  readonly session: Session;
  /** Another session. */
  readonly other: Session;
  /** A znode that the case has for itself. */
  readonly base: string;
  open(options?: SessionOptions): Promise<Session>;
}

type Case = (scene: Scene) => Promise<void>;

/** A callback that notes what it gets, without the zxid: not every server tells it. */
function notes(): { (event: WatchEvent): void; seen: string[] } {
  const seen: string[] = [];
  return Object.assign((event: WatchEvent) => void seen.push(`${event.type} ${event.path}`), { seen });
}

const WRITES: Record<string, Case> = {
  'create gives the path and the Stat': async ({ session, base }) => {
    const { path, stat } = await session.create(`${base}/a`, 'one');
    expect(path).toBe(`${base}/a`);
    expect([stat.version, stat.cversion, stat.aversion, stat.dataLength, stat.numChildren]).toEqual([0, 0, 0, 3, 0]);
    expect([stat.mzxid, stat.pzxid].map(String)).toEqual([String(stat.czxid), String(stat.czxid)]);
    expect(stat.ephemeralOwner.isZero()).toBe(true);
  },
  'every kind of znode': async ({ session, base }) => {
    const made = [
      await session.create(`${base}/s-`, null, { mode: 'persistentSequential' }),
      await session.create(`${base}/e`, '', { mode: 'ephemeral' }),
      await session.create(`${base}/es-`, new Uint8Array([0, 255]), { mode: 'ephemeralSequential' }),
      await session.create(`${base}/c`, null, { mode: 'container' }),
      await session.create(`${base}/t`, null, { mode: 'persistentTtl', ttl: 100_000 }),
      await session.create(`${base}/ts-`, null, { mode: 'persistentSequentialTtl', ttl: 100_000 }),
    ];
    expect(made.map(({ path }) => path.slice(base.length))).toEqual([
      '/s-0000000000',
      '/e',
      '/es-0000000002',
      '/c',
      '/t',
      '/ts-0000000005',
    ]);
    expect(made.map(({ stat }) => stat.ephemeralOwner.eq(session.id))).toEqual([false, true, true, false, false, false]);
    expect((await session.getEphemerals(base)).sort()).toEqual([`${base}/e`, `${base}/es-0000000002`]);
    expect(await session.getEphemerals(`${base}/es`)).toEqual([`${base}/es-0000000002`]);
    expect(await session.getAllChildrenNumber(base)).toBe(6);
    const data = await Promise.all(['s-0000000000', 'e', 'es-0000000002'].map((name) => session.getData(`${base}/${name}`)));
    expect(data.map((d) => (d.data === null ? null : [...d.data]))).toEqual([null, [], [0, 255]]);
  },
  'setData, setAcl and delete': async ({ session, base }) => {
    await session.create(`${base}/a`);
    const stat = await session.setData(`${base}/a`, 'héllo', { version: 0 });
    expect([stat.version, stat.dataLength]).toEqual([1, 6]);
    expect((await session.getData(`${base}/a`)).text()).toBe('héllo');
    expect((await session.setAcl(`${base}/a`, READ_ACL, { version: 0 })).aversion).toBe(1);
    expect((await session.getAcl(`${base}/a`)).acl).toEqual(READ_ACL);
    expect(await session.delete(`${base}/a`, { version: 1 })).toBeUndefined();
    expect(await session.exists(`${base}/a`)).toBeNull();
  },
  'errors by their names, with the path as it was given': async ({ session, base }) => {
    await session.create(`${base}/a`);
    await session.create(`${base}/a/b`);
    const error = async (call: Promise<unknown>) => {
      const seen = await call.then(
        () => null,
        (e: ZabError) => e,
      );
      return [seen?.code, seen?.outcome, seen?.path?.slice(base.length)];
    };
    expect(await error(session.create(`${base}/a`))).toEqual(['NODE_EXISTS', 'not-done', '/a']);
    expect(await error(session.create(`${base}/x/y`))).toEqual(['NO_NODE', 'not-done', '/x/y']);
    expect(await error(session.setData(`${base}/a`, '', { version: 7 }))).toEqual(['BAD_VERSION', 'not-done', '/a']);
    expect(await error(session.delete(`${base}/a`))).toEqual(['NOT_EMPTY', 'not-done', '/a']);
    expect(await error(session.create(`${base}/.`))).toEqual(['BAD_ARGUMENTS', 'not-done', '/.']);
    expect(await error(session.create(`${base}/n`, null, { acl: [] }))).toEqual(['INVALID_ACL', 'not-done', '/n']);
    expect(await error(session.getData(`${base}/x`))).toEqual(['NO_NODE', 'not-done', '/x']);
    expect(await error(session.getChildren(`${base}/x`))).toEqual(['NO_NODE', 'not-done', '/x']);
    await session.create(`${base}/e`, null, { mode: 'ephemeral' });
    expect(await error(session.create(`${base}/e/x`))).toEqual(['NO_CHILDREN_FOR_EPHEMERALS', 'not-done', '/e/x']);
    expect((await failureOf(session.delete('/'))).code).toBe('BAD_ARGUMENTS');
    expect((await failureOf(session.create('relative'))).code).toBe('BAD_ARGUMENTS');
  },
  'what can’t travel is refused here': async ({ session, base }) => {
    const calls = [
      session.create(5 as never),
      session.setData(base, 5 as never),
      session.delete(base, { version: 2 ** 31 }),
      session.create(base, '', { mode: 'temporary' as never }),
      session.create(base, '', { mode: 'persistentTtl' }),
      session.setAcl(base, 'all' as never),
      session.multi([{ type: 'rename', path: base } as never]),
      session.getData(5 as never),
      session.multiRead([{ type: 'getData', path: 5 as never }]),
      session.setData(base, new Uint8Array(2_000_000)),
    ];
    for (const call of calls) expect(await failureOf(call)).toEqual({ code: 'BAD_ARGUMENTS', outcome: 'not-done' });
  },
  'calls are pipelined and answered in order; a read sees the writes before it': async ({ session, base }) => {
    const order: string[] = [];
    const note = (name: string) => (value: unknown) => void order.push(`${name} ${String(value)}`);
    await within(
      'the calls',
      Promise.all([
        session.create(`${base}/a`, '1').then(() => note('create')('')),
        session.getData(`${base}/a`).then((d) => note('read')(d.text())),
        session.setData(`${base}/a`, '2').then((s) => note('set')(s.version)),
        session.sync(base).then(() => note('sync')('')),
        session.create(`${base}/a`).catch((e) => note('create')(e.code)),
        session.multi([]).then((r) => note('multi')(r.length)),
        session.getData(`${base}/a`).then((d) => note('read')(d.text())),
        session.delete(`${base}/a`).then(() => note('delete')('')),
        session.exists(`${base}/a`).then(note('exists')),
      ]),
    );
    expect(order).toEqual(['create ', 'read 1', 'set 1', 'sync ', 'create NODE_EXISTS', 'multi 0', 'read 2', 'delete ', 'exists null']);
  },
  'multi: all of it': async ({ session, base }) => {
    const results = await session.multi([
      { type: 'create', path: `${base}/m`, data: 'x' },
      { type: 'create', path: `${base}/m/s-`, mode: 'persistentSequential' },
      { type: 'create', path: `${base}/c`, mode: 'container' },
      { type: 'setData', path: `${base}/m`, data: 'yy' },
      { type: 'check', path: `${base}/m`, version: 1 },
      { type: 'delete', path: `${base}/c` },
    ]);
    expect(results.map(({ type }) => type)).toEqual(['create', 'create', 'create', 'setData', 'check', 'delete']);
    expect(results.slice(0, 3).map((r) => ('path' in r ? r.path.slice(base.length) : ''))).toEqual(['/m', '/m/s-0000000000', '/c']);
    expect(results.map((r) => ('stat' in r ? (r.stat?.dataLength ?? null) : '-'))).toEqual([null, null, 0, 2, '-', '-']);
    expect((await session.getChildren(`${base}/m`)).children).toEqual(['s-0000000000']);
  },
  'multi: or nothing': async ({ session, base }) => {
    const error = (await session
      .multi([
        { type: 'create', path: `${base}/m` },
        { type: 'setData', path: `${base}/none`, data: 'x' },
        { type: 'delete', path: base },
      ])
      .catch((e) => e)) as MultiError;
    expect([error.code, error.path, error.outcome]).toEqual(['NO_NODE', `${base}/none`, 'not-done']);
    expect(error.results.map((e) => e?.code ?? null)).toEqual([null, 'NO_NODE', 'RUNTIME_INCONSISTENCY']);
    expect(await session.exists(`${base}/m`)).toBeNull();
  },
};

const READS: Record<string, Case> = {
  'getData, exists and getChildren give one Stat': async ({ session, base }) => {
    await session.create(`${base}/a`, '{"x":[1]}');
    await session.create(`${base}/a/b`);
    await session.create(`${base}/a/c`);
    await session.delete(`${base}/a/c`);
    const { stat } = await session.getData(`${base}/a`);
    const plain = (s: object | null) => JSON.stringify(s);
    expect(plain(await session.exists(`${base}/a`))).toBe(plain(stat));
    const { children, stat: third } = await session.getChildren(`${base}/a`);
    expect([children, plain(third)]).toEqual([['b'], plain(stat)]);
    expect([stat.cversion, stat.numChildren, stat.dataLength]).toEqual([3, 1, 9]);
    expect((await session.getData(`${base}/a`)).json()).toEqual({ x: [1] });
    expect(Math.abs(stat.mtime - Date.now())).toBeLessThan(60_000);
  },
  'multiRead answers part by part': async ({ session, base }) => {
    await session.create(`${base}/a`, 'x');
    const results = await session.multiRead([
      { type: 'getData', path: `${base}/a` },
      { type: 'getData', path: `${base}/none` },
      { type: 'getChildren', path: base },
    ]);
    expect(results.map((r) => (r.type === 'getData' ? r.value.text() : r.type === 'error' ? r.error.code : r.children))).toEqual([
      'x',
      'NO_NODE',
      ['a'],
    ]);
    expect(await session.multiRead([])).toEqual([]);
  },
  'the root': async ({ session, base }) => {
    const name = base.slice(1);
    expect((await session.getChildren('/')).children).toContain(name);
    expect((await session.exists('/'))?.numChildren).toBeGreaterThan(0);
    expect((await failureOf(session.create('/'))).code).toBe('NODE_EXISTS');
    const { path } = await session.create('/', null, { mode: 'ephemeralSequential' });
    expect(path).toMatch(/^\/\d{10}$/);
    expect(await session.getEphemerals()).toContain(path);
    await session.delete(path);
  },
  'identities and what they may do': async ({ session, other, base }) => {
    expect((await session.whoAmI()).map(({ scheme }) => scheme)).toEqual(['ip']);
    await session.addAuth('digest', 'alice:secret');
    expect((await session.whoAmI()).find(({ scheme }) => scheme === 'digest')).toEqual({ scheme: 'digest', id: 'alice' });
    await session.create(`${base}/mine`, 'x', { acl: CREATOR_ALL_ACL });
    const alice = { perms: 31, scheme: 'digest', id: 'alice:aYXlLOpEooaV1cRAvUL1fp9Qt7E=' };
    expect((await session.getAcl(`${base}/mine`)).acl).toEqual([alice]);
    for (const call of [other.getData(`${base}/mine`), other.setData(`${base}/mine`, ''), other.getAcl(`${base}/mine`)]) {
      expect(await failureOf(call)).toEqual({ code: 'NO_AUTH', outcome: 'not-done' });
    }
    await session.setAcl(`${base}/mine`, [alice, { perms: 1, scheme: 'world', id: 'anyone' }]);
    expect((await other.getData(`${base}/mine`)).text()).toBe('x');
    expect((await other.getAcl(`${base}/mine`)).acl[0].id).toBe('alice:x');
    await other.addAuth('digest', new TextEncoder().encode('alice:secret'));
    expect((await other.setData(`${base}/mine`, 'y')).version).toBe(1);
    await session.setAcl(`${base}/mine`, OPEN_ACL);
  },
  'an identity that is refused is no identity, and the session goes on': async ({ open }) => {
    const session = await open();
    expect((await failureOf(session.addAuth('bogus', 'x'))).code).toBe('AUTH_FAILED');
    await eventually('connected again', () => session.state === 'connected');
    await eventually('it serves', async () => (await session.whoAmI().catch(() => [])).length > 0);
    expect((await session.whoAmI()).map(({ scheme }) => scheme)).toEqual(['ip']);
    await session.close();
  },
};

const WATCHES: Record<string, Case> = {
  'one-shot watches: each fires once, with the first change of its kind': async ({ session, other, base }) => {
    await session.create(`${base}/a`);
    const [data, absent, child, parent] = [notes(), notes(), notes(), notes()];
    await session.getData(`${base}/a`, { watch: data });
    await session.exists(`${base}/b`, { watch: absent });
    await session.getChildren(`${base}/a`, { watch: child });
    await session.getChildren(base, { watch: parent });
    await other.setData(`${base}/a`, '1');
    await other.setData(`${base}/a`, '2');
    await other.create(`${base}/b`);
    await other.create(`${base}/a/x`);
    await other.delete(`${base}/a/x`);
    await session.sync(base);
    expect([data.seen, absent.seen, child.seen, parent.seen]).toEqual([
      [`dataChanged ${base}/a`],
      [`created ${base}/b`],
      [`childrenChanged ${base}/a`],
      [`childrenChanged ${base}`],
    ]);
  },
  'one-shot watches: a callback is called once for an event, and none for a read that failed': async ({ session, base }) => {
    await session.create(`${base}/a`);
    const [all, failed] = [notes(), notes()];
    await Promise.all([1, 2].map(() => session.getData(`${base}/a`, { watch: all })));
    await session.getChildren(`${base}/a`, { watch: all });
    await session.getData(`${base}/b`, { watch: failed }).catch(() => null);
    await session.delete(`${base}/a`);
    await session.create(`${base}/b`);
    expect([all.seen, failed.seen]).toEqual([[`deleted ${base}/a`], []]);
  },
  'events come before the answer that shows the change': async ({ session, base }) => {
    await session.create(`${base}/a`);
    const watch = notes();
    await session.getData(`${base}/a`, { watch });
    const seen = await session.setData(`${base}/a`, 'x').then(() => watch.seen.length);
    expect(seen).toBe(1);
  },
  'a watch that stays, on one znode': async ({ session, other, base }) => {
    const watch = notes();
    const end = session.watch(`${base}/a`, watch);
    await session.sync(base);
    await other.create(`${base}/a`);
    await other.create(`${base}/a/x`);
    await other.setData(`${base}/a/x`, '1');
    await other.setData(`${base}/a`, '1');
    await other.delete(`${base}/a/x`);
    await other.delete(`${base}/a`);
    await session.sync(base);
    const kinds = ['created', 'childrenChanged', 'dataChanged', 'childrenChanged', 'deleted'];
    expect(watch.seen).toEqual(kinds.map((kind) => `${kind} ${base}/a`));
    end();
    await other.create(`${base}/a`);
    await session.sync(base);
    expect(watch.seen).toHaveLength(5);
  },
  'a watch that stays, on a subtree': async ({ session, other, base }) => {
    const watch = notes();
    session.watch(base, watch, { recursive: true });
    await session.sync(base);
    await other.multi([
      { type: 'create', path: `${base}/a` },
      { type: 'create', path: `${base}/a/b` },
      { type: 'setData', path: `${base}/a/b`, data: 'x' },
      { type: 'setData', path: base, data: 'x' },
      { type: 'delete', path: `${base}/a/b` },
    ]);
    await session.sync(base);
    expect(watch.seen).toEqual([
      `created ${base}/a`,
      `created ${base}/a/b`,
      `dataChanged ${base}/a/b`,
      `dataChanged ${base}`,
      `deleted ${base}/a/b`,
    ]);
  },
  'watches of all kinds on one path leave nobody out': async ({ session, other, base }) => {
    const [plain, recursive, data, child, later] = [notes(), notes(), notes(), notes(), notes()];
    await session.getData(base, { watch: data });
    const endPlain = session.watch(base, plain);
    const endRecursive = session.watch(base, recursive, { recursive: true });
    await session.getChildren(base, { watch: child });
    await other.create(`${base}/a`);
    await other.setData(base, 'x');
    await session.sync(base);
    const created = [`childrenChanged ${base}`, `dataChanged ${base}`];
    expect([plain.seen, recursive.seen]).toEqual([created, [`created ${base}/a`, `dataChanged ${base}`]]);
    expect([data.seen, child.seen]).toEqual([[`dataChanged ${base}`], [`childrenChanged ${base}`]]);
    endRecursive();
    await session.getData(base, { watch: later });
    await other.create(`${base}/b`);
    await session.sync(base);
    expect(plain.seen).toEqual([...created, `childrenChanged ${base}`]);
    endPlain();
    await other.setData(base, 'y');
    await session.sync(base);
    expect([plain.seen.length, recursive.seen.length, later.seen]).toEqual([3, 2, [`dataChanged ${base}`]]);
  },
  removeWatches: async ({ session, other, base }) => {
    const [data, child, stays] = [notes(), notes(), notes()];
    await session.getData(base, { watch: data });
    await session.getChildren(base, { watch: child });
    session.watch(base, stays);
    await session.removeWatches(base, 'data');
    expect((await failureOf(session.removeWatches(base, 'data'))).code).toBe('NO_WATCHER');
    await other.setData(base, 'x');
    await session.sync(base);
    expect([data.seen, stays.seen]).toEqual([[], [`dataChanged ${base}`]]);
    await session.removeWatches(base);
    expect((await failureOf(session.removeWatches(base))).code).toBe('NO_WATCHER');
    await other.create(`${base}/a`);
    await session.sync(base);
    expect([child.seen, stays.seen]).toEqual([[], [`dataChanged ${base}`]]);
  },
  'iterators: end by the signal, by leaving the loop and with the session': async ({ open, other, base }) => {
    const session = await open();
    const stop = new AbortController();
    const bySignal = session.watch(base, { signal: stop.signal });
    const byLeaving = session.watch(base, { recursive: true });
    const bySession = session.watch(base);
    await session.sync(base);
    await other.setData(base, 'x');
    await session.sync(base);
    stop.abort();
    for await (const event of byLeaving) {
      expect(event.type).toBe('dataChanged');
      break;
    }
    await session.close();
    const left: string[] = [];
    for await (const event of bySession) left.push(event.type);
    expect(left).toEqual(['dataChanged']);
    expect((await byLeaving.next()).done).toBe(true);
    expect((await bySignal.next()).done).toBe(true);
  },
};

const SESSIONS: Record<string, Case> = {
  'close deletes the ephemeral znodes, and ends all calls': async ({ open, other, base }) => {
    const session = await open();
    await session.create(`${base}/e`, null, { mode: 'ephemeral' });
    const states: string[] = [];
    session.on('state', (state) => states.push(state));
    const before = session.setData(base, 'x');
    await Promise.all([session.close(), session.close()]);
    expect((await before).dataLength).toBe(1);
    expect([states, session.state]).toEqual([['closed'], 'closed']);
    await other.sync(base);
    expect(await other.exists(`${base}/e`)).toBeNull();
    expect(await failureOf(session.getData(base))).toEqual({ code: 'SESSION_EXPIRED', outcome: 'not-done' });
    expect(() => session.watch(base)).toThrow(/SESSION_EXPIRED/);
  },
  'a session can be taken up by its id and password': async ({ open, base }) => {
    const first = await open();
    await first.create(`${base}/e`, null, { mode: 'ephemeral' });
    const second = await open({ resume: { id: first.id, password: first.password } });
    expect([second.id.eq(first.id), second.password.length]).toEqual([true, 16]);
    expect(await second.getEphemerals(base)).toEqual([`${base}/e`]);
    await second.close();
    await first.close();
  },
  'a session that is not there can’t be taken up': async ({ session, open }) => {
    const wrong = { id: session.id.add(1), password: session.password };
    expect(await failureOf(open({ resume: wrong }))).toEqual({ code: 'SESSION_EXPIRED', outcome: 'not-done' });
    const gone = await open();
    await gone.close();
    expect((await failureOf(open({ resume: { id: gone.id, password: gone.password } }))).code).toBe('SESSION_EXPIRED');
  },
  signals: async ({ session, base }) => {
    const aborted = AbortSignal.abort();
    expect(await failureOf(session.getData(base, { signal: aborted }))).toEqual({ code: 'ABORTED', outcome: 'not-done' });
    const stop = new AbortController();
    const write = failureOf(session.setData(base, 'x', { signal: stop.signal }));
    const read = failureOf(session.getData(base, { signal: stop.signal }));
    stop.abort();
    expect([await write, await read]).toEqual([
      { code: 'ABORTED', outcome: 'unknown' },
      { code: 'ABORTED', outcome: 'not-done' },
    ]);
    expect((await session.exists(base))?.version).toBe(1);
  },
  'the end of a block closes it': async ({ open }) => {
    const session = await open();
    await session[Symbol.asyncDispose]();
    expect(session.state).toBe('closed');
  },
};

/** The behaviour that code written against `Session` may rely on, wherever the session comes from. */
export function sessionSuite(name: string, start: () => Promise<SuiteEnsemble>): void {
  describe(name, () => {
    let ensemble: SuiteEnsemble;
    let sessions: Session[] = [];
    let cases = 0;
    beforeAll(async () => {
      ensemble = await start();
      sessions = [await ensemble.open(), await ensemble.open()];
    });
    afterAll(async () => {
      for (const session of sessions) await session.close();
      await ensemble?.end();
    });

    for (const [title, run] of Object.entries({ ...WRITES, ...READS, ...WATCHES, ...SESSIONS })) {
      test(title, async () => {
        const base = `/case-${++cases}`;
        const [session, other] = await Promise.all([ensemble.open(), ensemble.open()]);
        await sessions[0].create(base);
        await run({ session, other, base, open: (options) => ensemble.open(options) });
        await Promise.all([session.close(), other.close()]);
      });
    }
  });
}
