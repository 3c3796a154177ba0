import type Long from 'long';
import { expect, test } from 'vitest';
import type { Session, SessionOptions } from '../../src/node/api.ts';
import { sessionPassword } from '../../src/node/session-id.ts';
import { finale } from '../../src/testing/finale.ts';
import type { Simulation } from '../../src/testing/simulation.ts';
import { begin, bring, bringLedBy3, create, isPacket, level, linesOf, names, namesOnDisk, stage, zxidsOnDisk } from './kit.ts';
import { Held } from './seen.ts';

/*
 * Sessions that move, end or expire while something of them is still on its way. There are no local sessions here and so no upgrades: every session is made by a transaction, and only
 * the leader counts its time. What is left of these faults is a createSession that is under way.
 */

/** ms; the shortest that the ensemble gives. */
const TIMEOUT = 4000;

/** Goes on with a session by what every server knows of it. */
const resume = (id: Long): SessionOptions => ({ timeout: TIMEOUT, resume: { id, password: sessionPassword(id) } });

/** The one session that a server shows. */
function sessionAt(sim: Simulation, id: number): Long {
  const [session, ...others] = [...sim.treeOf(id).sessions.values()];
  expect(others).toEqual([]);
  return session.id;
}

/** What became of a promise that nobody waits for: 'done' or the error's code. */
const outcomeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'done',
    (error: { code: string }) => error.code,
  );

/** Server 3 leads, and a session at server 1 is made, of which server 1 does not know yet: what tells it is held. */
async function openingAt1(sim: Simulation): Promise<{ opening: Promise<Session>; id: Long; held: Held }> {
  await bringLedBy3(sim);
  expect(sim.leader).toBe(3);
  const held = new Held();
  sim.filterSends((_from, to, message, send) => (to === 1 && isPacket(message, 'COMMIT') ? held.keep(send) : true));
  const opening = sim.node(1).openSession({ timeout: TIMEOUT });
  opening.catch(() => {});
  await sim.until(() => sim.treeOf(2).sessions.size === 1);
  return { opening, id: sessionAt(sim, 2), held };
}

test('ZOOKEEPER-2926: a session that moves while its creation is on its way has one owner, and one end for all servers', async () => {
  const { sim, seen } = stage({ seed: 2926 });
  const { opening, id, held } = await openingAt1(sim);
  const moved = await sim.openSession(2, resume(id));
  await moved.create('/held', null, { mode: 'ephemeral' });
  expect(sim.treeOf(1).sessions.size).toBe(0);
  sim.filterSends(null);
  held.release();
  // Now two servers have a handle on it. The one that came last has it.
  const first = await sim.run(opening);
  expect(first.id.equals(id)).toBe(true);
  expect(await sim.run(outcomeOf(first.create('/stale')))).toBe('SESSION_MOVED');
  expect(first.state).toBe('closed');
  await sim.advance(5 * TIMEOUT);
  expect(moved.state).toBe('connected');
  for (const server of sim.servers) expect(names(sim, server)).toEqual(['held']);

  sim.crash(2);
  const crash = sim.now;
  await sim.until(() => names(sim, 1).length === 0 && names(sim, 3).length === 0);
  expect(sim.now - crash).toBeGreaterThan(TIMEOUT - sim.tickTime);
  expect(sim.now - crash).toBeLessThan(TIMEOUT + 2 * sim.tickTime);
  for (const server of [1, 3]) expect(linesOf(seen, new RegExp(`^${server} applies .* closeSession`))).toHaveLength(1);
  sim.restart(2);
  await finale(sim);
});

test('ZOOKEEPER-2926: a session that moved keeps its time when the leader changes, and what its old server says last ends nothing', async () => {
  const { sim, seen } = stage({ seed: 29260 });
  const { opening, id, held } = await openingAt1(sim);
  const moved = await sim.openSession(2, resume(id));
  await moved.create('/held', null, { mode: 'ephemeral' });
  sim.filterSends(null);
  held.release();
  await sim.run(opening);
  // Server 1 and its handle are gone, and server 2 leads: nobody has told it of the move.
  sim.crash(1);
  await level(sim, 3, 2);
  sim.crash(3);
  await bring(sim, 1);
  await sim.until(() => sim.leader !== undefined && moved.state === 'connected');
  await sim.advance(5 * TIMEOUT);
  await moved.setData('/held', 'mine');
  expect(linesOf(seen, / closeSession/)).toEqual([]);
  await moved.close();
  expect(sim.treeOf(2).sessions.size).toBe(0);
  sim.restart(3);
  await finale(sim);
  expect(names(sim, 1)).toEqual([]);
});

