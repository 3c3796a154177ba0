import { expect, test } from 'vitest';
import { Op } from '../../src/model/codes.ts';
import type { SetDataRequest } from '../../src/model/records.ts';
import { makeZxid } from '../../src/model/zxid.ts';
import type { WatchEvent } from '../../src/node/api.ts';
import { OPEN_ACL } from '../../src/tree/acl.ts';
import { Preparer } from '../../src/tree/prepare.ts';
import type { ZnodeTree } from '../../src/tree/tree.ts';
import { TreeLoader } from '../../src/tree/tree-loader.ts';
import { octetsFromText } from '../../src/util/bytes.ts';
import { failure, isSettled, makeRig, openRig, startRig } from './fake-replica.ts';

const setData = (path: string, data: string): SetDataRequest => ({ op: Op.setData, path, data: octetsFromText(data), version: -1 });
const create = (path: string) => ({ op: Op.create, path, data: null, acl: OPEN_ACL, flags: 0, ttl: 0 }) as const;
const remove = (path: string) => ({ op: Op.delete, path, version: -1 }) as const;

/** Collects events as short texts. */
function recorder(): { seen: string[]; note: (event: WatchEvent) => void } {
  const seen: string[] = [];
  return { seen, note: ({ type, path }) => void seen.push(`${type} ${path}`) };
}

/** The same tree in a new object, as a snapshot gives it; `change` may do more to it. */
function copyOf(
  tree: ZnodeTree,
  change: (write: (record: ReturnType<typeof create> | ReturnType<typeof remove> | SetDataRequest) => void) => void,
): ZnodeTree {
  const loader = new TreeLoader();
  const source = tree.openSnapshot();
  loader.begin(source.zxid, source.head);
  for (let batch = source.next(100); batch.length > 0; batch = source.next(100)) loader.nodes(batch);
  source.close();
  loader.end(null);
  const copy = loader.tree as ZnodeTree;
  const preparer = new Preparer(copy);
  let counter = 0;
  change((record) => copy.apply(preparer.prepare(makeZxid(0, 0), 0, [], record, makeZxid(2, ++counter), 0), false));
  return copy;
}

test('a one-shot watch is called once, with the next change', async () => {
  const { session, replica } = await openRig();
  await session.create('/a', 'x');
  const { seen, note } = recorder();
  await session.getData('/a', { watch: note });
  await session.getChildren('/a', { watch: note });
  await session.exists('/later', { watch: note });
  replica.elsewhere(setData('/a', '1'));
  replica.elsewhere(setData('/a', '2'));
  replica.elsewhere(create('/a/b'));
  replica.elsewhere(create('/a/c'));
  replica.elsewhere(create('/later'));
  replica.elsewhere(remove('/later'));
  expect(seen).toEqual(['dataChanged /a', 'childrenChanged /a', 'created /later']);
  expect(replica.tree.onEvent).toBeNull();
});

test('one callback hears of one deletion once; two are both called', async () => {
  const { session, replica } = await openRig();
  await session.create('/a');
  const [one, two] = [recorder(), recorder()];
  await session.getData('/a', { watch: one.note });
  await session.exists('/a', { watch: one.note });
  await session.getChildren('/a', { watch: one.note });
  await session.getChildren('/a', { watch: two.note });
  replica.elsewhere(remove('/a'));
  expect([one.seen, two.seen]).toEqual([['deleted /a'], ['deleted /a']]);
});

test('a failed read leaves no watch', async () => {
  const { session, replica, node } = await openRig();
  const { seen, note } = recorder();
  await failure(session.getData('/a', { watch: note }));
  await failure(session.getChildren('/a', { watch: note }));
  replica.elsewhere(create('/a'));
  expect(seen).toEqual([]);
  expect(node.metrics().watches).toBe(0);
});

