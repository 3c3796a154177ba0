import { Op } from '../../../src/model/codes.ts';
import type { Chance } from '../../../src/testing/chance.ts';
import type { AnyRequest } from '../raw.ts';
import type { FrameView, Plain, ReplyView } from './view.ts';

interface Versions {
  version: number;
  aversion: number;
}

/** The znodes that answers have told of, and their versions. It may be out of date: then requests fail, which is welcome too. */
export class Known {
  readonly #paths: string[] = [];
  readonly #versions = new Map<string, Versions>();
  /** Counter of the last zxid that was seen. */
  lastZxid = 0;
  #picked = '';

  get size(): number {
    return this.#paths.length;
  }

  pick(chance: Chance): string {
    this.#picked = chance.pick(this.#paths);
    return this.#picked;
  }

  /** The version of the znode picked last. */
  lastVersion(of: 'version' | 'aversion'): number {
    return this.#versions.get(this.#picked)?.[of] ?? 0;
  }

  learn(requests: readonly AnyRequest[], frames: readonly FrameView[]): void {
    const replies = frames.filter((frame): frame is ReplyView => frame.kind === 'reply');
    for (const [i, reply] of replies.entries()) {
      this.lastZxid = Math.max(this.lastZxid, Number(reply.zxid));
      const request = requests[i];
      if (request !== undefined) this.#answer(request, reply);
    }
  }

  #answer(request: AnyRequest, { err, body }: ReplyView): void {
    if (request.op === Op.multi) return this.#multi(request.ops, body);
    if (!('path' in request)) return;
    if (err === -101 || (err === 0 && request.op === Op.delete)) return this.#remove(request.path);
    if (err !== 0 || body === null) return;
    const { path, stat } = body as { path?: string; stat?: Plain };
    if (isCreate(request.op)) this.#add(path ?? request.path);
    if (stat !== undefined) this.#saw(path ?? request.path, stat);
  }

  #multi(ops: readonly AnyRequest[], results: Plain): void {
    if (!Array.isArray(results)) return;
    for (const [i, result] of results.entries()) {
      const { type, path, stat } = result as { type: number; path: string | null; stat: Plain };
      const op = ops[i];
      if (type === Op.error || !('path' in op)) continue;
      if (type === Op.delete) this.#remove(op.path);
      if (path !== null) this.#add(path);
      if (stat !== null) this.#saw(path ?? op.path, stat);
    }
  }

  #saw(path: string, stat: Plain): void {
    const { version, aversion } = stat as unknown as Versions;
    if (this.#versions.has(path)) this.#versions.set(path, { version, aversion });
  }

  #add(path: string): void {
    // Anything but well-formed quotas there ends a server of 3.8.0.
    if (this.#versions.has(path) || path.startsWith('/zookeeper/quota')) return;
    this.#versions.set(path, { version: 0, aversion: 0 });
    this.#paths.push(path);
  }

  #remove(path: string): void {
    if (!this.#versions.delete(path)) return;
    const last = this.#paths.pop();
    const at = this.#paths.indexOf(path);
    if (at !== -1 && last !== undefined) this.#paths[at] = last;
  }
}

const isCreate = (op: number): boolean => op === Op.create || op === Op.create2 || op === Op.createContainer || op === Op.createTtl;
