import { createEnsembleNode, type EnsembleNode, formatZxid, type NodeOptions, type Role, type ServerSpec } from 'zab-ensemble';
import { sharedNow } from './processes.ts';

/** What a replica process is told at its start. */
export interface StartOptions {
  readonly id: number;
  readonly servers: readonly ServerSpec[];
  readonly dataDir: string;
  /** What else the replica shall be made with. */
  readonly options?: Partial<Omit<NodeOptions, 'id' | 'servers' | 'dataDir'>>;
}

export interface Status {
  readonly role: Role;
  readonly leaderId: number | undefined;
  readonly epoch: number;
  readonly serving: boolean;
  readonly nodeCount: number;
  readonly lastZxid: string;
  readonly metrics: Readonly<Record<string, number>>;
}

/** The replica of this process and the calls that every replica process answers (see `processes.ts`). */
export class ReplicaProcess {
  #node: EnsembleNode | undefined;
  /** When this replica heard of each leader; for how long an ensemble had none. */
  readonly #leaders: { leader: number; at: number }[] = [];

  get node(): EnsembleNode {
    if (this.#node === undefined) throw new Error('the replica has not been started');
    return this.#node;
  }

  readonly handlers = {
    start: async (options: StartOptions): Promise<void> => {
      const { options: rest, ...place } = options;
      const node = createEnsembleNode({ ...rest, ...place });
      this.#node = node;
      node.on('leader', (leader) => {
        if (leader !== undefined) this.#leaders.push({ leader, at: sharedNow() });
      });
      node.on('fatal', (error) => {
        console.error(`replica ${options.id} has stopped:`, error);
        process.exit(1);
      });
      await node.start();
    },

    status: (): Status => {
      const { role, leaderId, epoch, serving, tree } = this.node;
      return {
        role,
        leaderId,
        epoch,
        serving,
        nodeCount: tree.nodeCount,
        lastZxid: formatZxid(tree.lastZxid),
        metrics: this.node.metrics(),
      };
    },

    /** When this replica first heard of a leader other than `old`, after the time `since`; undefined when it has not yet. */
    newLeader: (query: { old: number; since: number }): { leader: number; at: number } | undefined =>
      this.#leaders.find(({ leader, at }) => leader !== query.old && at >= query.since),

    /** Brings the replica up to what is committed now; the zxid reached. */
    sync: async (): Promise<string> => formatZxid(await this.node.sync()),

    stop: (): Promise<void> => this.node.stop(),
  };
}
