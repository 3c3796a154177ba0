import { monitorEventLoopDelay } from 'node:perf_hooks';
import { answerCalls } from '../../examples/support/processes.ts';
import { ReplicaProcess } from '../../examples/support/replica.ts';
import { fill, Load, type LoadOptions, type LoadResult, prepareZnodes, SteadyWriter } from './load.ts';

/* One replica of the bench, in a process of its own, with the clients that use it. */

const replica = new ReplicaProcess();
const PROBE_RESOLUTION = 1;
const delays = monitorEventLoopDelay({ resolution: PROBE_RESOLUTION });
let load: Load | undefined;
let writer: SteadyWriter | undefined;

const handlers = {
  ...replica.handlers,

  prepare: (): Promise<void> => prepareZnodes(replica.node),
  openClients: async (): Promise<void> => {
    load = new Load(replica.node);
    await load.open();
  },
  load: (options: LoadOptions): Promise<LoadResult> => {
    if (load === undefined) throw new Error('no clients');
    return load.run(options);
  },

  fill: ({ parent, znodes }: { parent: string; znodes: number }): Promise<void> => fill(replica.node, parent, znodes),

  startWriter: async ({ outstanding, pausePerWrite }: { outstanding: number; pausePerWrite: number }): Promise<void> => {
    writer = new SteadyWriter(await replica.node.openSession({ timeout: 30_000 }));
    writer.start(outstanding, pausePerWrite);
  },
  written: (): number => writer?.acknowledged ?? 0,
  /** The longest wait of the writer between two acknowledgements since the last question, ms. */
  longestWait: (): number => writer?.takeLongestWait() ?? 0,
  stopWriter: async (): Promise<void> => {
    await writer?.stop();
    await writer?.session.close();
  },

  /** The longest pause of this process's event loop since the last question, ms; the first one starts the probe. */
  longestPause: (): number => {
    delays.enable();
    const longest = delays.max / 1e6 - PROBE_RESOLUTION;
    delays.reset();
    return Math.max(0, longest);
  },

  /** Bytes of live heap and buffers after a full collection; needs --expose-gc. */
  liveBytes: (): number => {
    const { gc } = globalThis;
    if (gc === undefined) throw new Error('start the process with --expose-gc');
    gc();
    gc();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  },
};
export type BenchHandlers = typeof handlers;

answerCalls(handlers);
