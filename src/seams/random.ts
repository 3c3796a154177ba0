/** Chance: for jitter, session ids and the basic election. Not for secrets. */
export interface Random {
  /** A whole number, 0 <= n < bound; `bound` is 1 .. 2^32. */
  below(bound: number): number;
}
