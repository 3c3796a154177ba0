import { expect, test } from 'vitest';
import { Err, EventType, Op } from '../../src/model/codes.ts';
import { formatZxid, makeZxid } from '../../src/model/zxid.ts';
import type { WatchEvent } from '../../src/node/api.ts';
import { writeNames } from '../../src/wire/client-replies.ts';
import type { SetWatchesRequest } from '../../src/wire/client-requests.ts';
import { type FakeConnection, type FakeRequest, Lab, statBody } from './fake-servers.ts';

const { nodeCreated, nodeDeleted, nodeDataChanged, nodeChildrenChanged } = EventType;

/** A callback that notes what it gets. */
function notes(): { (event: WatchEvent): void; seen: string[] } {
  const seen: string[] = [];
  const note = (event: WatchEvent): void => void seen.push(`${event.type} ${event.path}`);
  return Object.assign(note, { seen });
}

const dataBody = (w: Parameters<ReturnType<typeof statBody>>[0]): void => {
  w.int(-1);
  statBody()(w);
};
const childrenBody = (w: Parameters<ReturnType<typeof statBody>>[0]): void => {
  writeNames(w, []);
  statBody()(w);
};

/** Answers everything that has been asked since the last time. */
function answerer(server: FakeConnection): (zxid?: number, missing?: readonly string[]) => void {
  let answered = 0;
  const body = ({ op }: FakeRequest) => {
    if (op === Op.getData) return dataBody;
    if (op === Op.getChildren2) return childrenBody;
    return op === Op.addWatch ? (w: Parameters<typeof dataBody>[0]) => w.int(0) : statBody();
  };
  return (zxid = 10, missing = []) => {
    for (const request of server.requests.slice(answered)) {
      answered++;
      const err = missing.includes(request.record.path) ? Err.noNode : 0;
      server.reply(request.xid, zxid, err, body(request));
    }
  };
}

const watchFlags = (server: FakeConnection) =>
  server.requests.filter(({ record }) => 'watch' in record).map(({ record }) => [record.path, record.watch]);
const registrations = (server: FakeConnection) =>
  server.requests
    .filter(({ op }) => op === Op.addWatch || op === Op.removeWatches)
    .map(({ op, record }) => (op === Op.addWatch ? `add ${record.path} ${record.mode}` : `remove ${record.path} ${record.kind}`));

test('one-shot watches: entered when their read is answered, called once with the next change, before the answer that shows it', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session();
  const answer = answerer(server);
  const data = notes();
  const absent = notes();
  const failed = notes();
  const child = notes();
  const reads = [
    session.getData('/a', { watch: data }),
    session.exists('/a', { watch: data }),
    session.exists('/b', { watch: absent }),
    session.getData('/b', { watch: failed }).catch(() => null),
    session.getChildren('/a', { watch: child }),
  ];
  await lab.clock.turn();
  expect(watchFlags(server).every(([, watch]) => watch)).toBe(true);
  answer(10, ['/b']);
  await Promise.all(reads);

  const order: string[] = [];
  const read = session.exists('/a').then(() => order.push(`answer after ${data.seen.length} event`));
  await lab.clock.turn();
  server.event(nodeDataChanged, '/a');
  answer();
  await read;
  server.event(nodeDataChanged, '/a');
  server.event(nodeCreated, '/b');
  server.event(nodeDeleted, '/a');
  expect([order, data.seen, absent.seen, failed.seen, child.seen]).toEqual([
    ['answer after 1 event'],
    ['dataChanged /a'],
    ['created /b'],
    [],
    ['deleted /a'],
  ]);
});

test('events: the zxid if the server tells it, and what no client knows is dropped', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session();
  const zxids: string[] = [];
  session.watch('/a', ({ zxid }) => zxids.push(formatZxid(zxid)));
  session.watch('/a', () => {
    throw new Error('a bad listener');
  });
  server.event(nodeDataChanged, '/a');
  server.event(nodeDataChanged, '/a', makeZxid(1, 9));
  server.event(99, '/a');
  server.event(-1, '');
  expect(zxids).toEqual(['0x0', '0x100000009']);
  expect(lab.log.filter((line) => line.includes('a watch callback threw'))).toHaveLength(2);
});

