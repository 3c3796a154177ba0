import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/* Apache ZooKeeper servers as Debian packages them, each in a process and a folder of its own. */

export interface ApacheServer {
  readonly id: number;
  readonly clientPort: number;
  /** Holds `zoo.cfg`, the data directory `data` (with `myid`) and the log `zookeeper.log`. */
  readonly dir: string;
  readonly dataDir: string;
  readonly pid: number | undefined;
  /** Resolves when a standalone server serves; of an ensemble's server, when its client port accepts (see {@link modeOf}). Rejects if the process ends. */
  start(): Promise<void>;
  /** Resolves when the process is gone. @default SIGKILL */
  stop(signal?: NodeJS.Signals): Promise<void>;
  signal(s: NodeJS.Signals): void;
  /** All that it has logged, over every start. */
  log(): string;
  /** The answer to a four-letter word; all of them are allowed. */
  fourLetter(word: string): Promise<string>;
}

export interface ApacheMember {
  readonly id: number;
  readonly host: string;
  readonly quorumPort: number;
  readonly electionPort: number;
  readonly role?: 'participant' | 'observer';
}

export interface ApacheOptions {
  /** @default 1 */
  readonly id?: number;
  readonly dir: string;
  readonly clientPort: number;
  /** Without them the server is standalone. */
  readonly servers?: readonly ApacheMember[];
  /** Lines of `zoo.cfg` beside those of this file, or instead of them. */
  readonly config?: Readonly<Record<string, string | number>>;
  /** System properties. */
  readonly properties?: Readonly<Record<string, string>>;
  /** @default 256 */
  readonly heapMb?: number;
  /** Options of the virtual machine. @default a small heap, and what starts quickly */
  readonly jvm?: readonly string[];
}

const JARS = '/usr/share/java';
const PACKAGES: Readonly<Record<string, string>> = {
  'zookeeper.jar': 'libzookeeper-java',
  'zookeeper-jute.jar': 'libzookeeper-java',
  'slf4j-api.jar': 'libslf4j-java',
  'slf4j-log4j12.jar': 'libslf4j-java',
  'log4j-1.2.jar': 'liblog4j1.2-java',
  'netty-buffer.jar': 'libnetty-java',
  'netty-codec.jar': 'libnetty-java',
  'netty-common.jar': 'libnetty-java',
  'netty-handler.jar': 'libnetty-java',
  'netty-resolver.jar': 'libnetty-java',
  'netty-transport.jar': 'libnetty-java',
  'netty-transport-native-epoll.jar': 'libnetty-java',
  'netty-transport-native-unix-common.jar': 'libnetty-java',
  'snappy-java.jar': 'libsnappy-java',
  'metrics-core.jar': 'libdropwizard-metrics-java',
  'commons-cli.jar': 'libcommons-cli-java',
  'commons-io.jar': 'libcommons-io-java',
};
const OTHER_PACKAGES: Readonly<Record<string, string>> = {
  java: 'default-jre-headless',
  kazoo: 'python3-kazoo',
  'curator-client.jar': 'libcurator-client-java',
  'curator-framework.jar': 'libcurator-framework-java',
  'curator-recipes.jar': 'libcurator-recipes-java',
  'zookeeper.h': 'libzookeeper-mt-dev',
};

/** The class path of Apache ZooKeeper's server and Java client. */
export const apacheClassPath: string = Object.keys(PACKAGES)
  .map((jar) => join(JARS, jar))
  .join(':');

/** Throws an error that names the Debian package for every file that is not there; a file without a folder is a Java archive. */
export function requirePackages(...files: string[]): void {
  const missing = files.filter((file) => !existsSync(file.includes('/') ? file : join(JARS, file)));
  if (missing.length === 0) return;
  const lines = missing.map((file) => {
    const name = file.slice(file.lastIndexOf('/') + 1);
    const owner = PACKAGES[name] ?? OTHER_PACKAGES[name];
    return `${file} is missing: ${owner === undefined ? 'install its package' : `apt-get install ${owner}`}`;
  });
  throw new Error(`THE INTEROPERABILITY TESTS CANNOT RUN\n${lines.join('\n')}`);
}

/** Sends `text` to a port of this machine and reads until the other side closes. */
export function ask(port: number, text: string, limit = 10_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(text));
    socket.setTimeout(limit, () => socket.destroy(new Error(`no answer from port ${port} to ${text} within ${limit} ms`)));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('end', () => resolve(Buffer.concat(chunks).toString()));
    socket.on('error', reject);
  });
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** What a server says that it is (`leader`, `follower`, `observer`, `standalone`, `read-only`); undefined while it does not serve or is gone. */
export async function modeOf(server: Pick<ApacheServer, 'fourLetter'>): Promise<string | undefined> {
  try {
    return /^Mode: (.*)$/m.exec(await server.fourLetter('srvr'))?.[1];
  } catch {
    return undefined;
  }
}

