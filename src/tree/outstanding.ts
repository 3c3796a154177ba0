import type Long from 'long';
import type { Acl } from '../model/records.ts';
import { compareZxid } from '../model/zxid.ts';
import type { Octets } from '../util/bytes.ts';
import { isOpenList, worldPerms } from './acl.ts';
import { isDigested, NodeDigester, Sum64 } from './digest.ts';
import { OWNER, STAT_WORDS } from './row.ts';
import type { ZnodeTree } from './tree.ts';
import { ACL_KEY, CHILDREN, CRC } from './znode-table.ts';

/** A znode as it will be once everything proposed has been applied. Objects are used again, for several are needed per write. */
export class Change {
  path = '';
  exists = false;
  /** The stat words, laid out as in the tree. */
  readonly words = new Int32Array(STAT_WORDS);
  children = 0;
  /** The ACL's key in the tree, or the list itself when it comes with an outstanding change. */
  aclKey = 0;
  acl: readonly Acl[] | null = null;
  data: Octets | null = null;
  crc = 0;
  /** The last change; null while the tree's state stands unchanged. */
  zxid: Long | null = null;

  copy(other: Change): void {
    this.path = other.path;
    this.exists = other.exists;
    this.words.set(other.words);
    this.children = other.children;
    this.aclKey = other.aclKey;
    this.acl = other.acl;
    this.data = other.data;
    this.crc = other.crc;
    this.zxid = other.zxid;
  }

  isOwnedBy(session: Long): boolean {
    return this.exists && this.words[OWNER] === session.high && this.words[OWNER + 1] === session.low;
  }
}

/**
 * What has been proposed and not yet applied, laid over the tree: the leader checks a request against the state that it will meet, not the one
 * that stands now (PROTOCOL 7). Paths are in inner form.
 */
export class Outstanding {
  readonly #tree: ZnodeTree;
  readonly #digest: boolean;
  readonly #changes = new Map<string, Change>();
  /** Each znode that a transaction changed, in order of the transactions, with its zxid beside it; the ones before `#head` are done. */
  #queue: Change[] = [];
  #zxids: Long[] = [];
  #head = 0;
  readonly #pool: Change[] = [];
  /** What the request at hand has looked at; whatever it has not changed goes back into the pool. */
  readonly #seen: Change[] = [];
  /** The tree's digest after everything proposed. */
  readonly sum = new Sum64();
  readonly #digester = new NodeDigester();
  /** For the multi at hand: each znode that it changed and, beside it, what it was before (null: as in the tree). */
  #undo: { change: Change; before: Change | null }[] | null = null;
  #undoQueue = 0;
  readonly #undoSum = new Sum64();

  constructor(tree: ZnodeTree, digest: boolean) {
    this.#tree = tree;
    this.#digest = digest;
  }

  /** The znode at `path` as it will be, or null. It is only valid during the request at hand, and must not be changed before {@link touch}. */
  find(path: string): Change | null {
    const change = this.#changes.get(path);
    if (change !== undefined) return change.exists ? change : null;
    const slot = this.#tree.table.find(path);
    return slot === 0 ? null : this.#fromTree(path, slot);
  }

