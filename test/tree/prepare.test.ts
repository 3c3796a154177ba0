import { describe, expect, it } from 'vitest';
import { Err } from '../../src/model/codes.ts';
import type { Acl, Id, MultiOp, WriteRequest } from '../../src/model/records.ts';
import { READ_ACL } from '../../src/tree/acl.ts';
import type { ZnodeTree } from '../../src/tree/tree.ts';
import { check, create, del, Rig, reload, SERVER, session, set, setAcl, text } from './support.ts';

const nobody: readonly Acl[] = [{ perms: 31, scheme: 'digest', id: 'nobody:x' }];
const alice: Id = { scheme: 'digest', id: 'alice:x' };
const container = (path: string) => create(path, { op: 19, flags: 4 });
const ttl = (path: string, ms: number) => create(path, { op: 21, flags: 5, ttl: ms });
const multi = (...ops: MultiOp[]): WriteRequest => ({ op: 14, ops });

/** Znodes in every condition that a check can meet. */
function furnished(rig = new Rig()): Rig {
  const owner = rig.open(1);
  rig.run(create('/a'));
  rig.run(create('/a/b'));
  rig.run(create('/eph', { flags: 1 }), owner);
  rig.run(create('/closed', { acl: nobody }));
  rig.run(create('/closed/in', { acl: nobody }), SERVER, [{ scheme: 'digest', id: 'nobody:x' }]);
  rig.run(create('/read', { acl: READ_ACL }));
  return rig;
}

