import type { Acl } from '../../model/records.ts';
import type { CreateMode, EnsembleNode, Watcher } from '../../node/api.ts';
import type { Chance } from '../chance.ts';
import type { CommittedHistory, NodeLife } from './committed.ts';
import { type Handle, USER } from './handle.ts';
import type { Call, Part } from './history.ts';
import type { Mix, WorkloadPlan } from './plan.ts';
import { type Complain, OPEN } from './reference.ts';
import { OneShotCheck, PersistentCheck, StreamCheck, type WatchChecks, type WatchOwner } from './watch-checks.ts';
import { WireOneShotCheck, WirePersistentCheck, WireStreamCheck } from './wire-watches.ts';

export const ROOT = '/w';
const SEQUENCE = `${ROOT}/s`;

/** Whether a path is one that only persistent creates, setData and delete are made on. */
export const isRegister = (path: string): boolean => /^\/w\/r\d+$/.test(path);

/** What the actions of one client share. */
export interface ActionContext {
  readonly plan: WorkloadPlan;
  readonly committed: CommittedHistory;
  readonly complain: Complain;
  readonly watches: WatchChecks;
  /** A text that no other write of the run has. */
  nextTag(): string;
  /** How many calls there have been. */
  calls(): number;
}

/** What a client has of the process that it lives in. */
export interface Surroundings {
  /** The replica there; null for a client whose sessions are over the wire. */
  readonly node: EnsembleNode | null;
  sleep(ms: number): Promise<void>;
}

/** What a client does with its session: one call, or a few that belong together, drawn from the plan. No promise rejects. */
export class Actions {
  readonly #context: ActionContext;
  readonly #surroundings: Surroundings;
  readonly #chance: Chance;
  readonly #handle: Handle;
  /** Versions that this client has seen last. */
  readonly #versions = new Map<string, number>();
  /** Sequential znodes that it may delete. */
  readonly #made: string[] = [];
  #persistent = 0;

  constructor(context: ActionContext, surroundings: Surroundings, chance: Chance, handle: Handle) {
    this.#context = context;
    this.#surroundings = surroundings;
    this.#chance = chance;
    this.#handle = handle;
  }

  /** Makes the znodes that all the others are below of. */
  async prepare(): Promise<void> {
    for (const path of [ROOT, SEQUENCE]) {
      const { outcome, answer } = await this.#handle.exists(path, undefined, {});
      if (outcome === 'ok' && answer.stat === null) await this.#handle.create(this.#create(path, 'persistent'), undefined, undefined, {});
    }
  }

  /** One action. */
  one(): Promise<Call | null> {
    switch (this.#draw()) {
      case 'register':
        return this.#register();
      case 'multi':
        return this.#multi();
      case 'ephemeral':
        return this.#ephemeral();
      case 'sequential':
        return this.#sequential();
      case 'container':
        return this.#container();
      case 'ttl':
        return this.#ttl();
      case 'acl':
        return this.#acl();
      case 'read':
        return this.#read();
      case 'syncedRead':
        void this.#handle.sync();
        return this.#read();
      case 'watch':
        return Promise.resolve(this.#watch());
      case 'nodeSync':
        return this.#nodeSync();
    }
  }

  #draw(): keyof Mix {
    const mix = Object.entries(this.#context.plan.mix) as [keyof Mix, number][];
    let left = this.#chance.below(mix.reduce((sum, [, weight]) => sum + weight, 0));
    for (const [action, weight] of mix) {
      left -= weight;
      if (left < 0) return action;
    }
    return 'read';
  }

  // ---- parts ----

  #key(): string {
    return `${ROOT}/r${this.#chance.below(this.#context.plan.keys)}`;
  }

