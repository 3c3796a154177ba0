import { answerCalls, tellParent } from '../../../examples/support/processes.ts';
import { connect, type Session, type WatchEvent, ZabError } from '../../../src/index.ts';
import { Load } from '../load.ts';
import { type ClientHandlers, type MoveNote, monotonicNow } from './crowd.ts';

/* Clients of ours that write, hold sessions and watch while the servers under them are exchanged. Each has one session for all its life. */

const loads: Load[] = [];
const signals: Signals[] = [];

const tell = (note: MoveNote): void => tellParent(note);

/** Begins a client; resolves when it has its session. */
async function open(name: string, servers: string): Promise<void> {
  let hasSession = false;
  const begun = new Promise<void>((resolve, reject) => {
    const openSession = async (): Promise<Session> => {
      if (hasSession) tell({ kind: 'bad', what: `${name} has lost its session`, client: name, at: monotonicNow() });
      const session = await connect(servers, { timeout: 10_000 });
      const path = `/eph/fixed-${name}`;
      await session.create(path, 'fixed', { mode: 'ephemeral' });
      hasSession = true;
      signals.push(new Signals(name, session));
      tell({ kind: 'session', id: session.id.toString(), path, client: name, at: monotonicNow() });
      resolve();
      return session;
    };
    const tried = () => {
      const opening = openSession();
      opening.catch(reject);
      return opening;
    };
    loads.push(new Load(name, tried, (note) => tell({ ...note, client: name, at: monotonicNow() })));
  });
  await begun;
}

/** The watches of one client, and what each has told of. */
class Signals {
  readonly #name: string;
  readonly #session: Session;
  readonly #told = new Map<string, Set<'once' | 'lasting'>>();

  constructor(name: string, session: Session) {
    this.#name = name;
    this.#session = session;
    session.watch('/signal', (event) => void this.#lasting(event), { recursive: true });
  }

  /** What has happened while there was no connection, a watch that stays can't tell: then it says so. */
  async #lasting({ type, path }: WatchEvent): Promise<void> {
    if (type === 'created') return this.#tells(path, 'lasting');
    if (type !== 'overflow') return;
    const { children } = await patiently(() => this.#session.getChildren('/signal'));
    for (const child of children) this.#tells(`/signal/${child}`, 'lasting');
  }

  async arm(path: string): Promise<void> {
    const once = ({ type }: WatchEvent): void => {
      if (type === 'created') this.#tells(path, 'once');
      else tell({ kind: 'bad', what: `${this.#name}: the watch on ${path} tells ${type}`, client: this.#name, at: monotonicNow() });
    };
    if ((await patiently(() => this.#session.exists(path, { watch: once }))) !== null) throw new Error(`${path} is there already`);
  }

  /** The parent is told when both watches have. */
  #tells(path: string, watch: 'once' | 'lasting'): void {
    const told = this.#told.get(path) ?? new Set();
    this.#told.set(path, told.add(watch));
    if (told.size === 2) tell({ kind: 'told', path, client: this.#name, at: monotonicNow() });
  }
}

/** Reads again when the connection was lost. */
async function patiently<T>(read: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof ZabError) || error.code !== 'CONNECTION_LOSS') throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

const handlers: ClientHandlers = {
  open: async ({ names, servers }) => {
    for (const name of names) await open(name, servers);
  },
  arm: async (path) => {
    await Promise.all(signals.map((watches) => watches.arm(path)));
  },
  pause: async () => {
    await Promise.all(loads.map((load) => load.pause()));
  },
  resume: () => {
    for (const load of loads) load.resume();
  },
  close: async () => {
    await Promise.all(loads.splice(0).map((load) => load.close()));
  },
};

answerCalls(handlers);
