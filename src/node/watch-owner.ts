import { ZabError } from '../model/errors.ts';
import { outer } from '../tree/paths.ts';
import type { WatchEvent, Watcher, WatchKind, WatchOptions } from './api.ts';
import { checkedPath } from './operations.ts';
import { DEFAULT_CAPACITY, WatchStream } from './watch-stream.ts';
import { Gate, ListenerSink, OneShotWatches, PersistentWatch, type WatchRegistry } from './watches.ts';

/** The watches of one session, or those that the node itself has. */
export class WatchOwner {
  readonly #watches: WatchRegistry;
  readonly #gate = new Gate();
  readonly #shots: OneShotWatches;
  /** How to end each persistent watch. */
  readonly #persistent = new Map<PersistentWatch, () => void>();

  constructor(watches: WatchRegistry) {
    this.#watches = watches;
    this.#shots = new OneShotWatches(this.#gate);
  }

  /** A one-shot watch, if there is a callback. */
  once(table: 'data' | 'child', path: string, callback: Watcher | undefined): void {
    if (callback !== undefined) this.#watches.addOneShot(this.#shots, table, path, callback);
  }

  /** Calls `listener` until the returned function is called, `signal` is aborted or the owner ends. */
  listen(path: string, listener: Watcher, options: WatchOptions | undefined): () => void {
    const sink = new ListenerSink(listener);
    const watch = new PersistentWatch(outer(checkedPath(path)), options?.recursive ?? false, sink, this.#gate);
    const signal = options?.signal;
    const end = () => {
      if (sink.ended) return;
      sink.ended = true;
      signal?.removeEventListener('abort', end);
      this.#drop(watch);
    };
    if (signal?.aborted) return end;
    signal?.addEventListener('abort', end);
    this.#add(watch, end);
    return end;
  }

  stream(path: string, options: WatchOptions | undefined): WatchStream {
    const capacity = options?.capacity ?? DEFAULT_CAPACITY;
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new ZabError('BAD_ARGUMENTS', `BAD_ARGUMENTS: the capacity of a watch must be a whole number from 1, not ${capacity}`);
    }
    const signal = options?.signal;
    const abort = () => void stream.return();
    const stream = new WatchStream(checkedPath(path), capacity, () => {
      signal?.removeEventListener('abort', abort);
      this.#drop(watch);
    });
    const watch = new PersistentWatch(outer(path), options?.recursive ?? false, stream, this.#gate);
    if (signal?.aborted) {
      abort();
      return stream;
    }
    signal?.addEventListener('abort', abort);
    this.#add(watch, () => stream.end());
    return stream;
  }

  #add(watch: PersistentWatch, end: () => void): void {
    this.#persistent.set(watch, end);
    this.#watches.addPersistent(watch);
  }

  #drop(watch: PersistentWatch): void {
    this.#persistent.delete(watch);
    this.#watches.removePersistent(watch);
  }

  /** Removes watches on exactly `path`, `any` the persistent ones too. Whether there was one. */
  remove(path: string, kind: WatchKind): boolean {
    let found = false;
    if (kind !== 'children') found = this.#watches.removeOneShot(this.#shots, 'data', path) || found;
    if (kind !== 'data') found = this.#watches.removeOneShot(this.#shots, 'child', path) || found;
    if (kind === 'any') found = this.endPersistent(path) || found;
    return found;
  }

  /** Ends the persistent watches on exactly `path`. Whether there was one. */
  endPersistent(path: string): boolean {
    let found = false;
    for (const [watch, end] of [...this.#persistent]) {
      if (watch.path !== outer(path)) continue;
      end();
      found = true;
    }
    return found;
  }

  /** From now on events are kept back, until {@link release}. */
  hold(): void {
    this.#gate.shut();
  }

  release(): void {
    this.#watches.open(this.#gate);
  }

  /** Ends everything: iterators end after what they still have, callbacks are not called any more. */
  end(): void {
    this.#gate.clear();
    this.#watches.removeOneShots(this.#shots);
    for (const end of [...this.#persistent.values()]) end();
  }
}

/** The two forms of `watch`: with a listener it returns the function that ends it, else an iterator. */
export function watchOf(
  owner: WatchOwner,
  path: string,
  listener: ((event: WatchEvent) => void) | WatchOptions | undefined,
  options: WatchOptions | undefined,
): (() => void) | AsyncIterableIterator<WatchEvent> {
  return typeof listener === 'function' ? owner.listen(path, listener, options) : owner.stream(path, listener);
}
