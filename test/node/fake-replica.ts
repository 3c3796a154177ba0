import Long from 'long';
import { Op } from '../../src/model/codes.ts';
import type { Request, WriteRequest } from '../../src/model/records.ts';
import { makeZxid, nextZxid } from '../../src/model/zxid.ts';
import type { EnsembleOptions, Role, Session } from '../../src/node/api.ts';
import { type Engine, LocalNode } from '../../src/node/ensemble-node.ts';
import type { ReplicaHooks, ReplicaReport } from '../../src/node/hooks.ts';
import { resolveOptions } from '../../src/node/options.ts';
import { SizeRange } from '../../src/node/port/stats.ts';
import { systemClock, systemRandom } from '../../src/node/system-clock.ts';
import type { LogLevel } from '../../src/seams/logger.ts';
import { Preparer } from '../../src/tree/prepare.ts';
import { ZnodeTree } from '../../src/tree/tree.ts';

type Job = { readonly request: Request } | { readonly revalidate: Long };

/**
 * A replica without an ensemble: it makes transactions of requests by the real rules and applies them to a real tree, when the test says so (`step`) or by itself soon (`auto`). It keeps the
 * contract of hooks: never called from inside a call.
 */
export class FakeReplica implements Engine {
  role: Role = 'stopped';
  leaderId: number | undefined = undefined;
  epoch = 1;
  serving = false;
  tree = new ZnodeTree();
  readonly servers = [{ id: 1, host: 'localhost', quorumPort: 2888, electionPort: 3888 }];
  auto = true;
  /** What the next `start` reports. */
  startError: Error | null = null;
  serveAtStart = true;
  stops = 0;
  readonly jobs: Job[] = [];
  readonly requests: Request[] = [];
  /** What revalidation says; by default what the tree says. */
  alive: (id: Long) => boolean = (id) => this.tree.sessions.has(id);
  #zxid = makeZxid(1, 0);
  #preparer = new Preparer(this.tree);

  constructor(readonly hooks: ReplicaHooks) {}

  start(done: (error: Error | null) => void): void {
    setImmediate(() => {
      done(this.startError);
      if (this.startError === null && this.serveAtStart) this.serve(true);
    });
  }

  stop(done: () => void): void {
    this.stops++;
    this.serving = false;
    setImmediate(done);
  }

  metrics(): Record<string, number> {
    return { committed: 7 };
  }

  report(): ReplicaReport {
    return { expiries: null, proposals: new SizeRange(), learners: [] };
  }

  serve(serving: boolean): void {
    if (!serving) this.jobs.length = 0;
    this.serving = serving;
    this.role = serving ? 'leading' : 'looking';
    this.leaderId = serving ? 1 : undefined;
    this.#preparer = new Preparer(this.tree);
    this.hooks.roleChanged(this.role, this.leaderId, this.epoch);
    this.hooks.servingChanged(serving);
  }

  submit(request: Request): boolean {
    if (!this.serving) return false;
    this.requests.push(request);
    this.#queue({ request });
    return true;
  }

  revalidate(sessionId: Long): boolean {
    if (!this.serving) return false;
    this.#queue({ revalidate: sessionId });
    return true;
  }

  #queue(job: Job): void {
    this.jobs.push(job);
    if (this.auto) setImmediate(() => this.auto && this.jobs.includes(job) && this.step());
  }

  /** Carries out the next job, or the next `count`. */
  step(count = 1): void {
    for (; count > 0; count--) {
      const job = this.jobs.shift();
      if (job === undefined) throw new Error('there is no job');
      if ('revalidate' in job) this.hooks.revalidated(job.revalidate, this.alive(job.revalidate));
      else if (job.request.op === Op.sync) this.hooks.synced(job.request);
      else this.write(job.request.sessionId, job.request.cxid, job.request.record as WriteRequest, job.request);
    }
  }

  stepAll(): void {
    this.step(this.jobs.length);
  }

  /** A write by anybody: the leader itself by default. */
  write(sessionId: Long, cxid: number, record: WriteRequest, request?: Request): void {
    this.#zxid = nextZxid(this.#zxid);
    const txn = this.#preparer.prepare(sessionId, cxid, request?.auth ?? [], record, this.#zxid, 1_700_000_000_000);
    const result = this.tree.apply(txn, this.hooks.applying(txn.header));
    this.#preparer.applied(this.#zxid);
    this.hooks.applied(txn, result);
  }

  /** A write from elsewhere, by no session. */
  elsewhere(record: WriteRequest): void {
    this.write(Long.UZERO, 0, record);
  }

  /** A tree as it is now, by snapshot. */
  replaceTree(tree: ZnodeTree): void {
    const old = this.tree;
    this.tree = tree;
    this.#zxid = tree.lastZxid;
    this.hooks.treeReplaced(old, tree);
  }

  /** Whether applying `n` more requests may begin by hand. */
  manual(): void {
    this.auto = false;
  }
}

export interface Logged {
  readonly level: LogLevel;
  readonly message: string;
}

export function nodeOptions(more: Partial<EnsembleOptions> = {}, logged: Logged[] = []): EnsembleOptions {
  const unused = () => {
    throw new Error('the fake replica uses no transport and no storage');
  };
  return {
    id: 1,
    servers: [{ id: 1, host: 'memory', quorumPort: 2001, electionPort: 3001 }],
    transport: { open: unused },
    storage: {
      open: unused,
      recover: unused,
      append: unused,
      truncate: unused,
      setAcceptedEpoch: unused,
      setCurrentEpoch: unused,
      installSnapshot: unused,
      saveSnapshot: unused,
      readLog: unused,
      purge: unused,
      logBytesSinceSnapshot: 0,
      close: unused,
    },
    clock: systemClock(),
    random: systemRandom(),
    logger: (level, message) => logged.push({ level, message }),
    ...more,
  };
}

export interface Rig {
  readonly node: LocalNode;
  readonly replica: FakeReplica;
  readonly logged: Logged[];
}

export function makeRig(more: Partial<EnsembleOptions> = {}): Rig {
  const logged: Logged[] = [];
  let replica: FakeReplica | undefined;
  const node = new LocalNode(resolveOptions(nodeOptions(more, logged)), (hooks) => (replica = new FakeReplica(hooks)));
  return { node, replica: replica!, logged };
}

export async function startRig(more: Partial<EnsembleOptions> = {}): Promise<Rig> {
  const rig = makeRig(more);
  await rig.node.start();
  return rig;
}

/** A started node with a session. */
export async function openRig(more: Partial<EnsembleOptions> = {}): Promise<Rig & { session: Session }> {
  const rig = await startRig(more);
  return { ...rig, session: await rig.node.openSession() };
}

/** The error that `promise` rejects with, as far as tests compare it. */
export async function failure(promise: Promise<unknown>): Promise<{ code: string; outcome: string; path?: string }> {
  const error = await promise.then(
    (value) => {
      throw new Error(`resolved to ${JSON.stringify(value)}`);
    },
    (reason) => reason,
  );
  const { code, outcome, path } = error;
  return path === undefined ? { code, outcome } : { code, outcome, path };
}

/** Whether a promise is settled by now; lets pending reactions run first. */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(
    () => (settled = true),
    () => (settled = true),
  );
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}
