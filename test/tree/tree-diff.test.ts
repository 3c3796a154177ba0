import { describe, expect, it } from 'vitest';
import type { ZnodeTree } from '../../src/tree/tree.ts';
import { diffTrees } from '../../src/tree/tree-diff.ts';
import { create, del, Rig, reload, set } from './support.ts';

const NAMES = ['', 'created', 'deleted', 'data', 'children'];

function diff(before: ZnodeTree, after: ZnodeTree, path: string, recursive: boolean): string[] {
  const out: string[] = [];
  diffTrees(before, after, path, recursive, (type, at) => out.push(`${NAMES[type]} ${at}`));
  return out;
}

/** A tree, and the same after `change`. */
function pair(change: (rig: Rig) => void): [ZnodeTree, ZnodeTree] {
  const rig = new Rig();
  for (const path of ['/a', '/a/b', '/a/b/c', '/a/d', '/e']) rig.run(create(path));
  const before = reload(rig.tree);
  change(rig);
  return [before, rig.tree];
}

describe('diffTrees', () => {
  it('finds nothing between equal trees', () => {
    const [before, after] = pair(() => {});
    for (const path of ['/', '/a', '/none'])
      for (const recursive of [true, false]) expect(diff(before, after, path, recursive)).toEqual([]);
  });

  it('tells a recursive watcher of deletions from below, then of the rest from above', () => {
    const [before, after] = pair((rig) => {
      for (const path of ['/a/b/c', '/a/b']) rig.run(del(path));
      rig.run(set('/a', 'x'));
      rig.run(create('/a/n'));
      rig.run(create('/a/n/m'));
      rig.run(del('/a/d'));
      rig.run(create('/a/d'));
      rig.run(set('/e', 'x'));
    });
    expect(diff(before, after, '/a', true)).toEqual([
      'deleted /a/d',
      'deleted /a/b/c',
      'deleted /a/b',
      'data /a',
      'created /a/d',
      'created /a/n',
      'created /a/n/m',
    ]);
    expect(diff(before, after, '/', true)).toContain('data /e');
  });

  it('tells the other kind of its own path only, children included', () => {
    const [before, after] = pair((rig) => {
      rig.run(set('/a', 'x'));
      rig.run(create('/a/n'));
      rig.run(set('/a/b', 'x'));
      rig.run(del('/e'));
      rig.run(create('/new'));
      rig.run(create('/new/c'));
    });
    expect(diff(before, after, '/a', false)).toEqual(['data /a', 'children /a']);
    expect(diff(before, after, '/a/b', false)).toEqual(['data /a/b']);
    expect(diff(before, after, '/e', false)).toEqual(['deleted /e']);
    expect(diff(before, after, '/new', false)).toEqual(['created /new', 'children /new']);
    expect(diff(after, before, '/new', false)).toEqual(['deleted /new']);
    expect(diff(after, before, '/a', false)).toEqual(['data /a', 'children /a']);
  });

  it('knows a znode that was made anew', () => {
    const [before, after] = pair((rig) => {
      rig.run(del('/e'));
      rig.run(create('/e'));
    });
    expect(diff(before, after, '/e', false)).toEqual(['deleted /e', 'created /e']);
  });
});
