import assert from 'node:assert/strict';
import { once } from 'node:events';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { ServerSpec } from 'zab-ensemble';
import type { WorkerSetup } from './worker.ts';

/* Three replicas in three threads of one process, over a transport of our own (see port-transport.ts). */

const INCREMENTS = 50;
const servers: ServerSpec[] = [1, 2, 3].map((id) => ({ id, host: 'thread', quorumPort: 2000 + id, electionPort: 3000 + id }));

const lines = new Map(servers.map(({ id }) => [id, new Map<number, MessagePort>()]));
for (const [a, b] of [
  [1, 2],
  [1, 3],
  [2, 3],
]) {
  const { port1, port2 } = new MessageChannel();
  lines.get(a)?.set(b, port1);
  lines.get(b)?.set(a, port2);
}

/** A thread that runs a TypeScript module: tsx has to be told in each thread. */
function startThread(setup: WorkerSetup): Worker {
  const module = new URL('./worker.ts', import.meta.url).href;
  return new Worker(`import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(module)}); })`, {
    eval: true,
    workerData: setup,
    transferList: [...setup.lines.values()],
  });
}

const threads = servers.map(({ id }) => startThread({ id, servers, lines: lines.get(id) ?? new Map(), increments: INCREMENTS }));
const exits = threads.map((thread) => once(thread, 'exit'));

/** The next report of every thread. */
const reports = async <T>(): Promise<T[]> =>
  (await Promise.all(threads.map((thread) => once(thread, 'message')))).map(([report]) => report as T);
const goOn = (): void => {
  for (const thread of threads) thread.postMessage('go on');
};

for (const { id, role } of await reports<{ id: number; role: string }>())
  console.log(`thread of replica ${id} (${role}) has added ${INCREMENTS} times`);
const totals = reports<{ id: number; total: number }>();
goOn();
for (const { id, total } of await totals) {
  console.log(`replica ${id} has ${total}`);
  assert.equal(total, 3 * INCREMENTS);
}
goOn();
await Promise.all(exits);
console.log('no increment was lost');
