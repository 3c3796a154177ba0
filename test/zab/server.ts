import type Long from 'long';
import type { Request, ZnodeRecord } from '../../src/model/records.ts';
import { compareZxid, followsInHistory, formatZxid, ZXID_NONE, zxidEquals } from '../../src/model/zxid.ts';
import type { StateMachine, ZabConfig } from '../../src/zab/context.ts';
import { LogEntry } from '../../src/zab/entry.ts';
import { History } from '../../src/zab/history.ts';
import type { ElectionMessage, QuorumMessage } from '../../src/zab/messages.ts';
import { type Action, type DurableSend, Outbox, type PersistOp } from '../../src/zab/outbox.ts';
import { Peer } from '../../src/zab/peer.ts';

/*
 * One server of the seeded ensemble: the protocol core with a driver that does what the real one does, in the same order, over a disk whose writes become
 * durable one by one, as events of their own.
 */

const BYTES = new Uint8Array(0);
const NO_HEAD = { sessions: [], acls: [] };

/** Told of everything that the rules of Zab speak about; throws when one is broken. */
export interface Watch {
  committed(server: Server, entry: LogEntry): void;
  shown(server: Server): void;
  established(server: Server, epoch: number): void;
  synced(server: Server, cxid: number): void;
  committedOnDisk(server: Server): number;
  diskChanged(server: Server, before: number): void;
}

/** What a server sees of the ensemble around it. */
export interface World {
  readonly now: number;
  readonly dice: Dice;
  readonly watch: Watch;
  readonly recentLimit: number;
  readonly algorithm: 'fast' | 'basic';
  send(end: End, m: QuorumMessage): void;
  dial(from: Server, to: number): End;
  close(end: End): void;
  sendElection(from: number, to: number, m: ElectionMessage): void;
  delivered(end: End, m: QuorumMessage): void;
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
  /** A stall of its process: until then it takes part in nothing. */
  pausedUntil = 0;
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
    readonly world: World,
    readonly id: number,
    readonly config: ZabConfig,
  ) {}

  get running(): boolean {
    return this.peer !== null;
  }
  get awake(): boolean {
    return this.peer !== null && this.world.now >= this.pausedUntil;
  }

  start(): void {
    const { dice, algorithm, recentLimit } = this.world;
    this.life++;
    this.history = new History(recentLimit);
    this.out = new Outbox();
    this.history.reset(this.disk.base.zxid);
    for (const entry of this.disk.log) this.history.recovered(entry);
    this.history.acceptedEpoch = this.disk.acceptedEpoch;
    this.history.currentEpoch = this.disk.currentEpoch;
    this.tree = new Sequence();
    this.incoming = this.disk.replay();
    this.peer = new Peer(this.config, this.history, this.out, this, algorithm, dice.below(1 << 20));
    this.step((peer) => peer.start());
  }

  /** Loses everything that is not durable; the write under way may be there in part. */
  crash(): void {
    const first = this.ops[0];
    if (first?.entries !== undefined)
      for (const e of first.entries.slice(0, this.world.dice.below(first.entries.length + 1))) this.disk.append(e);
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
    this.peer.now = this.world.now;
    input(this.peer);
    this.#drain();
  }

  messages(end: End, count: number): void {
    for (const m of end.inbox.splice(0, count)) {
      if (end.closed || this.peer === null) return;
      this.world.delivered(end, m);
      const { peer } = this;
      peer.now = this.world.now;
      peer.message(end, m);
      if (peer.serving !== this.serving) this.#drain();
    }
    this.#drain();
  }

  diskEvent(): void {
    const op = this.ops.shift() as DiskOp;
    const before = this.world.watch.committedOnDisk(this);
    op.run();
    this.world.watch.diskChanged(this, before);
    if (!op.last) return;
    this.durableSeq = op.seq;
    this.#releaseDurable();
    this.step((peer) => peer.persisted(op.seq));
  }

  streamEvent(): void {
    const { dice } = this.world;
    const at = dice.below(this.streams.length);
    const stream = this.streams[at];
    const { end } = stream;
    if (end.closed || end.life !== this.life) return void this.streams.splice(at, 1);
    if (stream.from === null) {
      stream.from = this.incoming ?? this.tree;
      return this.world.send(end, { type: -1, head: NO_HEAD });
    }
    const part = stream.from.items.slice(stream.at, stream.at + 1 + dice.below(8));
    if (part.length > 0) {
      stream.at += part.length;
      this.world.send(end, { type: -2, nodes: part as unknown as ZnodeRecord[] });
      return this.step((peer) => peer.streamProgress(end));
    }
    this.world.send(end, { type: -3 });
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
  configIn(): null {
    return null;
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
      for (const [i, link] of sendLinks.splice(0).entries()) this.world.send(link as End, messages[i]);
      this.waiting.push(...durableSends.splice(0));
      this.#releaseDurable();
      for (const entry of committed.splice(0)) {
        (this.incoming ?? this.tree).apply(entry);
        if (this.incoming === null) this.world.watch.committed(this, entry);
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
      this.world.send(link as End, message);
    }
  }

  #act(action: Action): void {
    const { world } = this;
    const { dice } = world;
    switch (action.kind) {
      case 'election':
        return world.sendElection(this.id, action.peer, action.message);
      case 'dial':
        return this.peer?.dialled(world.dial(this, action.peer));
      case 'closeLink':
        return world.close(action.link as End);
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
        return world.watch.synced(this, action.request.cxid);
    }
  }

  #show(): void {
    const { peer } = this;
    const serving = peer?.serving === true;
    if (peer !== null && serving && !this.serving) {
      this.tree = this.incoming ?? this.tree;
      this.incoming = null;
      if (peer.kind === 'leading') this.world.watch.established(this, peer.epoch);
      this.world.watch.shown(this);
    }
    if (!serving) this.syncs.clear();
    this.serving = serving;
  }
}
