import type { ZabConfig } from '../zab/context.ts';
import type { EnsembleConfig } from '../zab/ensemble-config.ts';
import { QuorumRules } from '../zab/quorum.ts';
import type { ResolvedOptions } from './options.ts';

/** What the protocol must know of the node's options. */
export function zabConfigOf(options: ResolvedOptions, ensemble: EnsembleConfig): ZabConfig {
  return {
    id: options.id,
    quorum: new QuorumRules(options.servers.filter((s) => s.role === 'participant')),
    serverIds: new Set(options.servers.map((s) => s.id)),
    tickTime: options.tickTime,
    initTime: options.initTime,
    syncTime: options.syncTime,
    finalizeWait: options.finalizeWait,
    ensemble,
  };
}
