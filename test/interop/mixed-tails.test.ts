import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { connect } from '../../src/index.ts';
import { eventually } from '../ensemble/client.ts';
import type { Member } from './members.ts';
import { MixedEnsemble } from './mixed.ts';

/* A leader that logged alone what nobody else has, and then comes back as the other kind of server's follower: what it has too much must go. */

let ensemble: MixedEnsemble | undefined;
afterEach(async () => {
  await ensemble?.end();
  ensemble = undefined;
});

const at = ({ clientPort }: Member): string => `127.0.0.1:${clientPort}`;

/** Whether a transaction that names `path` stands in the server's log. */
function isLogged({ dataDir }: Member, path: string): boolean {
  const folder = join(dataDir, 'version-2');
  return readdirSync(folder).some((name) => name.startsWith('log.') && readFileSync(join(folder, name)).includes(path));
}

async function create(member: Member, ...paths: string[]): Promise<void> {
  await using session = await connect(at(member), { timeout: 20_000 });
  for (const path of paths) await session.create(path, path);
}

/**
 * Server 3 leads, and logs a session and some znodes that no other server gets to hear of: those stand still, and then all are killed. Server 2 leads the next epoch.
 */
async function tailOn3(servers: string): Promise<MixedEnsemble> {
  const made = await MixedEnsemble.make({ servers });
  const [first, second, third] = made.members;
  // Whoever has the largest id of those that look leads: it must be there before there is a quorum without it.
  await third.start();
  await first.start();
  expect((await made.settled([first, third])).id).toBe(3);
  await second.start();
  await made.settled();
  await create(third, '/before');
  const session = await connect(at(third), { timeout: 20_000 });
  await session.create('/last');
  // Both have the same then, and the larger id decides who leads.
  await eventually('it is everywhere', () => [first, second].every((m) => isLogged(m, '/last')));
  for (const m of [first, second]) m.signal('SIGSTOP');
  const calls = ['/lost-1', '/lost-2', '/lost-3'].map((path) => session.create(path, path, { mode: 'ephemeral' }));
  const ended = Promise.allSettled([...calls, connect(at(third), { timeout: 20_000, openTimeout: 5000 })]);
  await eventually('the tail is on disk', () => isLogged(third, '/lost-3'));
  await Promise.all(made.members.map((m) => m.kill()));
  expect((await ended).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'rejected']);
  session.close().catch(() => {});
  await Promise.all([first.start(), second.start()]);
  expect((await made.settled([first, second])).id).toBe(2);
  return made;
}

/** Nothing of the tail is left, on no server and on no disk that would bring it back. */
async function tailIsGone(made: MixedEnsemble): Promise<void> {
  const third = made.members[2];
  const check = async () => {
    const tree = await made.equalTrees();
    expect([...tree.keys()].filter((path) => path.includes('lost'))).toEqual([]);
    expect(tree.has('/before')).toBe(true);
  };
  await check();
  await create(third, '/after');
  await third.kill();
  await third.start();
  await made.settled();
  await check();
}

test.each([
  ['Apache’s server rejoins our leader', 'aoa', /Truncating log to get in sync with the leader/],
  ['our server rejoins Apache’s leader', 'oao', /cutting the log at 0x1/],
])('%s, which has gone no further: it is truncated', async (_name, servers, says) => {
  ensemble = await tailOn3(servers);
  const third = ensemble.members[2];
  await third.start();
  await ensemble.settled();
  expect(third.log()).toMatch(says);
  await tailIsGone(ensemble);
});

test.each([
  ['Apache’s server rejoins our leader', 'aoa'],
  ['our server rejoins Apache’s leader', 'oao'],
])('%s, which has gone on meanwhile', async (_name, servers) => {
  ensemble = await tailOn3(servers);
  const [, second, third] = ensemble.members;
  await create(second, '/next-1', '/next-2', '/next-3', '/next-4', '/next-5');
  await third.start();
  await ensemble.settled();
  await tailIsGone(ensemble);
});
