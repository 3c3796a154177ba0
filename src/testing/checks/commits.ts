import type Long from 'long';
import type { Txn } from '../../model/records.ts';
import { formatZxid } from '../../model/zxid.ts';
import type { Recovered } from '../../seams/storage.ts';
import type { ZnodeTree } from '../../tree/tree.ts';
import type { QuorumRules, VoterSet } from '../../zab/quorum.ts';
import { Blind } from '../probe.ts';
import type { Deliveries } from './deliveries.ts';
import type { Ledger } from './ledger.ts';
import type { Proposal } from './proposal.ts';

/**
 * CommittedOnQuorum: when anything is delivered for the first time it is durable on a quorum of participants, by the word of their stores; and what was delivered never leaves the disks of a
 * quorum, whatever is cut off, replaced by a snapshot or missing after a restart (faults 1154, 2846, 3023, 4643, 4646).
 */
export class Commits extends Blind {
  readonly #ledger: Ledger;
  readonly #deliveries: Deliveries;
  readonly #quorum: QuorumRules;
  /** How much of what was delivered is looked at already. */
  #seen = 0;
  /** How many delivered entries each participant's disk holds. Disks and deliveries are both histories, so they are the first ones. */
  readonly #held = new Map<number, number>();

  constructor(ledger: Ledger, deliveries: Deliveries, quorum: QuorumRules) {
    super();
    this.#ledger = ledger;
    this.#deliveries = deliveries;
    this.#quorum = quorum;
  }

  override applied(server: number, _txn: Txn, _tree: ZnodeTree): void {
    this.#look(server);
  }

  override shown(server: number, _tree: ZnodeTree): void {
    this.#look(server);
  }

  #look(server: number): void {
    const { committed } = this.#deliveries;
    if (committed.length - 1 <= this.#seen) return;
    const first = this.#seen + 1;
    this.#seen = committed.length - 1;
    for (const id of this.#quorum.ids) this.#gain(id);
    // Who holds the last holds the others as well.
    if (this.#quorum.isQuorum(this.#holders(committed[this.#seen]))) return;
    const depth = committed.findIndex((proposal, at) => at >= first && !this.#quorum.isQuorum(this.#holders(proposal)));
    this.#violated(`server ${server} delivers`, committed[depth]);
  }

  override durable(server: number, _zxid: Long): void {
    this.#gain(server);
  }

  override truncated(server: number, zxid: Long): void {
    this.#lose(server, `cut its log at ${formatZxid(zxid)}`);
  }

  override installed(server: number, _zxid: Long): void {
    this.#lose(server, 'installed a snapshot');
    this.#gain(server);
  }

  override recovered(server: number, _found: Recovered): void {
    this.#lose(server, 'started again');
    this.#gain(server);
  }

  #gain(server: number): void {
    const { entries } = this.#ledger.log(server);
    const { committed } = this.#deliveries;
    let held = this.#held.get(server) ?? 0;
    while (held + 1 < committed.length && entries[held + 1] === committed[held + 1]) held++;
    this.#held.set(server, held);
  }

  #lose(server: number, how: string): void {
    const log = this.#ledger.log(server);
    const { committed } = this.#deliveries;
    const before = this.#held.get(server) ?? 0;
    let held = before;
    while (held > 0 && !log.has(committed[held])) held--;
    this.#held.set(server, held);
    if (held === before || this.#ledger.isForgetful(server) || !this.#quorum.isVoter(server)) return;
    if (this.#quorum.isQuorum(this.#holders(committed[before]))) return;
    this.#violated(`server ${server} has ${how} and lost`, committed[before]);
  }

  #holders(proposal: Proposal): VoterSet {
    let set = 0;
    for (const id of this.#quorum.ids) if (this.#ledger.log(id).has(proposal)) set |= this.#quorum.bit(id);
    return set;
  }

  #violated(who: string, proposal: Proposal): void {
    const holders = this.#holders(proposal);
    const ids = this.#quorum.ids.filter((id) => holders & this.#quorum.bit(id));
    this.#ledger.violated('CommittedOnQuorum', `${who} ${proposal}, which is durable on ${ids.join(', ') || 'nobody'} only`);
  }
}
