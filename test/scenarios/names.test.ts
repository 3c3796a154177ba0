import { expect, test } from 'vitest';
import { finale } from '../../src/testing/finale.ts';
import type { Simulation } from '../../src/testing/simulation.ts';
import { PeerState } from '../../src/zab/messages.ts';
import { bring, create, linesOf, names, stage } from './kit.ts';
import { Held } from './seen.ts';

/*
 * Names that are not found for a while, as in a cluster whose name service is slower than its servers.
 */

/** Names of all servers fail, or only of some. */
function failNames(sim: Simulation, ids: readonly number[], ms?: number): void {
  for (const id of ids) sim.network.failLookups(`server${id}`, ms);
}

/** A write at each of these servers is committed; at all that are up, if none is named. */
async function allWrite(sim: Simulation, ids = sim.servers.filter((id) => sim.isUp(id))): Promise<void> {
  for (const id of ids) await create(await sim.openSession(id), `/by-${id}`);
}

test('ZOOKEEPER-3756, 3320: servers whose own names are not found at the start listen as soon as they are', async () => {
  const { sim, seen } = stage({ seed: 3756 });
  failNames(sim, [1, 2, 3], 3000);
  for (const id of sim.servers) sim.restart(id);
  await sim.until(() => sim.story(200).includes('the own host name cannot be resolved yet'));
  await sim.advance(2900);
  expect(linesOf(seen, /serves/)).toEqual([]);
  const found = sim.now;
  await sim.settled();
  expect(sim.now - found).toBeLessThan(3000);
  expect(linesOf(seen, /stops|dies/)).toEqual([]);
  await allWrite(sim);
  await finale(sim);
});

test('ZOOKEEPER-3320: a server whose own name is never found ends with an error that says so, and the others go on without it', async () => {
  const { sim } = stage({ seed: 3320 });
  failNames(sim, [3]);
  for (const id of sim.servers) sim.restart(id);
  await sim.until(() => !sim.isUp(3));
  expect(sim.errorOf(3)?.message).toMatch(/cannot listen on server3: .*ENOTFOUND server3/);
  await sim.until(() => sim.leader === 2 && sim.serves(1, 2));
  await allWrite(sim);
  // Not half alive: its supervisor starts it again, and it is one of them.
  sim.heal();
  sim.restart(3);
  await finale(sim);
  expect(names(sim, 3)).toEqual(['by-1', 'by-2']);
});

test('strimzi 8675: whom nobody finds by its name is not elected, and joins by the connections that it opens itself', async () => {
  const { sim, seen } = stage({ seed: 8675, servers: 5 });
  // Server 5 would be designated. It has found itself when it listened, and is found by nobody from then on.
  sim.restart(5);
  await sim.advance(100);
  failNames(sim, [5]);
  for (const id of [1, 2, 3, 4]) sim.restart(id);
  await sim.settled();
  expect(sim.network.counts.get('network: failed lookup')).toBeGreaterThan(0);
  expect([sim.leader, sim.node(5).leaderId]).toEqual([4, 4]);
  await allWrite(sim);
  expect(linesOf(seen, / (dies|stops)/)).toEqual([]);
  sim.heal();
  await finale(sim);
});

test('strimzi 8675: an elected leader whose name is not found any more leads nobody, and commits come as soon as it is', async () => {
  const { sim, seen } = stage({ seed: 86750, servers: 5 });
  // All have their election links, and only then may they vote.
  const votes = new Held();
  sim.filterVotes((_from, _to, _message, send) => votes.keep(send));
  for (const id of sim.servers) sim.restart(id);
  await sim.until(() => seen.count(/did electionLinkUp/) === 20);
  failNames(sim, [5]);
  const elected: number[] = [];
  sim.filterVotes((_from, _to, message) => {
    if (message.kind === 'notification' && message.state === PeerState.FOLLOWING) elected.push(message.leader);
    return true;
  });
  votes.release();
  await sim.advance(5000);
  // Reached: it was elected again and again, and nobody gets to it. With its election connections up it looks as good as any.
  expect([elected.length > 10, new Set(elected)]).toEqual([true, new Set([5])]);
  expect(linesOf(seen, / serves$/)).toEqual([]);
  sim.heal();
  const found = sim.now;
  await sim.settled();
  expect(sim.now - found).toBeLessThan(5000);
  expect(linesOf(seen, / (dies|stops)/)).toEqual([]);
  await allWrite(sim);
  await finale(sim);
});

test('ZOOKEEPER-3756: peers that are not found at the start are found later, without a restart of anybody', async () => {
  const { sim, seen } = stage({ seed: 37560 });
  // Each finds itself by the time that it starts, and nobody else.
  for (const id of sim.servers) {
    sim.heal();
    failNames(
      sim,
      sim.servers.filter((other) => other !== id),
    );
    sim.restart(id);
    await sim.advance(50);
  }
  failNames(sim, sim.servers);
  await sim.advance(60_000);
  expect(linesOf(seen, / serves$/)).toEqual([]);
  expect(sim.servers.every((id) => sim.node(id).role === 'looking')).toBe(true);
  sim.heal();
  const found = sim.now;
  await sim.settled();
  expect(sim.now - found).toBeLessThan(5000);
  expect(linesOf(seen, / (dies|stops)/)).toEqual([]);
  await allWrite(sim);
  await finale(sim);
});

test('ZOOKEEPER-3320: an ensemble that runs does not need names, and a server that comes back finds its way when they are back', async () => {
  const { sim } = stage({ seed: 33200 });
  await bring(sim, 1, 2, 3);
  const leader = sim.leader!;
  const [away, stays] = sim.servers.filter((id) => id !== leader);
  failNames(sim, sim.servers);
  await allWrite(sim);
  // Its connections are gone, and nobody finds anybody again; the others go on.
  for (const other of [leader, stays]) sim.network.reset(away, other);
  await sim.advance(30_000);
  expect(sim.node(away).role).toBe('looking');
  expect(sim.serves(stays, leader)).toBe(true);
  await create(await sim.openSession(stays), '/without');
  sim.heal();
  const found = sim.now;
  await sim.until(() => sim.serves(away, leader));
  expect(sim.now - found).toBeLessThan(5000);
  await finale(sim);
  expect(names(sim, away)).toEqual(['by-1', 'by-2', 'by-3', 'without']);
});
