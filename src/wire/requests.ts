import { Err, Op } from '../model/codes.ts';
import type { CreateRequest, InvalidRequest, MultiOp, MultiRequest, SyncRequest, WriteRequest } from '../model/records.ts';
import { readUtf8, writeUtf8 } from '../util/bytes.ts';
import { readAcls, writeAcls } from './acl.ts';
import { JuteError, JuteReader, type JuteWriter } from './jute.ts';

/** Appends a request's body as it travels from a client, and in a REQUEST packet to the leader (PROTOCOL 3.2, 12). */
export function encodeRequestBody(w: JuteWriter, record: WriteRequest | SyncRequest): void {
  switch (record.op) {
    case Op.create:
    case Op.create2:
    case Op.createContainer:
    case Op.createTtl:
    case Op.delete:
    case Op.setData:
    case Op.check:
      return encodeOp(w, record);
    case Op.setAcl:
      w.string(record.path);
      writeAcls(w, record.acl);
      w.int(record.version);
      return;
    case Op.multi:
      return encodeMulti(w, record);
    case Op.deleteContainer:
      // The bytes of the path without a length, as in 3.8.0 (PROTOCOL 19).
      w.reserve(3 * record.path.length);
      w.pos += writeUtf8(w.buf, record.path, w.pos);
      return;
    case Op.createSession:
      return w.int(record.timeout);
    case Op.closeSession:
      return;
    case Op.sync:
      return w.string(record.path);
    case Op.error:
      return w.int(record.err);
  }
}

function encodeOp(w: JuteWriter, record: MultiOp): void {
  w.string(record.path);
  switch (record.op) {
    case Op.delete:
    case Op.check:
      return w.int(record.version);
    case Op.setData:
      w.octets(record.data);
      return w.int(record.version);
    default:
      w.octets(record.data);
      writeAcls(w, record.acl);
      w.int(record.flags);
      if (record.op === Op.createTtl) w.longNumber(record.ttl);
  }
}

function encodeMulti(w: JuteWriter, record: MultiRequest): void {
  for (const op of record.ops) {
    writeMultiHeader(w, op.op, false);
    encodeOp(w, op);
  }
  writeMultiHeader(w, -1, true);
}

/** MultiHeader (PROTOCOL 3.3) of a request: its error field is always -1. */
export function writeMultiHeader(w: JuteWriter, type: number, done: boolean): void {
  w.int(type);
  w.bool(done);
  w.int(-1);
}

/** Stands for a null path in setData and setACL, which ZooKeeper takes for a path out of rule (-8), and not for a body that can't be read (-5). */
const NO_PATH = '';

/**
 * Reads the body of a request with operation code `op`. Throws {@link JuteError} for a body that cannot be read (a null path too) and for an operation that is no
 * write. What ZooKeeper refuses as a whole becomes an {@link InvalidRequest}: a multi with a wrong operation inside (-5, PROTOCOL 3.3), a check
 * outside a multi (-6; 3.8.0 spoils its log with it, PROTOCOL 17) and a reconfig (-123). Bytes after a complete body are ignored (PROTOCOL 1).
 */
export function decodeRequestBody(op: number, body: Uint8Array): WriteRequest | SyncRequest {
  const r = new JuteReader(body);
  switch (op) {
    case Op.create:
    case Op.create2:
    case Op.createContainer:
    case Op.createTtl:
    case Op.delete:
      return readOp(r, op);
    case Op.setData: {
      const path = r.string() ?? NO_PATH;
      const data = r.octets();
      return { op, path, data, version: r.int() };
    }
    case Op.setAcl: {
      const path = r.string() ?? NO_PATH;
      const acl = readAcls(r);
      return { op, path, acl, version: r.int() };
    }
    case Op.multi:
      return readMulti(r);
    case Op.check:
      return { op: Op.error, err: Err.unimplemented };
    case Op.reconfig:
      for (let i = 0; i < 3; i++) r.string();
      r.long();
      return { op: Op.error, err: Err.reconfigDisabled };
    case Op.deleteContainer:
      return { op, path: readUtf8(r.buf, 0, r.end) };
    case Op.createSession:
      return { op, timeout: r.int() };
    case Op.closeSession:
      return { op };
    case Op.sync:
      return { op, path: r.text() };
    case Op.error:
      return { op, err: r.int() };
    default:
      throw new JuteError(`operation ${op} is no write`, 0);
  }
}

/** Reads one request that may stand in a multi. */
function readOp(r: JuteReader, op: MultiOp['op']): MultiOp {
  const path = r.text();
  switch (op) {
    case Op.delete:
    case Op.check:
      return { op, path, version: r.int() };
    case Op.setData: {
      const data = r.octets();
      return { op, path, data, version: r.int() };
    }
    default:
      return readCreate(r, op, path);
  }
}

function readCreate(r: JuteReader, op: CreateRequest['op'], path: string): CreateRequest {
  const data = r.octets();
  const acl = readAcls(r);
  const flags = r.int();
  return { op, path, data, acl, flags, ttl: op === Op.createTtl ? r.longNumber() : 0 };
}

function readMulti(r: JuteReader): MultiRequest | InvalidRequest {
  const ops: MultiOp[] = [];
  for (;;) {
    const type = r.int();
    const done = r.bool();
    r.int();
    if (done) return { op: Op.multi, ops };
    if (!isMultiOp(type)) return { op: Op.error, err: Err.marshallingError };
    ops.push(readOp(r, type));
  }
}

/** Operations that ZooKeeper allows in a multi (PROTOCOL 3.3). */
function isMultiOp(op: number): op is MultiOp['op'] {
  switch (op) {
    case Op.create:
    case Op.delete:
    case Op.setData:
    case Op.check:
    case Op.create2:
    case Op.createContainer:
    case Op.createTtl:
      return true;
    default:
      return false;
  }
}
