import type Long from 'long';
import type { Request, ZnodeRecord } from '../../src/model/records.ts';
import { compareZxid, followsInHistory, formatZxid, ZXID_NONE, zxidEquals } from '../../src/model/zxid.ts';
import type { StateMachine, ZabConfig } from '../../src/zab/context.ts';
import { LogEntry } from '../../src/zab/entry.ts';
import { History } from '../../src/zab/history.ts';
import type { ElectionMessage, QuorumMessage } from '../../src/zab/messages.ts';
import { type Action, type DurableSend, Outbox, type PersistOp } from '../../src/zab/outbox.ts';
import { Peer } from '../../src/zab/peer.ts';
import { QuorumRules } from '../../src/zab/quorum.ts';
import { Checker } from './checker.ts';

/*
 * An ensemble of protocol cores in one synchronous loop: a seed chooses every next event, so a run repeats exactly. Each server has a disk whose writes become
 * durable as events of their own; a crash loses what is not durable.
 */

const BYTES = new Uint8Array(0);
const NO_HEAD = { sessions: [], acls: [] };

export interface ClusterOptions {
  readonly seed: number;
  readonly voters: number;
  readonly observers: number;
  readonly algorithm: 'fast' | 'basic';
}

/** Chance from a seed (mulberry32). */
export class Dice {
  #state: number;
  constructor(seed: number) {
    this.#state = seed | 0;
  }
  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * bound);
  }
  chance(p: number): boolean {
    return this.below(1_000_000) < p * 1_000_000;
  }
}

/** The replicated state: what was applied, in order. Applying again what it has changes nothing. */
export class Sequence {
  zxid: Long = ZXID_NONE;
  readonly items: LogEntry[] = [];
  apply(entry: LogEntry): void {
    const last = this.items.at(-1);
    if (last === undefined || compareZxid(entry.zxid, last.zxid) > 0) this.items.push(entry);
    if (compareZxid(entry.zxid, this.zxid) > 0) this.zxid = entry.zxid;
  }
  copy(): Sequence {
    const copy = new Sequence();
    copy.zxid = this.zxid;
    for (const item of this.items) copy.items.push(item);
    return copy;
  }
}

/** What a server has for good. */
export class Disk {
  acceptedEpoch = 0;
  currentEpoch = 0;
  base = new Sequence();
  log: LogEntry[] = [];

  get last(): Long {
    return this.log.at(-1)?.zxid ?? this.base.zxid;
  }
  append(entry: LogEntry): void {
    if (!followsInHistory(this.last, entry.zxid)) throw new Error(`disk: ${formatZxid(entry.zxid)} after ${formatZxid(this.last)}`);
    this.log.push(entry);
  }
  truncate(zxid: Long): void {
    const at = this.log.findIndex((e) => zxidEquals(e.zxid, zxid));
    if (at < 0 && !zxidEquals(zxid, this.base.zxid)) throw new Error(`disk: truncation point ${formatZxid(zxid)} is not there`);
    this.log.length = at + 1;
  }
  /** The state that a start would bring back. */
  replay(): Sequence {
    const state = this.base.copy();
    for (const entry of this.log) state.apply(entry);
    return state;
  }
}

/** One end of a quorum link. */
export class End {
  inbox: QuorumMessage[] = [];
  other!: End;
  closed = false;
  /** The other side is gone: to be told after what is in the inbox. */
  ended = false;
  fresh = false;
  /** Nothing gets through any more, and nobody is told. */
  mute = false;
  readonly life: number;
  constructor(readonly server: Server) {
    this.life = server.life;
  }
}

interface DiskOp {
  readonly seq: number;
  readonly entries?: readonly LogEntry[];
  readonly run: () => void;
  readonly last: boolean;
}

/** A server: the core, and a driver that does what the real one does, in the same order. */
export class Server implements StateMachine {
  readonly disk = new Disk();
  life = 0;
  peer: Peer | null = null;
  history!: History;
  out!: Outbox;
  tree = new Sequence();
  incoming: Sequence | null = null;
  loader: Sequence | null = null;
  durableSeq = 0;
  serving = false;
  waiting: DurableSend[] = [];
  ops: DiskOp[] = [];
  notices: (() => void)[] = [];
  streams: { end: End; from: Sequence | null; at: number }[] = [];
  reads: (() => void)[] = [];
  /** How much was committed anywhere when a sync was asked for. */
  readonly syncs = new Map<number, number>();

