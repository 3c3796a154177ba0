import { afterEach, expect, test } from 'vitest';
import type { EnsembleNode, Session, SessionState, WatchEvent } from '../../src/index.ts';
import { compareZxid, MultiError, type ZabError, zxidEquals } from '../../src/index.ts';
import { eventually, failureOf, within } from './client.ts';
import { Rig, type RigOptions } from './rig.ts';

const TICK = 50;

let rig: Rig;
afterEach(async () => {
  rig.network.heal();
  await rig.stopAll();
});

async function ensemble(options: Partial<RigOptions> = {}): Promise<{ leader: EnsembleNode; others: EnsembleNode[] }> {
  // Sessions may live for long, so that only what a test is about ends them.
  rig = new Rig({ voters: 3, tickTime: TICK, maxSessionTimeout: 60_000, ...options });
  await rig.startAll();
  return rig.roles();
}

/** The states that a session goes through from now on. */
function statesOf(session: Session): SessionState[] {
  const states: SessionState[] = [session.state];
  session.on('state', (state) => states.push(state));
  return states;
}

const becomes = (session: Session, state: SessionState) => eventually(`the session is ${state}`, () => session.state === state);

// ---- expiry ----

test('a session whose server died is closed by the leader after its timeout, in one transaction', async () => {
  const { leader, others } = await ensemble({ observers: 1 });
  const observer = rig.node(4);
  const timeout = 600;
  const session = await others[0].openSession({ timeout });
  const lasting = await others[1].openSession({ timeout: 60_000 });
  await session.create('/dir');
  await session.multi(Array.from({ length: 20 }, (_, k) => ({ type: 'create' as const, path: `/dir/${k}`, mode: 'ephemeral' as const })));
  await session.create('/stays');
  await lasting.create('/dir/other', null, { mode: 'ephemeral' });
  await rig.converge();
  const deleted: WatchEvent[] = [];
  const seenTogether = new Set<number>();
  observer.watch(
    '/dir',
    (event) => {
      if (event.type !== 'deleted') return;
      deleted.push(event);
      seenTogether.add(observer.tree.getChildren('/dir')?.length ?? -1);
    },
    { recursive: true },
  );
  const killed = performance.now();
  await rig.kill(others[0].id);
  await eventually('the ephemerals are gone', () => deleted.length > 0);
  // It was last heard of at a PING before the end, at most half a tick earlier.
  expect(performance.now() - killed).toBeGreaterThan(timeout - TICK);
  await rig.converge();
  expect(deleted.map(({ path }) => path).sort()).toEqual(Array.from({ length: 20 }, (_, k) => `/dir/${k}`).sort());
  expect(deleted.every(({ zxid }) => zxidEquals(zxid, deleted[0].zxid))).toBe(true);
  // Nobody sees half of it.
  expect([...seenTogether]).toEqual([1]);
  for (const node of [leader, others[1], observer]) {
    expect(node.tree.getChildren('/dir')).toEqual(['other']);
    expect(node.tree.exists('/dir')?.pzxid.toString()).toBe(deleted[0].zxid.toString());
    expect(node.tree.exists('/stays')).toBeDefined();
  }
  await rig.start(others[0].id);
  expect(await failureOf(rig.node(others[0].id).openSession({ resume: session }))).toEqual({
    code: 'SESSION_EXPIRED',
    outcome: 'not-done',
  });
});

test('a session goes on at another server by id and password, and lives past its timeout', async () => {
  const { leader, others } = await ensemble();
  const timeout = 500;
  const session = await others[0].openSession({ timeout });
  await session.create('/mine', 'x', { mode: 'ephemeral' });
  await rig.converge();
  const wrong = { id: session.id, password: session.password.map((byte) => byte ^ 1) };
  expect(await failureOf(others[1].openSession({ resume: wrong }))).toEqual({ code: 'SESSION_EXPIRED', outcome: 'not-done' });
  await rig.kill(others[0].id);
  for (const node of [others[1], leader]) {
    const begin = performance.now();
    const taken = await node.openSession({ resume: session, timeout });
    expect(taken.id.eq(session.id)).toBe(true);
    await eventually('two timeouts are over', () => performance.now() > begin + 2 * timeout);
    expect(await taken.getEphemerals()).toEqual(['/mine']);
    await taken.setData('/mine', 'y');
  }
  const closing = await others[1].openSession({ resume: session });
  await closing.close();
  await rig.converge();
  expect(leader.tree.exists('/mine')).toBeUndefined();
});

