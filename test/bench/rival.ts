import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerSpec } from 'zab-ensemble';
import { freePorts } from '../../examples/support/ports.ts';
import { type ApacheServer, apacheServer, modeOf } from '../interop/apache.ts';

/** Three servers of Apache ZooKeeper. */
export class Rival {
  private constructor(
    readonly folder: string,
    readonly servers: readonly ApacheServer[],
    /** All that the servers know of, observers too. */
    readonly specs: readonly ServerSpec[],
  ) {}

  get ports(): number[] {
    return this.servers.map(({ clientPort }) => clientPort);
  }

  /** Null if it is not installed. `observers` more servers are in the configuration, for somebody else to run. */
  static async start(parent: string, observers = 0): Promise<Rival | null> {
    const ports = await freePorts(9 + 2 * observers);
    const specs = Array.from({ length: 3 + observers }, (_, i): ServerSpec => {
      const [quorumPort, electionPort] = ports.slice(3 + 2 * i);
      return { id: i + 1, host: '127.0.0.1', quorumPort, electionPort, role: i < 3 ? 'participant' : 'observer' };
    });
    const folder = await mkdtemp(join(parent, 'zab-bench-apache-'));
    let servers: ApacheServer[] = [];
    try {
      servers = [1, 2, 3].map((id) =>
        apacheServer({ id, dir: join(folder, String(id)), clientPort: ports[id - 1], servers: specs, jvm: ['-Xmx1g'] }),
      );
      await Promise.all(servers.map((server) => server.start()));
      while ((await Promise.all(servers.map(modeOf))).some((mode) => mode === undefined))
        await new Promise((resolve) => setTimeout(resolve, 50));
      return new Rival(folder, servers, specs);
    } catch (error) {
      await Promise.all(servers.map((server) => server.stop()));
      await rm(folder, { recursive: true, force: true });
      if (error instanceof Error && error.message.includes('CANNOT RUN')) return null;
      throw error;
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
    await rm(this.folder, { recursive: true, force: true });
  }
}
