import type { Random } from '../seams/random.ts';

/**
 * A stream of chance that depends on nothing but a seed and a name: whole numbers only, so every machine and every engine draws the same. Streams of different names
 * are independent, so drawing more from one changes nothing in another.
 */
export class Chance implements Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;
  readonly #seed: number;
  readonly #name: string;

  /** @param seed a whole number from 0 to 2^53 - 1 */
  constructor(seed: number, name: string) {
    this.#seed = seed;
    this.#name = name;
    let hash = 0x811c9dc5;
    const mix = (value: number): number => {
      hash = Math.imul(hash ^ value, 0x01000193);
      hash ^= hash >>> 15;
      hash = Math.imul(hash, 0x2c1b3c6d);
      hash ^= hash >>> 12;
      return hash;
    };
    for (let i = 0; i < name.length; i++) mix(name.charCodeAt(i));
    this.#a = mix(seed >>> 0);
    this.#b = mix(Math.floor(seed / 0x100000000));
    this.#c = mix(name.length);
    for (let i = 0; i < 12; i++) this.#next();
  }

  /** A stream of its own. */
  fork(name: string): Chance {
    return new Chance(this.#seed, `${this.#name}/${name}`);
  }

  /** sfc32 */
  #next(): number {
    const t = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t;
    return t >>> 0;
  }

  below(bound: number): number {
    return this.#next() % bound;
  }

  /** A whole number from `low` to `high`, both possible. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True in `p` of all cases, to a millionth. */
  chance(p: number): boolean {
    return this.below(1_000_000) < p * 1_000_000;
  }

  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }

  /** A copy in another order. */
  shuffle<T>(list: readonly T[]): T[] {
    const copy = [...list];
    for (let i = copy.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [copy[i], copy[j]] = [copy[j], copy[i]];
    }
    return copy;
  }
}
