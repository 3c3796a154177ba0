import type Long from 'long';
import type { SnapshotDigest, SnapshotHead, SnapshotSink, ZnodeRecord } from '../model/records.ts';
import { isBelowRoot, parentOf } from './paths.ts';
import { AVERSION, CVERSION, initRow, MTIME, MZXID, PZXID, putLong, putNumber, VERSION } from './row.ts';
import { type TreeOptions, ZnodeTree } from './tree.ts';
import { ACL_KEY } from './znode-table.ts';

/** A snapshot does not describe a tree. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError';
}

/**
 * Builds a tree from a snapshot. `begin`, `nodes` and `end` throw a {@link SnapshotError} when the snapshot is not one; the tree is then not to be had. After `end` the tree is as the
 * snapshot has it, perhaps fuzzy: it is whole once the log after its zxid has been applied.
 */
export class TreeLoader implements SnapshotSink {
  readonly #options: TreeOptions;
  #loading: ZnodeTree | null = null;
  #zxid: Long | null = null;
  #tree: ZnodeTree | null = null;

  constructor(options: TreeOptions = {}) {
    this.#options = options;
  }

  /** The tree that has been loaded; null before `end`. */
  get tree(): ZnodeTree | null {
    return this.#tree;
  }

  begin(zxid: Long, head: SnapshotHead): void {
    this.#tree = null;
    this.#zxid = zxid;
    const tree = new ZnodeTree({ ...this.#options, blank: true });
    this.#loading = tree;
    for (const { id, timeout } of head.sessions) tree.sessions.set(id, { id, timeout });
    for (const { key, acl } of head.acls) tree.acls.load(key, acl);
  }

  nodes(batch: readonly ZnodeRecord[]): void {
    const tree = this.#loading;
    if (tree === null) throw new SnapshotError('znodes before the head of a snapshot');
    for (const record of batch) loadNode(tree, record);
  }

  end(digest: SnapshotDigest | null): void {
    const tree = this.#loading;
    if (tree === null || this.#zxid === null) throw new SnapshotError('the end of a snapshot before its head');
    if (tree.table.find('') === 0) throw new SnapshotError('a snapshot without a root');
    this.#loading = null;
    tree.addMissingBuiltIns();
    tree.acls.dropUnused();
    tree.quotas.rebuild();
    tree.loaded(this.#zxid, digest);
    this.#tree = tree;
  }
}

function loadNode(tree: ZnodeTree, record: ZnodeRecord): void {
  const { table } = tree;
  const path = record.path;
  let slot = table.find(path);
  if (slot === 0) {
    const parent = path === '' ? 0 : table.find(parentOf(path));
    if (path !== '' && (parent === 0 || !isBelowRoot(path))) throw new SnapshotError(`a snapshot with ${path} but without its parent`);
    slot = table.insert(path, parent, record.data);
  } else {
    // Twice the same path: the later one counts.
    tree.owners.remove(table, slot);
    tree.acls.release(table.get(slot, ACL_KEY));
    table.setData(slot, record.data);
  }
  const page = table.page(slot);
  const at = table.at(slot);
  initRow(page, at, record.czxid, record.ctime, record.ephemeralOwner.high, record.ephemeralOwner.low);
  putLong(page, at + MZXID, record.mzxid);
  putLong(page, at + PZXID, record.pzxid);
  putNumber(page, at + MTIME, record.mtime);
  page[at + VERSION] = record.version;
  page[at + CVERSION] = record.cversion;
  page[at + AVERSION] = record.aversion;
  page[at + ACL_KEY] = record.aclKey;
  tree.acls.retain(record.aclKey);
  tree.owners.add(table, slot);
  tree.redigest(slot);
}