/** A server that does nothing before its `start()`. A `zoo.cfg` that is in `dir` is used as it is, so that a server keeps what it wrote there itself. */
export function apacheServer(options: ApacheOptions): ApacheServer {
  requirePackages(...Object.keys(PACKAGES));
  return new DebianServer(options);
}

class DebianServer implements ApacheServer {
  readonly id: number;
  readonly clientPort: number;
  readonly dir: string;
  readonly dataDir: string;
  readonly #options: ApacheOptions;
  #process: ChildProcess | undefined;

  constructor(options: ApacheOptions) {
    this.#options = options;
    this.id = options.id ?? 1;
    this.clientPort = options.clientPort;
    this.dir = options.dir;
    this.dataDir = join(options.dir, 'data');
  }

  get pid(): number | undefined {
    return this.#running() ? this.#process?.pid : undefined;
  }

  async start(): Promise<void> {
    if (this.#running()) throw new Error(`server ${this.id} is running`);
    this.#writeFiles();
    this.#spawn();
    while (!(await this.#isUp())) {
      if (!this.#running()) throw new Error(`server ${this.id} ended as it started:\n${this.#output()}`);
      await sleep(20);
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#process;
    if (child === undefined || !this.#running()) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  signal(s: NodeJS.Signals): void {
    if (!this.#running()) throw new Error(`server ${this.id} is not running`);
    this.#process?.kill(s);
  }

  log(): string {
    return this.#read('zookeeper.log');
  }

  fourLetter(word: string): Promise<string> {
    return ask(this.clientPort, word);
  }

  #running(): boolean {
    const child = this.#process;
    return child !== undefined && child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  }

  #isUp(): Promise<boolean> {
    if (this.#options.servers !== undefined) return accepts(this.clientPort);
    // A question that came as the port was opened may stay without an answer for ever.
    return modeOf({ fourLetter: (word) => ask(this.clientPort, word, 1000) }).then((mode) => mode !== undefined);
  }

  #spawn(): void {
    const { heapMb = 256, properties = {}, jvm } = this.#options;
    const output = openSync(join(this.dir, 'stdout'), 'a');
    const flags = jvm ?? [`-Xmx${heapMb}m`, '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
    const settings = { 'log4j.configuration': `file:${join(this.dir, 'log4j.properties')}`, ...properties };
    const main = ['-cp', apacheClassPath, 'org.apache.zookeeper.server.quorum.QuorumPeerMain', join(this.dir, 'zoo.cfg')];
    const java = ['java', ...flags, ...Object.entries(settings).map(([name, value]) => `-D${name}=${value}`), ...main];
    // The kernel ends the server with this process, whatever ends this process.
    this.#process = spawn('setpriv', ['--pdeathsig', 'KILL', ...java], { stdio: ['ignore', output, output] });
    this.#process.on('error', () => {});
    closeSync(output);
  }

  #writeFiles(): void {
    mkdirSync(this.dataDir, { recursive: true });
    writeFileSync(join(this.dataDir, 'myid'), String(this.id));
    writeFileSync(join(this.dir, 'log4j.properties'), logging(join(this.dir, 'zookeeper.log')));
    const file = join(this.dir, 'zoo.cfg');
    if (!existsSync(file)) writeFileSync(file, this.#configuration());
  }

  #configuration(): string {
    const { servers = [], config = {} } = this.#options;
    const self = servers.find((server) => server.id === this.id);
    const settings: Record<string, string | number> = {
      tickTime: 2000,
      initLimit: 10,
      syncLimit: 5,
      dataDir: this.dataDir,
      clientPort: this.clientPort,
      clientPortAddress: '127.0.0.1',
      'admin.enableServer': 'false',
      '4lw.commands.whitelist': '*',
      maxClientCnxns: 0,
      ...(self?.role === 'observer' ? { peerType: 'observer' } : {}),
      ...config,
    };
    const members = servers.map((s) => [
      `server.${s.id}`,
      `${s.host}:${s.quorumPort}:${s.electionPort}${s.role === 'observer' ? ':observer' : ''}`,
    ]);
    return [...Object.entries(settings), ...members].map(([key, value]) => `${key}=${value}\n`).join('');
  }

  #output(): string {
    return [...this.#read('stdout').split('\n').slice(-10), ...this.log().split('\n').slice(-10)].join('\n');
  }

  #read(name: string): string {
    const file = join(this.dir, name);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }
}

const logging = (file: string): string => `log4j.rootLogger=INFO, F
log4j.appender.F=org.apache.log4j.FileAppender
log4j.appender.F.File=${file}
log4j.appender.F.layout=org.apache.log4j.PatternLayout
log4j.appender.F.layout.ConversionPattern=%d{ISO8601} - %-5p [%t:%C{1}@%L] - %m%n
`;
