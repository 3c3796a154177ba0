import type { ByteSocket, SocketHandler } from '../seams/sockets.ts';
import type { Chance } from './chance.ts';
import type { Machine } from './machine.ts';
import { drawTime, type Path } from './network-path.ts';
import { type Medium, Pipe, type SegmentKind, type Sink, type Source } from './network-pipe.ts';

/** What a process finds in a chunk that it has kept beyond the call. */
const USED_UP = 0xdb;

/** The machine at one end of a connection. */
export interface Station {
  readonly machine: Machine;
  /** What other machines call it. */
  readonly address: string;
  /** It has no power: it answers nothing. */
  readonly isDown: boolean;
  /** How fast each of its connections is read, bytes per ms. */
  readonly readRate: number;
}

/** What a connection asks its network. */
export interface Switchboard extends Medium {
  /** Whether somebody listens on the port at the listening end. */
  hasListener(connection: Connection): boolean;
  /** Lets the listener take the accepted end; null if there is none any more. */
  accept(connection: Connection): SocketHandler | null;
  /** Neither side has it any more. */
  over(connection: Connection): void;
}

/** One side of a connection, with the part of it that the machine plays without its process. */
export class End implements ByteSocket, Sink, Source {
  readonly remote: string;
  readonly station: Station;
  readonly machine: Machine;
  /** Deliveries to the process are its events. */
  readonly owner: Machine;
  out!: Pipe;
  in!: Pipe;
  handler: SocketHandler | null;
  /** `connecting`: not known to its process as a connection that stands; `gone`: the process has it no more, or is no more. */
  state: 'connecting' | 'open' | 'gone' = 'connecting';
  readonly #connection: Connection;
  /** The life of the process that has it; null while no process does: it is still being asked for. */
  #life: number | null;
  /** Its owner has said that nothing more is sent. */
  #isEnded = false;
  /** The owner was told that nothing more comes. */
  #isRead = false;

  constructor(connection: Connection, station: Station, remote: string, handler: SocketHandler | null) {
    this.#connection = connection;
    this.station = station;
    this.machine = station.machine;
    this.owner = station.machine;
    this.remote = remote;
    this.handler = handler;
    this.#life = handler === null ? null : this.machine.life;
  }

  /** Whether its process still has the connection. */
  get isLive(): boolean {
    return this.state !== 'gone' && this.machine.life === this.#life;
  }

  // ---- what the owner calls ----

  get pending(): number {
    return this.isLive ? this.out.pending : 0;
  }

