import type Long from 'long';
import type { Request } from '../../src/model/records.ts';
import { formatZxid, ZXID_NONE } from '../../src/model/zxid.ts';
import { EnsembleConfig } from '../../src/zab/ensemble-config.ts';
import { LogEntry } from '../../src/zab/entry.ts';
import type { ElectionMessage, QuorumMessage } from '../../src/zab/messages.ts';
import { QuorumRules } from '../../src/zab/quorum.ts';
import { Checker } from './checker.ts';
import { Dice, End, Server, type World } from './server.ts';

/*
 * An ensemble of protocol cores in one synchronous loop: a seed chooses every next event, so a run repeats exactly. Each server has a disk whose writes become
 * durable as events of their own; a crash loses what is not durable.
 */

const BYTES = new Uint8Array(0);

export interface ClusterOptions {
  readonly seed: number;
  readonly voters: number;
  readonly observers: number;
  readonly algorithm: 'fast' | 'basic';
}

/** The servers, the network between them and the choice of what happens next. */
export class Cluster implements World {
  now = 1000;
  readonly dice: Dice;
  readonly servers: Server[];
  readonly watch: Checker;
  readonly recentLimit: number;
  readonly algorithm: 'fast' | 'basic';
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
    this.algorithm = options.algorithm;
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
      ensemble: new EnsembleConfig(
        1,
        ids.map((id) => ({ id, host: 'h', quorumPort: 10 + id, electionPort: 20 + id })),
      ),
    };
    this.servers = ids.map((id) => new Server(this, id, { id, ...fixed }));
    this.watch = new Checker(this.servers, quorum);
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
    const kind = dice.below(14);
    if (kind < 3) this.crash(any());
    else if (kind < 6) for (const s of servers) if (!s.running && dice.chance(0.6)) this.restart(s.id);
    const silent = dice.chance(0.5);
    if (kind === 6) this.cut(any(), any(), silent);
    else if (kind === 7) {
      const side = dice.below(1 << (servers.length + 1));
      for (const a of servers) for (const b of servers) if ((((side >> a.id) ^ (side >> b.id)) & 1) === 1) this.cut(a.id, b.id, silent);
    } else if (kind < 10) this.heal();
    else if (kind === 10) this.reset(any(), any());
    else if (dice.chance(0.2)) this.now += dice.below(1200);
    else servers[dice.below(servers.length)].pausedUntil = this.now + dice.below(1500);
  }

  // ---- clients ----

  /** A write or a sync at a server that serves; undefined if it was not taken. */
  request(server: Server, op: 5 | 9): number | undefined {
    if (!server.serving || !server.awake) return undefined;
    const cxid = ++this.#requests;
    const request: Request = { sessionId: ZXID_NONE, cxid, op, auth: [], record: null, body: BYTES };
    if (op === 9) server.syncs.set(cxid, this.watch.history.length);
    let taken = false;
    server.step((peer) => {
      taken = peer.request(request);
    });
    return taken ? cxid : undefined;
  }

  // ---- the loop ----

  /** One event, chosen among all that can happen; only when nothing can, time jumps to the next deadline. */
  step(): void {
    const events = this.#events();
    if (events.length > 0) {
      this.now += this.dice.below(100) / 200;
      events[this.dice.below(events.length)]();
      return;
    }
    const due = this.servers.map((s) => (this.now < s.pausedUntil ? s.pausedUntil : (s.peer?.deadline ?? Number.POSITIVE_INFINITY)));
    const next = Math.min(...due);
    this.now = Number.isFinite(next) ? Math.max(this.now, next) : this.now + 100;
  }

  #events(): (() => void)[] {
    const events: (() => void)[] = [];
    for (const s of this.servers) {
      if (s.peer === null || !s.awake) continue;
      if (s.ops.length > 0) events.push(() => s.diskEvent());
      if (s.notices.length > 0) events.push(() => s.notices.shift()?.());
      if (s.streams.length > 0) events.push(() => s.streamEvent());
      if (s.reads.length > 0) events.push(() => s.reads.shift()?.());
      if (this.now >= s.peer.deadline) events.push(() => s.step((peer) => peer.tick()));
      for (const t of this.servers) {
        const absent = t.id > s.id && !this.#up.has(this.#pair(s.id, t.id)) && this.#joined(s.id, t.id);
        if (absent) events.push(() => this.#connectElection(s.id, t.id));
      }
    }
    if (this.#ends.length > 64) this.#ends = this.#ends.filter((e) => !e.closed || !e.other.closed);
    for (const end of this.#ends) {
      if (end.closed || (end.server.running && !end.server.awake)) continue;
      if (end.fresh || end.inbox.length > 0 || end.ended) events.push(() => this.#endEvent(end));
    }
    for (const [key, m] of this.#election) {
      const pair = this.#pair(key >> 8, key & 255);
      const ready = this.#up.has(pair) && !this.#cut.has(pair) && this.servers[(key & 255) - 1].awake;
      if (ready) events.push(() => this.#electionEvent(key, m));
    }
    return events;
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

  delivered(end: End, m: QuorumMessage): void {
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
