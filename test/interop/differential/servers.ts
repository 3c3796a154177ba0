import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../../examples/support/ports.ts';
import { createEnsembleNode, type EnsembleNode } from '../../../src/index.ts';
import { apacheServer } from '../apache.ts';
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

/** `count` servers of ours in this process, each on a directory of its own. */
export async function zabTarget(name: string, count: number): Promise<Running & { readonly nodes: readonly EnsembleNode[] }> {
  const dir = mkdtempSync(join(tmpdir(), 'zab-diff-'));
  const ports = await freePorts(3 * count);
  const servers = Array.from({ length: count }, (_, i) => ({
    id: i + 1,
    host: '127.0.0.1',
    quorumPort: ports[3 * i],
    electionPort: ports[3 * i + 1],
  }));
  const nodes = servers.map(({ id }) =>
    createEnsembleNode({
      id,
      servers,
      dataDir: join(dir, String(id)),
      clientPort: ports[3 * id - 1],
      clientHost: '127.0.0.1',
      tickTime: TICK,
      // Nobody is given up because the machine is busy.
      syncLimit: 100,
      initLimit: 100,
      minSessionTimeout: SHORT,
      maxSessionTimeout: 2_000_000,
      superDigest: SUPER_DIGEST,
      digest: true,
      containerCheckInterval: 3_600_000,
    }),
  );
  await Promise.all(nodes.map((node) => node.start()));
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    rmSync(dir, { recursive: true, force: true });
  };
  const target = { name, ports: servers.map(({ id }) => ports[3 * id - 1]), epoch: nodes[0].epoch };
  return { target, stop, nodes };
}