test.each([
  [2, 'SESSION_EXPIRED'],
  [1, 'SESSION_MOVED'],
])(
  'ZOOKEEPER-3471: an ephemeral asked for at server 1 that comes behind the closing of its session, through server %i, is not made',
  async (closer, code) => {
    const { sim, seen } = stage({ seed: 3471 });
    await bringLedBy3(sim);
    const session = await sim.openSession(1, { timeout: TIMEOUT });
    await level(sim, 3, 1, 2);
    const late = new Held();
    const proposals = new Held();
    sim.filterSends((from, _to, message, send) => {
      if (from === 1 && isPacket(message, 'REQUEST') && late.count === 0) return late.keep(send);
      return from === 3 && isPacket(message, 'PROPOSAL') ? proposals.keep(send) : true;
    });
    const lock = outcomeOf(session.create('/lock', null, { mode: 'ephemeral' }));
    await sim.until(() => late.count === 1);
    const elsewhere = await sim.openSession(closer, resume(session.id));
    const closed = outcomeOf(elsewhere.close());
    // Reached: the leader has proposed the end of the session, which nobody has committed, and gets the create now.
    await sim.until(() => proposals.count === 2);
    late.release();
    await sim.until(() => seen.has('3<1 REQUEST create'));
    await sim.until(() => proposals.count === 4);
    expect(linesOf(seen, / applies .* closeSession/)).toEqual([]);
    sim.filterSends(null);
    proposals.release();
    expect(await sim.run(closed)).toBe('done');
    expect(await sim.run(lock)).toBe(code);
    await finale(sim);
    seen.inOrder(['1 applies 0x100000002 closeSession', '1 applies 0x100000003 error']);
    expect(names(sim, 3)).toEqual([]);
    // The lock is free for the next one.
    const other = await sim.openSession(1);
    await other.create('/lock', null, { mode: 'ephemeral' });
    await finale(sim);
  },
);

test('ZOOKEEPER-3471: a session that nobody wants any more when its creation comes back is closed at once, not left to expire', async () => {
  const { sim, seen } = stage({ seed: 34710 });
  await bringLedBy3(sim);
  const held = new Held();
  sim.filterSends((_from, to, message, send) => (to === 1 && isPacket(message, 'COMMIT') ? held.keep(send) : true));
  const giveUp = new AbortController();
  const opening = outcomeOf(sim.node(1).openSession({ timeout: 10 * TIMEOUT, signal: giveUp.signal }));
  await sim.until(() => sim.treeOf(3).sessions.size === 1);
  giveUp.abort();
  expect(await sim.run(opening)).toBe('ABORTED');
  sim.filterSends(null);
  held.release();
  await sim.until(() => sim.servers.every((id) => seen.has(new RegExp(`^${id} applies .* closeSession`))), 1000);
  for (const id of sim.servers) expect(sim.treeOf(id).sessions.size).toBe(0);
  await finale(sim);
});

test('ZOOKEEPER-3526: a server without a quorum ends no session and writes nothing, however long it is alone', async () => {
  const { sim, seen } = stage({ seed: 3526 });
  await bringLedBy3(sim);
  const session = await sim.openSession(1, { timeout: TIMEOUT });
  const lost = await sim.openSession(2, { timeout: TIMEOUT });
  await create(session, '/data');
  await session.create('/held', null, { mode: 'ephemeral' });
  await lost.create('/lost', null, { mode: 'ephemeral' });
  await level(sim, 3, 1, 2);
  for (const id of [2, 3]) sim.crash(id);
  const alone = seen.lines.length;
  const zxids = zxidsOnDisk(sim, 1);
  await sim.advance(20 * TIMEOUT);
  // It shows what it had, refuses writes, and does not even think of an end of its own.
  expect(linesOf(seen, /^1 (logs|applies|truncates|installs)/, alone)).toEqual([]);
  expect(zxidsOnDisk(sim, 1)).toEqual(zxids);
  expect([sim.node(1).role, session.state]).toEqual(['looking', 'suspended']);
  expect(await outcomeOf(session.create('/more'))).toBe('CONNECTION_LOSS');
  expect(names(sim, 1)).toEqual(['data', 'held', 'lost']);

  await bring(sim, 1, 2);
  await sim.until(() => session.state === 'connected' && names(sim, 1).length === 2);
  await bring(sim, 3);
  expect(linesOf(seen, /<\d TRUNC/)).toEqual([]);
  await finale(sim);
  for (const id of sim.servers) expect(namesOnDisk(sim, id)).toEqual(['data', 'held']);
});

