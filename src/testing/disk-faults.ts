/** The errors that a simulated disk can be made to give. */
export type DiskFault = 'EIO' | 'ENOSPC';

/**
 * When a crash comes, seen from one step. `before`: nothing of it happens. `torn`: of a write a first part happens, which is as durable as the
 * write would have been; of any other step nothing. `after`: all of it happens, but nobody is told.
 */
export type CrashMoment = 'before' | 'torn' | 'after';

/** Names steps: by their line, such as `write /data/version-2/log.100000001`, or by how many steps from now on; 1 is the next one. */
export type StepPattern = RegExp | number;

/** How often each kind of fault has come, and how much was done. */
export interface DiskCounts {
  /** Changes: creates, writes, truncations, syncs, renames, unlinks, new folders. */
  steps: number;
  bytesWritten: number;
  crashes: number;
  EIO: number;
  ENOSPC: number;
  /** Steps that were under way when the machine went down, and happened by a part. */
  torn: number;
  /** Pieces of data and changes of names that a power loss took. */
  lost: number;
  /** Syncs and durable writes that said they were done and were not. */
  lied: number;
  rot: number;
}

interface Failure {
  readonly pattern: RegExp | null;
  /** The first step that it counts for. */
  readonly from: number;
  readonly code: DiskFault;
  left: number;
}

interface Crash {
  readonly pattern: RegExp | null;
  readonly from: number;
  readonly moment: CrashMoment;
  readonly crash: () => void;
}

/** The faults that are ordered from a {@link SimDisk}. */
export class DiskFaults {
  #failures: Failure[] = [];
  #crashes: Crash[] = [];

  failOn(pattern: StepPattern, steps: number, code: DiskFault, times: number): void {
    this.#failures.push({ ...start(pattern, steps), code, left: times });
  }

  crashAt(pattern: StepPattern, steps: number, moment: CrashMoment, crash: () => void): void {
    this.#crashes.push({ ...start(pattern, steps), moment, crash });
  }

  /** Whether the step with this number fails. */
  failure(line: string, step: number): DiskFault | null {
    const failure = this.#failures.find((one) => one.left > 0 && isDue(one, line, step));
    if (failure === undefined) return null;
    failure.left--;
    return failure.code;
  }

  /** The crash that comes at this step, if any. It comes once. */
  takeCrash(line: string, step: number): Crash | null {
    const at = this.#crashes.findIndex((one) => isDue(one, line, step));
    return at < 0 ? null : this.#crashes.splice(at, 1)[0];
  }

  clear(): void {
    this.#failures = [];
    this.#crashes = [];
  }
}

const start = (pattern: StepPattern, steps: number): { pattern: RegExp | null; from: number } =>
  typeof pattern === 'number' ? { pattern: null, from: steps + pattern } : { pattern, from: 0 };

// `search` takes no notice of what a RegExp with the flag g remembers.
const isDue = ({ pattern, from }: { pattern: RegExp | null; from: number }, line: string, step: number): boolean =>
  step >= from && (pattern === null || line.search(pattern) >= 0);