test('the event comes before any read that shows the change', async () => {
  const { session, replica } = await openRig();
  await session.create('/a', 'old');
  const order: string[] = [];
  await session.getData('/a', { watch: () => void order.push('event') });
  replica.manual();
  const write = session.setData('/a', 'new').then(() => order.push('write'));
  const read = session.getData('/a').then((data) => order.push(data.text()));
  replica.step();
  // Already delivered when the hook returns, before any reaction of a promise can run.
  expect(order).toEqual(['event']);
  await Promise.all([write, read]);
  expect(order).toEqual(['event', 'write', 'new']);
});

test('a callback sees no half of a multi', async () => {
  const { session, node } = await openRig();
  const seen: boolean[] = [];
  node.watch('/a', () => seen.push(node.tree.exists('/b') !== undefined));
  await session.multi([
    { type: 'create', path: '/a' },
    { type: 'create', path: '/b' },
  ]);
  expect(seen).toEqual([true]);
});

test('a watch set by a callback hears of the next change only', async () => {
  const { session, replica } = await openRig();
  await session.create('/a');
  const [first, second] = [recorder(), recorder()];
  const reads: Promise<unknown>[] = [];
  // Called first; the one-shot watch of the session on the same change is still to be delivered then.
  session.watch('/a', () => void reads.push(session.getData('/a', { watch: second.note })));
  await session.getData('/a', { watch: first.note });
  replica.elsewhere(setData('/a', '1'));
  expect([first.seen, second.seen]).toEqual([['dataChanged /a'], []]);
  replica.elsewhere(setData('/a', '2'));
  expect(second.seen).toEqual(['dataChanged /a']);
  await Promise.all(reads);
});

test('a callback that throws is logged and harms nobody', async () => {
  const { session, replica, logged } = await openRig();
  await session.create('/a');
  const { seen, note } = recorder();
  session.watch('/a', () => {
    throw new Error('mine');
  });
  session.watch('/a', note);
  const write = session.setData('/a', 'x');
  await write;
  expect(seen).toEqual(['dataChanged /a']);
  expect(logged).toContainEqual({ level: 'error', message: 'a watch callback threw' });
  expect(replica.serving).toBe(true);
});

test('persistent watches stay, and recursive ones hear of the whole subtree', async () => {
  const { session, node } = await openRig();
  const [flat, deep] = [recorder(), recorder()];
  const endFlat = session.watch('/a', flat.note);
  const stop = new AbortController();
  node.watch('/a', deep.note, { recursive: true, signal: stop.signal });
  await session.create('/a');
  await session.create('/a/b');
  await session.setData('/a/b', 'x');
  await session.setData('/a', 'x');
  endFlat();
  endFlat();
  await session.delete('/a/b');
  stop.abort();
  await session.delete('/a');
  expect(flat.seen).toEqual(['created /a', 'childrenChanged /a', 'dataChanged /a']);
  expect(deep.seen).toEqual(['created /a', 'created /a/b', 'dataChanged /a/b', 'dataChanged /a', 'deleted /a/b']);
  expect(node.metrics().watches).toBe(0);
});

test('a watch on the root hears of it by either spelling', async () => {
  const { session } = await openRig();
  const { seen, note } = recorder();
  await session.getChildren('', { watch: note });
  session.watch('', note, { recursive: true });
  await session.create('/a');
  await session.setData('/', 'x');
  expect(seen).toEqual(['created /a', 'childrenChanged /', 'dataChanged /']);
});

test('events carry the zxid of their transaction', async () => {
  const { session } = await openRig();
  const zxids: string[] = [];
  session.watch('/a', ({ zxid }) => void zxids.push(zxid.toString()));
  const { stat } = await session.create('/a');
  expect(zxids).toEqual([stat.czxid.toString()]);
});