  constructor(
    readonly cluster: Cluster,
    readonly id: number,
    readonly config: ZabConfig,
  ) {}

  get running(): boolean {
    return this.peer !== null;
  }

  start(): void {
    const { dice, options, recentLimit } = this.cluster;
    this.life++;
    this.history = new History(recentLimit);
    this.out = new Outbox();
    this.history.reset(this.disk.base.zxid);
    for (const entry of this.disk.log) this.history.recovered(entry);
    this.history.acceptedEpoch = this.disk.acceptedEpoch;
    this.history.currentEpoch = this.disk.currentEpoch;
    this.tree = new Sequence();
    this.incoming = this.disk.replay();
    this.peer = new Peer(this.config, this.history, this.out, this, options.algorithm, dice.below(1 << 20));
    this.step((peer) => peer.start());
  }

  /** Loses everything that is not durable; the write under way may be there in part. */
  crash(): void {
    const first = this.ops[0];
    if (first?.entries !== undefined)
      for (const e of first.entries.slice(0, this.cluster.dice.below(first.entries.length + 1))) this.disk.append(e);
    this.peer = null;
    this.serving = false;
    this.loader = null;
    this.durableSeq = 0;
    this.waiting = [];
    this.ops = [];
    this.notices = [];
    this.streams = [];
    this.reads = [];
    this.syncs.clear();
  }

  step(input: (peer: Peer) => void): void {
    if (this.peer === null) return;
    this.peer.now = this.cluster.now;
    input(this.peer);
    this.#drain();
  }

  messages(end: End, count: number): void {
    for (const m of end.inbox.splice(0, count)) {
      if (end.closed || this.peer === null) return;
      this.cluster.traffic(end, m);
      const { peer } = this;
      peer.now = this.cluster.now;
      peer.message(end, m);
      if (peer.serving !== this.serving) this.#drain();
    }
    this.#drain();
  }

  diskEvent(): void {
    const op = this.ops.shift() as DiskOp;
    const before = this.cluster.checker.committedOnDisk(this);
    op.run();
    this.cluster.checker.diskChanged(this, before);
    if (!op.last) return;
    this.durableSeq = op.seq;
    this.#releaseDurable();
    this.step((peer) => peer.persisted(op.seq));
  }

  streamEvent(): void {
    const { dice } = this.cluster;
    const at = dice.below(this.streams.length);
    const stream = this.streams[at];
    const { end } = stream;
    if (end.closed || end.life !== this.life) return void this.streams.splice(at, 1);
    if (stream.from === null) {
      stream.from = this.incoming ?? this.tree;
      return this.cluster.send(end, { type: -1, head: NO_HEAD });
    }
    const part = stream.from.items.slice(stream.at, stream.at + 1 + dice.below(8));
    if (part.length > 0) {
      stream.at += part.length;
      this.cluster.send(end, { type: -2, nodes: part as unknown as ZnodeRecord[] });
      return this.step((peer) => peer.streamProgress(end));
    }
    this.cluster.send(end, { type: -3 });
    this.streams.splice(at, 1);
    this.step((peer) => peer.snapshotStreamed(end));
  }

  // ---- the state machine ----

  prepare(request: Request, zxid: Long): LogEntry {
    return new LogEntry(zxid, BYTES, request.cxid);
  }
  touch(): void {}
  revalidate(): boolean {
    return true;
  }
  readable(): boolean {
    return true;
  }
  touches(): [] {
    return [];
  }
  beginSnapshot(zxid: Long): void {
    this.loader = new Sequence();
    this.loader.zxid = zxid;
  }
  snapshotHead(): boolean {
    return this.loader !== null;
  }
  snapshotNodes(nodes: readonly ZnodeRecord[]): boolean {
    for (const node of nodes) this.loader?.items.push(node as unknown as LogEntry);
    return this.loader !== null;
  }
  endSnapshot(): boolean {
    return this.loader !== null;
  }

  // ---- the driver ----

