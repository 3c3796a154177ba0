import type Long from 'long';
import { ZXID_NONE } from '../model/zxid.ts';
import type { Recovered } from '../seams/storage.ts';
import { Blind } from './probe.ts';

/** Where each server's durable history ends, by its store's word. */
export class DurableEnds extends Blind {
  readonly #ends = new Map<number, Long>();

  of(server: number): Long {
    return this.#ends.get(server) ?? ZXID_NONE;
  }

  override recovered(server: number, found: Recovered): void {
    this.#ends.set(server, found.lastZxid);
  }
  override durable(server: number, zxid: Long): void {
    this.#ends.set(server, zxid);
  }
  override truncated(server: number, zxid: Long): void {
    this.#ends.set(server, zxid);
  }
  override installed(server: number, zxid: Long): void {
    this.#ends.set(server, zxid);
  }
}
