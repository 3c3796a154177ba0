import type Long from 'long';
import type { Txn } from '../../model/records.ts';
import { compareZxid, zxidEquals, zxidHex } from '../../model/zxid.ts';
import type { Recovered } from '../../seams/storage.ts';
import type { ZnodeTree } from '../../tree/tree.ts';
import { decodeTxn } from '../../wire/txn.ts';
import type { LogEntry } from '../../zab/entry.ts';
import { Packet, type QuorumMessage } from '../../zab/messages.ts';
import { Blind, type Deed } from '../probe.ts';
import type { Place } from './place.ts';
import { type Change, type Complain, isBuiltIn, ReferenceTree, sameAcl, sameStat } from './reference.ts';

/** A committed transaction. */
export interface Entry extends Change {
  /** How many transactions there are up to this one: the state after it is that of position `position`. */
  readonly position: number;
  readonly txn: Txn;
}

/** What a server has shown to its process since its node began to serve: one transaction, or another tree at once. */
export type Step =
  | { readonly kind: 'applied'; readonly entry: Entry }
  | { readonly kind: 'replaced'; readonly from: number; readonly to: number; readonly zxid: Long };

/** One life of a node, as those see it who live in its process. */
export interface NodeLife extends Place {
  readonly server: number;
  /** 1 for the server's first one. */
  readonly number: number;
  serving: boolean;
  /** Simulated ms. */
  servingSince: number;
  /** Where the tree is that the node shows; null before it has served. */
  position: number | null;
  tree: ZnodeTree | null;
  readonly steps: Step[];
  /** Called for each step, before the node tells its sessions. */
  readonly listeners: Set<(step: Step) => void>;
}

/** The part of a server's log that is not known to be committed. */
interface OpenLog {
  entries: LogEntry[];
  /** What goes when a truncation, or a snapshot, has taken effect on disk: by then newer entries may stand behind. */
  truncated: ReadonlySet<LogEntry>;
  replaced: ReadonlySet<LogEntry>;
  /** What has come in a snapshot and behind it, and goes into the store with it, not as entries of their own; null when none is coming in. */
  behindSnapshot: LogEntry[] | null;
  /** The snapshot that is about to replace the history; null when none is. */
  installing: Long | null;
  /** A process has begun and has not read its store yet. */
  isUnread: boolean;
}

const NONE: ReadonlySet<LogEntry> = new Set();

/**
 * The history that the ensemble has committed, as far as some server has shown it, with the tree that it gives; and where in it each server is. A transaction that became committed without being shown (the
 * tail of a log, kept by the next leader) is taken from the log of the server that shows a tree with it.
 */
export class CommittedHistory extends Blind {
  readonly entries: Entry[] = [];
  readonly reference: ReferenceTree;
  /** How often a node that serves clients showed another tree at once. */
  replaced = 0;
  /** Called for each transaction when it is known to be committed. */
  onEntry: (entry: Entry) => void = () => {};
  /** Called when something happens to a client that the servers don't know. */
  onDeed: (id: number, what: Deed) => void = () => {};
  onLife: (life: NodeLife, what: 'began' | 'serving' | 'ended') => void = () => {};
  readonly #byZxid = new Map<string, Entry>();
  readonly #byRequest = new Map<string, Entry>();
  readonly #logs = new Map<number, OpenLog>();
  readonly #lives = new Map<number, NodeLife>();
  readonly #now: () => number;
  readonly #complain: Complain;

  constructor(now: () => number, complain: Complain) {
    super();
    this.#now = now;
    this.#complain = complain;
    this.reference = new ReferenceTree(complain);
  }

  /** Position of the end of the history. */
  get latest(): number {
    return this.entries.length;
  }

  /** The last life of the server's node; undefined before the first. */
  life(server: number): NodeLife | undefined {
    return this.#lives.get(server);
  }

  lives(): Iterable<NodeLife> {
    return this.#lives.values();
  }

  withZxid(zxid: Long): Entry | undefined {
    return this.#byZxid.get(zxidHex(zxid));
  }

  /** The transaction that a request of a session became. */
  withRequest(session: string, cxid: number): Entry | undefined {
    return this.#byRequest.get(`${session}/${cxid}`);
  }