test.each([
  ['follower', 'leader'],
  ['leader', 'follower'],
  ['follower', 'observer'],
  ['observer', 'follower'],
] as const)('a handle on the %s whose session went on at the %s gets SESSION_MOVED', async (from, to) => {
  const { leader, others } = await ensemble({ observers: 1 });
  const nodes = { leader, follower: others[0], observer: rig.node(4) };
  const old = await nodes[from].openSession({ timeout: 60_000 });
  await old.create('/mine', null, { mode: 'ephemeral' });
  await rig.converge();
  const states = statesOf(old);
  const taken = await nodes[to].openSession({ resume: old });
  const late = [failureOf(old.create('/late')), failureOf(old.create('/later'))];
  expect((await Promise.all(late)).map(({ code }) => code)).toEqual(['SESSION_MOVED', 'SESSION_MOVED']);
  expect(states).toEqual(['connected', 'closed']);
  expect(await failureOf(old.getData('/mine'))).toEqual({ code: 'SESSION_MOVED', outcome: 'not-done' });
  // Closing the handle that is left behind does not close the session.
  await old.close();
  await taken.create('/new');
  await rig.converge();
  for (const node of rig.nodes.values()) {
    expect(node.tree.exists('/late')).toBeUndefined();
    expect(node.tree.exists('/later')).toBeUndefined();
    expect(node.tree.exists('/mine')).toBeDefined();
  }
});

// ---- loss of the ensemble ----

test('a session is suspended while there is no leader and connected again with the next one', async () => {
  const { leader, others } = await ensemble();
  const session = await others[0].openSession({ timeout: 20_000 });
  await session.create('/mine', null, { mode: 'ephemeral' });
  const states = statesOf(session);
  const refused: Promise<unknown>[] = [];
  session.once('state', () =>
    refused.push(failureOf(session.create('/no')), failureOf(session.getData('/mine')), failureOf(session.sync())),
  );
  rig.network.isolate(leader.id);
  await eventually('connected again', () => states.length >= 3);
  expect(await Promise.all(refused)).toEqual(Array.from({ length: 3 }, () => ({ code: 'CONNECTION_LOSS', outcome: 'not-done' })));
  await session.create('/yes');
  rig.network.heal();
  await rig.converge();
  expect(states).toEqual(['connected', 'suspended', 'connected']);
  for (const node of rig.nodes.values()) expect(node.tree.getChildren('/')?.sort()).toEqual(['mine', 'yes', 'zookeeper']);
});

test.each(['follower', 'leader'] as const)(
  'a %s that is cut off for longer than the timeout: its session expires, there too',
  async (role) => {
    const { leader, others } = await ensemble();
    const cut = role === 'leader' ? leader : others[0];
    const rest = [leader, ...others].filter((node) => node !== cut);
    const session = await cut.openSession({ timeout: 400 });
    const states = statesOf(session);
    await session.create('/mine', null, { mode: 'ephemeral' });
    await rig.converge();
    // On the leader this is a tail that nobody else has: it gets a snapshot later, and so does not see its session's end as a transaction.
    const lost = failureOf(session.create('/lost'));
    rig.network.isolate(cut.id);
    expect((await lost).outcome).toBe('unknown');
    await eventually('suspended', () => states.includes('suspended'));
    await eventually('the others drop it', () => rest.every((node) => node.serving && node.tree.exists('/mine') === undefined));
    // Its own server can't know: it shows what it last knew to be committed, and the handle waits.
    expect(cut.tree.exists('/mine')).toBeDefined();
    expect(session.state).toBe('suspended');
    rig.network.heal();
    await becomes(session, 'expired');
    expect(states).toEqual(['connected', 'suspended', 'expired']);
    expect(await failureOf(session.create('/a'))).toEqual({ code: 'SESSION_EXPIRED', outcome: 'not-done' });
    await rig.verify([]);
    expect(cut.tree.exists('/mine')).toBeUndefined();
  },
);

