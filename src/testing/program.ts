import type { EnsembleNode } from '../node/api.ts';
import type { Clock } from '../seams/clock.ts';
import type { Chance } from './chance.ts';

/**
 * What code gets that lives in the process of a simulated server. When the process dies the code is gone with it: its promises never settle, not even to run a `finally`.
 */
export interface Program {
  /** The server's id. */
  readonly server: number;
  readonly node: EnsembleNode;
  /** The process's own clock, with its drift and its jumps. */
  readonly clock: Clock;
  /** Resolves after so many ms of that clock. */
  sleep(ms: number): Promise<void>;
  /** Chance that the seed decides; a stream of its own. */
  readonly chance: Chance;
  /** Writes a line into the story of the run. */
  note(text: string): void;
}
