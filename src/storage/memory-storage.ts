import type Long from 'long';
import type { SnapshotDigest, SnapshotHead, SnapshotSource, ZnodeRecord } from '../model/records.ts';
import { compareZxid, epochOf, followsInHistory, formatZxid, ZXID_NONE, zxidEquals } from '../model/zxid.ts';
import type { Clock } from '../seams/clock.ts';
import type { Done, Recovered, RecoverySink, Storage, StorageOptions } from '../seams/storage.ts';
import { LogEntry } from '../zab/entry.ts';
import { type Appender, Barrier, Calls } from './calls.ts';
import { checkEpoch, type EpochName, type Epochs } from './epochs.ts';
import { later } from './later.ts';
import { type Steps, step } from './steps.ts';

/** Log entries or znodes handled in one go; then the event loop gets its turn. */
const SLICE = 1024;

interface StoredSnapshot {
  readonly zxid: Long;
  readonly head: SnapshotHead;
  readonly nodes: readonly ZnodeRecord[];
  readonly digest: SnapshotDigest | null;
}

/** What a restart finds again: the place of the disk. */
interface Kept {
  serverId: number | undefined;
  open: boolean;
  /** Oldest first; `log` continues the first of them, or is the history from its beginning. */
  snapshots: StoredSnapshot[];
  log: LogEntry[];
  epochs: Epochs;
}

/**
 * Storage in memory, for tests and simulations. It keeps everything over `close` and a new `open`, as a restart of the process would find a disk; what has
 * not been reported durable by then is lost.
 */
export function memoryStorage(): Storage {
  return new MemoryStorage();
}

