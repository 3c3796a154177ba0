import type Long from 'long';
import type { ServerSpec } from '../../node/api.ts';
import type { LogEntry } from '../../zab/entry.ts';
import { QuorumRules } from '../../zab/quorum.ts';
import { Panel } from '../panel.ts';
import { Acks } from './acks.ts';
import { Answers } from './answers.ts';
import { Commits } from './commits.ts';
import { Confirmations } from './confirmations.ts';
import { Deliveries } from './deliveries.ts';
import { Digests } from './digests.ts';
import { EpochRules } from './epochs.ts';
import { Leadership } from './leadership.ts';
import { Ledger, type Report } from './ledger.ts';
import { Sessions } from './sessions.ts';
import { Synchronisations } from './synchronisations.ts';

/** All rules of Zab and of the tree, checked at every event. */
export class Checks extends Panel {
  readonly #ledger: Ledger;

  /** @param report gets every rule that is broken, in the moment; what comes after the first may be its consequence */
  constructor(servers: readonly Pick<ServerSpec, 'id' | 'role' | 'weight' | 'group'>[], report: Report) {
    const quorum = new QuorumRules(servers.filter((server) => server.role !== 'observer'));
    const ledger = new Ledger(report);
    const deliveries = new Deliveries(ledger);
    const epochs = new EpochRules(ledger);
    // What a rule asks of another one must have heard of the event before it.
    super([
      ledger,
      epochs,
      deliveries,
      new Commits(ledger, deliveries, quorum),
      new Acks(ledger, epochs),
      new Synchronisations(ledger),
      new Answers(ledger),
      new Confirmations(ledger, quorum),
      new Leadership(ledger, quorum),
      new Digests(ledger, deliveries),
      new Sessions(ledger, deliveries),
    ]);
    this.#ledger = ledger;
  }

  /**
   * The server's disk is damaged: until it serves again, it is not held against it what it has forgotten. Say so before its process ends.
   *
   * @param most how many of its last entries it may miss without refusing to start
   */
  forgot(server: number, most = Number.POSITIVE_INFINITY): void {
    this.#ledger.forgot(server, most);
  }

  /** Tells of history that is on disks before the run begins: entries that follow each other, the first right behind `after`. An entry without bytes may hold anything. */
  preload(after: Long, entries: readonly LogEntry[]): void {
    this.#ledger.preload(after, entries);
  }
}
