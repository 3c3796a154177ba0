import type Long from 'long';
import { Err, Op, Perms } from '../../model/codes.ts';
import type { Id } from '../../model/records.ts';
import { inner } from '../../tree/paths.ts';
import type { ZnodeTree } from '../../tree/tree.ts';
import type { WatchTable } from '../../tree/watches.ts';
import {
  type MultiReadResult,
  writeAclAndStat,
  writeChildrenAndStat,
  writeClientInfos,
  writeDataAndStat,
  writeMultiReadResults,
  writeNames,
  writeStat,
} from '../../wire/client-replies.ts';
import type { MultiReadRequest, ReadRequest, WatchingReadRequest } from '../../wire/client-requests.ts';
import type { JuteWriter } from '../../wire/jute.ts';
import { type Access, namesOf } from '../access.ts';

/** Bytes that a multiRead may gather: a small request can ask for a large znode many thousand times. */
const MAX_MULTI_READ = 16 << 20;

/** About what a result takes in a reply. */
function sizeOf(result: MultiReadResult): number {
  if (result.type === Op.getData) return 80 + (result.data?.length ?? 0);
  let size = 13;
  if (result.type === Op.getChildren) for (const name of result.children) size += 4 + name.length;
  return size;
}

/** Who asks. */
export interface Reader {
  readonly sessionId: Long;
}

/** Answers reads from the local tree, by the checks of PROTOCOL 7. Paths are not validated: one that is no znode's is just not there. */
export class Reads<W extends Reader> {
  readonly #tree: () => ZnodeTree;
  readonly #access: Access;
  readonly #watches: WatchTable<W>;

  constructor(tree: () => ZnodeTree, access: Access, watches: WatchTable<W>) {
    this.#tree = tree;
    this.#access = access;
    this.#watches = watches;
  }

  /** Writes the body of the answer to `w`; returns the error if there is one, and then what was written does not count. */
  answer(reader: W, record: ReadRequest, auth: readonly Id[], w: JuteWriter): number {
    switch (record.op) {
      case Op.getData:
      case Op.exists:
      case Op.getChildren:
      case Op.getChildren2:
        return this.#watching(reader, record, auth, w);
      case Op.getAcl:
        return this.#getAcl(record.path, auth, w);
      case Op.getAllChildrenNumber:
        return this.#getAllChildrenNumber(record.path, auth, w);
      case Op.getEphemerals:
        writeNames(w, this.#tree().getEphemerals(reader.sessionId, record.prefix));
        return Err.ok;
      case Op.multiRead:
        return this.#multiRead(record, auth, w);
      case Op.whoAmI:
        writeClientInfos(w, namesOf(auth));
        return Err.ok;
      case Op.checkWatches:
        return this.#watches.check(record.path, record.kind, reader) ? Err.ok : Err.noWatcher;
      case Op.removeWatches:
        return this.#watches.remove(record.path, record.kind, reader) ? Err.ok : Err.noWatcher;
      case Op.addWatch:
        this.#watches.addPersistent(record.path, reader, record.mode === 1);
        // An ErrorResponse (PROTOCOL 2.1).
        w.int(Err.ok);
        return Err.ok;
      default:
        return Err.unimplemented;
    }
  }

  #watching(reader: W, record: WatchingReadRequest, auth: readonly Id[], w: JuteWriter): number {
    const { op, path, watch } = record;
    const tree = this.#tree();
    const slot = tree.table.find(inner(path));
    if (op === Op.exists) {
      // The only rule for paths that a read has.
      if (path.includes('\0')) return Err.badArguments;
      // A watch on what is not there waits for its creation.
      if (watch) this.#watches.addData(path, reader);
      if (slot === 0) return Err.noNode;
      writeStat(w, tree.stat(slot));
      return Err.ok;
    }
    if (slot === 0) return Err.noNode;
    if (!this.#access.permitsSlot(slot, Perms.READ, auth)) return Err.noAuth;
    if (op === Op.getData) {
      if (watch) this.#watches.addData(path, reader);
      writeDataAndStat(w, tree.table.data(slot), tree.stat(slot));
      return Err.ok;
    }
    if (watch) this.#watches.addChild(path, reader);
    if (op === Op.getChildren) writeNames(w, tree.table.childNames(slot));
    else writeChildrenAndStat(w, tree.table.childNames(slot), tree.stat(slot));
    return Err.ok;
  }

  #getAcl(path: string, auth: readonly Id[], w: JuteWriter): number {
    const tree = this.#tree();
    const slot = tree.table.find(inner(path));
    if (slot === 0) return Err.noNode;
    if (!this.#access.permitsSlot(slot, Perms.READ | Perms.ADMIN, auth)) return Err.noAuth;
    writeAclAndStat(w, this.#access.shownAcl(slot, auth), tree.stat(slot));
    return Err.ok;
  }

  #getAllChildrenNumber(path: string, auth: readonly Id[], w: JuteWriter): number {
    const allowed = this.#access.permits(path, Perms.READ, auth);
    if (allowed === undefined) return Err.noNode;
    if (!allowed) return Err.noAuth;
    w.int(this.#tree().getAllChildrenNumber(path)!);
    return Err.ok;
  }

  #multiRead({ ops }: MultiReadRequest, auth: readonly Id[], w: JuteWriter): number {
    const results: MultiReadResult[] = [];
    let size = 0;
    for (const { op, path } of ops) {
      const result = this.#readPart(op, path, auth);
      size += sizeOf(result);
      if (size > MAX_MULTI_READ) return Err.badArguments;
      results.push(result);
    }
    writeMultiReadResults(w, results);
    return Err.ok;
  }

  #readPart(op: number, path: string, auth: readonly Id[]): MultiReadResult {
    const tree = this.#tree();
    const slot = tree.table.find(inner(path));
    if (slot === 0) return { type: -1, err: Err.noNode };
    if (!this.#access.permitsSlot(slot, Perms.READ, auth)) return { type: -1, err: Err.noAuth };
    if (op === Op.getChildren) return { type: op, children: tree.table.childNames(slot) };
    return { type: Op.getData, data: tree.table.data(slot), stat: tree.stat(slot) };
  }
}
