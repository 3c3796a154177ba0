import { type EnsembleNode, type ErrorCode, type Session, ZabError } from '../../src/index.ts';

/* What a test needs outside of vitest's own process too. */

/** Awaits a condition; fails with its name after `limit` ms. */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>, limit = 60_000): Promise<void> {
  const end = performance.now() + limit;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${limit} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Rejects when `promise` is not settled after `limit` ms: a test that hangs says where. */
export function within<T>(what: string, promise: Promise<T>, limit = 60_000): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not within ${limit} ms: ${what}`)), limit);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** What a call that must fail ended with. */
export async function failureOf(call: Promise<unknown>): Promise<{ code: ErrorCode; outcome: 'not-done' | 'unknown' }> {
  try {
    await within('a call that fails', call);
  } catch (error) {
    if (error instanceof ZabError) return { code: error.code, outcome: error.outcome };
    throw error;
  }
  throw new Error('the call did not fail');
}

/** A session on one server, opened again on a new node after that server was killed. */
export function sessionOn(current: () => EnsembleNode | undefined): () => Promise<Session | undefined> {
  let session: Session | undefined;
  let opening: Promise<void> | undefined;
  let on: EnsembleNode | undefined;
  return async () => {
    const node = current();
    if (node === undefined || !node.serving) return undefined;
    if (session === undefined || on !== node || session.state === 'expired' || session.state === 'closed') {
      opening ??= node.openSession().then(
        (opened) => {
          session = opened;
          on = node;
          opening = undefined;
        },
        () => {
          opening = undefined;
        },
      );
      await opening;
      return undefined;
    }
    return session.state === 'connected' ? session : undefined;
  };
}

/** Everything in a replica's tree, Stat fields and ACLs too, as comparable text. */
export function contents(node: EnsembleNode): string[] {
  const out: string[] = [];
  for (const [path, { octets, stat }] of node.tree.walk('/')) {
    out.push(JSON.stringify([path, octets, stat, node.tree.getAcl(path)?.acl]));
  }
  return out.sort();
}

/** A client that writes numbered znodes one after another, `width` at a time, over whichever sessions it is given, and remembers what was acknowledged. */
export class Writer {
  readonly acknowledged = new Map<string, string>();
  unknown = 0;
  /** Errors of single calls, by code; an outage makes CONNECTION_LOSS. */
  readonly errors = new Map<string, number>();
  #stop = false;
  #next = 0;
  readonly #running: Promise<void>[] = [];

  constructor(
    readonly name: string,
    readonly session: () => Promise<Session | undefined>,
    width = 16,
  ) {
    for (let k = 0; k < width; k++) this.#running.push(this.#run());
  }

  /** A writer on whichever node is there at the time. */
  static on(name: string, current: () => EnsembleNode | undefined, width: number): Writer {
    return new Writer(name, sessionOn(current), width);
  }

  async stop(): Promise<void> {
    this.#stop = true;
    await Promise.all(this.#running);
  }

  async #run(): Promise<void> {
    while (!this.#stop) {
      const path = `/${this.name}-${this.#next++}`;
      for (let done = false; !done && !this.#stop; ) done = await this.#attempt(path);
    }
  }

  /** One try; a node that exists already was made by an earlier try whose outcome was unknown. */
  async #attempt(path: string): Promise<boolean> {
    const session = await this.session();
    if (session === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      return false;
    }
    try {
      const { stat } = await session.create(path, path);
      this.acknowledged.set(path, stat.czxid.toString());
      return true;
    } catch (error) {
      if (!(error instanceof ZabError)) throw error;
      if (error.code === 'NODE_EXISTS') return true;
      this.errors.set(error.code, (this.errors.get(error.code) ?? 0) + 1);
      if (error.outcome === 'unknown') this.unknown++;
      else await new Promise((resolve) => setTimeout(resolve, 1));
      return false;
    }
  }
}
