import type Long from 'long';
import type { SnapshotDigest, SnapshotHead, SnapshotSource, ZnodeRecord } from '../model/records.ts';
import { AVERSION, CTIME, CVERSION, CZXID, longAt, MTIME, MZXID, numberAt, OWNER, PZXID, VERSION } from './row.ts';
import { ACL_KEY, type Walk, type ZnodeTable } from './znode-table.ts';

/** A walk over the table in slices, while transactions go on. */
export class TreeSnapshot implements SnapshotSource {
  readonly #walk: Walk;

  constructor(
    readonly table: ZnodeTable,
    readonly zxid: Long,
    readonly head: SnapshotHead,
    readonly readDigest: () => SnapshotDigest | null,
  ) {
    this.#walk = table.walk(table.find(''));
  }

  next(limit: number): readonly ZnodeRecord[] {
    const out: ZnodeRecord[] = [];
    while (out.length < limit) {
      const slot = this.table.step(this.#walk);
      if (slot === 0) break;
      out.push(recordOf(this.table, slot));
    }
    return out;
  }

  digest(): SnapshotDigest | null {
    return this.readDigest();
  }

  close(): void {
    this.table.close(this.#walk);
  }
}

function recordOf(table: ZnodeTable, slot: number): ZnodeRecord {
  const page = table.page(slot);
  const at = table.at(slot);
  return {
    path: table.path(slot),
    data: table.data(slot),
    aclKey: page[at + ACL_KEY],
    czxid: longAt(page, at + CZXID),
    mzxid: longAt(page, at + MZXID),
    ctime: numberAt(page, at + CTIME),
    mtime: numberAt(page, at + MTIME),
    version: page[at + VERSION],
    cversion: page[at + CVERSION],
    aversion: page[at + AVERSION],
    ephemeralOwner: longAt(page, at + OWNER),
    pzxid: longAt(page, at + PZXID),
  };
}
