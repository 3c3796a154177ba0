import { describe, expect, test } from 'vitest';
import { ZabError } from '../../src/model/errors.ts';
import type { EnsembleNode, Session, WatchEvent, Watcher } from '../../src/node/api.ts';
import type { Program } from '../../src/testing/program.ts';
import type { ZnodeData } from '../../src/tree/znode-data.ts';
import { type ClientRunOptions, clientRun, conclude, overlay, withSessions } from './clients-rig.ts';

/*
 * A checker that cannot fail proves nothing. Here something between the clients and a good ensemble breaks one promise each, and the checker of that promise must say so.
 */

/** Runs clients until a rule is broken; its name and what it says. */
async function broken(options: ClientRunOptions, seed = 5): Promise<{ rule: string; what: string }> {
  // One call at a time, unless a test wants otherwise: what stands between takes its time, and answers out of turn would be found first.
  const run = clientRun(seed, { ...options, plan: { pipelined: 0, ...options.plan } });
  const { sim, violations } = run;
  try {
    await sim.start();
    await sim.advance(8000);
    await conclude(run);
  } catch (error) {
    if (violations.length === 0) throw error;
  }
  return violations.length === 0 ? { rule: 'none', what: '' } : violations[0];
}

const session = (change: (session: Session) => Partial<Session>) => ({ between: (node: EnsembleNode) => withSessions(node, change) });

/** Counts calls, and is true from the nth on. */
function from(n: number): () => boolean {
  let count = 0;
  return () => ++count >= n;
}

/** True at the nth call only. */
function nth(n: number): () => boolean {
  let count = 0;
  return () => ++count === n;
}

describe('writes', () => {
  test('one that was acknowledged and not done', async () => {
    const now = nth(20);
    let last: Awaited<ReturnType<Session['setData']>> | undefined;
    const { rule } = await broken(
      session((inner) => ({
        setData: async (...args) => {
          if (last !== undefined && now()) return { ...last, version: last.version + 1 };
          last = await inner.setData(...args);
          return last;
        },
      })),
    );
    expect(rule).toBe('AcknowledgedWrites');
  });

  test('one that was refused and done', async () => {
    const now = nth(20);
    const { rule, what } = await broken(
      session((inner) => ({
        create: async (...args) => {
          const result = await inner.create(...args);
          if (now()) throw new ZabError('NODE_EXISTS', 'a lie');
          return result;
        },
      })),
    );
    expect([rule, what]).toEqual(['AcknowledgedWrites', expect.stringContaining('refused')]);
  });

  test('one that was kept back, as it is said, and done', async () => {
    const now = nth(20);
    const { rule, what } = await broken(
      session((inner) => ({
        setData: async (...args) => {
          const result = await inner.setData(...args);
          if (now()) throw new ZabError('OVERLOADED', 'a lie', 'not-done');
          return result;
        },
      })),
    );
    expect([rule, what]).toEqual(['AcknowledgedWrites', expect.anything()]);
  });

  test('one that was done twice', async () => {
    const now = nth(20);
    const { rule } = await broken(
      session((inner) => ({
        setData: (...args) => {
          if (now()) inner.setData(...args).catch(() => {});
          return inner.setData(...args);
        },
      })),
    );
    expect(rule).toBe('AcknowledgedWrites');
  });

  test('one with another value', async () => {
    const now = from(20);
    const { rule } = await broken(
      session((inner) => ({ setData: (path, data, ...rest) => inner.setData(path, now() ? `${String(data)}!` : data, ...rest) })),
    );
    expect(rule).toBe('AcknowledgedWrites');
  });

  test('a version that was not looked at', async () => {
    const now = from(20);
    const { rule } = await broken(
      session((inner) => ({ delete: (path, options) => inner.delete(path, now() ? { ...options, version: -1 } : options) })),
    );
    expect(rule).toBe('AcknowledgedWrites');
  });

  test('a Stat with a wrong field', async () => {
    const now = nth(20);
    const { rule } = await broken(
      session((inner) => ({
        create: async (...args) => {
          const result = await inner.create(...args);
          return now() ? { ...result, stat: { ...result.stat, cversion: 1 } } : result;
        },
      })),
    );
    expect(rule).toBe('AcknowledgedWrites');
  });
});

