import PQueue from 'p-queue';
import type { SnapshotSource } from '../model/records.ts';
import type { Clock } from '../seams/clock.ts';
import type { QuorumLink } from '../seams/transport.ts';
import { Packet } from '../zab/messages.ts';

/** Znodes sent in one turn: about a millisecond of work. */
const SLICE = 500;
/** The stream waits while the link holds more bytes than this. */
const HIGH_WATER = 1 << 20;

/** What a stream tells the replica. */
export interface StreamHost {
  /** A slice has left: the learner is slow, perhaps, but it lives. */
  streamProgress(link: QuorumLink): void;
  streamDone(link: QuorumLink): void;
  streamFailed(link: QuorumLink, error: unknown): void;
}

/**
 * Streams the tree to learners, a few at a time, each slice by slice: neither the event loop nor another learner waits for a slow one (fault 3531).
 */
export class SnapshotStreams {
  readonly #queue: PQueue;
  readonly #active = new Map<QuorumLink, { wake: () => void; cancelled: boolean }>();

  constructor(
    concurrency: number,
    readonly clock: Clock,
    readonly host: StreamHost,
  ) {
    this.#queue = new PQueue({ concurrency });
  }

  start(link: QuorumLink, open: () => SnapshotSource): void {
    const state = { wake: () => {}, cancelled: false };
    this.#active.set(link, state);
    const run = async () => {
      if (state.cancelled) return;
      const source = open();
      try {
        link.send({ type: Packet.SNAPSHOT_HEAD, head: source.head });
        for (let nodes = source.next(SLICE); nodes.length > 0; nodes = source.next(SLICE)) {
          link.send({ type: Packet.SNAPSHOT_NODES, nodes });
          await new Promise<void>((resolve) => {
            state.wake = resolve;
            if (link.buffered <= HIGH_WATER) this.clock.defer(resolve);
          });
          if (state.cancelled) return;
          this.host.streamProgress(link);
        }
        link.send({ type: Packet.SNAPSHOT_END });
      } finally {
        source.close();
      }
      this.#active.delete(link);
      this.host.streamDone(link);
    };
    this.#queue.add(run).catch((error: unknown) => this.host.streamFailed(link, error));
  }

  /** The link has room again. */
  drained(link: QuorumLink): void {
    this.#active.get(link)?.wake();
  }

  /** The link is gone: its stream ends. */
  cancel(link: QuorumLink): void {
    const state = this.#active.get(link);
    if (state === undefined) return;
    this.#active.delete(link);
    state.cancelled = true;
    state.wake();
  }

  cancelAll(): void {
    for (const link of [...this.#active.keys()]) this.cancel(link);
  }
}
