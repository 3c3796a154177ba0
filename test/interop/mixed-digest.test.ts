import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { connect } from '../../src/index.ts';
import { eventually } from '../ensemble/client.ts';
import type { ApacheMember, Member, OurMember } from './members.ts';
import { MixedEnsemble } from './mixed.ts';

/* That the digests agree shows in the tests under load. Here, that it would show if they did not. */

let ensemble: MixedEnsemble | undefined;
afterEach(async () => {
  await ensemble?.end();
  ensemble = undefined;
});

function adler32(bytes: Uint8Array): number {
  let a = 1;
  let b = 0;
  for (const byte of bytes) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return b * 65536 + a;
}

/** Puts one text for another of the same length into every record of a server's log, and makes the checksums right again (PROTOCOL 15). */
function rewriteLog({ dataDir }: Member, from: string, to: string): void {
  const folder = join(dataDir, 'version-2');
  for (const name of readdirSync(folder).filter((file) => file.startsWith('log.'))) {
    const file = readFileSync(join(folder, name));
    for (let at = 16; at + 12 <= file.length && file.readInt32BE(at + 8) > 0; at += 13 + file.readInt32BE(at + 8)) {
      const payload = file.subarray(at + 12, at + 12 + file.readInt32BE(at + 8));
      const found = payload.indexOf(from);
      if (found === -1) continue;
      payload.write(to, found);
      file.writeUInt32BE(adler32(payload), at + 4);
    }
    writeFileSync(join(folder, name), file);
  }
}

const mismatchesAt = async (m: ApacheMember): Promise<number> =>
  Number(/^zk_digest_mismatches_count\t(\d+)$/m.exec(await m.fourLetter('mntr'))?.[1]);
const mismatchesOf = async (m: OurMember): Promise<number> => (await m.metrics()).digestMismatches;

/** A follower is killed, its tree is made another one behind its back, and it comes again; then there are more writes. */
async function spoil(running: MixedEnsemble, follower: Member): Promise<void> {
  const [first] = running.members;
  const { clientPort } = follower === first ? running.members[2] : first;
  await using session = await connect(`127.0.0.1:${clientPort}`, { timeout: 20_000 });
  await session.create('/spoiled', 'right');
  await running.equalTrees();
  await follower.kill();
  rewriteLog(follower, 'right', 'wrong');
  await follower.start();
  await running.settled();
  for (let k = 0; k < 20; k++) await session.create(`/more-${k}`);
}

test('our follower counts that its tree is not the one of Apache’s leader', async () => {
  ensemble = await MixedEnsemble.make({ servers: 'oaa', ours: { digest: true } });
  const { ours, apaches } = ensemble;
  await ensemble.startAll();
  await spoil(ensemble, ours[0]);
  await eventually('mismatches are counted', async () => (await mismatchesOf(ours[0])) >= 20);
  expect(await Promise.all(apaches.map(mismatchesAt))).toEqual([0, 0]);
});

test('Apache’s follower counts that its tree is not the one of our leader', async () => {
  ensemble = await MixedEnsemble.make({ servers: 'aoo', ours: { digest: true } });
  const { ours, apaches } = ensemble;
  await ensemble.startAll();
  await spoil(ensemble, apaches[0]);
  await eventually('mismatches are counted', async () => (await mismatchesAt(apaches[0])) >= 20);
  expect(apaches[0].log()).toMatch(/First digest mismatch on txn/);
  expect(await Promise.all(ours.map(mismatchesOf))).toEqual([0, 0]);
});