const cases: [what: string, record: WriteRequest, err: number][] = [
  ['create: flags before path', create('a', { flags: 7 }), Err.badArguments],
  ['create: negative flags', create('/n', { flags: -1 }), Err.badArguments],
  ['create: TTL flag on op 1', create('/n', { flags: 5 }), Err.badArguments],
  ['create: ttl with another flag', create('/n', { op: 21, flags: 0, ttl: 5 }), Err.badArguments],
  ['create: no TTL on op 21 with another flag', create('/n', { op: 21, flags: 0, ttl: -1 }), Err.badArguments],
  ['create: TTL 0', ttl('/n', 0), Err.badArguments],
  ['create: TTL too large', ttl('/n', 0x10000000000), Err.badArguments],
  ['create: path without slash before ACL', create('n', { acl: [] }), Err.badArguments],
  ['create: NUL before ACL', create('/n\0', { acl: [] }), Err.badArguments],
  ['create: ACL before parent', create('/none/n', { acl: [] }), Err.invalidAcl],
  ['create: null ACL', create('/n', { acl: null }), Err.invalidAcl],
  ['create: parent before path', create('/none//n'), Err.noNode],
  ['create: CREATE on the parent before existence', create('/closed/in'), Err.noAuth],
  ['create: path before existence', create('/a/'), Err.badArguments],
  ['create: relative path', create('/a/..'), Err.badArguments],
  ['create: forbidden character', create('/a/\ud83d\ude00'), Err.badArguments],
  ['create: the root', create('/'), Err.nodeExists],
  ['create: existence', create('/a/b'), Err.nodeExists],
  ['create: ephemeral parent', create('/eph/n'), Err.noChildrenForEphemerals],
  ['create under /zookeeper', create('/zookeeper/foo'), 0],
  ['delete: special path', del('/zookeeper/config'), Err.badArguments],
  ['delete: the root', del('/'), Err.badArguments],
  ['delete: no slash', del('a'), Err.badArguments],
  ['delete: NUL', del('/a\0'), Err.badArguments],
  ['delete: parent', del('/none/n'), Err.noNode],
  ['delete: DELETE on the parent before existence', del('/closed/none'), Err.noAuth],
  ['delete: existence', del('/a/none', 3), Err.noNode],
  ['delete: version before children', del('/a', 3), Err.badVersion],
  ['delete: children', del('/a', 0), Err.notEmpty],
  ['delete needs nothing on the znode itself', del('/read'), 0],
  ['setData: path', set('/a/', 'x'), Err.badArguments],
  ['setData: empty path', set('', 'x'), Err.badArguments],
  ['setData: existence', set('/none', 'x', 3), Err.noNode],
  ['setData: WRITE before version', set('/read', 'x', 3), Err.noAuth],
  ['setData: version', set('/a', 'x', 3), Err.badVersion],
  ['setData: the root', set('/', 'x'), 0],
  ['setACL: path before ACL', setAcl('/a/', []), Err.badArguments],
  ['setACL: ACL before existence', setAcl('/none', []), Err.invalidAcl],
  ['setACL: existence', setAcl('/none', READ_ACL), Err.noNode],
  ['setACL: ADMIN before version', setAcl('/read', READ_ACL, 3), Err.noAuth],
  ['setACL: aversion', setAcl('/a', READ_ACL, 3), Err.badVersion],
  ['check alone', check('/a', 0), Err.unimplemented],
  ['deleteContainer: not a container', { op: 20, path: '/a/b' }, Err.badVersion],
  ['deleteContainer: children first', { op: 20, path: '/a' }, Err.notEmpty],
  ['deleteContainer: existence', { op: 20, path: '/none' }, Err.noNode],
  ['an unreadable request', { op: -1, err: Err.marshallingError }, Err.marshallingError],
];
describe('checks of a write, the first failure wins', () => {
  it.each(cases)('%s', (_, record, err) => {
    const rig = furnished();
    const before = rig.counter;
    expect(rig.err(record)).toBe(err);
    const txn = rig.log.at(-1);
    // A failure is a transaction too: it uses up its zxid and carries no digest.
    expect(txn?.header.zxid.low).toBe(before + 1);
    if (err !== 0) expect(txn).toMatchObject({ header: { type: -1 }, body: { type: -1, err }, digest: null });
  });

  it('refuses sessions that are not open, before anything else, and never the server itself', () => {
    const rig = furnished();
    expect(rig.err(create('bad', { flags: 9 }), session(5))).toBe(Err.sessionExpired);
    expect(rig.err(multi(check('/a', 0)), session(5))).toBe(Err.sessionExpired);
    expect(rig.err(multi(), session(5))).toBe(Err.sessionExpired);
    expect(rig.err(multi())).toBe(0);
    rig.propose({ op: -10, timeout: 1 }, session(5));
    const txn = rig.propose(create('/by5', { flags: 1 }), session(5));
    expect(txn.body.type).toBe(1);
    rig.propose({ op: -11 }, session(5));
    expect(rig.propose(set('/by5', 'x'), session(5)).body).toEqual({ type: -1, err: Err.sessionExpired });
    rig.commit();
    expect(rig.err(set('/a', 'x'), session(5))).toBe(Err.sessionExpired);
    expect(rig.tree.has('/by5')).toBe(false);
  });

  it('refuses TTLs where they are off, permissions only where they are on', () => {
    const rig = furnished(new Rig({ extendedTypes: false, skipAcl: true }));
    expect(rig.err(ttl('/n', 5))).toBe(Err.unimplemented);
    expect(rig.err(create('/n', { flags: 5 }))).toBe(Err.unimplemented);
    expect(rig.err(set('/closed', 'x'))).toBe(0);
  });

  it('lets identities in, and the super user everywhere', () => {
    const rig = furnished(new Rig({ superDigest: 'root:x' }));
    expect(rig.err(set('/closed', 'x'), SERVER, [alice])).toBe(Err.noAuth);
    expect(rig.err(set('/closed', 'x'), SERVER, [alice, { scheme: 'digest', id: 'nobody:x' }])).toBe(0);
    expect(rig.err(set('/closed', 'x'), SERVER, [{ scheme: 'digest', id: 'root:x' }])).toBe(0);
    expect(rig.err(set('/closed', 'x'), SERVER, [{ scheme: 'super', id: '' }])).toBe(0);
  });

  it('bounds what one request may hold', () => {
    const rig = furnished(new Rig({ maxData: 100 }));
    expect(rig.err(set('/a', 'x'.repeat(98)))).toBe(0);
    expect(rig.err(set('/a', 'x'.repeat(99)))).toBe(Err.badArguments);
    expect(rig.err(multi(set('/a', 'x'.repeat(50)), set('/a', 'x'.repeat(50))))).toBe(Err.badArguments);
  });
});

