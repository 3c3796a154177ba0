import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerSpec } from 'zab-ensemble';
import { loopbackServers } from '../../examples/support/ports.ts';
import { Child, until } from '../../examples/support/processes.ts';
import type { StartOptions } from '../../examples/support/replica.ts';
import type { BenchHandlers } from './replica.ts';

export type Replica = Child<BenchHandlers>;

/** An ensemble of replica processes on loopback, with file storage in a temporary folder. */
export class Cluster {
  readonly #replicas = new Map<number, Replica>();

  private constructor(
    readonly servers: readonly ServerSpec[],
    readonly folder: string,
    readonly nodeOptions: readonly string[],
    readonly options: (id: number) => StartOptions['options'],
  ) {}

  /** `parent` is the folder that the temporary folder is made in. */
  static async create(
    parent: string,
    servers: number,
    nodeOptions: readonly string[] = [],
    options: (id: number) => StartOptions['options'] = () => ({}),
  ): Promise<Cluster> {
    return new Cluster(await loopbackServers(servers), await mkdtemp(join(parent, 'zab-bench-')), nodeOptions, options);
  }

  get ids(): number[] {
    return this.servers.map(({ id }) => id);
  }

  get(id: number): Replica {
    const replica = this.#replicas.get(id);
    if (replica === undefined) throw new Error(`replica ${id} was not started`);
    return replica;
  }

  /** Starts replicas; resolves when they serve. */
  async start(...ids: number[]): Promise<void> {
    await Promise.all(
      ids.map((id) => {
        const replica: Replica = new Child(`replica ${id}`, new URL('./replica.ts', import.meta.url), this.nodeOptions);
        this.#replicas.set(id, replica);
        return replica.call('start', { id, servers: this.servers, dataDir: this.#dataDir(id), options: this.options(id) });
      }),
    );
  }

  leader(): Promise<number> {
    return until('a leader', async () => {
      const roles = await Promise.all(
        [...this.#replicas].map(async ([id, replica]) => ({ id, role: (await replica.call('status', undefined)).role })),
      );
      return roles.find(({ role }) => role === 'leading')?.id;
    });
  }

  async forget(id: number): Promise<void> {
    await rm(this.#dataDir(id), { recursive: true, force: true });
  }

  /** Stops every process in an orderly way, keeping the data. */
  async stop(): Promise<void> {
    await Promise.all([...this.#replicas.values()].map((replica) => replica.call('stop', undefined).catch(() => {})));
    await Promise.all([...this.#replicas.values()].map((replica) => replica.kill()));
    this.#replicas.clear();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#replicas.values()].map((replica) => replica.kill()));
    await rm(this.folder, { recursive: true, force: true });
  }

  #dataDir(id: number): string {
    return join(this.folder, String(id));
  }
}
