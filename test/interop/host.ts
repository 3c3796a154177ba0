import { appendFileSync } from 'node:fs';
import { answerCalls, tellParent } from '../../examples/support/processes.ts';
import { createEnsembleNode, type EnsembleNode, type NodeOptions } from '../../src/index.ts';
import { LOAD_PARENTS, Load, type Note } from './load.ts';

/* One of our replicas in a process of its own, steered by the test (see `answerCalls`). Sessions in this process put it to use. */

/** What a client of this process tells its test. */
export interface HostNote {
  readonly client: string;
  readonly note: Note;
}

export type HostOptions = Omit<NodeOptions, 'logger' | 'transport' | 'storage' | 'clock' | 'random'> & { readonly logFile: string };

let node: EnsembleNode;
const loads = new Map<string, Load>();

const handlers = {
  /** Resolves when the replica has begun; `status` tells when it serves. */
  start: ({ logFile, ...options }: HostOptions): void => {
    const logger: NodeOptions['logger'] = (level, text, fields) => {
      const reason = fields?.reason === undefined ? '' : ` (${fields.reason})`;
      appendFileSync(logFile, `${new Date().toISOString()} ${level} ${text}${reason}\n`);
    };
    node = createEnsembleNode({ ...options, logger });
    node.on('fatal', (error) => {
      appendFileSync(logFile, `${new Date().toISOString()} FATAL ${error.stack}\n`);
      process.exit(1);
    });
    // How the start ends shows in `status`, and a failure in the exit.
    node.start().catch(() => {});
  },
  status: () => ({
    role: node.role,
    serving: node.serving,
    leaderId: node.leaderId,
    epoch: node.epoch,
    zxid: node.tree.lastZxid.toString(),
  }),
  metrics: () => node.metrics(),
  makeParents: async (): Promise<void> => {
    await using session = await node.openSession();
    for (const path of LOAD_PARENTS) if ((await session.exists(path)) === null) await session.create(path);
  },
  load: ({ client }: { client: string }): void => {
    const load = new Load(
      client,
      () => node.openSession({ timeout: 20_000 }),
      (note) => tellParent({ client, note } satisfies HostNote),
    );
    loads.set(client, load);
  },
  pauseLoads: async (): Promise<void> => {
    await Promise.all([...loads.values()].map((load) => load.pause()));
  },
  resumeLoads: (): void => {
    for (const load of loads.values()) load.resume();
  },
  stopLoads: async ({ how }: { how: 'close' | 'leave' }): Promise<void> => {
    await Promise.all([...loads.values()].map((load) => load.stop(how)));
    loads.clear();
  },
  sync: async (): Promise<string> => (await node.sync()).toString(),
  /** The tree as dump.py prints it, read in this process. */
  dump: (): string[] => {
    const lines: string[] = [];
    for (const [path, { data, stat }] of node.tree.walk('/')) {
      const acl = node.tree.getAcl(path)?.acl.map(({ perms, scheme, id }) => [perms, scheme, id]);
      const fields = Object.entries(stat).map(([name, value]) => [name, String(value)]);
      lines.push(JSON.stringify([path, data === null ? null : Buffer.from(data).toString('base64'), Object.fromEntries(fields), acl]));
    }
    return lines.sort();
  },
  stop: (): Promise<void> => node.stop(),
};
export type HostHandlers = typeof handlers;

answerCalls(handlers);
