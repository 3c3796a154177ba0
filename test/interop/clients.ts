import { answerCalls, tellParent } from '../../examples/support/processes.ts';
import { connect } from '../../src/index.ts';
import { LOAD_PARENTS, Load } from './load.ts';

/* Clients over the wire in a process of their own, steered by the test (see `answerCalls`): killed, it leaves its sessions to expire. */

const loads: Load[] = [];

const handlers = {
  makeParents: async ({ servers }: { servers: string }): Promise<void> => {
    await using session = await connect(servers, { timeout: 10_000 });
    for (const path of LOAD_PARENTS) if ((await session.exists(path)) === null) await session.create(path);
  },
  /** Starts a client. */
  load: ({ client, servers }: { client: string; servers: string }): void => {
    const open = () => connect(servers, { timeout: 6000, openTimeout: 6000 });
    loads.push(new Load(client, open, (note) => tellParent(note)));
  },
  /** Nothing is under way any more when this resolves. */
  pause: async (): Promise<void> => {
    await Promise.all(loads.map((load) => load.pause()));
  },
  resume: (): void => {
    for (const load of loads) load.resume();
  },
  /** Ends the clients and closes their sessions. */
  close: async (): Promise<void> => {
    await Promise.all(loads.splice(0).map((load) => load.close()));
  },
};
export type ClientHandlers = typeof handlers;

answerCalls(handlers);
