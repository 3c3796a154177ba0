import assert from 'node:assert/strict';
import { compareZxid, formatZxid, type Session } from 'zab-ensemble';
import { inMemoryEnsemble } from './support/in-memory.ts';

/*
 * A lock, and why a lock is not enough: its holder may be stopped (a long garbage collection, a suspended laptop) for so long that its session expires and somebody else gets the lock; when it
 * wakes up it still believes to hold it. So the lock hands out a fencing token, and the resource that it protects refuses tokens older than one it has seen. The zxid that
 * created the lock's znode is such a token: it only grows.
 */

type Zxid = Parameters<typeof compareZxid>[0];

interface Held {
  readonly token: Zxid;
  release(): Promise<void>;
}

/** Waits for the lock below `folder`. */
async function acquire(session: Session, folder: string): Promise<Held> {
  const { path, stat } = await session.create(`${folder}/request-`, null, { mode: 'ephemeralSequential' });
  const own = path.slice(folder.length + 1);
  for (;;) {
    const { children } = await session.getChildren(folder);
    const order = children.sort();
    const place = order.indexOf(own);
    if (place === 0) return { token: stat.czxid, release: () => session.delete(path) };
    await gone(session, `${folder}/${order[place - 1]}`);
  }
}

/** Resolves when `path` does not exist (any more). The watch is set by the same call that looks, so no change falls in between. */
async function gone(session: Session, path: string): Promise<void> {
  let changed: () => void = () => {};
  const change = new Promise<void>((resolve) => {
    changed = resolve;
  });
  if ((await session.exists(path, { watch: changed })) !== null) await change;
}

/** Something outside the ensemble that must have one writer at a time: a file, a printer, another service. */
class GuardedResource {
  readonly accepted: string[] = [];
  #newest: Zxid | undefined;

  write(token: Zxid, what: string): void {
    if (this.#newest !== undefined && compareZxid(token, this.#newest) < 0) {
      throw new Error(`token ${formatZxid(token)} is older than ${formatZxid(this.#newest)}`);
    }
    this.#newest = token;
    this.accepted.push(what);
  }
}

await using ensemble = await inMemoryEnsemble(3);
const [first, second] = ensemble.nodes;
const resource = new GuardedResource();

const slow = await first.openSession();
await slow.create('/locks');
await slow.create('/locks/printer');
const held = await acquire(slow, '/locks/printer');
console.log(`A holds the lock with token ${formatZxid(held.token)}`);
resource.write(held.token, 'A: page 1');

const waiting = (async () => {
  const quick = await second.openSession();
  const lock = await acquire(quick, '/locks/printer');
  console.log(`B holds the lock with token ${formatZxid(lock.token)}`);
  resource.write(lock.token, 'B: page 1');
  await lock.release();
  await quick.close();
  return lock;
})();

// A is stopped, and its session ends without it: here somebody who knows its password ends it, as the ensemble itself would once A had been silent for its timeout.
console.log('A is stopped for a long time; its session ends');
const ended = await second.openSession({ resume: { id: slow.id, password: slow.password } });
await ended.close();
const lockOfB = await waiting;

// A wakes up and goes on as if nothing had happened.
assert.throws(() => resource.write(held.token, 'A: page 2'), /is older than/);
console.log('A wakes up and writes: refused, its token is too old');
assert(compareZxid(held.token, lockOfB.token) < 0);
assert.deepEqual(resource.accepted, ['A: page 1', 'B: page 1']);
await assert.rejects(held.release(), { name: 'ZabError' });
console.log('and its own session tells it so, too');
