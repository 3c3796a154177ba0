import { CreateFlag, Err, Op } from '../model/codes.ts';
import { ZabError } from '../model/errors.ts';
import type {
  Acl,
  CheckRequest,
  CreateRequest,
  DeleteRequest,
  MultiOp,
  SetAclRequest,
  SetDataRequest,
  WriteRequest,
} from '../model/records.ts';
import { OPEN_ACL } from '../tree/acl.ts';
import { type Octets, octetsFromBytes, octetsFromText } from '../util/bytes.ts';
import { JuteWriter } from '../wire/jute.ts';
import { encodeRequestBody } from '../wire/requests.ts';
import type { CreateMode, CreateOptions, DataInput, MultiOperation } from './api.ts';

/*
 * From the arguments of the public API to requests. Only what could not travel is refused here, with BAD_ARGUMENTS; the rules of ZooKeeper are the leader's
 * business, so that an error is the same whoever asks.
 */

const MAX_TTL = 2 ** 40 - 1;

const FLAGS: Readonly<Record<CreateMode, number>> = {
  persistent: CreateFlag.persistent,
  ephemeral: CreateFlag.ephemeral,
  persistentSequential: CreateFlag.persistentSequential,
  ephemeralSequential: CreateFlag.ephemeralSequential,
  container: CreateFlag.container,
  persistentTtl: CreateFlag.persistentTtl,
  persistentSequentialTtl: CreateFlag.persistentSequentialTtl,
};

function badArgument(what: string, path?: string): ZabError {
  return new ZabError(
    'BAD_ARGUMENTS',
    `BAD_ARGUMENTS (${Err.badArguments})${path === undefined ? '' : ` ${path}`}: ${what}`,
    'not-done',
    path,
  );
}

/** `path` if it is a string. Whether it is a good path is for the leader, or the tree, to say. */
export function checkedPath(path: string): string {
  if (typeof path !== 'string') throw badArgument(`the path must be a string, not ${typeof path}`);
  return path;
}

function checkedVersion(version: number | undefined, path: string): number {
  if (version === undefined) return -1;
  if ((version | 0) !== version) throw badArgument(`the version must be a whole number of 32 bits, not ${version}`, path);
  return version;
}

function checkedData(data: DataInput | undefined, path: string): Octets | null {
  if (typeof data === 'string') return octetsFromText(data);
  if (data === null || data === undefined) return null;
  if (data instanceof Uint8Array) return octetsFromBytes(data);
  throw badArgument(`data must be a Uint8Array, a string or null, not ${typeof data}`, path);
}

/** A copy of `acl`, so that later changes by the caller do nothing. */
function checkedAcl(acl: readonly Acl[], path: string): readonly Acl[] {
  if (acl === OPEN_ACL) return acl;
  if (!Array.isArray(acl)) throw badArgument('the ACL must be a list', path);
  return acl.map((entry) => {
    if (typeof entry !== 'object' || entry === null) throw badArgument('an ACL entry must be an object', path);
    const { perms, scheme, id } = entry;
    if ((perms | 0) !== perms || typeof scheme !== 'string' || typeof id !== 'string') {
      throw badArgument('an ACL entry must have a number perms and strings scheme and id', path);
    }
    return { perms, scheme, id };
  });
}

/** `op` for a plain create is 15, whose txn is the same as that of 1 but whose result has a Stat; in a multi it must be 1 (PROTOCOL 3.3, 19). */
export function createRequest(
  path: string,
  data: DataInput | undefined,
  options: CreateOptions | undefined,
  plainOp: 1 | 15,
): CreateRequest {
  checkedPath(path);
  const mode = options?.mode ?? 'persistent';
  const flags = FLAGS[mode];
  if (flags === undefined) throw badArgument(`unknown mode ${String(mode)}`, path);
  const isTtl = flags === CreateFlag.persistentTtl || flags === CreateFlag.persistentSequentialTtl;
  const ttl = options?.ttl;
  if (isTtl && !(ttl !== undefined && Number.isInteger(ttl) && ttl >= 1 && ttl <= MAX_TTL)) {
    throw badArgument(`mode ${mode} needs a ttl of 1 to ${MAX_TTL} ms, not ${ttl}`, path);
  }
  if (!isTtl && ttl !== undefined) throw badArgument(`a ttl is only for a TTL mode, not for ${mode}`, path);
  return {
    op: isTtl ? Op.createTtl : flags === CreateFlag.container ? Op.createContainer : plainOp,
    path,
    data: checkedData(data, path),
    acl: options?.acl === undefined ? OPEN_ACL : checkedAcl(options.acl, path),
    flags,
    ttl: ttl ?? 0,
  };
}

export function deleteRequest(path: string, version: number | undefined): DeleteRequest {
  return { op: Op.delete, path: checkedPath(path), version: checkedVersion(version, path) };
}

export function setDataRequest(path: string, data: DataInput, version: number | undefined): SetDataRequest {
  return { op: Op.setData, path: checkedPath(path), data: checkedData(data, path), version: checkedVersion(version, path) };
}

export function setAclRequest(path: string, acl: readonly Acl[], version: number | undefined): SetAclRequest {
  return { op: Op.setAcl, path: checkedPath(path), acl: checkedAcl(acl, path), version: checkedVersion(version, path) };
}

function checkRequest(path: string, version: number | undefined): CheckRequest {
  return { op: Op.check, path: checkedPath(path), version: checkedVersion(version, path) };
}

export function multiOp(operation: MultiOperation): MultiOp {
  switch (operation.type) {
    case 'create':
      return createRequest(operation.path, operation.data, operation, Op.create);
    case 'delete':
      return deleteRequest(operation.path, operation.version);
    case 'setData':
      return setDataRequest(operation.path, operation.data, operation.version);
    case 'check':
      return checkRequest(operation.path, operation.version);
    default:
      throw badArgument(`unknown operation ${String((operation as { type: unknown }).type)} in a multi`);
  }
}

/** What a request can take at most beside path, data and ACL: a header, or that of a part of a multi, and lengths. */
const OVERHEAD = 64;

function sizeBound(record: WriteRequest): number {
  switch (record.op) {
    case Op.multi:
      return record.ops.reduce((sum, op) => sum + sizeBound(op), OVERHEAD);
    case Op.setData:
      return OVERHEAD + 3 * record.path.length + (record.data?.length ?? 0);
    case Op.create:
    case Op.create2:
    case Op.createContainer:
    case Op.createTtl:
      return OVERHEAD + 3 * record.path.length + (record.data?.length ?? 0) + aclBound(record.acl);
    case Op.setAcl:
      return OVERHEAD + 3 * record.path.length + aclBound(record.acl);
    case Op.delete:
    case Op.check:
      return OVERHEAD + 3 * record.path.length;
    default:
      return OVERHEAD;
  }
}

function aclBound(acl: readonly Acl[] | null): number {
  if (acl === null || acl === OPEN_ACL) return OVERHEAD;
  return acl.reduce((sum, { scheme, id }) => sum + 16 + 3 * (scheme.length + id.length), 0);
}

/**
 * Refuses a request that no server would take from a client: one over jute.maxbuffer would break every link that it came to (faults 3496, 706). Its exact size is only
 * worked out where it could be too much.
 */
export function checkSize(record: WriteRequest, path: string, maxBytes: number): void {
  if (sizeBound(record) <= maxBytes) return;
  const w = new JuteWriter();
  encodeRequestBody(w, record);
  if (w.pos > maxBytes) throw badArgument(`a request of ${w.pos} bytes is over the limit of ${maxBytes} (maxRequestBytes)`, path);
}
