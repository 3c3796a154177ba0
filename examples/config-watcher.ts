import assert from 'node:assert/strict';
import type { EnsembleNode, WatchEvent } from 'zab-ensemble';
import { inMemoryEnsemble } from './support/in-memory.ts';

/*
 * Configuration that is the same in every process and changes while they run. Each process reads its settings from its own replica (a function call, no round trip) and
 * is told about changes.
 */

/** The settings below a znode, kept up to date. */
class LiveConfig implements Disposable {
  readonly #stop: () => void;

  constructor(
    readonly node: EnsembleNode,
    readonly root: string,
    onChange: (name: string, value: unknown) => void,
  ) {
    this.#stop = node.watch(
      root,
      (event: WatchEvent) => onChange(event.path.slice(root.length + 1), this.get(event.path.slice(root.length + 1))),
      {
        recursive: true,
      },
    );
  }

  /** The current value of a setting, undefined when it is not set. */
  get(name: string): unknown {
    return this.node.tree.getData(`${this.root}/${name}`)?.json();
  }

  [Symbol.dispose](): void {
    this.#stop();
  }
}

await using ensemble = await inMemoryEnsemble(3);
const [admin, ...applications] = ensemble.nodes;
const session = await admin.openSession();
await session.create('/config');
await session.create('/config/rate-limit', JSON.stringify(100));
const { stat: created } = await session.create('/config/feature-x', JSON.stringify({ on: false }));

const heard: string[] = [];
await Promise.all(applications.map((node) => node.tree.reached(created.czxid)));
const configs = applications.map(
  (node) =>
    new LiveConfig(node, '/config', (name, value) => {
      heard.push(`${node.id} ${name}`);
      console.log(`application on replica ${node.id}: ${name} is now ${JSON.stringify(value)}`);
    }),
);
console.log(
  'at the start:',
  configs.map((config) => config.get('rate-limit')),
);

// One setting changes alone; then two change together, and no reader can ever see only one of them.
await session.setData('/config/rate-limit', JSON.stringify(250));
const results = await session.multi([
  { type: 'setData', path: '/config/feature-x', data: JSON.stringify({ on: true }) },
  { type: 'setData', path: '/config/rate-limit', data: JSON.stringify(500) },
]);
const last = results[1];
assert(last.type === 'setData');
await Promise.all(applications.map((node) => node.tree.reached(last.stat.mzxid)));

// Two admins at once: the version tells the second that it decided on old data.
await assert.rejects(session.setData('/config/rate-limit', '1', { version: 0 }), { code: 'BAD_VERSION' });
console.log('a change that was decided on an old version is refused');

for (const config of configs) {
  assert.equal(config.get('rate-limit'), 500);
  assert.deepEqual(config.get('feature-x'), { on: true });
  config[Symbol.dispose]();
}
for (const { id } of applications) assert.deepEqual(heard.filter((line) => line.startsWith(`${id} `)).length, 3);
await session.close();
