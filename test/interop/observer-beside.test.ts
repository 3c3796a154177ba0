import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { freePorts } from '../../examples/support/ports.ts';
import { configFromZooCfg, connect, digestId } from '../../src/index.ts';
import { ServerProcess } from '../cli/server-process.ts';
import { eventually } from '../ensemble/client.ts';
import { type ApacheMember, type ApacheServer, apacheServer, ask, modeOf } from './apache.ts';
import { python } from './trees.ts';

/* A server of ours observes an ensemble of Apache's that runs: what its servers must know of it, and what not. */

const SUPER = 'super:secret';

class Beside implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'zab-beside-'));
  readonly apaches: readonly ApacheServer[];
  readonly observerPort: number;
  /** The observer's line in a configuration. */
  readonly line: string;
  readonly #observer: ApacheMember;
  readonly #servers: readonly ApacheMember[];

  private constructor(ids: readonly number[], observer: number, ports: number[], config: Readonly<Record<string, string | number>>) {
    const member = (id: number): ApacheMember => ({
      id,
      host: '127.0.0.1',
      quorumPort: ports.pop() as number,
      electionPort: ports.pop() as number,
    });
    this.#servers = ids.map(member);
    this.#observer = member(observer);
    this.observerPort = ports.pop() as number;
    const { quorumPort, electionPort } = this.#observer;
    this.line = `server.${observer}=127.0.0.1:${quorumPort}:${electionPort}:observer;127.0.0.1:${this.observerPort}`;
    this.apaches = this.#servers.map(({ id }) =>
      apacheServer({ id, dir: join(this.dir, `${id}`), clientPort: ports.pop() as number, servers: this.#servers, config }),
    );
  }

  /** Starts Apache's servers `ids`, who know nothing of an observer. */
  static async start(ids: readonly number[], observer: number, config: Readonly<Record<string, string | number>> = {}): Promise<Beside> {
    const beside = new Beside(ids, observer, await freePorts(3 * (ids.length + 1)), { tickTime: 1000, ...config });
    await Promise.all(beside.apaches.map((server) => server.start()));
    await beside.leader();
    return beside;
  }

  async leader(among: readonly ApacheServer[] = this.apaches): Promise<ApacheServer> {
    let leader: ApacheServer | undefined;
    const look = async () => {
      const modes = await Promise.all(among.map(modeOf));
      leader = among[modes.indexOf('leader')];
      return leader !== undefined && modes.every((mode) => mode !== undefined);
    };
    await eventually('all serve, and one leads', look, 60_000);
    return leader as ApacheServer;
  }

  get file(): string {
    return join(this.dir, 'observer.cfg');
  }

  /** The observer on a file that names it, or on one that names a dynamic file which does. */
  observe(isDynamic = false): ServerProcess {
    const { dir, line } = this;
    const data = join(dir, 'observer');
    mkdirSync(data, { recursive: true });
    writeFileSync(join(data, 'myid'), `${this.#observer.id}`);
    const servers = this.#servers.map((s) => `server.${s.id}=${s.host}:${s.quorumPort}:${s.electionPort}`);
    const lines = ['tickTime=1000', 'initLimit=10', 'syncLimit=5', `dataDir=${data}`, '4lw.commands.whitelist=*'];
    const dynamic = join(dir, 'observer.cfg.dynamic');
    if (isDynamic) writeFileSync(dynamic, [...servers, line].join('\n'));
    writeFileSync(this.file, [...lines, ...(isDynamic ? [`dynamicConfigFile=${dynamic}`] : [...servers, line])].join('\n'));
    return new ServerProcess(this.file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.apaches.map((server) => server.stop()));
    rmSync(this.dir, { recursive: true, force: true });
  }
}

let beside: Beside | undefined;
let observer: ServerProcess | undefined;
afterEach(async () => {
  await observer?.[Symbol.asyncDispose]();
  await beside?.[Symbol.asyncDispose]();
  beside = undefined;
  observer = undefined;
});