  /** Where a tree is whose last transaction is `zxid`. */
  positionOf(zxid: Long): number {
    const entry = this.withZxid(zxid);
    if (entry !== undefined) return entry.position;
    let position = this.entries.length;
    while (position > 0 && compareZxid(this.entries[position - 1].txn.header.zxid, zxid) > 0) position--;
    return position;
  }

  // ---- what the servers do ----

  override did(id: number, what: Deed): void {
    this.onDeed(id, what);
  }

  override booted(server: number): void {
    this.#end(server);
    this.#log(server).isUnread = true;
    const number = (this.#lives.get(server)?.number ?? 0) + 1;
    const flags = { over: false, serving: false, servingSince: 0 };
    const life: NodeLife = {
      name: `server ${server}`,
      server,
      number,
      ...flags,
      position: null,
      tree: null,
      steps: [],
      listeners: new Set(),
    };
    this.#lives.set(server, life);
    this.onLife(life, 'began');
  }

  /** The server's node serves already, with the history up to `zxid`. */
  joined(server: number, zxid: Long): void {
    this.serving(server, true);
    const life = this.#lives.get(server);
    if (life !== undefined) life.position = this.positionOf(zxid);
  }

  override died(server: number): void {
    this.#end(server);
  }

  override stopping(server: number): void {
    this.#end(server);
  }

  override stopped(server: number): void {
    this.#end(server);
  }

  #end(server: number): void {
    const life = this.#lives.get(server);
    if (life === undefined || life.over) return;
    life.over = true;
    life.serving = false;
    life.listeners.clear();
    this.onLife(life, 'ended');
  }

  override serving(server: number, serving: boolean): void {
    const life = this.#lives.get(server);
    if (life === undefined || life.over || life.serving === serving) return;
    life.serving = serving;
    life.servingSince = this.#now();
    this.onLife(life, 'serving');
  }

