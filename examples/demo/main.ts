import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { ServerSpec } from 'zab-ensemble';
import { loopbackServers } from '../support/ports.ts';
import { bold, count, cyan, dim, green, red, say, yellow } from '../support/print.ts';
import { Child, sharedNow, until } from '../support/processes.ts';
import { verify } from './checks.ts';
import type { DemoHandlers, WriteReport } from './replica.ts';

/*
 * Three replicas, each in an operating-system process of its own with its data on disk. A client on a follower writes; in the middle of it the leader is killed
 * with SIGKILL and started again. Afterwards every acknowledged write must be on all three replicas, in one order.
 */

type Replica = Child<DemoHandlers>;

/** So few that the killed replica is back before the writes are through. */
const OUTSTANDING = 6;

class Demo {
  readonly #replicas = new Map<number, Replica>();

  constructor(
    readonly servers: readonly ServerSpec[],
    readonly folder: string,
    readonly writes: number,
  ) {}

  async run(): Promise<boolean> {
    say(`starting ${bold('three replicas')}, data in ${dim(this.folder)}`);
    await Promise.all(this.servers.map(({ id }) => this.#start(id)));
    const { leaderId, epoch } = await this.#replica(1).call('status', undefined);
    if (leaderId === undefined) throw new Error('an ensemble that serves has no leader');
    const [writerId, otherId] = this.servers.map(({ id }) => id).filter((id) => id !== leaderId);
    say(`replica ${bold(String(leaderId))} leads epoch ${epoch}; ${writerId} and ${otherId} follow`);

    const writer = this.#replica(writerId);
    await writer.call('prepareWriter', { count: this.writes });
    say(`a client on replica ${writerId} makes ${bold(count(this.writes))} writes, ${OUTSTANDING} under way at a time`);
    const writing = writer.call('write', { outstanding: OUTSTANDING });
    const killAt = Math.floor(this.writes * 0.4);
    await Promise.race([writer.call('acknowledged', { at: killAt }), writing]);

    const killed = sharedNow();
    await this.#replica(leaderId).kill();
    const before = await writer.call('done', undefined);
    say(`${red('kill -9')} of the leader, replica ${leaderId}, after ${count(before)} acknowledged writes`);
    const successor = await until('a new leader', () => writer.call('newLeader', { old: leaderId, since: killed }));
    const leaderless = successor.at - killed;
    say(`replica ${bold(String(successor.leader))} leads now; a leader was known ${cyan(`${leaderless.toFixed(0)} ms`)} after the kill`);
    // One process that starts takes a core for a while; the outage is measured without it.
    await Promise.race([writer.call('acknowledged', { at: before + 1 }), writing]);
    await this.#start(leaderId);
    const { role } = await this.#replica(leaderId).call('status', undefined);
    say(
      `replica ${leaderId} was started again and serves as a ${role} one, after ${count(await writer.call('done', undefined))} acknowledged writes`,
    );

    const report = await writing;
    if (report === undefined) throw new Error('the writer was not prepared');
    this.#report(report, leaderless);
    return this.#check(report);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#replicas.values()].map((replica) => replica.call('stop', undefined).catch(() => {})));
    await Promise.all([...this.#replicas.values()].map((replica) => replica.kill()));
  }

  #replica(id: number): Replica {
    const replica = this.#replicas.get(id);
    if (replica === undefined) throw new Error(`no replica ${id}`);
    return replica;
  }

  async #start(id: number): Promise<void> {
    const replica: Replica = new Child(`replica ${id}`, new URL('./replica.ts', import.meta.url));
    this.#replicas.set(id, replica);
    await replica.call('start', { id, servers: this.servers, dataDir: join(this.folder, String(id)) });
  }

  #report(report: WriteReport, leaderless: number): void {
    const rate = (this.writes / report.milliseconds) * 1000;
    say(`all ${count(this.writes)} writes are acknowledged: ${count(rate)} writes/s, the outage included`);
    say(
      `  ended with ${yellow('CONNECTION_LOSS')}: ${report.unknown} with unknown outcome, ${report.refused} surely not done; all were retried`,
    );
    say(`  of these ${report.doneBefore} had been carried out before (the retry found NODE_EXISTS)`);
    say(
      `  without a leader: ${cyan(`${leaderless.toFixed(0)} ms`)}; longest wait between two acknowledgements: ${cyan(`${report.longestWait.toFixed(0)} ms`)}`,
    );
  }

  async #check(report: WriteReport): Promise<boolean> {
    const lists = new Map(
      await Promise.all(
        this.servers.map(async ({ id }) => {
          await this.#replica(id).call('sync', undefined);
          return [id, await this.#replica(id).call('list', undefined)] as const;
        }),
      ),
    );
    const checks = verify(this.writes, report, lists);
    for (const { what, wrong } of checks)
      say(wrong.length === 0 ? `${green('ok')}    ${what}` : `${red('WRONG')} ${what}: ${wrong.slice(0, 3).join('; ')}`);
    return checks.every(({ wrong }) => wrong.length === 0);
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { writes: { type: 'string', default: '10000' } } });
  const writes = Number(values.writes);
  if (!Number.isInteger(writes) || writes < 100) throw new Error('--writes takes a whole number from 100');
  const folder = await mkdtemp(join(tmpdir(), 'zab-demo-'));
  const demo = new Demo(await loopbackServers(3), folder, writes);
  try {
    const good = await demo.run();
    say(good ? green('every acknowledged write is on all three replicas, in one order') : red('something is missing'));
    process.exitCode = good ? 0 : 1;
  } finally {
    await demo.close();
    await rm(folder, { recursive: true, force: true });
  }
}

await main();
