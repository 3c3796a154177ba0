import Long from 'long';
import type { Stat } from '../model/records.ts';
import { type Octets, octetsToBytes, octetsToText } from '../util/bytes.ts';
import {
  AVERSION,
  CTIME,
  CVERSION,
  CZXID,
  joined,
  MTIME,
  MZXID,
  OWNER,
  PZXID,
  STAT_WORDS,
  sharedLong,
  shownOwner,
  VERSION,
} from './row.ts';

/** For what comes with a Stat that is made already. */
const NO_WORDS = new Int32Array(STAT_WORDS);

/**
 * A znode's data and Stat as they were at one moment. Later changes of the tree don't show, and nothing done to it changes the tree.
 * What a read needs is copied at once as plain integers; the Stat is made of them when somebody asks, for making it costs more than the read.
 */
export class ZnodeData {
  readonly #czxidHigh: number;
  readonly #czxidLow: number;
  readonly #mzxidHigh: number;
  readonly #mzxidLow: number;
  readonly #pzxidHigh: number;
  readonly #pzxidLow: number;
  readonly #ctimeHigh: number;
  readonly #ctimeLow: number;
  readonly #mtimeHigh: number;
  readonly #mtimeLow: number;
  readonly #version: number;
  readonly #cversion: number;
  readonly #aversion: number;
  readonly #ownerHigh: number;
  readonly #ownerLow: number;
  readonly #children: number;
  #stat: Stat | undefined;
  #bytes: Uint8Array | null | undefined;

  /** `octets` is the data as a byte string, null for a znode without data; the stat words stand in `words` from `at` on. */
  constructor(
    readonly octets: Octets | null,
    words: Int32Array,
    at: number,
    children: number,
  ) {
    this.#czxidHigh = words[at + CZXID];
    this.#czxidLow = words[at + CZXID + 1];
    this.#mzxidHigh = words[at + MZXID];
    this.#mzxidLow = words[at + MZXID + 1];
    this.#pzxidHigh = words[at + PZXID];
    this.#pzxidLow = words[at + PZXID + 1];
    this.#ctimeHigh = words[at + CTIME];
    this.#ctimeLow = words[at + CTIME + 1];
    this.#mtimeHigh = words[at + MTIME];
    this.#mtimeLow = words[at + MTIME + 1];
    this.#version = words[at + VERSION];
    this.#cversion = words[at + CVERSION];
    this.#aversion = words[at + AVERSION];
    this.#ownerHigh = words[at + OWNER];
    this.#ownerLow = words[at + OWNER + 1];
    this.#children = children;
    this.#stat = undefined;
    this.#bytes = undefined;
  }

  /** Data and Stat as a server sent them. */
  static of(octets: Octets | null, stat: Stat): ZnodeData {
    const data = new ZnodeData(octets, NO_WORDS, 0, 0);
    data.#stat = stat;
    return data;
  }

  get stat(): Stat {
    this.#stat ??= this.#makeStat();
    return this.#stat;
  }

  #makeStat(): Stat {
    const czxid = new Long(this.#czxidLow, this.#czxidHigh, true);
    return {
      czxid,
      mzxid: sharedLong(this.#mzxidHigh, this.#mzxidLow, czxid),
      ctime: joined(this.#ctimeHigh, this.#ctimeLow),
      mtime: joined(this.#mtimeHigh, this.#mtimeLow),
      version: this.#version,
      cversion: (2 * this.#cversion - this.#children) | 0,
      aversion: this.#aversion,
      ephemeralOwner: shownOwner(this.#ownerHigh, this.#ownerLow),
      dataLength: this.octets === null ? 0 : this.octets.length,
      numChildren: this.#children,
      pzxid: sharedLong(this.#pzxidHigh, this.#pzxidLow, czxid),
    };
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