test('persistent watches: one registration for many, until the last one ends', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session();
  const [a, b] = [notes(), notes()];
  const endA = session.watch('/a', a);
  const endB = session.watch('/a', b);
  const stream = session.watch('/a');
  await lab.clock.turn();
  expect(registrations(server)).toEqual(['add /a 0']);
  server.event(nodeChildrenChanged, '/a');
  endA();
  endA();
  server.event(nodeDataChanged, '/a');
  endB();
  await lab.clock.turn();
  expect(registrations(server)).toEqual(['add /a 0']);
  expect([(await stream.next()).value?.type, (await stream.next()).value?.type]).toEqual(['childrenChanged', 'dataChanged']);
  await stream.return?.();
  await lab.clock.turn();
  expect(registrations(server)).toEqual(['add /a 0', 'remove /a 3']);
  answerer(server)();
  expect([a.seen, b.seen]).toEqual([['childrenChanged /a'], ['childrenChanged /a', 'dataChanged /a']]);
});

test('persistent watches: a recursive one beside one that is not leaves nobody out, whichever mode the server keeps', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session();
  const [plain, recursive] = [notes(), notes()];
  session.watch('/a', plain);
  const end = session.watch('/a', recursive, { recursive: true });
  session.watch('/a', () => {});
  await lab.clock.turn();
  expect(registrations(server)).toEqual(['add /a 0', 'add /a 1']);
  const answer = answerer(server);
  answer();
  // 3.8.0 with the recursive mode alone: creations and deletions tell of the children.
  server.event(nodeCreated, '/a/x');
  server.event(nodeCreated, '/a/x/y');
  server.event(nodeDeleted, '/a/x');
  // A server that keeps both.
  server.event(nodeCreated, '/a/z');
  server.event(nodeChildrenChanged, '/a');
  server.event(nodeDataChanged, '/a');
  const changes = ['childrenChanged /a', 'childrenChanged /a', 'childrenChanged /a', 'dataChanged /a'];
  expect(plain.seen).toEqual(changes);
  expect(recursive.seen).toEqual(['created /a/x', 'created /a/x/y', 'deleted /a/x', 'created /a/z', 'dataChanged /a']);
  end();
  await lab.clock.turn();
  expect(registrations(server)).toEqual(['add /a 0', 'add /a 1', 'add /a 0']);
  answer();
  // The one that a server with both modes still has for the subtree is nobody's.
  server.event(nodeCreated, '/a/w');
  server.event(nodeChildrenChanged, '/a');
  expect(plain.seen).toEqual([...changes, 'childrenChanged /a']);
  expect(recursive.seen).toHaveLength(5);
});

test('persistent watches: a mode holds until the server has taken another one', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session();
  const [plain, child] = [notes(), notes()];
  const end = session.watch('/a', () => {}, { recursive: true });
  session.watch('/a', plain);
  const read = session.getChildren('/a', { watch: child });
  await lab.clock.turn();
  answerer(server)();
  await read;
  end();
  await lab.clock.turn();
  expect(registrations(server)).toEqual(['add /a 1', 'add /a 0']);
  // The server has not read that yet, and so says nothing of children.
  server.event(nodeCreated, '/a/x');
  expect([plain.seen, child.seen]).toEqual([['childrenChanged /a'], ['childrenChanged /a']]);
  server.reply(server.requests.at(-1)!.xid);
  server.event(nodeChildrenChanged, '/a');
  expect(plain.seen).toEqual(['childrenChanged /a', 'childrenChanged /a']);
});

