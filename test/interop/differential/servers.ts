import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apacheServer, freePorts } from '../apache.ts';
import { SUPER_DIGEST } from './material.ts';
import { SHORT, type Target } from './player.ts';

/** Servers under test, and how to be rid of them. */
export interface Running {
  readonly target: Target;
  stop(): Promise<void>;
}

/** Small, so that sessions that are left alone expire soon. */
const TICK = 200;

/** A standalone Apache ZooKeeper in a new directory, which goes with it. */
export async function apacheTarget(name: string): Promise<Running> {
  const dir = mkdtempSync(join(tmpdir(), 'zab-apache-'));
  const [port] = await freePorts(1);
  const server = apacheServer({
    dir,
    clientPort: port,
    config: { tickTime: TICK, minSessionTimeout: SHORT, maxSessionTimeout: 2_000_000 },
    properties: {
      'zookeeper.extendedTypesEnabled': 'true',
      'zookeeper.DigestAuthenticationProvider.superDigest': SUPER_DIGEST,
      // Nothing of this is read back, and nothing may change but by the steps.
      'zookeeper.forceSync': 'no',
      'znode.container.checkIntervalMs': '3600000',
    },
  });
  await server.start();
  const stop = async () => {
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  // A standalone server counts in epoch 0.
  return { target: { name, ports: [port], epoch: 0 }, stop };
}
