import type { Clock } from '../seams/clock.ts';

/** Calls `fn` after the caller has returned: by the clock, or, where none has been given yet, by the host. */
export function later(clock: Clock | null, fn: () => void): void {
  if (clock === null) queueMicrotask(fn);
  else clock.defer(fn);
}
