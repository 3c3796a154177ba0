/** One test of a conformance suite; it passes if `run` does not fail. */
export interface ConformanceCase {
  readonly name: string;
  run(): Promise<void>;
}

/* What the suites say when something is wrong: plain errors, which every test runner shows. */

export function check(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

/** Compares what two values look like in JSON. */
export function same(actual: unknown, expected: unknown, what: string): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  check(a === b, `${what}: ${a?.slice(0, 400)} instead of ${b?.slice(0, 400)}`);
}

/** Resolves with the error that `promise` has to end with. */
export async function fails(promise: Promise<unknown>, what: string): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    check(error instanceof Error && error.message !== '', `${what} has failed without a reason`);
    return error as Error;
  }
  throw new Error(`${what} should have failed`);
}
