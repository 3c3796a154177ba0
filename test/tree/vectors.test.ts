import type Long from 'long';
import { describe, expect, it } from 'vitest';
import type { Id, Txn, TxnBody, WriteRequest } from '../../src/model/records.ts';
import { checkAcl, hideDigests } from '../../src/tree/acl.ts';
import { Preparer } from '../../src/tree/prepare.ts';
import { digestId } from '../../src/tree/sha1.ts';
import { type OpResult, type TxnResult, ZnodeTree } from '../../src/tree/tree.ts';
import { TreeLoader } from '../../src/tree/tree-loader.ts';
import { octetsToBytes } from '../../src/util/bytes.ts';
import { hexLong, hexOctets, type Row, readRows, readVector, rowAcl, rowRequest, rowStat, rowTxn } from './support.ts';

/** A request that becomes the part of a transaction again. */
function requestOf(body: TxnBody): WriteRequest {
  switch (body.type) {
    case 1:
    case 15:
    case 19:
    case 21: {
      const flags = body.type === 19 ? 4 : body.type === 21 ? 5 : Number(body.ephemeral);
      return { op: body.type, path: body.path, data: body.data, acl: body.acl, flags, ttl: body.type === 21 ? body.ttl : -1 };
    }
    case 2:
      return { op: 2, path: body.path, version: -1 };
    case 5:
      return { op: 5, path: body.path, data: body.data, version: body.version - 1 };
    case 7:
      return { op: 7, path: body.path, acl: body.acl, version: body.version - 1 };
    case 13:
      return { op: 13, path: body.path, version: body.version - 1 };
    case 14:
      // The only error within a multi of these recordings is a bad version.
      return { op: 14, ops: body.txns.map((part) => (part.type === -1 ? { op: 13, path: '/', version: 999 } : requestOf(part))) as never };
    case -10:
      return { op: -10, timeout: body.timeout };
    case -11:
      return { op: -11 };
    case -1:
      return { op: -1, err: body.err };
  }
  throw new Error(`no request gives a transaction of type ${body.type}`);
}

describe('transactions of a real ensemble', () => {
  const txns = readRows('quorum-broadcast.jsonl')
    .filter((row) => row.conn !== undefined && row.decoded?.typeName === 'PROPOSAL')
    .map((row) => rowTxn(row.decoded.txn));
  const byZxid = new Map(txns.map((txn) => [txn.header.zxid.toString(), txn]));

  it('are prepared alike, digests included', () => {
    expect(byZxid.size).toBeGreaterThan(20);
    const tree = new ZnodeTree({ digest: true });
    const preparer = new Preparer(tree);
    for (const txn of byZxid.values()) {
      const { clientId, cxid, zxid, time } = txn.header;
      expect(preparer.prepare(clientId, cxid, [], requestOf(txn.body), zxid, time)).toEqual(txn);
    }
    // Everything was outstanding until here: what was foreseen must come true.
    for (const txn of byZxid.values()) tree.apply(txn, false);
    expect(tree.digestMismatches).toBe(0);
    expect(tree.recomputeDigest().equals(tree.digest())).toBe(true);
  });
});

