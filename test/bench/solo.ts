import { createEnsembleNode, type EnsembleNode, MemoryNetwork, memoryStorage, type ServerSpec, systemClock } from 'zab-ensemble';
import { answerCalls } from '../../examples/support/processes.ts';
import { fill, Load, type LoadOptions, type LoadResult, prepareZnodes } from './load.ts';
import { Reader, type ReadOptions } from './reader.ts';

/* Measurements within one process: an ensemble on the in-memory network and storage. */

const nodes: EnsembleNode[] = [];
const FOLDER = '/reads';
let reader: Reader | undefined;

const handlers = {
  start: async ({ servers }: { servers: readonly ServerSpec[] }): Promise<void> => {
    const clock = systemClock();
    const network = new MemoryNetwork(clock);
    for (const { id } of servers) {
      nodes.push(createEnsembleNode({ id, servers, clock, transport: network.transport(), storage: memoryStorage() }));
    }
    await Promise.all(nodes.map((node) => node.start()));
  },

  prepareLoad: (): Promise<void> => prepareZnodes(nodes[0]),
  load: async (options: LoadOptions): Promise<LoadResult[]> => {
    const loads = nodes.map((node) => new Load(node));
    await Promise.all(loads.map((load) => load.open()));
    return Promise.all(loads.map((load) => load.run({ ...options, outstanding: Math.round(options.outstanding / nodes.length) })));
  },

  prepareReads: async ({ znodes }: { znodes: number }): Promise<void> => {
    await fill(nodes[0], FOLDER, znodes);
    reader = new Reader(nodes[0].tree, FOLDER, znodes);
  },
  /** getData calls per second. */
  reads: ({ seconds, touch }: ReadOptions): number => {
    if (reader === undefined) throw new Error('no znodes to read');
    return reader.run({ seconds, touch });
  },
  /** Keeps what was read from being optimised away. */
  total: (): number => reader?.total ?? 0,
};
export type SoloHandlers = typeof handlers;

answerCalls(handlers);
