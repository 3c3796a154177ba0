/** A rule of this code itself was broken. The node that sees it stops: going on could lose data. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Stops the caller with an {@link InvariantError} when `condition` is false. Stays on in release builds. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}