test.each(['leader', 'follower'] as const)('calls under way on a %s that loses its ensemble end with what became of them', async (role) => {
  const { leader, others } = await ensemble();
  const node = role === 'leader' ? leader : others[0];
  const session = await node.openSession({ timeout: 20_000 });
  const states = statesOf(session);
  const calls: Promise<string>[] = [];
  let done = 0;
  const write = () =>
    session.create(`/n${calls.length}`).then(
      () => {
        done++;
        return 'done';
      },
      (error: ZabError) => error.outcome,
    );
  let lost: Promise<void> | undefined;
  // Until the loss is noticed, and one call more.
  while (states.length === 1) {
    for (let k = 0; k < 20; k++) calls.push(write());
    await new Promise((resolve) => setImmediate(resolve));
    if (done > 500 && role === 'leader') rig.network.isolate(leader.id);
    else if (done > 500) lost ??= rig.kill(leader.id);
  }
  const outcomes = await within('all calls end', Promise.all(calls));
  await lost;
  rig.network.heal();
  if (role === 'follower') await rig.start(leader.id);
  await rig.verify([]);
  const { tree } = others[1];
  const first = outcomes.findIndex((outcome) => outcome !== 'done');
  expect(first).toBeGreaterThan(500);
  // In the order of the calls: what was done, what nobody knows, what was refused; of the second a first part was done.
  const kinds = outcomes.filter((outcome, k) => outcome !== outcomes[k - 1]);
  expect(kinds.slice(0, 2)).toEqual(['done', 'unknown']);
  expect(kinds.slice(2)).toBeOneOf([[], ['not-done']]);
  const there = outcomes.map((_, k) => tree.exists(`/n${k}`) !== undefined);
  const end = there.lastIndexOf(true);
  expect(end).toBeGreaterThanOrEqual(first - 1);
  expect(there.slice(0, end + 1)).not.toContain(false);
  const refused = outcomes.indexOf('not-done');
  if (refused !== -1) expect(end).toBeLessThan(refused);
});

// ---- calls ----

test('pipelined calls of a session are answered in order, reads between them see exactly the writes before', async () => {
  const { others } = await ensemble();
  const session = await others[0].openSession({ timeout: 20_000 });
  const busy = rig.writer(others[1].id);
  await session.create('/n', '0');
  const order: number[] = [];
  const results: Promise<unknown>[] = [];
  const seen: string[] = [];
  for (let k = 1; k <= 300; k++) {
    results.push(session.setData('/n', `${k}`, { version: k - 1 }).then(() => order.push(3 * k)));
    results.push(session.getData('/n').then((data) => order.push(3 * k + 1) && seen.push(`${data.text()}/${data.stat.version}`)));
    if (k % 10 === 0) results.push(session.sync().then(() => order.push(3 * k + 2)));
    if (k % 25 === 0) {
      const stale = session.setData('/n', 'no', { version: 0 });
      results.push(
        stale.then(
          () => expect.unreachable(),
          (error: ZabError) => order.push(3 * k + 2) && expect(error.code).toBe('BAD_VERSION'),
        ),
      );
    }
  }
  await within('all calls', Promise.all(results));
  expect(order).toEqual([...order].sort((a, b) => a - b));
  expect(seen).toEqual(Array.from({ length: 300 }, (_, k) => `${k + 1}/${k + 1}`));
  await rig.verify([busy]);
});

