import type { Acl, SnapshotHead, ZnodeRecord } from '../model/records.ts';
import { readAcls, writeAcls } from './acl.ts';
import { JuteError, type JuteReader, JuteUnderflow, type JuteWriter } from './jute.ts';

/*
 * The part that a snapshot file and the stream after SNAP have in common (PROTOCOL 13.1, 16): sessions, ACL table, znodes, the path "/".
 */

/** Appends the sessions and the ACL table. */
export function encodeSnapshotHead(w: JuteWriter, head: SnapshotHead): void {
  w.int(head.sessions.length);
  for (const session of head.sessions) {
    w.long(session.id);
    w.int(session.timeout);
  }
  w.int(head.acls.length);
  for (const entry of head.acls) {
    w.longNumber(entry.key);
    writeAcls(w, entry.acl);
  }
}

/** Appends one znode. */
export function encodeZnode(w: JuteWriter, node: ZnodeRecord): void {
  w.string(node.path);
  w.octets(node.data);
  w.longNumber(node.aclKey);
  w.long(node.czxid);
  w.long(node.mzxid);
  w.longNumber(node.ctime);
  w.longNumber(node.mtime);
  w.int(node.version);
  w.int(node.cversion);
  w.int(node.aversion);
  w.long(node.ephemeralOwner);
  w.long(node.pzxid);
}

/** Appends the mark after the last znode. */
export function encodeSnapshotEnd(w: JuteWriter): void {
  w.string('/');
}

/** Where a {@link SnapshotBodyDecoder} delivers: the head once, then batches of znodes, each array handed over for good. */
export interface SnapshotBodySink {
  head(head: SnapshotHead): void;
  nodes(batch: readonly ZnodeRecord[]): void;
}

/** A batch is handed over when it has this many znodes, and at the end of the bytes. */
const BATCH = 1024;

type Step = 'sessionCount' | 'sessions' | 'aclCount' | 'acls' | 'nodes' | 'end';

/** Reads a snapshot's body piece by piece. */
export class SnapshotBodyDecoder {
  readonly #sink: SnapshotBodySink;
  #step: Step = 'sessionCount';
  /** Sessions or table entries still to come. */
  #left = 0;
  #sessions: { id: ZnodeRecord['czxid']; timeout: number }[] = [];
  #acls: { key: number; acl: Acl[] }[] = [];
  #batch: ZnodeRecord[] = [];

  constructor(sink: SnapshotBodySink) {
    this.#sink = sink;
  }

  /**
   * Takes all complete records from `r`. 'more': the reader stands at the start of an incomplete record (or at its end); call again with the bytes
   * from there on and more behind them. 'end': the reader stands behind the body. Throws {@link JuteError} for bad bytes; the
   * reader's `maxLength` bounds a path and a znode's data.
   */
  push(r: JuteReader): 'more' | 'end' {
    let start = r.pos;
    try {
      while (this.#step !== 'end') {
        start = r.pos;
        this.#record(r);
      }
    } catch (error) {
      if (!(error instanceof JuteUnderflow)) throw error;
      r.pos = start;
    }
    this.#flush();
    return this.#step === 'end' ? 'end' : 'more';
  }

  #record(r: JuteReader): void {
    switch (this.#step) {
      case 'sessionCount':
        this.#left = count(r);
        this.#step = 'sessions';
        return;
      case 'sessions':
        if (this.#left === 0) {
          this.#step = 'aclCount';
          return;
        }
        this.#session(r);
        return;
      case 'aclCount':
        this.#left = count(r);
        this.#step = 'acls';
        return;
      case 'acls':
        if (this.#left === 0) return this.#headDone();
        return this.#aclEntry(r);
      case 'nodes':
        return this.#node(r);
      case 'end':
        return;
    }
  }

  #session(r: JuteReader): void {
    const id = r.long();
    this.#sessions.push({ id, timeout: r.int() });
    this.#left--;
  }

  #aclEntry(r: JuteReader): void {
    const key = r.longNumber();
    this.#acls.push({ key, acl: readAcls(r) ?? [] });
    this.#left--;
  }

  #headDone(): void {
    const head = { sessions: this.#sessions, acls: this.#acls };
    this.#sessions = [];
    this.#acls = [];
    this.#step = 'nodes';
    this.#sink.head(head);
  }

  #node(r: JuteReader): void {
    const path = r.text();
    if (path === '/') {
      this.#step = 'end';
      return;
    }
    const data = r.octets();
    const aclKey = r.longNumber();
    const czxid = r.long();
    const mzxid = r.long();
    const ctime = r.longNumber();
    const mtime = r.longNumber();
    const version = r.int();
    const cversion = r.int();
    const aversion = r.int();
    const ephemeralOwner = r.long();
    const pzxid = r.long();
    this.#batch.push({ path, data, aclKey, czxid, mzxid, ctime, mtime, version, cversion, aversion, ephemeralOwner, pzxid });
    if (this.#batch.length >= BATCH) this.#flush();
  }

  #flush(): void {
    if (this.#batch.length === 0) return;
    const batch = this.#batch;
    this.#batch = [];
    this.#sink.nodes(batch);
  }
}

function count(r: JuteReader): number {
  const at = r.pos;
  const n = r.int();
  if (n < 0) throw new JuteError(`count ${n} out of range`, at);
  return n;
}