test('persistent watches: a change of children is told twice only if it happened twice', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session();
  const plain = notes();
  session.watch('/a', plain);
  session.watch('/a', () => {}, { recursive: true });
  const reads = [session.exists('/p'), session.exists('/q')];
  await lab.clock.turn();
  const [first, second] = server.requests.filter(({ op }) => op === Op.exists);
  for (const { xid } of server.requests.filter(({ xid }) => xid < first.xid)) server.reply(xid);
  server.event(nodeCreated, '/a/x');
  server.reply(first.xid, 5, Err.noNode);
  server.event(nodeChildrenChanged, '/a');
  server.reply(second.xid, 5, Err.noNode);
  await Promise.all(reads);
  expect(plain.seen).toEqual(['childrenChanged /a', 'childrenChanged /a']);
});

test('persistent and one-shot watches: a read does not take the mode away, and lives on the registration', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session();
  const answer = answerer(server);
  const [data, child] = [notes(), notes()];
  const end = session.watch('/a', () => {}, { recursive: true });
  const reads = [session.getData('/a', { watch: data }), session.getChildren('/a', { watch: child })];
  await lab.clock.turn();
  expect(watchFlags(server)).toEqual([
    ['/a', false],
    ['/a', false],
  ]);
  // The registration ends with its last user only: those under way count.
  end();
  await lab.clock.turn();
  answer();
  await Promise.all(reads);
  await lab.clock.turn();
  expect(registrations(server)).toEqual(['add /a 1']);
  server.event(nodeCreated, '/a/x');
  await lab.clock.turn();
  expect([child.seen, registrations(server)]).toEqual([['childrenChanged /a'], ['add /a 1']]);
  server.event(nodeDataChanged, '/a');
  await lab.clock.turn();
  expect([data.seen, registrations(server)]).toEqual([['dataChanged /a'], ['add /a 1', 'remove /a 3']]);
});

test('removeWatches: in its turn, and with the server’s registration if nobody is left', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session();
  const answer = answerer(server);
  const data = notes();
  void session.getData('/a', { watch: data });
  session.watch('/a', data);
  const removed = session.removeWatches('/a', 'data');
  const none = session.removeWatches('/a', 'children').catch((error) => error.code);
  await lab.clock.turn();
  answer();
  await removed;
  expect(await none).toBe('NO_WATCHER');
  expect(registrations(server)).toEqual(['add /a 0']);
  await session.removeWatches('/a');
  await lab.clock.turn();
  expect(registrations(server)).toEqual(['add /a 0', 'remove /a 3']);
  server.event(nodeDataChanged, '/a');
  expect(data.seen).toEqual([]);
});

/** A session with watches of every kind, which has lost its server after zxid 10. */
async function withWatches() {
  const lab = new Lab();
  const { session, server } = await lab.session();
  const seen = { data: notes(), absent: notes(), child: notes(), plain: notes(), recursive: notes() };
  const reads = [
    session.getData('/data', { watch: seen.data }),
    session.exists('/absent', { watch: seen.absent }),
    session.getChildren('/child', { watch: seen.child }),
  ];
  session.watch('/plain', seen.plain);
  session.watch('/recursive', seen.recursive, { recursive: true });
  await lab.clock.turn();
  answerer(server)(10, ['/absent']);
  await Promise.all(reads);
  server.close();
  return { lab, session, seen };
}

const ALL = {
  data: ['/data'],
  exist: ['/absent'],
  child: ['/child'],
  persistent: ['/plain'],
  persistentRecursive: ['/recursive'],
};

test('a new connection: asks for all watches from where the old one ended, before anything else', async () => {
  const { lab, session, seen } = await withWatches();
  const next = await lab.reconnect();
  expect(next.requests).toHaveLength(1);
  const { op, record } = next.requests[0];
  expect([op, formatZxid(record.since), record.lists]).toEqual([Op.setWatches2, formatZxid(makeZxid(1, 10)), ALL]);
  next.event(nodeDataChanged, '/data');
  next.event(nodeCreated, '/absent');
  next.reply(next.requests[0].xid, 25);
  next.event(nodeDataChanged, '/plain');
  expect([seen.data.seen, seen.absent.seen, seen.child.seen]).toEqual([['dataChanged /data'], ['created /absent'], []]);
  // Nobody knows what those that stay have missed.
  expect([seen.plain.seen, seen.recursive.seen]).toEqual([['overflow /plain', 'dataChanged /plain'], ['overflow /recursive']]);
  void session;
});

