import Long from 'long';
import { Op } from '../../model/codes.ts';
import { formatZxid } from '../../model/zxid.ts';
import { Packet, type QuorumMessage } from '../../zab/messages.ts';
import { Blind } from '../probe.ts';
import type { Ledger } from './ledger.ts';

const SYNC = 'sync';

/**
 * AnswersInOrder: over one link a learner gets the answers to what it forwards, SYNC for a sync and COMMIT or INFORM for the rest, in the order in which the leader got the requests. A
 * server of ZooKeeper's rests on it: what comes out of turn it takes for somebody else's, and then never answers its clients again.
 */
export class Answers extends Blind {
  readonly #ledger: Ledger;
  /** By leader and number of its end of the link: what has come and has no answer yet. */
  readonly #asked = new Map<number, Map<number, string[]>>();

  constructor(ledger: Ledger) {
    super();
    this.#ledger = ledger;
  }

  override booted(server: number): void {
    this.#asked.delete(server);
  }

  #questions(leader: number, link: number): string[] {
    let links = this.#asked.get(leader);
    if (links === undefined) this.#asked.set(leader, (links = new Map()));
    let questions = links.get(link);
    if (questions === undefined) links.set(link, (questions = []));
    return questions;
  }

  override received(_from: number, to: number, link: number, message: QuorumMessage): void {
    if (message.type !== Packet.REQUEST) return;
    const { op, sessionId, cxid } = message.request;
    this.#questions(to, link).push(op === Op.sync ? SYNC : nameOf(sessionId, cxid));
  }

  override sent(from: number, to: number, link: number, message: QuorumMessage): void {
    if (message.type === Packet.SYNC) this.#answered(from, to, link, SYNC, SYNC);
    else if (message.type === Packet.INFORM) this.#committed(from, to, link, message.entry.zxid, message.entry.bytes);
    else if (message.type === Packet.COMMIT)
      this.#committed(from, to, link, message.zxid, this.#ledger.proposals.find(message.zxid)?.bytes);
  }

  #committed(leader: number, learner: number, link: number, zxid: Long, bytes: Uint8Array | undefined): void {
    // An entry that was there before the run may have no bytes.
    if (bytes === undefined || bytes.length < HEADER) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const session = Long.fromBits(view.getInt32(4), view.getInt32(0), true);
    this.#answered(leader, learner, link, nameOf(session, view.getInt32(8)), formatZxid(zxid));
  }

  #answered(leader: number, learner: number, link: number, question: string, answer: string): void {
    const questions = this.#questions(leader, link);
    const at = questions.indexOf(question);
    // Not for this learner.
    if (at < 0) return;
    if (at > 0) {
      const passed = `${questions.slice(0, at).join(', ')}`;
      this.#ledger.violated('AnswersInOrder', `server ${leader} answers server ${learner} with ${answer} (${question}) before ${passed}`);
    }
    questions.splice(0, at + 1);
  }
}

/** Session and cxid of a transaction's header, bytes. */
const HEADER = 12;

const nameOf = (session: Long, cxid: number): string => `0x${session.toUnsigned().toString(16)}/${cxid}`;
