import type Long from 'long';
import type { Session, SessionOptions } from '../../node/api.ts';
import type { Chance } from '../chance.ts';
import type { ClientOptions, ClientProgram } from '../client.ts';
import { type Probe, Violation } from '../probe.ts';
import type { Program } from '../program.ts';
import { type ActionContext, Actions, isRegister, type Surroundings } from './actions.ts';
import { AnswerChecks } from './answers.ts';
import { CommittedHistory, type NodeLife } from './committed.ts';
import { type Frontier, Handle, type Ledger, record } from './handle.ts';
import { type CallCounts, describeCall, History } from './history.ts';
import { ClientLife, type Place } from './place.ts';
import { drawPlan, type WorkloadPlan } from './plan.ts';
import { checkRegisters, type LinearizabilityResult } from './registers.ts';
import { type Bounds, SessionChecks } from './session-checks.ts';
import { PersistentCheck, WatchChecks } from './watch-checks.ts';
import { WireLog } from './wire-log.ts';

export interface WorkloadOptions {
  /** Decides everything that the programs' own chance does not. */
  readonly chance: Chance;
  /** Simulated ms. */
  readonly now: () => number;
  /** Gets every rule that is broken, in the moment; what comes after the first may be its consequence. */
  readonly report: (violation: Violation) => void;
  /** The ensemble's, ms. */
  readonly tickTime: number;
  /** @default drawn from `chance` */
  readonly plan?: WorkloadPlan;
  /** @default 20 ticks for an answer, 10 for an expiry, 5 for a sign of life */
  readonly bounds?: Bounds;
  /** Bound on the search for an order, for each znode. @default 200000 */
  readonly maxSteps?: number;
}

/** What a run's clients have done. */
export interface WorkloadStatistics {
  readonly calls: CallCounts;
  /** Transactions that were committed. */
  readonly committed: number;
  /** How often a node showed another tree at once (a snapshot), with clients there. */
  readonly treesReplaced: number;
  readonly linearizability: LinearizabilityResult;
  readonly sessions: number;
  /** Sessions that went on through another handle. */
  readonly resumed: number;
  /** Sessions that the leader has expired. */
  readonly expired: number;
  /** Watch events that were delivered and checked, of persistent watches with a listener. */
  readonly watchEvents: number;
  /** Acknowledged writes that nothing tells apart from others: they were not checked one by one. */
  readonly untold: number;
}

/** A process that clients live in, and how they get a session there. */
interface Stage extends Surroundings {
  readonly life: Place;
  open(options: SessionOptions, wire: WireLog | undefined, chance: Chance): Promise<Session>;
}

/** A session that whoever finds it may go on with. */
interface LeftSession {
  readonly key: string;
  readonly id: Long;
  readonly password: Uint8Array;
  readonly timeout: number;
}

/**
 * Clients that use the ensemble as applications do, in the processes of its servers and over the wire, and checks on all that they see:
 *
 * - AcknowledgedWrites: what was acknowledged is committed, once, as the answer says; what was refused is not.
 * - SessionOrder, ReadYourWrites, MonotonicReads: a session's answers and writes keep the order of its calls, and it never sees time go back, on another server neither.
 * - SyncedReads and Linearizable: a read behind a sync shows all that was committed before the sync; writes and synced reads of a znode have an order that explains all answers.
 * - ReadsAreCommitted, TreeMatchesHistory, TransactionsMakeSense: what is shown is what the committed transactions make, by rules written a second time.
 * - Watches: each change is told, in order, once, and before it shows.
 * - OneAttempt: over the wire a call is one request, or none.
 * - SessionExpiry, SessionMoved and NoHang: sessions end when they should and not before; one server at a time writes for them; every call on a node that lives is answered.
 */
