import { type Octets, octetsFromText } from '../util/bytes.ts';
import type { ZnodeTable } from './znode-table.ts';

/*
 * Quotas (PROTOCOL 18.2): /zookeeper/quota<path>/zookeeper_limits sets one on <path>, zookeeper_stats beside it holds what is used. Each server
 * keeps the stats up to date by itself, without transactions.
 */
const QUOTA_ROOT = '/zookeeper/quota';
const LIMITS = '/zookeeper_limits';
const STATS = '/zookeeper_stats';

/** Numbers by name, in order; what is missing is -1, no limit. */
type Fields = Map<string, number>;

/** Reads limits or stats. Lenient: what is not `name=number` is skipped, and of a name that comes twice the last counts. */
function parseFields(data: Octets | null): Fields {
  const fields: Fields = new Map();
  for (const part of (data ?? '').split(/[,;]/)) {
    const match = /^\s*(\w+)=(-?\d+)\s*=?\s*$/.exec(part);
    if (match !== null) fields.set(match[1], Number(match[2]));
  }
  return fields;
}

/** Count and bytes first; the rest after an extra `=` that old parsers stop at. */
function formatFields(fields: Fields): Octets {
  let text = `count=${fields.get('count') ?? -1},bytes=${fields.get('bytes') ?? -1}`;
  let between = '=;';
  for (const [name, value] of fields) {
    if (name === 'count' || name === 'bytes') continue;
    text += `${between}${name}=${value}`;
    between = ';';
  }
  return octetsFromText(text);
}

const sizeOf = (data: Octets | null): number => (data === null ? 0 : data.length);

/** Keeps the stats of the quotas in a table and tells whether a change would break a hard limit. */
export class Quotas {
  /** Paths with a quota. */
  readonly #paths = new Set<string>();

  constructor(readonly table: ZnodeTable) {}

  /** Whether there are any quotas: the quick check before everything else here. */
  get any(): boolean {
    return this.#paths.size > 0;
  }

  /** The znode `slot` has been created. */
  created(slot: number): void {
    const path = this.table.path(slot);
    if (path.startsWith(QUOTA_ROOT)) this.#noticeQuota(path);
    if (this.any) this.adjust(path, sizeOf(this.table.data(slot)), 1);
  }

  #noticeQuota(path: string): void {
    if (path.endsWith(LIMITS)) {
      const on = path.slice(QUOTA_ROOT.length, -LIMITS.length);
      if (on === '') return;
      this.#paths.add(on);
      this.#recount(on);
    } else if (path.endsWith(STATS)) {
      this.#recount(path.slice(QUOTA_ROOT.length, -STATS.length));
    }
  }

  /** The znode at `path` with `bytes` of data has been deleted. */
  deleted(path: string, bytes: number): void {
    if (!this.any) return;
    if (path.startsWith(QUOTA_ROOT) && path.endsWith(LIMITS)) this.#paths.delete(path.slice(QUOTA_ROOT.length, -LIMITS.length));
    this.adjust(path, -bytes, -1);
  }

  /** Adds to the stats of the quota that covers `path`, if one does. */
  adjust(path: string, bytes: number, count: number): void {
    const on = this.#covering(path);
    if (on === null) return;
    const slot = this.table.find(QUOTA_ROOT + on + STATS);
    if (slot === 0) return;
    const stats = parseFields(this.table.data(slot));
    stats.set('count', (stats.get('count') ?? -1) + count);
    stats.set('bytes', (stats.get('bytes') ?? -1) + bytes);
    this.table.setData(slot, formatFields(stats));
  }

  /** Finds all quotas and counts anew: after a snapshot was loaded. */
  rebuild(): void {
    this.#paths.clear();
    const top = this.table.find(QUOTA_ROOT);
    for (let slot = top; slot !== 0; slot = this.table.following(slot, top)) {
      const path = this.table.path(slot);
      if (path.endsWith(LIMITS)) this.#noticeQuota(path);
    }
  }

  /**
   * Whether `bytes` and `count` more under `path` would break a hard limit (-125). Soft limits never refuse. As in ZooKeeper, what counts is what has been applied: requests that
   * are on their way together can overshoot.
   */
  exceeded(path: string, bytes: number, count: number): boolean {
    const on = this.any ? this.#covering(path) : null;
    if (on === null) return false;
    const limits = parseFields(this.table.data(this.table.find(QUOTA_ROOT + on + LIMITS)));
    const used = parseFields(this.table.data(this.table.find(QUOTA_ROOT + on + STATS)));
    const breaks = (limit: string, name: string, more: number): boolean => {
      const most = limits.get(limit) ?? -1;
      return more !== 0 && most > -1 && used.size > 0 && (used.get(name) ?? -1) + more > most;
    };
    return breaks('countHardLimit', 'count', count) || breaks('byteHardLimit', 'bytes', bytes);
  }

  /** The deepest path with a quota among `path` and what is above it. */
  #covering(path: string): string | null {
    for (let at = path; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) if (this.#paths.has(at)) return at;
    return null;
  }

  #recount(on: string): void {
    const stats = this.table.find(QUOTA_ROOT + on + STATS);
    const top = this.table.find(on);
    if (stats === 0 || on === '') return;
    let count = 0;
    let bytes = 0;
    for (let slot = top; slot !== 0; slot = this.table.following(slot, top)) {
      count++;
      bytes += sizeOf(this.table.data(slot));
    }
    const fields = parseFields(this.table.data(stats));
    fields.set('count', count);
    fields.set('bytes', bytes);
    this.table.setData(stats, formatFields(fields));
  }
}
