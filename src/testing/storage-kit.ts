import type Long from 'long';
import type { SnapshotDigest, SnapshotHead, SnapshotSource, ZnodeRecord } from '../model/records.ts';
import { formatZxid, makeZxid, ZXID_NONE } from '../model/zxid.ts';
import type { Clock } from '../seams/clock.ts';
import type { Recovered, RecoverySink, Storage } from '../seams/storage.ts';
import { octetsFromBytes, octetsFromText } from '../util/bytes.ts';
import { JuteWriter } from '../wire/jute.ts';
import { encodeTxn } from '../wire/txn.ts';
import { LogEntry } from '../zab/entry.ts';

/*
 * What tests of storages need: small histories, and the calls of a Storage as promises.
 */

/** A transaction that sets data: `mark` tells apart two of the same zxid. */
export function sampleEntry(epoch: number, counter: number, mark = '', dataBytes = 20): LogEntry {
  const zxid = makeZxid(epoch, counter);
  const w = new JuteWriter(128);
  const data = octetsFromText(mark.padEnd(dataBytes, 'd'));
  encodeTxn(w, {
    header: { clientId: makeZxid(1, 7), cxid: counter, zxid, time: 1_600_000_000_000 + counter, type: 5 },
    body: { type: 5, path: `/n${counter % 10}`, data, version: counter },
    digest: null,
  });
  return new LogEntry(zxid, w.copy());
}

/** Entries `from` to `to` of one epoch, both included. */
export function sampleEntries(epoch: number, from: number, to: number, mark = '', dataBytes = 20): LogEntry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => sampleEntry(epoch, from + i, mark, dataBytes));
}

const sampleNode = (index: number, zxid: Long, dataBytes: number): ZnodeRecord => ({
  path: index === 0 ? '' : `/node-${index}`,
  data: index % 3 === 2 ? null : octetsFromText(`${index}`.padStart(dataBytes, 'x')),
  aclKey: index === 0 ? -1 : 1,
  czxid: zxid,
  mzxid: zxid,
  ctime: 1_600_000_000_000,
  mtime: 1_600_000_000_001,
  version: index,
  cversion: 0,
  aversion: 0,
  ephemeralOwner: ZXID_NONE,
  pzxid: zxid,
});

const sampleHead = (zxid: Long): SnapshotHead => ({
  sessions: [{ id: zxid, timeout: 30_000 }],
  acls: [{ key: 1, acl: [{ perms: 31, scheme: 'world', id: 'anyone' }] }],
});

/** A walk over a made-up tree of `count` znodes as it stands at `zxid`. */
export class SampleSource implements SnapshotSource {
  readonly head: SnapshotHead;
  /** Calls of `close` so far. */
  closed = 0;
  #at = 0;

  constructor(
    readonly zxid: Long,
    readonly count = 10,
    readonly dataBytes = 30,
    /** Called before each slice is given out; may throw. */
    readonly onNext: () => void = () => {},
  ) {
    this.head = sampleHead(zxid);
  }

