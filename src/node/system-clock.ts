import type { Clock, TimerHandle } from '../seams/clock.ts';
import type { Random } from '../seams/random.ts';

/** What the host offers to run something after the current turn. */
const host = globalThis as unknown as {
  setImmediate?: (fn: () => void) => unknown;
  MessageChannel?: new () => { port1: { onmessage: (() => void) | null }; port2: { postMessage(message: null): void } };
};

/** What a host waits at most, ms; it would not wait at all for more. */
const LONGEST = 0x7fffffff;

/** A function that runs `fn` after this turn of the event loop, once per call. */
function afterTurn(fn: () => void): () => void {
  if (host.setImmediate !== undefined) {
    const { setImmediate } = host;
    return () => void setImmediate(fn);
  }
  if (host.MessageChannel !== undefined) {
    // A browser delays nested zero timers by 4 ms; a message to oneself comes at once.
    const { port1, port2 } = new host.MessageChannel();
    port1.onmessage = fn;
    return () => port2.postMessage(null);
  }
  return () => void setTimeout(fn, 0);
}

/**
 * The host's time. Calls to `defer` within one turn share one wake-up and run in order; what they defer in turn runs after the event loop has looked at I/O
 * again. A deferred function or a timer that throws does not keep the others from running; the error goes to the host as an uncaught one.
 */
export function systemClock(): Clock {
  let queue: (() => void)[] = [];
  let running: (() => void)[] = [];
  const wake = afterTurn(() => {
    const batch = queue;
    queue = running;
    running = batch;
    let next = 0;
    try {
      while (next < batch.length) batch[next++]();
    } finally {
      if (next < batch.length) {
        queue = batch.slice(next).concat(queue);
        wake();
      } else if (queue.length > 0) {
        wake();
      }
      batch.length = 0;
    }
  });
  return {
    now: () => performance.now(),
    wall: () => Date.now(),
    // One more, because the host counts from the last whole millisecond and may be up to one early.
    setTimer: (ms, fn): TimerHandle => setTimeout(fn, ms > 0 ? Math.min(Math.ceil(ms) + 1, LONGEST) : 0),
    clearTimer: (handle) => clearTimeout(handle as ReturnType<typeof setTimeout>),
    defer(fn) {
      queue.push(fn);
      // While a batch runs, its end wakes the next one.
      if (queue.length === 1 && running.length === 0) wake();
    },
  };
}

/** The host's chance: good enough for jitter and session ids, not for secrets. */
export function systemRandom(): Random {
  return { below: (bound) => Math.floor(Math.random() * bound) };
}
