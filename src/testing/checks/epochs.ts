import type { Role } from '../../node/api.ts';
import type { Recovered } from '../../seams/storage.ts';
import { Blind } from '../probe.ts';
import type { Ledger } from './ledger.ts';

/** The two epochs on a server's disk. */
export interface Epochs {
  readonly accepted: number;
  readonly current: number;
}

const NONE: Epochs = { accepted: 0, current: 0 };

/**
 * EpochsNeverGoBack: neither of a server's epochs falls, over restarts too; none is current that was not accepted before (PROTOCOL 16, faults 335, 2307, 4269); and a server
 * never serves in an earlier epoch than it has served in.
 */
export class EpochRules extends Blind {
  readonly #ledger: Ledger;
  readonly #epochs = new Map<number, Epochs>();
  readonly #served = new Map<number, number>();

  constructor(ledger: Ledger) {
    super();
    this.#ledger = ledger;
  }

  /** What is durable. */
  of(server: number): Epochs {
    return this.#epochs.get(server) ?? NONE;
  }

  override recovered(server: number, { acceptedEpoch, currentEpoch }: Recovered): void {
    if (this.#ledger.isForgetful(server)) {
      this.#epochs.delete(server);
      this.#served.delete(server);
    }
    this.#became(server, { accepted: acceptedEpoch, current: currentEpoch });
  }

  override epoch(server: number, which: 'accepted' | 'current', epoch: number): void {
    this.#became(server, { ...this.of(server), [which]: epoch });
  }

  override role(server: number, role: Role, _leaderId: number | undefined, epoch: number): void {
    if (role === 'looking' || role === 'stopped') return;
    const before = this.#served.get(server) ?? 0;
    if (epoch < before)
      this.#ledger.violated('EpochsNeverGoBack', `server ${server} is ${role} in epoch ${epoch}, it has served in ${before}`);
    this.#served.set(server, epoch);
  }

  #became(server: number, now: Epochs): void {
    const before = this.of(server);
    const shown = ({ accepted, current }: Epochs): string => `${accepted}/${current}`;
    if (now.accepted < before.accepted || now.current < before.current)
      this.#ledger.violated('EpochsNeverGoBack', `server ${server} has the epochs ${shown(now)} (accepted/current) after ${shown(before)}`);
    else if (now.current > now.accepted)
      this.#ledger.violated('EpochsNeverGoBack', `server ${server} has the current epoch ${now.current} without having accepted it`);
    this.#epochs.set(server, now);
  }
}
