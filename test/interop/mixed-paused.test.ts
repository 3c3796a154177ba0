import { afterEach, expect, test } from 'vitest';
import { eventually } from '../ensemble/client.ts';
import type { Member } from './members.ts';
import { MixedEnsemble } from './mixed.ts';

/*
 * A server stands still for longer than syncLimit, in the middle of its turn and with full socket buffers, and goes on as if nothing had happened. Nothing that was
 * acknowledged may be lost, whoever leads and whoever dies meanwhile.
 */

let ensemble: MixedEnsemble | undefined;
afterEach(async () => {
  await ensemble?.end();
  ensemble = undefined;
});

/** Waits until the others go on without `paused`: under another leader, or under one that has given it up. */
async function goOnWithout(running: MixedEnsemble, paused: Member): Promise<Member> {
  const others = running.members.filter((m) => m !== paused);
  let leader = await running.settled(others);
  const hasOneFollower = async (): Promise<boolean> => {
    // The limits are short ones: a busy machine may cost another election.
    leader = await running.settled(others);
    return /^zk_synced_followers\t1$/m.test(await leader.fourLetter('mntr').catch(() => ''));
  };
  await eventually('the leader has one follower', hasOneFollower, 60_000);
  await running.progress(200);
  return leader;
}

/** Pauses a server until the others have gone on; with `killLeader` what leads them is killed just before it wakes. */
async function pauseOne(running: MixedEnsemble, victim: Member, killLeader: boolean): Promise<void> {
  await running.settled();
  await running.progress(200);
  victim.signal('SIGSTOP');
  const leader = await goOnWithout(running, victim);
  // The one that wakes is needed for a quorum at once, with all that it had in its buffers.
  if (killLeader) await leader.kill();
  victim.signal('SIGCONT');
  if (killLeader) {
    await running.settled(running.members.filter((m) => m !== leader));
    await running.progress(200);
    await leader.start();
  }
}

async function underLoad(servers: string): Promise<MixedEnsemble> {
  const limits = { tickTime: 500, syncLimit: 4 };
  ensemble = await MixedEnsemble.make({ servers, ours: limits, apache: { config: limits } });
  await ensemble.startAll();
  await ensemble.startClients(2);
  return ensemble;
}

/** Nothing is lost, and nothing has come back that nobody committed. */
async function allIsWell(running: MixedEnsemble): Promise<void> {
  const { ledger } = running;
  await running.settled();
  await running.progress(200);
  await running.endClients();
  ledger.verify(await running.equalTrees());
  expect(ledger.acks).toBeGreaterThan(2000);
}

test.each(['aoa', 'oao'])('%s: ours is paused', async (servers) => {
  const running = await underLoad(servers);
  const { ours } = running;
  for (let round = 0; round < 6; round++) await pauseOne(running, ours[round % ours.length], round % 3 === 2);
  await allIsWell(running);
});

// Nobody is killed here: what Apache's acknowledged and then forgets is on the disks of the others, and must come back from there.
test('ooa: Apache’s is paused', async () => {
  const running = await underLoad('ooa');
  const [apache] = running.apaches;
  for (let round = 0; round < 4; round++) await pauseOne(running, apache, false);
  await allIsWell(running);
});
