import { beforeEach, describe, expect, it } from 'vitest';
import { EventType, type EventTypeCode } from '../../src/model/codes.ts';
import { makeZxid } from '../../src/model/zxid.ts';
import { type WatchKindCode, WatchTable } from '../../src/tree/watches.ts';
import { create, del, Rig, set } from './support.ts';

const NAMES = ['', 'created', 'deleted', 'data', 'children'];
const { nodeCreated, nodeDeleted, nodeDataChanged, nodeChildrenChanged } = EventType;

interface Watcher {
  readonly name: string;
}
const one: Watcher = { name: '1' };
const two: Watcher = { name: '2' };

let table: WatchTable<Watcher>;
let events: string[];
const deliver = (watcher: Watcher, type: EventTypeCode, path: string): void => {
  events.push(`${watcher.name} ${NAMES[type]} ${path}`);
};
/** What a trigger delivers. */
function fired(type: EventTypeCode, path: string): string[] {
  events = [];
  table.trigger(type, path, deliver);
  return events;
}

beforeEach(() => {
  table = new WatchTable();
  events = [];
});

describe('which watches fire', () => {
  const types = [nodeCreated, nodeDeleted, nodeDataChanged, nodeChildrenChanged];
  const adders: [string, () => void, string[]][] = [
    ['data', () => table.addData('/p', one), ['created', 'deleted', 'data']],
    ['child', () => table.addChild('/p', one), ['deleted', 'children']],
    ['persistent', () => table.addPersistent('/p', one, false), ['created', 'deleted', 'data', 'children']],
    ['recursive', () => table.addPersistent('/p', one, true), ['created', 'deleted', 'data']],
  ];
  it.each(adders)('%s', (kind, add, wanted) => {
    for (const type of types) {
      table = new WatchTable();
      add();
      const hit = wanted.includes(NAMES[type]) ? [`1 ${NAMES[type]} /p`] : [];
      expect(fired(type, '/p')).toEqual(hit);
      const persistent = kind === 'persistent' || kind === 'recursive';
      expect(fired(type, '/p')).toEqual(persistent ? hit : []);
      expect(table.hasAny).toBe(persistent || hit.length === 0);
      expect(fired(type, '/p/below')).toEqual(kind === 'recursive' && type !== nodeChildrenChanged ? [`1 ${NAMES[type]} /p/below`] : []);
      expect(fired(type, '/pp')).toEqual([]);
      expect(fired(type, '/')).toEqual([]);
    }
  });

  it('a recursive one on the root hears of everything', () => {
    table.addPersistent('/', one, true);
    expect(fired(nodeCreated, '/a/b/c')).toEqual(['1 created /a/b/c']);
    expect(fired(nodeDataChanged, '/')).toEqual(['1 data /']);
  });

  it('once per watcher, however many it holds, and all one-shot ones are used up', () => {
    table.addData('/p/x', one);
    table.addChild('/p/x', one);
    table.addPersistent('/p/x', one, false);
    table.addPersistent('/p/x', one, true);
    table.addPersistent('/p', one, true);
    table.addData('/p/x', two);
    expect(table.watchCount).toBe(6);
    expect(fired(nodeDeleted, '/p/x').sort()).toEqual(['1 deleted /p/x', '2 deleted /p/x']);
    expect(table.watchCount).toBe(3);
    expect(fired(nodeDeleted, '/p/x')).toEqual(['1 deleted /p/x']);
    expect(fired(nodeChildrenChanged, '/p/x')).toEqual(['1 children /p/x']);
  });

  it('a data change leaves a child watch, and the other way round', () => {
    table.addData('/p', one);
    table.addChild('/p', one);
    fired(nodeDataChanged, '/p');
    expect(fired(nodeChildrenChanged, '/p')).toEqual(['1 children /p']);
    expect(table.hasAny).toBe(false);
  });

  it('a watcher may set its watch again while it is told', () => {
    table.addData('/p', one);
    const again: string[] = [];
    for (let i = 0; i < 2; i++) {
      table.trigger(nodeDataChanged, '/p', (watcher, _type, path) => {
        again.push(path);
        table.addData(path, watcher);
      });
    }
    expect(again).toEqual(['/p', '/p']);
  });
});

