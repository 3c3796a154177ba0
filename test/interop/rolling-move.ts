import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { freePorts } from '../../examples/support/ports.ts';
import { connect, digestId, type Session, ZabError } from '../../src/index.ts';
import { eventually } from '../ensemble/client.ts';
import { requirePackages } from './apache.ts';
import { digestMismatches } from './digests.ts';
import { type DumpedZnode, Ledger } from './ledger.ts';
import { LOAD_PARENTS } from './load.ts';
import { CLIENT_KINDS, type ClientKind, Crowd, type Gap, monotonicNow } from './move/crowd.ts';
import { COMMAND, PROGRAMS, Seat, type ServerKind } from './move/seat.ts';
import { equalTrees } from './trees.ts';

/*
 * A running ensemble of three Apache ZooKeeper servers is moved to zab-ensemble, one server at a time, and back: each is told to stop (SIGTERM), the other program is started on its zoo.cfg and
 * its data directory, and the next one follows when it is in sync. Clients write, hold sessions with ephemeral znodes, and watch all the time.
 */

/** When the leader has its turn: every leader that goes costs an election. */
export type Order = 'leader last' | 'leader first';

export interface MoveOptions {
  readonly order: Order;
  /** Clients of each kind. @default 3 */
  readonly clients?: number;
  /** Lines of every zoo.cfg beside the usual ones. */
  readonly config?: Readonly<Record<string, string | number>>;
  /** The clients stand still (SIGSTOP) while a server goes, and must find out later what they have missed. The gaps then say nothing. @default false */
  readonly asleep?: boolean;
  /** Arguments for Node that run zab-ensemble. @default the sources */
  readonly command?: readonly string[];
  /** Hears what happens, a line each time. */
  readonly say?: (line: string) => void;
}

/** One server has changed hands. Times in ms. */
export interface MoveStep {
  readonly server: number;
  readonly to: ServerKind;
  readonly wasLeader: boolean;
  /** From SIGTERM until the process was gone, from then until the other one served, and until it had all and every voter was in sync. */
  readonly stopping: number;
  readonly starting: number;
  readonly syncing: number;
  /** Who led afterwards. */
  readonly leader: { readonly id: number; readonly kind: ServerKind };
  readonly gaps: Readonly<Record<ClientKind, Gap>>;
}

export interface MoveReport {
  readonly steps: readonly MoveStep[];
  readonly acknowledged: number;
  readonly znodes: number;
}

const SUPER = 'super:secret';
/** Somebody who goes on when a server goes, and is in no hurry. */
const SESSION = { timeout: 20_000, openTimeout: 60_000 };

/** Moves an ensemble there and back. Throws an error when anything was lost, anybody's session ended, or a watch did not tell. */
export async function rollingMove(options: MoveOptions): Promise<MoveReport> {
  requirePackages('/usr/lib/python3/dist-packages/kazoo');
  const move = new RollingMove(options, await freePorts(9));
  try {
    return await move.run();
  } finally {
    await move.end();
  }
}

class RollingMove {
  readonly #order: Order;
  readonly #asleep: boolean;
  readonly #say: (line: string) => void;
  /** The servers make it when they start. */
  readonly #folder = join(tmpdir(), `zab-move-${randomUUID()}`);
  readonly #seats: readonly Seat[];
  readonly #ledger = new Ledger();
  readonly #crowd: Crowd;
  readonly #steps: MoveStep[] = [];
  #control: Session | undefined;

