import Long from 'long';
import { CreateFlag, Op } from '../../../src/model/codes.ts';
import type { Acl, CreateRequest, MultiOp } from '../../../src/model/records.ts';
import type { Chance } from '../../../src/testing/chance.ts';
import type { ReadRequest } from '../../../src/wire/client-requests.ts';
import type { AnyRequest } from '../raw.ts';
import { Known } from './known.ts';
import { BAD_ACLS, BAD_PATHS, BUILT_IN, DATA, GOOD_ACLS, NAMES, QUOTAS, SUPER, USERS } from './material.ts';
import type { Shown } from './player.ts';
import type { Step } from './steps.ts';

type WatchUse = 'plain' | 'persistent' | 'recursive';

/** Slots of sessions; the last one is the super user's, which stays open and cleans up. */
export const SLOTS = 8;
export const SUPER_SLOT = SLOTS - 1;

/** Znodes beyond which more is deleted than created. */
const CROWD = 250;
/** Most requests at once. */
const BURST = 40;

/** Draws the steps of a run from a seed, and from what the reference answered, so that most requests are about znodes that are there. */
export class Generator {
  readonly #chance: Chance;
  readonly #known = new Known();
  readonly #connected = new Set<number>([SUPER_SLOT]);
  readonly #dropped = new Set<number>();
  readonly #planned: Step[] = [];
  #expiries = 0;

