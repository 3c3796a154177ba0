import type { QuorumLink } from '../seams/transport.ts';
import { Fifo } from '../util/fifo.ts';
import type { DurableSend } from '../zab/outbox.ts';

/** Messages that wait until the log is durable up to a point: "durable before acknowledged" is kept here. */
export class DurableSends {
  readonly #waiting = new Fifo<DurableSend>();
  #durableSeq = 0;

  add(sends: readonly DurableSend[]): void {
    for (let i = 0; i < sends.length; i++) this.#waiting.push(sends[i]);
    this.#release();
  }

  /** Everything up to `seq` is durable. */
  durable(seq: number): void {
    this.#durableSeq = seq;
    this.#release();
  }

  #release(): void {
    for (let next = this.#waiting.peek(); next !== undefined && next.seq <= this.#durableSeq; next = this.#waiting.peek()) {
      this.#waiting.shift();
      (next.link as QuorumLink).send(next.message);
    }
  }
}
