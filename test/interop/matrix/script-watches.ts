import { part } from './driver.ts';
import { ANY_ORDER, type Chapter, data, LONG, OPEN, type Run } from './run.ts';

/* Watches of every kind, with the order of events and replies. a watches, b (at another server, if there is one) changes. */

const NODE_CHANGES: Record<string, (r: string) => string[]> = {
  setData: (path) => ['setData', 'b', path, data('new'), '-1'],
  setAcl: (path) => ['setAcl', 'b', path, OPEN, '-1'],
  childCreate: (path) => ['create', 'b', `${path}/c`, '', OPEN, '0'],
  childSetData: (path) => ['setData', 'b', `${path}/c`, data('x'), '-1'],
  childDelete: (path) => ['delete', 'b', `${path}/c`, '-1'],
  multi: (path) => [
    'multi',
    'b',
    part('create', `${path}/m`, '', OPEN, '0', ''),
    part('setData', path, '', '-1'),
    part('delete', `${path}/m`, '-1'),
  ],
  delete: (path) => ['delete', 'b', path, '-1'],
  create: (path) => ['create', 'b', path, '', OPEN, '0'],
  failing: (path) => ['setData', 'b', path, '', '77'],
};

const READS = ['exists', 'getData', 'getChildren', 'getChildren2'];

async function twoSessions({ step, hosts }: Run): Promise<void> {
  await step('connect', 'a', hosts(0), LONG);
  await step('connect', 'b', hosts(1), LONG);
}

async function closeBoth({ step }: Run): Promise<void> {
  await step('close', 'a');
  await step('close', 'b');
}

/** Each kind of read watches, all watches are set again before each change. */
async function oneShot(run: Run): Promise<void> {
  const { root: r, step } = run;
  await twoSessions(run);
  const path = `${r}/one`;
  await step('create', 'b', path, '', OPEN, '0');
  await step('sync', 'a', path);
  for (const read of READS) {
    for (const [name, change] of Object.entries(NODE_CHANGES)) {
      await step(read, 'a', path, `${read}:${name}`);
      await step(...(change(path) as [string, ...string[]]));
      await step('events', 'a');
      await step('setData', 'b', path, data('a second change'), '-1');
      await step('events', 'a');
    }
    // What waits still is told by the deletion.
    await step('delete', 'b', path, '-1');
    await step('create', 'b', path, '', OPEN, '0');
    await step('events', 'a');
  }
  await closeBoth(run);
}

/** Several watches on one znode: how many events, in which order, and events before the reply of a change by the same session. */
async function manyOnOne(run: Run): Promise<void> {
  const { root: r, step } = run;
  await twoSessions(run);
  const path = `${r}/many`;
  for (const session of ['b', 'a']) {
    await step('create', session, path, '', OPEN, '0');
    await step('sync', 'a', path);
    for (const read of READS) for (const n of [1, 2]) await step(read, 'a', path, `${read}${n}`);
    await step('events', 'a');
    await step('setData', session, path, data('x'), '-1');
    await step('create', session, `${path}/c`, '', OPEN, '0');
    await step('events', 'a');
    for (const read of READS) await step(read, 'a', path, `again ${read}`);
    await step('multi', session, part('delete', `${path}/c`, '-1'), part('delete', path, '-1'));
    await step('events', 'a');
    await step('exists', 'a', path, 'to come');
    await step('create', session, path, '', OPEN, '1');
    await step('events', 'a');
    await step('getData', 'a', path, 'ephemeral');
    await step('getChildren', 'a', r, 'parent');
    await step('delete', session, path, '-1');
    await step('events', 'a');
  }
  await closeBoth(run);
}

async function ofEphemerals(run: Run): Promise<void> {
  const { root: r, step, hosts } = run;
  await twoSessions(run);
  await step('connect', 'c', hosts(2), LONG);
  await step('create', 'c', `${r}/e1`, '', OPEN, '1');
  await step('create', 'c', `${r}/e2`, '', OPEN, '1');
  await step('sync', 'a', r);
  await step('exists', 'a', `${r}/e1`, 'exists');
  await step('getData', 'a', `${r}/e2`, 'data');
  await step('getChildren', 'a', r, 'children');
  await step('close', 'c');
  await step('events', 'a', ANY_ORDER);
  await step('getChildren2', 'a', r, '');
  await closeBoth(run);
}

/** Creations, changes and deletions at and below `top`, with the events after each. */
async function changesBelow({ step }: Run, top: string): Promise<void> {
  const changes = [
    ['create', 'b', top, '', OPEN, '0'],
    ['setData', 'b', top, '', '-1'],
    ['create', 'b', `${top}/c`, '', OPEN, '0'],
    ['setData', 'b', `${top}/c`, '', '-1'],
    ['create', 'b', `${top}/c/d`, '', OPEN, '0'],
    ['setAcl', 'b', `${top}/c`, OPEN, '-1'],
    ['multi', 'b', part('delete', `${top}/c/d`, '-1'), part('delete', `${top}/c`, '-1'), part('create', `${top}/n`, '', OPEN, '0', '')],
    ['delete', 'b', `${top}/n`, '-1'],
    ['delete', 'b', top, '-1'],
  ];
  for (const [verb, ...args] of changes) {
    await step(verb, ...args);
    await step('events', 'a');
  }
}

