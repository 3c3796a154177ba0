import { createEnsembleNode, type EnsembleNode, MemoryNetwork, memoryStorage, type ServerSpec, systemClock } from 'zab-ensemble';
import { answerCalls } from '../../examples/support/processes.ts';
import { fill, fillPath, Load, type LoadOptions, type LoadResult, prepareZnodes } from './load.ts';

/* Measurements within one process: an ensemble on the in-memory network and storage. */

const nodes: EnsembleNode[] = [];
const FOLDER = '/reads';
/** Reads between two looks at the clock; a divisor of the number of paths. */
const READ_CHUNK = 10_000;
let paths: string[] = [];
let read = 0;

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

  /** Fills the tree; the paths to be read are strings of their own in a random order. */
  prepareReads: async ({ znodes }: { znodes: number }): Promise<void> => {
    await fill(nodes[0], FOLDER, znodes);
    paths = Array.from({ length: znodes }, (_, i) => fillPath(FOLDER, i));
    for (let i = paths.length - 1; i > 0; i--) {
      const j = Math.floor(Math.random() * (i + 1));
      [paths[i], paths[j]] = [paths[j], paths[i]];
    }
  },
  /** getData calls per second. */
  reads: ({ seconds, touch }: { seconds: number; touch: 'nothing' | 'stat' | 'data' }): number => {
    const { tree } = nodes[0];
    const begin = performance.now();
    let done = 0;
    while (performance.now() - begin < seconds * 1000) {
      const first = done % paths.length;
      for (let i = first; i < first + READ_CHUNK; i++) {
        const znode = tree.getData(paths[i]);
        if (znode === undefined) throw new Error('a znode is missing');
        if (touch === 'data') read += znode.data?.length ?? 0;
        else if (touch === 'stat') read += znode.stat.version;
        else read++;
      }
      done += READ_CHUNK;
    }
    return (done / (performance.now() - begin)) * 1000;
  },
  /** Keeps what was read from being optimised away. */
  total: (): number => read,
};
export type SoloHandlers = typeof handlers;

answerCalls(handlers);