  #one(kind: 'e' | 'c' | 't' | 'a'): string {
    return `${ROOT}/${kind}${this.#chance.below(this.#context.plan.keys)}`;
  }

  #data(): string | null {
    const { plan } = this.#context;
    const tag = `${this.#context.nextTag()}|`;
    const size = this.#chance.chance(plan.large) ? plan.largeSize : plan.size;
    return tag.padEnd(this.#chance.between(0, size), 'x');
  }

  #create(path: string, mode: CreateMode): Part {
    return { type: 'create', path, data: this.#data(), version: -1, mode };
  }

  #set(path: string): Part {
    return { type: 'setData', path, data: this.#data(), version: this.#version(path), mode: 'persistent' };
  }

  #part(type: 'delete' | 'check' | 'setAcl', path: string, version = this.#version(path)): Part {
    return { type, path, data: null, version, mode: 'persistent' };
  }

  /** Any, the last one seen, or a wrong one. */
  #version(path: string): number {
    const known = this.#versions.get(path);
    if (known === undefined || this.#chance.chance(0.4)) return -1;
    return this.#chance.chance(0.1) ? known + 1 : known;
  }

  #signal(): { signal?: AbortSignal } {
    if (!this.#chance.chance(this.#context.plan.aborted)) return {};
    const controller = new AbortController();
    const after = this.#chance.below(20);
    if (after === 0) controller.abort();
    else void this.#surroundings.sleep(after).then(() => controller.abort());
    return { signal: controller.signal };
  }

  async #noted(promise: Promise<Call>): Promise<Call> {
    const call = await promise;
    const { stat } = call.answer;
    if (stat !== undefined && stat !== null && call.kind !== 'setAcl') this.#versions.set(call.path, stat.version);
    return call;
  }

  // ---- writes ----

  #register(): Promise<Call> {
    const path = this.#key();
    const choice = this.#chance.below(10);
    if (choice < 3) return this.#noted(this.#handle.create(this.#create(path, 'persistent'), undefined, undefined, this.#signal()));
    if (choice < 8) return this.#noted(this.#handle.setData(this.#set(path), this.#signal()));
    return this.#handle.delete(this.#part('delete', path), this.#signal());
  }

  #multi(): Promise<Call> {
    const parts: Part[] = [];
    const count = this.#chance.between(1, 4);
    for (let i = 0; i < count; i++) {
      const path = this.#key();
      const choice = this.#chance.below(10);
      if (choice < 2) parts.push(this.#create(path, 'persistent'));
      else if (choice < 6) parts.push(this.#set(path));
      else if (choice < 7) parts.push(this.#part('delete', path));
      else if (choice < 9) parts.push(this.#part('check', path));
      else parts.push(this.#create(`${SEQUENCE}/m`, 'persistentSequential'));
    }
    return this.#handle.multi(parts, this.#signal());
  }

  #ephemeral(): Promise<Call> {
    const path = this.#one('e');
    const choice = this.#chance.below(10);
    if (choice < 6) return this.#noted(this.#handle.create(this.#create(path, 'ephemeral'), undefined, undefined, this.#signal()));
    if (choice < 8) return this.#noted(this.#handle.setData(this.#set(path), this.#signal()));
    if (choice < 9) return this.#handle.create(this.#create(`${path}/below`, 'persistent'), undefined, undefined, {});
    return this.#handle.delete(this.#part('delete', path, -1), this.#signal());
  }

  async #sequential(): Promise<Call> {
    // As many deletions as creations, so that the tree stays small.
    if (this.#made.length > 0 && this.#chance.chance(0.5)) {
      const path = this.#made.shift() as string;
      return this.#handle.delete(this.#part('delete', path, -1), this.#signal());
    }
    const mode = this.#chance.pick(['persistentSequential', 'ephemeralSequential'] as const);
    const call = await this.#handle.create(this.#create(`${SEQUENCE}/n`, mode), undefined, undefined, this.#signal());
    if (call.answer.path !== undefined) this.#made.push(call.answer.path);
    return call;
  }

  #container(): Promise<Call> {
    const path = this.#one('c');
    const choice = this.#chance.below(10);
    if (choice < 3) return this.#noted(this.#handle.create(this.#create(path, 'container'), undefined, undefined, {}));
    if (choice < 7) return this.#handle.create(this.#create(`${path}/k`, 'persistent'), undefined, undefined, {});
    return this.#handle.delete(this.#part('delete', choice < 9 ? `${path}/k` : path, -1), {});
  }

  #ttl(): Promise<Call> {
    const path = this.#one('t');
    if (this.#chance.chance(0.3)) return this.#noted(this.#handle.setData(this.#set(path), {}));
    const mode = this.#chance.pick(['persistentTtl', 'persistentSequentialTtl'] as const);
    const part = this.#create(mode === 'persistentTtl' ? path : `${SEQUENCE}/t`, mode);
    return this.#noted(this.#handle.create(part, undefined, this.#chance.between(1, 5000), {}));
  }

  /** Znodes whose lists keep others out: about half of all clients have proved who they are. */
  #acl(): Promise<Call> {
    const path = this.#one('a');
    const below = `${path}/k`;
    const version = this.#chance.pick([-1, -1, 0, 1]);
    switch (this.#chance.below(8)) {
      case 0:
        return this.#noted(this.#handle.create(this.#create(path, 'persistent'), this.#list(), undefined, {}));
      case 1:
        return this.#noted(this.#handle.setData(this.#set(path), {}));
      case 2:
        return this.#handle.create(this.#create(below, 'persistent'), undefined, undefined, {});
      case 3:
        return this.#handle.delete(this.#part('delete', this.#chance.chance(0.7) ? below : path, -1), {});
      case 4:
        return this.#handle.setAcl(this.#part('setAcl', this.#key(), version), [{ perms: 1, scheme: 'digest', id: 'a:b' }, OPEN]);
      case 5:
        return this.#noted(this.#handle.getData(path, undefined, {}));
      default:
        return this.#handle.setAcl(this.#part('setAcl', path, version), this.#list());
    }
  }

  #list(): Acl[] {
    const user: Acl = { perms: this.#chance.pick([31, 31, this.#chance.between(1, 31)]), ...USER };
    return this.#chance.pick([[OPEN], [user], [{ ...OPEN, perms: this.#chance.between(1, 31) }, user]]);
  }

  // ---- reads ----

  #nodeSync(): Promise<Call> {
    const { node } = this.#surroundings;
    return node === null ? this.#handle.sync() : this.#handle.nodeSync(node);
  }

  #read(): Promise<Call> {
    const path = this.#chance.chance(0.7)
      ? this.#key()
      : this.#chance.pick([this.#one('e'), this.#one('c'), this.#one('t'), this.#one('a'), SEQUENCE, ROOT]);
    const kind = this.#chance.pick(['getData', 'exists', 'getChildren'] as const);
    const options = this.#signal();
    if (!this.#chance.chance(this.#context.plan.oneShot)) return this.#noted(this.#handle[kind](path, undefined, options));
    const { watches } = this.#context;
    const check = this.#oneShotCheck(path, kind === 'getChildren' ? 'child' : 'data');
    watches.add(this.#handle, check);
    const deliver: Watcher = (event) => check.deliver(event);
    return this.#noted(this.#handle[kind](path, deliver, options)).then((call) => {
      check.settled(call);
      return call;
    });
  }

  // ---- watches ----

  #owner(life: NodeLife): WatchOwner {
    const handle = this.#handle;
    const { name, session } = handle;
    return { life, name, isOpen: () => handle.state === 'connected', isHeldBack: () => session.state === 'suspended' };
  }

  #oneShotCheck(path: string, table: 'data' | 'child'): OneShotCheck | WireOneShotCheck {
    const { committed, complain } = this.#context;
    const handle = this.#handle;
    return handle.node === null
      ? new WireOneShotCheck(committed, complain, handle, path, table)
      : new OneShotCheck(committed, complain, this.#owner(handle.node), path, table);
  }

  #persistentCheck(path: string, recursive: boolean): PersistentCheck | WirePersistentCheck {
    const { committed, complain, calls } = this.#context;
    const handle = this.#handle;
    return handle.node === null
      ? new WirePersistentCheck(committed, complain, handle, path, recursive, calls())
      : new PersistentCheck(committed, complain, this.#owner(handle.node), path, recursive);
  }

  #streamCheck(path: string, capacity: number): StreamCheck | WireStreamCheck {
    const { committed, complain, calls } = this.#context;
    const handle = this.#handle;
    return handle.node === null
      ? new WireStreamCheck(committed, complain, handle, path, capacity, calls())
      : new StreamCheck(committed, complain, this.#owner(handle.node), path, capacity);
  }

  #watch(): null {
    if (this.#persistent >= 3) return null;
    this.#persistent++;
    const { handle, path, recursive } = { handle: this.#handle, path: this.#key(), recursive: this.#chance.chance(0.5) };
    const { watches } = this.#context;
    if (handle.state === 'expired' || handle.state === 'closed') return null;
    if (!recursive && this.#chance.chance(0.5)) {
      void this.#follow(this.#chance.pick([path, ROOT]), this.#chance.pick([1, 3, 100]));
      return null;
    }
    const check = this.#persistentCheck(recursive ? this.#chance.pick([path, ROOT, '/']) : path, recursive);
    watches.add(handle, check);
    const stop = handle.watch(check.path, check.deliver, { recursive });
    if (stop === null) check.end();
    else if (this.#chance.chance(0.7)) void this.#stopLater(check, stop);
    return null;
  }

  async #stopLater(check: PersistentCheck | WirePersistentCheck, stop: () => void): Promise<void> {
    await this.#surroundings.sleep(this.#chance.between(0, 5000));
    if (this.#handle.state === 'connected') check.caughtUp();
    stop();
    check.end();
    this.#persistent--;
  }

  /** Takes events from an iterator, at times too slowly. */
  async #follow(path: string, capacity: number): Promise<void> {
    const check = this.#streamCheck(path, capacity);
    this.#context.watches.add(this.#handle, check);
    const stream = this.#handle.stream(path, capacity);
    const most = this.#chance.between(1, 50);
    for (let taken = 0; stream !== null && taken < most; taken++) {
      const next = await stream.next();
      if (this.#handle.life.over) return;
      if (next.done) return check.drained();
      check.took(next.value);
      await this.#surroundings.sleep(this.#chance.between(0, 200));
    }
    await stream?.return?.();
    check.end();
    this.#persistent--;
  }
}
