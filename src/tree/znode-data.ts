import type { Stat } from '../model/records.ts';
import { type Octets, octetsToBytes, octetsToText } from '../util/bytes.ts';

/** A znode's data and Stat as they were at one moment. Later changes of the tree don't show, and nothing done to it changes the tree. */
export class ZnodeData {
  #bytes: Uint8Array | null | undefined;

  constructor(
    readonly stat: Stat,
    /** The data as a byte string; null for a znode without data. */
    readonly octets: Octets | null,
  ) {
    this.#bytes = undefined;
  }

  /** The data as bytes (in Node a Buffer), null for a znode without data: a private copy, made at the first access and the same from then on. */
  get data(): Uint8Array | null {
    if (this.#bytes === undefined) this.#bytes = this.octets === null ? null : octetsToBytes(this.octets);
    return this.#bytes;
  }

  /** The data decoded as UTF-8; '' for null data. */
  text(): string {
    return this.octets === null ? '' : octetsToText(this.octets);
  }

  /** The data parsed as JSON; null for null data. Throws SyntaxError when the data is not JSON. */
  json(): unknown {
    return this.octets === null ? null : JSON.parse(this.text());
  }
}