describe('calls', () => {
  test('answers in another order', async () => {
    const now = nth(20);
    const { rule } = await broken({
      plan: { pipelined: 1 },
      between: (node, program) =>
        withSessions(node, (inner) => ({
          getData: async (...args) => {
            const result = await inner.getData(...args);
            if (now()) await program.sleep(20);
            return result;
          },
        })),
    });
    expect(rule).toBe('SessionOrder');
  });

  test('writes that overtake each other', async () => {
    const now = nth(5);
    const { rule } = await broken({
      plan: { pipelined: 1, pipeline: 20, aborted: 0 },
      between: (node, program) =>
        withSessions(node, (inner) => ({
          setAcl: async (...args) => {
            if (now()) await program.sleep(30);
            return inner.setAcl(...args);
          },
        })),
    });
    expect(['SessionOrder', 'AcknowledgedWrites']).toContain(rule);
  });

  test('a call that is never answered', async () => {
    const now = nth(20);
    const { rule } = await broken({
      plan: { clientsPerServer: 1 },
      ...session((inner) => ({ setData: (...args) => (now() ? new Promise(() => {}) : inner.setData(...args)) })),
      ensemble: { tickTime: 50 },
    });
    expect(rule).toBe('NoHang');
  });

  test('an error that is none of ours', async () => {
    const now = nth(20);
    const { rule } = await broken(
      session((inner) => ({ exists: (...args) => (now() ? Promise.reject(new TypeError('oops')) : inner.exists(...args)) })),
    );
    expect(rule).toBe('OnlyZabErrors');
  });
});

describe('reads', () => {
  /** Reads of each path that come back once more, much later. */
  function rememberingReads(when: () => boolean): (inner: Session) => Partial<Session> {
    const before = new Map<string, ZnodeData>();
    return (inner) => ({
      getData: async (path, options) => {
        const old = before.get(path);
        const now = await inner.getData(path, options);
        before.set(path, now);
        if (old === undefined || old.stat.mzxid.equals(now.stat.mzxid)) return now;
        return when() ? old : now;
      },
    });
  }

  test('time goes back', async () => {
    const { rule } = await broken(session(rememberingReads(nth(5))));
    expect(['MonotonicReads', 'ReadYourWrites', 'SyncedReads', 'ReadsAreCommitted']).toContain(rule);
  });

  test('a value that never was', async () => {
    const now = nth(20);
    const { rule, what } = await broken(
      session((inner) => ({
        exists: async (...args) => {
          const stat = await inner.exists(...args);
          return stat !== null && now() ? { ...stat, version: stat.version + 1 } : stat;
        },
      })),
    );
    expect([rule, what]).toEqual(['ReadsAreCommitted', expect.stringContaining('never was')]);
  });

  test('a child is missing', async () => {
    const now = nth(5);
    const { rule } = await broken(
      session((inner) => ({
        getChildren: async (...args) => {
          const result = await inner.getChildren(...args);
          return result.children.length > 1 && now() ? { ...result, children: result.children.slice(1) } : result;
        },
      })),
    );
    expect(rule).toBe('ReadsAreCommitted');
  });

  test('a sync that waits for nothing, on a server that lags behind', async () => {
    const lagging = (node: EnsembleNode, program: Program): EnsembleNode =>
      program.server === 1 ? withSessions(node, (inner) => ({ sync: async () => void inner.sync().catch(() => {}) })) : node;
    const { rule } = await broken({ latency: [5, 60], between: lagging });
    expect(rule).toBe('SyncedReads');
  });
});

