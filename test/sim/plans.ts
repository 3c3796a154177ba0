import type { Chance } from '../../src/testing/chance.ts';
import { FAULT_KINDS, type Fault, type FaultKind, type FaultMix } from '../../src/testing/faults.ts';

/** What plans of faults are drawn for. */
export interface Stage {
  /** Simulated ms. */
  readonly duration: number;
  readonly servers: readonly number[];
  readonly tickTime: number;
  readonly syncLimit: number;
}

/** Draws the faults of a run from one of several kinds of plans: those of chance alone seldom bring together what must come together. `rare` is a stream of its own for the kinds that few runs have. */
export function drawFaultPlan(chance: Chance, rare: Chance, stage: Stage): Fault[] | FaultMix | false {
  if (isLonely(rare)) return drawLonely(rare, stage);
  if (rare.fork('reconnections').chance(0.05)) return drawReconnections(rare, stage);
  return chance.chance(0.2) ? drawDepositions(chance, stage) : drawMix(chance, stage.tickTime);
}

/** Whether the plan is for a leader that alone has clients: the ensemble is then made for that as well. */
export const isLonely = (rare: Chance): boolean => rare.fork('lonely').chance(0.05);

/** Each seed has its own mixture: all kinds at once would let none of them last. */
function drawMix(chance: Chance, tickTime: number): FaultMix | false {
  if (chance.chance(0.05)) return false;
  const kinds = chance.shuffle(FAULT_KINDS).slice(0, chance.between(2, FAULT_KINDS.length));
  return {
    kinds: chance.chance(0.2) ? ['isolate', 'partition', 'crash', 'pause'] : kinds,
    density: chance.pick([2, 8, 20]) * (500 / tickTime),
    longest: chance.pick([10, 40]) * tickTime,
  };
}

const LEADER = { servers: [0], amount: 0, how: '' };

/**
 * Leaders are cut off, or stand still, for longer than the others wait. They have proposals in their logs that nobody else has: such a tail must go when they come back. And what they believe
 * to know is out of date. At times the next leader goes as soon as it has begun, or when the first one comes back.
 */
function drawDepositions(chance: Chance, { duration, servers, tickTime, syncLimit }: Stage): Fault[] {
  const faults: Fault[] = [];
  const kinds = chance.pick<FaultKind[]>([['isolate'], ['pause'], ['isolate', 'pause']]);
  for (let at = 4 * tickTime; at < duration; at += chance.between(10, 20) * tickTime) {
    const ms = chance.between(syncLimit + 1, syncLimit + 6) * tickTime;
    faults.push({ ...LEADER, at, kind: chance.pick(kinds), ms });
    if (chance.chance(0.3)) faults.push({ ...LEADER, at: at + chance.pick([9 * tickTime, ms]), kind: 'crash', ms: tickTime });
    if (!chance.chance(0.5)) continue;
    // It writes its two epochs in ten steps, and then what clients ask for.
    const steps = { amount: chance.between(5, 20), how: 'after process' };
    for (const id of chance.shuffle(servers).slice(0, 2))
      faults.push({ at: at + tickTime, kind: 'crashAtStep', servers: [id], ...steps, ms: chance.between(1, 8) * tickTime });
  }
  return faults;
}

/** A leader is cut off and dies there, so that it comes back with its tail out of its log, perhaps before anything new is committed. */
function drawLonely(chance: Chance, { duration, tickTime, syncLimit }: Stage): Fault[] {
  const faults: Fault[] = [];
  for (let at = chance.between(0, 3) * tickTime; at < duration; at += chance.between(20, 30) * tickTime) {
    const dies = chance.between(tickTime >> 2, syncLimit * tickTime);
    const ms = chance.between(syncLimit + 1, syncLimit + 3) * tickTime;
    faults.push({ ...LEADER, at, kind: 'isolate', ms });
    faults.push({ ...LEADER, at: at + dies, kind: 'crash', ms: ms - dies });
  }
  return faults;
}

/** Followers leave the leader and are back before it could commit what they have acknowledged: links break all the time, and disks are slow. */
function drawReconnections(chance: Chance, { duration, servers, tickTime }: Stage): Fault[] {
  const faults: Fault[] = [];
  for (const id of servers)
    faults.push({ at: 0, kind: 'slowDisk', servers: [id], ms: duration, amount: chance.pick([50, 150, 300]), how: '' });
  for (let at = tickTime; at < duration; at += chance.between(tickTime >> 1, 4 * tickTime))
    faults.push({ at, kind: 'reset', servers: [0, chance.pick(servers)], ms: 0, amount: 0, how: '' });
  return faults;
}