describe('data directories of real servers', () => {
  const snapshotInto = (loader: TreeLoader, name: string, snapshot: Row): void => {
    loader.begin(hexLong(`0x${name.slice('snapshot.'.length)}`), {
      sessions: snapshot.sessions.map((s: Row) => ({ id: hexLong(s.id), timeout: s.timeout })),
      acls: snapshot.aclCache.map((a: Row) => ({ key: Number(a.key), acl: rowAcl(a.acl) })),
    });
    loader.nodes(
      snapshot.nodes.map((node: Row) => ({
        ...rowStat({ ...node.stat, dataLength: 0, numChildren: 0 }),
        path: node.path,
        data: hexOctets(node.data),
        aclKey: Number(node.acl),
        cversion: node.stat.cversion,
      })),
    );
    const block = snapshot.digest;
    loader.end(block == null ? null : { zxid: hexLong(block.zxid), version: block.digestVersion, value: hexLong(block.digest) });
  };

  /** Who read the expected trees. */
  const reader = [
    { scheme: 'digest', id: digestId('alice:secret') },
    { scheme: 'ip', id: '127.0.0.1' },
  ];

  const expectTree = (tree: ZnodeTree, expected: Row): void => {
    for (const [path, node] of Object.entries<Row>(expected.tree)) {
      // Each server sets the config by itself when it starts.
      if (path === '/zookeeper/config') continue;
      const found = tree.getData(path);
      const data = node.data === null ? null : Buffer.from(node.data, 'base64').toString('hex');
      expect(found?.octets == null ? null : Buffer.from(octetsToBytes(found.octets)).toString('hex'), path).toBe(data);
      expect(found?.stat, path).toEqual(rowStat(node.stat));
      expect(tree.getChildren(path)?.sort(), path).toEqual(node.children.sort());
      const acl = tree.getAcl(path)?.acl ?? [];
      const shown = checkAcl(acl, 16, reader) ? acl : hideDigests(acl);
      expect(shown, path).toEqual(rowAcl(node.acl));
    }
    const open = [...tree.sessions.values()].map((s) => ({ sessionId: `0x${s.id.toString(16)}`, timeout: s.timeout }));
    for (const s of expected.openSessions) expect(open).toContainEqual(s);
  };

  for (const name of ['standalone-default', 'quorum-leader', 'standalone-nodigest']) {
    const files: Record<string, Row> = JSON.parse(readVector(`datadir/${name}.decoded.json`));
    const expected: Row = JSON.parse(readVector(`datadir/${name}.expected-tree.json`));
    const txns: Txn[] = Object.entries(files)
      .filter(([file]) => file.startsWith('log.'))
      .flatMap(([, log]) => log.records.map((record: Row) => rowTxn(record.decoded)));
    for (const [file, snapshot] of Object.entries(files)) {
      if (!file.startsWith('snapshot.')) continue;
      it(`${name} gives its tree from ${file} and the log after it`, () => {
        const loader = new TreeLoader({ digest: true });
        snapshotInto(loader, file, snapshot);
        const tree = loader.tree as ZnodeTree;
        for (const txn of txns) if (txn.header.zxid.compare(tree.lastZxid) > 0) tree.apply(txn, false);
        expectTree(tree, expected);
        expect(tree.digestMismatches).toBe(0);
        expect(tree.recomputeDigest().equals(tree.digest())).toBe(true);
        expect(tree.orphanedSessions()).toEqual([]);
      });
    }
  }
});

// ---- the recorded client sessions ----

/** Compares a Stat but for times; zxids count. */
function expectStat(stat: unknown, row: Row, what: string): void {
  expect({ ...(stat as object), ctime: 0, mtime: 0 }, what).toEqual({ ...rowStat(row), ctime: 0, mtime: 0 });
}

const byId = (a: Id, b: Id): number => (a.id < b.id ? -1 : 1);

/** Plays the requests of one recording, in order of their replies, and compares each reply. */
class Replay {
  readonly tree = new ZnodeTree({ digest: true });
  readonly preparer = new Preparer(this.tree);
  readonly #sessions = new Map<number, Long>();
  readonly #auth = new Map<string, Id[]>();
  readonly #pending = new Map<number, Row[]>();
  compared = 0;
  #time = 1;

  row(row: Row): void {
    const { decoded, conn } = row;
    // Two sessions time out by then; the recording shows only that they are gone.
    if (row.type === 'mark' && row.step === 'raw: reconnect to expired session B2') this.#expire(21, 22);
    if (row.type !== 'frame' || decoded === undefined) return;
    if (decoded.kind === 'ConnectResponse' && decoded.sessionId !== '0x0') this.#connect(conn, decoded);
    if (decoded.kind === 'Request') this.#pending.set(conn, [...(this.#pending.get(conn) ?? []), row]);
    if (decoded.kind !== 'Reply') return;
    let request = this.#pending.get(conn)?.shift();
    // One request is never answered: a bare check.
    while (request !== undefined && request.decoded.header.xid !== decoded.header.xid) request = this.#pending.get(conn)?.shift();
    if (request !== undefined) this.#reply(request.decoded, decoded, conn, `${row.seq} ${row.step}`);
  }