test('ZOOKEEPER-3526: the closing of a session that a leader without a quorum has logged is cut off, and nothing else', async () => {
  const { sim, seen } = stage({ seed: 35260 });
  await bringLedBy3(sim);
  const session = await sim.openSession(1, { timeout: TIMEOUT });
  await create(session, '/data');
  await session.create('/held', null, { mode: 'ephemeral' });
  await level(sim, 3, 1, 2);
  // Nothing says any more that the session lives: it expires before syncLimit, which is 10 s, is over.
  sim.partition([3], [1, 2]);
  await sim.until(() => seen.has('3 has 0x100000004'));
  expect(sim.node(3).role).toBe('leading');
  await sim.until(() => sim.leader === 2 && session.state === 'connected');
  expect(names(sim, 1)).toEqual(['data', 'held']);
  // First step of the way back: together with a server that has its history, and its leader. Second: from its disk.
  sim.heal();
  await sim.until(() => sim.serves(3, 2));
  expect(linesOf(seen, /^3<2 TRUNC/)).toEqual(['3<2 TRUNC 0x100000003']);
  expect(names(sim, 3)).toEqual(['data', 'held']);
  sim.crash(3);
  await bring(sim, 3);
  await sim.advance(3 * TIMEOUT);
  expect(session.state).toBe('connected');
  expect(linesOf(seen, /applies .* closeSession/)).toEqual([]);
  await finale(sim);
  for (const id of sim.servers) expect(namesOnDisk(sim, id)).toEqual(['data', 'held']);
});

test.each([
  ['DIFF', 0],
  ['SNAP', 3],
] as const)('ZOOKEEPER-4837: the ephemerals of a session that expired behind a partition are gone after a %s back', async (plan, tail) => {
  const { sim, seen } = stage({ seed: 4837 });
  await bringLedBy3(sim);
  // Who leads has a tail when it comes back, and so gets a snapshot.
  const away = plan === 'SNAP' ? 3 : 1;
  const rest = sim.servers.filter((id) => id !== away);
  const session = await sim.openSession(away, { timeout: TIMEOUT });
  for (const path of ['/held', '/also']) await session.create(path, null, { mode: 'ephemeral' });
  await level(sim, 3, 1, 2);
  sim.isolate(away);
  for (let i = 0; i < tail; i++) outcomeOf(session.create(`/late-${i}`, null, { mode: 'ephemeral' }));
  await sim.until(() => sim.treeOf(2).getChildren('/')!.length === 1, 60_000);
  await create(await sim.openSession(2), '/after');
  await sim.until(() => session.state === 'suspended');
  expect(names(sim, away)).toEqual(['also', 'held']);
  sim.heal();
  const back = seen.lines.length;
  await sim.until(() => session.state === 'expired');
  expect(linesOf(seen, new RegExp(`^${away}<\\d (DIFF|TRUNC|SNAP)`), back)[0]).toMatch(new RegExp(`^${away}<${sim.leader} ${plan}`));
  await finale(sim);
  expect(rest).not.toContain(away);
  for (const id of sim.servers) {
    expect(namesOnDisk(sim, id)).toEqual(['after']);
    expect(sim.treeOf(id).getEphemerals(session.id)).toEqual([]);
  }
});

test('ZOOKEEPER-4837: the last words of the cut-off server bring no session back whose end is decided', async () => {
  const { sim, seen } = stage({ seed: 48370 });
  await bringLedBy3(sim);
  const session = await sim.openSession(1, { timeout: TIMEOUT });
  await session.create('/held', null, { mode: 'ephemeral' });
  await level(sim, 3, 1, 2);
  const pongs = new Held();
  const proposals = new Held();
  let isCutOff = true;
  sim.filterSends((from, to, message, send) => {
    if (isCutOff && from === 1 && isPacket(message, 'PING')) return pongs.keep(send);
    return to !== 3 && isPacket(message, 'PROPOSAL') ? proposals.keep(send) : true;
  });
  await sim.until(() => proposals.count === 2);
  // Reached: the closing is on the leader's disk, not committed, and now it hears that the session lives.
  await sim.until(() => seen.has('3 has 0x100000003'));
  expect(seen.has(/ applies .* closeSession/)).toBe(false);
  isCutOff = false;
  const from = seen.lines.length;
  pongs.release();
  await sim.until(() => seen.has('3<1 PING', from));
  begin(session, '/more');
  await sim.until(() => seen.has('3<1 REQUEST create', from));
  const again = outcomeOf(sim.openSession(2, resume(session.id)));
  await sim.until(() => seen.has(/^2<3 REVALIDATE .* false$/, from));
  await sim.advance(TIMEOUT);
  expect(seen.has(/ applies .* closeSession/)).toBe(false);
  sim.filterSends(null);
  proposals.release();
  await finale(sim);
  expect(await sim.run(again)).toBe('SESSION_EXPIRED');
  expect(session.state).toBe('expired');
  for (const id of sim.servers) expect(namesOnDisk(sim, id)).toEqual([]);
});
