import type { WatchEvent } from './api.ts';
import type { EventSink } from './watches.ts';

/** Events that an iterator keeps for a slow consumer, unless told otherwise. */
export const DEFAULT_CAPACITY = 10_000;

type Next = IteratorResult<WatchEvent, undefined>;

/**
 * A watch as an async iterator. A consumer that falls behind by more than `capacity` events loses all of them and gets one `overflow` event in their
 * place: whatever it reads after that is newer than the lost events, and what follows is complete again.
 */
export class WatchStream implements AsyncIterableIterator<WatchEvent, undefined>, EventSink {
  readonly #path: string;
  readonly #capacity: number;
  readonly #onEnd: () => void;
  readonly #events: WatchEvent[] = [];
  /** Events before this index have been taken. */
  #taken = 0;
  /** Calls of `next` that wait for an event; only ever non-empty while there is none. */
  #waiting: ((next: Next) => void)[] = [];
  #ended = false;

  /** `onEnd` is called once, when the stream ends for whatever reason. */
  constructor(path: string, capacity: number, onEnd: () => void) {
    this.#path = path;
    this.#capacity = capacity;
    this.#onEnd = onEnd;
  }

  get ended(): boolean {
    return this.#ended;
  }

  deliver(event: WatchEvent): void {
    if (this.#ended) return;
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) return waiting({ done: false, value: event });
    if (this.#events.length - this.#taken < this.#capacity) {
      this.#events.push(event);
      return;
    }
    this.#events.length = 0;
    this.#taken = 0;
    this.#events.push({ type: 'overflow', path: this.#path, zxid: event.zxid });
  }

  next(): Promise<Next> {
    if (this.#taken < this.#events.length) return Promise.resolve({ done: false, value: this.#take() });
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #take(): WatchEvent {
    const event = this.#events[this.#taken++];
    if (this.#taken === this.#events.length) {
      this.#events.length = 0;
      this.#taken = 0;
    } else if (this.#taken >= 1024 && this.#taken * 2 >= this.#events.length) {
      this.#events.splice(0, this.#taken);
      this.#taken = 0;
    }
    return event;
  }

  /** No more events come; what is there can still be taken. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnd();
    for (const waiting of this.#waiting.splice(0)) waiting({ done: true, value: undefined });
  }

  /** Ends the watch and drops what was not taken: the consumer has left its loop. */
  return(): Promise<Next> {
    this.#events.length = 0;
    this.#taken = 0;
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  throw(error: unknown): Promise<Next> {
    void this.return();
    return Promise.reject(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
