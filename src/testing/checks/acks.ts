import type Long from 'long';
import { counterOf, epochOf, formatZxid, maxZxid, ZXID_NONE } from '../../model/zxid.ts';
import { type AckEpochMessage, Packet, type QuorumMessage } from '../../zab/messages.ts';
import { Blind } from '../probe.ts';
import type { EpochRules } from './epochs.ts';
import type { Ledger } from './ledger.ts';

/** What a learner has got over one link. */
class Link {
  /** Of LEADERINFO; 0 before it. */
  epoch = 0;
  /** The epoch that it had accepted when LEADERINFO came. */
  acceptedBefore = 0;
  /** Where the history ends that it was sent before NEWLEADER; null when it was sent none. */
  synced: Long | null = null;
  newLeader = false;
  acknowledged = false;
}

/**
 * DurableBeforeAck: what is acknowledged was durable before, by the word of the sender's store (PROTOCOL 13.1, 13.3; faults 3023, 4643, 4646, 4685).
 *
 * - LEADERINFO and ACKEPOCH leave with the accepted epoch on disk; what ACKEPOCH says of the log and of the current epoch is true of the disk.
 * - The ACK of NEWLEADER leaves with everything on disk that was sent before NEWLEADER, nothing behind that but proposals of the new epoch, and with the current epoch.
 * - The ACK of a proposal leaves with it on disk, and never before that of NEWLEADER.
 * - The current epoch, which says that the history of its leader is there, is written when it is: a crash in between would let a shorter history win an election (faults 3023, 4643).
 *
 * And EpochsNeverGoBack: nobody accepts an earlier epoch than it has accepted.
 */
export class Acks extends Blind {
  readonly #ledger: Ledger;
  readonly #epochs: EpochRules;
  /** Links by learner and number, for as long as the learner's process lives. */
  readonly #links = new Map<number, Map<number, Link>>();
  /** Links over which NEWLEADER came and whose epoch is not the current one yet, in order, by learner. */
  readonly #newLeaders = new Map<number, Link[]>();

  constructor(ledger: Ledger, epochs: EpochRules) {
    super();
    this.#ledger = ledger;
    this.#epochs = epochs;
  }

  override booted(server: number): void {
    this.#links.delete(server);
    this.#newLeaders.delete(server);
  }

  #link(learner: number, number: number): Link {
    let links = this.#links.get(learner);
    if (links === undefined) this.#links.set(learner, (links = new Map()));
    let link = links.get(number);
    if (link === undefined) links.set(number, (link = new Link()));
    return link;
  }

  // ---- what a learner gets ----

  override received(_from: number, to: number, number: number, message: QuorumMessage): void {
    switch (message.type) {
      case Packet.LEADERINFO: {
        const link = this.#link(to, number);
        link.epoch = epochOf(message.zxid);
        link.acceptedBefore = this.#epochs.of(to).accepted;
        return;
      }
      case Packet.DIFF:
      case Packet.TRUNC:
      case Packet.SNAP:
        this.#link(to, number).synced = message.zxid;
        return;
      case Packet.PROPOSAL:
      case Packet.INFORM: {
        const link = this.#link(to, number);
        if (link.synced !== null && !link.newLeader) link.synced = maxZxid(link.synced, message.entry.zxid);
        return;
      }
      case Packet.NEWLEADER: {
        const link = this.#link(to, number);
        link.newLeader = true;
        const waiting = this.#newLeaders.get(to);
        if (waiting === undefined) this.#newLeaders.set(to, [link]);
        else waiting.push(link);
        return;
      }
    }
  }

  override epoch(server: number, which: 'accepted' | 'current', epoch: number): void {
    if (which === 'accepted') return;
    const waiting = this.#newLeaders.get(server) ?? [];
    const at = waiting.findIndex((link) => link.epoch === epoch);
    if (at < 0) return;
    const [{ synced }] = waiting.splice(0, at + 1).slice(at);
    const end = synced === null ? undefined : this.#ledger.proposals.find(synced);
    const log = this.#ledger.log(server);
    if (end === undefined || !log.has(end))
      this.#violated(
        `server ${server} has made ${epoch} its current epoch with a log to ${log.last}, it was sent all to ${formatZxid(synced ?? ZXID_NONE)}`,
      );
  }

  // ---- what is acknowledged ----

  override sent(from: number, _to: number, number: number, message: QuorumMessage): void {
    switch (message.type) {
      case Packet.LEADERINFO:
        return this.#promised(from, epochOf(message.zxid), 'sends LEADERINFO');
      case Packet.ACKEPOCH:
        return this.#ackEpoch(from, this.#link(from, number), message);
      case Packet.ACK: {
        const link = this.#link(from, number);
        if (counterOf(message.zxid) === 0) return this.#ackNewLeader(from, link, epochOf(message.zxid));
        return this.#ackProposal(from, link, message.zxid);
      }
    }
  }

  #promised(server: number, epoch: number, does: string): void {
    const { accepted } = this.#epochs.of(server);
    if (accepted < epoch) this.#violated(`server ${server} ${does} of epoch ${epoch}, it has accepted ${accepted}`);
  }

  #ackEpoch(server: number, link: Link, { zxid, currentEpoch }: AckEpochMessage): void {
    const { accepted, current } = this.#epochs.of(server);
    if (accepted < link.epoch) this.#violated(`server ${server} sends ACKEPOCH of epoch ${link.epoch}, it has accepted ${accepted}`);
    if (link.acceptedBefore > link.epoch)
      this.#ledger.violated('EpochsNeverGoBack', `server ${server} accepts epoch ${link.epoch} after ${link.acceptedBefore}`);
    const log = this.#ledger.log(server);
    const reached = Math.max(current, log.last.epoch);
    if (currentEpoch > reached)
      this.#violated(`server ${server} says in ACKEPOCH that its current epoch is ${currentEpoch}, which is ${reached}`);
    // A counter of 0 names no entry: it asks for a snapshot.
    if (counterOf(zxid) === 0) return;
    const last = this.#ledger.proposals.find(zxid);
    if (last === undefined || !log.has(last))
      this.#violated(`server ${server} says in ACKEPOCH that it has ${formatZxid(zxid)}, its disk has ${log.last}`);
  }

  #ackNewLeader(server: number, link: Link, epoch: number): void {
    const says = `server ${server} acknowledges NEWLEADER of epoch ${epoch}`;
    if (!link.newLeader || link.synced === null) return this.#violated(`${says}, which it has not got`);
    const { current } = this.#epochs.of(server);
    if (current < epoch) this.#violated(`${says}, its current one is ${current}`);
    const log = this.#ledger.log(server);
    const synced = this.#ledger.proposals.find(link.synced);
    if (synced === undefined || !log.has(synced))
      this.#violated(`${says} with a log to ${log.last}, it was sent all to ${formatZxid(link.synced)}`);
    else if (log.last !== synced && log.last.epoch !== epoch)
      this.#violated(`${says} with a log to ${log.last}, the leader's ends at ${synced}`);
    link.acknowledged = true;
  }

  #ackProposal(server: number, link: Link, zxid: Long): void {
    const says = `server ${server} acknowledges ${formatZxid(zxid)}`;
    const log = this.#ledger.log(server);
    const proposal = this.#ledger.proposals.find(zxid);
    if (proposal === undefined || !log.has(proposal)) this.#violated(`${says} with a log to ${log.last}`);
    else if (!link.acknowledged) this.#violated(`${says} before NEWLEADER`);
  }

  #violated(what: string): void {
    this.#ledger.violated('DurableBeforeAck', what);
  }
}