  constructor(
    { order, clients = 3, config = {}, asleep = false, command = COMMAND, say = () => {} }: MoveOptions,
    ports: readonly number[],
  ) {
    this.#order = order;
    this.#asleep = asleep;
    this.#say = say;
    const servers = [1, 2, 3].map((id) => ({ id, host: '127.0.0.1', quorumPort: ports[id - 1], electionPort: ports[id + 2] }));
    // All that the servers must agree on stands in the file: zab-ensemble sees no properties of a Java machine.
    const shared = { extendedTypesEnabled: 'true', 'DigestAuthenticationProvider.superDigest': digestId(SUPER), ...config };
    this.#seats = servers.map(
      ({ id }) => new Seat({ id, dir: join(this.#folder, `${id}`), clientPort: ports[id + 5], servers, config: shared, command }),
    );
    this.#crowd = new Crowd(clients, this.#ledger.take);
  }

  async run(): Promise<MoveReport> {
    await Promise.all(this.#seats.map((seat) => seat.start('apache')));
    await this.#settled();
    const servers = this.#seats.map(({ clientPort }) => `127.0.0.1:${clientPort}`).join(',');
    this.#control = await connect(servers, SESSION);
    await this.#furnish(this.#control);
    await this.#crowd.open(servers);
    let tree = await this.#compare();
    for (const kind of ['ours', 'apache'] as const) {
      await this.#progress(monotonicNow());
      for (let left = [...this.#seats]; left.length > 0; ) {
        const leader = await this.#settled();
        const seat = this.#next(left, leader);
        left = left.filter((other) => other !== seat);
        await this.#exchange(seat, kind, seat === leader);
      }
      tree = await this.#compare();
      this.#say(`all on ${PROGRAMS[kind]}: ${tree.size} znodes, equal on all servers; ${this.#ledger.acks} writes acknowledged, none lost`);
    }
    await this.#crowd.all('close');
    await eventually(
      'ephemeral znodes go with their sessions',
      async () => (await this.#control?.getChildren('/eph'))?.children.length === 0,
    );
    return { steps: this.#steps, acknowledged: this.#ledger.acks, znodes: tree.size };
  }

  async end(): Promise<void> {
    await this.#crowd.kill();
    // Where the move has failed there may be nobody to close it; it is the failure that must be told.
    await this.#control?.close().catch(() => {});
    await Promise.all(this.#seats.map((seat) => seat.stop('SIGKILL')));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** What is there before the move: parents for the clients, and znodes of every sort. */
  async #furnish(session: Session): Promise<void> {
    for (const path of [...LOAD_PARENTS, '/signal']) await session.create(path);
    await session.create('/container', 'c', { mode: 'container' });
    await session.create('/container/child', 'x');
    await session.create('/ttl', 't', { mode: 'persistentTtl', ttl: 86_400_000 });
    await session.create('/null', null);
    await session.create('/large', new Uint8Array(500_000).fill(120));
  }

  /** The server whose turn it is. */
  #next(left: readonly Seat[], leader: Seat): Seat {
    if (this.#order === 'leader first') return left.includes(leader) ? leader : left[0];
    return left.find((seat) => seat !== leader) ?? left[0];
  }

  /** What a server is; undefined while it does not serve. Throws when it has ended by itself. */
  #modeOf(seat: Seat): Promise<string | undefined> {
    seat.check();
    return seat.mode();
  }

  /** Waits until every server serves and one leads; gives that one. */
  async #settled(): Promise<Seat> {
    let leader: Seat | undefined;
    const look = async (): Promise<boolean> => {
      const modes = await Promise.all(this.#seats.map((seat) => this.#modeOf(seat)));
      leader = this.#seats[modes.indexOf('leader')];
      return leader !== undefined && modes.every((mode) => mode !== undefined);
    };
    await eventually('every server serves, and one leads', look, 60_000);
    return leader as Seat;
  }

  /** As an operator would look: the leader counts both others in, and all have what the leader had when it was asked. */
  async #synced(): Promise<Seat> {
    let leader = await this.#settled();
    let goal: bigint | undefined;
    const isSynced = async (): Promise<boolean> => {
      if ((await leader.gauge('synced_followers')) !== this.#seats.length - 1) {
        leader = await this.#settled();
        return false;
      }
      goal ??= await leader.zxid();
      const zxids = await Promise.all(this.#seats.map((seat) => seat.zxid()));
      return goal !== undefined && zxids.every((zxid) => zxid !== undefined && zxid >= (goal as bigint));
    };
    await eventually('every server is in sync', isSynced, 60_000);
    return leader;
  }

  async #exchange(seat: Seat, to: ServerKind, wasLeader: boolean): Promise<void> {
    const n = this.#steps.length + 1;
    const [during, after] = [`/signal/${n}-during`, `/signal/${n}-after`];
    await this.#crowd.arm(during);
    await this.#crowd.arm(after);
    for (const kind of CLIENT_KINDS) this.#crowd.gaps.take(kind);
    if (this.#asleep) this.#crowd.signal('SIGSTOP');
    const times = [monotonicNow()];
    await seat.stop('SIGTERM');
    times.push(monotonicNow());
    const signalled = this.#signal(during).then(() => this.#asleep && this.#crowd.signal('SIGCONT'));
    await seat.start(to);
    await eventually(`server ${seat.id} serves`, async () => (await this.#modeOf(seat)) !== undefined, 60_000);
    times.push(monotonicNow());
    const leader = await this.#synced();
    times.push(monotonicNow());
    await signalled;
    await this.#signal(after);
    await this.#told(during);
    await this.#told(after);
    await this.#progress(monotonicNow());
    const [stopping, starting, syncing] = [0, 1, 2].map((i) => times[i + 1] - times[i]);
    const gaps = { ours: this.#crowd.gaps.take('ours'), kazoo: this.#crowd.gaps.take('kazoo') };
    const step = { server: seat.id, to, wasLeader, stopping, starting, syncing, leader: { id: leader.id, kind: leader.kind }, gaps };
    this.#steps.push(step);
    this.#say(describe(step));
    await this.#checkDigests();
  }

  /** Creates a znode that every client watches for. */
  async #signal(path: string): Promise<void> {
    const attempt = async (): Promise<boolean> => {
      try {
        await this.#control?.create(path);
      } catch (error) {
        if (!(error instanceof ZabError) || !['CONNECTION_LOSS', 'NODE_EXISTS'].includes(error.code)) throw error;
        return error.code === 'NODE_EXISTS';
      }
      return true;
    };
    await eventually(`${path} is created`, attempt, 60_000);
  }

  async #told(path: string): Promise<void> {
    await eventually('', () => this.#crowd.untold(path).length === 0, 30_000).catch(() => {
      throw new Error([`watches for ${path} did not tell: ${this.#crowd.untold(path)}`, ...this.#ledger.bad].join('\n'));
    });
  }

  /** Waits until every client has had a write acknowledged after `time`. */
  async #progress(time: number): Promise<void> {
    await eventually('', () => this.#crowd.waiting(time).length === 0, 60_000).catch(() => {
      throw new Error([`clients that do not get on: ${this.#crowd.waiting(time)}`, ...this.#ledger.bad].join('\n'));
    });
  }

  async #checkDigests(): Promise<void> {
    for (const seat of this.#seats) expect(await digestMismatches(seat), `mismatches of digests at server ${seat.id}`).toBe(0);
  }

  /** While the clients wait: the trees are equal, nothing acknowledged is lost, and every session that has begun lives on with its ephemeral znodes. */
  async #compare(): Promise<ReadonlyMap<string, DumpedZnode>> {
    await this.#crowd.all('pause');
    const tree = await equalTrees(this.#seats, SUPER);
    if (this.#steps.length > 0) this.#ledger.verify(tree);
    expect([...this.#crowd.sessions.keys()].sort()).toEqual([...this.#crowd.names].sort());
    for (const { id, path } of this.#crowd.sessions.values()) expect(tree.get(path)?.stat.ephemeralOwner, path).toBe(id);
    await this.#crowd.all('resume');
    return tree;
  }
}

const seconds = (ms: number): string => (ms / 1000).toFixed(2);

function describe({ server, to, wasLeader, stopping, starting, syncing, leader, gaps }: MoveStep): string {
  const waits = CLIENT_KINDS.map((kind) => `${kind} ${gaps[kind].all.toFixed(0)} ms, one client ${gaps[kind].one.toFixed(0)} ms`);
  return [
    `server ${server}${wasLeader ? ' (leader)' : ''} now ${PROGRAMS[to]}: stopped in ${seconds(stopping)} s, serves after ${seconds(starting)} s, in sync after ${seconds(syncing)} s`,
    `leader is ${leader.id} (${PROGRAMS[leader.kind]}); longest without a write: ${waits.join('; ')}`,
  ].join('; ');
}
