import { afterEach, describe, expect, it } from 'vitest';
import { Rig } from './rig.ts';

const KILLS = 20;
const TICK = 100;
/** Ticks; far longer than an election on a busy machine. */
const INIT_LIMIT = 50;

let rig: Rig | undefined;
afterEach(async () => {
  await rig?.stopAll();
  rig = undefined;
});

describe.each(['fast', 'basic'] as const)('five voters and two observers, %s election', (election) => {
  it(`lose their leader ${KILLS} times under load and nothing that was acknowledged`, async () => {
    const mine = new Rig({
      voters: 5,
      observers: 2,
      election,
      tickTime: TICK,
      initLimit: INIT_LIMIT,
      syncLimit: 5,
      snapCount: 2000,
      commitLogCount: 200,
    });
    rig = mine;
    await mine.startAll();
    const writers = mine.servers.map((s) => mine.writer(s.id));
    const leaders = new Set<string>();
    const outages: number[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      const { leader } = await mine.roles();
      await mine.progress(writers, 200);
      leaders.add(`${leader.id}/${leader.epoch}`);
      const killed = performance.now();
      await mine.kill(leader.id);
      await mine.start(leader.id);
      await mine.roles();
      outages.push(performance.now() - killed);
    }
    await mine.verify(writers);
    expect(leaders.size).toBe(KILLS);
    // A typical failover takes a fraction of a second, with either election: a round that nobody wins must not cost an initLimit.
    expect(outages.sort((a, b) => a - b)[KILLS / 2]).toBeLessThan((INIT_LIMIT * TICK) / 2);
  });
});