test('a new connection: who waits for a znode waits on, whatever other reads have found nothing there', async () => {
  const { lab, session, seen } = await withWatches();
  const second = await lab.reconnect();
  second.reply(second.requests[0].xid, 10);
  const reads = [session.getData('/absent', { watch: notes() }), session.getChildren('/absent', { watch: notes() })];
  await lab.clock.turn();
  for (const { xid } of second.requests.slice(1)) second.reply(xid, 10, -101);
  for (const read of reads) await expect(read).rejects.toMatchObject({ code: 'NO_NODE' });
  second.close();
  const third = await lab.reconnect();
  expect(third.requests[0].record.lists).toEqual(ALL);
  expect(seen.absent.seen).toEqual([]);
});

test('a new connection: what one-shot watches have missed is no event for those that stay', async () => {
  const { lab, session, seen } = await withWatches();
  const [there, fresh] = [notes(), notes()];
  session.watch('/data', there);
  session.watch('/', fresh, { recursive: true });
  const next = await lab.reconnect();
  // It was deleted and made again, which is told as one change.
  next.event(nodeDataChanged, '/data');
  expect([seen.data.seen, there.seen, fresh.seen]).toEqual([['dataChanged /data'], [], []]);
  next.reply(next.requests[0].xid, 25);
  expect([there.seen, fresh.seen]).toEqual([['overflow /data'], ['overflow /']]);
  next.event(nodeDataChanged, '/data');
  expect([there.seen, fresh.seen]).toEqual([
    ['overflow /data', 'dataChanged /data'],
    ['overflow /', 'dataChanged /data'],
  ]);
});

test('a new connection: those that stay hear nothing if nothing has happened', async () => {
  const { lab, seen } = await withWatches();
  const next = await lab.reconnect();
  next.reply(next.requests[0].xid, 10);
  expect([seen.plain.seen, seen.recursive.seen]).toEqual([[], []]);
});

test('a new connection that ends before the watches stand: the next one begins at the same point', async () => {
  const { lab, session, seen } = await withWatches();
  const second = await lab.reconnect();
  await lab.clock.advance(3001);
  second.reply(-2, 30);
  second.close();
  const third = await lab.reconnect();
  expect(formatZxid(third.hello!.lastZxidSeen)).toBe(formatZxid(makeZxid(1, 30)));
  expect(formatZxid(third.requests[0].record.since)).toBe(formatZxid(makeZxid(1, 10)));
  session.watch('/later', seen.plain);
  third.reply(third.requests[0].xid, 30);
  expect(seen.plain.seen).toEqual(['overflow /plain']);
});

test('a new connection: only setWatches without persistent watches, nothing without any, and one that was made meanwhile missed nothing', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session();
  const answer = answerer(server);
  server.close();
  const second = await lab.reconnect();
  expect(second.requests).toEqual([]);
  const read = session.exists('/a', { watch: () => {} });
  await lab.clock.turn();
  second.reply(1, 12, 0, statBody());
  await read;
  second.close();
  const third = await lab.reconnect();
  expect(third.ops).toEqual([Op.setWatches]);
  third.reply(third.requests[0].xid, 12);
  third.close();
  const meanwhile = notes();
  session.watch('/b', meanwhile);
  const fourth = await lab.reconnect();
  expect([fourth.ops, fourth.requests[0].record.lists.persistent]).toEqual([[Op.setWatches2], ['/b']]);
  fourth.reply(fourth.requests[0].xid, 50);
  expect(meanwhile.seen).toEqual([]);
  void answer;
});

test('a new connection: what a watch that ended meanwhile had registered is not there any more', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session();
  const end = session.watch('/a', () => {});
  await lab.clock.turn();
  server.close();
  end();
  const next = await lab.reconnect();
  void session.exists('/a', { watch: () => {} });
  await lab.clock.turn();
  expect(next.requests.map(({ op, record }) => [op, record.watch])).toEqual([[Op.exists, true]]);
});

