import { afterEach, expect, test } from 'vitest';
import { connect, type Session } from '../../src/index.ts';
import { within } from '../ensemble/client.ts';
import type { Member } from './members.ts';
import { MixedEnsemble, SUPER } from './mixed.ts';

/* A server that has nothing joins an ensemble with a large tree and many sessions, while it is written to: it gets a snapshot from a leader of the other kind. */

const FOLDERS = 20;
const PER_FOLDER = 5000;
const SESSIONS = 1000;

let ensemble: MixedEnsemble | undefined;
afterEach(async () => {
  await ensemble?.end();
  ensemble = undefined;
});

const at = ({ clientPort }: Member): string => `127.0.0.1:${clientPort}`;
const open = (member: Member, options = {}): Promise<Session> => connect(at(member), { timeout: 20_000, ...options });

async function growTree(member: Member): Promise<void> {
  await using session = await open(member);
  const data = 'x'.repeat(50);
  for (let f = 0; f < FOLDERS; f++) {
    const folder = `/folder-${f}`;
    await session.create(folder);
    const paths = Array.from({ length: PER_FOLDER }, (_, k) => `${folder}/${k}`);
    const calls: Promise<unknown>[] = [];
    for (let k = 0; k < paths.length; k += 500) {
      calls.push(session.multi(paths.slice(k, k + 500).map((path) => ({ type: 'create', path, data }))));
    }
    await Promise.all(calls);
  }
}

/** Sessions on two servers, each with an ephemeral znode. */
async function openSessions(members: readonly Member[]): Promise<Session[]> {
  await using session = await open(members[0]);
  await session.create('/here');
  return Promise.all(
    Array.from({ length: SESSIONS }, async (_, k) => {
      const one = await open(members[k % members.length]);
      await one.create(`/here/${k}`, `${k}`, { mode: 'ephemeral' });
      return one;
    }),
  );
}

/** All znodes with data and Stat, many to a request. */
async function contents(member: Member): Promise<Map<string, string>> {
  await using session = await open(member, { auth: [{ scheme: 'digest', credential: SUPER }], maxReplyBytes: 1 << 26 });
  await session.sync();
  const seen = new Map<string, string>();
  for (let level = ['/']; level.length > 0; ) {
    const next: string[] = [];
    for (let k = 0; k < level.length; k += 500) {
      const part = level.slice(k, k + 500);
      const values = await session.multiRead(part.map((path) => ({ type: 'getData', path })));
      const names = await session.multiRead(part.map((path) => ({ type: 'getChildren', path })));
      for (const [i, path] of part.entries()) {
        const [value, children] = [values[i], names[i]];
        if (value.type !== 'getData' || children.type !== 'getChildren') continue;
        // When a server has written its configuration into its own tree is its own affair.
        if (path !== '/zookeeper/config') seen.set(path, JSON.stringify([value.value.octets, value.value.stat]));
        for (const name of children.children) next.push(path === '/' ? `/${name}` : `${path}/${name}`);
      }
    }
    level = next;
  }
  return seen;
}

async function equalContents(a: Member, b: Member): Promise<Map<string, string>> {
  const [left, right] = [await contents(a), await contents(b)];
  const differ = [...new Set([...left.keys(), ...right.keys()])].filter((path) => left.get(path) !== right.get(path));
  expect(differ.slice(0, 5).map((path) => [path, left.get(path), right.get(path)])).toEqual([]);
  return left;
}

test.each([
  ['ours from Apache’s leader', 'oaa', /getting a snapshot of 0x1/],
  ['Apache’s from our leader', 'aoo', /Getting a snapshot from leader 0x1/],
])('%s', async (name, servers, says) => {
  ensemble = await MixedEnsemble.make({ servers, ours: { digest: true }, apache: { heapMb: 512 } });
  const [joiner, ...voters] = ensemble.members;
  await Promise.all(voters.map((m) => m.start()));
  const leader = await ensemble.settled(voters);
  await growTree(leader);
  const sessions = await openSessions(voters);
  const load = await open(leader);
  let writing = true;
  const writes = (async () => {
    let count = 0;
    for (await load.create('/counter'); writing; count++) await load.setData('/counter', String(count));
    return count;
  })();
  const began = performance.now();
  await joiner.start();
  await ensemble.settled();
  console.log(`${name}: joined after ${Math.round(performance.now() - began)} ms, the start of the process included`);
  expect(joiner.log()).toMatch(says);
  writing = false;
  expect(await within('the writer ends', writes)).toBeGreaterThan(0);
  await load.close();
  const tree = await equalContents(joiner, leader);
  expect(tree.size).toBeGreaterThan(FOLDERS * PER_FOLDER + SESSIONS);
  // Sessions go on at the server that knows them from the snapshot only.
  for (const k of [0, 1, SESSIONS - 1]) {
    await using moved = await open(joiner, { resume: sessions[k] });
    expect(await moved.getEphemerals('/here')).toEqual([`/here/${k}`]);
  }
  await joiner.kill();
  await joiner.start();
  await ensemble.settled();
  await equalContents(joiner, leader);
  await within('all sessions close', Promise.all(sessions.map((session) => session.close())), 60_000);
  const left = await equalContents(joiner, leader);
  expect([...left.keys()].filter((path) => path.startsWith('/here/'))).toEqual([]);
});
