import Long from 'long';
import { describe, expect, it } from 'vitest';
import type { Txn, TxnBody, ZnodeRecord } from '../../src/model/records.ts';
import { makeZxid } from '../../src/model/zxid.ts';
import { OPEN_ACL, READ_ACL } from '../../src/tree/acl.ts';
import { ZnodeTree } from '../../src/tree/tree.ts';
import { SnapshotError, TreeLoader } from '../../src/tree/tree-loader.ts';
import { create, del, dump, Rig, reload, SERVER, session, set, setAcl, text } from './support.ts';

const txn = (counter: number, body: TxnBody, clientId = SERVER): Txn => ({
  header: { clientId, cxid: 0, zxid: makeZxid(1, counter), time: 1000 + counter, type: body.type },
  body,
  digest: null,
});
const created = (path: string, parentCVersion: number, more = {}): TxnBody => ({
  type: 1,
  path,
  data: text('x'),
  acl: OPEN_ACL,
  ephemeral: false,
  parentCVersion,
  ttl: 0,
  ...more,
});

describe('a fresh tree', () => {
  it('has the built-in znodes with their Stats', () => {
    const tree = new ZnodeTree({ digest: true });
    expect([...tree.walk('/')].map(([path]) => path)).toEqual(['/', '/zookeeper', '/zookeeper/config', '/zookeeper/quota']);
    expect(tree.exists('/')).toMatchObject({ cversion: -1, numChildren: 1, version: 0, ctime: 0, dataLength: 0 });
    expect(tree.exists('/zookeeper')).toMatchObject({ cversion: -2, numChildren: 2 });
    expect(tree.exists('/zookeeper/config')).toMatchObject({ aversion: -1, version: 0 });
    expect(tree.getAcl('/zookeeper/config')?.acl).toEqual(READ_ACL);
    expect(tree.getData('')?.octets).toBe('');
    expect(tree.digest().toString(16)).toBe('51c6d660');
    expect(tree.getAllChildrenNumber('/')).toBe(3);
    for (const path of ['a', '/a/', '/none', '//']) expect(tree.getData(path)).toBeUndefined();
  });

  it('gets its config without a transaction', () => {
    const tree = new ZnodeTree({ digest: true });
    const before = tree.digest();
    tree.setConfig(text('version=5'), makeZxid(0, 5), 77);
    expect(tree.getData('/zookeeper/config')?.stat).toMatchObject({
      version: -1,
      aversion: -1,
      mtime: 77,
      mzxid: makeZxid(0, 5),
      dataLength: 9,
    });
    expect(tree.digest()).toEqual(before);
    expect(tree.recomputeDigest()).toEqual(before);
  });
});

describe('what a read gives', () => {
  it('stays as it was and leads nowhere into the tree', () => {
    const rig = new Rig();
    rig.run(create('/n', { data: text('{"a":1}') }));
    const read = rig.tree.getData('/n');
    rig.run(set('/n', 'new'));
    rig.run(del('/n'));
    expect(read?.stat).toMatchObject({ version: 0, dataLength: 7, mzxid: makeZxid(1, 1) });
    expect(read?.stat).toBe(read?.stat);
    expect(read?.json()).toEqual({ a: 1 });
    const bytes = read?.data as Uint8Array;
    bytes[0] = 0;
    expect(read?.data).toBe(bytes);
    expect(read?.text()).toBe('{"a":1}');
  });

  it('tells null from empty and decodes UTF-8', () => {
    const rig = new Rig();
    rig.run(create('/null', { data: null }));
    rig.run(create('/empty', { data: text('') }));
    rig.run(create('/é', { data: text('zürich') }));
    expect(rig.tree.getData('/null')).toMatchObject({ octets: null, data: null });
    expect(rig.tree.getData('/null')?.text()).toBe('');
    expect(rig.tree.getData('/null')?.json()).toBeNull();
    expect(rig.tree.getData('/empty')?.data?.length).toBe(0);
    expect(() => rig.tree.getData('/empty')?.json()).toThrow(SyntaxError);
    expect(rig.tree.getData('/é')?.stat.dataLength).toBe(7);
    expect(rig.tree.getData('/é')?.text()).toBe('zürich');
  });

  it('lists ephemerals by prefix', () => {
    const rig = new Rig();
    const id = rig.open(1);
    for (const path of ['/ab', '/ac', '/b']) rig.run(create(path, { flags: 1 }), id);
    expect(rig.tree.getEphemerals(id, '/a')).toEqual(['/ab', '/ac']);
    for (const all of [null, '', ' ', '/']) expect(rig.tree.getEphemerals(id, all)).toHaveLength(3);
    expect(rig.tree.getEphemerals(session(9))).toEqual([]);
    expect(rig.tree.exists('/ab')?.ephemeralOwner).toEqual(id);
  });
});