export class Workload {
  readonly history: History;
  readonly plan: WorkloadPlan;
  readonly #committed: CommittedHistory;
  readonly #answers: AnswerChecks;
  readonly #sessions: SessionChecks;
  readonly #watches = new WatchChecks();
  readonly #options: WorkloadOptions;
  readonly #ledger: Ledger;
  readonly #context: ActionContext;
  readonly #handles = new Set<Handle>();
  readonly #left: LeftSession[] = [];
  /** By the ids of clients. */
  readonly #clientLives = new Map<number, ClientLife>();
  #tags = 0;
  #quiet = false;
  #opened = 0;
  #resumed = 0;

  constructor(options: WorkloadOptions) {
    const { chance, now, report, tickTime } = options;
    this.#options = options;
    this.plan = options.plan ?? drawPlan(chance.fork('plan'));
    this.history = new History(now);
    const complain = (rule: string, what: string): void => report(new Violation(rule, what));
    this.#committed = new CommittedHistory(now, complain);
    this.#answers = new AnswerChecks(this.#committed, complain);
    const bounds = options.bounds ?? { answer: 20 * tickTime, expiry: 10 * tickTime, alive: 5 * tickTime };
    this.#sessions = new SessionChecks(this.#committed, complain, now, bounds);
    this.#committed.onEntry = (entry) => this.#sessions.committed(entry);
    this.#committed.onLife = (life, what) => this.#lifeChanged(life, what);
    this.#ledger = {
      now,
      history: this.history,
      committed: this.#committed,
      report,
      renamed: (handle, before) => this.#sessions.renamed(handle, before),
      settled: (handle, call) => {
        this.#answers.settled(handle, call);
        this.#watches.caughtUp(handle);
        this.#sessions.settled(handle, call, this.history.calls);
      },
      stateChanged: (handle, before) => {
        this.#watches.stateChanged(handle, before);
        this.#sessions.changed(handle);
        this.#sessions.changedOverWire(handle, before, this.history.calls);
        if (!handle.isHeld) this.#handles.delete(handle);
      },
    };
    const { plan } = this;
    const nextTag = (): string => `d${++this.#tags}`;
    const calls = (): number => this.history.calls.length;
    this.#context = { plan, committed: this.#committed, complain, watches: this.#watches, nextTag, calls };
    this.#committed.onDeed = (id, what) => {
      if (what === 'client is killed') this.#clientEnded(id);
    };
  }

  /** Must see all that the servers do, from before the first transaction on; servers that serve an empty history may have been up before. */
  get probe(): Probe {
    return this.#committed;
  }

  /** Runs the clients of a server in its process; resolves when they have ended, never if the process dies before. To be called for each node that begins there. */
  async boot(program: Program): Promise<void> {
    const { server, node, chance } = program;
    let life = this.#committed.life(server);
    if (life === undefined || life.over) {
      this.#committed.booted(server);
      if (node.serving) this.#committed.joined(server, node.tree.lastZxid);
      life = this.#committed.life(server) as NodeLife;
    }
    if (chance.chance(this.plan.nodeWatch)) this.#watchNode(program, life);
    const stage: Stage = {
      life,
      node,
      sleep: program.sleep,
      open: (session) => node.openSession(session),
    };
    await this.#clients(stage, `c${server}.${life.number}`, chance);
  }

  /** The same in the process of a client: its sessions are over the wire. */
  async bootClient(program: ClientProgram): Promise<void> {
    const { client, name, clock, chance } = program;
    const number = (this.#clientLives.get(client)?.number ?? 0) + 1;
    const life = new ClientLife(name, number, clock, this.#options.tickTime);
    this.#clientLives.set(client, life);
    const stage: Stage = {
      life,
      node: null,
      sleep: program.sleep,
      open: (session, wire, choice) => program.connect({ ...session, ...this.#drawConnection(choice, program.servers), wire }),
    };
    await this.#clients(stage, `${name}.${number}`, chance);
  }

  #drawConnection(chance: Chance, servers: readonly number[]): ClientOptions {
    const { tickTime } = this.#options;
    return {
      servers: chance.chance(this.plan.oneServer) ? [chance.pick(servers)] : servers,
      readOnly: chance.chance(this.plan.readOnly),
      openTimeout: tickTime * chance.between(5, 50),
      // The client's own times are meant for ticks of seconds.
      connectTimeout: tickTime * chance.between(1, 5),
      backoff: { min: Math.ceil(tickTime / 50), max: tickTime },
    };
  }

  async #clients(stage: Stage, name: string, chance: Chance): Promise<void> {
    const clients = Array.from({ length: this.plan.clientsPerServer }, (_, i) =>
      this.#client(stage, `${name}.${i + 1}`, chance.fork(`client ${i + 1}`)),
    );
    await Promise.all(clients);
  }

  /** The server's process has died, or its node has stopped. The probe's telling it is enough. */
  ended(server: number): void {
    this.#committed.died(server);
  }

  /** From this simulated time on there is a stable leader and nothing is disturbed any more: now bounds hold. */
  calm(since = this.#options.now()): void {
    this.#sessions.calm(since);
  }

  /** The clients end their work: what they have begun is answered, nothing new is asked. */
  quiet(): void {
    this.#quiet = true;
  }

  /** Closes the books: looks at what only the end can tell. */
  finish(): WorkloadStatistics {
    const { calls } = this.history;
    const { report, maxSteps = 200_000 } = this.#options;
    this.#watches.finish();
    this.#sessions.finish(calls);
    const untold = this.#answers.finish();
    for (const life of this.#committed.lives()) if (!life.over) this.#committed.compare(life);
    const linearizability = checkRegisters(calls, isRegister, maxSteps);
    for (const what of linearizability.violations) report(new Violation('Linearizable', what));
    return {
      calls: this.history.counts(),
      committed: this.#committed.latest,
      treesReplaced: this.#committed.replaced,
      linearizability,
      sessions: this.#opened,
      resumed: this.#resumed,
      expired: this.#sessions.expired,
      watchEvents: this.#watches.persistent.reduce((sum, { told }) => sum + told, 0),
      untold,
    };
  }

  #lifeChanged(life: NodeLife, what: 'began' | 'serving' | 'ended'): void {
    if (what === 'serving' && !life.serving) this.#watches.nodeSuspends(life);
    if (what === 'ended') this.#placeEnded(life);
  }

  #clientEnded(id: number): void {
    const life = this.#clientLives.get(id);
    if (life === undefined || life.over) return;
    life.over = true;
    this.#placeEnded(life);
  }

  /** A process is no more; whoever finds its sessions may go on with them. */
  #placeEnded(place: Place): void {
    this.#watches.ended(place);
    this.#sessions.lifeEnded();
    for (const handle of this.#handles) {
      if (handle.life !== place) continue;
      this.#handles.delete(handle);
      this.#leave(handle);
    }
  }

  #leave({ key, session }: Handle): void {
    this.#left.push({ key, id: session.id, password: session.password, timeout: session.timeout });
  }

  #watchNode({ node, server }: Program, life: NodeLife): void {
    // A node that is being stopped tells nothing any more.
    const owner = { life, name: `node ${server}`, isOpen: () => life.serving && node.serving, isHeldBack: () => false };
    const check = new PersistentCheck(this.#committed, this.#context.complain, owner, '/', true);
    this.#watches.addNode(check);
    node.watch('/', check.deliver, { recursive: true });
  }

  // ---- a client ----

  async #client(stage: Stage, name: string, chance: Chance): Promise<void> {
    const { life } = stage;
    while (!this.#isOver(life)) {
      const handle = await this.#open(stage, name, chance);
      if (handle === null) {
        await stage.sleep(chance.between(1, this.#options.tickTime));
        continue;
      }
      const actions = new Actions(this.#context, stage, chance, handle);
      await actions.prepare();
      const calls = chance.between(...this.plan.sessionCalls);
      const leaves = chance.chance(this.plan.left);
      // At times somebody else can take the session before this client knows.
      const early = leaves && chance.chance(0.5) ? chance.below(calls) : calls;
      for (let i = 0; i < calls && handle.isHeld && !this.#isOver(life); i++) {
        if (i === early) this.#leave(handle);
        const atOnce = chance.chance(this.plan.pipelined) ? chance.between(2, this.plan.pipeline) : 1;
        await Promise.all(Array.from({ length: atOnce }, () => actions.one()));
        await stage.sleep(chance.between(...this.plan.pause));
        // While it is suspended every call is refused at once.
        if (handle.state === 'suspended') await stage.sleep(chance.between(1, this.#options.tickTime));
      }
      if (!handle.isHeld || this.#isOver(life)) continue;
      if (leaves && early === calls) this.#leave(handle);
      if (leaves) continue;
      // What it has begun is done before the end.
      if (chance.chance(0.3)) for (let i = chance.between(1, 3); i > 0; i--) void actions.one();
      await handle.close();
    }
  }

  #isOver(life: Place): boolean {
    return this.#quiet || life.over;
  }

  async #open(stage: Stage, client: string, chance: Chance): Promise<Handle | null> {
    const { committed, history } = this.#ledger;
    const { life, node } = stage;
    const left =
      this.#left.length > 0 && chance.chance(this.plan.resumed) ? this.#left.splice(chance.below(this.#left.length), 1)[0] : null;
    const timeout = left?.timeout ?? this.#options.tickTime * chance.between(...this.plan.timeout);
    const wire = node === null ? new WireLog(committed, this.#context.complain) : null;
    const frontier = left === null ? null : this.#frontierOf(left, wire);
    const call = history.begin({
      client,
      place: life,
      session: left?.key ?? '',
      kind: left === null ? 'open' : 'resume',
      path: '',
      parts: [],
      committedBefore: committed.latest,
      shownBefore: 0,
      connection: 0,
      ids: [],
      sync: null,
    });
    const options: SessionOptions = { timeout, resume: left === null ? undefined : { id: left.id, password: left.password } };
    const session = await record(
      this.#ledger,
      life,
      call,
      () => stage.open({ ...options, signal: this.#signal(stage, chance) }, wire ?? undefined, chance),
      () => ({}),
    );
    if (session === null) {
      if (left === null) return null;
      if (call.code === 'SESSION_EXPIRED') this.#sessions.saidExpired(call);
      // Somebody else may have more luck with it.
      else this.#left.push(left);
      return null;
    }
    const handle = new Handle(this.#ledger, client, life, session, call, frontier, wire);
    // A server without a quorum makes up a session of its own.
    if (!session.readOnly && !committed.reference.sessions.has(handle.key)) {
      this.#context.complain('AcknowledgedWrites', `${describeCall(call)}: session 0x${handle.key} was never created`);
    }
    this.#handles.add(handle);
    this.#answers.opened(handle);
    this.#sessions.opened(handle);
    if (left === null) this.#opened++;
    else this.#resumed++;
    if (chance.chance(0.5)) await handle.identify();
    return handle;
  }

  /**
   * How far somebody who goes on with a session must see the history. A client that comes over the wire tells the server what it has seen itself, and that is nothing: so it may see what is older than what
   * others have seen in the session. In a server's process the leader is asked.
   */
  #frontierOf({ key }: LeftSession, wire: WireLog | null): Frontier {
    return wire === null ? this.#answers.frontier(key) : { position: 0, by: 'nothing' };
  }

  #signal({ sleep }: Surroundings, chance: Chance): AbortSignal | undefined {
    if (!chance.chance(this.plan.aborted)) return undefined;
    const controller = new AbortController();
    void sleep(chance.between(1, 50)).then(() => controller.abort());
    return controller.signal;
  }
}
