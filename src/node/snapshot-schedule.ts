import type { SnapshotSource } from '../model/records.ts';
import type { ResolvedOptions } from './options.ts';

/**
 * When this server writes a snapshot beside its log: after a number of transactions drawn anew each time between half of snapCount and all of it, so that the servers of an
 * ensemble don't all do it at once (PROTOCOL 15). Old snapshots and logs are purged after each, unless all are kept.
 */
export class SnapshotSchedule {
  #since = 0;
  #due: number;
  #running = false;
  readonly #options: ResolvedOptions;
  readonly #open: () => SnapshotSource;

  constructor(options: ResolvedOptions, open: () => SnapshotSource) {
    this.#options = options;
    this.#open = open;
    this.#due = this.#draw();
  }

  /** Transactions that went into the log. */
  logged(count: number): void {
    this.#since += count;
  }

  /** Starts a snapshot if it is time. A failure is logged and tried again later: the log alone has everything. */
  consider(): void {
    if (this.#running || this.#since < this.#due) return;
    const { storage, logger, snapRetainCount, id } = this.#options;
    this.#running = true;
    this.#since = 0;
    this.#due = this.#draw();
    const end = (what: string) => (error: Error | null) => {
      if (error !== null) logger('warn', `${what} failed: ${error.message}`, { server: id });
      return error === null;
    };
    const saved = end('writing a snapshot');
    const purged = end('purging old snapshots');
    storage.saveSnapshot(this.#open(), (error) => {
      if (!saved(error) || snapRetainCount === Number.POSITIVE_INFINITY) {
        this.#running = false;
        return;
      }
      storage.purge(snapRetainCount, (failure) => {
        this.#running = false;
        purged(failure);
      });
    });
  }

  #draw(): number {
    const half = Math.max(1, Math.floor(this.#options.snapCount / 2));
    return half + this.#options.random.below(half);
  }
}
