import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { createEnsembleNode, memoryStorage, type ServerSpec } from 'zab-ensemble';
import { portTransport } from './port-transport.ts';

/* One thread, one replica. It counts with the others on one shared counter, and reports what it sees. */

export interface WorkerSetup {
  readonly id: number;
  readonly servers: readonly ServerSpec[];
  readonly lines: ReadonlyMap<number, MessagePort>;
  readonly increments: number;
}

const { id, servers, lines, increments } = workerData as WorkerSetup;
assert(parentPort !== null);

await using node = createEnsembleNode({ id, servers, transport: portTransport(lines), storage: memoryStorage(), tickTime: 200 });
await node.start();
const session = await node.openSession();
await session.create('/counter', '0').catch((error) => assert.equal(error.code, 'NODE_EXISTS'));

// Read, add one, write back under the version that was read; whoever comes second tries again.
for (let done = 0; done < increments; ) {
  const before = await session.getData('/counter');
  try {
    await session.setData('/counter', String(Number(before.text()) + 1), { version: before.stat.version });
    done++;
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'BAD_VERSION');
    await session.sync();
  }
}

parentPort.postMessage({ id, role: node.role });
await once(parentPort, 'message'); // every thread has finished
await node.sync();
await session.close();
parentPort.postMessage({ id, total: Number(node.tree.getData('/counter')?.text()) });
await once(parentPort, 'message'); // until every thread has come this far there must be a quorum