async function persistent(run: Run): Promise<void> {
  const { root: r, step } = run;
  await twoSessions(run);
  for (const mode of ['0', '1']) {
    const top = `${r}/persistent${mode}`;
    await step('addWatch', 'a', top, mode, `mode ${mode}`);
    await changesBelow(run, top);
    await step('addWatch', 'a', top, mode, `mode ${mode} twice`);
    await step('create', 'b', top, '', OPEN, '0');
    await step('events', 'a');
    await step('removeWatches', 'a', top, '3');
    await step('delete', 'b', top, '-1');
    await step('events', 'a');
  }
  await step('addWatch', 'a', r, '1', 'all');
  await step('create', 'a', `${r}/own`, '', OPEN, '0');
  await step('setData', 'a', `${r}/own`, '', '-1');
  await step('delete', 'a', `${r}/own`, '-1');
  await step('events', 'a');
  await closeBoth(run);
}

async function removing(run: Run): Promise<void> {
  const { root: r, step } = run;
  await twoSessions(run);
  const path = `${r}/removing`;
  await step('create', 'b', path, '', OPEN, '0');
  await step('sync', 'a', path);
  for (const kind of ['1', '2', '3']) {
    await step('removeWatches', 'a', path, kind);
    await step('getData', 'a', path, `data ${kind}`);
    await step('getChildren', 'a', path, `children ${kind}`);
    await step('exists', 'a', `${r}/none`, `exists ${kind}`);
    await step('removeWatches', 'a', path, kind);
    await step('removeWatches', 'a', `${r}/none`, kind);
    await step('events', 'a');
    await step('setData', 'b', path, '', '-1');
    await step('create', 'b', `${path}/c`, '', OPEN, '0');
    await step('create', 'b', `${r}/none`, '', OPEN, '0');
    await step('events', 'a');
    await step('delete', 'b', `${path}/c`, '-1');
    await step('delete', 'b', `${r}/none`, '-1');
    await step('events', 'a');
  }
  await closeBoth(run);
}

/** The connection goes, things change, the connection comes again: the library restores its watches and the server tells what was missed. */
async function afterReconnecting(run: Run): Promise<void> {
  const { root: r, step, hosts, proxied, proxy } = run;
  await step('connect', 'b', hosts(0), LONG);
  await step('connect', 'a', proxied, LONG);
  const kinds = ['same', 'changed', 'deleted', 'children', 'again'];
  for (const kind of kinds) await step('create', 'b', `${r}/${kind}`, '', OPEN, '0');
  for (const kind of kinds)
    for (const read of ['exists', 'getData', 'getChildren']) await step(read, 'a', `${r}/${kind}`, `${read} ${kind}`);
  await step('exists', 'a', `${r}/created`, 'exists created');
  await step('exists', 'a', `${r}/missing`, 'exists missing');
  await step('addWatch', 'a', `${r}/persistent`, '0', 'persistent');
  await step('addWatch', 'a', `${r}/recursive`, '1', 'recursive');
  await step('events', 'a');
  proxy.cut();
  await step('await', 'a', 'Disconnected');
  await step('setData', 'b', `${r}/changed`, '', '-1');
  await step('delete', 'b', `${r}/deleted`, '-1');
  await step('create', 'b', `${r}/children/c`, '', OPEN, '0');
  await step('delete', 'b', `${r}/again`, '-1');
  await step('create', 'b', `${r}/again`, '', OPEN, '0');
  await step('create', 'b', `${r}/created`, '', OPEN, '0');
  await step('create', 'b', `${r}/persistent`, '', OPEN, '0');
  proxy.open();
  await step('await', 'a', 'SyncConnected');
  await step('events', 'a');
  for (const kind of ['same', 'changed', 'children', 'again', 'created', 'persistent'])
    await step('setData', 'b', `${r}/${kind}`, '', '-1');
  await step('create', 'b', `${r}/recursive`, '', OPEN, '0');
  await step('create', 'b', `${r}/recursive/c`, '', OPEN, '0');
  await step('create', 'b', `${r}/missing`, '', OPEN, '0');
  await step('create', 'b', `${r}/same/c`, '', OPEN, '0');
  await step('events', 'a');
  await closeBoth(run);
}

export const watchChapters: readonly Chapter[] = [
  { name: 'one-shot watches', play: oneShot },
  { name: 'many watches', play: manyOnOne },
  { name: 'watches of ephemerals', play: ofEphemerals },
  { name: 'persistent watches', play: persistent },
  { name: 'removing watches', play: removing },
  { name: 'watches after reconnecting', play: afterReconnecting },
];
