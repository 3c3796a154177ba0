import type { EnsembleNode, EnsembleOptions } from './api.ts';
import { LocalNode } from './ensemble-node.ts';
import { resolveOptions } from './options.ts';
import { Replica } from './replica.ts';

/**
 * Makes a replica from explicit parts, for hosts other than Node and for tests; it does nothing before `start`. Throws a ZabError with code BAD_OPTIONS when an option is out of
 * rule.
 */
export function createNode(options: EnsembleOptions): EnsembleNode {
  const resolved = resolveOptions(options);
  return new LocalNode(resolved, (hooks) => new Replica(resolved, hooks));
}
