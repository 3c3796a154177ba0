import { Op } from '../../src/model/codes.ts';
import { makeZxid, ZXID_NONE, zxidHex } from '../../src/model/zxid.ts';
import type { Simulation } from '../../src/testing/simulation.ts';
import { OPEN_ACL } from '../../src/tree/acl.ts';
import { Preparer } from '../../src/tree/prepare.ts';
import { ZnodeTree } from '../../src/tree/tree.ts';
import { octetsFromText, octetsToBytes } from '../../src/util/bytes.ts';
import { JuteWriter } from '../../src/wire/jute.ts';
import { SnapshotFileWriter } from '../../src/wire/snapshot.ts';
import { encodeTxn } from '../../src/wire/txn.ts';
import { appendRecord, writeLogHeader } from '../../src/wire/txnlog.ts';
import { LogEntry } from '../../src/zab/entry.ts';

/** A file for a data directory. */
export type PastFile = readonly [name: string, content: Uint8Array];

/** A history from before the simulation, and files that hold parts of it, as a server leaves them: to start from directories that no script could bring about. */
export class Past {
  readonly entries: LogEntry[] = [];
  readonly #tree = new ZnodeTree({ digest: true });
  readonly #preparer = new Preparer(this.#tree, { digest: true });

  /** The next transaction: the creation of a znode. */
  create(epoch: number, counter: number, path: string): this {
    const zxid = makeZxid(epoch, counter);
    const record = { op: Op.create, path, data: octetsFromText(path), acl: OPEN_ACL, flags: 0, ttl: -1 } as const;
    const txn = this.#preparer.prepare(ZXID_NONE, 0, [], record, zxid, 1_500_000_000_000 + this.entries.length);
    this.#tree.apply(txn, false);
    this.#preparer.applied(zxid);
    const w = new JuteWriter(256);
    encodeTxn(w, txn);
    this.entries.push(new LogEntry(zxid, w.view().slice(), txn));
    return this;
  }

  /** A snapshot of all so far. */
  snapshot(): PastFile {
    const writer = new SnapshotFileWriter(this.#tree.openSnapshot());
    const pieces: number[] = [];
    for (let piece = writer.next(); piece !== null; piece = writer.next()) pieces.push(...piece);
    return [`version-2/snapshot.${zxidHex(this.#tree.lastZxid)}`, Uint8Array.from(pieces)];
  }

  /** A log file with the entries at these places in the history. */
  log(from: number, to: number): PastFile {
    const entries = this.entries.slice(from, to);
    const w = new JuteWriter(4096);
    writeLogHeader(w);
    for (const entry of entries) appendRecord(w, entry.bytes);
    return [`version-2/log.${zxidHex(entries[0].zxid)}`, w.view().slice()];
  }
}

/** The two epoch files. */
export const epochFiles = (accepted: number, current: number): PastFile[] => [
  ['version-2/acceptedEpoch', octetsToBytes(octetsFromText(String(accepted)))],
  ['version-2/currentEpoch', octetsToBytes(octetsFromText(String(current)))],
];

/** Puts files into the data directory of a server that has never been started, and tells the checks of the history behind them. Histories may share their beginning. */
export function prepareDisk(sim: Simulation, id: number, files: readonly PastFile[], past: Past): void {
  for (const [name, content] of files) sim.disk(id).put(`/data/${name}`, content);
  sim.checks.preload(ZXID_NONE, past.entries);
  sim.checks.forgot(id);
}
