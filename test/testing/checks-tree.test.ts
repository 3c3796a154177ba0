import Long from 'long';
import { describe, expect, it } from 'vitest';
import { Op } from '../../src/model/codes.ts';
import type { Txn, TxnBody } from '../../src/model/records.ts';
import { makeZxid } from '../../src/model/zxid.ts';
import { checkTree, compareTrees } from '../../src/testing/checks/compare.ts';
import { CTIME, VERSION } from '../../src/tree/row.ts';
import { ZnodeTree } from '../../src/tree/tree.ts';
import { ACL_KEY, CRC } from '../../src/tree/znode-table.ts';
import { octetsFromText } from '../../src/util/bytes.ts';
import { LogEntry } from '../../src/zab/entry.ts';
import { broken, closeSession, create, openSession, remove, Story, text, write } from './story.ts';

const SESSION = 0x42;
const id = Long.fromNumber(SESSION, true);
const opened = write(1, 1, openSession, SESSION);
const created = write(1, 2, create('/e'), SESSION);
const created2 = write(1, 3, create('/f'), SESSION);
const closed = write(1, 4, closeSession, SESSION);

function withSession(s: Story): void {
  s.reign(1, 1, 2, 3);
  for (const entry of [opened, created, created2]) s.commit(entry, 1, 2);
}

describe('EqualDigest', () => {
  it('a tree changes by itself', () => {
    const rules = broken((s) => {
      withSession(s);
      s.log(opened, 3);
      s.tree(3).apply(write(1, 0, text('other')).txn as Txn, false);
      s.apply(opened, 3);
    });
    expect(rules).toEqual(['EqualDigest']);
  });

  it('a tree is shown that differs', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.commit(write(1, 1), 1, 2);
      s.log(write(1, 1), 3);
      s.show(3, write(1, 1, text('other')));
    });
    expect(rules).toEqual(['EqualDigest']);
  });

  it('the digest is not the one that the leader foresaw', () => {
    const right = write(1, 1).txn as Txn;
    const tree = new ZnodeTree({ digest: true });
    tree.apply(right, false);
    const told = (value: Long): string[] =>
      broken((s) => {
        s.reign(1, 1, 2, 3);
        s.log(write(1, 1), 1, 2);
        s.tree(1).apply(right, false);
        s.checks.applied(1, { ...right, digest: { version: 2, value } }, s.tree(1));
      });
    expect(told(tree.digest())).not.toContain('EqualDigest');
    expect(told(tree.digest().add(1))).toContain('EqualDigest');
  });

  it('a tree is shown that was another one on its way', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.tree(3).digestMismatches = 1;
      s.checks.shown(3, s.tree(3));
    });
    expect(rules).toEqual(['EqualDigest']);
  });

  it('servers without digests are passed over', () => {
    const rules = broken((s) => {
      s.reign(1, 1, 2, 3);
      s.commit(write(1, 1), 1, 2);
      const tree = new ZnodeTree();
      tree.apply(write(1, 1).txn as Txn, false);
      s.log(write(1, 1), 3);
      s.checks.shown(3, tree);
    });
    expect(rules).toEqual([]);
  });
});

