import type { Clock } from '../seams/clock.ts';
import type {
  OpenTransport,
  QuorumLink,
  QuorumLinkHandler,
  ServerAddress,
  Transport,
  TransportHandler,
  TransportOptions,
} from '../seams/transport.ts';
import type { ElectionMessage, QuorumMessage } from '../zab/messages.ts';

/*
 * What tests of transports need: handlers that keep what they are told and watch over the rules that hold for every call.
 */

/** What all transports and links of one test share: whether a call of one of them is on the stack, and which rules were broken. */
export class Referee {
  readonly breaches: string[] = [];
  #inside = 0;

  /** A call of a transport or a link. */
  call<T>(fn: () => T): T {
    this.#inside++;
    try {
      return fn();
    } finally {
      this.#inside--;
    }
  }

  /** A call of a handler; `over` says why there should be none any more, if so. */
  told(what: string, over: string): void {
    if (this.#inside > 0) this.breach(`${what} was told from inside a call of a link or transport`);
    if (over !== '') this.breach(`${what} was told after ${over}`);
  }

  breach(what: string): void {
    this.breaches.push(what);
  }

  check(): void {
    if (this.breaches.length > 0)
      throw new Error(`${this.breaches[0]}${this.breaches.length > 1 ? ` (and ${this.breaches.length - 1} more)` : ''}`);
  }
}

/** What a test does in a handler's calls. */
export interface Reactions {
  messages?(log: LinkLog): void;
  drained?(log: LinkLog): void;
  closed?(log: LinkLog): void;
}

/** One side of a quorum link and all that it was told. */
export class LinkLog implements QuorumLinkHandler {
  link!: QuorumLink;
  readonly got: QuorumMessage[] = [];
  /** Calls of `messages`. */
  batches = 0;
  drains = 0;
  /** Why the link has closed: once if all is well. */
  readonly ends: string[] = [];
  react: Reactions = {};
  #over = '';

  constructor(
    readonly referee: Referee,
    readonly name: string,
  ) {}

  /** No call may come any more. */
  over(why: string): void {
    if (this.#over === '') this.#over = why;
  }

  send(...messages: readonly QuorumMessage[]): void {
    this.referee.call(() => {
      for (const message of messages) this.link.send(message);
    });
  }

  close(reason = 'a test'): void {
    this.over('its own close');
    this.referee.call(() => this.link.close(reason));
  }

  messages(batch: readonly QuorumMessage[]): void {
    this.#told('messages');
    if (batch.length === 0) this.referee.breach(`${this.name}: a batch without messages`);
    this.got.push(...batch);
    this.batches++;
    this.react.messages?.(this);
  }

  drained(): void {
    this.#told('drained');
    if (this.link?.buffered !== 0) this.referee.breach(`${this.name}: drained with ${this.link.buffered} bytes buffered`);
    this.drains++;
    this.react.drained?.(this);
  }

  closed(reason: string): void {
    this.#told('closed');
    if (typeof reason !== 'string' || reason === '') this.referee.breach(`${this.name}: closed without a reason`);
    this.ends.push(reason);
    this.over('closed');
    this.react.closed?.(this);
  }

  #told(what: string): void {
    this.referee.told(`${this.name}: ${what}`, this.#over);
  }
}

/** A transport of one server and all that it told. */
export class Station implements TransportHandler {
  open!: OpenTransport;
  readonly accepted: LinkLog[] = [];
  readonly elections: { readonly from: number; readonly message: ElectionMessage }[] = [];
  /** What was told of election links: `2 up`, `2 down`. */
  readonly ups: string[] = [];
  /** What the test does inside these calls. */
  react: { incoming?(log: LinkLog): void; election?(from: number): void; electionLink?(peer: number, up: boolean): void } = {};
  closed = false;
  readonly #dialled: LinkLog[] = [];
  #over = 'nothing was opened';

  constructor(
    readonly self: ServerAddress,
    readonly referee: Referee,
  ) {}

  opened(open: OpenTransport): void {
    this.open = open;
    this.#over = '';
  }

