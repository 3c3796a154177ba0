import type { Answer } from './driver.ts';
import type { CuttingProxy } from './proxy.ts';

/** What a chapter of the script works with. */
export interface Run {
  /** The znode under which all happens. */
  readonly root: string;
  /** Stands in front of server 0. */
  readonly proxy: CuttingProxy;
  /** Connect string of server `k`, modulo their number, or of all. */
  hosts(k?: number): string;
  /** Connect string that goes through the proxy. */
  readonly proxied: string;
  /** Has the driver carry out a command and records its answer. */
  step(verb: string, ...args: string[]): Promise<Answer>;
  /** The same, until `isDone` says so of the answer; only that one is recorded. */
  until(isDone: (answer: Answer) => boolean, verb: string, ...args: string[]): Promise<Answer>;
}

export interface Chapter {
  readonly name: string;
  readonly play: (run: Run) => Promise<void>;
}

export const OPEN = '31:world:anyone';
/** A last field of `events`: the ephemerals of a session are deleted in no promised order. */
export const ANY_ORDER = 'in any order';
/** Long enough that no pause of the machine ends a session, and what the servers of the matrix grant at most, ms. */
export const LONG = '10000';
/** For sessions that are to expire, ms: longer than a machine may stand still for. */
export const SHORT = '2000';

/** A text as drivers take data. */
export const data = (text: string): string => Buffer.from(text).toString('hex');

export const isGone = ({ stat, error }: Answer): boolean => error === -101 || stat === null;
