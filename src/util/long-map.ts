import type Long from 'long';

/** A map keyed by a 64-bit value (session ids), on the two halves: no key object or string is made per look-up. */
export class LongMap<V> {
  #byHigh = new Map<number, Map<number, V>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: Long): V | undefined {
    return this.#byHigh.get(key.high)?.get(key.low);
  }

  has(key: Long): boolean {
    return this.#byHigh.get(key.high)?.has(key.low) ?? false;
  }

  set(key: Long, value: V): void {
    let byLow = this.#byHigh.get(key.high);
    if (byLow === undefined) this.#byHigh.set(key.high, (byLow = new Map()));
    const before = byLow.size;
    byLow.set(key.low, value);
    this.#size += byLow.size - before;
  }

  delete(key: Long): boolean {
    const byLow = this.#byHigh.get(key.high);
    if (!byLow?.delete(key.low)) return false;
    this.#size--;
    if (byLow.size === 0) this.#byHigh.delete(key.high);
    return true;
  }

  clear(): void {
    this.#byHigh.clear();
    this.#size = 0;
  }

  /** All values; the map may be changed while this runs, with the rules of `Map` iteration. */
  *values(): IterableIterator<V> {
    for (const byLow of this.#byHigh.values()) yield* byLow.values();
  }
}
