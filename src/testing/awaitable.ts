import { EventEmitter } from 'eventemitter3';
import type { Kernel } from './kernel.ts';
import type { Machine } from './machine.ts';
import { whoIs } from './trace.ts';

/** The process whose node or session was asked has died, so nobody will ever answer. What became of a write is unknown, as with any lost connection. */
export class ProcessDied extends Error {
  override readonly name = 'ProcessDied';
  readonly code = 'PROCESS_DIED';
  readonly outcome = 'unknown';

  /** @param server its id, or that of a client */
  constructor(readonly server: number) {
    super(`the process of ${whoIs(server)} died before it could answer; the outcome is unknown`);
  }
}

/**
 * The same object for code outside of the simulated processes, such as a test: while a promise of it is awaited the simulation runs, and it rejects with {@link ProcessDied} when the
 * process dies. What its methods give is made awaitable too: sessions, async iterators.
 */
export function awaitable<T extends object>(target: T, kernel: Kernel, machine: Machine): T {
  const known = new WeakMap<object, object>();
  const { life } = machine;

  const wait = (promise: Promise<unknown>): Promise<unknown> => {
    if (machine.life !== life) {
      // What the dead node says is nobody's business, and an error that nobody hears ends the host.
      promise.catch(() => {});
      return Promise.reject(new ProcessDied(machine.id));
    }
    let died = (): void => {};
    const death = new Promise<never>((_, reject) => {
      died = () => reject(new ProcessDied(machine.id));
      machine.onKill.add(died);
    });
    const settled = Promise.race([promise, death]).finally(() => machine.onKill.delete(died));
    return kernel.keepRunning(settled).then(wrap);
  };

  const wrap = (value: unknown): unknown => {
    if (value instanceof Promise) return wait(value);
    if (typeof value !== 'object' || value === null || !isActive(value)) return value;
    let outer = known.get(value);
    if (outer === undefined) {
      outer = proxy(value);
      known.set(value, outer);
    }
    return outer;
  };

  const proxy = <O extends object>(inner: O): O =>
    new Proxy(inner, {
      get(_, key) {
        const value: unknown = Reflect.get(inner, key, inner);
        if (typeof value === 'function') return (...args: unknown[]) => wrap(Reflect.apply(value, inner, args));
        // A promise that is a property, such as `closed`, is no wish to wait for it.
        return value instanceof Promise ? value : wrap(value);
      },
    });

  const outer = proxy(target);
  known.set(target, outer);
  return outer;
}

/** Whether an object has promises to give: nodes, sessions, the tree reader, async iterators. */
function isActive(value: object): boolean {
  return value instanceof EventEmitter || 'reached' in value || Symbol.asyncIterator in value;
}
