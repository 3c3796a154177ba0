import { afterEach, expect, test } from 'vitest';
import { connect } from '../../src/index.ts';
import { eventually } from '../ensemble/client.ts';
import { MixedEnsemble } from './mixed.ts';

/* What a leader removes by itself: empty containers and expired TTL znodes, whichever kind of server made them and whichever leads. */

let ensemble: MixedEnsemble | undefined;
afterEach(async () => {
  await ensemble?.end();
  ensemble = undefined;
});

test.each(['aoa', 'oao'])('%s: the leader removes containers and TTL znodes, and all follow', async (servers) => {
  ensemble = await MixedEnsemble.make({ servers, ours: { digest: true } });
  const { members } = ensemble;
  await ensemble.startAll();
  const led = new Set<string>();
  for (let round = 0; led.size < 2; round++) {
    expect(round).toBeLessThan(6);
    const leader = await ensemble.settled();
    led.add(leader.kind);
    for (const m of members) {
      await using session = await connect(`127.0.0.1:${m.clientPort}`, { timeout: 20_000 });
      const name = `${round}-${m.id}`;
      await session.create(`/container-${name}`, null, { mode: 'container' });
      await session.create(`/container-${name}/child`);
      await session.create(`/ttl-${name}`, 'x', { mode: 'persistentTtl', ttl: 500 });
      await session.create(`/kept-${name}`, 'x', { mode: 'persistentTtl', ttl: 600_000 });
      await session.delete(`/container-${name}/child`);
    }
    await using session = await connect(`127.0.0.1:${leader.clientPort}`, { timeout: 20_000 });
    const left = async () => (await session.getChildren('/')).children.filter((name) => /^(?:container|ttl)-/.test(name));
    await eventually('all are removed', async () => (await left()).length === 0);
    const tree = await ensemble.equalTrees();
    expect([...tree.keys()].filter((path) => path.startsWith('/kept-'))).toHaveLength(members.length * (round + 1));
    await leader.kill();
    await ensemble.settled(members.filter((m) => m !== leader));
    await leader.start();
  }
});