describe('watches', () => {
  const watching = (change: (deliver: Watcher, event: WatchEvent) => void, recursive: boolean) =>
    session((inner) => ({
      watch: ((path: string, listener: Watcher, options: object) =>
        typeof listener === 'function' && ('recursive' in options && options.recursive) === recursive
          ? inner.watch(path, (event) => change(listener, event), options)
          : inner.watch(path, listener as never, options)) as Session['watch'],
    }));

  test.each([false, true])('an event is lost (recursive: %s)', async (recursive) => {
    const now = nth(5);
    const { rule } = await broken(watching((deliver, event) => now() || deliver(event), recursive));
    expect(rule).toBe('Watches');
  });

  test('an event comes twice', async () => {
    const now = nth(5);
    const { rule } = await broken(
      watching((deliver, event) => {
        deliver(event);
        if (now()) deliver(event);
      }, true),
    );
    expect(rule).toBe('Watches');
  });

  test('an event comes too late', async () => {
    const now = nth(5);
    const late = (node: EnsembleNode, program: Program): EnsembleNode =>
      overlay(node, {
        watch: ((path: string, listener: Watcher, options: object) => {
          const deliver = (event: WatchEvent): void => {
            if (now()) void program.sleep(200).then(() => listener(event));
            else listener(event);
          };
          return node.watch(path, deliver, options);
        }) as EnsembleNode['watch'],
      });
    expect((await broken({ between: late })).rule).toBe('Watches');
  });

  test('an event says another zxid', async () => {
    const now = nth(5);
    const { rule } = await broken(watching((deliver, event) => deliver(now() ? { ...event, zxid: event.zxid.add(1) } : event), true));
    expect(rule).toBe('Watches');
  });
});

describe('one-shot watches', () => {
  const oneShot = (change: (deliver: Watcher, event: WatchEvent) => void) =>
    session((inner) => ({
      getData: (path, options) => {
        const { watch } = options ?? {};
        return inner.getData(path, watch === undefined ? options : { ...options, watch: (event) => change(watch, event) });
      },
    }));

  test('a one-shot watch is never told', async () => {
    const now = nth(5);
    const { rule, what } = await broken(oneShot((deliver, event) => now() || deliver(event)));
    expect([rule, what]).toEqual(['Watches', expect.stringMatching(/one-shot.*was not told/)]);
  });

  test('a one-shot watch is told twice', async () => {
    const now = nth(5);
    const { rule, what } = await broken(
      oneShot((deliver, event) => {
        deliver(event);
        if (now()) deliver(event);
      }),
    );
    expect([rule, what]).toEqual(['Watches', expect.stringMatching(/one-shot/)]);
  });

  test('a one-shot watch is told something else', async () => {
    const now = nth(5);
    const { rule } = await broken(oneShot((deliver, event) => deliver(now() ? { ...event, type: 'created' } : event)));
    expect(rule).toBe('Watches');
  });
});

describe('iterators', () => {
  test('an iterator loses an event and does not say so', async () => {
    const now = nth(5);
    const { rule, what } = await broken(
      session((inner) => ({
        watch: ((path: string, ...rest: [object]) => {
          const stream = inner.watch(path, ...rest) as unknown as AsyncIterableIterator<WatchEvent>;
          if (typeof rest[0] === 'function') return stream;
          return overlay(stream, { next: async () => (now() ? stream.next().then(() => stream.next()) : stream.next()) });
        }) as Session['watch'],
      })),
    );
    expect([rule, what]).toEqual(['Watches', expect.stringMatching(/iterator/)]);
  });

  test('an iterator says that it lost events and did not', async () => {
    const now = nth(5);
    const { rule, what } = await broken(
      session((inner) => ({
        watch: ((path: string, ...rest: [object]) => {
          const stream = inner.watch(path, ...rest) as unknown as AsyncIterableIterator<WatchEvent>;
          if (typeof rest[0] === 'function') return stream;
          const next = async (): Promise<IteratorResult<WatchEvent>> => {
            const { value, done } = await stream.next();
            return !done && now() ? { done, value: { ...value, type: 'overflow' } } : { done, value };
          };
          return overlay(stream, { next });
        }) as Session['watch'],
      })),
    );
    expect([rule, what]).toEqual(['Watches', expect.stringMatching(/iterator.*overflow/)]);
  });
});
