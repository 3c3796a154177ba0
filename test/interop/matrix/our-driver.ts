import Long from 'long';
import {
  type Acl,
  type CreateMode,
  connect,
  type MultiOperation,
  type ReadOperation,
  type Session,
  type Stat,
  ZabError,
} from '../../../src/index.ts';
import type { Answer, Driver, RawStat } from './driver.ts';

/* Our own client as a driver of the matrix (drivers/README.md), in this process. */

const LIMIT_MS = 20_000;
const LONG_DATA = 256;

const MODES: readonly CreateMode[] = [
  'persistent',
  'ephemeral',
  'persistentSequential',
  'ephemeralSequential',
  'container',
  'persistentTtl',
  'persistentSequentialTtl',
];

const STATES: Readonly<Record<string, string>> = {
  connected: 'SyncConnected',
  suspended: 'Disconnected',
  expired: 'Expired',
  closed: 'Closed',
};

const EVENTS: Readonly<Record<string, string>> = {
  created: 'NodeCreated',
  deleted: 'NodeDeleted',
  dataChanged: 'NodeDataChanged',
  childrenChanged: 'NodeChildrenChanged',
  overflow: 'overflow',
};

const WATCH_KINDS = { '1': 'children', '2': 'data', '3': 'any' } as const;

/** One session with the states it has gone through and the events of its watches. */
class Handle {
  readonly session: Session;
  readonly #states: string[] = [];
  #wake: () => void = () => {};
  #log: string[] = [];

  constructor(session: Session) {
    this.session = session;
    session.on('state', (state) => this.tell(STATES[state]));
  }

  tell(state: string): void {
    this.#states.push(state);
    this.#wake();
  }

