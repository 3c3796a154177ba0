import { type EnsembleNode, formatZxid, type Session, ZabError } from 'zab-ensemble';
import { answerCalls, tellParent } from '../../examples/support/processes.ts';
import { ReplicaProcess } from '../../examples/support/replica.ts';

/* One replica of the soak, in a process of its own, with clients that write to it until they are told to stop. */

/** What the parent hears of a path: the czxid of an acknowledged create, that a delete was sent, that it was acknowledged. */
export type Acknowledged = readonly [path: string, czxid: string | 'deleting' | 'deleted'];

const replica = new ReplicaProcess();
let stopping = false;
let clients: Promise<void>[] = [];
let told: Acknowledged[] = [];

function tell(...what: Acknowledged): void {
  // In one message per turn, sent before anything else can happen.
  if (told.length === 0) queueMicrotask(flush);
  told.push(what);
}

function flush(): void {
  tellParent(told);
  told = [];
}

/** Creates znodes of several sizes and modes, and deletes some of them again. */
async function write(node: EnsembleNode, prefix: string): Promise<void> {
  let session: Session | undefined;
  for (let n = 1; !stopping; n++) {
    try {
      if (session === undefined || session.state === 'expired' || session.state === 'closed') session = await node.openSession();
      const path = `${prefix}-${n}`;
      if (n % 7 === 0) {
        await session.create(path, 'mine', { mode: 'ephemeral' });
        continue;
      }
      const { stat } = await session.create(path, 'x'.repeat(n % 200));
      tell(path, formatZxid(stat.czxid));
      if (n % 11 !== 0) continue;
      tell(path, 'deleting');
      await session.delete(path);
      tell(path, 'deleted');
    } catch (error) {
      if (!(error instanceof ZabError) || !['CONNECTION_LOSS', 'SESSION_EXPIRED', 'NODE_STOPPED'].includes(error.code)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

/** What is in the tree, and the transaction up to which. */
export interface Contents {
  readonly zxid: string;
  readonly znodes: readonly string[];
}

/** Everything in the tree that is replicated, Stat fields too, as one text per znode. */
function contents({ tree }: EnsembleNode): string[] {
  const out: string[] = [];
  for (const [path, { octets, stat }] of tree.walk('/')) {
    if (!path.startsWith('/zookeeper/')) out.push(JSON.stringify([path, octets, stat]));
  }
  return out.sort();
}

const handlers = {
  ...replica.handlers,

  write: ({ count }: { count: number }): void => {
    clients = Array.from({ length: count }, (_, k) => write(replica.node, `/${process.pid}-${Date.now()}-${k}`));
  },
  stopWriting: async (): Promise<void> => {
    stopping = true;
    await Promise.all(clients);
  },
  contents: (): Contents => ({ zxid: formatZxid(replica.node.tree.lastZxid), znodes: contents(replica.node) }),
};
export type SoakHandlers = typeof handlers;

answerCalls(handlers);