describe('requests see what is outstanding', () => {
  it('as if it had been applied', () => {
    const rig = new Rig();
    const err = (record: WriteRequest, id = SERVER) => {
      const { body } = rig.propose(record, id);
      return body.type === -1 ? body.err : 0;
    };
    expect(err(create('/p'))).toBe(0);
    expect(err(create('/p/c'))).toBe(0);
    expect(err(create('/p/c'))).toBe(Err.nodeExists);
    expect(err(del('/p'))).toBe(Err.notEmpty);
    expect(err(set('/p/c', '1', 0))).toBe(0);
    expect(err(set('/p/c', '2', 0))).toBe(Err.badVersion);
    expect(err(del('/p/c', 1))).toBe(0);
    expect(err(set('/p/c', '3'))).toBe(Err.noNode);
    expect(err(setAcl('/p', nobody))).toBe(0);
    expect(err(create('/p/d'))).toBe(Err.noAuth);
    expect(err(del('/p'))).toBe(0);
    expect(err(create('/p', { data: text('again') }))).toBe(0);
    expect(err(set('/p', 'x', 0))).toBe(0);
    expect(rig.tree.has('/p')).toBe(false);
    // Part of it applies, the rest still counts.
    rig.commit(5);
    expect(err(set('/p', 'y', 1))).toBe(0);
    rig.commit();
    expect(rig.tree.getData('/p')?.text()).toBe('y');
    expect(rig.tree.digestMismatches).toBe(0);
  });

  it('counts sequences on, and a delete frees no number', () => {
    const rig = new Rig();
    rig.run(create('/p'));
    const name = () => (rig.propose(create('/p/s-', { flags: 2 })).body as { path: string }).path;
    expect([name(), name()]).toEqual(['/p/s-0000000000', '/p/s-0000000001']);
    rig.propose(del('/p/s-0000000001'));
    rig.commit(2);
    expect(name()).toBe('/p/s-0000000002');
    rig.commit();
    rig.run(create('/p/s-0000000004'));
    // A name that is taken is refused and the counter stays.
    for (let i = 0; i < 2; i++) expect(rig.err(create('/p/s-', { flags: 2 }))).toBe(Err.nodeExists);
    rig.run(create('/p/other'));
    expect(name()).toBe('/p/s-0000000005');
  });

  it('forgets outstanding changes on reset', () => {
    const rig = new Rig();
    rig.propose(create('/p'));
    rig.propose({ op: -10, timeout: 1 }, session(3));
    rig.preparer.reset();
    expect(rig.preparer.isOpen(session(3))).toBe(false);
    expect(rig.propose(set('/p', 'x')).body).toEqual({ type: -1, err: Err.noNode });
  });
});

describe('a closing session', () => {
  it('lists the ephemerals that it will have', () => {
    const rig = new Rig();
    const [one, two] = [rig.open(1), rig.open(2)];
    rig.run(create('/gone', { flags: 1 }), one);
    rig.run(create('/taken', { flags: 1 }), one);
    rig.run(create('/kept', { flags: 1 }), one);
    rig.propose(del('/gone'));
    rig.propose(del('/taken'));
    rig.propose(create('/taken', { flags: 1 }), two);
    rig.propose(create('/new', { flags: 1 }), one);
    const close = rig.propose({ op: -11 }, one);
    expect(close.body).toEqual({ type: -11, paths: ['/kept', '/new'] });
    // The names are free at once.
    expect(rig.propose(create('/new')).body.type).toBe(1);
    rig.commit();
    expect(rig.tree.getChildren('/')).toEqual(['zookeeper', 'taken', 'new']);
    expect(rig.tree.getEphemerals(two)).toEqual(['/taken']);
    expect(rig.tree.exists('/')?.pzxid.low).toBe(rig.counter);
    expect(rig.tree.digestMismatches).toBe(0);
  });

  it('cuts the list of a session with too many ephemerals; appliers delete the rest (faults 3496, 4306)', () => {
    const rig = new Rig({ maxData: 60 });
    const id = rig.open(1);
    for (let i = 0; i < 20; i++) rig.run(create(`/e${i}`, { flags: 1 }), id);
    const close = rig.propose({ op: -11 }, id);
    expect((close.body as unknown as { paths: string[] }).paths).toHaveLength(4);
    expect(rig.propose(create('/e19')).body.type).toBe(1);
    rig.commit();
    expect(rig.tree.getChildren('/')).toEqual(['zookeeper', 'e19']);
    expect(rig.tree.digestMismatches).toBe(0);
  });
});

describe('a multi that succeeds', () => {
  it('makes all parts with one zxid and one time, each seeing those before', () => {
    const rig = new Rig();
    const result = rig.run(
      multi(
        create('/m'),
        create('/m/c', { op: 15 }),
        create('/m/s-', { flags: 2 }),
        set('/m', 'new', 0),
        check('/m', 1),
        del('/m/c'),
        container('/k'),
        ttl('/t', 9),
      ),
    );
    expect(result.err).toBe(0);
    expect(result.results?.map((r) => [r.type, r.path, r.stat !== null])).toEqual([
      [1, '/m', false],
      [1, '/m/c', false],
      [1, '/m/s-0000000001', false],
      [5, '/m', true],
      [13, '/m', false],
      [2, '/m/c', false],
      [15, '/k', true],
      [15, '/t', true],
    ]);
    const stat = rig.tree.exists('/m');
    expect(stat).toMatchObject({ version: 1, cversion: 3, numChildren: 1, ctime: rig.time, mtime: rig.time });
    for (const zxid of [stat?.czxid, stat?.mzxid, stat?.pzxid]) expect(zxid?.low).toBe(1);
    expect(rig.tree.owners.containers.size).toBe(1);
    expect(rig.tree.owners.ttls.size).toBe(1);
  });

  it('goes by flags, not by operation, as 3.8.0 does', () => {
    const rig = new Rig();
    rig.propose(
      multi(
        create('/a', { op: 19, flags: 0 }),
        create('/b', { op: 1, flags: 4 }),
        create('/c', { op: 15, flags: 1 }),
        create('/d', { op: 21, flags: 0, ttl: 5 }),
      ),
    );
    expect((rig.log[0].body as unknown as { txns: { type: number }[] }).txns.map((part) => part.type)).toEqual([1, 19, 1, 1]);
  });
});

