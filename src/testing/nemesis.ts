import { QuorumRules } from '../zab/quorum.ts';
import { Chance } from './chance.ts';
import type { DiskLatency } from './disk.ts';
import { describeFault, type WholeFault } from './faults.ts';
import type { Simulation } from './simulation.ts';

/** How often a server whose node has ended by itself is looked for, and how long it may then stay down, ms. */
const LOOK = 200;

/**
 * Carries out a plan of faults, and ends each in its time; starts again what has ended by itself, as the supervisor of a process does.
 *
 * Zab promises nothing to a server whose disk forgets what it had synced. A disk that lies or rots is therefore only let loose while the others are well and have everything, and until
 * that server is whole again nothing else happens: that is what an operator who replaces a disk must see to as well.
 */
export class Nemesis {
  /** How many faults of each kind have happened. */
  readonly injected = new Map<string, number>();
  /** Faults of the plan that were left out, because a disk was being replaced. */
  skipped = 0;
  readonly #sim: Simulation;
  readonly #chance: Chance;
  /** Ends what lasts, and how many ms are left for it. */
  readonly #lasting = new Set<() => void>();
  /** How fast disks are that were slowed. */
  readonly #latencies = new Map<number, DiskLatency>();
  /** Servers that must not be started now: a fault keeps them down. */
  readonly #down = new Set<number>();
  /** The server whose disk has forgotten something and that is not whole again. */
  #forgetful: number | null = null;
  /** It is past the moment at which it forgets. */
  #hasForgotten = false;
  #active = true;

  constructor(sim: Simulation) {
    this.#sim = sim;
    this.#chance = new Chance(sim.seed, 'nemesis');
  }

  /** False while a server's disk has forgotten something that it has not got back. */
  get isWhole(): boolean {
    return this.#forgetful === null;
  }

  /** Begins with a plan, now. */
  begin(faults: readonly WholeFault[]): void {
    for (const fault of faults) this.#later(fault.at, () => this.#inject(fault));
    this.#supervise();
  }

