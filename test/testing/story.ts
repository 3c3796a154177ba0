import Long from 'long';
import { Op } from '../../src/model/codes.ts';
import type { Txn, TxnBody } from '../../src/model/records.ts';
import { makeZxid, ZXID_NONE } from '../../src/model/zxid.ts';
import { Checks } from '../../src/testing/checks/all.ts';
import { ZnodeTree } from '../../src/tree/tree.ts';
import { octetsFromText } from '../../src/util/bytes.ts';
import type { LogEntry } from '../../src/zab/entry.ts';
import { Packet, type QuorumMessage } from '../../src/zab/messages.ts';
import { entryOf } from './zab-probe.ts';

/** A transaction of some session, by default one that writes to the root. */
export function write(epoch: number, counter: number, body: TxnBody = text(`${epoch}.${counter}`), session = 0): LogEntry {
  const header = { clientId: Long.fromNumber(session, true), cxid: 1, zxid: makeZxid(epoch, counter), time: 1000, type: body.type };
  return entryOf({ header, body, digest: null });
}

export const text = (data: string, path = '/'): TxnBody => ({ type: Op.setData, path, data: octetsFromText(data), version: 1 });
export const openSession: TxnBody = { type: Op.createSession, timeout: 4000 };
export const closeSession: TxnBody = { type: Op.closeSession, paths: null };
export const remove = (path: string): TxnBody => ({ type: Op.delete, path });

export function create(path: string, ephemeral = true): TxnBody {
  return { type: Op.create, path, data: null, acl: [{ perms: 31, scheme: 'world', id: 'anyone' }], ephemeral, parentCVersion: -1, ttl: 0 };
}

/**
 * A run told by hand to all checks. Servers 1 to `voters` are participants, the `observers` come behind them. `broken` is what was reported, by rule.
 */
export class Story {
  readonly broken: string[] = [];
  readonly checks: Checks;
  readonly trees = new Map<number, ZnodeTree>();

  /** @param empty all begin with empty disks; otherwise nobody has begun */
  constructor(voters = 3, observers = 0, empty = true) {
    const ids = Array.from({ length: voters + observers }, (_, i) => i + 1);
    const servers = ids.map((id) => ({ id, role: id <= voters ? ('participant' as const) : ('observer' as const) }));
    this.checks = new Checks(servers, (violation) => this.broken.push(violation.rule));
    if (empty) for (const id of ids) this.boot(id);
  }

  boot(server: number, lastZxid = ZXID_NONE, acceptedEpoch = 0, currentEpoch = acceptedEpoch): void {
    this.checks.booted(server);
    this.trees.set(server, new ZnodeTree({ digest: true }));
    this.checks.recovered(server, { lastZxid, snapshotZxid: ZXID_NONE, acceptedEpoch, currentEpoch });
  }

  tree(server: number): ZnodeTree {
    return this.trees.get(server) as ZnodeTree;
  }

  // ---- roles ----

  /** `epoch` becomes the accepted and the current one of these servers. */
  enter(epoch: number, ...servers: number[]): void {
    for (const server of servers) {
      this.checks.epoch(server, 'accepted', epoch);
      this.checks.epoch(server, 'current', epoch);
    }
  }

  lead(server: number, epoch: number): void {
    this.#serve(server, () => this.checks.role(server, 'leading', server, epoch));
  }

  follow(server: number, leader: number, epoch: number, role: 'following' | 'observing' = 'following'): void {
    this.#serve(server, () => this.checks.role(server, role, leader, epoch));
  }

  #serve(server: number, role: () => void): void {
    role();
    this.checks.shown(server, this.tree(server));
    this.checks.serving(server, true);
  }

  look(server: number): void {
    this.checks.role(server, 'looking', undefined, 0);
    this.checks.serving(server, false);
  }

  /** The first server leads, the others follow. */
  reign(epoch: number, leader: number, ...followers: number[]): void {
    this.enter(epoch, leader, ...followers);
    this.lead(leader, epoch);
    for (const server of followers) this.follow(server, leader, epoch);
  }

  // ---- transactions ----

  log(entry: LogEntry, ...servers: number[]): void {
    for (const server of servers) {
      this.checks.appending(server, [entry]);
      this.checks.durable(server, entry.zxid);
    }
  }

  apply(entry: LogEntry, ...servers: number[]): void {
    for (const server of servers) {
      this.tree(server).apply(entry.txn as Txn, false);
      this.checks.applied(server, entry.txn as Txn, this.tree(server));
    }
  }

  /** Logged, durable and applied. */
  commit(entry: LogEntry, ...servers: number[]): void {
    this.log(entry, ...servers);
    this.apply(entry, ...servers);
  }

  /** The tree that the server shows is one with these transactions from now on. */
  show(server: number, ...entries: LogEntry[]): void {
    const tree = new ZnodeTree({ digest: true });
    for (const entry of entries) tree.apply(entry.txn as Txn, false);
    this.trees.set(server, tree);
    this.checks.shown(server, tree);
  }

  cut(server: number, after: LogEntry): void {
    this.checks.truncating(server, after.zxid);
    this.checks.truncated(server, after.zxid);
  }

  install(server: number, at: LogEntry): void {
    this.checks.installing(server, at.zxid);
    this.checks.installed(server, at.zxid);
  }

  // ---- messages ----

  send(from: number, to: number, message: QuorumMessage, link = 1): void {
    this.checks.sent(from, to, link, message);
  }

  receive(from: number, to: number, message: QuorumMessage, link = 1): void {
    this.checks.received(from, to, link, message);
  }

  ack(from: number, to: number, zxid: Long, link = 1): void {
    this.send(from, to, { type: Packet.ACK, zxid }, link);
  }
}

/** The rules that a story breaks, each once, in the order of their names. */
export function broken(tell: (story: Story) => void, voters = 3, observers = 0): string[] {
  const story = new Story(voters, observers);
  tell(story);
  return [...new Set(story.broken)].sort();
}
