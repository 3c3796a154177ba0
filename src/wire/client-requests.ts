import type Long from 'long';
import { Op } from '../model/codes.ts';
import { WatchKind, type WatchKindCode, type WatchLists } from '../tree/watches.ts';
import { JuteError, type JuteReader, type JuteWriter } from './jute.ts';
import { writeMultiHeader } from './requests.ts';

/*
 * What a client asks of the server that it is connected to, beside writes and sync (requests.ts), which go to the leader: bodies behind the request header, PROTOCOL 3.2.
 */

/** Numbers of requests that are not counted (PROTOCOL 2.3). */
export const Xid = { notification: -1, ping: -2, auth: -4, setWatches: -8 } as const;

/** AddWatch.mode (PROTOCOL 2.3). */
export const WatchMode = { persistent: 0, persistentRecursive: 1 } as const;

/** exists, getData, getChildren and getChildren2. */
export interface WatchingReadRequest {
  readonly op: 3 | 4 | 8 | 12;
  readonly path: string;
  readonly watch: boolean;
}
/** getACL and getAllChildrenNumber. */
export interface PathRequest {
  readonly op: 6 | 104;
  readonly path: string;
}
/** A null prefix is as good as an empty one. */
export interface GetEphemeralsRequest {
  readonly op: 103;
  readonly prefix: string | null;
}
/** checkWatches and removeWatches. */
export interface WatchKindRequest {
  readonly op: 17 | 18;
  readonly path: string;
  readonly kind: WatchKindCode;
}
export interface AddWatchRequest {
  readonly op: 106;
  readonly path: string;
  readonly mode: 0 | 1;
}
/** setWatches, and setWatches2, which alone carries the two persistent lists. `since` is the last zxid that the client has seen. */
export interface SetWatchesRequest {
  readonly op: 101 | 105;
  readonly since: Long;
  readonly lists: WatchLists;
}
export interface MultiReadRequest {
  readonly op: 22;
  readonly ops: readonly { readonly op: 4 | 8; readonly path: string }[];
}
/** Requests without a body. */
export interface BareRequest {
  readonly op: 11 | 107;
}
export interface AuthRequest {
  readonly op: 100;
  /** Always 0. */
  readonly type: number;
  readonly scheme: string;
  readonly auth: Uint8Array | null;
}

export type ReadRequest =
  | WatchingReadRequest
  | PathRequest
  | GetEphemeralsRequest
  | WatchKindRequest
  | AddWatchRequest
  | SetWatchesRequest
  | MultiReadRequest
  | BareRequest
  | AuthRequest;

/** Whether {@link decodeReadRequest} knows the operation. */
export function isReadOp(op: number): op is ReadRequest['op'] {
  switch (op) {
    case Op.exists:
    case Op.getData:
    case Op.getAcl:
    case Op.getChildren:
    case Op.ping:
    case Op.getChildren2:
    case Op.checkWatches:
    case Op.removeWatches:
    case Op.multiRead:
    case Op.auth:
    case Op.setWatches:
    case Op.getEphemerals:
    case Op.getAllChildrenNumber:
    case Op.setWatches2:
    case Op.addWatch:
    case Op.whoAmI:
      return true;
    default:
      return false;
  }
}

/** RequestHeader (PROTOCOL 3.1): stands before every body but the first of a connection. */
export function writeRequestHeader(w: JuteWriter, xid: number, op: number): void {
  w.int(xid);
  w.int(op);
}

/** Appends a request's body, without its header. */
export function encodeReadRequest(w: JuteWriter, record: ReadRequest): void {
  switch (record.op) {
    case Op.exists:
    case Op.getData:
    case Op.getChildren:
    case Op.getChildren2:
      w.string(record.path);
      return w.bool(record.watch);
    case Op.getAcl:
    case Op.getAllChildrenNumber:
      return w.string(record.path);
    case Op.getEphemerals:
      return w.string(record.prefix);
    case Op.checkWatches:
    case Op.removeWatches:
      w.string(record.path);
      return w.int(record.kind);
    case Op.addWatch:
      w.string(record.path);
      return w.int(record.mode);
    case Op.setWatches:
    case Op.setWatches2:
      return encodeSetWatches(w, record);
    case Op.multiRead:
      for (const { op, path } of record.ops) {
        writeMultiHeader(w, op, false);
        w.string(path);
        w.bool(false);
      }
      return writeMultiHeader(w, -1, true);
    case Op.auth:
      w.int(record.type);
      w.string(record.scheme);
      return w.bytes(record.auth);
    case Op.ping:
    case Op.whoAmI:
      return;
  }
}

