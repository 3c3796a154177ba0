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
  /** The exploration must find it within so many seeds: about three times what it has needed. */
  readonly seeds: number;
  /**
   * The first of these seeds: a better one for a fault that shows only in rare circumstances.
   * @default 1
   */
  readonly from?: number;
}
