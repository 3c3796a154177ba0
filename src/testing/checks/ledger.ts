import type Long from 'long';
import { epochOf, followsInHistory, formatZxid, zxidEquals } from '../../model/zxid.ts';
import type { Role } from '../../node/api.ts';
import type { Recovered } from '../../seams/storage.ts';
import type { LogEntry } from '../../zab/entry.ts';
import type { QuorumMessage } from '../../zab/messages.ts';
import { Blind, Violation } from '../probe.ts';
import { type Proposal, Proposals, sameBytes } from './proposal.ts';
import { ServerLog } from './server-log.ts';

export type Report = (violation: Violation) => void;

/**
 * What the rules of Zab speak about: everything that was broadcast, and each server's log. It must hear every event before the rules that look at it do. It reports
 * what can't even be put down:
 *
 * - Integrity: whatever is logged or sent was broadcast by a leader of its epoch, with the same bytes.
 * - LocalPrimaryOrder, GlobalPrimaryOrder: a leader broadcasts in the order of its zxids, behind a history of earlier epochs.
 * - NoGap: a log holds an entry only right behind the one that it was broadcast behind, and is cut only at an entry.
 * - DurableIsKept: a restart finds what the store had called durable, and nothing that the store was not given (assumed by all of Zab). Of a damaged log it may miss what no reader can tell from
 *   a write that was torn at the end; all else that is missing must keep the server from starting.
 * - LogBeforeSnapshot: a snapshot counts only when the log holds all that is in it, or there would be a hole in the history behind the snapshot before it.
 */
export class Ledger extends Blind {
  readonly proposals = new Proposals();
  readonly report: Report;
  readonly #logs = new Map<number, ServerLog>();
  /** Epochs of the servers that lead. */
  readonly #leading = new Map<number, number>();
  /** Servers with a damaged disk, and how many of its last entries each may miss. */
  readonly #forgetful = new Map<number, number>();

  constructor(report: Report) {
    super();
    this.report = report;
  }

  violated(rule: string, what: string): void {
    this.report(new Violation(rule, what));
  }

  log(server: number): ServerLog {
    let log = this.#logs.get(server);
    if (log === undefined) this.#logs.set(server, (log = new ServerLog(this.proposals.origin)));
    return log;
  }

  /** Puts down history that was on disks before the run begins: entries that follow each other, the first right behind `after`. An entry without bytes may hold anything. */
  preload(after: Long, entries: readonly LogEntry[]): void {
    let parent = this.proposals.find(after);
    if (parent === undefined) throw new RangeError(`${formatZxid(after)} was not put down`);
    for (const entry of entries) parent = this.proposals.find(entry.zxid) ?? this.proposals.add(entry.zxid, entry.bytes, parent);
  }

  /** From now until the server serves again it is not held against it that its disk has forgotten something, but for more than the last `most` entries: it was damaged. */
  forgot(server: number, most: number): void {
    this.#forgetful.set(server, most);
  }

  isForgetful(server: number): boolean {
    return this.#forgetful.has(server);
  }

  // ---- processes ----

  override booted(server: number): void {
    this.#leading.delete(server);
    this.log(server).recovering = true;
  }

  override died(server: number): void {
    this.#leading.delete(server);
  }

  override stopped(server: number): void {
    this.#leading.delete(server);
  }

  override role(server: number, role: Role, _leaderId: number | undefined, epoch: number): void {
    if (role === 'leading') this.#leading.set(server, epoch);
    else this.#leading.delete(server);
  }

  override serving(server: number, serving: boolean): void {
    if (serving) this.#forgetful.delete(server);
  }

  // ---- disks ----