test('removeWatches ends watches of a kind on a path, in turn', async () => {
  const { session, replica } = await openRig();
  await session.create('/a');
  const { seen, note } = recorder();
  await session.getData('/a', { watch: note });
  await session.getChildren('/a', { watch: note });
  session.watch('/a', note);
  session.watch('/b', note);
  await session.removeWatches('/a', 'data');
  expect(await failure(session.removeWatches('/a', 'data'))).toEqual({ code: 'NO_WATCHER', outcome: 'not-done', path: '/a' });
  replica.elsewhere(setData('/a', 'x'));
  expect(seen).toEqual(['dataChanged /a']);
  await session.removeWatches('/a');
  expect(await failure(session.removeWatches('/a', 'any'))).toMatchObject({ code: 'NO_WATCHER' });
  replica.elsewhere(create('/a/x'));
  replica.elsewhere(create('/b'));
  expect(seen).toEqual(['dataChanged /a', 'created /b']);
});

test('what happens while the session is suspended comes when it is connected again, before reads', async () => {
  const { session, replica, node } = await openRig();
  await session.create('/a', 'x');
  const [shot, stays, own] = [recorder(), recorder(), recorder()];
  await session.getData('/a', { watch: shot.note });
  session.watch('/a', stays.note);
  node.watch('/a', own.note);
  replica.manual();
  replica.serve(false);
  replica.elsewhere(setData('/a', '1'));
  replica.elsewhere(setData('/a', '2'));
  expect([...shot.seen, ...stays.seen, ...own.seen]).toEqual([]);
  replica.serve(true);
  expect(own.seen).toEqual(['dataChanged /a', 'dataChanged /a']);
  expect([...shot.seen, ...stays.seen]).toEqual([]);
  replica.step();
  expect(session.state).toBe('connected');
  expect(shot.seen).toEqual(['dataChanged /a']);
  expect(stays.seen).toEqual(['dataChanged /a', 'dataChanged /a']);
});

test('an expired session’s watches are not called any more', async () => {
  const { session, replica } = await openRig();
  const { seen, note } = recorder();
  await session.exists('/a', { watch: note });
  session.watch('/a', note);
  replica.manual();
  replica.serve(false);
  replica.elsewhere(create('/a'));
  replica.alive = () => false;
  replica.serve(true);
  replica.step();
  expect(session.state).toBe('expired');
  replica.elsewhere(remove('/a'));
  expect(seen).toEqual([]);
  expect(() => session.watch('/a', note)).toThrow(/expired/);
});

test('a tree that is replaced fires what differs, once', async () => {
  const { session, replica, node } = await openRig();
  for (const path of ['/same', '/changed', '/gone', '/again', '/parent']) await session.create(path);
  const [shots, deep, flat] = [recorder(), recorder(), recorder()];
  for (const path of ['/same', '/changed', '/gone', '/again']) await session.getData(path, { watch: shots.note });
  await session.exists('/new', { watch: shots.note });
  await session.getChildren('/parent', { watch: shots.note });
  await session.getChildren('/same', { watch: shots.note });
  node.watch('/', deep.note, { recursive: true });
  node.watch('/parent', flat.note);
  replica.manual();
  replica.serve(false);
  const tree = copyOf(replica.tree, (write) => {
    write(setData('/changed', 'x'));
    write(remove('/gone'));
    write(remove('/again'));
    write(create('/again'));
    write(create('/new'));
    write(create('/parent/child'));
  });
  replica.replaceTree(tree);
  replica.serve(true);
  replica.step();
  expect(shots.seen.sort()).toEqual(['changed', 'gone', 'again', 'new', 'parent'].map((name) => shotFor[name]).sort());
  expect(deep.seen.sort()).toEqual(
    ['created /again', 'created /new', 'created /parent/child', 'dataChanged /changed', 'deleted /again', 'deleted /gone'].sort(),
  );
  expect(flat.seen).toEqual(['childrenChanged /parent']);
  // What fired is gone from the table, what did not is still there, and the new tree's events count.
  shots.seen.length = 0;
  for (const path of ['/same', '/changed', '/again', '/new', '/parent']) replica.elsewhere(setData(path, 'later'));
  expect(shots.seen).toEqual(['dataChanged /same']);
});

const shotFor: Record<string, string> = {
  changed: 'dataChanged /changed',
  gone: 'deleted /gone',
  again: 'deleted /again',
  new: 'created /new',
  parent: 'childrenChanged /parent',
};