describe('a multi that fails', () => {
  it('makes nothing when a part fails, and leaves outstanding changes as they were', () => {
    const rig = new Rig();
    rig.run(create('/m'));
    rig.propose(set('/m', 'first', 0));
    rig.propose(create('/m/kept'));
    const before = rig.propose(set('/m/kept', 'x'));
    const failed = rig.propose(multi(set('/m', 'second', 1), create('/m/n'), del('/m/kept'), set('/m/none', 'x'), create('/m/o')));
    expect(failed.body).toMatchObject({
      type: 14,
      txns: [{ type: 5 }, { type: 1 }, { type: 2 }, { type: -1, err: Err.noNode }, { type: -1, err: Err.runtimeInconsistency }],
    });
    expect(failed.header.type).toBe(14);
    expect(failed.digest).toEqual(before.digest);
    expect(rig.propose(set('/m', 'third', 1)).body.type).toBe(5);
    expect(rig.propose(create('/m/n')).body).toMatchObject({ parentCVersion: 2 });
    expect(rig.propose(del('/m/kept')).body.type).toBe(2);
    const results = rig.commit();
    expect(results[3].results?.map((r) => [r.type, r.err])).toEqual([
      [-1, 0],
      [-1, 0],
      [-1, 0],
      [-1, Err.noNode],
      [-1, Err.runtimeInconsistency],
    ]);
    expect(results[3].err).toBe(Err.noNode);
    expect(rig.tree.getData('/m')?.text()).toBe('third');
    expect(rig.tree.getChildren('/m')).toEqual(['n']);
    expect(rig.tree.digestMismatches).toBe(0);
    expect(rig.err(del('/m/n'))).toBe(0);
    expect(rig.err(del('/m'))).toBe(0);
  });

  it('is refused as a whole with an operation that may not stand in it', () => {
    const rig = new Rig();
    rig.run(multi(create('/m'), { op: 3, path: '/' } as never));
    expect(rig.log[0].body).toEqual({ type: -1, err: Err.marshallingError });
    expect(rig.tree.has('/m')).toBe(false);
  });
});

describe('what a create writes', () => {
  it('goes by the operation, not by the flag', () => {
    const rig = new Rig();
    rig.run(create('/plain', { flags: 4 }));
    rig.run(create('/cont', { op: 19, flags: 0 }));
    rig.run(create('/contseq-', { op: 19, flags: 2 }));
    rig.run(ttl('/ttl', 0xffffffffff));
    rig.run(create('/ttlseq-', { op: 21, flags: 6, ttl: 5 }));
    expect(rig.log.map((txn) => txn.header.type)).toEqual([1, 19, 19, 21, 21]);
    expect(rig.tree.getChildren('/')).toEqual(['zookeeper', 'plain', 'cont', 'contseq-0000000002', 'ttl', 'ttlseq-0000000004']);
    expect(rig.tree.owners.containers.size).toBe(2);
    expect(rig.tree.owners.ttls.size).toBe(2);
    expect(rig.tree.exists('/ttl')?.ephemeralOwner.isZero()).toBe(true);
  });

  it('takes a list that later changes of the request do not reach', () => {
    const rig = new Rig();
    const mine: Acl[] = [
      { perms: 31, ...alice },
      { perms: 31, ...alice },
      { perms: 1, scheme: 'auth', id: 'ignored' },
    ];
    rig.run(create('/n', { acl: mine }), SERVER, [{ scheme: 'ip', id: '1.2.3.4' }, alice]);
    mine.length = 0;
    expect(rig.tree.getAcl('/n')?.acl).toEqual([
      { perms: 31, ...alice },
      { perms: 1, ...alice },
    ]);
    expect(rig.err(create('/m', { acl: [{ perms: 1, scheme: 'auth', id: '' }] }), SERVER, [{ scheme: 'ip', id: '1.2.3.4' }])).toBe(
      Err.invalidAcl,
    );
  });
});