  #expire(...conns: number[]): void {
    for (const conn of conns) this.#write({ op: -11 }, this.#sessions.get(conn) as Long, undefined);
  }

  #connect(conn: number, response: Row): void {
    const id = hexLong(response.sessionId);
    this.#sessions.set(conn, id);
    if (!this.tree.sessions.has(id)) this.#write({ op: -10, timeout: response.timeOut }, id, undefined);
  }

  /** The recording leaves out zxids of what is not a reply: expiries and requests that broke their connection. */
  #write(record: WriteRequest, id: Long, zxid: Long | undefined): TxnResult {
    const at = zxid ?? this.tree.lastZxid.add(1);
    while (zxid !== undefined && this.tree.lastZxid.add(1).compare(zxid) < 0) this.#write({ op: -1, err: -5 }, id, undefined);
    const txn = this.preparer.prepare(id, 0, this.#idsOf(id), record, at, this.#time++);
    const result = this.tree.apply(txn, true) as TxnResult;
    this.preparer.applied(at);
    return result;
  }

  #idsOf(id: Long): Id[] {
    return [{ scheme: 'ip', id: '127.0.0.1' }, ...(this.#auth.get(id.toString()) ?? [])];
  }

  #reply(request: Row, reply: Row, conn: number, what: string): void {
    const id = this.#sessions.get(conn);
    if (id === undefined) return;
    const { body, header } = request;
    if (header.type === 100 && reply.header.err === 0) {
      const ids = this.#auth.get(id.toString()) ?? [];
      this.#auth.set(id.toString(), [...ids, { scheme: 'digest', id: digestId(Buffer.from(body.auth, 'hex').toString()) }]);
      return;
    }
    const record = body === undefined || body?.path === null ? null : rowRequest(header.type, body);
    if (header.type === -11) this.#write({ op: -11 }, id, hexLong(reply.header.zxid));
    else if (record !== null) this.#compareWrite(record, reply, id, what);
    else if (reply.header.err === 0 && body?.path != null) this.#compareRead(header.type, body, reply, id, what);
  }

  #compareWrite(record: WriteRequest, reply: Row, id: Long, what: string): void {
    const result = this.#write(record, id, hexLong(reply.header.zxid));
    this.compared++;
    if (record.op === 14 && reply.header.err === 0) {
      const parts = reply.body.filter((part: Row) => !part.header.done);
      expect(
        result.results?.map((part: OpResult) => [part.type, part.err, part.type === 1 || part.type === 15 ? part.path : null]),
        what,
      ).toEqual(parts.map((part: Row) => [part.header.type, part.header.err, part.body?.path ?? null]));
      parts.forEach((part: Row, i: number) => {
        if (part.body?.stat !== undefined) expectStat(result.results?.[i].stat, part.body.stat, what);
      });
      return;
    }
    expect(result.err, what).toBe(reply.header.err);
    if (reply.body?.path !== undefined) expect(result.path, what).toBe(reply.body.path);
    if (reply.body?.stat !== undefined) expectStat(result.stat, reply.body.stat, what);
  }

  #compareRead(type: number, body: Row, reply: Row, id: Long, what: string): void {
    const { tree } = this;
    const { path } = body;
    // What the server sets by itself, and znodes of sessions whose end the recording does not show.
    if (path.startsWith('/zookeeper')) return;
    this.compared++;
    if (type === 3) expectStat(tree.exists(path), reply.body.stat, what);
    if (type === 4) {
      const node = tree.getData(path);
      expect(node?.octets ?? null, what).toBe(hexOctets(reply.body.data));
      expectStat(node?.stat, reply.body.stat, what);
    }
    if (type === 8 || type === 12) expect(tree.getChildren(path)?.sort(), what).toEqual(reply.body.children.sort());
    if (type === 12) expectStat(tree.exists(path), reply.body.stat, what);
    if (type === 104) expect(tree.getAllChildrenNumber(path), what).toBe(reply.body.totalNumber);
    if (type === 6) {
      const acl = tree.getAcl(path)?.acl ?? [];
      const shown = checkAcl(acl, 16, this.#idsOf(id)) ? acl : hideDigests(acl);
      // The recorded server keeps a connection's identities in a hash set: their order is by chance.
      expect([...shown].sort(byId), what).toEqual((rowAcl(reply.body.acl) ?? []).sort(byId));
    }
  }
}

describe('recorded client sessions', () => {
  it('give the same errors, paths and Stats', () => {
    const replay = new Replay();
    for (const row of readRows('client-session.jsonl')) replay.row(row);
    expect(replay.compared).toBeGreaterThan(150);
    expect(replay.tree.recomputeDigest().equals(replay.tree.digest())).toBe(true);
  });

  it('give the same names and Stats where a counter overflows', () => {
    const replay = new Replay();
    const zxid = hexLong('0x5');
    replay.tree.apply(
      {
        header: { clientId: zxid, cxid: 0, zxid, time: 0, type: 1 },
        body: {
          type: 1,
          path: '/big',
          data: hexOctets(''),
          acl: [{ perms: 31, scheme: 'world', id: 'anyone' }],
          ephemeral: false,
          parentCVersion: 1,
          ttl: 0,
        },
        digest: null,
      },
      false,
    );
    const { table } = replay.tree;
    table.set(table.find('/big'), 11, 2147483645);
    for (const row of readRows('edge-cversion-overflow.jsonl')) replay.row(row);
    expect(replay.compared).toBeGreaterThan(15);
  });
});
