import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { Member } from './members.ts';
import { MixedEnsemble } from './mixed.ts';

/* A data directory belongs to whoever is started on it: it goes from Apache's server to ours and back, each time after a kill in the middle of the work. */

let ensemble: MixedEnsemble | undefined;
afterEach(async () => {
  await ensemble?.end();
  ensemble = undefined;
});

const files = ({ dataDir }: Member): string[] => readdirSync(join(dataDir, 'version-2'));

function epochs({ dataDir }: Member): { accepted: number; current: number } {
  const read = (name: string) => Number(readFileSync(join(dataDir, 'version-2', name), 'utf8'));
  return { accepted: read('acceptedEpoch'), current: read('currentEpoch') };
}

/** Kills a server of a running ensemble, and goes on with the other kind of server on what it has left. */
async function handOver(running: MixedEnsemble, member: Member): Promise<void> {
  await running.progress(150);
  await member.kill();
  const before = epochs(member);
  const other = running.exchange(member);
  await other.start();
  await running.settled();
  await running.progress(50);
  const after = epochs(other);
  expect(after.accepted).toBeGreaterThanOrEqual(before.accepted);
  expect(after.current).toBeGreaterThanOrEqual(before.current);
  expect(after.accepted).toBeGreaterThanOrEqual(after.current);
}

test('in a running ensemble, one server after another, with snapshots compressed by gzip and digests', async () => {
  ensemble = await MixedEnsemble.make({
    servers: 'aaa',
    apache: {
      config: { snapCount: 300, preAllocSize: 64 },
      properties: { 'zookeeper.snapshot.compression.method': 'gz' },
    },
    ours: { digest: true, snapCount: 300 },
  });
  const { members, ledger } = ensemble;
  await ensemble.startAll();
  await ensemble.startClients();
  expect(files(members[0]).some((name) => /^snapshot\..*\.gz$/.test(name))).toBe(true);
  for (const kind of ['ours', 'apache'] as const) {
    for (const id of [1, 2, 3]) await handOver(ensemble, members[id - 1]);
    expect(members.map((m) => m.kind)).toEqual([kind, kind, kind]);
    await ensemble.pauseClients();
    await ensemble.equalTrees();
    await ensemble.resumeClients();
  }
  await ensemble.endClients();
  ledger.verify(await ensemble.equalTrees());
  for (const m of ensemble.apaches) {
    expect(await m.fourLetter('mntr')).toMatch(/^zk_digest_mismatches_count\t0$/m);
    expect(m.log()).not.toMatch(/digest mismatch|Digests are not matching|ERROR.*(?:snapshot|log)/i);
  }
});

test('all of an ensemble at once: every server starts on what one of the other kind has left', async () => {
  ensemble = await MixedEnsemble.make({ servers: 'aoa', ours: { digest: true } });
  const { members, ledger } = ensemble;
  await ensemble.startAll();
  await ensemble.startClients();
  for (let round = 0; round < 4; round++) {
    await ensemble.progress(200);
    await ensemble.pauseClients();
    await Promise.all(members.map((m) => m.kill()));
    for (const m of [...members]) ensemble.exchange(m);
    await Promise.all(members.map((m) => m.start()));
    await ensemble.settled();
    await ensemble.resumeClients();
  }
  await ensemble.progress(200);
  await ensemble.endClients();
  ledger.verify(await ensemble.equalTrees());
});
