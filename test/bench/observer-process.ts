import { answerCalls } from '../../examples/support/processes.ts';
import { ReplicaProcess, type StartOptions } from '../../examples/support/replica.ts';
import { monotonicNow } from './observer-clock.ts';
import { Reader, type ReadOptions } from './reader.ts';

/* The observer of the bench, in a process of its own. */

const replica = new ReplicaProcess();
let reader: Reader | undefined;
/** When each number was first there to be read. */
let seen: [number: number, at: number][] = [];

const handlers = {
  ...replica.handlers,

  /** Joins the ensemble; gives the time from `start()` until it serves, ms. */
  join: async (options: StartOptions): Promise<number> => {
    const begin = monotonicNow();
    await replica.handlers.start(options);
    return monotonicNow() - begin;
  },

  prepareReads: ({ parent, znodes }: { parent: string; znodes: number }): void => {
    reader = new Reader(replica.node.tree, parent, znodes);
  },
  /** getData calls per second. */
  reads: (options: ReadOptions): number => {
    if (reader === undefined) throw new Error('no znodes to read');
    return reader.run(options);
  },
  total: (): number => reader?.total ?? 0,

  /** Notes from now on when a number that is written to `path` can be read from the tree. */
  follow: ({ path }: { path: string }): void => {
    const { node } = replica;
    node.watch(path, () => {
      const number = Number(node.tree.getData(path)?.text());
      seen.push([number, monotonicNow()]);
    });
  },
  takeSeen: (): [number: number, at: number][] => {
    const taken = seen;
    seen = [];
    return taken;
  },

  /** Bytes, after a full collection; needs --expose-gc. */
  memory: (): { live: number; resident: number } => {
    const { gc } = globalThis;
    if (gc === undefined) throw new Error('start the process with --expose-gc');
    gc();
    gc();
    const { heapUsed, external, rss } = process.memoryUsage();
    return { live: heapUsed + external, resident: rss };
  },
};
export type ObserverHandlers = typeof handlers;

answerCalls(handlers);