  override recovered(server: number, { lastZxid }: Recovered): void {
    const log = this.log(server);
    const last = this.#known(server, lastZxid, 'recovers');
    const isFirst = log.recovering;
    const isTrusted = !log.unread && !this.isForgetful(server);
    const missing = log.unread || last === undefined ? 0 : log.missingAfter(last);
    log.recovering = false;
    log.unread = false;
    if (last === undefined) return;
    if (isTrusted) {
      const mayBe = isFirst ? log.mayComeBackAs(last) : last === log.last;
      if (!mayBe) this.violated('DurableIsKept', `server ${server} finds a log to ${last}, ${log.last} was durable`);
    }
    if (missing > (this.#forgetful.get(server) ?? Number.POSITIVE_INFINITY))
      this.violated('DurableIsKept', `server ${server} starts with a log to ${last} after damage to its disk, ${log.last} was durable`);
    // Within a process the store is read again after a truncation: what was asked for since then is still under way.
    if (isFirst) log.handed.clear();
    log.become(last);
  }

  override appending(server: number, entries: readonly LogEntry[]): void {
    const log = this.log(server);
    for (const entry of entries) {
      const known = this.proposals.find(entry.zxid);
      if (known !== undefined && !sameBytes(known.bytes, entry.bytes))
        this.violated('Integrity', `server ${server} logs other bytes for ${known} than were broadcast`);
      log.handed.push({ kind: 'append', to: known ?? this.#broadcast(server, log.end, entry) });
    }
  }

  override truncating(server: number, zxid: Long): void {
    const to = this.#known(server, zxid, 'cuts its log at');
    if (to !== undefined) this.log(server).handed.push({ kind: 'truncate', to });
  }

  override installing(server: number, zxid: Long): void {
    const to = this.#known(server, zxid, 'installs a snapshot of');
    if (to !== undefined) this.log(server).handed.push({ kind: 'install', to });
  }

  override durable(server: number, zxid: Long): void {
    const log = this.log(server);
    for (let next = log.handed.peek(); next?.kind === 'append'; next = log.handed.peek()) {
      log.handed.shift();
      if (next.to.parent !== log.last)
        this.violated('NoGap', `server ${server} logs ${next.to} behind ${log.last}; it was broadcast behind ${next.to.parent}`);
      log.become(next.to);
      if (zxidEquals(next.to.zxid, zxid)) return;
    }
    this.violated('DurableIsKept', `the store of server ${server} calls ${formatZxid(zxid)} durable, which was not under way`);
  }

  override truncated(server: number, zxid: Long): void {
    const log = this.log(server);
    const to = this.#carriedOut(server, log, 'truncate', zxid);
    if (to === undefined) return;
    if (!log.has(to)) this.violated('NoGap', `server ${server} cuts its log at ${to}, which is not in it`);
    log.become(to);
  }

  override installed(server: number, zxid: Long): void {
    const log = this.log(server);
    const to = this.#carriedOut(server, log, 'install', zxid);
    if (to !== undefined) log.become(to);
  }

  override saved(server: number, zxid: Long): void {
    const log = this.log(server);
    const at = this.#known(server, zxid, 'writes a snapshot of');
    if (at !== undefined && !log.has(at))
      this.violated('LogBeforeSnapshot', `server ${server} has a snapshot of ${at}, and a log to ${log.last}`);
  }

  #carriedOut(server: number, log: ServerLog, kind: 'truncate' | 'install', zxid: Long): Proposal | undefined {
    const next = log.handed.shift();
    if (next?.kind === kind && zxidEquals(next.to.zxid, zxid)) return next.to;
    this.violated('DurableIsKept', `the store of server ${server} has done ${kind} ${formatZxid(zxid)} out of order`);
    return undefined;
  }

  // ---- broadcasts ----

  override sent(from: number, _to: number, _link: number, message: QuorumMessage): void {
    if (!('entry' in message)) return;
    const { zxid, bytes } = message.entry;
    const known = this.#known(from, zxid, 'sends');
    if (known !== undefined && !sameBytes(known.bytes, bytes))
      this.violated('Integrity', `server ${from} sends other bytes for ${known} than were broadcast`);
  }

  /** An entry that nobody has seen: its leader hands it to its own store before anybody else gets it. */
  #broadcast(server: number, after: Proposal, { zxid, bytes }: LogEntry): Proposal {
    const epoch = epochOf(zxid);
    if (this.#leading.get(server) !== epoch)
      this.violated('Integrity', `server ${server} logs ${formatZxid(zxid)}, which no leader of that epoch has broadcast`);
    else if (after.epoch > epoch) this.violated('GlobalPrimaryOrder', `server ${server} broadcasts ${formatZxid(zxid)} behind ${after}`);
    else if (!followsInHistory(after.zxid, zxid))
      this.violated('LocalPrimaryOrder', `server ${server} broadcasts ${formatZxid(zxid)} right after ${after}`);
    return this.proposals.add(zxid, bytes, after);
  }

  #known(server: number, zxid: Long, does: string): Proposal | undefined {
    const proposal = this.proposals.find(zxid);
    if (proposal === undefined) this.violated('Integrity', `server ${server} ${does} ${formatZxid(zxid)}, which was never broadcast`);
    return proposal;
  }
}
