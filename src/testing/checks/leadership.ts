import { counterOf, epochOf, formatZxid } from '../../model/zxid.ts';
import type { Role } from '../../node/api.ts';
import { Packet, type QuorumMessage } from '../../zab/messages.ts';
import type { QuorumRules, VoterSet } from '../../zab/quorum.ts';
import { Blind } from '../probe.ts';
import type { Ledger } from './ledger.ts';

/**
 * Who may lead. By the names of ZooKeeper's specification in TLA+:
 *
 * - Leadership1: an epoch has at most one leader, from its NEWLEADER on; before that a quorum of participants has promised the epoch to it, each to nobody else (PROTOCOL 13.1); who follows
 *   in an epoch follows that leader, when it is established.
 * - Leadership2: when a leader begins to serve, a quorum of participants has made its epoch their current one, durably.
 *
 * And NoObserverVotes: an observer never leads and acknowledges no transaction (fault 2959). That none counts follows from the quorums above and of the other rules, which are of participants only.
 */
export class Leadership extends Blind {
  readonly #ledger: Ledger;
  readonly #quorum: QuorumRules;
  /** The process that each server is, so that a restarted one is another. */
  readonly #lives = new Map<number, number>();
  /** By epoch: to whom each server has promised it. */
  readonly #promises = new Map<number, Map<number, number>>();
  /** The epoch that each server has given in LEADERINFO last. */
  readonly #offers = new Map<number, number>();
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

  /** What was sent and is lost is no promise: the leader that it was for knows nothing of it. */
  override received(from: number, to: number, _link: number, message: QuorumMessage): void {
    if (message.type === Packet.ACKEPOCH && message.currentEpoch !== -1) this.#promise(from, to, this.#offers.get(to) ?? 0);
  }

  override sent(from: number, _to: number, _link: number, message: QuorumMessage): void {
    if (message.type === Packet.LEADERINFO) this.#offers.set(from, epochOf(message.zxid));
    else if (message.type === Packet.NEWLEADER) this.#newLeader(from, epochOf(message.zxid));
    else if (message.type === Packet.ACK && counterOf(message.zxid) !== 0 && !this.#quorum.isVoter(from))
      this.#ledger.violated('NoObserverVotes', `server ${from}, an observer, acknowledges ${formatZxid(message.zxid)}`);
  }

  #promise(server: number, leader: number, epoch: number): void {
    let promises = this.#promises.get(epoch);
    if (promises === undefined) this.#promises.set(epoch, (promises = new Map()));
    const other = promises.get(server);
    if (other !== undefined && !this.#ledger.isForgetful(server))
      this.#ledger.violated(
        'Leadership1',
        `server ${server} promises epoch ${epoch} to server ${leader}, after it has done so to server ${other}`,
      );
    promises.set(server, leader);
  }

  /** Who has promised the epoch to this leader, itself included. */
  #followers(leader: number, epoch: number): VoterSet {
    let set = this.#quorum.bit(leader);
    for (const [server, to] of this.#promises.get(epoch) ?? []) if (to === leader) set |= this.#quorum.bit(server);
    return set;
  }

  #newLeader(server: number, epoch: number): void {
    const life = this.#life(server);
    const known = this.#newLeaders.get(epoch);
    if (known === undefined) {
      this.#newLeaders.set(epoch, { server, life });
      if (!this.#quorum.isQuorum(this.#followers(server, epoch)))
        this.#ledger.violated('Leadership1', `server ${server} sends NEWLEADER of epoch ${epoch}, which no quorum has promised to it`);
    } else if (known.server !== server || known.life !== life)
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