  #log(server: number): OpenLog {
    let log = this.#logs.get(server);
    if (log === undefined)
      this.#logs.set(
        server,
        (log = { entries: [], truncated: NONE, replaced: NONE, behindSnapshot: null, installing: null, isUnread: false }),
      );
    return log;
  }

  override recovered(server: number, found: Recovered): void {
    const log = this.#log(server);
    // A crash may have left the snapshot in place and nobody to say so.
    if (log.isUnread && log.installing !== null && zxidEquals(found.snapshotZxid, log.installing)) this.installed(server);
    log.installing = null;
    // A store that is read again after a truncation is about to get what was appended since.
    if (log.isUnread) log.entries = log.entries.filter((entry) => compareZxid(entry.zxid, found.lastZxid) <= 0);
    log.isUnread = false;
  }

  override received(from: number, to: number, _link: number, message: QuorumMessage): void {
    const log = this.#log(to);
    switch (message.type) {
      case Packet.LEADERINFO:
        log.behindSnapshot = null;
        return;
      case Packet.SNAP:
        // A leader that is not established yet sends what it has, and nobody knows whether that is committed.
        log.behindSnapshot = this.#log(from).entries.filter((entry) => compareZxid(entry.zxid, message.zxid) <= 0);
        return;
      case Packet.PROPOSAL:
      case Packet.INFORM:
        log.behindSnapshot?.push(message.entry);
        return;
      case Packet.NEWLEADER:
        log.replaced = new Set(log.entries);
        log.entries.push(...(log.behindSnapshot ?? []));
        log.behindSnapshot = null;
        return;
      case Packet.TRUNC:
        log.truncated = new Set(log.entries.filter((entry) => compareZxid(entry.zxid, message.zxid) > 0));
    }
  }

  override truncated(server: number): void {
    const log = this.#log(server);
    log.entries = log.entries.filter((entry) => !log.truncated.has(entry));
  }

  override installing(server: number, zxid: Long): void {
    this.#log(server).installing = zxid;
  }

  override installed(server: number): void {
    const log = this.#log(server);
    log.installing = null;
    log.entries = log.entries.filter((entry) => !log.replaced.has(entry));
  }

  override appending(server: number, entries: readonly LogEntry[]): void {
    this.#log(server).entries.push(...entries);
  }

  override applied(server: number, txn: Txn, tree: ZnodeTree): void {
    const life = this.#lives.get(server);
    this.#reach(server, txn.header.zxid, txn);
    const entry = this.withZxid(txn.header.zxid);
    if (life === undefined || entry === undefined) return;
    life.position = entry.position;
    life.tree = tree;
    this.#step(life, { kind: 'applied', entry });
    for (const path of entry.touched) this.#comparePath(server, tree, path, entry.position);
  }

  override shown(server: number, tree: ZnodeTree): void {
    const life = this.#lives.get(server);
    this.#reach(server, tree.lastZxid, null);
    if (life === undefined) return;
    const from = life.position;
    life.position = this.positionOf(tree.lastZxid);
    life.tree = tree;
    if (from !== null) {
      this.replaced++;
      this.#step(life, { kind: 'replaced', from, to: life.position, zxid: tree.lastZxid });
    }
    this.compare(life);
  }

  #step(life: NodeLife, step: Step): void {
    life.steps.push(step);
    for (const listener of [...life.listeners]) listener(step);
  }

  /** Everything in the server's history up to `zxid` is committed; `txn` is the last of it. */
  #reach(server: number, zxid: Long, txn: Txn | null): void {
    const log = this.#log(server).entries;
    let count = 0;
    for (; count < log.length && compareZxid(log[count].zxid, zxid) <= 0; count++) {
      const logged = log[count];
      if (this.#isNew(logged.zxid)) this.#commit((logged.txn as Txn | undefined) ?? decodeTxn(logged.bytes));
    }
    log.splice(0, count);
    if (txn !== null && this.#isNew(zxid)) this.#commit(txn);
  }

  #isNew(zxid: Long): boolean {
    const last = this.entries.at(-1);
    return last === undefined || compareZxid(zxid, last.txn.header.zxid) > 0;
  }

  #commit(txn: Txn): void {
    const { zxid, clientId, cxid } = txn.header;
    const entry: Entry = { ...this.reference.apply(txn), position: this.entries.length + 1, txn };
    this.entries.push(entry);
    this.#byZxid.set(zxidHex(zxid), entry);
    // The server's own requests, the expiry of sessions among them, and createSession have no numbers (PROTOCOL 11, 17).
    if (cxid !== 0) {
      const request = `${zxidHex(clientId)}/${cxid}`;
      const other = this.#byRequest.get(request);
      if (other === undefined) this.#byRequest.set(request, entry);
      else {
        const which = `0x${zxidHex(other.txn.header.zxid)} and 0x${zxidHex(zxid)}`;
        this.#complain('AcknowledgedWrites', `request ${cxid} of session 0x${zxidHex(clientId)} happened twice: ${which}`);
      }
    }
    this.onEntry(entry);
  }

  // ---- the servers' trees ----

  /** The whole tree that a node shows, against the history up to there. */
  compare({ server, tree, position }: NodeLife): void {
    if (tree === null || position === null) return;
    const expected = new Set(this.reference.paths(position));
    for (const [path] of tree.walk('/')) {
      if (isBuiltIn(path)) continue;
      expected.delete(path);
      this.#comparePath(server, tree, path, position);
    }
    for (const path of expected) this.#comparePath(server, tree, path, position);
  }

  #comparePath(server: number, tree: ZnodeTree, path: string, position: number): void {
    if (isBuiltIn(path)) return;
    const right = this.reference.at(path, position);
    const is = tree.getData(path);
    const same =
      right === null || is === undefined ? right === null && is === undefined : sameStat(right, is.stat) && right.data === is.octets;
    if (same) {
      const acl = tree.getAcl(path)?.acl ?? [];
      if (right !== null && !sameAcl(right.acl, acl))
        this.#complain(
          'TreeMatchesHistory',
          `server ${server}: ${path} has the ACL ${JSON.stringify(acl)} instead of ${JSON.stringify(right.acl)}`,
        );
      return;
    }
    const describe = (stat: object | undefined): string => (stat === undefined ? 'not there' : JSON.stringify(stat, longsAsHex));
    const zxid = zxidHex(tree.lastZxid);
    const what = `${path} at 0x${zxid} is ${describe(is?.stat)}; the committed transactions make it ${describe(right?.stat)}`;
    this.#complain('TreeMatchesHistory', `server ${server}: ${what}`);
  }
}

/** For `JSON.stringify`. */
export function longsAsHex(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('unsigned' in value)) return value;
  return `0x${zxidHex(value as unknown as Long)}`;
}