describe('EphemeralsGone and TreeComplete when a transaction is applied', () => {
  it('a session with ephemerals is opened and closed, others learn of it by snapshots', () => {
    const rules = broken((s) => {
      withSession(s);
      s.install(3, created2);
      s.show(3, opened, created, created2);
      s.commit(closed, 1, 2, 3);
      s.commit(write(1, 5, create('/e', false)), 1, 2, 3);
      s.show(2, opened, created, created2, closed, write(1, 5, create('/e', false)));
    });
    expect(rules).toEqual([]);
  });

  /** Tells that server 1 has applied `entry`, with a tree that `spoil` was at. */
  function applied(entry: LogEntry, spoil: (tree: ZnodeTree) => void): string[] {
    return broken((s) => {
      withSession(s);
      s.log(entry, 1, 2);
      s.tree(1).apply(entry.txn as Txn, false);
      spoil(s.tree(1));
      s.checks.applied(1, entry.txn as Txn, s.tree(1));
    });
  }
  const apply = (tree: ZnodeTree, body: TxnBody, counter = 3): void => void tree.apply(write(1, counter, body, SESSION).txn as Txn, false);

  it('an ephemeral is left after the end of its session', () => {
    expect(applied(closed, (tree) => apply(tree, create('/g')))).toContain('EphemeralsGone');
  });

  it('one is left, and no list shows it', () => {
    const hide = (tree: ZnodeTree): void => apply(tree, create('/e', false));
    expect(applied(closed, hide)).toContain('EphemeralsGone');
  });

  it('a session is left after its end', () => {
    expect(applied(closed, (tree) => apply(tree, openSession))).toContain('TreeComplete');
  });

  it('a session is missing after its beginning', () => {
    const other = write(1, 4, openSession, 0x77);
    const end = (tree: ZnodeTree): void => void tree.sessions.delete(Long.fromNumber(0x77, true));
    expect(applied(other, end)).toContain('TreeComplete');
  });

  it('an ephemeral goes while its session is open and nobody deletes it', () => {
    // One ephemeral is looked at with each transaction, so the second one tells at the latest.
    const rules = broken((s) => {
      withSession(s);
      apply(s.tree(1), remove('/f'));
      s.commit(write(1, 4), 1, 2);
      s.commit(write(1, 5), 1, 2);
    });
    expect(rules).toContain('EphemeralsGone');
  });

  it('one that is deleted, alone or in a multi, is gone', () => {
    const multi: TxnBody = { type: Op.multi, txns: [remove('/f'), create('/h')] };
    const failed: TxnBody = { type: Op.multi, txns: [remove('/h'), { type: Op.error, err: -101 }] };
    const rules = broken((s) => {
      withSession(s);
      s.commit(write(1, 4, remove('/e')), 1, 2);
      s.commit(write(1, 5, multi, SESSION), 1, 2);
      s.commit(write(1, 6, failed, SESSION), 1, 2);
      for (let counter = 7; counter < 12; counter++) s.commit(write(1, counter), 1, 2);
      s.commit(write(1, 12, closeSession, SESSION), 1, 2);
    });
    expect(rules).toEqual([]);
  });
});

describe('TreeComplete when a tree is shown', () => {
  /** Tells that server 3 shows the tree after `created2`, but with `entries` in it. */
  function shown(...entries: LogEntry[]): string[] {
    return broken((s) => {
      withSession(s);
      s.install(3, created2);
      s.show(3, ...entries);
    });
  }

  it('a tree is shown without a session, without an ephemeral or with one too many', () => {
    expect(shown(opened, created, created2)).toEqual([]);
    expect(shown(created, created2)).toContain('TreeComplete');
    expect(shown(opened, created2)).toContain('TreeComplete');
    expect(shown(opened, created, write(1, 2, create('/x'), SESSION), created2)).toContain('TreeComplete');
    expect(shown(opened, write(1, 2, openSession, 0x77), created, created2)).toContain('TreeComplete');
    expect(shown(opened, write(1, 2, closeSession, SESSION), created, created2)).toContain('TreeComplete');
    expect(shown(opened, write(1, 2, create('/x'), SESSION), created2)).toContain('TreeComplete');
    expect(shown(write(1, 1, { ...openSession, timeout: 1 } as TxnBody, SESSION), created, created2)).toContain('TreeComplete');
  });
});

it('TreeComplete: an ephemeral without a session is one too many whatever the history was', () => {
  const s = new Story(3, 0, false);
  s.checks.preload(makeZxid(0, 0), [new LogEntry(created.zxid, new Uint8Array(0))]);
  for (const server of [1, 2, 3]) s.boot(server, created.zxid, 1);
  s.show(1, created);
  expect(s.broken).toEqual(['TreeComplete']);
});

