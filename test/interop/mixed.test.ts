import { afterEach, expect, test } from 'vitest';
import { digestMismatches } from './digests.ts';
import type { Member } from './members.ts';
import { MixedEnsemble } from './mixed.ts';

let ensemble: MixedEnsemble | undefined;
afterEach(async () => {
  await ensemble?.end();
  ensemble = undefined;
});

/** Kills the leader, and again, until every server has been killed and each kind of voter has led twice; then what all have is compared. */
async function campaign(servers: string): Promise<void> {
  ensemble = await MixedEnsemble.make({ servers, ours: { digest: true } });
  const { members, ledger } = ensemble;
  await ensemble.startAll();
  await ensemble.startClients(2);
  const kinds = new Set(members.filter((m) => !m.isObserver).map((m) => m.kind));
  const led: Member[] = [];
  const killed = new Set<Member>();
  const enough = () => killed.size === members.length && [...kinds].every((kind) => led.filter((m) => m.kind === kind).length >= 2);
  for (let round = 0; !enough(); round++) {
    expect(round, `led so far: ${led.map((m) => m.kind)}`).toBeLessThan(16);
    const leader = await ensemble.settled();
    led.push(leader);
    await ensemble.progress(400);
    const spared = members.find((m) => m !== leader && !killed.has(m));
    const victim = round % 3 === 2 && spared !== undefined ? spared : leader;
    await victim.kill();
    killed.add(victim);
    await ensemble.settled(members.filter((m) => m !== victim));
    await ensemble.progress(400);
    await victim.start();
  }
  await ensemble.settled();
  await ensemble.progress(400);
  await ensemble.endClients();
  ledger.verify(await ensemble.equalTrees());
  for (const m of ensemble.ours) expect((await m.metrics()).digestMismatches, `of server ${m.id}`).toBe(0);
  for (const m of ensemble.apaches) expect(await digestMismatches(m), `of server ${m.id}`).toBe(0);
  console.log(`${servers}: ${ledger.acks} writes acknowledged; led: ${led.map((m) => `${m.id} (${m.kind})`).join(', ')}`);
}

test('two of Apache’s and one of ours', () => campaign('aoa'));
test('one of Apache’s and two of ours', () => campaign('oao'));
test('an observer of ours beside three of Apache’s', () => campaign('aaaO'));
test('an observer of Apache’s beside three of ours', () => campaign('oooA'));