test('a multi is all or nothing, and says which part was at fault', async () => {
  const { leader, others } = await ensemble();
  const session = await others[0].openSession({ timeout: 20_000 });
  await session.create('/a', 'x');
  const events: string[] = [];
  others[0].watch('/', ({ type, path }) => events.push(`${type} ${path}`), { recursive: true });
  const failing = session.multi([
    { type: 'create', path: '/b' },
    { type: 'setData', path: '/a', data: 'y', version: 7 },
    { type: 'delete', path: '/nowhere' },
  ]);
  const error = await failing.then(
    () => undefined,
    (reason: unknown) => reason as MultiError,
  );
  expect(error).toBeInstanceOf(MultiError);
  expect(error).toMatchObject({ code: 'BAD_VERSION', outcome: 'not-done', path: '/a' });
  expect(error?.results.map((result) => result?.code ?? null)).toEqual([null, 'BAD_VERSION', 'RUNTIME_INCONSISTENCY']);
  const results = await session.multi([
    { type: 'check', path: '/a', version: 0 },
    { type: 'create', path: '/b', data: '1' },
    { type: 'create', path: '/b/c', mode: 'persistentSequential' },
    { type: 'setData', path: '/b', data: '2', version: 0 },
    { type: 'delete', path: '/a' },
  ]);
  expect(results.map(({ type }) => type)).toEqual(['check', 'create', 'create', 'setData', 'delete']);
  await rig.verify([]);
  expect(leader.tree.getData('/b')?.text()).toBe('2');
  expect(leader.tree.exists('/a')).toBeUndefined();
  expect(zxidEquals(leader.tree.exists('/b')?.czxid ?? leader.tree.lastZxid, leader.tree.lastZxid)).toBe(true);
  expect(events).toEqual(['created /b', 'created /b/c0000000000', 'dataChanged /b', 'deleted /a']);
});

// ---- what the leader does by itself ----

test('the leader removes used empty containers and expired TTL znodes, also after a leader change', async () => {
  const { leader, others } = await ensemble({ containerCheckInterval: 100 });
  const session = await others[0].openSession({ timeout: 20_000 });
  const { tree } = others[0];
  await session.create('/never', null, { mode: 'container' });
  await session.create('/used', null, { mode: 'container' });
  await session.create('/used/child');
  await session.create('/full', null, { mode: 'container' });
  await session.create('/full/child');
  await session.create('/ttl', null, { mode: 'persistentTtl', ttl: 300 });
  await session.create('/ttl-parent', null, { mode: 'persistentTtl', ttl: 300 });
  await session.create('/ttl-parent/child');
  await session.delete('/used/child');
  await eventually('container and TTL znode are gone', () => tree.exists('/used') === undefined && tree.exists('/ttl') === undefined);
  expect(['/never', '/full', '/ttl-parent'].filter((path) => tree.exists(path) === undefined)).toEqual([]);
  rig.network.isolate(leader.id);
  await eventually('another leader', () => others.every((node) => node.serving && node.leaderId !== leader.id));
  rig.network.heal();
  await becomes(session, 'connected');
  await session.delete('/full/child');
  await session.delete('/ttl-parent/child');
  await eventually('the rest is gone', () => tree.exists('/full') === undefined && tree.exists('/ttl-parent') === undefined);
  expect(tree.exists('/never')).toBeDefined();
  await rig.verify([]);
});

test('a hard quota is enforced by every leader', async () => {
  const { leader, others } = await ensemble({ enforceQuota: true });
  const session = await others[0].openSession({ timeout: 20_000 });
  await session.create('/q');
  await session.create('/zookeeper/quota/q');
  await session.create('/zookeeper/quota/q/zookeeper_limits', 'count=-1,bytes=-1=;byteHardLimit=20;countHardLimit=4');
  await session.create('/zookeeper/quota/q/zookeeper_stats', 'count=1,bytes=0');
  await session.create('/q/a', '0123456789');
  const over = { code: 'QUOTA_EXCEEDED', outcome: 'not-done' };
  expect(await failureOf(session.create('/q/b', '0123456789x'))).toEqual(over);
  await session.create('/q/b', '0123456789');
  await rig.kill(leader.id);
  await rig.start(leader.id);
  await becomes(session, 'connected');
  expect(await failureOf(session.setData('/q/b', '0123456789x'))).toEqual(over);
  await session.create('/q/c');
  expect(await failureOf(session.create('/q/d'))).toEqual(over);
  await session.delete('/q/a');
  await session.create('/q/d', '0123456789');
  await rig.verify([]);
  expect(leader.tree.lastZxid.isZero()).toBe(false);
  expect(compareZxid(others[0].tree.lastZxid, leader.tree.lastZxid)).toBeGreaterThan(0);
});
