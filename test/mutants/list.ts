import type { Mutant } from './mutant.ts';

export const mutants: readonly Mutant[] = [
  {
    name: 'acknowledge before fsync',
    why: 'a follower may acknowledge a proposal only when it is durable',
    file: 'src/node/replica.ts',
    find: 'next !== undefined && next.seq <= this.#durableSeq',
    replace: 'next !== undefined',
    seeds: 10,
  },
];
