import type { Mutant } from './mutant.ts';
import { portMutants } from './of-port.ts';
import { protocolMutants } from './of-protocol.ts';
import { sessionMutants } from './of-sessions.ts';
import { storageMutants } from './of-storage.ts';
import { synchronisationMutants } from './of-synchronisation.ts';
import { transportMutants } from './of-transport.ts';
import { treeMutants } from './of-tree.ts';

/** Every mutant. Those that need the most seeds come first, so that none is left running alone at the end. */
export const mutants: readonly Mutant[] = [
  ...protocolMutants,
  ...synchronisationMutants,
  ...sessionMutants,
  ...portMutants,
  ...treeMutants,
  ...storageMutants,
  ...transportMutants,
].sort((a, b) => b.seeds - a.seeds);
