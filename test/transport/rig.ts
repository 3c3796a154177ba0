import { freePorts } from '../../examples/support/ports.ts';
import { systemClock } from '../../src/node/system-clock.ts';
import type { Clock } from '../../src/seams/clock.ts';
import type { ServerAddress, Transport, TransportOptions } from '../../src/seams/transport.ts';
import { openStation, Referee, Station } from '../../src/testing/transport-kit.ts';

export const clock = systemClock();

export async function addresses(ids: readonly number[]): Promise<ServerAddress[]> {
  const ports = await freePorts(2 * ids.length);
  return ids.map((id, i) => ({ id, host: '127.0.0.1', quorumPort: ports[2 * i], electionPort: ports[2 * i + 1] }));
}

/** Waits until `condition` gives something other than undefined or false. */
export async function until<T>(condition: () => T, what = condition.toString(), ms = 30_000): Promise<T> {
  const deadline = Date.now() + ms;
  for (;;) {
    const value = condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Opens a transport, which the test has to close. */
export function start(
  transport: Transport,
  self: ServerAddress,
  servers: readonly ServerAddress[],
  options: Partial<TransportOptions> = {},
): Promise<Station> {
  const station = new Station(self, new Referee());
  return new Promise((resolve, reject) => {
    openStation(transport, station, { servers, clock, ...options }, (error) => (error === null ? resolve(station) : reject(error)));
  });
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