  next(limit: number): readonly ZnodeRecord[] {
    this.onNext();
    const to = Math.min(this.count, this.#at + limit);
    const batch: ZnodeRecord[] = [];
    for (; this.#at < to; this.#at++) batch.push(sampleNode(this.#at, this.zxid, this.dataBytes));
    return batch;
  }

  digest(): SnapshotDigest {
    return { zxid: this.zxid, version: 2, value: makeZxid(0xabcdef, this.zxid.low) };
  }

  close(): void {
    this.closed++;
  }
}

/** What a recovery has delivered, in a form that two of them can be compared in: one line for the snapshot, one for each entry. */
export class RecordingSink implements RecoverySink {
  snapshot = 'none';
  entries: string[] = [];
  #nodes = 0;
  #head: SnapshotHead | null = null;
  #zxid: Long = ZXID_NONE;

  begin(zxid: Long, head: SnapshotHead): void {
    this.#zxid = zxid;
    this.#head = head;
    this.#nodes = 0;
    this.entries = [];
    this.snapshot = 'unfinished';
  }

  nodes(batch: readonly ZnodeRecord[]): void {
    for (const node of batch) {
      const expected = sampleNode(this.#nodes, this.#zxid, node.data?.length ?? 0);
      if (show(node) !== show(expected)) throw new Error(`znode ${this.#nodes} has come back as ${show(node)}`);
      this.#nodes++;
    }
  }

  end(digest: SnapshotDigest | null): void {
    if (show(this.#head) !== show(sampleHead(this.#zxid))) throw new Error('the head of the snapshot has come back changed');
    if (digest === null || show(digest) !== show(new SampleSource(this.#zxid).digest()))
      throw new Error('the digest has come back changed');
    this.snapshot = `${formatZxid(this.#zxid)} with ${this.#nodes} znodes`;
  }

  entry(entry: LogEntry): void {
    this.entries.push(showEntry(entry));
  }
}

/** An entry as text: zxid and bytes. */
export const showEntry = (entry: LogEntry): string => `${formatZxid(entry.zxid)} ${octetsFromBytes(entry.bytes)}`;

const show = (value: unknown): string => JSON.stringify(value);

/** What {@link StorageCalls.recover} gives. */
export interface RecoveredHistory extends Recovered {
  readonly snapshot: string;
  readonly entries: readonly string[];
}

/** The calls of a storage as promises. Each checks that its callback comes once and not before the call has returned. */
export class StorageCalls {
  constructor(
    readonly storage: Storage,
    readonly clock: Clock,
  ) {}

  open(serverId = 1): Promise<void> {
    return this.#call((done) => this.storage.open({ serverId, clock: this.clock, logger: () => {} }, done));
  }

  async recover(): Promise<RecoveredHistory> {
    const sink = new RecordingSink();
    let found: Recovered | undefined;
    await this.#call((done) =>
      this.storage.recover(sink, (error, value) => {
        found = value;
        done(error);
      }),
    );
    if (found === undefined) throw new Error('a recovery without error tells what it found');
    return { ...found, snapshot: sink.snapshot, entries: sink.entries };
  }

  append(...entries: LogEntry[]): Promise<void> {
    return this.#call((done) => this.storage.append(entries, done));
  }

  truncate(zxid: Long): Promise<void> {
    return this.#call((done) => this.storage.truncate(zxid, done));
  }

  setAcceptedEpoch(epoch: number): Promise<void> {
    return this.#call((done) => this.storage.setAcceptedEpoch(epoch, done));
  }

  setCurrentEpoch(epoch: number): Promise<void> {
    return this.#call((done) => this.storage.setCurrentEpoch(epoch, done));
  }

  installSnapshot(source: SnapshotSource): Promise<void> {
    return this.#call((done) => this.storage.installSnapshot(source, done));
  }

  saveSnapshot(source: SnapshotSource): Promise<void> {
    return this.#call((done) => this.storage.saveSnapshot(source, done));
  }

  async readLog(after: Long, upTo: Long, maxBytes = 1e9, most = Number.MAX_SAFE_INTEGER): Promise<string[]> {
    const read: string[] = [];
    const sink = (entry: LogEntry): boolean => read.push(showEntry(entry)) < most;
    await this.#call((done) => this.storage.readLog(after, upTo, maxBytes, sink, done));
    return read;
  }

  purge(keep: number): Promise<void> {
    return this.#call((done) => this.storage.purge(keep, done));
  }

  close(): Promise<void> {
    return this.#call((done) => this.storage.close(() => done(null)));
  }

  #call(start: (done: (error: Error | null) => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      let returned = false;
      let called = 0;
      start((error) => {
        if (!returned) reject(new Error('the callback came before the call had returned'));
        else if (++called > 1) throw new Error('the callback came twice');
        else if (error === null) resolve();
        else reject(error);
      });
      returned = true;
    });
  }
}
