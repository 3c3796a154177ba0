import type { Clock } from '../seams/clock.ts';
import type { ServerAddress, Transport } from '../seams/transport.ts';
import { check } from './conformance.ts';
import { type LinkLog, openStation, poll, Referee, Station, type StationOptions } from './transport-kit.ts';

/** A network of its own for one test, and transports over it. */
export interface TransportHarness {
  /** The time that passes for the test; the transports are opened with it too. */
  readonly clock: Clock;
  /** Addresses at which nobody listens, for servers of these ids. Called once, before any other method. */
  addresses(ids: readonly number[]): Promise<readonly ServerAddress[]>;
  /** A transport for that server, not open. It may be called again for the same server. */
  transport(server: number): Transport;
  /**
   * Resolves as soon as `condition` holds; rejects when that takes too long. The only thing that a test waits for, so a simulation can run meanwhile.
   * @default looks every 2 ms of `clock`, for 10 s
   */
  until?(condition: () => boolean, what: string): Promise<void>;
  /** Breaks every connection between two servers and lets none be made, until {@link heal}. Needed with the ability `cuts`. */
  cut?(a: number, b: number): void;
  /** Lets nothing pass between two servers, without a word to either: what is sent waits, and so does who connects, until {@link heal}. Needed with the ability `stalls`. */
  stall?(a: number, b: number): void;
  /** Ends every cut and stall. */
  heal?(): void;
  /** Clears away what the harness has made. Every transport is closed by then. */
  dispose?(): Promise<void>;
}

/** One test's servers, and how it waits. */
export class TransportBench {
  readonly referee = new Referee();
  readonly #harness: TransportHarness;
  readonly #stations: Station[] = [];
  #servers: readonly ServerAddress[] = [];

  constructor(harness: TransportHarness) {
    this.#harness = harness;
  }

  get clock(): Clock {
    return this.#harness.clock;
  }

  /** Says which servers there are. Not needed for 1 to 3. */
  async ensemble(ids: readonly number[]): Promise<void> {
    this.#servers = await this.#harness.addresses(ids);
    check(
      ids.every((id, i) => this.#servers[i]?.id === id),
      'the harness has given other addresses than those asked for',
    );
  }

  /** A transport for server `id`, opened. */
  async open(id: number, options: Partial<StationOptions> = {}, transport?: Transport): Promise<Station> {
    const [station, error] = await this.#open(id, options, transport);
    if (error !== null) throw error;
    this.#stations.push(station);
    return station;
  }

  /** Opens a transport for server `id`, which has to end with an error. */
  async refused(id: number): Promise<void> {
    const [station, error] = await this.#open(id, {});
    if (error === null) this.#stations.push(station);
    check(error instanceof Error && error.message !== '', `a transport for server ${id} was opened, or failed without a reason`);
  }

  async #open(id: number, options: Partial<StationOptions>, transport?: Transport): Promise<[Station, Error | null]> {
    if (this.#servers.length === 0) await this.ensemble([1, 2, 3]);
    const self = this.#servers.find((server) => server.id === id);
    if (self === undefined) throw new Error(`no server ${id} in this test`);
    const station = new Station(self, this.referee);
    let outcome: Error | null | undefined;
    openStation(transport ?? this.#harness.transport(id), station, { servers: this.#servers, clock: this.clock, ...options }, (error) => {
      outcome = error;
    });
    await this.until(() => outcome !== undefined, 'open has called back');
    return [station, outcome ?? null];
  }

  transport(id: number): Transport {
    return this.#harness.transport(id);
  }

  /** Servers 1 and 2, opened. */
  async pair(options: Partial<StationOptions> = {}): Promise<[Station, Station]> {
    return [await this.open(1, options), await this.open(2, options)];
  }

  /** A link from `a` to `b`, which sees it last: both sides of it. */
  async link(a: Station, b: Station): Promise<[LinkLog, LinkLog]> {
    const before = b.accepted.length;
    const out = a.dial(b.self.id);
    await this.until(() => b.accepted.length > before, 'a link that was dialled has come in');
    return [out, b.accepted[before]];
  }

  async close(station: Station): Promise<void> {
    let closed = false;
    station.close(() => {
      closed = true;
    });
    await this.until(() => closed, 'close has called back');
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    const { referee } = this;
    const wait = this.#harness.until ?? ((holds: () => boolean, text: string) => poll(this.clock, holds, text));
    await wait.call(this.#harness, () => referee.breaches.length > 0 || condition(), what);
    referee.check();
  }

  /** Waits so long that what should not come would have come, in most cases. */
  settle(ms = 30): Promise<void> {
    let over = false;
    this.clock.setTimer(ms, () => {
      over = true;
    });
    return this.until(() => over, `${ms} ms have passed`);
  }

  turn(): Promise<void> {
    let over = false;
    this.clock.defer(() => {
      over = true;
    });
    return this.until(() => over, 'the turn has ended');
  }

  cut(a: number, b: number): void {
    if (this.#harness.cut === undefined) throw new Error('the harness has no cut');
    this.#harness.cut(a, b);
  }

  stall(a: number, b: number): void {
    if (this.#harness.stall === undefined) throw new Error('the harness has no stall');
    this.#harness.stall(a, b);
  }

  heal(): void {
    if (this.#harness.heal === undefined) throw new Error('the harness has no heal');
    this.#harness.heal();
  }

  /** Closes all that is open and sees that nothing more is told. */
  async end(): Promise<void> {
    const open = this.#stations.filter((station) => !station.closed);
    let left = open.length;
    for (const station of open) station.close(() => left--);
    await this.until(() => left === 0, 'every transport has closed');
    await this.settle();
    this.referee.check();
  }
}

/** What a suite of transport tests consists of. */
export type TransportCases = Readonly<Record<string, (bench: TransportBench) => Promise<void>>>;
