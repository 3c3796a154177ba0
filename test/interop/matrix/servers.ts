import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../../../examples/support/ports.ts';
import { type ApacheServer, apacheServer, ask, modeOf } from '../apache.ts';
import type { Ensemble } from './record.ts';

/* The servers that the matrix compares: Apache's and ours, each alone and as an ensemble of three, all configured alike by a zoo.cfg. */

/** A server in a process of its own. */
export interface TestServer {
  readonly id: number;
  readonly clientPort: number;
  start(): Promise<void>;
  stop(signal?: NodeJS.Signals): Promise<void>;
  log(): string;
  fourLetter(word: string): Promise<string>;
}

export interface RunningEnsemble extends Ensemble {
  readonly servers: readonly TestServer[];
  stop(): Promise<void>;
}

const LIMIT_MS = 60_000;
const POLL_MS = 30;

/** So that expiry and reaping take no longer than they must; the script counts on these bounds. */
const SETTINGS = { tickTime: 500, initLimit: 20, syncLimit: 10, minSessionTimeout: 1000, maxSessionTimeout: 10_000 };
const PROPERTIES = { 'zookeeper.extendedTypesEnabled': 'true', 'znode.container.checkIntervalMs': '500' };

interface Member {
  readonly id: number;
  readonly host: string;
  readonly quorumPort: number;
  readonly electionPort: number;
}

const source = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

/** Our server, run by the command from a zoo.cfg. */
export class OurServer implements TestServer {
  readonly id: number;
  readonly clientPort: number;
  readonly #dir: string;
  readonly #settings: Readonly<Record<string, string | number>>;
  readonly #members: readonly Member[];
  #child: ChildProcess | undefined;

  constructor(
    dir: string,
    clientPort: number,
    id = 1,
    members: readonly Member[] = [],
    settings: Readonly<Record<string, string | number>> = {},
  ) {
    this.#dir = dir;
    this.clientPort = clientPort;
    this.id = id;
    this.#members = members;
    this.#settings = settings;
  }

  /** Resolves when the client port accepts. */
  async start(): Promise<void> {
    const config = join(this.#dir, 'zoo.cfg');
    this.#configure(config);
    const output = openSync(join(this.#dir, 'log'), 'a');
    const command = [process.execPath, '--import', 'tsx', source('src/cli.ts'), config];
    // The kernel ends the server with this process, whatever ends this process.
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], { stdio: ['ignore', output, output], cwd: source('.') });
    closeSync(output);
    while (
      !(await this.fourLetter('ruok').then(
        (answer) => answer === 'imok',
        () => false,
      ))
    ) {
      if (this.#child.exitCode !== null) throw new Error(`server ${this.id} ended as it started:\n${this.log()}`);
      await sleep(POLL_MS);
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  log(): string {
    return readFileSync(join(this.#dir, 'log'), 'utf8');
  }

  fourLetter(word: string): Promise<string> {
    return ask(this.clientPort, word);
  }

  #configure(file: string): void {
    const dataDir = join(this.#dir, 'data');
    mkdirSync(dataDir, { recursive: true });
    writeFileSync(join(dataDir, 'myid'), String(this.id));
    const settings = {
      dataDir,
      clientPort: this.clientPort,
      clientPortAddress: '127.0.0.1',
      '4lw.commands.whitelist': '*',
      maxClientCnxns: 0,
    };
    const servers = this.#members.map(({ id, host, quorumPort, electionPort }) => [
      `server.${id}`,
      `${host}:${quorumPort}:${electionPort}`,
    ]);
    const lines = [...Object.entries({ ...settings, ...this.#settings }), ...servers].map(([key, value]) => `${key}=${value}\n`);
    writeFileSync(file, lines.join(''));
  }
}

async function members(n: number): Promise<Member[]> {
  const ports = await freePorts(2 * n);
  return Array.from({ length: n }, (_, i) => ({ id: i + 1, host: '127.0.0.1', quorumPort: ports[2 * i], electionPort: ports[2 * i + 1] }));
}

/** `make` makes server number `id`; all of them are started at once. */
async function run(name: string, servers: readonly TestServer[]): Promise<RunningEnsemble> {
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  try {
    await Promise.all(servers.map((server) => server.start()));
    await allServe(servers);
  } catch (error) {
    await stop();
    throw error;
  }
  return { name, servers, ports: servers.map((server) => server.clientPort), stop };
}

/** Resolves when every server says in which role it serves. */
export async function allServe(servers: readonly TestServer[]): Promise<void> {
  const end = Date.now() + LIMIT_MS;
  for (const server of servers) {
    while ((await modeOf(server)) === undefined) {
      if (Date.now() > end) throw new Error(`server ${server.id} does not serve:\n${server.log().slice(-3000)}`);
      await sleep(POLL_MS);
    }
  }
}

export async function apacheAlone(dir: string): Promise<RunningEnsemble> {
  const [clientPort] = await freePorts(1);
  mkdirSync(dir, { recursive: true });
  return run('Apache, 1 server', [apacheServer({ dir, clientPort, config: SETTINGS, properties: PROPERTIES })]);
}

export interface EnsembleSettings {
  /** Lines of the zoo.cfg. @default those of the matrix */
  readonly config?: Readonly<Record<string, string | number>>;
  /** @default false */
  readonly readOnly?: boolean;
}

export async function apacheThree(dir: string, { config = SETTINGS, readOnly = false }: EnsembleSettings = {}): Promise<RunningEnsemble> {
  const servers = await members(3);
  const ports = await freePorts(3);
  const start = (id: number): ApacheServer => {
    const own = join(dir, String(id));
    mkdirSync(own, { recursive: true });
    const properties = { ...PROPERTIES, 'readonlymode.enabled': String(readOnly) };
    // 3.8.0 makes no other sessions without a quorum.
    const settings = readOnly ? { ...config, localSessionsEnabled: 'true', localSessionsUpgradingEnabled: 'true' } : config;
    return apacheServer({ id, dir: own, clientPort: ports[id - 1], servers, config: settings, properties });
  };
  return run('Apache, 3 servers', [1, 2, 3].map(start));
}

/** Our settings of the same meaning stand in the file itself. */
const OUR_SETTINGS = { ...SETTINGS, ...PROPERTIES };

export async function ourAlone(dir: string): Promise<RunningEnsemble> {
  const [clientPort] = await freePorts(1);
  return run('ours, 1 server', [new OurServer(dir, clientPort, 1, [], OUR_SETTINGS)]);
}

export async function ourThree(dir: string, { config = OUR_SETTINGS, readOnly = false }: EnsembleSettings = {}): Promise<RunningEnsemble> {
  const servers = await members(3);
  const ports = await freePorts(3);
  const settings = { ...config, 'readonlymode.enabled': String(readOnly) };
  return run(
    'ours, 3 servers',
    [1, 2, 3].map((id) => new OurServer(join(dir, String(id)), ports[id - 1], id, servers, settings)),
  );
}
