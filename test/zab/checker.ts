import { epochOf, formatZxid, zxidEquals } from '../../src/model/zxid.ts';
import type { LogEntry } from '../../src/zab/entry.ts';
import type { QuorumRules } from '../../src/zab/quorum.ts';
import type { Sequence, Server, Watch } from './server.ts';

/** A rule of Zab was broken. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/**
 * Watches what an ensemble commits. `history` is everything that any server ever showed as committed, in order.
 */
export class Checker implements Watch {
  readonly history: LogEntry[] = [];
  readonly #leaders = new Map<number, string>();

  constructor(
    readonly servers: readonly Server[],
    readonly quorum: QuorumRules,
  ) {}

  /** PrefixConsistency, one entry at a time. */
  committed(server: Server, entry: LogEntry): void {
    const at = server.tree.items.length - 1;
    if (server.tree.items[at] !== entry) throw new Violation(`server ${server.id} applied ${formatZxid(entry.zxid)} again`);
    this.#agree(server, at);
  }

  /** PrefixConsistency of the whole state, when a server begins to serve. */
  shown(server: Server): void {
    for (let at = 0; at < server.tree.items.length; at++) this.#agree(server, at);
  }

  /** Leadership1 and PrimaryIntegrity: one leader per epoch, and it has everything that was ever committed. */
  established(server: Server, epoch: number): void {
    const name = `${server.id}/${server.life}`;
    const other = this.#leaders.get(epoch);
    if (other !== undefined) throw new Violation(`epoch ${epoch} has two leaders: ${other} and ${name}`);
    this.#leaders.set(epoch, name);
    const { items } = server.tree;
    // A leader that hears late of its quorum may be behind a later epoch's already; it can commit nothing any more.
    const missing = this.history[items.length];
    if (missing !== undefined && epochOf(missing.zxid) < epoch) {
      throw new Violation(`leader ${name} of epoch ${epoch} lacks ${formatZxid(missing.zxid)}`);
    }
  }

  /** A sync sees everything that was committed when it was asked for. */
  synced(server: Server, cxid: number): void {
    const wanted = server.syncs.get(cxid);
    server.syncs.delete(cxid);
    if (wanted !== undefined && server.tree.items.length < wanted) throw new Violation(`server ${server.id}: stale sync`);
  }

  /** How many committed entries are safe on the server's disk. */
  committedOnDisk(server: Server): number {
    const state = this.#durable(server);
    let count = 0;
    while (count < this.history.length && count < state.length && same(state[count], this.history[count])) count++;
    return count;
  }

  /** Whatever is committed stays on the disks of a quorum, at every moment. A server may lose an entry that it had not acknowledged. */
  diskChanged(server: Server, before: number): void {
    for (let at = this.committedOnDisk(server); at < before; at++) this.#heldByQuorum(at, `server ${server.id} removed`);
  }

  #agree(server: Server, at: number): void {
    const entry = server.tree.items[at];
    if (at < this.history.length) {
      if (same(entry, this.history[at])) return;
      throw new Violation(`server ${server.id} has ${formatZxid(entry.zxid)} at ${at}, others ${formatZxid(this.history[at].zxid)}`);
    }
    this.history.push(entry);
    this.#heldByQuorum(at, `server ${server.id} committed`);
  }

  #heldByQuorum(at: number, what: string): void {
    const entry = this.history[at];
    let holders = 0;
    for (const s of this.servers) {
      const items = this.#durable(s);
      if (at < items.length && same(items[at], entry)) holders |= this.quorum.bit(s.id);
    }
    if (!this.quorum.isQuorum(holders)) {
      throw new Violation(`${what} ${formatZxid(entry.zxid)}, which is on the disks of no quorum (${holders.toString(2)})`);
    }
  }

  #durable(server: Server): readonly LogEntry[] {
    const { base, log } = server.disk;
    return log.length === 0 ? claimed(base) : [...claimed(base), ...log];
  }
}

/** A snapshot may hold more than its zxid says; only what the zxid covers is claimed. */
function claimed(base: Sequence): readonly LogEntry[] {
  const { items, zxid } = base;
  let end = items.length;
  while (end > 0 && !zxidEquals(items[end - 1].zxid, zxid)) end--;
  return end === items.length ? items : items.slice(0, end);
}

const same = (a: LogEntry, b: LogEntry): boolean => zxidEquals(a.zxid, b.zxid) && a.txn === b.txn;