class MemoryStorage implements Storage {
  readonly #kept: Kept = {
    serverId: undefined,
    open: false,
    snapshots: [],
    log: [],
    epochs: { acceptedEpoch: 0, currentEpoch: 0 },
  };
  #store: MemoryStore | null = null;
  /** That of the last `open`. */
  #clock: Clock | null = null;

  get logBytesSinceSnapshot(): number {
    return this.#store?.logBytesSinceSnapshot ?? 0;
  }

  open(options: StorageOptions, done: Done): void {
    const kept = this.#kept;
    this.#clock = options.clock;
    let refusal: Error | null = null;
    if (kept.open) refusal = new Error('memory storage: it is open already');
    else if ((kept.serverId ??= options.serverId) !== options.serverId) {
      refusal = new Error(`memory storage: it belongs to server ${kept.serverId}, not to ${options.serverId}`);
    } else {
      kept.open = true;
      this.#store = new MemoryStore(kept, options.clock);
    }
    options.clock.defer(() => done(refusal));
  }

  recover(sink: RecoverySink, done: (error: Error | null, found?: Recovered) => void): void {
    if (this.#store === null) this.#refuse(done);
    else this.#store.recover(sink, done);
  }

  append(entries: readonly LogEntry[], done: Done): void {
    if (this.#store === null) this.#refuse(done);
    else this.#store.calls.append(entries, done);
  }

  truncate(zxid: Long, done: Done): void {
    if (this.#store === null) this.#refuse(done);
    else this.#store.truncate(zxid, done);
  }

  setAcceptedEpoch(epoch: number, done: Done): void {
    if (this.#store === null) this.#refuse(done);
    else this.#store.setEpoch('acceptedEpoch', epoch, done);
  }

  setCurrentEpoch(epoch: number, done: Done): void {
    if (this.#store === null) this.#refuse(done);
    else this.#store.setEpoch('currentEpoch', epoch, done);
  }

  installSnapshot(source: SnapshotSource, done: Done): void {
    if (this.#store !== null) return this.#store.installSnapshot(source, done);
    source.close();
    this.#refuse(done);
  }

  saveSnapshot(source: SnapshotSource, done: Done): void {
    if (this.#store !== null) return this.#store.saveSnapshot(source, done);
    source.close();
    this.#refuse(done);
  }

  readLog(after: Long, upTo: Long, maxBytes: number, sink: (entry: LogEntry) => boolean, done: Done): void {
    if (this.#store === null) this.#refuse(done);
    else this.#store.readLog(after, upTo, maxBytes, sink, done);
  }

  purge(keep: number, done: Done): void {
    if (this.#store === null) this.#refuse(done);
    else this.#store.purge(keep, done);
  }

  close(done: () => void): void {
    const store = this.#store;
    if (store === null) return later(this.#clock, done);
    store.close(() => {
      if (this.#store === store) {
        this.#store = null;
        this.#kept.open = false;
      }
      done();
    });
  }

  #refuse(done: Done): void {
    later(this.#clock, () => done(new Error('memory storage: it is not open')));
  }
}

/** From `open` to `close`: nothing of it writes into what is kept afterwards. */
class MemoryStore {
  readonly #kept: Kept;
  readonly #clock: Clock;
  readonly #log: MemoryLog;
  readonly calls: Calls;
  #saving = false;

  constructor(kept: Kept, clock: Clock) {
    this.#kept = kept;
    this.#clock = clock;
    this.calls = new Calls(clock, () => false);
    this.#log = new MemoryLog(kept, clock, () => this.calls.pump());
  }

  get logBytesSinceSnapshot(): number {
    return this.#log.bytesSinceSnapshot;
  }

  recover(sink: RecoverySink, done: (error: Error | null, found?: Recovered) => void): void {
    let found: Recovered | undefined;
    const finish = (value: Recovered): void => {
      found = value;
    };
    this.calls.chain({
      chain: () => this.#recover(sink, finish),
      done: (error) => (error === null ? done(null, found) : done(error)),
      exclusive: true,
    });
  }

  truncate(zxid: Long, done: Done): void {
    this.calls.chain({ chain: () => this.#truncate(zxid), done, exclusive: true });
  }

  setEpoch(name: EpochName, epoch: number, done: Done): void {
    this.calls.chain({ chain: () => this.#setEpoch(name, epoch), done });
  }

  installSnapshot(source: SnapshotSource, done: Done): void {
    this.calls.chain({ chain: () => this.#install(source), done, exclusive: true, drop: () => source.close() });
  }

  saveSnapshot(source: SnapshotSource, done: Done): void {
    const refusal = this.#saving ? new Error('saveSnapshot: one is under way already') : this.calls.refusal('saveSnapshot');
    if (refusal !== null) {
      source.close();
      return this.calls.fail(done, refusal);
    }
    this.#saving = true;
    this.#log.bytesSinceSnapshot = 0;
    const logged = new Barrier(this.#clock);
    this.calls.append([], logged.pass);
    this.calls.job(this.#save(source, logged), (error) => {
      this.#saving = false;
      done(error);
    });
  }

  readLog(after: Long, upTo: Long, maxBytes: number, sink: (entry: LogEntry) => boolean, done: Done): void {
    const refusal = this.calls.refusal('readLog');
    if (refusal !== null) return this.calls.fail(done, refusal);
    this.calls.job(this.#read(after, upTo, maxBytes, sink), done);
  }

  purge(keep: number, done: Done): void {
    let refusal = this.calls.refusal('purge');
    if (!Number.isSafeInteger(keep) || keep < 1) refusal ??= new Error(`purge: cannot keep ${keep} snapshots`);
    if (refusal !== null) return this.calls.fail(done, refusal);
    this.calls.job(this.#purge(keep), done);
  }

  close(done: () => void): void {
    this.calls.end(new Error('memory storage: it has been closed'));
    this.calls.whenQuiet(() => this.#clock.defer(done));
  }

  // ---- the chains

  *#recover(sink: RecoverySink, finish: (found: Recovered) => void): Steps<void> {
    yield* this.calls.stopJobs('the history is read anew');
    const { snapshots, log } = this.#kept;
    const base = snapshots.at(-1);
    if (base !== undefined) {
      sink.begin(base.zxid, base.head);
      for (let at = 0; at < base.nodes.length; at += SLICE) {
        sink.nodes(base.nodes.slice(at, at + SLICE));
        yield* this.#pause();
      }
      sink.end(base.digest);
    }
    const from = base === undefined ? 0 : firstAfter(log, base.zxid);
    let bytes = 0;
    for (let at = from; at < log.length; at++) {
      const { zxid, bytes: payload } = log[at];
      // A new one each time: what a state machine attached to an entry is not what a restart would find.
      sink.entry(new LogEntry(zxid, payload));
      bytes += payload.length;
      if ((at - from) % SLICE === SLICE - 1) yield* this.#pause();
    }
    const last = endOf(this.#kept);
    this.#log.reset(last, bytes);
    this.calls.setAppender(this.#log);
    // As a file store does after a crash between the end of a synchronisation and setCurrentEpoch (faults 1653, 2354).
    const { acceptedEpoch, currentEpoch } = this.#kept.epochs;
    const reached = epochOf(last);
    this.#kept.epochs = { acceptedEpoch: Math.max(acceptedEpoch, reached), currentEpoch: Math.max(currentEpoch, reached) };
    finish({ lastZxid: last, snapshotZxid: base?.zxid ?? ZXID_NONE, ...this.#kept.epochs });
  }

  *#truncate(zxid: Long): Steps<void> {
    this.#recovered('truncate');
    yield* this.calls.stopJobs('the log is cut');
    const { snapshots, log } = this.#kept;
    const kept = snapshots.filter((snapshot) => compareZxid(snapshot.zxid, zxid) <= 0);
    const end = firstAfter(log, zxid);
    const isEntry = end > 0 && zxidEquals(log[end - 1].zxid, zxid);
    const isBase = kept.length > 0 ? zxidEquals(kept[kept.length - 1].zxid, zxid) : zxidEquals(zxid, ZXID_NONE);
    const rebuildable = kept.length > 0 || log.length === 0 || followsInHistory(ZXID_NONE, log[0].zxid);
    if (!rebuildable || !(isEntry || isBase)) throw new Error(`truncate: ${formatZxid(zxid)} is not in the log`);
    this.#kept.snapshots = kept;
    this.#kept.log = log.slice(0, end);
    this.#log.reset(zxid, this.#log.bytesSinceSnapshot);
  }

  *#setEpoch(name: EpochName, epoch: number): Steps<void> {
    this.#recovered(name);
    yield* step((done) => this.#clock.defer(() => done(null)));
    checkEpoch(this.#kept.epochs, name, epoch);
    this.#kept.epochs = { ...this.#kept.epochs, [name]: epoch };
  }

  *#install(source: SnapshotSource): Steps<void> {
    try {
      this.#recovered('installSnapshot');
      yield* this.calls.stopJobs('the history is replaced');
      const snapshot = yield* this.#pull(source);
      this.#kept.snapshots = [snapshot];
      this.#kept.log = [];
      this.#log.reset(source.zxid, 0);
    } finally {
      source.close();
    }
  }

  *#save(source: SnapshotSource, logged: Barrier): Steps<void> {
    try {
      const snapshot = yield* this.#pull(source);
      yield* step(logged.wait);
      const others = this.#kept.snapshots.filter((other) => !zxidEquals(other.zxid, snapshot.zxid));
      this.#kept.snapshots = [...others, snapshot].sort((a, b) => compareZxid(a.zxid, b.zxid));
    } finally {
      source.close();
    }
  }

  *#pull(source: SnapshotSource): Steps<StoredSnapshot> {
    const nodes: ZnodeRecord[] = [];
    for (let batch = source.next(SLICE); batch.length > 0; batch = source.next(SLICE)) {
      nodes.push(...batch);
      yield* this.#pause();
    }
    return { zxid: source.zxid, head: source.head, nodes, digest: source.digest() };
  }

  *#read(after: Long, upTo: Long, maxBytes: number, sink: (entry: LogEntry) => boolean): Steps<void> {
    const log = this.#kept.log;
    const from = firstAfter(log, after);
    if (from === 0 || !zxidEquals(log[from - 1].zxid, after)) throw new Error(`readLog: ${formatZxid(after)} is not in the log`);
    let bytes = 0;
    for (let at = from; at < log.length && compareZxid(log[at].zxid, upTo) <= 0; at++) {
      if (!followsInHistory(log[at - 1].zxid, log[at].zxid))
        throw new Error(`readLog: transactions are missing before ${formatZxid(log[at].zxid)}`);
      bytes += log[at].bytes.length;
      if (bytes > maxBytes) throw new Error(`readLog: more than ${maxBytes} bytes after ${formatZxid(after)}`);
      if (!sink(new LogEntry(log[at].zxid, log[at].bytes))) return;
      if ((at - from) % SLICE === SLICE - 1) yield* this.#pause();
    }
  }

  *#purge(keep: number): Steps<void> {
    yield* this.#pause();
    const kept = this.#kept.snapshots.slice(-keep);
    this.#kept.snapshots = kept;
    // The entry where the oldest snapshot stands stays, so that a reader can begin behind it.
    if (kept.length > 0) this.#kept.log = this.#kept.log.slice(Math.max(0, firstAfter(this.#kept.log, kept[0].zxid) - 1));
  }

  *#pause(): Steps<void> {
    yield* step((done) => void this.#clock.setTimer(0, () => done(null)));
  }

  #recovered(name: string): void {
    if (!this.#log.recovered) throw new Error(`${name}: not recovered yet`);
  }
}

/** Index of the first entry beyond `zxid`. */
function firstAfter(log: readonly LogEntry[], zxid: Long): number {
  let low = 0;
  let high = log.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareZxid(log[middle].zxid, zxid) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function endOf({ snapshots, log }: Kept): Long {
  const snapshot = snapshots.at(-1)?.zxid ?? ZXID_NONE;
  const entry = log.at(-1)?.zxid ?? ZXID_NONE;
  return compareZxid(entry, snapshot) > 0 ? entry : snapshot;
}

/** Gathers what is appended in a turn and makes it durable at the turn's end. */
class MemoryLog implements Appender {
  readonly #kept: Kept;
  readonly #clock: Clock;
  readonly #progress: () => void;
  #last: Long = ZXID_NONE;
  #entries: LogEntry[] = [];
  #waiting: Done[] = [];
  #stopped: Error | null = null;
  recovered = false;
  bytesSinceSnapshot = 0;
  readonly full = false;

  constructor(kept: Kept, clock: Clock, progress: () => void) {
    this.#kept = kept;
    this.#clock = clock;
    this.#progress = progress;
  }

  get idle(): boolean {
    return this.#waiting.length === 0;
  }

  reset(last: Long, bytesSinceSnapshot: number): void {
    this.#last = last;
    this.recovered = true;
    this.bytesSinceSnapshot = bytesSinceSnapshot;
  }

  append(entries: readonly LogEntry[], done: Done): Error | null {
    let last = this.#last;
    for (const entry of entries) {
      if (!followsInHistory(last, entry.zxid)) return new Error(`append: ${formatZxid(entry.zxid)} cannot follow ${formatZxid(last)}`);
      last = entry.zxid;
    }
    for (const entry of entries) {
      this.#entries.push(new LogEntry(entry.zxid, entry.bytes));
      this.bytesSinceSnapshot += entry.bytes.length;
    }
    this.#last = last;
    if (this.#waiting.push(done) === 1) this.#clock.defer(this.#flush);
    return null;
  }

  stop(error: Error, done: () => void): void {
    this.#stopped = error;
    this.#entries = [];
    for (const waiting of this.#waiting.splice(0)) waiting(error);
    done();
  }

  #flush = (): void => {
    if (this.#stopped !== null) return;
    for (const entry of this.#entries) this.#kept.log.push(entry);
    this.#entries = [];
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const done of waiting) done(null);
    this.#progress();
  };
}
