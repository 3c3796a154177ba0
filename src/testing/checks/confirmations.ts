import { Op } from '../../model/codes.ts';
import { Packet, type QuorumMessage } from '../../zab/messages.ts';
import type { QuorumRules } from '../../zab/quorum.ts';
import { Blind } from '../probe.ts';
import type { Ledger } from './ledger.ts';

/** A leader's side of the link with a learner: how many PINGs have left, and how many have their answer. */
interface Pulse {
  readonly learner: number;
  pings: number;
  pongs: number;
}

/** A sync that has no answer yet: by link, how many PINGs had left when it came. */
type Pending = ReadonlyMap<number, number>;

/**
 * SyncConfirmed: a leader answers a sync only when a quorum has said since that it still follows: each of them has answered a PING that had left after the request had come. Answers come in the order of the PINGs, so
 * an earlier one says nothing: whoever sent it may have another leader by now (faults 1675, 2136).
 */
export class Confirmations extends Blind {
  readonly #ledger: Ledger;
  readonly #quorum: QuorumRules;
  /** By leader and number of its end of the link. */
  readonly #pulses = new Map<number, Map<number, Pulse>>();
  readonly #pending = new Map<number, Map<number, Pending[]>>();

  constructor(ledger: Ledger, quorum: QuorumRules) {
    super();
    this.#ledger = ledger;
    this.#quorum = quorum;
  }

  override booted(server: number): void {
    this.#pulses.delete(server);
    this.#pending.delete(server);
  }

  #pulsesOf(leader: number): Map<number, Pulse> {
    let pulses = this.#pulses.get(leader);
    if (pulses === undefined) this.#pulses.set(leader, (pulses = new Map()));
    return pulses;
  }

  #pulse(leader: number, learner: number, link: number): Pulse {
    const pulses = this.#pulsesOf(leader);
    let pulse = pulses.get(link);
    if (pulse === undefined) pulses.set(link, (pulse = { learner, pings: 0, pongs: 0 }));
    return pulse;
  }

  #pendingOf(leader: number, link: number): Pending[] {
    let links = this.#pending.get(leader);
    if (links === undefined) this.#pending.set(leader, (links = new Map()));
    let pending = links.get(link);
    if (pending === undefined) links.set(link, (pending = []));
    return pending;
  }

  override received(from: number, to: number, link: number, message: QuorumMessage): void {
    if (message.type === Packet.PING && message.touches !== null) this.#pulse(to, from, link).pongs++;
    else if (message.type === Packet.REQUEST && message.request.op === Op.sync) {
      const left = [...this.#pulsesOf(to)].map(([number, { pings }]) => [number, pings] as const);
      this.#pendingOf(to, link).push(new Map(left));
    }
  }

  override sent(from: number, to: number, link: number, message: QuorumMessage): void {
    if (message.type === Packet.PING && message.touches === null) this.#pulse(from, to, link).pings++;
    else if (message.type === Packet.SYNC) this.#answered(from, to, this.#pendingOf(from, link).shift());
  }

  #answered(leader: number, learner: number, sync: Pending | undefined): void {
    if (sync === undefined) return;
    let set = this.#quorum.bit(leader);
    for (const [link, pulse] of this.#pulsesOf(leader)) if (pulse.pongs > (sync.get(link) ?? 0)) set |= this.#quorum.bit(pulse.learner);
    if (this.#quorum.isQuorum(set)) return;
    const ids = this.#quorum.ids.filter((id) => set & this.#quorum.bit(id));
    this.#ledger.violated(
      'SyncConfirmed',
      `server ${leader} answers a sync of server ${learner}, since it came only ${ids.join(', ')} follow for sure`,
    );
  }
}