  #drain(): void {
    while (this.peer !== null) {
      const { persist, sendLinks, sendMessages, durableSends, committed, actions } = this.out;
      for (const op of persist.splice(0)) this.#persist(op);
      const messages = sendMessages.splice(0);
      for (const [i, link] of sendLinks.splice(0).entries()) this.cluster.send(link as End, messages[i]);
      this.waiting.push(...durableSends.splice(0));
      this.#releaseDurable();
      for (const entry of committed.splice(0)) {
        (this.incoming ?? this.tree).apply(entry);
        if (this.incoming === null) this.cluster.checker.committed(this, entry);
      }
      for (const action of actions.splice(0)) this.#act(action);
      this.#show();
      if (this.out.empty) return;
    }
  }

  #persist(op: PersistOp): void {
    const { seq } = op;
    const { disk } = this;
    const add = (run: () => void, last = true, entries?: readonly LogEntry[]) => this.ops.push({ seq, run, last, entries });
    switch (op.kind) {
      case 'append': {
        const { entries } = op;
        return void add(() => entries.forEach((e) => void disk.append(e)), true, entries);
      }
      case 'acceptedEpoch':
        return void add(() => {
          if (op.epoch < disk.acceptedEpoch) throw new Error(`disk: acceptedEpoch ${op.epoch} below ${disk.acceptedEpoch}`);
          disk.acceptedEpoch = op.epoch;
          this.history.acceptedEpoch = op.epoch;
        });
      case 'currentEpoch':
        return void add(() => {
          if (op.epoch < disk.currentEpoch) throw new Error(`disk: currentEpoch ${op.epoch} below ${disk.currentEpoch}`);
          disk.currentEpoch = op.epoch;
          this.history.currentEpoch = op.epoch;
        });
      case 'installSnapshot': {
        for (const entry of op.entries) this.loader?.apply(entry);
        this.incoming = this.loader;
        this.loader = null;
        const copy = (this.incoming ?? this.tree).copy();
        return void add(() => {
          disk.base = copy;
          disk.log = [];
        });
      }
      case 'truncate':
        add(() => disk.truncate(op.zxid), !op.reload);
        if (op.reload) add(() => void (this.incoming = disk.replay()));
    }
  }

  #releaseDurable(): void {
    while (this.waiting.length > 0 && this.waiting[0].seq <= this.durableSeq) {
      const { link, message } = this.waiting.shift() as DurableSend;
      this.cluster.send(link as End, message);
    }
  }

  #act(action: Action): void {
    const { cluster } = this;
    const { dice } = cluster;
    switch (action.kind) {
      case 'election':
        return cluster.sendElection(this.id, action.peer, action.message);
      case 'dial':
        return this.peer?.dialled(cluster.dial(this, action.peer));
      case 'closeLink':
        return cluster.close(action.link as End);
      case 'streamSnapshot':
        return void this.streams.push({ end: action.link as End, from: null, at: 0 });
      case 'readLog': {
        const { link, after, upTo } = action;
        return void this.reads.push(() => {
          const { base, log } = this.disk;
          const known = !dice.chance(0.3) && (zxidEquals(after, base.zxid) || log.some((e) => zxidEquals(e.zxid, after)));
          const part = log.filter((e) => compareZxid(e.zxid, after) > 0 && compareZxid(e.zxid, upTo) <= 0);
          this.step((peer) => peer.logRead(link, known ? part : null));
        });
      }
      case 'synced':
        return cluster.checker.synced(this, action.request.cxid);
    }
  }

  #show(): void {
    const { peer } = this;
    const serving = peer?.serving === true;
    if (peer !== null && serving && !this.serving) {
      this.tree = this.incoming ?? this.tree;
      this.incoming = null;
      if (peer.kind === 'leading') this.cluster.checker.established(this, peer.epoch);
      this.cluster.checker.shown(this);
    }
    if (!serving) this.syncs.clear();
    this.serving = serving;
  }
}

/** The servers, the network between them and the choice of what happens next. */
export class Cluster {
  now = 1000;
  readonly dice: Dice;
  readonly checker: Checker;
  readonly servers: Server[];
  readonly recentLimit: number;
  /** What happened, newest last, when asked for. */
  trace: string[] | null = null;
  #ends: End[] = [];
  readonly #election = new Map<number, ElectionMessage>();
  readonly #lastElection = new Map<number, ElectionMessage>();
  readonly #up = new Set<number>();
  readonly #cut = new Set<number>();
  #requests = 0;

  constructor(readonly options: ClusterOptions) {
    this.dice = new Dice(options.seed);
    this.recentLimit = [2, 8, 500][this.dice.below(3)];
    const ids = Array.from({ length: options.voters + options.observers }, (_, i) => i + 1);
    const quorum = new QuorumRules(ids.slice(0, options.voters).map((id) => ({ id })));
    const fixed = {
      quorum,
      serverIds: new Set(ids),
      tickTime: 100,
      initTime: 1000,
      syncTime: 500,
      finalizeWait: 20,
      configText: 'version=0',
    };
    this.servers = ids.map((id) => new Server(this, id, { id, ...fixed }));
    this.checker = new Checker(this, quorum);
  }

