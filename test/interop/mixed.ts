import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts, loopbackServers } from '../../examples/support/ports.ts';
import { Child } from '../../examples/support/processes.ts';
import type { ServerSpec } from '../../src/index.ts';
import { eventually, within } from '../ensemble/client.ts';
import { type ApacheOptions, apacheServer, requirePackages } from './apache.ts';
import type { ClientHandlers } from './clients.ts';
import type { HostOptions } from './host.ts';
import { type DumpedZnode, Ledger } from './ledger.ts';
import type { Note } from './load.ts';
import { ApacheMember, type Member, type Mode, OurMember } from './members.ts';
import { dump, equalTrees } from './trees.ts';

/* Ensembles of Apache ZooKeeper servers and of our replicas, and clients that use all of them. */

/** The identity that passes every ACL, for looking at the trees. */
export const SUPER = 'super:secret';
export const SUPER_DIGEST = 'super:lK75jTNcA+U9vtVEw5vB51mj/w4=';

export const TICK = 1000;
/** Ticks; long ones, so that no server is given up because the machine is busy. */
const LIMITS = { tickTime: TICK, initLimit: 20, syncLimit: 10 };

export interface MixedOptions {
  /** One letter for each server, from id 1 on: `a` Apache's, `o` ours; a capital one is an observer. */
  readonly servers: string;
  readonly apache?: Partial<ApacheOptions>;
  readonly ours?: Partial<HostOptions>;
  /** Puts all servers in one group, with these weights. */
  readonly weights?: readonly number[];
}

/** As lines of `zoo.cfg`; none without groups. */
function weightLines(servers: readonly ServerSpec[]): Record<string, string | number> {
  const grouped = servers.filter((s) => s.group !== undefined);
  if (grouped.length === 0) return {};
  return { 'group.1': grouped.map((s) => s.id).join(':'), ...Object.fromEntries(grouped.map((s) => [`weight.${s.id}`, s.weight ?? 1])) };
}

export class MixedEnsemble {
  readonly folder = mkdtempSync(join(tmpdir(), 'zab-mixed-'));
  readonly ledger = new Ledger();
  readonly members: Member[];
  readonly #options: MixedOptions;
  readonly #servers: readonly ServerSpec[];
  readonly #clientPorts: readonly number[];
  /** Processes of clients over the wire: one that closes its sessions at the end, and one that leaves them. */
  readonly #clients: Child<ClientHandlers>[] = [];

  private constructor(options: MixedOptions, servers: readonly ServerSpec[], clientPorts: readonly number[]) {
    this.#options = options;
    this.#servers = servers;
    this.#clientPorts = clientPorts;
    this.members = servers.map(({ id }) => this.#make(id, options.servers[id - 1].toLowerCase() === 'a'));
  }

  static async make(options: MixedOptions): Promise<MixedEnsemble> {
    requirePackages('/usr/lib/python3/dist-packages/kazoo');
    const count = options.servers.length;
    const servers = (await loopbackServers(count)).map((spec, i) => ({
      ...spec,
      role: /[AO]/.test(options.servers[i]) ? ('observer' as const) : ('participant' as const),
      ...(options.weights === undefined ? {} : { group: 1, weight: options.weights[i] }),
    }));
    return new MixedEnsemble(options, servers, await freePorts(count));
  }

  #make(id: number, apache: boolean): Member {
    const isObserver = this.#servers[id - 1].role === 'observer';
    const dir = join(this.folder, String(id));
    mkdirSync(dir, { recursive: true });
    return apache ? this.#apache(id, dir, isObserver) : this.#ours(id, dir, isObserver);
  }

  #apache(id: number, dir: string, isObserver: boolean): ApacheMember {
    const { apache } = this.#options;
    const server = apacheServer({
      ...apache,
      id,
      dir,
      clientPort: this.#clientPorts[id - 1],
      servers: this.#servers,
      config: { ...LIMITS, ...weightLines(this.#servers), ...apache?.config },
      properties: {
        'zookeeper.DigestAuthenticationProvider.superDigest': SUPER_DIGEST,
        'zookeeper.extendedTypesEnabled': 'true',
        'znode.container.checkIntervalMs': '1000',
        ...apache?.properties,
      },
    });
    return new ApacheMember(server, isObserver);
  }

  #ours(id: number, dir: string, isObserver: boolean): OurMember {
    const options: HostOptions = {
      id,
      servers: this.#servers,
      dataDir: join(dir, 'data'),
      logFile: join(dir, 'node.log'),
      ...LIMITS,
      clientPort: this.#clientPorts[id - 1],
      clientHost: '127.0.0.1',
      maxClientCnxns: 0,
      fourLetterWords: ['*'],
      superDigest: SUPER_DIGEST,
      containerCheckInterval: 1000,
      ...this.#options.ours,
    };
    return new OurMember(options, isObserver, this.ledger.take);
  }

