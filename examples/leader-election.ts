import assert from 'node:assert/strict';
import type { EnsembleNode, Session } from 'zab-ensemble';
import { inMemoryEnsemble } from './support/in-memory.ts';

/*
 * Several instances of an application, of which one at a time shall do a job. Each puts an ephemeral sequential znode below /election; the one with the lowest number is the
 * leader, and each of the others waits for the one just before it to go. (This is the application's own leader: it has nothing to do with the ensemble's.)
 */

class Candidate {
  #path = '';

  constructor(
    readonly name: string,
    readonly node: EnsembleNode,
    readonly session: Session,
  ) {}

  /** Resolves when this instance is the leader; it stays the leader as long as its session lives. */
  async lead(): Promise<void> {
    const { path } = await this.session.create('/election/candidate-', this.name, { mode: 'ephemeralSequential' });
    this.#path = path.slice('/election/'.length);
    for (;;) {
      const { children } = await this.session.getChildren('/election');
      const order = children.sort();
      const place = order.indexOf(this.#path);
      if (place === 0) return;
      await this.#gone(`/election/${order[place - 1]}`);
    }
  }

  /** Steps down; a crash of the process has the same effect once its session has expired. */
  async resign(): Promise<void> {
    await this.session.close();
  }

  /** Resolves when `path` does not exist (any more). The watch is set by the same call that looks, so no change falls in between. */
  async #gone(path: string): Promise<void> {
    let changed: () => void = () => {};
    const change = new Promise<void>((resolve) => {
      changed = resolve;
    });
    if ((await this.session.exists(path, { watch: changed })) !== null) await change;
  }
}

/** Who the replica in this process takes for the leader. */
const currentLeader = (node: EnsembleNode): string | undefined => {
  const [first] = (node.tree.getChildren('/election') ?? []).sort();
  return first === undefined ? undefined : node.tree.getData(`/election/${first}`)?.text();
};

await using ensemble = await inMemoryEnsemble(3);
const setup = await ensemble.nodes[0].openSession();
await setup.create('/election');
await setup.create('/job');
await setup.close();

const candidates = await Promise.all(
  ensemble.nodes.map(async (node, i) => new Candidate(`instance-${i + 1}`, node, await node.openSession())),
);
const history: string[] = [];
let leaders = 0;

await Promise.all(
  candidates.map(async (candidate) => {
    await candidate.lead();
    assert.equal(++leaders, 1, 'two leaders at a time');
    history.push(candidate.name);
    console.log(`${candidate.name} leads; its replica shows ${currentLeader(candidate.node)}`);
    await candidate.session.setData('/job', `done by ${candidate.name}`);
    leaders--;
    await candidate.resign();
    console.log(`${candidate.name} has resigned`);
  }),
);

assert.deepEqual([...history].sort(), ['instance-1', 'instance-2', 'instance-3']);
console.log(`every instance has led once, one at a time: ${history.join(', ')}`);
