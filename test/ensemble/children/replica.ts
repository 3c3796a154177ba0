import { answerCalls } from '../../../examples/support/processes.ts';
import { createEnsembleNode, type EnsembleNode, fileStorage, type ServerSpec } from '../../../src/index.ts';
import { contents, Writer } from '../client.ts';

/* A replica in a process of its own, with a writer on it, steered by the test (see `answerCalls`). */

let node: EnsembleNode;
let writer: Writer | undefined;

const handlers = {
  start: async ({
    id,
    servers,
    dataDir,
    tickTime,
  }: {
    id: number;
    servers: ServerSpec[];
    dataDir: string;
    tickTime: number;
  }): Promise<void> => {
    node = createEnsembleNode({
      id,
      servers,
      tickTime,
      maxSessionTimeout: 60_000,
      storage: fileStorage({ dataDir, preAllocSize: 64 * 1024 }),
    });
    node.on('fatal', (error) => {
      console.error(error);
      process.exit(1);
    });
    await node.start();
  },
  status: () => ({ serving: node.serving, leaderId: node.leaderId, epoch: node.epoch, written: writer?.acknowledged.size ?? 0 }),
  write: ({ name, width }: { name: string; width: number }): void => {
    writer = Writer.on(name, () => node, width);
  },
  /** Ends the writer; what it was told, path by path. */
  written: async (): Promise<[path: string, czxid: string][]> => {
    await writer?.stop();
    return [...(writer?.acknowledged ?? [])];
  },
  sync: async (): Promise<string> => (await node.sync()).toString(),
  tree: (): string[] => contents(node),
  stop: (): Promise<void> => node.stop(),
};
export type ReplicaHandlers = typeof handlers;

answerCalls(handlers);
