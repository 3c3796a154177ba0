import type Long from 'long';
import { Err, Op } from '../model/codes.ts';
import type { Acl, Id, Stat } from '../model/records.ts';
import type { OpResult } from '../tree/tree.ts';
import type { Octets } from '../util/bytes.ts';
import { readAclsNotNull, readIds, writeAcls } from './acl.ts';
import { JuteError, type JuteReader, type JuteWriter } from './jute.ts';

/* What a server sends to its clients after the first frame: headers, events and the bodies of replies that are more than one primitive (PROTOCOL 3). */

/** Bytes of a ReplyHeader. */
export const REPLY_HEADER_BYTES = 16;

/** Stands before every reply and event. A reply with an `err` ends after it (PROTOCOL 3.1). */
export interface ReplyHeader {
  readonly xid: number;
  /** The last zxid that the server has processed; of its own transaction for a write. */
  readonly zxid: Long;
  readonly err: number;
}

export function writeReplyHeader(w: JuteWriter, xid: number, zxid: Long, err: number): void {
  w.int(xid);
  w.long(zxid);
  w.int(err);
}

export function readReplyHeader(r: JuteReader): ReplyHeader {
  return { xid: r.int(), zxid: r.long(), err: r.int() };
}

/** What a watch saw. `type` and `state` are numbers of PROTOCOL 2.3. */
export interface WatcherEvent {
  readonly type: number;
  readonly state: number;
  readonly path: string;
}

export function encodeWatcherEvent(w: JuteWriter, type: number, state: number, path: string): void {
  w.int(type);
  w.int(state);
  w.string(path);
}

export function decodeWatcherEvent(r: JuteReader): WatcherEvent {
  return { type: r.int(), state: r.int(), path: r.text() };
}

// ---- Stat and what comes with one ----

export function writeStat(w: JuteWriter, stat: Stat): void {
  w.long(stat.czxid);
  w.long(stat.mzxid);
  w.longNumber(stat.ctime);
  w.longNumber(stat.mtime);
  w.int(stat.version);
  w.int(stat.cversion);
  w.int(stat.aversion);
  w.long(stat.ephemeralOwner);
  w.int(stat.dataLength);
  w.int(stat.numChildren);
  w.long(stat.pzxid);
}

export function readStat(r: JuteReader): Stat {
  return {
    czxid: r.long(),
    mzxid: r.long(),
    ctime: r.longNumber(),
    mtime: r.longNumber(),
    version: r.int(),
    cversion: r.int(),
    aversion: r.int(),
    ephemeralOwner: r.long(),
    dataLength: r.int(),
    numChildren: r.int(),
    pzxid: r.long(),
  };
}

/** Create2Response: `path` has the sequence suffix. */
export function writePathAndStat(w: JuteWriter, path: string, stat: Stat): void {
  w.string(path);
  writeStat(w, stat);
}

export function readPathAndStat(r: JuteReader): { path: string; stat: Stat } {
  return { path: r.text(), stat: readStat(r) };
}

/** GetDataResponse. */
export function writeDataAndStat(w: JuteWriter, data: Octets | null, stat: Stat): void {
  w.octets(data);
  writeStat(w, stat);
}

export function readDataAndStat(r: JuteReader): { data: Octets | null; stat: Stat } {
  return { data: r.octets(), stat: readStat(r) };
}

/** GetACLResponse. */
export function writeAclAndStat(w: JuteWriter, acl: readonly Acl[], stat: Stat): void {
  writeAcls(w, acl);
  writeStat(w, stat);
}

export function readAclAndStat(r: JuteReader): { acl: readonly Acl[]; stat: Stat } {
  return { acl: readAclsNotNull(r), stat: readStat(r) };
}

// ---- lists ----

const writeName = (w: JuteWriter, name: string): void => w.string(name);
const readName = (r: JuteReader): string => r.text();

/** GetChildrenResponse and GetEphemeralsResponse. */
export function writeNames(w: JuteWriter, names: readonly string[]): void {
  w.vector(names, writeName);
}

export function readNames(r: JuteReader): string[] {
  return r.vector(readName) ?? [];
}

