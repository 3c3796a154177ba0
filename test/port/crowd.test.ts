import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { octetsFromText } from '../../src/util/bytes.ts';
import { eventually, within } from '../ensemble/client.ts';
import { bodyOf, frameOf, requestOf } from '../interop/raw.ts';
import { Crowd } from './crowd.ts';
import { ok, PortRig } from './rig.ts';

const OPEN = [{ perms: 31, scheme: 'world', id: 'anyone' }];
const SESSIONS = 5000;

let rig: PortRig | undefined;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zab-crowd-'));
});
let crowd: Crowd | undefined;
afterAll(async () => {
  await crowd?.end();
  await rig?.end();
  await rm(folder, { recursive: true });
});

describe('many clients', () => {
  it('serves 5,000 sessions with a watch each, and nobody notices those who misbehave', async () => {
    rig = await PortRig.start({ voters: 3, tickTime: 1000, minSessionTimeout: 60_000, maxSessionTimeout: 120_000 }, folder);
    const { leader, others } = await rig.roles();
    const writer = await rig.client(leader.id);
    ok(await writer.call({ op: 1, path: '/crowd', data: null, acl: OPEN, flags: 0, ttl: 0 }));
    const metric = (name: string) => [leader, ...others].reduce((sum, node) => sum + (node.metrics()[name] ?? 0), 0);
    const idle = { connections: metric('clientConnections'), watches: metric('clientWatches') };

    // The clients live in a process of their own, so that it is the servers' memory that is looked at.
    crowd = await Crowd.start([...rig.ports.values()]);
    const round = async (): Promise<number> => {
      await within('all clients are connected and watch', crowd!.connect(SESSIONS, '/crowd'), 60_000);
      expect(metric('clientConnections')).toBe(idle.connections + SESSIONS);
      expect(metric('clientWatches')).toBe(idle.watches + SESSIONS);
      const misbehaving = await misbehave(rig!);
      const fired = crowd!.allTold();
      ok(await writer.call({ op: 5, path: '/crowd', data: octetsFromText('changed'), version: -1 }));
      expect(await within('everybody is told', fired, 60_000)).toBe(SESSIONS);
      await misbehaving();
      ok(await writer.ping());
      await within('all clients leave', crowd!.leave(), 60_000);
      await eventually(
        'nothing is left of them',
        () => metric('clientConnections') === idle.connections && metric('clientWatches') === idle.watches,
      );
      await eventually('nor of their sessions', () => leader.metrics().sessions === 1, 60_000);
      return heapUsed();
    };
    const sizes = [await round(), await round(), await round()];
    console.log(`memory after each round, MB: ${sizes.map((size) => (size / 1e6).toFixed(1)).join(', ')}`);
    // What 5,000 sessions leave behind: nothing. They take 20 MB or so.
    expect(Math.min(sizes[1], sizes[2]) - sizes[0]).toBeLessThan(3e6);
    expect(metric('clientBytesToSend')).toBe(0);
  }, 240_000);
});

/** A client that does not read what it asks for, one that sends garbage, one that stops in the middle of a frame; returns what ends them. */
async function misbehave(rig: PortRig): Promise<() => Promise<void>> {
  const slow = await rig.client(1);
  slow.pause();
  for (let i = 0; i < 1000; i++) void slow.send(8, bodyOf({ op: 8, path: '/', watch: false }));
  const garbage = await rig.client(2);
  garbage.write(new Uint8Array(10_000).fill(0xff));
  await garbage.closed;
  const half = await rig.client(3);
  half.write(frameOf(requestOf(1, 1, new Uint8Array(1000))).subarray(0, 500));
  const halfOpen = await rig.dial(1);
  return async () => {
    // Who has not said who it is may have been given up by now.
    for (const client of [slow, half]) {
      expect(client.isClosed).toBe(false);
      client.resume();
    }
    for (const client of [slow, half]) {
      // Its session too: else it would be there until it expires.
      const again = await rig.client(1, { sessionId: client.sessionId, password: client.password });
      ok(await again.call({ op: -11 }));
    }
    const again = await rig.client(2, { sessionId: garbage.sessionId, password: garbage.password });
    ok(await again.call({ op: -11 }));
    await halfOpen.drop();
    await Promise.all([slow.drop(), half.drop()]);
  };
}

/** What is in use, after all garbage has been collected, bytes. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let i = 0; i < 3; i++) collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