const writePath = (w: JuteWriter, path: string): void => w.string(path);
const readPath = (r: JuteReader): string => r.text();

function encodeSetWatches(w: JuteWriter, { op, since, lists }: SetWatchesRequest): void {
  w.long(since);
  w.vector(lists.data, writePath);
  w.vector(lists.exist, writePath);
  w.vector(lists.child, writePath);
  if (op === Op.setWatches) return;
  w.vector(lists.persistent, writePath);
  w.vector(lists.persistentRecursive, writePath);
}

/**
 * Reads the body of a request with operation code `op`. Throws {@link JuteError} for what ZooKeeper answers with -5: a body that can't be read, a null path or list, an
 * unknown watch kind or mode, and a multiRead with another operation inside. Bytes after a complete body are ignored (PROTOCOL 1).
 */
export function decodeReadRequest(op: ReadRequest['op'], r: JuteReader): ReadRequest {
  switch (op) {
    case Op.exists:
    case Op.getData:
    case Op.getChildren:
    case Op.getChildren2:
      return { op, path: r.text(), watch: r.bool() };
    case Op.getAcl:
    case Op.getAllChildrenNumber:
      return { op, path: r.text() };
    case Op.getEphemerals:
      return { op, prefix: r.string() };
    case Op.checkWatches:
    case Op.removeWatches:
      return { op, path: r.text(), kind: readKind(r) };
    case Op.addWatch:
      return { op, path: r.text(), mode: readMode(r) };
    case Op.setWatches:
    case Op.setWatches2:
      return decodeSetWatches(op, r);
    case Op.multiRead:
      return { op, ops: readParts(r) };
    case Op.auth:
      // No scheme is one that nobody knows.
      return { op, type: r.int(), scheme: r.string() ?? '', auth: r.bytes() };
    case Op.ping:
    case Op.whoAmI:
      return { op };
  }
}

function readKind(r: JuteReader): WatchKindCode {
  const at = r.pos;
  const kind = r.int();
  if (kind < WatchKind.children || kind > WatchKind.persistentRecursive) throw new JuteError(`no watch kind ${kind}`, at);
  return kind as WatchKindCode;
}

function readMode(r: JuteReader): 0 | 1 {
  const at = r.pos;
  const mode = r.int();
  if (mode !== WatchMode.persistent && mode !== WatchMode.persistentRecursive) throw new JuteError(`no watch mode ${mode}`, at);
  return mode;
}

function decodeSetWatches(op: 101 | 105, r: JuteReader): SetWatchesRequest {
  const since = r.long();
  const data = readPaths(r);
  const exist = readPaths(r);
  const child = readPaths(r);
  if (op === Op.setWatches) return { op, since, lists: { data, exist, child, persistent: [], persistentRecursive: [] } };
  const persistent = readPaths(r);
  return { op, since, lists: { data, exist, child, persistent, persistentRecursive: readPaths(r) } };
}

function readPaths(r: JuteReader): readonly string[] {
  const at = r.pos;
  const paths = r.vector(readPath);
  if (paths === null) throw new JuteError('null list of paths', at);
  return paths;
}

function readParts(r: JuteReader): MultiReadRequest['ops'] {
  const parts: { op: 4 | 8; path: string }[] = [];
  for (;;) {
    const at = r.pos;
    const op = r.int();
    const done = r.bool();
    r.int();
    if (done) return parts;
    if (op !== Op.getData && op !== Op.getChildren) throw new JuteError(`operation ${op} in a multiRead`, at);
    parts.push({ op, path: r.text() });
    r.bool();
  }
}
