import type Long from 'long';
import { expect } from 'vitest';
import type { Txn } from '../../src/model/records.ts';
import { formatZxid } from '../../src/model/zxid.ts';
import type { Role } from '../../src/node/api.ts';
import type { Recovered } from '../../src/seams/storage.ts';
import { describeMessage, describeTxn } from '../../src/testing/describe.ts';
import { Blind, type Deed } from '../../src/testing/probe.ts';
import type { Simulation } from '../../src/testing/simulation.ts';
import type { LogEntry } from '../../src/zab/entry.ts';
import type { QuorumMessage } from '../../src/zab/messages.ts';

/** What is looked for among {@link Seen.lines}: a part of a line, or a pattern. */
export type Sight = string | RegExp;

/**
 * Everything that the servers do from now on, a line each, so that a scenario can wait for a moment, and show that it was reached. Such as:
 *
 *     1>2 DIFF 0x100000003         handed to the network by server 1
 *     2<1 DIFF 0x100000003         reached server 2
 *     2 logs 0x100000004           handed to the store
 *     2 has 0x100000004            durable up to there
 *     2 applies 0x100000004 create /a
 */
export class Seen extends Blind {
  readonly lines: string[] = [];

  constructor(sim: Simulation) {
    super();
    sim.addProbe(this);
  }

  /** Index of the first such line, from `from` on; -1 if there is none. */
  find(sight: Sight, from = 0): number {
    return this.lines.findIndex((line, at) => at >= from && (typeof sight === 'string' ? line.includes(sight) : sight.test(line)));
  }

  has(sight: Sight, from = 0): boolean {
    return this.find(sight, from) >= 0;
  }

  count(sight: Sight): number {
    return this.lines.filter((line) => (typeof sight === 'string' ? line.includes(sight) : sight.test(line))).length;
  }

  /** Fails unless there is a line for each, one after the other, from line `from` on. */
  inOrder(sights: readonly Sight[], from = 0): void {
    let at = from;
    for (const sight of sights) {
      const next = this.find(sight, at);
      const after = at === from ? 'at all' : `after '${this.lines[at - 1]}'`;
      expect(next, `no '${String(sight)}' ${after}`).toBeGreaterThanOrEqual(at);
      at = next + 1;
    }
  }

  #put(line: string): void {
    this.lines.push(line);
  }

  override booted(server: number): void {
    this.#put(`${server} boots`);
  }
  override died(server: number): void {
    this.#put(`${server} dies`);
  }
  override stopped(server: number, error: Error | null): void {
    this.#put(`${server} stops${error === null ? '' : ` with ${error.message}`}`);
  }
  override recovered(server: number, { lastZxid, acceptedEpoch, currentEpoch }: Recovered): void {
    this.#put(`${server} recovers ${formatZxid(lastZxid)} epochs ${acceptedEpoch}/${currentEpoch}`);
  }
  override appending(server: number, entries: readonly LogEntry[]): void {
    for (const { zxid } of entries) this.#put(`${server} logs ${formatZxid(zxid)}`);
  }
  override truncating(server: number, zxid: Long): void {
    this.#put(`${server} truncates ${formatZxid(zxid)}`);
  }
  override installing(server: number, zxid: Long): void {
    this.#put(`${server} installs ${formatZxid(zxid)}`);
  }
  override durable(server: number, zxid: Long): void {
    this.#put(`${server} has ${formatZxid(zxid)}`);
  }
  override truncated(server: number, zxid: Long): void {
    this.#put(`${server} has truncated ${formatZxid(zxid)}`);
  }
  override installed(server: number, zxid: Long): void {
    this.#put(`${server} has installed ${formatZxid(zxid)}`);
  }
  override epoch(server: number, which: 'accepted' | 'current', epoch: number): void {
    this.#put(`${server} ${which} epoch ${epoch}`);
  }
  override sent(from: number, to: number, _link: number, message: QuorumMessage): void {
    this.#put(`${from}>${to} ${describeMessage(message)}`);
  }
  override received(from: number, to: number, _link: number, message: QuorumMessage): void {
    this.#put(`${to}<${from} ${describeMessage(message)}`);
  }
  override role(server: number, role: Role, leaderId: number | undefined, epoch: number): void {
    this.#put(`${server} is ${role}${leaderId === undefined ? '' : ` ${leaderId}`} epoch ${epoch}`);
  }
  override serving(server: number, serving: boolean): void {
    this.#put(`${server} ${serving ? 'serves' : 'serves no more'}`);
  }
  override applied(server: number, txn: Txn): void {
    this.#put(`${server} applies ${describeTxn(txn)}`);
  }
  override shown(server: number): void {
    this.#put(`${server} shows a tree`);
  }
  override did(server: number, what: Deed): void {
    this.#put(`${server} did ${what}`);
  }
}

/** Messages that a filter keeps back until they are let go, in their order. */
export class Held {
  #sends: (() => void)[] = [];

  get count(): number {
    return this.#sends.length;
  }

  /** For a filter: keeps the message, gives false. */
  keep(send: () => void): false {
    this.#sends.push(send);
    return false;
  }

  release(): void {
    for (const send of this.#sends.splice(0)) send();
  }
}

/** Starts only these servers and waits until they serve: the highest id leads, if none of them knows more than the others. */
export async function startOnly(sim: Simulation, ids: readonly number[]): Promise<void> {
  for (const id of ids) sim.restart(id);
  await sim.settled();
}