describe('a replay', () => {
  it('keeps the counter of a parent, and its pzxid, from going back (faults 3249, 3145)', () => {
    const tree = new ZnodeTree();
    const history = [txn(1, created('/p', 1)), txn(2, created('/p/a', 1)), txn(3, { type: 2, path: '/p/a' }), txn(4, created('/p/b', 2))];
    for (const t of history) tree.apply(t, false);
    const expected = dump(tree);
    for (const t of history.slice(1)) tree.apply(t, false);
    expect(dump(tree)).toEqual(expected);
    expect(tree.exists('/p')).toMatchObject({ cversion: 3, pzxid: makeZxid(1, 4) });
  });

  it('counts a create of an old log on', () => {
    const tree = new ZnodeTree();
    tree.apply(txn(1, created('/p', -1)), false);
    tree.apply(txn(2, created('/q', -1)), false);
    expect(tree.exists('/')).toMatchObject({ cversion: 1, pzxid: makeZxid(1, 2) });
  });

  it('raises pzxid for an ephemeral that a closed session had and a snapshot missed (fault 3145)', () => {
    const tree = new ZnodeTree();
    tree.apply(txn(1, created('/p', 1)), false);
    tree.apply(txn(5, { type: -11, paths: ['/p/missing'] }, session(1)), false);
    expect(tree.exists('/p')?.pzxid).toEqual(makeZxid(1, 5));
  });

  it('closes a session of an old log by what it owns', () => {
    const tree = new ZnodeTree();
    tree.apply(txn(1, { type: -10, timeout: 5 }, session(1)), false);
    tree.apply(txn(2, created('/e', 1, { ephemeral: true }), session(1)), false);
    expect(tree.sessions.get(session(1))).toEqual({ id: session(1), timeout: 5 });
    tree.apply(txn(3, { type: -11, paths: null }, session(1)), false);
    expect(tree.has('/e')).toBe(false);
    expect(tree.sessions.size).toBe(0);
    expect(tree.exists('/')?.pzxid).toEqual(makeZxid(1, 3));
  });

  it('does nothing and throws nothing for a transaction that makes no sense', () => {
    const tree = new ZnodeTree({ digest: true });
    const before = { ...(dump(tree) as object), lastZxid: '' };
    const bad: TxnBody[] = [
      created('', 0),
      created('/', 0),
      created('x', 0),
      created('/none/x', 0),
      { type: 2, path: '' },
      { type: 2, path: '/' },
      { type: 2, path: 'x' },
      { type: 5, path: 'x', data: null, version: 1 },
      { type: 7, path: '/none', acl: OPEN_ACL, version: 1 },
      {
        type: 14,
        txns: [
          { type: 5, path: '/', data: null, version: 9 },
          { type: -1, err: -101 },
        ],
      },
    ];
    bad.forEach((body, i) => {
      expect(tree.apply(txn(i + 1, body), true)?.err, JSON.stringify(body)).not.toBe(0);
    });
    expect({ ...(dump(tree) as object), lastZxid: '' }).toEqual(before);
    expect(tree.lastZxid).toEqual(makeZxid(1, bad.length));
  });
});

describe('apply', () => {
  it('never lets lastZxid go back', () => {
    const tree = new ZnodeTree();
    tree.apply(txn(5, created('/a', 1)), false);
    tree.apply(txn(3, created('/b', 2)), false);
    expect(tree.lastZxid).toEqual(makeZxid(1, 5));
  });

  it('tells every change, in order, with the tree showing it already', () => {
    const rig = new Rig();
    const id = rig.open(1);
    const seen: string[] = [];
    const names = ['', 'created', 'deleted', 'data', 'children'];
    const perms = new Set<number>();
    rig.tree.onEvent = (type, path, zxid, acl) => {
      seen.push(`${names[type]} ${path} ${zxid.low === rig.counter} ${rig.tree.has(path)}`);
      if (path.startsWith('/a')) perms.add(acl[0].perms);
    };
    rig.run(create('/a'));
    rig.run(create('/a/e', { flags: 1 }), id);
    rig.run(set('/', 'x'));
    expect([...perms]).toEqual([31]);
    rig.run(setAcl('/a', READ_ACL));
    rig.run(create('/a'));
    rig.run({ op: 14, ops: [create('/m'), del('/m')] });
    rig.run({ op: -11 }, id);
    expect(seen).toEqual([
      'created /a true true',
      'children / true true',
      'created /a/e true true',
      'children /a true true',
      'data / true true',
      'created /m true true',
      'children / true true',
      'deleted /m true false',
      'children / true true',
      'deleted /a/e true false',
      'children /a true true',
    ]);
    // The list of the ephemeral that went, and of its parent.
    expect([...perms]).toEqual([31, 1]);
  });

  it('notices a digest that differs, where the tree is exact', () => {
    const rig = new Rig();
    const wrong: string[] = [];
    rig.tree.onDigestMismatch = (zxid, expected, actual) => wrong.push(`${zxid.low} ${expected.equals(actual)}`);
    const good = rig.propose(create('/a'));
    rig.tree.apply({ ...good, digest: { version: 2, value: Long.fromNumber(5, true) } }, false);
    rig.tree.apply({ ...good, digest: { version: 3, value: Long.fromNumber(5, true) } }, false);
    expect(wrong).toEqual(['1 false']);
    expect(rig.tree.digestMismatches).toBe(1);
  });
});