  /** No more faults, and what lasts ends; everybody runs again but for `dead`: these are and stay down. */
  end(dead: readonly number[] = []): void {
    const { servers } = this.#sim;
    this.#active = false;
    for (const end of [...this.#lasting]) end();
    this.#lasting.clear();
    for (const id of servers) this.#sim.disk(id).heal();
    this.#sim.network.heal();
    this.#down.clear();
    for (const id of dead) {
      this.#down.add(id);
      this.#sim.crash(id);
    }
    for (const id of servers) if (!this.#down.has(id)) this.#sim.restart(id);
    for (const client of this.#sim.clients) client.restart();
  }

  #later(ms: number, run: () => void): void {
    this.#sim.kernel.after(ms, null, 'fault', () => {
      if (this.#active) run();
    });
  }

  /** Begins something that ends after `ms`, or with all faults. */
  #last(ms: number, end: () => void): void {
    const once = (): void => {
      if (this.#lasting.delete(once)) end();
    };
    this.#lasting.add(once);
    this.#later(ms, once);
  }

  #supervise(): void {
    this.#sim.kernel.after(LOOK, null, 'look', () => {
      for (const id of this.#sim.servers) {
        if (this.#sim.isUp(id) || this.#down.has(id)) continue;
        // A damaged disk that refuses to start is replaced by an empty one.
        if (this.#forgetful === id && this.#hasForgotten && this.#sim.errorOf(id) !== null) {
          this.#sim.checks.forgot(id);
          this.#sim.disk(id).remove('/data');
        }
        this.#sim.restart(id);
      }
      const id = this.#forgetful;
      if (id !== null && this.#hasForgotten && this.#sim.isUp(id) && this.#sim.node(id).serving) this.#forgetful = null;
      this.#supervise();
    });
  }

  #inject(planned: WholeFault): void {
    const hit = planned.servers.map((id) => this.#machineOf(id));
    // There is no client.
    if (hit.includes(undefined)) return;
    const fault = { ...planned, servers: [...new Set(hit as number[])] };
    if (this.#forgetful !== null) {
      this.skipped++;
      return;
    }
    if (!this.#carryOut(fault)) return;
    this.#sim.kernel.note(0, () => `fault: ${describeFault(fault)}`);
    this.injected.set(fault.kind, (this.injected.get(fault.kind) ?? 0) + 1);
  }

  /** Who is meant by a number in a plan: 0 is whoever leads in that moment, those below are clients. */
  #machineOf(planned: number): number | undefined {
    const { leader, servers, clients } = this.#sim;
    if (planned === 0) return leader ?? servers[0];
    return planned > 0 ? planned : clients[(-planned - 1) % clients.length]?.id;
  }

  /** False: there was nothing that it could hit. */
  #carryOut(fault: WholeFault): boolean {
    const { servers, kind } = fault;
    switch (kind) {
      case 'crash':
      case 'powerLoss':
        return this.#crash(servers[0], fault.ms, kind === 'powerLoss');
      case 'crashAll':
        return servers.map((id, i) => this.#crash(id, fault.ms + i * fault.amount, fault.how === 'power')).some((hit) => hit);
      case 'crashAtStep':
        return this.#crashAtStep(fault);
      case 'restartNode':
        return this.#restartNode(servers[0], fault.ms);
      case 'pause':
        this.#sim.pause(servers[0], fault.ms);
        return true;
      case 'clockJump':
        this.#sim.machine(servers[0]).jumpWall(fault.amount);
        return true;
      case 'clockDrift':
        this.#sim.machine(servers[0]).setClockRate(fault.amount / 1000);
        this.#last(fault.ms, () => this.#sim.machine(servers[0]).setClockRate(1));
        return true;
      case 'slowDisk':
      case 'diskError':
      case 'diskFull':
      case 'lyingDisk':
      case 'bitRot':
        return this.#disk(fault);
      default:
        return this.#network(fault);
    }
  }

  // ---- processes ----

  #crash(id: number, ms: number, power: boolean): boolean {
    if (!this.#sim.machine(id).up) return false;
    this.#sim.crash(id, { power });
    this.#keepDown(id, ms);
    return true;
  }

  #keepDown(id: number, ms: number): void {
    this.#down.add(id);
    this.#last(ms, () => {
      this.#down.delete(id);
      this.#sim.restart(id);
    });
  }

  #crashAtStep({ servers: [id], amount, how, ms }: WholeFault): boolean {
    const [when, what] = how.split(' ');
    this.#sim.disk(id).crashAt(amount, when as 'before' | 'torn' | 'after', () => {
      if (this.#active) this.#crash(id, ms, what === 'power');
    });
    return true;
  }

  #restartNode(id: number, ms: number): boolean {
    if (!this.#sim.isUp(id)) return false;
    this.#down.add(id);
    // The process may die while its node stops: then it stays down for as long.
    const stopped = (): void => {
      this.#down.delete(id);
      if (this.#active) this.#keepDown(id, ms);
    };
    this.#sim.stop(id, { node: true }).then(stopped, stopped);
    return true;
  }

  // ---- disks ----

  #disk(fault: WholeFault): boolean {
    const {
      servers: [id],
      kind,
      amount,
      how,
      ms,
    } = fault;
    const disk = this.#sim.disk(id);
    switch (kind) {
      case 'slowDisk': {
        // Two at a time must not take the slowness of each other for the disk's own.
        const own = this.#latencies.get(id) ?? disk.latency;
        this.#latencies.set(id, own);
        disk.latency = { cached: own.cached, durable: [own.durable[0], Math.max(own.durable[0], amount)] };
        this.#last(ms, () => {
          disk.latency = own;
        });
        return true;
      }
      case 'diskError':
        disk.failOn(amount, how as 'EIO' | 'ENOSPC', 1);
        return true;
      case 'diskFull':
        disk.full = true;
        this.#last(ms, () => {
          disk.full = false;
        });
        return true;
      default:
        return this.#forget(id, ms, kind === 'lyingDisk');
    }
  }

  /** A disk that forgets: only while everything else is well. One that lies rots at times as well, and one that does not lie always. */
  #forget(id: number, ms: number, lies: boolean): boolean {
    const { leader, servers } = this.#sim;
    const allWell = servers.every((other) => this.#sim.isUp(other) && this.#sim.node(other).serving);
    if (!allWell || leader === undefined || leader === id || this.#lasting.size > 0 || !this.#canSpare(id)) return false;
    this.#forgetful = id;
    this.#hasForgotten = false;
    const disk = this.#sim.disk(id);
    // An error that was ordered before must not come on top of it.
    disk.heal();
    disk.lying = lies;
    // Also at the end of all faults: what the disk has lied about is lost by then.
    this.#last(ms, () => {
      this.#hasForgotten = true;
      const bits = lies ? this.#chance.between(0, 2) : this.#chance.between(1, 2);
      // A bit can make the last entry look torn, and then the one before it; no more than that.
      this.#sim.checks.forgot(id, lies ? Number.POSITIVE_INFINITY : bits);
      this.#sim.crash(id, { power: true });
      disk.lying = false;
      // One of them at the end of the log: what is lost there nothing else on this disk has.
      const logs = lies ? [] : disk.list('/data').filter((path) => path.includes('/log.'));
      for (let i = 0; i < bits; i++) disk.rot(i === 0 ? logs.at(-1) : undefined);
      this.#sim.restart(id);
    });
    return true;
  }

  /** Whether the others are a quorum. With weights or groups that can be wrong for a single server of many. */
  #canSpare(id: number): boolean {
    const voters = this.#sim.specs.filter((spec) => spec.role !== 'observer');
    const quorum = new QuorumRules(voters);
    return quorum.isQuorum(voters.reduce((bits, voter) => (voter.id === id ? bits : bits | quorum.bit(voter.id)), 0));
  }

  // ---- network ----

  #network(fault: WholeFault): boolean {
    const { servers, kind, amount, ms } = fault;
    const { network, servers: all } = this.#sim;
    const others = all.filter((id) => !servers.includes(id));
    const [a, b] = servers;
    switch (kind) {
      case 'partition':
      case 'isolate':
      case 'oneWay': {
        if (others.length === 0) return false;
        const [from, to] = fault.how === 'to' ? [others, servers] : [servers, others];
        this.#sim.partition(from, to, { oneWay: kind === 'oneWay' });
        this.#last(ms, () => {
          for (const x of servers)
            for (const y of others) {
              network.heal(x, y);
              network.heal(y, x);
            }
        });
        return true;
      }
      case 'reset':
        if (b !== undefined) network.reset(a, b);
        return b !== undefined;
      case 'loss':
      case 'slowLink': {
        if (b === undefined) return false;
        const override = kind === 'loss' ? { loss: amount / 100 } : { bytesPerMs: amount };
        network.slow(a, b, override);
        network.slow(b, a, override);
        this.#last(ms, () => {
          network.slow(a, b, null);
          network.slow(b, a, null);
        });
        return true;
      }
      case 'slowReader':
        network.slowReader(a, amount);
        this.#last(ms, () => network.slowReader(a, null));
        return true;
      default:
        network.failLookups(`server${a}`, ms);
        return true;
    }
  }
}