/** A write at one server is there at the other after a sync. */
async function carries(from: number, to: number, path: string): Promise<void> {
  await using writer = await connect(`127.0.0.1:${from}`);
  await using reader = await connect(`127.0.0.1:${to}`);
  await writer.create(path, path);
  await reader.sync();
  expect((await reader.getData(path)).text()).toBe(path);
}

test.each([
  ['above theirs', [1, 2, 3], 4],
  ['below theirs', [2, 3, 4], 1],
])('Apache’s servers need not know the observer, with a number %s', async (_name, ids, id) => {
  beside = await Beside.start(ids, id);
  const { apaches, observerPort } = beside;
  const leader = await beside.leader();
  observer = beside.observe();
  await observer.says(new RegExp(`serving: observing server ${leader.id}`));
  expect(await leader.fourLetter('mntr')).toMatch(/^zk_synced_observers\t1$/m);
  await carries(leader.clientPort, observerPort, '/there');
  await carries(observerPort, leader.clientPort, '/and-back');

  // The observer has to ask again who leads, of servers that have never heard its name.
  observer.forget();
  await leader.stop();
  const rest = apaches.filter((server) => server !== leader);
  const next = await beside.leader(rest);
  await observer.says(new RegExp(`serving: observing server ${next.id}`));
  await carries(observerPort, next.clientPort, '/under-another');
  await leader.start();
  await beside.leader();
  await carries(leader.clientPort, observerPort, '/all-again');
  expect(await ask(observerPort, 'mntr')).toMatch(/^zk_digest_mismatches_count\t0$/m);
  expect((await observer.stop('SIGTERM')).code).toBe(0);
});

const RECONFIGURABLE = { reconfigEnabled: 'true', 'DigestAuthenticationProvider.superDigest': digestId(SUPER) };

test('with reconfig enabled they must: the observer waits and says why, until it has been added, and nobody is started again', async () => {
  beside = await Beside.start([1, 2, 3], 4, RECONFIGURABLE);
  const { apaches, observerPort, line } = beside;
  const waiting = beside.observe();
  observer = waiting;
  await eventually('it says why it waits', () => /is not heard: it knows a newer configuration with other members/.test(waiting.stderr));
  await python('reconfig.py', String(apaches[0].clientPort), SUPER, line);
  await waiting.says(/serving: observing/);
  await carries(apaches[0].clientPort, observerPort, '/there');
  await carries(observerPort, apaches[1].clientPort, '/and-back');
});

test('the observer goes along with whoever comes and goes, and keeps the members for its next start', async () => {
  beside = await Beside.start([1, 2, 3], 4, RECONFIGURABLE);
  const { apaches, observerPort, line, file } = beside;
  observer = beside.observe(true);
  const port = apaches[0].clientPort;
  await python('reconfig.py', String(port), SUPER, line);
  await observer.says(/serving: observing/);

  const [quorumPort, electionPort, clientPort] = await freePorts(3);
  const other = `server.9=127.0.0.1:${quorumPort}:${electionPort}:observer;127.0.0.1:${clientPort}`;
  for (const [what, members, path] of [
    [other, [1, 2, 3, 4, 9], '/one-more'],
    ['9', [1, 2, 3, 4], '/one-less'],
  ] as const) {
    observer.forget();
    await python('reconfig.py', String(port), SUPER, what);
    const [, kept] = await observer.says(/the members of the ensemble are in (.*\.dynamic\.[0-9a-f]+) now/);
    await observer.says(/serving: observing/);
    await carries(port, observerPort, path);
    const { options } = await configFromZooCfg(file);
    expect(options.servers.map(({ id }) => id).sort()).toEqual(members);
    expect(kept.endsWith(`.${options.configVersion?.toString(16)}`)).toBe(true);
  }

  await observer.stop('SIGKILL');
  observer = new ServerProcess(file);
  await observer.says(/serving: observing/);
  await carries(observerPort, port, '/after-a-start');
  expect(observer.stderr).not.toContain('out of date');
});
