import { CREATOR_ALL_ACL, digestId, type Session, ZabError } from '../../src/index.ts';

/* What clients do while the servers under them are killed, and what they were told. */

/**
 * What a client tells about one znode, in order. `tag` is the data that it writes, unique for each write; null is a deletion.
 * - try: about to ask for it; who is never told how it ended may find it done or not;
 * - ack: it was done, in the transaction `zxid` (absent when only its effect was seen);
 * - no: it surely was not done.
 */
export type Note =
  | { readonly kind: 'try' | 'no'; readonly path: string; readonly tag: string | null }
  | { readonly kind: 'ack'; readonly path: string; readonly tag: string | null; readonly zxid?: string }
  /** Something that must never be. */
  | { readonly kind: 'bad'; readonly what: string };

/** Parents of what the clients write, made before they begin. */
export const LOAD_PARENTS = ['/load', '/seq', '/eph'] as const;

const PASSWORD = 'pass';

/** A client with one session at a time, which does one thing after another until it is stopped. */
export class Load {
  readonly #name: string;
  readonly #open: () => Promise<Session>;
  readonly #tell: (note: Note) => void;
  #session: Session | undefined;
  #stopped = false;
  #paused = false;
  #step = Date.now() % 1e9;
  #running: Promise<void>;
  /** Version of the counter, as far as known. */
  #counter: number | undefined;
  readonly #ephemerals: string[] = [];
  /** The last znode that was given away. */
  #given: string | undefined;

  /** `open` is called for every new session; it may reject, then it is called again. */
  constructor(name: string, open: () => Promise<Session>, tell: (note: Note) => void) {
    this.#name = name;
    this.#open = open;
    this.#tell = tell;
    this.#running = this.#run();
  }

  /** While paused nothing is asked for; resolves when nothing is under way. */
  async pause(): Promise<void> {
    this.#paused = true;
    await this.#running;
  }

  resume(): void {
    if (!this.#paused || this.#stopped) return;
    this.#paused = false;
    this.#running = this.#run();
  }

  /** Ends it and closes its session. */
  async close(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    if (this.#session !== undefined) await closed(this.#session);
  }

  async #run(): Promise<void> {
    while (!this.#stopped && !this.#paused) {
      const session = await this.#current();
      if (session === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        continue;
      }
      try {
        await this.#next(session);
      } catch (error) {
        // What a call ended with is told by the call itself; here only what no call may end with is of interest.
        if (!(error instanceof ZabError)) throw error;
      }
    }
  }

  async #current(): Promise<Session | undefined> {
    const session = this.#session;
    if (session !== undefined && session.state !== 'expired' && session.state !== 'closed') {
      return session.state === 'connected' ? session : undefined;
    }
    this.#session = undefined;
    this.#ephemerals.length = 0;
    try {
      this.#session = await this.#open();
      this.#counter = undefined;
      await this.#session.addAuth('digest', `${this.#name}:${PASSWORD}`);
    } catch (error) {
      if (!(error instanceof ZabError)) throw error;
    }
    return undefined;
  }

  #next(session: Session): Promise<void> {
    const k = this.#step++;
    const at = `/load/${this.#name}-${k}`;
    const tag = `${this.#name}/${k}`;
    if (this.#counter === undefined) return this.#findCounter(session, tag);
    switch (k % 8) {
      case 0:
        return this.#created(session, at, tag);
      case 1:
        return this.#set(session, tag);
      case 2:
        return this.#sequential(session, tag);
      case 3:
        return this.#ephemeral(session, `/eph/${this.#name}-${k}`, tag);
      case 4:
        return this.#multi(session, at, tag);
      case 5:
        return this.#guarded(session, at, tag);
      case 6:
        return this.#removed(session, at, tag);
      default:
        return this.#stillThere(session);
    }
  }

