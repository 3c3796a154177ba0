import type Long from 'long';
import type { Txn } from '../../model/records.ts';
import { formatZxid } from '../../model/zxid.ts';
import type { Role } from '../../node/api.ts';
import type { Recovered } from '../../seams/storage.ts';
import type { ZnodeTree } from '../../tree/tree.ts';
import { JuteWriter } from '../../wire/jute.ts';
import { encodeTxn } from '../../wire/txn.ts';
import { Blind } from '../probe.ts';
import type { Ledger } from './ledger.ts';
import { entryAt, type Proposal, sameBytes } from './proposal.ts';

/**
 * What the servers deliver: a transaction is delivered when it is applied to a tree that is shown, or is contained in a tree that is shown from then on. The
 * rules are those of ZooKeeper's specification in TLA+, by their names there:
 *
 * - PrefixConsistency: of two delivered histories one is a prefix of the other.
 * - Agreement: if one server delivers a and another b, then one of them delivers both.
 * - Integrity: what is delivered was broadcast, with the same bytes.
 * - TotalOrder: if a server delivers a before b, whoever delivers b has delivered a before.
 * - LocalPrimaryOrder: what one leader broadcasts is delivered in that order, with nothing left out.
 * - GlobalPrimaryOrder: transactions of an earlier epoch are delivered before those of a later one.
 * - PrimaryIntegrity: a leader has delivered all that is ever delivered of earlier epochs when it begins to serve.
 *
 * And two of trees:
 * - NoGap: a tree goes from one entry of the history to the next.
 * - TimeNeverBack: what a server shows never goes back, over restarts too.
 */
export class Deliveries extends Blind {
  /** What any server has delivered, by depth. The first is the origin. */
  readonly committed: Proposal[];
  readonly #ledger: Ledger;
  /** Where each server's shown tree stands, while its process lives. */
  readonly #at = new Map<number, Proposal>();
  /** The furthest that each server has ever delivered. */
  readonly #furthest = new Map<number, Proposal>();
  readonly #leading = new Map<number, number>();
  /** The latest epoch of a leader that has begun to serve. */
  #latestEpoch = 0;
  readonly #writer = new JuteWriter(1024);

  constructor(ledger: Ledger) {
    super();
    this.#ledger = ledger;
    this.committed = [ledger.proposals.origin];
  }

  /** Where the server's shown tree stands; undefined when that is not known to be a place in history. */
  positionOf(server: number): Proposal | undefined {
    return this.#at.get(server);
  }

  override booted(server: number): void {
    this.#at.delete(server);
    this.#leading.delete(server);
  }

  override recovered(server: number, _found: Recovered): void {
    if (this.#ledger.isForgetful(server)) this.#furthest.delete(server);
  }

  override role(server: number, role: Role, _leaderId: number | undefined, epoch: number): void {
    if (role === 'leading') this.#leading.set(server, epoch);
    else this.#leading.delete(server);
  }

  override serving(server: number, serving: boolean): void {
    const epoch = this.#leading.get(server);
    if (!serving || epoch === undefined) return;
    const at = this.#at.get(server) ?? this.committed[0];
    const due = this.#lastBefore(epoch);
    if (at.depth < due.depth)
      this.#ledger.violated('PrimaryIntegrity', `server ${server} leads epoch ${epoch} from ${at}, but ${due} has been delivered`);
    this.#latestEpoch = Math.max(this.#latestEpoch, epoch);
  }

  override applied(server: number, txn: Txn, _tree: ZnodeTree): void {
    const { zxid } = txn.header;
    const proposal = this.#known(server, zxid);
    if (proposal === undefined) return;
    if (!this.#isTxn(proposal, txn))
      this.#ledger.violated('Integrity', `server ${server} applies another transaction as ${proposal} than was broadcast`);
    const before = this.#at.get(server);
    if (before !== undefined && proposal.parent !== before) this.#outOfOrder(server, before, proposal);
    this.#deliver(server, proposal);
  }

  override shown(server: number, tree: ZnodeTree): void {
    const proposal = this.#known(server, tree.lastZxid);
    if (proposal === undefined) return;
    const furthest = this.#furthest.get(server);
    if (furthest !== undefined && proposal.depth < furthest.depth)
      this.#ledger.violated('TimeNeverBack', `server ${server} shows a tree of ${proposal} after one of ${furthest}`);
    this.#deliver(server, proposal);
  }

  #known(server: number, zxid: Long): Proposal | undefined {
    const proposal = this.#ledger.proposals.find(zxid);
    if (proposal === undefined) {
      this.#ledger.violated('Integrity', `server ${server} delivers ${formatZxid(zxid)}, which was never broadcast`);
      this.#at.delete(server);
    }
    return proposal;
  }

  /** Whether what was decoded from the bytes still is what they say: an entry's decoded form lives on beside them. */
  #isTxn(proposal: Proposal, txn: Txn): boolean {
    if (proposal.bytes.length === 0) return true;
    const writer = this.#writer;
    writer.reset();
    encodeTxn(writer, txn);
    return sameBytes(proposal.bytes, writer.buf.subarray(0, writer.pos));
  }

