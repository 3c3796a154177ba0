import type { Shown } from './player.ts';
import type { Step } from './steps.ts';
import type { Plain } from './view.ts';

/** Something in which a server of ours answers otherwise than Apache ZooKeeper 3.8.0, on purpose. */
export interface Difference {
  readonly what: string;
  readonly why: string;
  /** Whether it is all that tells `expected` from `found`. */
  explains(at: Step | string, expected: Shown | Plain, found: Shown | Plain): boolean;
}

export const DIFFERENCES: readonly Difference[] = [
  {
    what: 'the data of /zookeeper/config',
    why: 'a standalone ZooKeeper has no members to write there; ours is an ensemble, of one at least',
    explains: (at) => at === 'znode /zookeeper/config',
  },
];

export const explain = (at: Step | string, expected: Shown | Plain, found: Shown | Plain): Difference | undefined =>
  DIFFERENCES.find((difference) => difference.explains(at, expected, found));