describe('checks and removals', () => {
  it('find a persistent watch under every kind but recursive, and remove only what they name', () => {
    table.addPersistent('/p', one, false);
    const kinds: WatchKindCode[] = [1, 2, 3, 4, 5];
    expect(kinds.map((kind) => table.check('/p', kind, one))).toEqual([true, true, true, true, false]);
    expect(kinds.some((kind) => table.check('/p', kind, two) || table.check('/q', kind, one))).toBe(false);
    table.addData('/p', one);
    expect(table.remove('/p', 1, one)).toBe(false);
    expect(table.remove('/p', 2, one)).toBe(true);
    expect(table.remove('/p', 5, one)).toBe(false);
    expect(fired(nodeDataChanged, '/p')).toEqual(['1 data /p']);
    expect(table.remove('/p', 3, one)).toBe(true);
    expect(table.remove('/p', 3, one)).toBe(false);
    expect(table.hasAny).toBe(false);
  });

  it('a watcher that goes takes all its watches along', () => {
    for (const path of ['/a', '/b', '/c']) {
      table.addData(path, one);
      table.addPersistent(path, one, true);
    }
    table.addChild('/a', two);
    expect([table.watchCount, table.pathCount, table.watcherCount]).toEqual([7, 3, 2]);
    table.removeAll(one);
    table.removeAll(one);
    expect([table.watchCount, table.pathCount, table.watcherCount]).toEqual([1, 1, 1]);
    expect(fired(nodeCreated, '/b/x')).toEqual([]);
    expect([...table.entries()]).toEqual([['/a', [two]]]);
    table.addPersistent('/a', one, false);
    table.addData('/b', one);
    expect([...table.entries(2)]).toEqual([
      ['/a', [one]],
      ['/b', [one]],
    ]);
  });
});

describe('setWatches', () => {
  it('tells what was missed, in the order of the lists, and registers the rest', () => {
    const rig = new Rig();
    rig.run(create('/p'));
    rig.run(create('/par'));
    const since = makeZxid(1, rig.counter);
    rig.run(set('/p', 'x'));
    rig.run(create('/par/1'));
    const lists = {
      data: ['/p', '/gone', '/par'],
      exist: ['/p', '/nope'],
      child: ['/par', '/gone2', '/p'],
      persistent: ['/keep'],
      persistentRecursive: ['/deep'],
    };
    table.catchUp(rig.tree, since, lists, one, deliver);
    expect(events).toEqual(['1 data /p', '1 deleted /gone', '1 created /p', '1 children /par', '1 deleted /gone2']);
    expect(table.check('/par', 2, one) && table.check('/nope', 2, one) && table.check('/p', 1, one)).toBe(true);
    expect(table.check('/p', 2, one) || table.check('/par', 1, one) || table.check('/gone', 3, one)).toBe(false);
    expect(table.check('/keep', 4, one) && table.check('/deep', 5, one)).toBe(true);
  });
});

describe('with a tree', () => {
  it('a deletion tells the znode, then its parent', () => {
    const rig = new Rig();
    rig.tree.onEvent = (type, path) => table.trigger(type, path, deliver);
    rig.run(create('/par'));
    rig.run(create('/par/d'));
    table.addData('/par/d', one);
    table.addChild('/par/d', one);
    table.addChild('/par', one);
    table.addPersistent('/par', two, true);
    rig.run(del('/par/d'));
    expect(events).toEqual(['1 deleted /par/d', '2 deleted /par/d', '1 children /par']);
    events = [];
    table.addChild('/par', one);
    rig.run(create('/par/3'));
    rig.run(create('/par/4'));
    expect(events).toEqual(['2 created /par/3', '1 children /par', '2 created /par/4']);
  });
});
