import type Long from 'long';
import { compareZxid } from '../model/zxid.ts';
import type { ZnodeTree } from '../tree/tree.ts';
import type { ZnodeData } from '../tree/znode-data.ts';
import type { TreeReader } from './api.ts';
import { abortError } from './calls.ts';
import { type ZxidWaiter, ZxidWaiters } from './zxid-waiters.ts';

class Reached implements ZxidWaiter {
  constructor(
    readonly zxid: Long,
    readonly signal: AbortSignal | undefined,
    readonly waiters: ZxidWaiters,
    readonly resolve: () => void,
    readonly reject: (error: unknown) => void,
  ) {
    signal?.addEventListener('abort', this);
  }

  reached(): void {
    this.signal?.removeEventListener('abort', this);
    this.resolve();
  }

  fail(error: unknown): void {
    this.signal?.removeEventListener('abort', this);
    this.reject(error);
  }

  handleEvent(): void {
    this.waiters.remove(this);
    this.fail(abortError(this.signal!, undefined, 'not-done'));
  }
}

/** The application's window to the replica's tree, whichever object that is at the moment. */
export class LocalTree implements TreeReader {
  readonly #source: { readonly tree: ZnodeTree };
  readonly #waiters = new ZxidWaiters();
  #stopped: Error | null = null;

  constructor(source: { readonly tree: ZnodeTree }) {
    this.#source = source;
  }

  get lastZxid(): Long {
    return this.#source.tree.lastZxid;
  }

  get nodeCount(): number {
    return this.#source.tree.nodeCount;
  }

  getData(path: string): ZnodeData | undefined {
    return this.#source.tree.getData(path);
  }

  exists(path: string): ReturnType<ZnodeTree['exists']> {
    return this.#source.tree.exists(path);
  }

  getChildren(path: string): string[] | undefined {
    return this.#source.tree.getChildren(path);
  }

  getAcl(path: string): ReturnType<ZnodeTree['getAcl']> {
    return this.#source.tree.getAcl(path);
  }

  getAllChildrenNumber(path: string): number | undefined {
    return this.#source.tree.getAllChildrenNumber(path);
  }

  walk(path: string): Iterable<[path: string, node: ZnodeData]> {
    return this.#source.tree.walk(path);
  }

  reached(zxid: Long, options?: { signal?: AbortSignal }): Promise<void> {
    const signal = options?.signal;
    if (this.#stopped !== null) return Promise.reject(this.#stopped);
    if (signal?.aborted) return Promise.reject(abortError(signal, undefined, 'not-done'));
    if (compareZxid(this.lastZxid, zxid) >= 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.add(new Reached(zxid, signal, this.#waiters, resolve, reject));
    });
  }

  /** The tree has moved on: lets go whoever waited for that. */
  advanced(): void {
    if (this.#waiters.size !== 0) this.#waiters.advance(this.lastZxid);
  }

  /** The node has ended: nothing will be reached any more. */
  stop(error: Error): void {
    this.#stopped = error;
    for (const waiter of this.#waiters.drain()) (waiter as Reached).fail(error);
  }
}