  write(bytes: Uint8Array, taken?: () => void): void {
    if (this.isLive && !this.#isEnded) this.out.write(bytes, taken);
  }

  end(): void {
    if (!this.isLive || this.#isEnded) return;
    this.#isEnded = true;
    this.out.end();
  }

  pause(): void {
    if (this.isLive) this.in.pause();
  }

  resume(): void {
    if (this.isLive) this.in.resume();
  }

  destroy(): void {
    if (!this.isLive) return;
    this.#hangUp();
    this.#tellClosed('');
  }

  // ---- what arrives at its process ----

  take(kind: SegmentKind, bytes: Uint8Array): void {
    if (!this.isLive) return;
    switch (kind) {
      case 'opened':
        this.state = 'open';
        this.out.push('accept');
        this.out.open();
        return this.handler!.opened();
      case 'accept':
        return this.#accepted();
      case 'data':
        this.#connection.received(bytes);
        this.handler!.data(bytes);
        bytes.fill(USED_UP);
        return;
      case 'fin':
        this.#isRead = true;
        this.handler!.ended();
        return this.finished();
      default:
        return this.#fail(this.state === 'connecting' ? `connect ECONNREFUSED ${this.remote}` : 'read ECONNRESET');
    }
  }

  /** The connection was asked for by the other side: from now on it belongs to the process that listens. */
  adopt(): void {
    this.#life = this.machine.life;
    this.in.setSink(this);
    this.out.push('opened');
  }

  #accepted(): void {
    this.state = 'open';
    this.out.open();
    this.handler = this.#connection.accept();
    if (this.handler !== null) return;
    this.out.push('rst');
    this.#leave();
  }

  /** Both sides have said all: the connection is over when the network has what this one said. */
  finished(): void {
    if (this.isLive && this.#isRead && this.out.isFinished) this.#tellClosed('');
  }

  // ---- its end ----

  /** Nothing has been heard from the other side for too long. */
  timedOut(): void {
    this.#connection.timedOut(this);
  }

  /** Gives it up. */
  giveUp(): void {
    if (this.state === 'gone') return;
    this.out.truncate({ held: false });
    this.#fail(`${this.state === 'connecting' ? 'connect' : 'read'} ETIMEDOUT ${this.remote}`);
  }

  #fail(reason: string): void {
    this.out.dropQueue();
    this.#tellClosed(reason);
  }

  #tellClosed(reason: string): void {
    const { handler } = this;
    this.#leave();
    if (this.machine.life !== this.#life) return;
    // An end that was destroyed while it was accepted has no handler yet.
    this.machine.after(0, 'closed', () => (handler ?? this.handler)?.closed(reason));
  }

  /** The process is gone; its machine ends what it had. */
  crashed(): void {
    if (this.state === 'gone' || this.#life === null) return;
    this.#hangUp();
    this.#leave();
  }

  /** The machine is gone, and with it all that had not left. */
  lostPower(): void {
    this.out.dropQueue();
    this.out.truncate({ held: false });
    this.in.setSink(null);
    if (this.state === 'gone' || this.#life === null) return;
    this.#connection.left(this);
  }

  /** What the machine still sends of a connection that its process drops: an end behind what it has taken, or a reset. */
  #hangUp(): void {
    const { out } = this;
    out.dropQueue();
    if (this.state === 'connecting') return;
    if (this.in.hasArrived || this.#connection.chance.below(8) === 0) {
      out.truncate({ held: true });
      out.push('rst');
    } else if (!out.isFinished) out.push('fin');
  }

  #leave(): void {
    this.in.setSink(this.#connection.afterwards(this));
    this.#connection.left(this);
  }
}

/** A connection between two machines, from the first attempt to connect until nobody has it any more. */
export class Connection {
  /** The side that has connected. */
  readonly client: End;
  /** The side that listens. */
  readonly server: End;
  readonly chance: Chance;
  readonly #switchboard: Switchboard;

  /**
   * @param number of all connections of the network
   * @param port that is connected to
   * @param there the path from the client to the server
   */
  constructor(
    switchboard: Switchboard,
    readonly number: number,
    readonly port: number,
    clientPort: number,
    stations: { readonly client: Station; readonly server: Station },
    paths: { readonly there: Path; readonly back: Path },
    chance: Chance,
    handler: SocketHandler,
  ) {
    const { client, server } = stations;
    this.#switchboard = switchboard;
    this.chance = chance;
    this.client = new End(this, client, `${server.address}:${port}`, handler);
    this.server = new End(this, server, `${client.address}:${clientPort}`, null);
    const sink = server.isDown ? null : this.#asked;
    const there = new Pipe(switchboard, paths.there, number, chance.fork('there'), this.client, sink, () => server.readRate);
    const back = new Pipe(switchboard, paths.back, number, chance.fork('back'), this.server, this.client, () => client.readRate);
    this.client.out = this.server.in = there;
    this.client.in = this.server.out = back;
    Pipe.pair(there, back);
    there.push('syn');
  }

  get ends(): readonly [End, End] {
    return [this.client, this.server];
  }

  /** For the story. */
  get name(): string {
    return `connection ${this.number} from ${this.client.machine.id} to ${this.server.machine.id}:${this.port}`;
  }

  /** Whether both processes have it. */
  get stands(): boolean {
    return this.ends.every((end) => end.state === 'open');
  }

  /** What the machine that is asked for a connection does by itself. */
  readonly #asked: Sink = {
    owner: null,
    take: () => {
      if (this.#switchboard.hasListener(this)) return this.server.adopt();
      this.server.out.push('rst');
      this.server.in.setSink(this.afterwards(this.server));
      this.left(this.server);
    },
  };

  /** What a machine does with what still comes for an end that its process does not have any more: it answers that there is no such connection. */
  afterwards(end: End): Sink {
    let answered = false;
    return {
      owner: null,
      take: (kind) => {
        if (answered || kind === 'fin' || kind === 'rst') return;
        answered = true;
        end.out.push('rst');
      },
    };
  }

  accept(): SocketHandler | null {
    return this.#switchboard.accept(this);
  }

  received(bytes: Uint8Array): void {
    this.#switchboard.traffic.bytes += bytes.length;
    this.#switchboard.kernel.trace.mixBytes(bytes);
  }

  /** One side has heard nothing for too long; so the other one hears nothing either, or will not for much longer. */
  timedOut(end: End): void {
    const { kernel, settings } = this.#switchboard;
    kernel.note(0, `${this.name} hears nothing for too long and breaks`);
    end.giveUp();
    const other = end === this.client ? this.server : this.client;
    const later = drawTime(this.chance, { min: 0, max: settings.breakAfter / 2 });
    if (other.state !== 'gone') kernel.after(later, null, 'patience', () => other.giveUp());
  }

  /**
   * Breaks it: only a part of what is under way arrives, then each side learns of it at a time of its own; or one does only when it sends, or after a long silence.
   */
  reset(): void {
    const { kernel, settings } = this.#switchboard;
    kernel.note(0, `${this.name} breaks`);
    const quiet = this.chance.below(3);
    this.ends.forEach((end, i) => {
      end.in.truncate({ held: true });
      if (i !== quiet) end.in.push('rst', drawTime(this.chance, { min: 0, max: 20 }));
      else if (settings.breakAfter < Infinity) kernel.after(settings.breakAfter, null, 'patience', () => end.giveUp());
    });
    for (const end of this.ends) end.out.break();
  }

  /** The machine of an end that had lost its power is there again: it knows of nothing, and says so when it is asked. */
  regainedPower(here: End): void {
    const isNew = here.state !== 'gone';
    here.in.setSink(isNew ? this.#asked : this.afterwards(here));
    if (isNew) return;
    const { kernel, settings } = this.#switchboard;
    const probe = Math.min(settings.breakAfter, 10_000);
    kernel.after(drawTime(this.chance, { min: 0, max: probe }), null, 'keep-alive', () => here.out.push('rst'));
  }

  /** The process at one end does not have it any more. */
  left(end: End): void {
    // The listening side's process knows of a connection only when the connecting side's does.
    if (end === this.client && end.state === 'connecting') this.server.state = 'gone';
    end.state = 'gone';
    if (this.ends.every((end) => end.state === 'gone')) this.#switchboard.over(this);
  }

  dispose(): void {
    this.client.out.dispose();
    this.server.out.dispose();
  }
}