describe('walks', () => {
  const grown = (): Rig => {
    const rig = new Rig();
    for (const path of ['/a', '/a/1', '/a/1/x', '/a/2', '/b', '/b/1']) rig.run(create(path));
    return rig;
  };

  it('meet each lasting znode once, parents first, whatever happens meanwhile', () => {
    const rig = grown();
    const seen: string[] = [];
    for (const [path] of rig.tree.walk('/')) {
      seen.push(path);
      if (path === '/') {
        rig.run(del('/b/1'));
        rig.run(del('/b'));
        rig.run(create('/new'));
      }
      if (path === '/a') {
        rig.run(del('/a/2'));
        rig.run(create('/a/3'));
      }
      if (path === '/a/1') rig.run({ op: 14, ops: [del('/a/1/x'), del('/a/1'), create('/a/1')] });
    }
    expect(seen).toEqual(['/', '/a', '/a/1', '/zookeeper', '/zookeeper/config', '/zookeeper/quota']);
  });

  it('end when their top goes, and cost nothing once left', () => {
    const rig = grown();
    const walk = rig.tree.walk('/b');
    expect(walk.next().value?.[0]).toBe('/b');
    rig.run(del('/b/1'));
    rig.run(del('/b'));
    expect(walk.next().done).toBe(true);
    for (const [path] of rig.tree.walk('/a')) if (path === '/a/1') break;
    expect(rig.tree.walk('/none').next().done).toBe(true);
    expect([...rig.tree.walk('/a')].map(([path]) => path)).toHaveLength(4);
  });
});

const record = (path: string, more: Partial<ZnodeRecord> = {}): ZnodeRecord => ({
  ...{ path, data: null, aclKey: -1, ctime: 0, mtime: 0, version: 0, cversion: 0, aversion: 0 },
  ...{ czxid: Long.UZERO, mzxid: Long.UZERO, pzxid: Long.UZERO, ephemeralOwner: Long.UZERO },
  ...more,
});
const load = (records: ZnodeRecord[], acls: { key: number; acl: typeof OPEN_ACL }[] = []): ZnodeTree => {
  const loader = new TreeLoader();
  loader.begin(makeZxid(1, 5), { sessions: [], acls });
  loader.nodes(records);
  loader.end(null);
  return loader.tree as ZnodeTree;
};

