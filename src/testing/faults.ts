import type { Chance } from './chance.ts';
import { FIRST_CLIENT, whoIs } from './trace.ts';

/**
 * The faults that can be drawn:
 * - crash: a process is killed and started again; powerLoss: with its machine; crashAtStep: at one single step of its disk; crashAll: everybody at once
 * - restartNode: the node is stopped in good order and started again in the same process
 * - pause: an event loop stands still
 * - partition, oneWay, isolate: what is sent is held up; reset: connections break, in the middle of a frame; loss: lost packets, so late data
 * - slowLink, slowReader, slowDisk
 * - diskError: one operation fails with EIO or ENOSPC; diskFull: all writes for a while
 * - lyingDisk: syncs that do nothing, then a power loss; bitRot: one bit of what is stored flips while the server is down
 * - clockJump: the wall clock; clockDrift: the monotonic one
 * - lookupFailure: a host name cannot be resolved
 */
export const FAULT_KINDS = [
  'crash',
  'powerLoss',
  'crashAtStep',
  'crashAll',
  'restartNode',
  'pause',
  'partition',
  'oneWay',
  'isolate',
  'reset',
  'loss',
  'slowLink',
  'slowReader',
  'slowDisk',
  'diskError',
  'diskFull',
  'lyingDisk',
  'bitRot',
  'clockJump',
  'clockDrift',
  'lookupFailure',
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

/** Those that can hit a client as well. */
const CLIENT_KINDS: readonly FaultKind[] = [
  'crash',
  'powerLoss',
  'pause',
  'partition',
  'oneWay',
  'isolate',
  'reset',
  'loss',
  'slowLink',
  'slowReader',
  'clockJump',
  'clockDrift',
];

/** One fault to come: plain data, so that a plan can be kept, thinned out and used again. */
export interface Fault {
  /** Simulated ms since the plan's beginning. */
  readonly at: number;
  readonly kind: FaultKind;
  /**
   * Whom it hits: the server, or one side of a partition, or the two ends of a link; 0 is whoever leads in that moment, -1 is the first client that there is then, -2 the second, and so on around. The other side of a
   * partition are the servers that are not named.
   */
  readonly servers: readonly number[];
  /** How long it lasts, or the process stays down, ms. @default 1000 */
  readonly ms?: number;
  /**
   * - crashAtStep, diskError: which step of the disk from then on; @default 1
   * - crashAll: ms between the starts of two servers; @default 0
   * - clockJump: ms, back if negative; @default 5000
   * - clockDrift: speed of the clock in parts per thousand of the true one; @default 1100
   * - loss: percent; @default 10
   * - slowLink, slowReader: bytes per ms; @default 10
   * - slowDisk: the longest time that a sync takes, ms; @default 50
   */
  readonly amount?: number;
  /**
   * - crashAtStep: `before`, `torn` or `after`, then `process` or `power`; @default 'before process'
   * - diskError: `EIO` or `ENOSPC`; @default 'EIO'
   * - crashAll: `process` or `power`; @default 'process'
   * - oneWay: `from` holds up what those named send, `to` what they are sent; @default 'from'
   */
  readonly how?: string;
}

/** A fault of which nothing is left open. */
export type WholeFault = Required<Fault>;

const AMOUNTS: Partial<Record<FaultKind, number>> = {
  crashAtStep: 1,
  diskError: 1,
  clockJump: 5000,
  clockDrift: 1100,
  loss: 10,
  slowLink: 10,
  slowReader: 10,
  slowDisk: 50,
};
/** Which ways there are; the first is the default. */
const WAYS: Partial<Record<FaultKind, readonly string[]>> = {
  crashAtStep: ['before', 'torn', 'after'].flatMap((when) => [`${when} process`, `${when} power`]),
  diskError: ['EIO', 'ENOSPC'],
  crashAll: ['process', 'power'],
  oneWay: ['from', 'to'],
};

/** Fills in what a plan has left open. Throws a RangeError for a fault that cannot be. */
export function wholeFault(fault: Fault, servers: readonly number[]): WholeFault {
  const { at, kind, ms = 1000, amount = AMOUNTS[kind] ?? 0, how = WAYS[kind]?.[0] ?? '' } = fault;
  const refuse = (what: string): never => {
    throw new RangeError(`fault ${JSON.stringify(fault)}: ${what}`);
  };
  if (!FAULT_KINDS.includes(kind)) refuse(`there is no such kind, only ${FAULT_KINDS.join(', ')}`);
  if (!(at >= 0 && ms >= 0)) refuse('at and ms must be 0 or more');
  const isMachine = (id: number): boolean => id === 0 || servers.includes(id) || (Number.isSafeInteger(id) && id < 0);
  if (fault.servers.length === 0 || !fault.servers.every(isMachine))
    refuse(`servers must name some of ${servers}, or 0 for the leader, or a client by a negative number`);
  if (fault.servers.some((id) => id < 0) && !CLIENT_KINDS.includes(kind)) refuse(`a client can only be hit by ${CLIENT_KINDS.join(', ')}`);
  if (WAYS[kind] !== undefined && !WAYS[kind].includes(how)) refuse(`how must be one of ${WAYS[kind].join(', ')}`);
  return { at, kind, servers: fault.servers, ms, amount, how };
}

/** What plans of faults are drawn from. */
export interface FaultMix {
  /** Kinds to draw from. @default all */
  readonly kinds?: readonly FaultKind[];
  /** Faults in ten simulated seconds, on average. @default 5 */
  readonly density?: number;
  /** The longest that one fault lasts, ms. @default 5000 */
  readonly longest?: number;
  /** So many faults more hit clients if there are any, as a part of `density`. @default 0.5 */
  readonly clients?: number;
}

/** Draws the faults of `duration` ms, in the order of time, for an ensemble with so many clients. */
export function drawFaults(chance: Chance, servers: readonly number[], duration: number, mix: FaultMix = {}, clients = 0): WholeFault[] {
  const { kinds = FAULT_KINDS, density = 5, longest = 5000 } = mix;
  const count = Math.round((duration * density) / 10_000);
  const faults = Array.from({ length: count }, () => drawOne(chance, servers, duration, kinds, longest));
  const forClients = kinds.filter((kind) => CLIENT_KINDS.includes(kind));
  if (clients > 0 && forClients.length > 0) {
    const more = chance.fork('clients');
    for (let i = Math.round(count * (mix.clients ?? 0.5)); i > 0; i--) {
      const fault = drawOne(more, servers, duration, forClients, longest);
      faults.push({ ...fault, ...aimAtClient(more, fault, -more.between(1, clients), servers) });
    }
  }
  return faults.sort((a, b) => a.at - b.at);
}

/** Makes a client the target of a fault: alone, or at the end of a link, or with some servers on its side. */
function aimAtClient(chance: Chance, { kind }: WholeFault, client: number, servers: readonly number[]): Partial<WholeFault> {
  switch (kind) {
    case 'reset':
    case 'loss':
    case 'slowLink':
      return { servers: [client, chance.pick(servers)] };
    case 'partition':
      return { servers: [client, ...chance.shuffle(servers).slice(0, chance.below(servers.length))] };
    case 'oneWay':
      return { servers: [client], how: chance.pick(['from', 'to']) };
    default:
      return { servers: [client] };
  }
}

function drawOne(chance: Chance, servers: readonly number[], duration: number, kinds: readonly FaultKind[], longest: number): WholeFault {
  const kind = chance.pick(kinds);
  const at = chance.below(Math.max(1, duration));
  // Short ones are more frequent: a fault that comes in the middle of something is worth more than one that outlasts everything.
  const ms = chance.between(1, Math.max(1, chance.pick([10, 100, 500, longest])));
  return { at, kind, ms, servers: drawServers(chance, servers, kind), ...drawDetail(chance, kind) };
}

function drawServers(chance: Chance, servers: readonly number[], kind: FaultKind): number[] {
  // Who leads matters most, and is hit more often than the others.
  const mixed = chance.chance(0.3) ? [0, ...chance.shuffle(servers)] : chance.shuffle(servers);
  switch (kind) {
    case 'crashAll':
      return mixed;
    case 'partition':
    case 'oneWay':
      return mixed.slice(0, chance.between(1, Math.max(1, servers.length - 1)));
    case 'reset':
    case 'slowLink':
    case 'loss':
      return mixed.slice(0, 2);
    default:
      return mixed.slice(0, 1);
  }
}

function drawDetail(chance: Chance, kind: FaultKind): { amount: number; how: string } {
  switch (kind) {
    case 'crashAtStep':
      return {
        amount: chance.between(1, chance.pick([3, 30, 300])),
        how: `${chance.pick(['before', 'torn', 'after'])} ${chance.pick(['process', 'power'])}`,
      };
    case 'crashAll':
      return { amount: chance.between(0, 500), how: chance.pick(['process', 'power']) };
    case 'diskError':
      return { amount: chance.between(1, chance.pick([3, 30])), how: chance.pick(['EIO', 'ENOSPC']) };
    case 'clockJump':
      return { amount: chance.pick([-3_600_000, -5000, 5000, 3_600_000]), how: '' };
    case 'clockDrift':
      return { amount: chance.between(900, 1100), how: '' };
    case 'slowLink':
    case 'slowReader':
      return { amount: chance.pick([1, 10, 100]), how: '' };
    case 'slowDisk':
      return { amount: chance.pick([5, 50, 300]), how: '' };
    case 'loss':
      return { amount: chance.between(1, 30), how: '' };
    case 'oneWay':
      return { amount: 0, how: 'from' };
    default:
      return { amount: 0, how: '' };
  }
}

/** A fault in a few words. */
export function describeFault({ at, kind, servers, ms, amount, how }: WholeFault): string {
  const more = [how, amount === 0 ? '' : String(amount)].filter((text) => text !== '').join(' ');
  const whom = servers.map((id) => (id < 0 ? `client ${-id}` : id >= FIRST_CLIENT ? whoIs(id) : id)).join(',');
  return `${(at / 1000).toFixed(3)} s: ${kind} ${whom} for ${ms} ms${more === '' ? '' : ` (${more})`}`;
}