test('watches that a new tree fired cost it nothing any more', async () => {
  const { session, replica } = await openRig();
  await session.create('/a');
  const { seen, note } = recorder();
  await session.getData('/a', { watch: note });
  await session.getChildren('/a', { watch: note });
  replica.serve(false);
  replica.replaceTree(copyOf(replica.tree, (write) => write(remove('/a'))));
  replica.serve(true);
  await expect.poll(() => seen).toEqual(['deleted /a']);
  expect(replica.tree.onEvent).toBeNull();
});

test('recovery before the first serving is no change', async () => {
  const { node, replica } = makeRig();
  const { seen, note } = recorder();
  node.watch('/', note, { recursive: true });
  const tree = copyOf(replica.tree, (write) => write(create('/recovered')));
  replica.replaceTree(tree);
  await node.start();
  expect(seen).toEqual([]);
  replica.elsewhere(create('/new'));
  expect(seen).toEqual(['created /new']);
});

test('an iterator gives events in order, those before next too, and ends by leaving the loop', async () => {
  const { session, node } = await openRig();
  const events = node.watch('/a');
  await session.create('/a');
  await session.setData('/a', 'x');
  const seen: string[] = [];
  for await (const { type, path } of events) {
    seen.push(`${type} ${path}`);
    if (seen.length === 2) break;
  }
  expect(seen).toEqual(['created /a', 'dataChanged /a']);
  expect(node.metrics().watches).toBe(0);
  expect(await events.next()).toEqual({ done: true, value: undefined });
});

test('an iterator waits, also with several calls of next at once', async () => {
  const { session, node } = await openRig();
  const events = session.watch('/', { recursive: true });
  const waiting = [events.next(), events.next()];
  expect(await isSettled(waiting[0])).toBe(false);
  await session.create('/a');
  await session.create('/b');
  expect((await Promise.all(waiting)).map(({ value }) => (value as WatchEvent).path)).toEqual(['/a', '/b']);
  const last = events.next();
  await session.close();
  expect(await last).toEqual({ done: true, value: undefined });
  expect(node.metrics().watches).toBe(0);
});

test('a slow iterator gets one overflow in place of what it lost, and is complete again after it', async () => {
  const { node, replica } = await startRig();
  replica.elsewhere(create('/a'));
  const events = node.watch('/a', { capacity: 3 });
  for (let i = 0; i < 5; i++) replica.elsewhere(setData('/a', `${i}`));
  const { lastZxid } = node.tree;
  const take = async () => (await events.next()).value as WatchEvent;
  // The fourth event dropped the three before it; the fifth came after.
  const first = await take();
  expect([first.type, first.path]).toEqual(['overflow', '/a']);
  const second = await take();
  expect(second.type).toBe('dataChanged');
  expect(second.zxid.eq(lastZxid)).toBe(true);
  for (let i = 0; i < 3; i++) replica.elsewhere(setData('/a', `${i}`));
  for (let i = 0; i < 3; i++) expect((await take()).type).toBe('dataChanged');
  for (const capacity of [0, 1.5, Number.NaN]) expect(() => node.watch('/a', { capacity })).toThrow(/capacity/);
});

test('an iterator ends by its signal at once, and by the node’s stop after what it has', async () => {
  const { node, replica } = await startRig();
  const stop = new AbortController();
  const bySignal = node.watch('/a', { signal: stop.signal });
  const byStop = node.watch('/a');
  replica.elsewhere(create('/a'));
  stop.abort();
  expect(await bySignal.next()).toEqual({ done: true, value: undefined });
  await node.stop();
  expect((await byStop.next()).value).toMatchObject({ type: 'created' });
  expect((await byStop.next()).done).toBe(true);
  expect(() => node.watch('/a')).toThrow(/stopped/);
  const late = new AbortController();
  late.abort();
  const { node: other } = await startRig();
  expect(await other.watch('/a', { signal: late.signal }).next()).toEqual({ done: true, value: undefined });
});