describe('snapshots', () => {
  it('carry the whole tree over', () => {
    const rig = new Rig();
    const id = rig.open(1);
    rig.run(create('/a', { acl: READ_ACL }));
    rig.run(create('/e', { flags: 1, data: null }), id);
    rig.run(create('/c', { op: 19, flags: 4 }));
    rig.run(create('/t', { op: 21, flags: 5, ttl: 0xffffffffff }));
    rig.run(del('/a'));
    const copy = reload(rig.tree, 2);
    expect(dump(copy)).toEqual(dump(rig.tree));
    expect(copy.lastZxid).toEqual(rig.tree.lastZxid);
    expect(copy.getEphemerals(id)).toEqual(['/e']);
  });

  it('have the digest of their last moment, zero for an empty history', () => {
    const rig = new Rig();
    expect(rig.tree.openSnapshot().digest()).toEqual({ zxid: Long.UZERO, version: 2, value: Long.UZERO });
    const source = rig.tree.openSnapshot();
    rig.run(create('/a'));
    expect(source.zxid).toEqual(Long.UZERO);
    expect(source.digest()).toEqual({ zxid: makeZxid(1, 1), version: 2, value: rig.tree.digest() });
    expect(new ZnodeTree().openSnapshot().digest()).toBeNull();
  });

  it('are checked against their digest once the fuzzy range is over', () => {
    const rig = new Rig();
    rig.run(create('/a'));
    const tree = reload(rig.tree, 1, () => rig.run(set('/a', 'x')));
    // In the fuzzy range a digest says nothing; after it, it does.
    const after = rig.log.slice(1);
    for (const t of after.slice(0, -1)) tree.apply({ ...t, digest: { version: 2, value: Long.UONE } }, false);
    expect(tree.digestMismatches).toBe(0);
    tree.apply(after[after.length - 1], false);
    expect(tree.digestMismatches).toBe(0);
    rig.propose(set('/a', 'last'));
    tree.apply({ ...rig.log[rig.log.length - 1], digest: { version: 2, value: Long.UONE } }, false);
    expect(tree.digestMismatches).toBe(1);
  });

  it('with a digest block that says nothing are compared from the first digest that fits on', () => {
    const rig = new Rig();
    rig.run(create('/a'));
    const source = rig.tree.openSnapshot();
    const loader = new TreeLoader({ digest: true });
    loader.begin(source.zxid, source.head);
    loader.nodes(source.next(100));
    // ZooKeeper writes this into the snapshot of a first synchronisation.
    loader.end({ zxid: Long.UZERO, version: 2, value: Long.UZERO });
    const tree = loader.tree as ZnodeTree;
    expect(tree.digestMismatches).toBe(0);
    for (const data of ['right', 'wrong']) {
      rig.propose(set('/a', data));
      const txn = rig.log[rig.log.length - 1];
      tree.apply(data === 'right' ? txn : { ...txn, digest: { version: 2, value: Long.UONE } }, false);
    }
    expect(tree.digestMismatches).toBe(1);
  });

  it('with a digest that is not theirs are noticed', () => {
    const rig = new Rig();
    rig.run(create('/a'));
    const source = rig.tree.openSnapshot();
    const loader = new TreeLoader({ digest: true });
    loader.begin(source.zxid, source.head);
    loader.nodes(source.next(100));
    loader.end({ zxid: source.zxid, version: 2, value: Long.UONE });
    expect(loader.tree?.digestMismatches).toBe(1);
  });
});

describe('snapshots from elsewhere', () => {
  it('that are no trees are refused', () => {
    expect(() => load([record('/a')])).toThrow(SnapshotError);
    expect(() => load([record(''), record('/a/b')])).toThrow(/\/a\/b/);
    expect(() => load([record(''), record('a')])).toThrow(SnapshotError);
    expect(() => load([])).toThrow(/root/);
    expect(() => new TreeLoader().nodes([record('')])).toThrow(SnapshotError);
    expect(() => new TreeLoader().end(null)).toThrow(SnapshotError);
    const loader = new TreeLoader();
    loader.begin(makeZxid(1, 5), { sessions: [], acls: [] });
    loader.nodes([record('')]);
    loader.begin(makeZxid(1, 6), { sessions: [], acls: [] });
    expect(() => loader.end(null)).toThrow(/root/);
    expect(loader.tree).toBeNull();
  });

  it('get the built-in znodes that they lack, and take the last of two of one path', () => {
    const tree = load([record(''), record('/a', { ephemeralOwner: session(1) }), record('/a', { version: 4 })]);
    expect(tree.getChildren('/')).toEqual(['a', 'zookeeper']);
    expect(tree.getData('/a')?.stat.version).toBe(4);
    expect(tree.orphanedSessions()).toEqual([]);
    expect(tree.exists('/zookeeper/config')).toBeDefined();
    expect(load([record(''), record('/a', { ephemeralOwner: session(1) })]).orphanedSessions()).toEqual([session(1)]);
  });

  it('may refer to lists that come later, under numbers that nobody else gets', () => {
    const tree = load([record(''), record('/a', { aclKey: 9 }), record('/b', { aclKey: 7 })], [{ key: 7, acl: READ_ACL }]);
    expect(tree.getAcl('/a')?.acl).toEqual([{ perms: 0, scheme: 'world', id: 'anyone' }]);
    tree.apply(txn(6, created('/c', 1, { acl: [{ perms: 3, scheme: 'world', id: 'anyone' }] })), false);
    expect(tree.getAcl('/a')?.acl).toHaveLength(1);
    expect(tree.acls.isOpen(tree.table.get(tree.table.find('/a'), 15))).toBe(false);
    tree.apply(txn(7, created('/a', 2)), false);
    expect(tree.getAcl('/a')?.acl).toEqual(OPEN_ACL);
    expect(tree.acls.entries().map((e) => e.key)).toEqual(expect.arrayContaining([7, 10, 11]));
  });
});
