import { appendFileSync } from 'node:fs';
import Long from 'long';
import { answerCalls, tellParent } from '../../examples/support/processes.ts';
import { createEnsembleNode, type EnsembleNode, type NodeOptions } from '../../src/index.ts';
import { Load } from './load.ts';

/* One of our replicas in a process of its own, steered by the test (see `answerCalls`), with clients in this process beside those of its client port. */

export type HostOptions = Omit<NodeOptions, 'logger' | 'transport' | 'storage' | 'clock' | 'random' | 'sockets'> & {
  readonly logFile: string;
};

let node: EnsembleNode;
const loads: Load[] = [];

const handlers = {
  /** Begins the replica; four-letter words tell when it serves. */
  start: ({ logFile, configVersion, ...options }: HostOptions): void => {
    const write = (level: string, text: string): void => appendFileSync(logFile, `${new Date().toISOString()} ${level} ${text}\n`);
    node = createEnsembleNode({
      ...options,
      // It has come as JSON.
      ...(configVersion === undefined ? {} : { configVersion: Long.fromValue(configVersion, true) }),
      logger: (level, text, fields) => write(level, fields?.reason === undefined ? text : `${text} (${fields.reason})`),
    });
    node.on('fatal', (error) => {
      write('FATAL', String(error.stack));
      process.exit(1);
    });
    // A start that fails ends the process, as above.
    node.start().catch(() => {});
  },
  metrics: () => node.metrics(),
  /** Starts a client of this process. */
  load: ({ client }: { client: string }): void => {
    loads.push(new Load(client, () => node.openSession({ timeout: 6000 }), tellParent));
  },
  pause: async (): Promise<void> => {
    await Promise.all(loads.map((load) => load.pause()));
  },
  resume: (): void => {
    for (const load of loads) load.resume();
  },
  close: async (): Promise<void> => {
    await Promise.all(loads.splice(0).map((load) => load.close()));
  },
};
export type HostHandlers = typeof handlers;

answerCalls(handlers);
