import type Long from 'long';
import type { Txn } from '../../model/records.ts';
import { DIGEST_VERSION } from '../../tree/digest.ts';
import type { ZnodeTree } from '../../tree/tree.ts';
import { Blind } from '../probe.ts';
import type { Deliveries } from './deliveries.ts';
import type { Ledger } from './ledger.ts';
import type { Proposal } from './proposal.ts';

/**
 * EqualDigest: after the same transaction all shown trees have the same digest (PROTOCOL 17.1), and it is the one that the leader foresaw. Servers that keep no digest are passed over.
 */
export class Digests extends Blind {
  readonly #ledger: Ledger;
  readonly #deliveries: Deliveries;
  readonly #digests = new Map<Proposal, Long>();

  constructor(ledger: Ledger, deliveries: Deliveries) {
    super();
    this.#ledger = ledger;
    this.#deliveries = deliveries;
  }

  override applied(server: number, txn: Txn, tree: ZnodeTree): void {
    const { digest } = txn;
    if (tree.digestOn && digest !== null && digest.version === DIGEST_VERSION && !tree.sum.equals(digest.value))
      this.#differ(server, tree, digest.value, 'the leader foresaw');
    this.#compare(server, tree);
  }

  override shown(server: number, tree: ZnodeTree): void {
    // Its own reading has compared as well: where a fuzzy snapshot ends, and behind every entry after that.
    if (tree.digestMismatches > 0)
      this.#ledger.violated(
        'EqualDigest',
        `server ${server} shows a tree whose digest was ${tree.digestMismatches} times another than it was to be`,
      );
    this.#compare(server, tree);
  }

  #compare(server: number, tree: ZnodeTree): void {
    const at = this.#deliveries.positionOf(server);
    if (at === undefined || !tree.digestOn) return;
    const known = this.#digests.get(at);
    if (known === undefined) this.#digests.set(at, tree.digest());
    else if (!tree.sum.equals(known)) this.#differ(server, tree, known, 'another server had');
  }

  #differ(server: number, tree: ZnodeTree, expected: Long, whose: string): void {
    const hex = (value: Long): string => `0x${value.toUnsigned().toString(16)}`;
    const at = this.#deliveries.positionOf(server) ?? 'an unknown place';
    this.#ledger.violated('EqualDigest', `server ${server} has the digest ${hex(tree.digest())} after ${at}, ${whose} ${hex(expected)}`);
  }
}
