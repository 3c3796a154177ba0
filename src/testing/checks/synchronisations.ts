import type Long from 'long';
import { counterOf, formatZxid } from '../../model/zxid.ts';
import { Packet, type QuorumMessage } from '../../zab/messages.ts';
import { Blind } from '../probe.ts';
import type { Ledger } from './ledger.ts';

/** How often a server may refuse what it was told before it must ask for something else: links that break between question and answer cost a turn. */
const TURNS = 3;

/** What a server was told by the leaders that it has tried to follow, while its process lives. */
interface Told {
  /** A snapshot has come, and the NEWLEADER behind it has not. */
  isEarly: boolean;
  /** TRUNC has come, and the log is not cut yet. */
  isUncut: boolean;
  /** How often in a row it has come without being cut. */
  refusals: number;
}

/**
 * What a learner does with the history that it is sent:
 *
 * - KeptUntilNewLeader: a snapshot replaces a history when NEWLEADER has come, not earlier. Until then its leader has perhaps no quorum, and the snapshot ends where that leader knows of commits:
 *   what the learner has beyond that may be all that a commit rests on (fault 3642).
 * - NoVainSynchronisation: a learner that can't cut its log where it is told to asks for a snapshot. The same question would get the same answer for ever.
 */
export class Synchronisations extends Blind {
  readonly #ledger: Ledger;
  readonly #told = new Map<number, Told>();

  constructor(ledger: Ledger) {
    super();
    this.#ledger = ledger;
  }

  #of(server: number): Told {
    let told = this.#told.get(server);
    if (told === undefined) this.#told.set(server, (told = { isEarly: false, isUncut: false, refusals: 0 }));
    return told;
  }

  override booted(server: number): void {
    this.#told.delete(server);
  }

  override received(_from: number, to: number, _link: number, message: QuorumMessage): void {
    const { type } = message;
    if (type === Packet.SNAP) this.#of(to).isEarly = true;
    else if (type === Packet.NEWLEADER) this.#of(to).isEarly = false;
    else if (type === Packet.TRUNC) this.#of(to).isUncut = true;
  }

  override sent(from: number, _to: number, _link: number, message: QuorumMessage): void {
    if (message.type !== Packet.ACKEPOCH) return;
    const told = this.#of(from);
    // A counter of 0 names no entry: it asks for a snapshot.
    told.refusals = told.isUncut && counterOf(message.zxid) > 0 ? told.refusals + 1 : 0;
    told.isUncut = false;
    if (told.refusals < TURNS) return;
    const has = formatZxid(message.zxid);
    this.#ledger.violated(
      'NoVainSynchronisation',
      `server ${from} has not cut its log ${TURNS} times, and says again that it ends at ${has}`,
    );
  }

  override truncating(server: number, _zxid: Long): void {
    this.#of(server).isUncut = false;
  }

  override installing(server: number, zxid: Long): void {
    if (this.#of(server).isEarly)
      this.#ledger.violated(
        'KeptUntilNewLeader',
        `server ${server} replaces its history by a snapshot of ${formatZxid(zxid)} before NEWLEADER`,
      );
  }
}
