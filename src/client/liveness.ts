import { Op } from '../model/codes.ts';
import type { Clock } from '../seams/clock.ts';
import { Xid } from '../wire/client-requests.ts';
import type { Connection } from './connection.ts';
import { Timer } from './timer.ts';

/**
 * Keeps a connection's session alive, and notices when the server is gone: a ping when nothing was sent for a third of the session's timeout, the end of the connection when nothing was
 * heard for two thirds. So there is a third left to find another server.
 */
export class Liveness {
  readonly #clock: Clock;
  readonly #timer: Timer;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#timer = new Timer(clock);
  }

  start(connection: Connection, timeout: number): void {
    this.#arm(connection, timeout);
  }

  stop(): void {
    this.#timer.clear();
  }

  #arm(connection: Connection, timeout: number, lastSent = connection.lastSent): void {
    const due = Math.min(lastSent + timeout / 3, connection.lastHeard + (2 * timeout) / 3);
    this.#wait(connection, timeout, Math.max(due - this.#clock.now(), 1));
  }

  #wait(connection: Connection, timeout: number, ms: number): void {
    const due = this.#clock.now() + ms;
    this.#timer.set(ms, () => this.#look(connection, timeout, due));
  }

  #look(connection: Connection, timeout: number, due: number): void {
    const now = this.#clock.now();
    const isIdle = now - connection.lastSent >= timeout / 3;
    if (isIdle) connection.send(Xid.ping, { op: Op.ping });
    const silence = now - connection.lastHeard;
    if (silence < (2 * timeout) / 3) {
      // The ping itself leaves at the end of the turn.
      this.#arm(connection, timeout, isIdle ? now : connection.lastSent);
    } else if (now - due > timeout / 6) {
      // This process stood still: what the server has sent meanwhile is not read yet.
      this.#wait(connection, timeout, timeout / 6);
    } else {
      connection.end(`nothing was heard from it for ${Math.round(silence)} ms`);
    }
  }
}
