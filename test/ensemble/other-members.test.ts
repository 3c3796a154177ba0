import Long from 'long';
import { afterEach, expect, test } from 'vitest';
import type { ServerSpec, Storage } from '../../src/index.ts';
import { systemClock } from '../../src/index.ts';
import { Op } from '../../src/model/codes.ts';
import { nextZxid } from '../../src/model/zxid.ts';
import { octetsFromText } from '../../src/util/bytes.ts';
import { JuteWriter } from '../../src/wire/jute.ts';
import { encodeTxn } from '../../src/wire/txn.ts';
import { configText } from '../../src/zab/ensemble-config.ts';
import { LogEntry } from '../../src/zab/entry.ts';
import { eventually } from './client.ts';
import { Rig } from './rig.ts';

/* What a leader of ZooKeeper's has left in the logs: a reconfig that was proposed, and nobody knows whether it was committed. */

let rig: Rig;
afterEach(() => rig.stopAll());

/** Appends a transaction to the log of a server that does not run. */
function append(storage: Storage, id: number, entry: LogEntry): Promise<void> {
  const step = (call: (done: (error: Error | null) => void) => void) =>
    new Promise<void>((resolve, reject) => call((error) => (error === null ? resolve() : reject(error))));
  const tree = { begin() {}, nodes() {}, end() {}, entry() {} };
  return step((done) => storage.open({ serverId: id, clock: systemClock(), logger: () => {} }, done))
    .then(() => step((done) => storage.recover(tree as never, done)))
    .then(() => step((done) => storage.append([entry], done)))
    .then(() => step((done) => storage.close(() => done(null))));
}

function reconfig(zxid: Long, servers: readonly ServerSpec[]): LogEntry {
  const data = octetsFromText(configText(servers, zxid));
  const w = new JuteWriter(1024);
  const header = { clientId: Long.UZERO, cxid: 1, zxid, time: 1, type: Op.reconfig };
  encodeTxn(w, { header, body: { type: Op.reconfig, path: '/zookeeper/config', data, version: -1 }, digest: null } as never);
  return new LogEntry(zxid, w.view().slice());
}

test('a leader that finds it in its log commits it with a quorum of both, and all go on among the new members', async () => {
  rig = new Rig({ voters: 3 });
  await rig.startAll();
  const session = await rig.node(1).openSession();
  await session.create('/before');
  await session.close();
  const last = (await rig.roles()).leader.tree.lastZxid;
  await rig.converge();
  await rig.stopAll();

  const fourth: ServerSpec = { id: 4, host: 'four', quorumPort: 1, electionPort: 2 };
  const version = nextZxid(last);
  const entry = reconfig(version, [...rig.servers.slice(1), fourth]);
  for (const id of [2, 3]) await append(rig.storages.get(id) as Storage, id, entry);
  const told: string[] = [];
  const start = (id: number): void => {
    const node = rig.make(id);
    node.on('config', (at, servers) => told.push(`${id}: ${at.toString(16)} ${servers.map((server) => server.id)}`));
    node.start().catch(() => {});
  };
  // Two of three would do by the options, but these two are two of the three new ones as well.
  start(2);
  start(3);
  await eventually('both serve among the new members', () => told.length === 2 && [2, 3].every((id) => rig.node(id).serving));
  expect(told.sort()).toEqual([2, 3].map((id) => `${id}: ${version.toString(16)} 2,3,4`));
  expect(rig.node(2).tree.exists('/before')).toBeDefined();
  expect(rig.node(2).tree.getData('/zookeeper/config')?.text()).toContain(`version=${version.toString(16)}`);

  // A start by the options of old.
  const writer = await rig.node(2).openSession();
  await writer.create('/after');
  await rig.stopAll();
  told.length = 0;
  start(2);
  start(3);
  await eventually('both are among the new members again', () => told.length === 2 && [2, 3].every((id) => rig.node(id).serving));
  expect(rig.node(3).tree.exists('/after')).toBeDefined();
  // The leader has moved as soon as it was established, and not when it had lost those who had.
  expect(rig.log.filter((line) => line.includes('a quorum of followers is gone'))).toEqual([]);
});