  /** The last that was delivered of epochs before `epoch`. */
  #lastBefore(epoch: number): Proposal {
    const { committed } = this;
    let low = 0;
    let high = committed.length - 1;
    while (low < high) {
      const mid = (low + high + 1) >>> 1;
      if (committed[mid].epoch < epoch) low = mid;
      else high = mid - 1;
    }
    return committed[low];
  }

  /** One server's `next` did not come right behind `before` in the history that it was broadcast in. */
  #outOfOrder(server: number, before: Proposal, next: Proposal): void {
    const ledger = this.#ledger;
    const isBack = next.depth <= before.depth;
    const what = `server ${server} delivers ${next} right after ${before}`;
    if (isBack) ledger.violated('TimeNeverBack', what);
    else ledger.violated('NoGap', `${what}; it was broadcast behind ${next.parent}`);
    const missed = isBack ? before : (next.parent as Proposal);
    if (missed.epoch === next.epoch) ledger.violated('LocalPrimaryOrder', what);
    if (isBack && next.epoch < before.epoch) ledger.violated('GlobalPrimaryOrder', what);
    if (this.committed[next.depth] === next && this.committed[missed.depth] === missed) ledger.violated('TotalOrder', what);
  }

  #deliver(server: number, proposal: Proposal): void {
    this.#at.set(server, proposal);
    const furthest = this.#furthest.get(server);
    if (furthest === undefined || furthest.depth < proposal.depth) this.#furthest.set(server, proposal);
    const { committed } = this;
    const known = Math.min(proposal.depth, committed.length - 1);
    const common = entryAt(proposal, known);
    if (committed[known] !== common) return this.#fork(server, proposal);
    const first = committed.length;
    committed.length = Math.max(first, proposal.depth + 1);
    for (let at = proposal; at.depth >= first; at = at.parent as Proposal) committed[at.depth] = at;
    for (let depth = first; depth < committed.length; depth++) this.#committedNow(server, committed[depth]);
  }

  /** A leader that serves has all that can be committed of earlier epochs, and shows it from its first moment. */
  #committedNow(server: number, proposal: Proposal): void {
    if (proposal.epoch >= this.#latestEpoch) return;
    const what = `server ${server} is the first to deliver ${proposal}, and epoch ${this.#latestEpoch} has a leader already`;
    this.#ledger.violated('PrimaryIntegrity', what);
  }

  #fork(server: number, proposal: Proposal): void {
    const { committed } = this;
    let depth = Math.min(proposal.depth, committed.length - 1);
    let at = entryAt(proposal, depth);
    while (committed[depth] !== at) {
      depth--;
      if (committed[depth] === at.parent) break;
      at = at.parent as Proposal;
    }
    const what = `server ${server} delivers ${at} behind ${committed[depth]}, where another delivered ${committed[depth + 1]}`;
    this.#ledger.violated('PrefixConsistency', what);
    this.#ledger.violated('Agreement', what);
  }
}
