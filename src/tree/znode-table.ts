import type { Octets } from '../util/bytes.ts';
import { OWNER, STAT_WORDS } from './row.ts';

/*
 * The words of a row after its stat words. A slot is the number of a row, 0 means none. Children of a znode form a doubly linked list,
 * newest first: a walk that has begun on a list meets no newcomer, so that it meets no path twice and comes to an end.
 */
export const ACL_KEY = STAT_WORDS;
export const PARENT = STAT_WORDS + 1;
export const FIRST_CHILD = STAT_WORDS + 2;
export const NEXT = STAT_WORDS + 3;
export const PREVIOUS = STAT_WORDS + 4;
export const CHILDREN = STAT_WORDS + 5;
/** The node digest, 0 when digests are off or the znode does not count. */
export const CRC = STAT_WORDS + 6;
const ROW_WORDS = STAT_WORDS + 7;

const PAGE_BITS = 12;
const PAGE_ROWS = 1 << PAGE_BITS;

/**
 * The znodes as columns: a map from path to slot, two arrays for path and data, and rows of 22 int32 words in pages that are allocated one at a time. For
 * 100 bytes of data and paths of 17 characters that is about 300 bytes a znode, of which the garbage collector sees two strings. Paths are in inner form.
 * Up to about 16.7 million znodes, the bound of a `Map`.
 */
export class ZnodeTable {
  readonly #slots = new Map<string, number>();
  readonly #pages: Int32Array[] = [];
  readonly #paths: string[] = [''];
  readonly #data: (Octets | null)[] = [null];
  readonly #walks: Walk[] = [];
  /** First of the deleted slots, chained by NEXT. */
  #free = 0;
  /** Of all paths and data, one for each character of a path. */
  #bytes = 0;

  /** About how much the znodes hold: the lengths of paths and data. */
  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** The slot of `path`, 0 when there is none. */
  find(path: string): number {
    return this.#slots.get(path) ?? 0;
  }

  /** The page that holds the row of `slot`; the row begins at {@link at}. */
  page(slot: number): Int32Array {
    return this.#pages[slot >>> PAGE_BITS];
  }

  at(slot: number): number {
    return (slot & (PAGE_ROWS - 1)) * ROW_WORDS;
  }

  /** One word of a row; `word` is an offset such as {@link PARENT}. */
  get(slot: number, word: number): number {
    return this.#pages[slot >>> PAGE_BITS][(slot & (PAGE_ROWS - 1)) * ROW_WORDS + word];
  }

  set(slot: number, word: number, value: number): void {
    this.#pages[slot >>> PAGE_BITS][(slot & (PAGE_ROWS - 1)) * ROW_WORDS + word] = value;
  }

  path(slot: number): string {
    return this.#paths[slot];
  }

  data(slot: number): Octets | null {
    return this.#data[slot];
  }

  setData(slot: number, data: Octets | null): void {
    this.#bytes += lengthOf(data) - lengthOf(this.#data[slot]);
    this.#data[slot] = data;
  }

  /** Adds a znode under the slot `parent` (0 for the root) and returns its slot, its row zeroed but for the links. `path` must be new. */
  insert(path: string, parent: number, data: Octets | null): number {
    let slot = this.#free;
    if (slot !== 0) {
      this.#free = this.get(slot, NEXT);
      this.#paths[slot] = path;
      this.#data[slot] = data;
      const at = this.at(slot);
      this.page(slot).fill(0, at, at + ROW_WORDS);
    } else {
      slot = this.#paths.length;
      if (slot >>> PAGE_BITS >= this.#pages.length) this.#pages.push(new Int32Array(PAGE_ROWS * ROW_WORDS));
      this.#paths.push(path);
      this.#data.push(data);
    }
    this.#slots.set(path, slot);
    this.#bytes += path.length + lengthOf(data);
    if (parent !== 0) this.#link(slot, parent);
    return slot;
  }

  #link(slot: number, parent: number): void {
    const page = this.page(parent);
    const at = this.at(parent);
    const first = page[at + FIRST_CHILD];
    this.set(slot, PARENT, parent);
    this.set(slot, NEXT, first);
    if (first !== 0) this.set(first, PREVIOUS, slot);
    page[at + FIRST_CHILD] = slot;
    page[at + CHILDREN]++;
  }

  /** Removes a znode that has no children. Walks that stand on it move on. */
  remove(slot: number): void {
    for (const walk of this.#walks) if (walk.slot === slot) walk.slot = this.#after(slot, walk.top);
    const page = this.page(slot);
    const at = this.at(slot);
    const parent = page[at + PARENT];
    const next = page[at + NEXT];
    const previous = page[at + PREVIOUS];
    if (next !== 0) this.set(next, PREVIOUS, previous);
    if (previous !== 0) this.set(previous, NEXT, next);
    else if (parent !== 0) this.set(parent, FIRST_CHILD, next);
    if (parent !== 0) this.set(parent, CHILDREN, this.get(parent, CHILDREN) - 1);
    this.#slots.delete(this.#paths[slot]);
    this.#bytes -= this.#paths[slot].length + lengthOf(this.#data[slot]);
    this.#paths[slot] = '';
    this.#data[slot] = null;
    page[at + OWNER] = 0;
    page[at + NEXT] = this.#free;
    this.#free = slot;
  }

  /** Names of the children, oldest first. */
  childNames(slot: number): string[] {
    let left = this.get(slot, CHILDREN);
    const names = new Array<string>(left);
    const skip = this.#paths[slot].length + 1;
    for (let child = this.get(slot, FIRST_CHILD); child !== 0; child = this.get(child, NEXT))
      names[--left] = this.#paths[child].slice(skip);
    return names;
  }

  /** Begins a walk over the subtree of `top`, parents before children. It must be closed, or be walked to its end. */
  walk(top: number): Walk {
    const walk = new Walk(top);
    if (top !== 0) this.#walks.push(walk);
    return walk;
  }

  /** The slot where `walk` stands, and a step on; 0 at the end. */
  step(walk: Walk): number {
    const slot = walk.slot;
    if (slot === 0) return 0;
    const child = this.get(slot, FIRST_CHILD);
    walk.slot = child !== 0 ? child : this.#after(slot, walk.top);
    if (walk.slot === 0) this.close(walk);
    return slot;
  }

  close(walk: Walk): void {
    walk.slot = 0;
    const at = this.#walks.indexOf(walk);
    if (at !== -1) this.#walks.splice(at, 1);
  }

  /** The slot that follows the whole subtree of `slot` in a walk of `top`. */
  #after(slot: number, top: number): number {
    for (let s = slot; s !== top; s = this.get(s, PARENT)) {
      const next = this.get(s, NEXT);
      if (next !== 0) return next;
    }
    return 0;
  }

  /** The slot that follows `slot` itself in a walk of `top`; 0 at the end. For walks during which nothing changes. */
  following(slot: number, top: number): number {
    const child = this.get(slot, FIRST_CHILD);
    return child !== 0 ? child : this.#after(slot, top);
  }
}

const lengthOf = (data: Octets | null): number => (data === null ? 0 : data.length);

/** Where a walk stands: the znode that comes next. It survives changes of the table. */
export class Walk {
  slot: number;
  constructor(readonly top: number) {
    this.slot = top;
  }
}
