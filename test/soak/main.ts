import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { loopbackServers } from '../../examples/support/ports.ts';
import { Child } from '../../examples/support/processes.ts';
import type { Acknowledged, Contents, SoakHandlers } from './replica.ts';

const USAGE = `npm run soak -- [--rounds N] [--election fast|basic]

Three replica processes over TCP with files and fsync, clients in each. In every round one, two or all three of them are killed with kill -9 and started again.
At the end every acknowledged write must be on all three, and their trees must be equal in every Stat field.`;

const CLIENTS = 12;

class Soak {
  readonly #replicas = new Map<number, Child<SoakHandlers>>();
  /** The last thing heard of each path. */
  readonly #acknowledged = new Map<string, Acknowledged[1]>();

  constructor(
    readonly servers: Awaited<ReturnType<typeof loopbackServers>>,
    readonly folder: string,
    readonly election: 'fast' | 'basic',
  ) {}

  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  async start(ids: readonly number[]): Promise<void> {
    await Promise.all(
      ids.map(async (id) => {
        const replica = new Child<SoakHandlers>(`replica ${id}`, new URL('./replica.ts', import.meta.url));
        this.#replicas.set(id, replica);
        replica.onNote = (note) => {
          for (const [path, what] of note as Acknowledged[]) this.#acknowledged.set(path, what);
        };
        // Small numbers, so that snapshots, purges and every kind of synchronisation happen often.
        const options = { election: this.election, tickTime: 200, initLimit: 100, syncLimit: 50, snapCount: 3000, commitLogCount: 300 };
        await replica.call('start', {
          id,
          servers: this.servers,
          dataDir: join(this.folder, String(id)),
          options: { ...options, digest: true },
        });
        await replica.call('write', { count: CLIENTS });
      }),
    );
  }

  async kill(ids: readonly number[]): Promise<void> {
    for (const id of ids) {
      const gone = this.#replicas.get(id)?.kill();
      if (Math.random() < 0.5) await gone;
      if (Math.random() < 0.5) await sleep(Math.random() * 80);
      await gone;
    }
  }

  /** What is wrong at the end; empty if all is well. */
  async verdict(): Promise<string[]> {
    const replicas = [...this.#replicas.values()];
    await Promise.all(replicas.map((replica) => replica.call('stopWriting', undefined)));
    const trees = await this.#trees(replicas);
    const problems: string[] = [];
    for (const [k, tree] of trees.entries()) {
      const differ = tree.filter((line, i) => line !== trees[0][i]).length;
      if (differ > 0 || tree.length !== trees[0].length)
        problems.push(`${replicas[k].name}: ${differ} znodes differ from ${replicas[0].name}'s`);
    }
    const paths = new Map(trees[0].map((line) => [(JSON.parse(line) as [string])[0], line]));
    for (const [path, what] of this.#acknowledged) {
      if (what === 'deleted' && paths.has(path)) problems.push(`${path} was deleted, and is there`);
      if (what.startsWith('0x') && !paths.has(path)) problems.push(`${path} was acknowledged at ${what}, and is lost`);
    }
    for (const replica of replicas) {
      const { metrics } = await replica.call('status', undefined);
      if (metrics.digestMismatches > 0) problems.push(`${replica.name}: ${metrics.digestMismatches} digest mismatches`);
    }
    return problems;
  }

  /** The trees of all at one and the same time: sessions of those that were killed still expire, and take their ephemeral znodes with them. */
  async #trees(replicas: readonly Child<SoakHandlers>[]): Promise<Contents['znodes'][]> {
    for (let tries = 1; ; tries++) {
      await Promise.all(replicas.map((replica) => replica.call('sync', undefined)));
      const found = await Promise.all(replicas.map((replica) => replica.call('contents', undefined)));
      if (found.every(({ zxid }) => zxid === found[0].zxid) || tries === 100) return found.map(({ znodes }) => znodes);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#replicas.values()].map((replica) => replica.kill()));
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { rounds: { type: 'string', default: '20' }, election: { type: 'string', default: 'fast' }, help: { type: 'boolean' } },
  });
  if (values.help) return console.log(USAGE);
  const rounds = Number(values.rounds);
  const election = values.election;
  if (!Number.isInteger(rounds) || rounds < 1 || (election !== 'fast' && election !== 'basic')) throw new Error(USAGE);
  const soak = new Soak(await loopbackServers(3), await mkdtemp(join(tmpdir(), 'zab-soak-')), election);
  try {
    const ids = [1, 2, 3];
    await soak.start(ids);
    for (let round = 1; round <= rounds; round++) {
      const before = soak.acknowledged;
      while (soak.acknowledged < before + 500) await sleep(5);
      await sleep(Math.random() * 1000);
      const victims = [...ids].sort(() => Math.random() - 0.5).slice(0, [1, 1, 1, 2, 3][Math.floor(Math.random() * 5)]);
      await soak.kill(victims);
      await sleep(Math.random() * 400);
      await soak.start(victims);
      console.log(`round ${round}: killed ${victims.join(', ')}; ${soak.acknowledged} writes acknowledged so far`);
    }
    const problems = await soak.verdict();
    for (const problem of problems.slice(0, 20)) console.log(problem);
    console.log(
      problems.length === 0
        ? `nothing of ${soak.acknowledged} acknowledged writes is lost, all trees are equal`
        : `${problems.length} problems`,
    );
    process.exitCode = problems.length === 0 ? 0 : 1;
  } finally {
    await soak.close();
  }
}

await main();
