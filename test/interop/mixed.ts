import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { loopbackServers } from '../../examples/support/ports.ts';
import { Child } from '../../examples/support/processes.ts';
import type { ServerSpec } from '../../src/index.ts';
import { eventually, within } from '../ensemble/client.ts';
import { type ApacheOptions, type ApacheServer, apacheServer, freePorts, modeOf, requirePackages } from './apache.ts';
import type { HostHandlers, HostNote, HostOptions } from './host.ts';
import { type DumpedZnode, Ledger } from './ledger.ts';

/* Ensembles of Apache ZooKeeper servers and of our replicas, every server in a process of its own. */

export type Mode = 'leader' | 'follower' | 'observer';

/** A server of a mixed ensemble. */
export interface Member {
  readonly id: number;
  readonly kind: 'apache' | 'ours';
  readonly isObserver: boolean;
  readonly dataDir: string;
  /** Resolves when the process has begun; `mode` tells when it serves. */
  start(): Promise<void>;
  /** `kill -9`; resolves when the process is gone. */
  kill(): Promise<void>;
  signal(s: NodeJS.Signals): void;
  /** What it is; undefined while it does not serve or does not run. */
  mode(): Promise<Mode | undefined>;
  log(): string;
  /** Its tree, as lines of JSON. */
  dump(): Promise<string[]>;
}

/** The identity that passes every ACL, for looking at the trees. */
export const SUPER = 'super:secret';
const SUPER_DIGEST = 'super:lK75jTNcA+U9vtVEw5vB51mj/w4=';

const TICK = 1000;

export class ApacheMember implements Member {
  readonly kind = 'apache';

  constructor(
    readonly server: ApacheServer,
    readonly isObserver: boolean,
  ) {}

  get id(): number {
    return this.server.id;
  }
  get dataDir(): string {
    return this.server.dataDir;
  }
  start(): Promise<void> {
    return this.server.start();
  }
  kill(): Promise<void> {
    return this.server.stop();
  }
  signal(s: NodeJS.Signals): void {
    this.server.signal(s);
  }
  async mode(): Promise<Mode | undefined> {
    return this.server.pid === undefined ? undefined : ((await modeOf(this.server)) as Mode | undefined);
  }
  log(): string {
    return this.server.log();
  }
  dump(): Promise<string[]> {
    return dumpPort(this.server.clientPort);
  }
}

export class OurMember implements Member {
  readonly kind = 'ours';
  onNote: (note: HostNote) => void = () => {};
  readonly #clients: string[] = [];
  #child: Child<HostHandlers> | undefined;
  readonly #options: HostOptions;

  constructor(
    options: HostOptions,
    readonly isObserver: boolean,
  ) {
    this.#options = options;
  }

