import type { Chance } from '../chance.ts';

/** Which calls clients make, and how often, as weights. */
export interface Mix {
  readonly register: number;
  readonly multi: number;
  readonly ephemeral: number;
  readonly sequential: number;
  readonly container: number;
  readonly ttl: number;
  readonly acl: number;
  readonly read: number;
  readonly syncedRead: number;
  readonly watch: number;
  readonly nodeSync: number;
}

/** What the clients of a run do. Times in simulated ms, chances from 0 to 1. */
export interface WorkloadPlan {
  /** In each process, those that host no server included. */
  readonly clientsPerServer: number;
  /** How long a client waits between two calls, from and to. */
  readonly pause: readonly [number, number];
  /** Znodes that everybody writes, so that conflicts happen. */
  readonly keys: number;
  readonly mix: Mix;
  /** Bytes of data, usually and sometimes. */
  readonly size: number;
  readonly largeSize: number;
  readonly large: number;
  /** Calls that are made at once, without waiting for each other: at most this many. */
  readonly pipeline: number;
  readonly pipelined: number;
  /** How often a read sets a one-shot watch, and a call has a signal that is aborted soon. */
  readonly oneShot: number;
  readonly aborted: number;
  /** Calls in one session, from and to. */
  readonly sessionCalls: readonly [number, number];
  /** How often a client goes on with a session that somebody else has left, instead of opening one. */
  readonly resumed: number;
  /** How often a client leaves its session to others, instead of closing it. */
  readonly left: number;
  /** Session timeouts, ticks, from and to. */
  readonly timeout: readonly [number, number];
  /** How often a process watches the whole tree by its node. */
  readonly nodeWatch: number;
  /** How often a session over the wire may be served without a quorum, and how often by one server alone. */
  readonly readOnly: number;
  readonly oneServer: number;
}

/** Draws a plan. */
export function drawPlan(chance: Chance): WorkloadPlan {
  const wire = chance.fork('wire');
  const weight = (): number => chance.pick([0, 1, 1, 2, 5]);
  const mix = { register: chance.between(4, 12), read: chance.between(2, 8), syncedRead: chance.between(1, 6), multi: weight() };
  const rest = { ephemeral: weight(), sequential: weight(), container: weight(), ttl: weight(), acl: weight() };
  const slowest = chance.pick([100, 300, 1000]);
  return {
    clientsPerServer: chance.between(1, 3),
    pause: [0, slowest],
    keys: chance.between(1, 5),
    mix: { ...mix, ...rest, watch: weight(), nodeSync: chance.below(2) },
    size: chance.pick([10, 100, 1000]),
    largeSize: chance.pick([5_000, 50_000, 300_000]),
    large: chance.pick([0, 0.005, 0.02]),
    pipeline: chance.pick([2, 5, 20]),
    pipelined: chance.pick([0, 0.05, 0.2]),
    oneShot: chance.pick([0, 0.2, 0.5]),
    aborted: chance.pick([0, 0.02, 0.1]),
    sessionCalls: chance.pick([
      [1, 10],
      [10, 100],
      [100, 1000],
    ]),
    resumed: chance.pick([0, 0.3, 0.8]),
    left: chance.pick([0, 0.2, 0.6]),
    timeout: chance.pick([
      [2, 4],
      [2, 20],
    ]),
    nodeWatch: chance.pick([0, 0.5, 1]),
    readOnly: wire.pick([0, 0.3, 1]),
    oneServer: wire.pick([0, 0.2]),
  };
}
