import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createEnsembleNode, formatZxid, type ServerSpec } from 'zab-ensemble';
import { loopbackServers } from './support/ports.ts';

/*
 * Three operating-system processes, each with one replica: TCP on loopback, data on disk. Each process says hello by creating a znode, and waits until its own copy of the tree
 * shows all three.
 */

interface Setup {
  readonly id: number;
  readonly servers: readonly ServerSpec[];
  readonly dataDir: string;
}

/** What one process does. */
async function replica({ id, servers, dataDir }: Setup): Promise<void> {
  await using node = createEnsembleNode({ id, servers, dataDir });
  await node.start();
  console.log(`process ${process.pid}: replica ${id} is ${node.role}, replica ${node.leaderId} leads`);

  const changes = node.watch('/hello', { recursive: true });
  const session = await node.openSession();
  await session.create('/hello').catch((error) => assert.equal(error.code, 'NODE_EXISTS'));
  const { path, stat } = await session.create(`/hello/from-${id}`, `greetings from process ${process.pid}`);
  console.log(`process ${process.pid}: created ${path} in transaction ${formatZxid(stat.czxid)}`);

  // From here on only the local replica is asked: no network, no waiting.
  const seen = (): string[] => node.tree.getChildren('/hello') ?? [];
  if (seen().length < servers.length) for await (const _ of changes) if (seen().length === servers.length) break;
  const texts = seen()
    .sort()
    .map((name) => node.tree.getData(`/hello/${name}`)?.text());
  console.log(`process ${process.pid}: my replica shows ${JSON.stringify(texts)}`);

  await session.close();
  process.send?.('seen');
  await once(process, 'message'); // the others still need a quorum
}

/** The first process starts the three and sees that all goes well. */
async function parent(): Promise<void> {
  const servers = await loopbackServers(3);
  const folder = await mkdtemp(join(tmpdir(), 'zab-example-'));
  const children: ChildProcess[] = servers.map(({ id }) =>
    fork(fileURLToPath(import.meta.url), [JSON.stringify({ id, servers, dataDir: join(folder, String(id)) } satisfies Setup)]),
  );
  const exits = children.map((child) => once(child, 'exit'));
  await Promise.race([
    Promise.all(children.map((child) => once(child, 'message'))),
    ...exits.map((exit) => exit.then(() => Promise.reject(new Error('a replica ended early')))),
  ]);
  for (const child of children) child.send('stop');
  assert.deepEqual(
    (await Promise.all(exits)).map(([code]) => code),
    [0, 0, 0],
  );
  await rm(folder, { recursive: true });
  console.log('three processes, one tree');
}

const [, , setup] = process.argv;
if (setup === undefined) await parent();
else {
  await replica(JSON.parse(setup) as Setup);
  process.disconnect();
}