  // ---- network ----

  #pair = (a: number, b: number): number => (a < b ? a * 256 + b : b * 256 + a);
  #joined = (a: number, b: number): boolean =>
    this.servers[a - 1].running && this.servers[b - 1].running && !this.#cut.has(this.#pair(a, b));

  send(end: End, m: QuorumMessage): void {
    // After a break nothing more gets through, even where the break is not noticed yet: a link loses its end, never its middle.
    if (!end.closed && !end.ended && !end.mute && !end.other.closed && !end.other.ended) end.other.inbox.push(m);
  }

  dial(from: Server, to: number): End {
    const near = new End(from);
    const far = new End(this.servers[to - 1]);
    near.other = far;
    far.other = near;
    if (this.#joined(from.id, to)) far.fresh = true;
    else {
      far.closed = true;
      near.ended = true;
    }
    this.#ends.push(near, far);
    return near;
  }

  close(end: End): void {
    if (end.closed) return;
    end.closed = true;
    if (!end.mute) end.other.ended = true;
    if (this.dice.chance(0.5)) end.other.inbox = [];
  }

  sendElection(from: number, to: number, m: ElectionMessage): void {
    this.#lastElection.set(from * 256 + to, m);
    this.#election.set(from * 256 + to, m);
  }

  #breakPair(a: number, b: number): void {
    for (const end of this.#ends) {
      if (this.#pair(end.server.id, end.other.server.id) !== this.#pair(a, b) || end.closed) continue;
      end.ended = true;
      if (this.dice.chance(0.7)) end.inbox = [];
    }
    if (!this.#up.delete(this.#pair(a, b))) return;
    for (const [self, peer] of [
      [a, b],
      [b, a],
    ]) {
      this.#election.delete(self * 256 + peer);
      this.#notify(self, peer, false);
    }
  }

  #notify(self: number, peer: number, up: boolean): void {
    const server = this.servers[self - 1];
    server.notices.push(() => server.step((p) => p.electionLink(peer, up)));
  }

  #connectElection(a: number, b: number): void {
    this.#up.add(this.#pair(a, b));
    for (const [self, peer] of [
      [a, b],
      [b, a],
    ]) {
      const key = self * 256 + peer;
      const last = this.#lastElection.get(key);
      if (last !== undefined && !this.#election.has(key)) this.#election.set(key, last);
      this.#notify(self, peer, true);
    }
  }

  // ---- faults ----

  crash(id: number): void {
    const server = this.servers[id - 1];
    if (!server.running) return;
    this.log(`crash ${id}`);
    for (const other of this.servers) if (other !== server) this.#breakPair(id, other.id);
    server.crash();
    for (const end of this.#ends) if (end.server === server) end.closed = true;
    for (const other of this.servers) this.#lastElection.delete(id * 256 + other.id);
  }

  restart(id: number): void {
    const server = this.servers[id - 1];
    if (server.running) return;
    this.log(`start ${id}`);
    server.start();
  }

  /** Nothing passes between two servers until they are healed; `silent`: nor does either notice, but by time. */
  cut(a: number, b: number, silent: boolean): void {
    if (a === b || this.#cut.has(this.#pair(a, b))) return;
    this.log(`cut ${a}-${b} ${silent ? 'silently' : ''}`);
    this.#cut.add(this.#pair(a, b));
    if (!silent) return this.#breakPair(a, b);
    for (const end of this.#ends) {
      if (this.#pair(end.server.id, end.other.server.id) !== this.#pair(a, b)) continue;
      end.mute = true;
      end.inbox = [];
    }
  }

  /** Breaks what connects two servers; they may connect again at once. */
  reset(a: number, b: number): void {
    if (a === b) return;
    this.log(`reset ${a}-${b}`);
    this.#breakPair(a, b);
  }

  heal(): void {
    this.log('heal');
    for (const pair of this.#cut) this.#breakPair(pair >> 8, pair & 255);
    this.#cut.clear();
  }

  fault(): void {
    const { dice, servers } = this;
    const any = () => 1 + dice.below(servers.length);
    const kind = dice.below(12);
    if (kind < 3) this.crash(any());
    else if (kind < 6) for (const s of servers) if (!s.running && dice.chance(0.6)) this.restart(s.id);
    const silent = dice.chance(0.5);
    if (kind === 6) this.cut(any(), any(), silent);
    else if (kind === 7) {
      const side = dice.below(1 << (servers.length + 1));
      for (const a of servers) for (const b of servers) if ((((side >> a.id) ^ (side >> b.id)) & 1) === 1) this.cut(a.id, b.id, silent);
    } else if (kind < 10) this.heal();
    else if (kind === 10) this.reset(any(), any());
    else if (dice.chance(0.3)) this.now += dice.below(1200);
  }

  // ---- clients ----

  /** A write or a sync at a server that serves; undefined if it was not taken. */
  request(server: Server, op: 5 | 9): number | undefined {
    if (!server.serving) return undefined;
    const cxid = ++this.#requests;
    const request: Request = { sessionId: ZXID_NONE, cxid, op, auth: [], record: null, body: BYTES };
    if (op === 9) server.syncs.set(cxid, this.checker.history.length);
    let taken = false;
    server.step((peer) => {
      taken = peer.request(request);
    });
    return taken ? cxid : undefined;
  }

  // ---- the loop ----

  /** One event, chosen among all that can happen; only when nothing can, time jumps to the next deadline. */
  step(): void {
    const { dice } = this;
    const events: (() => void)[] = [];
    for (const s of this.servers) {
      if (s.peer === null) continue;
      if (s.ops.length > 0) events.push(() => s.diskEvent());
      if (s.notices.length > 0) events.push(() => s.notices.shift()?.());
      if (s.streams.length > 0) events.push(() => s.streamEvent());
      if (s.reads.length > 0) events.push(() => s.reads.shift()?.());
      if (this.now >= s.peer.deadline) events.push(() => s.step((peer) => peer.tick()));
      for (const t of this.servers)
        if (t.id > s.id && !this.#up.has(this.#pair(s.id, t.id)) && this.#joined(s.id, t.id))
          events.push(() => this.#connectElection(s.id, t.id));
    }
    if (this.#ends.length > 64) this.#ends = this.#ends.filter((e) => !e.closed || !e.other.closed);
    for (const end of this.#ends) {
      if (!end.closed && (end.fresh || end.inbox.length > 0 || end.ended)) events.push(() => this.#endEvent(end));
    }
    for (const [key, m] of this.#election) {
      const pair = this.#pair(key >> 8, key & 255);
      if (this.#up.has(pair) && !this.#cut.has(pair)) events.push(() => this.#electionEvent(key, m));
    }
    if (events.length > 0) {
      this.now += dice.below(100) / 200;
      events[dice.below(events.length)]();
      return;
    }
    const due = Math.min(...this.servers.map((s) => s.peer?.deadline ?? Number.POSITIVE_INFINITY));
    this.now = Number.isFinite(due) ? Math.max(this.now, due) : this.now + 100;
  }

  #endEvent(end: End): void {
    const { server } = end;
    if (server.life !== end.life) {
      end.closed = true;
      return;
    }
    if (end.fresh) {
      end.fresh = false;
      server.step((peer) => peer.incoming(end));
    } else if (end.inbox.length > 0) server.messages(end, 1 + this.dice.below(end.inbox.length));
    else {
      end.closed = true;
      server.step((peer) => peer.linkClosed(end, 'gone'));
    }
  }

  #electionEvent(key: number, m: ElectionMessage): void {
    this.#election.delete(key);
    this.traceElection(key, m);
    this.servers[(key & 255) - 1].step((peer) => peer.electionMessage(key >> 8, m));
  }

  traceElection(key: number, m: ElectionMessage): void {
    if (this.trace !== null) this.log(`${key >> 8}~>${key & 255} ${JSON.stringify(m, show)}`);
  }

  traffic(end: End, m: QuorumMessage): void {
    if (this.trace !== null) this.log(`${end.other.server.id}->${end.server.id} ${JSON.stringify(m, show)}`);
  }

  log(text: string): void {
    this.trace?.push(`${this.now.toFixed(1)} ${text}`);
  }
}

function show(key: string, value: unknown): unknown {
  if (value instanceof LogEntry) return formatZxid(value.zxid);
  if (key === 'zxid') return formatZxid(value as Long);
  if (key === 'nodes') return (value as unknown[]).length;
  return key === 'config' ? undefined : value;
}