  get id(): number {
    return this.#options.id;
  }
  get dataDir(): string {
    return this.#options.dataDir as string;
  }
  /** The running process. */
  get child(): Child<HostHandlers> {
    if (this.#child === undefined) throw new Error(`server ${this.id} does not run`);
    return this.#child;
  }
  async start(): Promise<void> {
    mkdirSync(this.dataDir, { recursive: true });
    const child = new Child<HostHandlers>(`server ${this.id}`, new URL('./host.ts', import.meta.url), ['--import', 'tsx']);
    child.onNote = (note) => this.onNote(note as HostNote);
    this.#child = child;
    await child.call('start', this.#options);
    // The clients of this process died with it; they come again under their names and find what they left.
    for (const client of this.#clients) await child.call('load', { client });
  }
  async startClient(name: string): Promise<void> {
    this.#clients.push(name);
    await this.child.call('load', { client: name });
  }
  async pauseClients(): Promise<void> {
    await this.#child?.call('pauseLoads', undefined as never);
  }
  async resumeClients(): Promise<void> {
    await this.#child?.call('resumeLoads', undefined as never);
  }
  /** Ends the clients of this process; it has none when it starts again either. */
  async stopClients(how: 'close' | 'leave'): Promise<void> {
    this.#clients.length = 0;
    await this.#child?.call('stopLoads', { how });
  }
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    await child?.kill();
  }
  signal(s: NodeJS.Signals): void {
    process.kill(this.child.pid, s);
  }
  async mode(): Promise<Mode | undefined> {
    if (this.#child === undefined) return undefined;
    const { serving, role } = await this.#child.call('status', undefined as never);
    if (!serving) return undefined;
    return role === 'leading' ? 'leader' : role === 'following' ? 'follower' : 'observer';
  }
  log(): string {
    const { logFile } = this.#options;
    return existsSync(logFile) ? readFileSync(logFile, 'utf8') : '';
  }
  dump(): Promise<string[]> {
    return this.child.call('dump', undefined as never);
  }
}

const run = promisify(execFile);

/** Runs a script of this folder; gives what it prints. */
export async function python(script: string, ...args: string[]): Promise<string> {
  const { stdout } = await run('/usr/bin/python3', [fileURLToPath(new URL(script, import.meta.url)), ...args], { maxBuffer: 1 << 30 });
  return stdout;
}

async function dumpPort(port: number): Promise<string[]> {
  const stdout = await python('dump.py', String(port), SUPER);
  return stdout.split('\n').filter((line) => line !== '');
}

/** A dumped line; the data as text, numbers as text. */
function parseLine(line: string): DumpedZnode {
  const [path, data, stat, acl] = JSON.parse(line) as [string, string | null, Record<string, string>, DumpedZnode['acl']];
  return { path, data: data === null ? null : Buffer.from(data, 'base64').toString(), stat, acl };
}

/** Every server writes its configuration into its own tree when it starts: when, is its own affair. */
function comparable(line: string): DumpedZnode {
  const znode = parseLine(line);
  return znode.path === '/zookeeper/config' ? { ...znode, stat: { ...znode.stat, mtime: '-' } } : znode;
}

/** Paths that only one tree has, or that are not alike. */
function different(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): string[] {
  return [...new Set([...a.keys(), ...b.keys()])].filter((path) => a.get(path) !== b.get(path));
}

export interface MixedOptions {
  /** One letter for each server, from id 1 on: `a` Apache's, `o` ours; a capital one is an observer. */
  readonly servers: string;
  readonly apache?: Partial<ApacheOptions>;
  readonly ours?: Partial<HostOptions>;
}

export class MixedEnsemble {
  readonly folder = mkdtempSync(join(tmpdir(), 'zab-mixed-'));
  readonly ledger = new Ledger();
  readonly members: readonly Member[];

  private constructor(options: MixedOptions, servers: readonly ServerSpec[], clientPorts: readonly number[]) {
    this.members = servers.map((spec, i) => {
      const isObserver = spec.role === 'observer';
      const dir = join(this.folder, String(spec.id));
      if (options.servers[i].toLowerCase() === 'a')
        return new ApacheMember(this.#apache(dir, spec.id, clientPorts[i], servers, options), isObserver);
      const ours = { id: spec.id, servers, dataDir: join(dir, 'data'), logFile: join(dir, 'node.log'), ...LIMITS, ...options.ours };
      const member = new OurMember(ours, isObserver);
      member.onNote = ({ note }) => this.ledger.take(note);
      return member;
    });
  }

  static async make(options: MixedOptions): Promise<MixedEnsemble> {
    requirePackages('/usr/lib/python3/dist-packages/kazoo');
    const count = options.servers.length;
    const servers = (await loopbackServers(count)).map((spec, i) => ({
      ...spec,
      role: /[AO]/.test(options.servers[i]) ? ('observer' as const) : ('participant' as const),
    }));
    return new MixedEnsemble(options, servers, await freePorts(count));
  }

  #apache(dir: string, id: number, clientPort: number, servers: readonly ServerSpec[], { apache }: MixedOptions): ApacheServer {
    mkdirSync(dir, { recursive: true });
    return apacheServer({
      ...apache,
      id,
      dir,
      clientPort,
      servers,
      config: { tickTime: TICK, initLimit: 20, syncLimit: 10, 'znode.container.checkIntervalMs': 1000, ...apache?.config },
      properties: {
        'zookeeper.DigestAuthenticationProvider.superDigest': SUPER_DIGEST,
        'zookeeper.extendedTypesEnabled': 'true',
        ...apache?.properties,
      },
    });
  }

  member(id: number): Member {
    return this.members[id - 1];
  }

  get ours(): OurMember[] {
    return this.members.filter((m): m is OurMember => m instanceof OurMember);
  }

  async startAll(): Promise<void> {
    await within('all processes begin', Promise.all(this.members.map((m) => m.start())), 60_000);
    await this.settled(this.members);
  }

  /** Ends every process and removes the folder. */
  async end(): Promise<void> {
    await Promise.all(this.members.map((m) => m.kill()));
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Waits until all of `members` serve and one of all leads; gives the leader. */
  async settled(members: readonly Member[]): Promise<Member> {
    let leader: Member | undefined;
    let modes: (Mode | undefined)[] = [];
    try {
      await eventually(
        'every server serves, and one leads',
        async () => {
          modes = await Promise.all(members.map((m) => m.mode()));
          leader = members.find((_, i) => modes[i] === 'leader');
          return leader !== undefined && modes.every((mode) => mode !== undefined);
        },
        60_000,
      );
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${members.map((m, i) => `server ${m.id} (${m.kind}): ${modes[i]}`).join('\n')}`);
    }
    return leader as Member;
  }

  /** Waits until the trees of `members` are equal, and gives it by path; when they don't become equal, fails with what differs. */
  async equalTrees(members: readonly Member[] = this.members): Promise<Map<string, DumpedZnode>> {
    let trees: Map<string, string>[] = [];
    const dumpAll = async (): Promise<boolean> => {
      trees = [];
      for (const m of members)
        trees.push(new Map((await m.dump()).map((line) => [comparable(line).path, JSON.stringify(comparable(line))])));
      return trees.every((tree) => different(tree, trees[0]).length === 0);
    };
    await eventually('equal trees', dumpAll, 30_000).catch(() => {});
    for (const [i, tree] of trees.entries()) {
      const paths = different(tree, trees[0]);
      const some = (of: ReadonlyMap<string, string>) => paths.slice(0, 5).map((path) => [path, of.get(path)]);
      expect(some(tree), `server ${members[i].id} beside ${members[0].id}: ${paths.length} differ`).toEqual(some(trees[0]));
    }
    return new Map([...trees[0]].map(([path, text]) => [path, JSON.parse(text) as DumpedZnode]));
  }

  /** Starts `width` clients on each of `members`. */
  async startClients(width: number, members: readonly Member[] = this.members): Promise<void> {
    await this.makeParents();
    for (const m of members) {
      if (!(m instanceof OurMember)) continue;
      for (let k = 1; k <= width; k++) await m.startClient(`c${m.id}-${k}`);
    }
  }

  async makeParents(): Promise<void> {
    await this.ours[0].child.call('makeParents', undefined as never);
  }

  /** Nothing is asked for any more, and nothing is under way. */
  async pauseClients(): Promise<void> {
    await Promise.all(this.ours.map((m) => m.pauseClients()));
  }

  async resumeClients(): Promise<void> {
    await Promise.all(this.ours.map((m) => m.resumeClients()));
  }

  /** Ends all clients: half of their sessions are closed, the others left to expire. */
  async stopClients(): Promise<void> {
    await Promise.all(this.ours.map((m) => m.stopClients('close')));
  }

  /** Waits until clients have been told of `count` more writes. */
  async progress(count: number): Promise<void> {
    const wanted = this.ledger.acks + count;
    await eventually(`${count} more writes are acknowledged`, () => this.ledger.acks >= wanted, 60_000);
  }
}

const LIMITS = { tickTime: TICK, initLimit: 20, syncLimit: 10, superDigest: SUPER_DIGEST, containerCheckInterval: 1000 };
