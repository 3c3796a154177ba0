import { afterEach, describe, expect, it } from 'vitest';
import type { EnsembleNode, Session } from '../../src/index.ts';
import { contents, eventually, Rig, Writer } from './rig.ts';

const KILLS = 20;

let rig: Rig | undefined;
afterEach(async () => {
  await rig?.stopAll();
  rig = undefined;
});

/** A session on one server, opened again on a new node after that server was killed. */
function sessionOn(rig: Rig, id: number): () => Promise<Session | undefined> {
  let session: Session | undefined;
  let opening: Promise<void> | undefined;
  let on: EnsembleNode | undefined;
  return async () => {
    const node = rig.nodes.get(id);
    if (node === undefined || !node.serving) return undefined;
    if (session === undefined || on !== node || session.state === 'expired' || session.state === 'closed') {
      opening ??= node.openSession().then(
        (opened) => {
          session = opened;
          on = node;
          opening = undefined;
        },
        () => {
          opening = undefined;
        },
      );
      await opening;
      return undefined;
    }
    return session.state === 'connected' ? session : undefined;
  };
}

describe.each(['fast', 'basic'] as const)('five voters and two observers, %s election', (election) => {
  it(`lose their leader ${KILLS} times under load and nothing that was acknowledged`, { timeout: 120_000 }, async () => {
    rig = new Rig({ voters: 5, observers: 2, election, tickTime: 100, snapCount: 2000, commitLogCount: 200 });
    await rig.startAll();
    const writers = rig.servers.map((s) => new Writer(`w${s.id}`, sessionOn(rig as Rig, s.id), 8));
    const leaders = new Set<string>();
    for (let kill = 0; kill < KILLS; kill++) {
      await eventually('a leader for all', () => (rig as Rig).settled());
      const before = writers.reduce((n, w) => n + w.acknowledged.size, 0);
      await eventually('writes go on', () => writers.reduce((n, w) => n + w.acknowledged.size, 0) > before + 200);
      const leader = rig.leader() as EnsembleNode;
      leaders.add(`${leader.id}/${leader.epoch}`);
      await rig.kill(leader.id);
      await rig.start(leader.id);
    }
    await eventually('a leader for all', () => (rig as Rig).settled());
    await Promise.all(writers.map((w) => w.stop()));
    await rig.converge();
    expect(leaders.size).toBe(KILLS);

    const trees = [...rig.nodes.values()].map(contents);
    for (const tree of trees.slice(1)) expect(tree).toEqual(trees[0]);
    const { tree } = rig.node(1);
    for (const writer of writers) {
      expect(writer.acknowledged.size).toBeGreaterThan(0);
      for (const [path, czxid] of writer.acknowledged) expect(tree.exists(path)?.czxid.toString(), path).toBe(czxid);
    }
  });
});