  async until(wanted: string): Promise<Answer> {
    const end = Date.now() + LIMIT_MS;
    for (;;) {
      for (let state = this.#states.shift(); state !== undefined; state = this.#states.shift()) if (state === wanted) return { state };
      const rest = end - Date.now();
      if (rest <= 0) return { refused: `no ${wanted}` };
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, rest);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  watch(label: string): { watch?: (event: { type: string; path: string }) => void } {
    return label === '' ? {} : { watch: this.listener(label) };
  }

  listener(label: string): (event: { type: string; path: string }) => void {
    return ({ type, path }) => this.#log.push(`${label} ${EVENTS[type]} ${path}`);
  }

  async events(): Promise<string[]> {
    await this.session.sync('/');
    const events = this.#log;
    this.#log = [];
    return events;
  }
}

function dataOf(arg: string): Uint8Array | null {
  if (arg === '-') return null;
  const [hex, count] = arg.split('*');
  return count === undefined ? Buffer.from(hex, 'hex') : new Uint8Array(Number(count)).fill(Number.parseInt(hex, 16));
}

function showData(data: Uint8Array | null): string | null {
  if (data === null) return null;
  const hex = Buffer.from(data.subarray(0, LONG_DATA)).toString('hex');
  return data.length <= LONG_DATA ? hex : `${data.length}:${hex}`;
}

function aclOf(arg: string): Acl[] {
  if (arg === '') return [];
  return arg.split(',').map((entry) => {
    const [, perms, scheme, id] = /^(\d+):([^:]*):(.*)$/.exec(entry) ?? [];
    return { perms: Number(perms), scheme, id };
  });
}

const showAcl = (acl: readonly Acl[]): string[] => acl.map(({ perms, scheme, id }) => `${perms}:${scheme}:${id}`);

const showLong = (value: Long): string => value.toSigned().toString();

const showStat = (s: Stat): RawStat => [
  showLong(s.czxid),
  showLong(s.mzxid),
  Long.fromValue(s.ctime).toString(),
  Long.fromValue(s.mtime).toString(),
  s.version,
  s.cversion,
  s.aversion,
  showLong(s.ephemeralOwner),
  s.dataLength,
  s.numChildren,
  showLong(s.pzxid),
];

const createOptions = (acl: string, mode: string, ttl = '') => ({
  acl: aclOf(acl),
  mode: MODES[Number(mode)],
  ...(ttl === '' ? {} : { ttl: Number(ttl) }),
});

function operationOf(arg: string): MultiOperation {
  const [type, path, ...f] = arg.split('|').map(decodeURIComponent);
  if (type === 'create') return { type, path, data: dataOf(f[0]), ...createOptions(f[1], f[2], f[3]) };
  if (type === 'delete' || type === 'check') return { type, path, version: Number(f[0]) };
  return { type: 'setData', path, data: dataOf(f[0]), version: Number(f[1]) };
}

function readOf(arg: string): ReadOperation {
  const [type, path] = arg.split('|').map(decodeURIComponent);
  return { type: type as ReadOperation['type'], path };
}

function errorAnswer(error: unknown): Answer {
  if (!(error instanceof ZabError)) return { refused: String(error) };
  const answer: Answer = error.number === undefined ? { refused: error.code } : { error: error.number };
  if (!('results' in error)) return answer;
  const results = error.results as readonly (ZabError | null)[];
  return { ...answer, results: results.map((result) => ({ error: result?.number ?? 0 })) };
}

type Verb = (handle: Handle, ...args: string[]) => Promise<Answer>;

const VERBS: Readonly<Record<string, Verb>> = {
  close: async ({ session }) => {
    await session.close();
    return {};
  },
  await: (handle, state) => handle.until(state),
  events: async (handle) => ({ events: await handle.events() }),
  create: async ({ session }, path, data, acl, mode, ttl) => ({
    path: (await session.create(path, dataOf(data), createOptions(acl, mode, ttl))).path,
  }),
  create2: async ({ session }, path, data, acl, mode, ttl) => {
    const created = await session.create(path, dataOf(data), createOptions(acl, mode, ttl));
    return { path: created.path, stat: showStat(created.stat) };
  },
  delete: async ({ session }, path, version) => {
    await session.delete(path, { version: Number(version) });
    return {};
  },
  exists: async (handle, path, label) => {
    const stat = await handle.session.exists(path, handle.watch(label));
    return stat === null ? { error: -101 } : { stat: showStat(stat) };
  },
  getData: async (handle, path, label) => {
    const { data, stat } = await handle.session.getData(path, handle.watch(label));
    return { data: showData(data), stat: showStat(stat) };
  },
  getChildren: async (handle, path, label) => ({ children: (await handle.session.getChildren(path, handle.watch(label))).children }),
  getChildren2: async (handle, path, label) => {
    const { children, stat } = await handle.session.getChildren(path, handle.watch(label));
    return { children, stat: showStat(stat) };
  },
  setData: async ({ session }, path, data, version) => ({
    stat: showStat(await session.setData(path, dataOf(data), { version: Number(version) })),
  }),
  getAcl: async ({ session }, path) => {
    const { acl, stat } = await session.getAcl(path);
    return { acl: showAcl(acl), stat: showStat(stat) };
  },
  setAcl: async ({ session }, path, acl, version) => ({
    stat: showStat(await session.setAcl(path, aclOf(acl), { version: Number(version) })),
  }),
  sync: async ({ session }, path) => {
    await session.sync(path);
    return {};
  },
  multi: async ({ session }, ...parts) => {
    const results = await session.multi(parts.map(operationOf));
    return {
      results: results.map((result) => {
        if (result.type === 'create') return { path: result.path, stat: result.stat && showStat(result.stat) };
        return result.type === 'setData' ? { stat: showStat(result.stat) } : {};
      }),
    };
  },
  multiRead: async ({ session }, ...parts) => {
    const results = await session.multiRead(parts.map(readOf));
    const failed = results.find((result) => result.type === 'error');
    return {
      // The first error, as the Java client tells it of the whole.
      ...(failed === undefined ? {} : { error: failed.error.number }),
      results: results.map((result) => {
        if (result.type === 'error') return { error: result.error.number };
        if (result.type === 'getChildren') return { children: result.children };
        return { data: showData(result.value.data), stat: showStat(result.value.stat) };
      }),
    };
  },
  addAuth: async (handle, scheme, credential) => {
    await handle.session.addAuth(scheme, credential).catch((error: ZabError) => {
      // What other libraries tell as a state of the session is here an error of the call.
      if (error.code === 'AUTH_FAILED') handle.tell('AuthFailed');
      else throw error;
    });
    return {};
  },
  whoAmI: async ({ session }) => ({ ids: (await session.whoAmI()).map(({ scheme, id }) => `${scheme}:${id}`) }),
  addWatch: async (handle, path, mode, label) => {
    handle.session.watch(path, handle.listener(label), { recursive: mode === '1' });
    // `watch` is no call that is answered: the next one is, behind it.
    await handle.session.sync(path);
    return {};
  },
  removeWatches: async ({ session }, path, kind) => {
    await session.removeWatches(path, WATCH_KINDS[kind as keyof typeof WATCH_KINDS]);
    return {};
  },
  getEphemerals: async ({ session }, prefix) => ({ paths: await session.getEphemerals(prefix) }),
  getAllChildrenNumber: async ({ session }, path) => ({ count: await session.getAllChildrenNumber(path) }),
};

export class OurDriver implements Driver {
  readonly name = 'ours';
  readonly #handles = new Map<string, Handle>();

  async call(verb: string, ...args: string[]): Promise<Answer> {
    try {
      if (verb === 'connect') return await this.#open(args);
      if (verb === 'reattach') return await this.#resume(args);
      if (VERBS[verb] === undefined) return { unsupported: verb };
      return await VERBS[verb](this.#handles.get(args[0])!, ...args.slice(1));
    } catch (error) {
      return errorAnswer(error);
    }
  }

  async end(): Promise<void> {
    for (const { session } of this.#handles.values()) await session.close().catch(() => {});
  }

  async #open([name, hosts, timeout, how]: readonly string[], resume?: { id: Long; password: Uint8Array }): Promise<Answer> {
    const session = await connect(hosts, {
      timeout: Number(timeout),
      readOnly: how === 'read-only',
      ...(resume === undefined ? {} : { resume }),
    });
    this.#handles.set(name, new Handle(session));
    return { session: showLong(session.id), timeout: session.timeout, ...(session.readOnly ? { state: 'ConnectedReadOnly' } : {}) };
  }

  async #resume([name, hosts, timeout, other, which]: readonly string[]): Promise<Answer> {
    const { id, password } = this.#handles.get(other)!.session;
    const tried = password.slice();
    if (which === 'wrong') tried[0] ^= 1;
    try {
      return await this.#open([name, hosts, timeout], { id, password: tried });
    } catch (error) {
      if (error instanceof ZabError && error.code === 'SESSION_EXPIRED') return { state: 'Expired' };
      throw error;
    }
  }
}
