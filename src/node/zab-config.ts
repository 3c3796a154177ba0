import type { ZabConfig } from '../zab/context.ts';
import type { EnsembleConfig } from '../zab/ensemble-config.ts';
import type { ResolvedOptions } from './options.ts';

/** What the protocol must know of the node's options. */
export function zabConfigOf(options: ResolvedOptions, ensemble: EnsembleConfig): ZabConfig {
  return {
    id: options.id,
    get quorum() {
      return ensemble.quorum;
    },
    get serverIds() {
      return ensemble.ids;
    },
    tickTime: options.tickTime,
    initTime: options.initTime,
    syncTime: options.syncTime,
    finalizeWait: options.finalizeWait,
    ensemble,
  };
}