test('a new connection: many watches are asked for in several requests of bounded size, those that stay last', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session();
  const path = (i: number) => `/${'x'.repeat(1000)}-${i}`;
  const reads = Array.from({ length: 100 }, (_, i) => session.exists(path(i), { watch: () => {} }));
  const ends = Array.from({ length: 10 }, (_, i) => session.watch(path(1000 + i), () => {}));
  await lab.clock.turn();
  answerer(server)();
  await Promise.all(reads);
  server.close();
  const next = await lab.reconnect();
  const requests = next.requests.map(({ record }) => record as SetWatchesRequest);
  expect(requests.length).toBeGreaterThan(1);
  const bytes = requests.map(({ lists }) =>
    Object.values(lists)
      .flat()
      .reduce((sum, at) => sum + 4 + at.length, 0),
  );
  expect(Math.max(...bytes)).toBeLessThanOrEqual(128 * 1024);
  expect(requests.flatMap(({ lists }) => lists.data)).toEqual(Array.from({ length: 100 }, (_, i) => path(i)));
  expect(requests.at(-1)!.lists.persistent.length).toBeGreaterThan(0);
  expect(requests.flatMap(({ lists }) => lists.persistent)).toHaveLength(10);
  for (const end of ends) end();
});

test('a server without persistent watches: they end, and the session goes on', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session();
  const seen = notes();
  session.watch('/a', seen);
  const stream = session.watch('/a');
  await lab.clock.turn();
  server.reply(server.last(Op.addWatch).xid, 5, Err.unimplemented);
  await lab.clock.turn();
  void session.exists('/a', { watch: () => {} }).catch(() => null);
  await lab.clock.turn();
  expect(server.requests.map(({ op, record }) => [op, record.watch])).toEqual([
    [Op.addWatch, undefined],
    [Op.exists, true],
  ]);
  server.close();
  expect(await stream.next()).toEqual({ done: true, value: undefined });
  const next = await lab.reconnect();
  expect(next.requests).toEqual([]);
  expect(lab.log.some((line) => line.includes('refused a persistent watch'))).toBe(true);
});

test('iterators: end with the session, and are bounded', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session();
  const bounded = session.watch('/a', { capacity: 2 });
  const waiting = session.watch('/a');
  for (let i = 0; i < 3; i++) server.event(nodeDataChanged, '/a');
  expect((await bounded.next()).value?.type).toBe('overflow');
  const closing = session.close();
  await lab.clock.turn();
  for (const { xid } of server.requests) server.reply(xid);
  await closing;
  const left: string[] = [];
  for await (const event of waiting) left.push(event.type);
  expect(left).toEqual(['dataChanged', 'dataChanged', 'dataChanged']);
  expect(() => session.watch('/a')).toThrow(/SESSION_EXPIRED/);
});

test('a session with a root: paths go out below it and come back without it', async () => {
  const lab = new Lab();
  const { session, server } = await lab.session({}, 'a:1/app/one');
  const [root, below] = [notes(), notes()];
  session.watch('/', root, { recursive: true });
  const read = session.exists('/x', { watch: below });
  await lab.clock.turn();
  expect(server.requests.map(({ record }) => record.path)).toEqual(['/app/one', '/app/one/x']);
  answerer(server)(10, ['/app/one/x']);
  expect(await read).toBeNull();
  server.event(nodeCreated, '/app/one/x');
  server.event(nodeDataChanged, '/app/one');
  server.event(nodeDataChanged, '/app/other');
  expect(root.seen).toEqual(['created /x', 'dataChanged /']);
  expect(below.seen).toEqual(['created /x']);
  void session.exists('/y', { watch: below });
  await lab.clock.turn();
  server.reply(server.last(Op.exists).xid, 11, Err.noNode);
  server.close();
  const next = await lab.reconnect();
  expect(next.requests[0].record.lists).toMatchObject({ exist: ['/app/one/y'], persistentRecursive: ['/app/one'] });
});
