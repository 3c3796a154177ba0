import type { TreeReader } from 'zab-ensemble';
import { fillPath } from './load.ts';

export interface ReadOptions {
  readonly seconds: number;
  /** What is looked at of each znode. */
  readonly touch: 'nothing' | 'stat' | 'data';
}

/** Reads between two looks at the clock; a divisor of the number of paths. */
const CHUNK = 10_000;

/** Reads znodes that `fill` has made, in the process of their replica. */
export class Reader {
  /** Depends on all that was read, so that no reading can be left out. */
  total = 0;
  readonly #tree: TreeReader;
  /** Strings of their own, in a random order. */
  readonly #paths: string[];

  constructor(tree: TreeReader, parent: string, znodes: number) {
    this.#tree = tree;
    this.#paths = Array.from({ length: znodes }, (_, i) => fillPath(parent, i));
    for (let i = znodes - 1; i > 0; i--) {
      const j = Math.floor(Math.random() * (i + 1));
      [this.#paths[i], this.#paths[j]] = [this.#paths[j], this.#paths[i]];
    }
  }

  /** getData calls per second. */
  run({ seconds, touch }: ReadOptions): number {
    const tree = this.#tree;
    const paths = this.#paths;
    const begin = performance.now();
    let done = 0;
    let read = 0;
    while (performance.now() - begin < seconds * 1000) {
      const first = done % paths.length;
      for (let i = first; i < first + CHUNK; i++) {
        const znode = tree.getData(paths[i]);
        if (znode === undefined) throw new Error('a znode is missing');
        if (touch === 'data') read += znode.data?.length ?? 0;
        else if (touch === 'stat') read += znode.stat.version;
        else read++;
      }
      done += CHUNK;
    }
    this.total += read;
    return (done / (performance.now() - begin)) * 1000;
  }
}