  get ours(): OurMember[] {
    return this.members.filter((m): m is OurMember => m instanceof OurMember);
  }

  get apaches(): ApacheMember[] {
    return this.members.filter((m): m is ApacheMember => m instanceof ApacheMember);
  }

  /** Puts the other kind of server on the data directory and the ports of one that has been killed; it is not started. */
  exchange(member: Member): Member {
    return this.put(this.#make(member.id, member.kind === 'ours'));
  }

  /** Puts a server in the place of the one with its id, which has been killed. */
  put<M extends Member>(member: M): M {
    this.members[member.id - 1] = member;
    return member;
  }

  async startAll(): Promise<void> {
    await within('all processes begin', Promise.all(this.members.map((m) => m.start())), 60_000);
    await this.settled();
  }

  /** Ends every process and removes the folder. */
  async end(): Promise<void> {
    await Promise.all([...this.members, ...this.#clients].map((m) => m.kill()));
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Waits until all of `members` serve and one of them leads; gives the leader. */
  async settled(members: readonly Member[] = this.members): Promise<Member> {
    let leader: Member | undefined;
    let modes: (Mode | undefined)[] = [];
    const ask = async (): Promise<boolean> => {
      modes = await Promise.all(members.map((m) => m.mode()));
      leader = members.find((_, i) => modes[i] === 'leader');
      return leader !== undefined && modes.every((mode) => mode !== undefined);
    };
    await eventually('every server serves, and one leads', ask, 60_000).catch((error: Error) => {
      throw new Error(`${error.message}\n${members.map((m, i) => `server ${m.id} (${m.kind}): ${modes[i]}`).join('\n')}`);
    });
    return leader as Member;
  }

  /** Waits until the trees of `members` are equal, and gives it by path; when they don't become equal, fails with what differs. */
  equalTrees(members: readonly Member[] = this.members): Promise<Map<string, DumpedZnode>> {
    return equalTrees(members, SUPER);
  }

  // ---- clients ----

  /**
   * Starts clients, `width` of each sort: for each server those that have only that one and, if it is ours, those in its process, and twice as many that go to any server.
   */
  async startClients(width = 1): Promise<void> {
    const { members } = this;
    const names = (name: string) => Array.from({ length: width }, (_, k) => `${name}-${k}`);
    const at = (of: readonly Member[]) => of.map((m) => `127.0.0.1:${m.clientPort}`).join(',');
    for (const name of ['closing', 'leaving']) {
      const child = new Child<ClientHandlers>(`${name} clients`, new URL('./clients.ts', import.meta.url), ['--import', 'tsx']);
      child.onNote = (note) => this.ledger.take(note as Note);
      this.#clients.push(child);
      if (name === 'closing') await child.call('makeParents', { servers: at(members) });
      for (const client of names(`${name}-any`)) await child.call('load', { client, servers: at(members) });
      const own = members.filter((m) => (m.id % 2 === 0) === (name === 'closing'));
      for (const m of own) for (const client of names(`${name}-${m.id}`)) await child.call('load', { client, servers: at([m]) });
    }
    for (const m of this.ours) {
      m.clients.push(...names(`inside-${m.id}`));
      for (const client of m.clients) await m.child?.call('load', { client });
    }
  }

  /** Every process with clients does this: `pause` resolves when nothing is under way any more, `close` closes the sessions too. */
  async #all(verb: 'pause' | 'resume' | 'close'): Promise<void> {
    const here = this.#clients.map((child) => child.call(verb, undefined as never));
    const inside = this.ours.map((m) => m.child?.call(verb, undefined as never));
    await within(`all clients ${verb}`, Promise.all([...here, ...inside]), 60_000);
  }

  pauseClients(): Promise<void> {
    return this.#all('pause');
  }

  resumeClients(): Promise<void> {
    return this.#all('resume');
  }

  /** Ends all clients: half of those over the wire leave their sessions to expire, the others close theirs. Waits until all ephemeral znodes are gone. */
  async endClients(): Promise<void> {
    await this.pauseClients();
    await this.#clients.pop()?.kill();
    await this.#all('close');
    for (const m of this.ours) m.clients.length = 0;
    const areGone = async (): Promise<boolean> => {
      await this.settled();
      const tree = await dump(this.members[0], SUPER).catch(() => undefined);
      return tree !== undefined && ![...tree.keys()].some((path) => path.startsWith('/eph/'));
    };
    await eventually('sessions that were left expire', areGone, 60_000);
  }

  /** Waits until clients have been told of `count` more writes. */
  async progress(count: number): Promise<void> {
    const wanted = this.ledger.acks + count;
    await eventually(`${count} more writes are acknowledged`, () => this.ledger.acks >= wanted, 60_000);
  }
}
