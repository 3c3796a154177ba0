import { afterEach, expect, test } from 'vitest';
import { connect } from '../../src/index.ts';
import { eventually, within } from '../ensemble/client.ts';
import { MixedEnsemble } from './mixed.ts';

/*
 * Our leader answers a sync when a quorum has confirmed it, Apache's at once. A server of Apache's takes the answers to what it forwards in the order in which it has forwarded it: were a
 * commit to overtake the answer to a sync, none of its clients would ever be told of a write again.
 */

let ensemble: MixedEnsemble | undefined;
afterEach(async () => {
  await ensemble?.end();
  ensemble = undefined;
});

test('syncs and writes at once, at a follower and an observer of Apache’s under our leader', async () => {
  ensemble = await MixedEnsemble.make({ servers: 'aooA' });
  const { members, ours, apaches } = ensemble;
  await Promise.all(ours.map((m) => m.start()));
  const leader = await ensemble.settled(ours);
  await Promise.all(apaches.map((m) => m.start()));
  expect((await ensemble.settled(members)).id).toBe(leader.id);
  for (const m of apaches) {
    const at = `127.0.0.1:${m.clientPort}`;
    const sessions = await Promise.all(Array.from({ length: 8 }, () => connect(at, { timeout: 20_000 })));
    const done = sessions.map(async (session, i) => {
      const path = `/s${m.id}-${i}`;
      await session.create(path);
      for (let k = 0; k < 100; k++) {
        const [, { version }] = await Promise.all([session.sync(), session.setData(path, `${k}`)]);
        expect(version).toBe(k + 1);
      }
    });
    await within(`every call at server ${m.id} is answered`, Promise.all(done), 60_000);
    // A new session has nothing to do with those before it.
    await within('and those of a new session', Promise.all([connect(at).then((session) => session.close()), sessions[0].sync()]));
    await Promise.all(sessions.map((session) => session.close()));
  }
  await eventually('nobody waits', async () => /^zk_outstanding_requests\t0$/m.test(await apaches[0].fourLetter('mntr')));
  await ensemble.equalTrees();
});