describe('cleaning', () => {
  it('finds containers that had children and expired TTL znodes, and deletes only those', () => {
    const rig = new Rig();
    const owner = rig.open(1);
    for (const path of ['/used', '/busy', '/fresh']) rig.run(container(path));
    rig.run(create('/used/c'));
    rig.run(create('/busy/c'));
    rig.run(del('/used/c'));
    rig.run(ttl('/short', 30));
    rig.run(ttl('/long', 1e9));
    rig.run(ttl('/parent', 30));
    rig.run(create('/parent/c'));
    expect(rig.tree.cleanupCandidates(rig.time)).toEqual(['/used']);
    rig.time += 50;
    expect(rig.tree.cleanupCandidates(rig.time)).toEqual(['/used', '/short']);
    expect(rig.err({ op: 20, path: '/used' }, owner)).toBe(Err.badArguments);
    expect(rig.err({ op: 20, path: '/used' })).toBe(0);
    expect(rig.log.at(-1)?.header.type).toBe(20);
    // Written since it was chosen: its time starts anew.
    rig.propose(set('/short', 'x'));
    rig.propose({ op: 20, path: '/short' });
    rig.propose({ op: 20, path: '/fresh' });
    rig.propose({ op: 20, path: '/parent' });
    expect(rig.commit().map((r) => r.err)).toEqual([0, Err.badVersion, Err.badVersion, Err.notEmpty]);
    rig.time += 50;
    expect(rig.err({ op: 20, path: '/short' })).toBe(0);
  });
});

describe('quotas', () => {
  const withQuota = (limits: string, enforceQuota = true): Rig => {
    const rig = new Rig({ enforceQuota });
    rig.run(create('/q', { data: text('12345') }));
    rig.run(create('/q/one', { data: null }));
    rig.run(create('/zookeeper/quota/q', { data: null }));
    rig.run(create('/zookeeper/quota/q/zookeeper_limits', { data: text(limits) }));
    rig.run(create('/zookeeper/quota/q/zookeeper_stats', { data: text('count=0,bytes=0') }));
    return rig;
  };
  const stats = (tree: ZnodeTree) => tree.getData('/zookeeper/quota/q/zookeeper_stats')?.text();

  it('keeps the stats without transactions', () => {
    const rig = withQuota('count=1000,bytes=-1=;byteHardLimit=-1;countHardLimit=-1');
    expect(stats(rig.tree)).toBe('count=2,bytes=5');
    const before = rig.tree.exists('/zookeeper/quota/q/zookeeper_stats');
    rig.run(create('/q/two', { data: text('abc') }));
    rig.run(set('/q', '1'));
    rig.run(create('/qq'));
    rig.run(del('/q/one'));
    expect(stats(rig.tree)).toBe('count=2,bytes=4');
    expect({ ...rig.tree.exists('/zookeeper/quota/q/zookeeper_stats'), dataLength: 0 }).toEqual({ ...before, dataLength: 0 });
    expect(rig.tree.digestMismatches).toBe(0);
    expect(stats(reload(rig.tree))).toBe('count=2,bytes=4');
    rig.run(del('/zookeeper/quota/q/zookeeper_limits'));
    rig.run(create('/q/three'));
    expect(stats(rig.tree)).toBe('count=2,bytes=4');
  });

  it('enforces hard limits only, and only when told to', () => {
    const hard = withQuota('count=1,bytes=1=;byteHardLimit=10;countHardLimit=3');
    expect(hard.err(create('/q/c', { data: text('123456') }))).toBe(Err.quotaExceeded);
    expect(hard.err(create('/q/c', { data: text('12345') }))).toBe(0);
    expect(hard.err(set('/q', '123456', 7))).toBe(Err.quotaExceeded);
    expect(hard.err(set('/q', '123', 7))).toBe(Err.badVersion);
    expect(hard.err(create('/q/d', { data: null }))).toBe(Err.quotaExceeded);
    const soft = withQuota('count=1,bytes=1');
    expect(soft.err(create('/q/c', { data: text('123456') }))).toBe(0);
    const off = withQuota('count=1,bytes=1=;byteHardLimit=1;countHardLimit=1', false);
    expect(off.err(create('/q/c', { data: text('123456') }))).toBe(0);
  });

  it('reads any text as limits', () => {
    for (const limits of ['', 'nonsense', 'count=', 'countHardLimit=x;;=,,', '=;byteHardLimit=3;count=1,count=2']) {
      expect(withQuota(limits).err(create('/q/c', { data: null })), limits).toBe(0);
    }
  });
});