  /** Tells how a write of `tag` to `path` goes. `zxidOf` finds the transaction in the answer. */
  async #write<T>(path: string, tag: string | null, write: () => Promise<T>, zxidOf: (answer: T) => string | undefined): Promise<T> {
    this.#tell({ kind: 'try', path, tag });
    try {
      const answer = await write();
      this.#tell({ kind: 'ack', path, tag, zxid: zxidOf(answer) });
      return answer;
    } catch (error) {
      if (error instanceof ZabError && error.outcome === 'not-done') this.#tell({ kind: 'no', path, tag });
      throw error;
    }
  }

  /** The watch on the name must fire before the answer: the session asks for both. */
  async #created(session: Session, path: string, tag: string): Promise<void> {
    const seen: string[] = [];
    const before = await session.exists(path, { watch: (event) => seen.push(event.type) });
    if (before !== null) return;
    const { stat } = await this.#write(
      path,
      tag,
      () => session.create(path, tag),
      (made) => made.stat.czxid.toString(),
    );
    if (seen[0] !== 'created') this.#tell({ kind: 'bad', what: `no event before the answer to create ${path} (${stat.czxid}): ${seen}` });
  }

  get #counterPath(): string {
    return `/load/${this.#name}`;
  }

  /** After a new session: what is there now is what the writes so far have come to. */
  async #findCounter(session: Session, tag: string): Promise<void> {
    const path = this.#counterPath;
    if ((await session.exists(path)) === null) {
      await this.#write(
        path,
        tag,
        () => session.create(path, tag),
        ({ stat }) => stat.czxid.toString(),
      );
      return;
    }
    await session.sync();
    const { stat, octets } = await session.getData(path);
    this.#tell({ kind: 'ack', path, tag: octets, zxid: stat.mzxid.toString() });
    this.#counter = stat.version;
  }

  /** Each write names the version before it: one whose outcome is unknown can't come through after the next. */
  async #set(session: Session, tag: string): Promise<void> {
    const version = this.#counter;
    this.#counter = undefined;
    const path = this.#counterPath;
    const stat = await this.#write(
      path,
      tag,
      () => session.setData(path, tag, { version }),
      (made) => made.mzxid.toString(),
    );
    this.#counter = stat.version;
  }

  async #sequential(session: Session, tag: string): Promise<void> {
    const { path, stat } = await session.create('/seq/s-', tag, { mode: 'persistentSequential' });
    this.#tell({ kind: 'ack', path, tag, zxid: stat.czxid.toString() });
  }

  async #ephemeral(session: Session, path: string, tag: string): Promise<void> {
    const { stat } = await session.create(path, tag, { mode: 'ephemeral' });
    if (!stat.ephemeralOwner.equals(session.id))
      this.#tell({ kind: 'bad', what: `${path} belongs to 0x${stat.ephemeralOwner.toString(16)}` });
    if (session === this.#session) this.#ephemerals.push(path);
  }

  /** All or nothing: the new znode and the counter. */
  async #multi(session: Session, path: string, tag: string): Promise<void> {
    const version = this.#counter;
    this.#counter = undefined;
    await this.#write(
      path,
      tag,
      () =>
        this.#write(
          this.#counterPath,
          tag,
          () =>
            session.multi([
              { type: 'check', path: '/load' },
              { type: 'create', path, data: tag },
              { type: 'setData', path: this.#counterPath, data: tag, version },
            ]),
          (results) => (results[2].type === 'setData' ? results[2].stat.mzxid.toString() : undefined),
        ),
      (results) => (results[2].type === 'setData' ? results[2].stat.mzxid.toString() : undefined),
    );
  }

  /**
   * A znode that its maker gives to somebody else, and may not change any more. The one of the last time is tried: while a change of an ACL is under way, a leader of ZooKeeper
   * 3.8.0 still goes by the one before, even for those who have had the answer from a follower that was quicker.
   */
  async #guarded(session: Session, path: string, tag: string): Promise<void> {
    const last = this.#given;
    this.#given = undefined;
    await this.#write(
      path,
      tag,
      () => session.create(path, tag, { acl: CREATOR_ALL_ACL }),
      ({ stat }) => stat.czxid.toString(),
    );
    await session.setAcl(path, [{ perms: 31, scheme: 'digest', id: digestId('somebody:else') }]);
    this.#given = path;
    if (last === undefined) return;
    try {
      await session.setData(last, 'not allowed');
    } catch (error) {
      if (error instanceof ZabError) return;
      throw error;
    }
    this.#tell({ kind: 'bad', what: `${last} could be changed without a right to` });
  }

  async #removed(session: Session, path: string, tag: string): Promise<void> {
    await this.#write(
      path,
      tag,
      () => session.create(path, tag),
      ({ stat }) => stat.czxid.toString(),
    );
    await this.#write(
      path,
      null,
      () => session.delete(path, { version: 0 }),
      () => undefined,
    );
  }

  /** While a session lives its ephemeral znodes do. */
  async #stillThere(session: Session): Promise<void> {
    await session.sync();
    if (this.#ephemerals.length > 4) {
      const path = this.#ephemerals.shift() as string;
      return session.delete(path);
    }
    const [path] = this.#ephemerals;
    if (path === undefined) return;
    if ((await session.exists(path)) !== null) return;
    // The last that a session sees may be its own end; one that is answered once more has not ended.
    await session.sync();
    this.#tell({ kind: 'bad', what: `${path} is gone while its session 0x${session.id.toString(16)} lives` });
  }
}

/** A session that has just lost its server can't be closed, and would live on: it is tried until it can be, or has expired. */
async function closed(session: Session): Promise<void> {
  while (session.state === 'connected' || session.state === 'suspended') {
    await session.close().catch(() => new Promise((resolve) => setTimeout(resolve, 10)));
  }
}