  #fromTree(path: string, slot: number): Change {
    const { table } = this.#tree;
    const page = table.page(slot);
    const at = table.at(slot);
    const change = this.#pool.pop() ?? new Change();
    const { words } = change;
    for (let i = 0; i < STAT_WORDS; i++) words[i] = page[at + i];
    change.path = path;
    change.exists = true;
    change.children = page[at + CHILDREN];
    change.aclKey = page[at + ACL_KEY];
    change.acl = null;
    change.data = table.data(slot);
    change.crc = page[at + CRC];
    change.zxid = null;
    this.#seen.push(change);
    return change;
  }

  has(path: string): boolean {
    const change = this.#changes.get(path);
    return change === undefined ? this.#tree.table.find(path) !== 0 : change.exists;
  }

  /** Permissions that anybody has on the znode. */
  worldPerms(change: Change): number {
    if (change.acl === null) return this.#tree.acls.worldPerms(change.aclKey);
    return isOpenList(change.acl) ? 31 : worldPerms(change.acl);
  }

  /** The znode's ACL; undefined when nobody knows it. */
  acl(change: Change): readonly Acl[] | undefined {
    return change.acl ?? this.#tree.acls.get(change.aclKey);
  }

  /** Announces a change of `change` by the transaction `zxid`; to be called before it is made, every time with the same object for one transaction. */
  touch(change: Change, zxid: Long): void {
    if (change.zxid === zxid) return;
    if (this.#undo !== null) this.#undo.push({ change, before: change.zxid === null ? null : this.#cloneOf(change) });
    if (change.zxid === null) this.#changes.set(change.path, change);
    change.zxid = zxid;
    this.#queue.push(change);
    this.#zxids.push(zxid);
  }

  /** A blank state for a znode that `zxid` creates at `path`, touched already. */
  create(path: string, zxid: Long): Change {
    let change = this.#changes.get(path);
    if (change === undefined) {
      change = this.#pool.pop() ?? new Change();
      this.#seen.push(change);
      change.path = path;
      change.exists = false;
      change.crc = 0;
      change.zxid = null;
    }
    this.touch(change, zxid);
    change.exists = true;
    change.children = 0;
    return change;
  }

  /** Computes a changed znode's digest anew; `change.exists` false takes it out. */
  redigest(change: Change): void {
    if (!this.#digest || !isDigested(change.path)) return;
    this.sum.subtract(change.crc);
    change.crc = change.exists ? this.#digester.digest(change.path, change.data, change.words, 0) : 0;
    this.sum.add(change.crc);
  }

  /** The paths of the ephemerals that `session` will have. */
  ephemerals(session: Long): string[] {
    const out: string[] = [];
    for (const slot of this.#tree.owners.of(session) ?? []) {
      const path = this.#tree.table.path(slot);
      if (!this.#changes.has(path)) out.push(path);
    }
    for (const change of this.#changes.values()) if (change.isOwnedBy(session)) out.push(change.path);
    return out;
  }

  // ---- the life of a request ----

  begin(): void {
    if (this.#digest && this.#changes.size === 0) this.sum.copy(this.#tree.sum);
  }

  /** Takes back what the request only looked at. */
  end(): void {
    for (const change of this.#seen) if (change.zxid === null) this.#recycle(change);
    this.#seen.length = 0;
  }

  beginMulti(): void {
    this.#undo = [];
    this.#undoQueue = this.#queue.length;
    this.#undoSum.copy(this.sum);
  }

  endMulti(): void {
    for (const { before } of this.#undo ?? []) if (before !== null) this.#recycle(before);
    this.#undo = null;
  }

  /** Makes everything as it was at {@link beginMulti}. */
  rollBack(): void {
    for (const { change, before } of this.#undo ?? []) {
      if (before !== null) change.copy(before);
      else {
        this.#changes.delete(change.path);
        change.zxid = null;
      }
    }
    this.#queue.length = this.#undoQueue;
    this.#zxids.length = this.#undoQueue;
    this.sum.copy(this.#undoSum);
  }

  #cloneOf(change: Change): Change {
    const clone = this.#pool.pop() ?? new Change();
    clone.copy(change);
    return clone;
  }

  #recycle(change: Change): void {
    change.acl = null;
    change.data = null;
    change.zxid = null;
    if (this.#pool.length < 4096) this.#pool.push(change);
  }

  /** Drops the changes of transactions up to `zxid`: the tree has them now. */
  applied(zxid: Long): void {
    const queue = this.#queue;
    const zxids = this.#zxids;
    let head = this.#head;
    for (; head < queue.length && compareZxid(zxids[head], zxid) <= 0; head++) {
      const change = queue[head];
      if (change.zxid !== zxids[head]) continue;
      this.#changes.delete(change.path);
      this.#recycle(change);
    }
    if (head === queue.length) {
      queue.length = 0;
      zxids.length = 0;
      head = 0;
    } else if (head > 1024 && head * 2 > queue.length) {
      this.#queue = queue.slice(head);
      this.#zxids = zxids.slice(head);
      head = 0;
    }
    this.#head = head;
  }

  reset(): void {
    this.#changes.clear();
    this.#queue = [];
    this.#zxids = [];
    this.#head = 0;
    this.#undo = null;
  }
}