describe('compareTrees', () => {
  const entries = [opened, created, write(1, 3, create('/p', false)), write(1, 4, create('/p/q', false)), write(1, 5, text('d', '/p'))];

  function treeOf(...more: LogEntry[]): ZnodeTree {
    const tree = new ZnodeTree({ digest: true });
    for (const entry of [...entries, ...more]) tree.apply(entry.txn as Txn, false);
    return tree;
  }
  /** The same tree after something was done to it, which is not to show in its zxid. */
  function spoilt(spoil: (tree: ZnodeTree) => void): ZnodeTree {
    const tree = treeOf();
    spoil(tree);
    tree.lastZxid = treeOf().lastZxid;
    return tree;
  }
  const put =
    (body: TxnBody, session = 0) =>
    (tree: ZnodeTree) =>
      void tree.apply(write(1, 6, body, session).txn as Txn, false);
  const word = (path: string, at: number, value: number) => (tree: ZnodeTree) => tree.table.set(tree.table.find(path), at, value);

  it('finds no difference between trees made in different ways', () => {
    expect(compareTrees(treeOf(), treeOf())).toBeNull();
    const detour = treeOf();
    detour.setConfig(octetsFromText('version=0'), makeZxid(0, 0), 0);
    expect(compareTrees(treeOf(), detour)).toBeNull();
  });

  it.each<[says: RegExp, spoil: (tree: ZnodeTree) => void]>([
    [/^\/p, pzxid/, put(create('/p/new', false))],
    [/^\/p, pzxid/, put(remove('/p/q'))],
    [/^\/p, data: "e" and "d"|^\/p, data: "d" and "e"/, put(text('e', '/p'))],
    [/^\/p\/q, ctime/, word('/p/q', CTIME + 1, 7)],
    [/^\/p, version/, word('/p', VERSION, 9)],
    [/^\/p, ACL/, word('/p', ACL_KEY, 999)],
    [/^session 0x42, timeout: 4000 and null|^session 0x42, timeout: null and 4000/, (tree) => void tree.sessions.delete(id)],
    [/^session 0x42, timeout: 4000 and 5|^session 0x42, timeout: 5 and 4000/, put({ type: Op.createSession, timeout: 5 }, SESSION)],
    [/^lastZxid: "0x100000005" and "0x1/, (tree) => tree],
  ])('finds %s', (says, spoil) => {
    const other = spoilt(spoil);
    if (says.source.startsWith('^lastZxid')) other.lastZxid = makeZxid(1, 0);
    expect(compareTrees(treeOf(), other)).toMatch(says);
    if (!says.source.startsWith('^lastZxid')) expect(compareTrees(other, treeOf())).toMatch(says);
  });

  it('finds a znode that has another name', () => {
    const other = new ZnodeTree({ digest: true });
    const renamed = write(1, 4, create('/p/r', false));
    for (const entry of [...entries.slice(0, 3), renamed, entries[4]]) other.apply(entry.txn as Txn, false);
    expect(compareTrees(treeOf(), other)).toBe('/p/q: only in the first');
    expect(compareTrees(other, treeOf())).toBe('/p/r: only in the first');
  });

  it('finds a tree that disagrees with itself', () => {
    expect(checkTree(treeOf())).toBeNull();
    expect(checkTree(spoilt(word('/p', CRC, 1)))).toBeNull();
    expect(checkTree(spoilt((tree) => tree.sum.add(1)))).toMatch(/^digest/);
    const unlisted = spoilt((tree) => tree.owners.remove(tree.table, tree.table.find('/e')));
    expect(checkTree(unlisted)).toMatch(/^\/e: missing/);
    const stale = spoilt((tree) => tree.owners.containers.add(tree.table.find('/p')));
    expect(checkTree(stale)).toMatch(/^owned znodes/);
  });
});
