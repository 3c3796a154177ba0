import { Op } from '../model/codes.ts';
import type { ByteSocket, Sockets } from '../seams/sockets.ts';
import type { ConnectRequest, ConnectResponse } from '../wire/client-connect.ts';
import { opName } from './describe.ts';
import type { WireProbe } from './wire-tap.ts';

/** What can happen to a session over the wire. */
export const CLIENT_DEEDS = [
  'client is killed',
  'client opens a session',
  'client goes on at the same server',
  'client moves to another server',
  'client gets no answer when it asks for its session',
  'client is told that its session does not exist',
  'client gives its session up by its own clock',
  'client is served without a quorum',
  'client has a quorum again',
  'client loses calls with a connection',
  'client is told an event',
  'client restores its watches',
  'client is told what it has missed',
] as const;

/** The client's requests that an exploration must have seen answered. */
export const CLIENT_REQUESTS = [
  'create2',
  'createContainer',
  'createTtl',
  'delete',
  'setData',
  'setAcl',
  'multi',
  'closeSession',
  'sync',
  'exists',
  'getData',
  'getChildren2',
  'ping',
  'auth',
  'setWatches',
  'setWatches2',
  'addWatch',
  'removeWatches',
] as const;

/** Why a client port ends a connection, by the words of its log. */
export const PORT_DEEDS = {
  'it has seen more than this server has': 'port turns away a client that has seen more',
  'the server does not serve': 'port turns away a client, for it does not serve',
  'the server only reads, and the client wants more': 'port turns away a client that wants to write, for it has no quorum',
  'its client has connected again': 'port drops a connection whose client has come again',
  'its session goes on in the server’s own process': 'port drops a connection whose session goes on in its process',
  'the session has moved': 'port drops a connection whose session has moved',
  'the session has expired or was closed': 'port drops a connection whose session is over',
  'the server has lost its ensemble': 'port drops a connection when it loses its ensemble',
  'there is a quorum again': 'port drops a connection when it has a quorum again',
} as const;

/** The same for texts that have numbers in them. */
const SILENCE = 'port drops a connection that nothing comes from';
const THROTTLED = 'port stops reading from a client';

export type WireDeed =
  | (typeof CLIENT_DEEDS)[number]
  | (typeof PORT_DEEDS)[keyof typeof PORT_DEEDS]
  | typeof SILENCE
  | typeof THROTTLED
  | `client is answered: ${string}`;

export const WIRE_DEEDS: readonly WireDeed[] = [
  ...CLIENT_DEEDS,
  ...CLIENT_REQUESTS.map((op) => `client is answered: ${op}` as const),
  ...Object.values(PORT_DEEDS),
  SILENCE,
  THROTTLED,
];

/** Names what happens to one session over the wire. */
export class WireDeeds implements WireProbe {
  readonly #did: (deed: WireDeed) => void;
  /** The server that has served the session last; 0 before there was one. */
  #server = 0;
  #readOnly = false;
  #asked: 'nothing' | 'new' | 'again' = 'nothing';
  #refused = false;
  #unanswered = 0;
  #restoring = 0;

  constructor(did: (deed: WireDeed) => void) {
    this.#did = did;
  }

  asks(_server: number, { sessionId }: ConnectRequest): void {
    this.#asked = sessionId.isZero() ? 'new' : 'again';
  }

  answered(server: number, { timeout, readOnly }: ConnectResponse): void {
    const asked = this.#asked;
    this.#asked = 'nothing';
    if (timeout <= 0) {
      this.#refused = true;
      return this.#did('client is told that its session does not exist');
    }
    if (asked === 'new') this.#did('client opens a session');
    else if (this.#server !== 0)
      this.#did(server === this.#server ? 'client goes on at the same server' : 'client moves to another server');
    if (readOnly === true) this.#did('client is served without a quorum');
    else if (this.#readOnly) this.#did('client has a quorum again');
    this.#server = server;
    this.#readOnly = readOnly === true;
  }

  sent(_xid: number, op: number): void {
    this.#unanswered++;
    if (op === Op.setWatches || op === Op.setWatches2) this.#restoring++;
  }

  replied(op: number): void {
    this.#unanswered--;
    this.#did(`client is answered: ${opName(op)}`);
    if (op !== Op.setWatches && op !== Op.setWatches2) return;
    this.#restoring--;
    this.#did('client restores its watches');
  }

  told(): void {
    this.#did(this.#restoring > 0 ? 'client is told what it has missed' : 'client is told an event');
  }

  ended(): void {
    if (this.#asked !== 'nothing') this.#did('client gets no answer when it asks for its session');
    if (this.#unanswered > 0) this.#did('client loses calls with a connection');
    this.#asked = 'nothing';
    this.#unanswered = this.#restoring = 0;
  }

  /** The client says that the session has expired. */
  expired(): void {
    if (!this.#refused) this.#did('client gives its session up by its own clock');
  }
}

/** What a line of a server's log tells of its client port; null if nothing. */
export function portDeed(message: string): WireDeed | null {
  const reason = /^client \S+: closed: (.*)$/.exec(message)?.[1];
  if (reason === undefined) return null;
  if (reason.startsWith('nothing has come for')) return SILENCE;
  return reason in PORT_DEEDS ? PORT_DEEDS[reason as keyof typeof PORT_DEEDS] : null;
}

/** Sockets under a client port that tell when it stops reading from a client that has its session. */
export function tapPortSockets(inner: Sockets, did: (deed: WireDeed) => void): Sockets {
  return {
    ...inner,
    listen: (host, port, accept, done, trouble) =>
      inner.listen(host, port, (socket) => accept(new PortSocket(socket, () => did(THROTTLED))), done, trouble),
  };
}

class PortSocket implements ByteSocket {
  readonly #inner: ByteSocket;
  readonly #throttled: () => void;
  /** The handshake stops the reading, too; its answer is the first that is written. */
  #hasAnswered = false;

  constructor(inner: ByteSocket, throttled: () => void) {
    this.#inner = inner;
    this.#throttled = throttled;
  }

  get remote(): string {
    return this.#inner.remote;
  }
  get pending(): number {
    return this.#inner.pending;
  }
  write(bytes: Uint8Array, taken?: () => void): void {
    this.#hasAnswered = true;
    this.#inner.write(bytes, taken);
  }
  end(): void {
    this.#inner.end();
  }
  pause(): void {
    if (this.#hasAnswered) this.#throttled();
    this.#inner.pause();
  }
  resume(): void {
    this.#inner.resume();
  }
  destroy(): void {
    this.#inner.destroy();
  }
}