  constructor(chance: Chance) {
    this.#chance = chance;
    this.#planned.push(
      { kind: 'open', slot: SUPER_SLOT, server: 0 },
      { kind: 'calls', slot: SUPER_SLOT, requests: [auth(SUPER)] },
      { kind: 'open', slot: 0, server: 1 },
    );
    this.#connected.add(0);
  }

  next(): Step {
    return this.#planned.shift() ?? this.#draw();
  }

  /** Looks at what the reference showed for a step. */
  learn(step: Step, shown: Shown): void {
    if (step.kind === 'calls') this.#known.learn(step.requests, shown.frames);
  }

  /** The session of a slot ended because of what was asked. */
  gone(slot: number): void {
    this.#connected.delete(slot);
    this.#dropped.add(slot);
  }

  // ---- sessions ----

  #draw(): Step {
    const draw = this.#chance.below(1000);
    if (draw < 6 || this.#connected.size < 3) return this.#open();
    if (draw < 10) return this.#drop();
    if (draw < 18) return this.#attach();
    if (draw < 21) return this.#refuse();
    if (draw < 25) return this.#close();
    if (draw < 26) return this.#expire();
    return this.#calls();
  }

  #some(slots: Iterable<number>): number | undefined {
    const list = [...slots].filter((slot) => slot !== SUPER_SLOT).sort((a, b) => a - b);
    return list.length === 0 ? undefined : this.#chance.pick(list);
  }

  #open(): Step {
    const free = this.#some(Array.from({ length: SLOTS }, (_, i) => i).filter((i) => !this.#connected.has(i) && !this.#dropped.has(i)));
    if (free === undefined) return this.#dropped.size > 0 ? this.#attach() : this.#close();
    this.#connected.add(free);
    const users = USERS.filter(() => this.#chance.chance(0.4)).map(auth);
    for (const user of users) this.#planned.push({ kind: 'calls', slot: free, requests: [user] });
    return { kind: 'open', slot: free, server: this.#chance.below(3) };
  }

  #drop(): Step {
    const slot = this.#some(this.#connected);
    if (slot === undefined) return this.#calls();
    this.gone(slot);
    return { kind: 'drop', slot };
  }

  /** A session that was dropped goes on, or one that still has a connection moves; mostly its watches are set again. */
  #attach(): Step {
    const slot = this.#some(this.#chance.chance(0.8) && this.#dropped.size > 0 ? this.#dropped : this.#connected);
    if (slot === undefined) return this.#calls();
    this.#dropped.delete(slot);
    this.#connected.add(slot);
    const requests: AnyRequest[] = [];
    if (this.#chance.chance(0.7)) requests.push(this.#setWatches(slot));
    for (const user of USERS) if (this.#chance.chance(0.3)) this.#planned.push({ kind: 'calls', slot, requests: [auth(user)] });
    if (requests.length > 0) this.#planned.push({ kind: 'calls', slot, requests });
    return { kind: 'attach', slot, server: this.#chance.below(3) };
  }

  #refuse(): Step {
    const how = this.#chance.pick(['password', 'unknown', 'ahead'] as const);
    const slot = this.#some(how === 'password' ? this.#dropped : this.#connected);
    return slot === undefined ? this.#calls() : { kind: 'refused', slot, how };
  }

  #close(): Step {
    const slot = this.#some(this.#connected);
    if (slot === undefined) return this.#calls();
    this.#connected.delete(slot);
    return { kind: 'close', slot };
  }

  /** At most a few: each takes as long as the shortest timeout. */
  #expire(): Step {
    const slot = this.#some(this.#connected);
    if (slot === undefined || this.#expiries >= 8) return this.#calls();
    const path = `/expiry${++this.#expiries}`;
    this.#connected.delete(slot);
    const create: CreateRequest = { op: Op.create, path, data: null, acl: GOOD_ACLS[0], flags: CreateFlag.ephemeral, ttl: 0 };
    const watch: ReadRequest = { op: Op.exists, path, watch: true };
    this.#planned.push({ kind: 'calls', slot: SUPER_SLOT, requests: [watch] }, { kind: 'expire', slot, witness: SUPER_SLOT, path });
    // The super user opens the root again, whatever has become of its ACL, and so sees its own first watch fire.
    return { kind: 'calls', slot, requests: [create] };
  }

  // ---- requests ----

  #calls(): Step {
    const slot = this.#chance.chance(0.1) ? SUPER_SLOT : (this.#some(this.#connected) ?? SUPER_SLOT);
    if (this.#chance.chance(0.01)) return { kind: 'calls', slot, requests: [auth(this.#chance.pick(USERS))] };
    const count = this.#chance.chance(0.35) ? this.#chance.between(2, BURST) : 1;
    // 3.8.0 holds what is in flight behind a setACL against the old list, or the new one, as it happens.
    if (count === 1 && this.#chance.chance(0.08)) return { kind: 'calls', slot, requests: [this.#setAcl(slot)] };
    return { kind: 'calls', slot, requests: Array.from({ length: count }, () => this.#request(slot)) };
  }

  #request(slot: number): AnyRequest {
    const draw = this.#chance.below(100);
    if (draw < 45) return this.#write(slot);
    if (draw < 54) return { op: Op.multi, ops: this.#list(0, 6, () => this.#multiOp()) };
    return this.#read(slot, draw);
  }

  #list<T>(least: number, most: number, make: () => T): T[] {
    return Array.from({ length: this.#chance.between(least, most) }, make);
  }

  #write(slot: number): AnyRequest {
    const draw = this.#chance.below(100);
    const crowded = this.#known.size > CROWD;
    if (draw < (crowded ? 15 : 40)) return this.#create();
    if (draw < 65) return this.#delete(slot);
    if (draw < 96) return { op: Op.setData, path: this.#path(), data: this.#chance.pick(DATA), version: this.#version('version') };
    if (draw < 97) return this.#quota();
    if (draw < 98) return { op: Op.sync, path: this.#path() };
    return { op: Op.delete, path: this.#chance.pick(BUILT_IN), version: -1 };
  }

  #delete(slot: number): AnyRequest {
    const version = slot === SUPER_SLOT ? -1 : this.#version('version');
    return { op: Op.delete, path: this.#path(), version };
  }

  /** Of the built-in znodes too, but not for long: nobody could create any more. */
  #setAcl(slot: number): AnyRequest {
    const path = this.#path();
    const open = path === '/' || slot === SUPER_SLOT;
    return { op: Op.setAcl, path, acl: open ? GOOD_ACLS[0] : this.#acl(), version: open ? -1 : this.#version('aversion') };
  }

  #create(): CreateRequest {
    const draw = this.#chance.below(100);
    const path = this.#newPath();
    const common = { path, data: this.#chance.pick(DATA), acl: this.#acl(), ttl: 0 };
    if (draw < 70) {
      const op = this.#chance.pick([Op.create, Op.create2]);
      // A container by its flag alone is a plain znode, and TTL flags are for createTTL only.
      const flags = this.#chance.chance(0.95) ? this.#chance.pick([0, 0, 0, 1, 2, 3]) : this.#chance.pick([4, 5, 6, 7, -1, 1000]);
      return { ...common, op, flags };
    }
    if (draw < 85) return { ...common, op: Op.createContainer, flags: this.#chance.pick([4, 4, 4, 0, 2, 5, 7]) };
    const ttl = this.#chance.pick([1_000_000, 1_000_000, 0xffffffffff, 0, 0x10000000000]);
    return { ...common, op: Op.createTtl, flags: this.#chance.pick([5, 5, 6, 6, 0, 4, 7]), ttl };
  }

  /** The znodes in which a quota is kept; the data of the statistics changes by itself, with what happens below the path. Limits come first and stay, see `LEFT_OUT`. */
  #quota(): AnyRequest {
    const place = `/zookeeper/quota${this.#chance.pick(['/a', '/b', '/a/b'])}`;
    const create = (path: string, data = this.#chance.pick(QUOTAS)): CreateRequest => {
      return { op: Op.create, path, data, acl: GOOD_ACLS[0], flags: 0, ttl: 0 };
    };
    const draw = this.#chance.below(10);
    if (draw < 3) return { op: Op.multi, ops: [create(place), create(`${place}/zookeeper_limits`)] };
    if (draw < 4) return { op: Op.setData, path: `${place}/zookeeper_limits`, data: this.#chance.pick(QUOTAS), version: -1 };
    const path = `${place}/zookeeper_stats`;
    if (draw < 6) return { op: Op.multi, ops: [{ op: Op.check, path: `${place}/zookeeper_limits`, version: -1 }, create(path, QUOTAS[0])] };
    return draw < 7 ? { op: Op.delete, path, version: -1 } : { op: Op.getData, path, watch: false };
  }

  /** 3.8.0 fails a multi with TTL flags on another create as a whole, and believes in the parts before it for a while. */
  #createInMulti(): CreateRequest {
    const request = this.#create();
    const isTtl = request.flags === CreateFlag.persistentTtl || request.flags === CreateFlag.persistentSequentialTtl;
    return isTtl && request.op !== Op.createTtl ? { ...request, flags: CreateFlag.persistent } : request;
  }

  #multiOp(): MultiOp {
    const draw = this.#chance.below(100);
    const path = this.#path();
    if (draw < 45) return this.#createInMulti();
    if (draw < 65) return { op: Op.setData, path, data: this.#chance.pick(DATA), version: this.#version('version') };
    if (draw < 80) return { op: Op.delete, path, version: this.#version('version') };
    return { op: Op.check, path, version: this.#version('version') };
  }

  #read(slot: number, draw: number): AnyRequest {
    const path = this.#path();
    if (draw < 62) return { op: Op.exists, path, watch: this.#watches(slot, path) };
    if (draw < 70) return { op: Op.getData, path, watch: this.#watches(slot, path) };
    if (draw < 75) return { op: Op.getChildren, path, watch: this.#watches(slot, path) };
    if (draw < 80) return { op: Op.getChildren2, path, watch: this.#watches(slot, path) };
    if (draw < 84) return { op: Op.getAcl, path };
    if (draw < 86) return { op: Op.getAllChildrenNumber, path };
    if (draw < 88) return { op: Op.getEphemerals, prefix: this.#chance.pick([null, '', '/', '/a', path.includes('\0') ? null : path]) };
    if (draw < 90) return { op: Op.whoAmI };
    if (draw < 91) return { op: Op.ping };
    if (draw < 94) return this.#addWatch(slot);
    if (draw < 97) return this.#watchKind(slot);
    if (draw < 98) return this.#setWatches(slot);
    return {
      op: Op.multiRead,
      ops: this.#list(0, 5, () => ({ op: this.#chance.pick([Op.getData, Op.getChildren]), path: this.#path() })),
    };
  }

  // ---- watches ----

  /** ZooKeeper 3.8.0 keeps one mode per path and connection (PROTOCOL 10): a session uses each path for one kind of watch only. */
  #use(slot: number, path: string): WatchUse {
    let hash = slot + 1;
    for (let i = 0; i < path.length; i++) hash = (Math.imul(hash, 31) + path.charCodeAt(i)) >>> 0;
    return hash % 10 < 6 ? 'plain' : hash % 10 < 8 ? 'persistent' : 'recursive';
  }

  #watches(slot: number, path: string): boolean {
    // Watches on "" are another name for the root's here, and watches that never fire in ZooKeeper.
    return path !== '' && this.#use(slot, path) === 'plain' && this.#chance.chance(0.4);
  }

  #pathFor(slot: number, use: WatchUse): string {
    for (;;) {
      const path = this.#path();
      if (path !== '' && this.#use(slot, path) === use) return path;
    }
  }

  #addWatch(slot: number): ReadRequest {
    if (this.#chance.chance(0.5)) return { op: Op.addWatch, path: this.#pathFor(slot, 'persistent'), mode: 0 };
    return { op: Op.addWatch, path: this.#pathFor(slot, 'recursive'), mode: 1 };
  }

  #watchKind(slot: number): ReadRequest {
    const op = this.#chance.pick([Op.checkWatches, Op.removeWatches]);
    const path = this.#pathFor(slot, this.#chance.pick(['plain', 'persistent', 'recursive']));
    // 3.8.0 removes a persistent watch by halves when it is asked for one of its tables.
    const any = op === Op.removeWatches && this.#use(slot, path) !== 'plain';
    return { op, path, kind: any ? 3 : this.#chance.pick([1, 2, 3]) };
  }

  #setWatches(slot: number): AnyRequest {
    const op = this.#chance.pick([Op.setWatches, Op.setWatches2]);
    const since = Long.fromInt(Math.max(0, this.#known.lastZxid - this.#chance.below(50)), true);
    const plain = () => this.#list(0, 4, () => this.#pathFor(slot, 'plain'));
    const more = (use: WatchUse) => (op === Op.setWatches2 ? this.#list(0, 3, () => this.#pathFor(slot, use)) : []);
    const lists = { data: plain(), exist: plain(), child: plain(), persistent: more('persistent'), persistentRecursive: more('recursive') };
    return { op, since, lists };
  }

  // ---- values ----

  #path(): string {
    const draw = this.#chance.below(100);
    if (draw < 65 && this.#known.size > 0) return this.#known.pick(this.#chance);
    if (draw < 96) return this.#shortPath();
    return this.#chance.pick(draw < 98 ? BAD_PATHS : BUILT_IN);
  }

  #shortPath(): string {
    return this.#list(1, 3, () => `/${this.#chance.pick(NAMES)}`).join('');
  }

  #newPath(): string {
    const draw = this.#chance.below(100);
    if (draw < 50) return this.#shortPath();
    if (draw < 90 && this.#known.size > 0) {
      const parent = this.#known.pick(this.#chance);
      if (parent.split('/').length < 6) return `${parent}/${this.#chance.pick([...NAMES, ''])}`;
    }
    return this.#path();
  }

  #version(of: 'version' | 'aversion'): number {
    if (this.#chance.chance(0.5)) return -1;
    return this.#chance.chance(0.8) ? this.#known.lastVersion(of) : this.#chance.pick([0, 1, 2, 3, -2, 0x7fffffff, -0x80000000]);
  }

  #acl(): readonly Acl[] | null {
    const draw = this.#chance.below(100);
    if (draw < 60) return GOOD_ACLS[0];
    return draw < 92 ? this.#chance.pick(GOOD_ACLS) : this.#chance.pick(BAD_ACLS);
  }
}

export function auth(credential: string): ReadRequest {
  return { op: Op.auth, type: 0, scheme: 'digest', auth: new TextEncoder().encode(credential) };
}
