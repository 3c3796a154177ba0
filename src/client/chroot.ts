import { CreateFlag, Op } from '../model/codes.ts';
import { ZabError } from '../model/errors.ts';
import type { CreateRequest, MultiOp, SyncRequest, WriteRequest } from '../model/records.ts';
import type { ReadRequest } from '../wire/client-requests.ts';

/** What a client sends. */
export type ClientRequest = WriteRequest | SyncRequest | ReadRequest;

/** Puts a session's paths below the znode that its connect string names, and takes them out again. */
export class Chroot {
  readonly #root: string;

  /** `root` is "" or a path without a slash at its end. */
  constructor(root: string) {
    this.#root = root;
  }

  /** The servers' path for the session's. Throws BAD_ARGUMENTS for one that would not stay below the root. */
  toServer(path: string): string {
    if (this.#root === '') return path;
    if (path === '' || path === '/') return this.#root;
    if (path.charCodeAt(0) !== 0x2f) {
      throw new ZabError('BAD_ARGUMENTS', `BAD_ARGUMENTS ${path}: a path must begin with /`, 'not-done', path);
    }
    return this.#root + path;
  }

  /** The session's path for the servers'; undefined if it is not below the root. */
  toClient(path: string): string | undefined {
    const root = this.#root;
    if (root === '') return path;
    if (path === root) return '/';
    return path.startsWith(`${root}/`) ? path.slice(root.length) : undefined;
  }

  /** {@link toClient} for an answer that only a faulty server gives with another path. */
  shown(path: string): string {
    return this.toClient(path) ?? path;
  }

  /** The request with the servers' paths. */
  request<T extends WriteRequest | SyncRequest>(record: T): T;
  request(record: WriteRequest | SyncRequest): WriteRequest | SyncRequest {
    if (this.#root === '') return record;
    switch (record.op) {
      case Op.multi:
        return { ...record, ops: record.ops.map((op) => this.#part(op)) };
      case Op.setAcl:
      case Op.sync:
        return { ...record, path: this.toServer(record.path) };
      case Op.create:
      case Op.create2:
      case Op.createContainer:
      case Op.createTtl:
      case Op.delete:
      case Op.setData:
      case Op.check:
        return this.#part(record);
      default:
        return record;
    }
  }

  #part(record: MultiOp): MultiOp {
    switch (record.op) {
      case Op.setData:
      case Op.check:
        return { ...record, path: this.toServer(record.path) };
      case Op.delete:
        // The root of a session can't be deleted, whatever znode it is.
        return record.path === '/' || record.path === '' ? record : { ...record, path: this.toServer(record.path) };
      default:
        return { ...record, path: this.#created(record) };
    }
  }

  /** A name that is the sequence suffix alone goes behind a slash. */
  #created({ path, flags }: CreateRequest): string {
    return path === '/' && isSequential(flags) ? `${this.#root}/` : this.toServer(path);
  }
}

function isSequential(flags: number): boolean {
  return (
    flags === CreateFlag.persistentSequential || flags === CreateFlag.ephemeralSequential || flags === CreateFlag.persistentSequentialTtl
  );
}
