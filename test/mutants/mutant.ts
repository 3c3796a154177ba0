/** A small deliberate fault in the production code: one piece of text in the place of another. */
export interface Mutant {
  readonly name: string;
  /** The rule that it breaks, for readers. */
  readonly why: string;
  /** From the root of the repository. */
  readonly file: string;
  /** Found exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** The exploration must find it with no more seeds than this, from seed 1. */
  readonly seeds: number;
}
