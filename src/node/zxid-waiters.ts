import type Long from 'long';
import { compareZxid } from '../model/zxid.ts';

/** Somebody who waits for a zxid. */
export interface ZxidWaiter {
  readonly zxid: Long;
  reached(): void;
}

/** Waiters in a binary heap: the lowest zxid is at the front, and a look at the front is all that an applied transaction costs. */
export class ZxidWaiters {
  readonly #heap: ZxidWaiter[] = [];

  get size(): number {
    return this.#heap.length;
  }

  add(waiter: ZxidWaiter): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (compareZxid(heap[parent].zxid, waiter.zxid) <= 0) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = waiter;
  }

  /** Calls every waiter whose zxid is `zxid` or before, lowest first. */
  advance(zxid: Long): void {
    while (this.#heap.length !== 0 && compareZxid(this.#heap[0].zxid, zxid) <= 0) this.#pop().reached();
  }

  /** Takes out all waiters, in no order. */
  drain(): ZxidWaiter[] {
    return this.#heap.splice(0);
  }

  /** Takes one waiter out; a search through all of them. */
  remove(waiter: ZxidWaiter): void {
    const at = this.#heap.indexOf(waiter);
    if (at === -1) return;
    const rest = this.#heap.splice(at);
    for (const other of rest) if (other !== waiter) this.add(other);
  }

  #pop(): ZxidWaiter {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop()!;
    const length = heap.length;
    if (length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      if (child + 1 < length && compareZxid(heap[child + 1].zxid, heap[child].zxid) < 0) child++;
      if (compareZxid(heap[child].zxid, last.zxid) >= 0) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return top;
  }
}
