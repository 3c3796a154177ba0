import type { SnapshotDigest, SnapshotSource, ZnodeRecord } from '../model/records.ts';
import type { Clock } from '../seams/clock.ts';
import type { Done } from '../seams/storage.ts';
import type { Chance } from './chance.ts';

/** The most znodes that are looked at without a pause. */
const AT_ONCE = 4;

/** What a walk has brought. */
class Walked implements SnapshotSource {
  readonly zxid: SnapshotSource['zxid'];
  readonly head: SnapshotSource['head'];
  readonly znodes: ZnodeRecord[] = [];
  #given = 0;
  #digest: SnapshotDigest | null = null;

  constructor({ zxid, head }: SnapshotSource) {
    this.zxid = zxid;
    this.head = head;
  }

  finish(digest: SnapshotDigest | null): void {
    this.#digest = digest;
  }
  next(limit: number): readonly ZnodeRecord[] {
    const from = this.#given;
    this.#given = Math.min(this.znodes.length, from + limit);
    return this.znodes.slice(from, this.#given);
  }
  digest(): SnapshotDigest | null {
    return this.#digest;
  }
  close(): void {}
}

/**
 * Walks over a small tree as it goes with a large one: with pauses, in which transactions are applied. What comes of it is a fuzzy snapshot, as the store would have made it by itself.
 */
export class SlowWalk {
  readonly #clock: Clock;
  readonly #chance: Chance;
  /** Longest pause, ms. */
  readonly #pause: number;
  /** Gives up the walk that is under way; null when there is none. */
  #giveUp: (() => void) | null = null;

  constructor(clock: Clock, chance: Chance, pause: number) {
    this.#clock = clock;
    this.#chance = chance;
    this.#pause = pause;
  }

  /** Walks, and hands on what has come of it; `done` is told only when that does not come to pass. */
  begin(source: SnapshotSource, handOn: (walked: SnapshotSource) => void, done: Done): void {
    if (this.#pause === 0) return handOn(source);
    const walked = new Walked(source);
    let isOver = false;
    const end = (): void => {
      isOver = true;
      this.#giveUp = null;
      source.close();
    };
    const step = (): void => {
      if (isOver) return;
      const znodes = source.next(this.#chance.between(1, AT_ONCE));
      walked.znodes.push(...znodes);
      if (znodes.length > 0) return this.#later(step);
      walked.finish(source.digest());
      end();
      handOn(walked);
    };
    this.#giveUp = () => {
      end();
      this.#clock.defer(() => done(new Error('the walk over the tree was given up')));
    };
    this.#later(step);
  }

  /** The history under the snapshot changes, or the store is closed. */
  end(): void {
    this.#giveUp?.();
  }

  #later(run: () => void): void {
    this.#clock.setTimer(this.#chance.between(0, this.#pause), run);
  }
}