/** GetChildren2Response. */
export function writeChildrenAndStat(w: JuteWriter, children: readonly string[], stat: Stat): void {
  writeNames(w, children);
  writeStat(w, stat);
}

export function readChildrenAndStat(r: JuteReader): { children: string[]; stat: Stat } {
  return { children: readNames(r), stat: readStat(r) };
}

/** WhoAmIResponse: a vector<ClientInfo>, whose form is that of a vector<Id>. */
export function writeClientInfos(w: JuteWriter, ids: readonly Id[]): void {
  w.vector(ids, (to, { scheme, id }) => {
    to.string(scheme);
    to.string(id);
  });
}

export function readClientInfos(r: JuteReader): readonly Id[] {
  return readIds(r);
}

// ---- multi and multiRead (PROTOCOL 3.3) ----

function writeResultHeader(w: JuteWriter, type: number, done: boolean, err: number): void {
  w.int(type);
  w.bool(done);
  w.int(err);
}

function writeErrorResult(w: JuteWriter, err: number): void {
  writeResultHeader(w, Op.error, false, err);
  w.int(err);
}

const writeResultsEnd = (w: JuteWriter): void => writeResultHeader(w, -1, true, -1);

/** The results of a multi, whether it was applied or failed: then every result is an error, of 0 for the parts before the one at fault. */
export function writeMultiResults(w: JuteWriter, results: readonly OpResult[]): void {
  for (const { type, err, path, stat } of results) {
    if (type === Op.error) {
      writeErrorResult(w, err);
      continue;
    }
    writeResultHeader(w, type, false, err);
    if (type === Op.create || type === Op.create2) w.string(path);
    if (type === Op.create2 || type === Op.setData) writeStat(w, stat!);
  }
  writeResultsEnd(w);
}

/** Reads what {@link writeMultiResults} writes. Throws {@link JuteError} for a result of another type. */
export function readMultiResults(r: JuteReader): OpResult[] {
  const results: OpResult[] = [];
  for (;;) {
    const at = r.pos;
    const type = r.int();
    const done = r.bool();
    const err = r.int();
    if (done) return results;
    switch (type) {
      case Op.error:
        results.push({ type, err: r.int(), path: null, stat: null });
        break;
      case Op.create:
        results.push({ type, err, path: r.text(), stat: null });
        break;
      case Op.create2:
        results.push({ type, err, path: r.text(), stat: readStat(r) });
        break;
      case Op.setData:
        results.push({ type, err, path: null, stat: readStat(r) });
        break;
      case Op.delete:
      case Op.check:
        results.push({ type, err, path: null, stat: null });
        break;
      default:
        throw new JuteError(`result of type ${type} in a multi`, at);
    }
  }
}

/** One result of a multiRead, which never fails as a whole. */
export type MultiReadResult =
  | { readonly type: 4; readonly data: Octets | null; readonly stat: Stat }
  | { readonly type: 8; readonly children: readonly string[] }
  | { readonly type: -1; readonly err: number };

export function writeMultiReadResults(w: JuteWriter, results: readonly MultiReadResult[]): void {
  for (const result of results) {
    if (result.type === Op.error) {
      writeErrorResult(w, result.err);
      continue;
    }
    writeResultHeader(w, result.type, false, Err.ok);
    if (result.type === Op.getData) writeDataAndStat(w, result.data, result.stat);
    else writeNames(w, result.children);
  }
  writeResultsEnd(w);
}

/** Reads what {@link writeMultiReadResults} writes. Throws {@link JuteError} for a result of another type. */
export function readMultiReadResults(r: JuteReader): MultiReadResult[] {
  const results: MultiReadResult[] = [];
  for (;;) {
    const at = r.pos;
    const type = r.int();
    const done = r.bool();
    r.int();
    if (done) return results;
    switch (type) {
      case Op.error:
        results.push({ type, err: r.int() });
        break;
      case Op.getData:
        results.push({ type, ...readDataAndStat(r) });
        break;
      case Op.getChildren:
        results.push({ type, children: readNames(r) });
        break;
      default:
        throw new JuteError(`result of type ${type} in a multiRead`, at);
    }
  }
}