  incoming(link: QuorumLink): QuorumLinkHandler {
    this.#told('incoming');
    const log = new LinkLog(this.referee, `link ${this.accepted.length + 1} accepted by server ${this.self.id}`);
    log.link = link;
    this.accepted.push(log);
    this.react.incoming?.(log);
    return log;
  }

  election(from: number, message: ElectionMessage): void {
    this.#told('election');
    this.elections.push({ from, message });
    this.react.election?.(from);
  }

  electionLink(peer: number, up: boolean): void {
    this.#told('electionLink');
    if (this.#over === '' && this.open.electionLinkUp(peer) !== up)
      this.referee.breach(`server ${this.self.id} was told that the link to ${peer} is ${up ? 'up' : 'down'} when it was not`);
    this.ups.push(`${peer} ${up ? 'up' : 'down'}`);
    this.react.electionLink?.(peer, up);
  }

  dial(peer: number): LinkLog {
    const log = new LinkLog(this.referee, `link ${this.#dialled.length + 1} from server ${this.self.id} to ${peer}`);
    if (this.closed) log.over('the close of its transport');
    this.#dialled.push(log);
    log.link = this.referee.call(() => this.open.dial(peer, log));
    return log;
  }

  sendElection(peer: number, message: ElectionMessage): void {
    this.referee.call(() => this.open.sendElection(peer, message));
  }

  reconnectElection(): void {
    this.referee.call(() => this.open.reconnectElection());
  }

  isUp(peer: number): boolean {
    return this.open.electionLinkUp(peer);
  }

  /** The messages from one server. */
  from(id: number): ElectionMessage[] {
    return this.elections.filter((told) => told.from === id).map((told) => told.message);
  }

  /** Calls `done` and resolves when it has closed. In simulated time `done` comes first. */
  close(done: () => void = () => {}): Promise<void> {
    this.closed = true;
    this.#over = 'the close of its transport';
    for (const log of [...this.accepted, ...this.#dialled]) log.over(this.#over);
    let called = 0;
    let returned = false;
    let resolve = (): void => {};
    const closed = new Promise<void>((settle) => {
      resolve = settle;
    });
    this.referee.call(() =>
      this.open.close(() => {
        if (!returned) this.referee.breach('the callback of close came before the call had returned');
        if (++called > 1) return this.referee.breach('the callback of close came twice');
        done();
        resolve();
      }),
    );
    returned = true;
    return closed;
  }

  #told(what: string): void {
    this.referee.told(`server ${this.self.id}: ${what}`, this.#over);
  }
}

/** What a test may choose; the rest is common to all. */
export type StationOptions = Pick<TransportOptions, 'servers' | 'clock'> & Partial<TransportOptions>;

/** Opens a transport. `done` gets an error or null, at most once whatever the transport does. */
export function openStation(transport: Transport, station: Station, options: StationOptions, done: (error: Error | null) => void): void {
  const all: TransportOptions = {
    self: station.self,
    logger: () => {},
    election: 'fast',
    connectTimeout: 1000,
    maxPacket: 1_048_575,
    ...options,
  };
  const { referee } = station;
  let returned = false;
  let called = 0;
  referee.call(() =>
    transport.open(all, station, (error, open) => {
      if (!returned) referee.breach('the callback of open came before the call had returned');
      if (++called > 1) return referee.breach('the callback of open came twice');
      if (error === null && open !== undefined) station.opened(open);
      done(error ?? (open === undefined ? new Error('open has given neither an error nor a transport') : null));
    }),
  );
  returned = true;
}

/** How long a condition may take to come true, ms on the clock of the harness. */
const LIMIT = 30_000;

/** Looks at `condition` every few ms of `clock` until it holds; rejects when it takes too long. */
export function poll(clock: Clock, condition: () => boolean, what: string): Promise<void> {
  const deadline = clock.now() + LIMIT;
  return new Promise((resolve, reject) => {
    const look = (): void => {
      try {
        if (condition()) return resolve();
      } catch (error) {
        return reject(error);
      }
      if (clock.now() > deadline) reject(new Error(`not within ${LIMIT} ms: ${what}`));
      else clock.setTimer(2, look);
    };
    look();
  });
}
