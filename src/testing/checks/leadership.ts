import { counterOf, epochOf, formatZxid } from '../../model/zxid.ts';
import type { Role } from '../../node/api.ts';
import { Packet, type QuorumMessage } from '../../zab/messages.ts';
import type { QuorumRules, VoterSet } from '../../zab/quorum.ts';
import { Blind } from '../probe.ts';
import type { Ledger } from './ledger.ts';

/**
 * Who may lead. By the names of ZooKeeper's specification in TLA+:
 *
 * - Leadership1: an epoch has at most one leader, from its NEWLEADER on (it takes a quorum that had not accepted the epoch before); who follows in an epoch follows that leader, when it is established.
 * - Leadership2: when a leader begins to serve, a quorum of participants has made its epoch their current one, durably.
 *
 * And NoObserverVotes: an observer never leads and acknowledges no transaction (fault 2959). That none counts follows from the quorums above and of the other rules, which are of participants only.
 */
export class Leadership extends Blind {
  readonly #ledger: Ledger;
  readonly #quorum: QuorumRules;
  /** The process that each server is, so that a restarted one is another. */
  readonly #lives = new Map<number, number>();
  /** The server, and its process, that has sent NEWLEADER of an epoch. */
  readonly #newLeaders = new Map<number, { server: number; life: number }>();
  /** The established leader of each epoch. */
  readonly #leaders = new Map<number, number>();
  /** Epochs of the servers that lead now. */
  readonly #leading = new Map<number, number>();
  /** The participants that have made an epoch their current one. */
  readonly #supporters = new Map<number, VoterSet>();

  constructor(ledger: Ledger, quorum: QuorumRules) {
    super();
    this.#ledger = ledger;
    this.#quorum = quorum;
  }

  override booted(server: number): void {
    this.#lives.set(server, this.#life(server) + 1);
    this.#leading.delete(server);
  }

  override epoch(server: number, which: 'accepted' | 'current', epoch: number): void {
    if (which === 'current') this.#supporters.set(epoch, (this.#supporters.get(epoch) ?? 0) | this.#quorum.bit(server));
  }

  override sent(from: number, _to: number, _link: number, message: QuorumMessage): void {
    if (message.type === Packet.NEWLEADER) this.#newLeader(from, epochOf(message.zxid));
    else if (message.type === Packet.ACK && counterOf(message.zxid) !== 0 && !this.#quorum.isVoter(from))
      this.#ledger.violated('NoObserverVotes', `server ${from}, an observer, acknowledges ${formatZxid(message.zxid)}`);
  }

  #newLeader(server: number, epoch: number): void {
    const life = this.#life(server);
    const known = this.#newLeaders.get(epoch);
    if (known === undefined) this.#newLeaders.set(epoch, { server, life });
    else if (known.server !== server || known.life !== life)
      this.#ledger.violated('Leadership1', `server ${server} sends NEWLEADER of epoch ${epoch}, after server ${known.server} has done so`);
  }

  override role(server: number, role: Role, leaderId: number | undefined, epoch: number): void {
    if (role === 'leading') return this.#leads(server, epoch);
    this.#leading.delete(server);
    if (role === 'looking' || role === 'stopped') return;
    const leader = this.#leaders.get(epoch);
    if (leader !== leaderId) {
      const whose = leader === undefined ? 'has no leader yet' : `is led by server ${leader}`;
      this.#ledger.violated('Leadership1', `server ${server} is ${role} server ${leaderId} in epoch ${epoch}, which ${whose}`);
    }
  }

  #leads(server: number, epoch: number): void {
    if (this.#leading.get(server) === epoch) return;
    this.#leading.set(server, epoch);
    if (!this.#quorum.isVoter(server)) this.#ledger.violated('NoObserverVotes', `server ${server}, an observer, leads epoch ${epoch}`);
    const other = this.#leaders.get(epoch);
    if (other !== undefined) {
      const what = other === server ? 'which it has led before' : `which server ${other} leads`;
      this.#ledger.violated('Leadership1', `server ${server} leads epoch ${epoch}, ${what}`);
    }
    this.#leaders.set(epoch, server);
  }

  override serving(server: number, serving: boolean): void {
    const epoch = this.#leading.get(server);
    if (!serving || epoch === undefined) return;
    const supporters = this.#supporters.get(epoch) ?? 0;
    if (this.#quorum.isQuorum(supporters)) return;
    const ids = this.#quorum.ids.filter((id) => supporters & this.#quorum.bit(id));
    this.#ledger.violated(
      'Leadership2',
      `server ${server} leads epoch ${epoch}, which is the current one of ${ids.join(', ') || 'nobody'} only`,
    );
  }

  #life(server: number): number {
    return this.#lives.get(server) ?? 0;
  }
}
