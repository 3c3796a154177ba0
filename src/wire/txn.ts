import { Op } from '../model/codes.ts';
import type { CreateTxn, MultiTxn, Txn, TxnBody, TxnDigest, TxnHeader } from '../model/records.ts';
import { readAclsNotNull, writeAcls } from './acl.ts';
import { JuteError, JuteReader, type JuteWriter } from './jute.ts';

/** Bytes of a TxnHeader (PROTOCOL 17). */
export const TXN_HEADER_BYTES = 32;
/** Where the zxid stands in a TxnHeader. */
export const TXN_ZXID_OFFSET = 12;
/** Bytes of a TxnDigest: a reader knows it by what is left after the record (PROTOCOL 17.1). */
const DIGEST_BYTES = 12;

/** Appends a transaction as it stands in the log, in PROPOSAL and in INFORM: TxnHeader, record, optional digest (PROTOCOL 17). */
export function encodeTxn(w: JuteWriter, txn: Txn): void {
  const { header, digest } = txn;
  w.long(header.clientId);
  w.int(header.cxid);
  w.long(header.zxid);
  w.longNumber(header.time);
  w.int(header.type);
  encodeTxnBody(w, txn.body);
  if (digest !== null) {
    w.int(digest.version);
    w.long(digest.value);
  }
}

/** Appends the record of a transaction, without header and digest. */
export function encodeTxnBody(w: JuteWriter, body: TxnBody): void {
  switch (body.type) {
    case Op.setData:
    case Op.reconfig:
      w.string(body.path);
      w.octets(body.data);
      w.int(body.version);
      return;
    case Op.create:
    case Op.create2:
    case Op.createContainer:
    case Op.createTtl:
      return encodeCreate(w, body);
    case Op.delete:
    case Op.deleteContainer:
      return w.string(body.path);
    case Op.setAcl:
      w.string(body.path);
      writeAcls(w, body.acl);
      w.int(body.version);
      return;
    case Op.check:
      w.string(body.path);
      w.int(body.version);
      return;
    case Op.multi:
      return encodeMulti(w, body);
    case Op.createSession:
      return w.int(body.timeout);
    case Op.closeSession:
      // Null is what servers from before CloseSessionTxn wrote: nothing at all.
      if (body.paths === null) return;
      w.int(body.paths.length);
      for (const path of body.paths) w.string(path);
      return;
    case Op.error:
      return w.int(body.err);
  }
}

function encodeCreate(w: JuteWriter, body: CreateTxn): void {
  w.string(body.path);
  w.octets(body.data);
  writeAcls(w, body.acl);
  if (body.type === Op.create || body.type === Op.create2) w.bool(body.ephemeral);
  w.int(body.parentCVersion);
  if (body.type === Op.createTtl) w.longNumber(body.ttl);
}

function encodeMulti(w: JuteWriter, body: MultiTxn): void {
  w.int(body.txns.length);
  for (const part of body.txns) {
    w.int(part.type);
    w.int(0);
    const start = w.pos;
    encodeTxnBody(w, part);
    w.setInt(start - 4, w.pos - start);
  }
}

/**
 * Reads what {@link encodeTxn} writes and every older form that ZooKeeper's logs hold. All of `bytes` must belong to the transaction. Throws
 * {@link JuteError} for bytes that are none, an unknown type too. Znode data is copied out of `bytes`.
 */
export function decodeTxn(bytes: Uint8Array): Txn {
  const r = new JuteReader(bytes);
  const header = readTxnHeader(r);
  const body = decodeTxnBody(r, header.type);
  const digest = readDigest(r);
  if (r.remaining !== 0) throw new JuteError(`${r.remaining} bytes too many after a txn of type ${header.type}`, r.pos);
  return { header, body, digest };
}

/** Reads the 32 bytes of a TxnHeader. */
export function readTxnHeader(r: JuteReader): TxnHeader {
  const clientId = r.long();
  const cxid = r.int();
  const zxid = r.long();
  const time = r.longNumber();
  return { clientId, cxid, zxid, time, type: r.int() };
}

function readDigest(r: JuteReader): TxnDigest | null {
  if (r.remaining !== DIGEST_BYTES) return null;
  const version = r.int();
  return { version, value: r.long() };
}

/** Reads a record of `type`. The reader must end where the transaction ends, because old forms are known by running out of bytes. */
export function decodeTxnBody(r: JuteReader, type: number): TxnBody {
  switch (type) {
    case Op.setData:
    case Op.reconfig: {
      const path = r.text();
      const data = r.octets();
      return { type, path, data, version: r.int() };
    }
    case Op.create:
    case Op.create2:
    case Op.createContainer:
    case Op.createTtl:
      return readCreate(r, type);
    case Op.delete:
    case Op.deleteContainer:
      return { type, path: r.text() };
    case Op.setAcl: {
      const path = r.text();
      const acl = readAclsNotNull(r);
      return { type, path, acl, version: r.int() };
    }
    case Op.check: {
      // On its own it stands only in logs that a 3.8.0 server has spoilt (PROTOCOL 17); it changes nothing, so it may be read.
      const path = r.text();
      return { type, path, version: r.int() };
    }
    case Op.multi:
      return readMulti(r);
    case Op.createSession:
      return { type, timeout: r.int() };
    case Op.closeSession:
      return { type, paths: readClosedPaths(r) };
    case Op.error:
      return { type, err: r.int() };
    default:
      throw new JuteError(`unknown txn type ${type}`, r.pos);
  }
}

function readCreate(r: JuteReader, type: CreateTxn['type']): CreateTxn {
  const path = r.text();
  const data = r.octets();
  const acl = readAclsNotNull(r);
  const ephemeral = type === Op.create || type === Op.create2 ? r.bool() : false;
  // CreateTxnV0 ends here; it is older than digests, so nothing can follow it (PROTOCOL 17).
  const isV0 = type === Op.create && r.remaining === 0;
  const parentCVersion = isV0 ? -1 : r.int();
  const ttl = type === Op.createTtl ? r.longNumber() : 0;
  return { type, path, data, acl, ephemeral, parentCVersion, ttl };
}

function readMulti(r: JuteReader): MultiTxn {
  const at = r.pos;
  const txns = r.vector(readPart);
  if (txns === null) throw new JuteError('null list of txns in a multi', at);
  return { type: Op.multi, txns };
}

function readPart(r: JuteReader): TxnBody {
  const at = r.pos;
  const type = r.int();
  // Only these can stand in a multi. Above all no multi: hostile bytes could nest them until the stack ends.
  if (type === Op.multi || type === Op.createSession || type === Op.closeSession) {
    throw new JuteError(`txn type ${type} inside a multi`, at);
  }
  const length = r.length();
  if (length < 0 || length > r.remaining) throw new JuteError(`part of a multi with length ${length}`, at);
  const end = r.pos + length;
  const body = decodeTxnBody(new JuteReader(r.buf, r.pos, end, r.maxLength), type);
  r.pos = end;
  return body;
}

/** The list of a CloseSessionTxn; null where an old server wrote none (PROTOCOL 17). */
function readClosedPaths(r: JuteReader): string[] | null {
  if (r.remaining === 0) return null;
  if (r.remaining === DIGEST_BYTES) {
    // Either a digest alone, or a list of exactly 12 bytes. A digest starts with version 2, and two paths do not fit into the other 8 bytes.
    const at = r.pos;
    const first = r.int();
    r.pos = at;
    if (first === 2) return null;
  }
  return r.vector(readText);
}

const readText = (r: JuteReader): string => r.text();
