import { createServer } from 'node:net';
import { systemClock } from '../../src/node/system-clock.ts';
import type { Clock } from '../../src/seams/clock.ts';
import type { Logger } from '../../src/seams/logger.ts';
import type {
  OpenTransport,
  QuorumLink,
  QuorumLinkHandler,
  ServerAddress,
  Transport,
  TransportHandler,
  TransportOptions,
} from '../../src/seams/transport.ts';
import type { ElectionMessage, QuorumMessage } from '../../src/zab/messages.ts';

export const clock = systemClock();
export const quiet: Logger = () => {};

/** `n` ports that were free a moment ago. */
export async function freePorts(n: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: n }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export async function addresses(ids: readonly number[]): Promise<ServerAddress[]> {
  const ports = await freePorts(2 * ids.length);
  return ids.map((id, i) => ({ id, host: '127.0.0.1', quorumPort: ports[2 * i], electionPort: ports[2 * i + 1] }));
}

/** Waits until `condition` gives something other than undefined or false. */
export async function until<T>(condition: () => T, what = condition.toString(), ms = 5000): Promise<T> {
  const deadline = Date.now() + ms;
  for (;;) {
    const value = condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** One side of a quorum link and all that it was told. */
export class LinkLog implements QuorumLinkHandler {
  link!: QuorumLink;
  readonly got: QuorumMessage[] = [];
  batches = 0;
  drains = 0;
  readonly ends: string[] = [];

  messages(batch: readonly QuorumMessage[]): void {
    this.got.push(...batch);
    this.batches++;
  }
  drained(): void {
    this.drains++;
  }
  closed(reason: string): void {
    this.ends.push(reason);
  }
}

/** A transport that is open and all that it told. */
export class Station implements TransportHandler {
  open!: OpenTransport;
  readonly accepted: LinkLog[] = [];
  readonly election_: { from: number; message: ElectionMessage }[] = [];
  readonly ups: string[] = [];

  constructor(readonly self: ServerAddress) {}

  incoming(link: QuorumLink): QuorumLinkHandler {
    const log = new LinkLog();
    log.link = link;
    this.accepted.push(log);
    return log;
  }
  election(from: number, message: ElectionMessage): void {
    this.election_.push({ from, message });
  }
  electionLink(peer: number, up: boolean): void {
    this.ups.push(`${peer} ${up ? 'up' : 'down'}`);
  }

  dial(peer: number): LinkLog {
    const log = new LinkLog();
    log.link = this.open.dial(peer, log);
    return log;
  }
  close(): Promise<void> {
    return new Promise((resolve) => this.open.close(resolve));
  }
}

export async function start(
  transport: Transport,
  self: ServerAddress,
  servers: readonly ServerAddress[],
  options: Partial<TransportOptions> = {},
): Promise<Station> {
  const station = new Station(self);
  const all: TransportOptions = {
    self,
    servers,
    clock,
    logger: quiet,
    election: 'fast',
    connectTimeout: 1000,
    maxPacket: 1_048_575,
    ...options,
  };
  await new Promise<void>((resolve, reject) => {
    let returned = false;
    transport.open(all, station, (error, open) => {
      if (!returned) reject(new Error('done was called before open returned'));
      if (error !== null || open === undefined) return reject(error ?? new Error('nothing opened'));
      station.open = open;
      resolve();
    });
    returned = true;
  });
  return station;
}

/** The system clock that knows how many timers are still to come. */
export function countingClock(): Clock & { timers(): number } {
  const live = new Set<object>();
  return {
    ...clock,
    timers: () => live.size,
    setTimer(ms, fn) {
      const run = (): void => {
        live.delete(handle);
        fn();
      };
      const handle = { timer: clock.setTimer(ms, run) };
      live.add(handle);
      return handle;
    },
    clearTimer(handle) {
      live.delete(handle as object);
      clock.clearTimer((handle as { timer: unknown }).timer);
    },
  };
}
