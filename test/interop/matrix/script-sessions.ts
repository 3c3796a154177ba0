import { part } from './driver.ts';
import { ANY_ORDER, type Chapter, data, isGone, LONG, OPEN, type Run, SHORT } from './run.ts';

/* Sessions: their timeouts, their end, their move to another connection, and what they see below a chroot. */

async function timeouts({ step, hosts }: Run): Promise<void> {
  for (const timeout of ['500', '999', '1000', '1001', '3333', LONG, '10001', '60000']) {
    await step('connect', 'a', hosts(), timeout);
    await step('close', 'a');
  }
}

async function closing({ root: r, step, hosts }: Run): Promise<void> {
  await step('connect', 'w', hosts(1), LONG);
  await step('connect', 'a', hosts(0), LONG);
  for (const mode of ['0', '1', '3']) await step('create', 'a', `${r}/of-a-`, '', OPEN, mode);
  await step('multi', 'a', part('create', `${r}/in-multi`, '', OPEN, '1', ''));
  await step('getEphemerals', 'a', r);
  await step('sync', 'w', r);
  await step('getChildren2', 'w', r, '');
  await step('close', 'a');
  await step('sync', 'w', r);
  await step('getChildren2', 'w', r, '');
  await step('close', 'w');
}

/** Another handle goes on with a session at another server; then the first one finds that the session is closed. */
async function moving({ root: r, step, hosts, proxied, proxy }: Run): Promise<void> {
  await step('connect', 'w', hosts(0), LONG);
  await step('connect', 'a', proxied, LONG);
  await step('create', 'a', `${r}/e`, '', OPEN, '1');
  await step('addAuth', 'a', 'digest', 'alice:secret');
  await step('create', 'a', `${r}/mine`, '', '31:auth:', '1');
  proxy.cut();
  await step('await', 'a', 'Disconnected');
  await step('reattach', 'a3', hosts(2), LONG, 'a', 'wrong');
  await step('reattach', 'a2', hosts(1), LONG, 'a', 'good');
  await step('getEphemerals', 'a2', r);
  await step('getData', 'a2', `${r}/e`, '');
  await step('getData', 'a2', `${r}/mine`, '');
  await step('whoAmI', 'a2');
  await step('create', 'a2', `${r}/e2`, '', OPEN, '1');
  await step('sync', 'w', r);
  await step('getChildren2', 'w', r, '');
  await step('close', 'a2');
  await step('sync', 'w', r);
  await step('getChildren2', 'w', r, '');
  proxy.open();
  await step('await', 'a', 'Expired');
  await step('exists', 'a', r, '');
  await step('close', 'a');
  await step('close', 'w');
}

/** The connection is cut and comes again in time: the same session, ephemerals and identities, and nothing lost in between. */
async function reconnecting({ root: r, step, hosts, proxied, proxy }: Run): Promise<void> {
  await step('connect', 'w', hosts(0), LONG);
  await step('connect', 'a', proxied, LONG);
  await step('addAuth', 'a', 'digest', 'alice:secret');
  await step('create', 'a', `${r}/mine`, data('m'), '31:auth:', '1');
  for (const round of ['1', '2']) {
    proxy.cut();
    await step('await', 'a', 'Disconnected');
    await step('create', 'w', `${r}/round${round}`, '', OPEN, '0');
    proxy.open();
    await step('await', 'a', 'SyncConnected');
    await step('getData', 'a', `${r}/mine`, '');
    await step('getEphemerals', 'a', r);
    await step('setData', 'a', `${r}/mine`, data(round), '-1');
    await step('create', 'a', `${r}/s-`, '', OPEN, '3');
  }
  await step('getChildren2', 'w', r, '');
  await step('close', 'a');
  await step('getChildren2', 'w', r, '');
  await step('close', 'w');
}

async function expiry({ root: r, step, until, hosts, proxied, proxy }: Run): Promise<void> {
  await step('connect', 'w', hosts(0), LONG);
  await step('connect', 'b', hosts(1), LONG);
  await step('connect', 'a', proxied, SHORT);
  await step('create', 'a', `${r}/e1`, '', OPEN, '1');
  await step('create', 'a', `${r}/e2`, '', OPEN, '3');
  await step('create', 'a', `${r}/stays`, '', OPEN, '0');
  await step('sync', 'b', r);
  await step('getData', 'b', `${r}/e1`, 'e1');
  await step('getChildren', 'b', r, 'children');
  proxy.cut();
  await until(isGone, 'exists', 'w', `${r}/e1`, '');
  await step('getChildren2', 'w', r, '');
  await step('events', 'b', ANY_ORDER);
  proxy.open();
  await step('await', 'a', 'Expired');
  await step('exists', 'a', r, '');
  await step('create', 'a', `${r}/late`, '', OPEN, '0');
  await step('reattach', 'a2', hosts(1), LONG, 'a', 'good');
  await step('reattach', 'a3', hosts(0), LONG, 'a', 'wrong');
  await step('getChildren2', 'w', r, '');
  await step('close', 'a');
  await step('close', 'b');
  await step('close', 'w');
}

async function chroot({ root: r, step, hosts }: Run): Promise<void> {
  await step('connect', 'w', hosts(0), LONG);
  await step('connect', 'c', `${hosts(0)}${r}/top`, LONG);
  await step('exists', 'c', '/', '');
  await step('create', 'c', '/x', '', OPEN, '0');
  await step('create', 'w', `${r}/top`, data('top'), OPEN, '0');
  await step('getData', 'c', '/', '');
  await step('create', 'c', '/x', data('x'), OPEN, '0');
  await step('create', 'c', '/s-', data('x'), OPEN, '2');
  await step('create2', 'c', '/e', data('x'), OPEN, '1', '');
  await step('getEphemerals', 'c', '/');
  await step('getEphemerals', 'w', r);
  await step('getChildren', 'c', '/', 'children of the root');
  await step('getData', 'c', '/x', 'data');
  await step('addWatch', 'c', '/', '1', 'recursive');
  await step(
    'multi',
    'c',
    part('create', '/m', '', OPEN, '0', ''),
    part('create', '/m/s-', '', OPEN, '2', ''),
    part('setData', '/x', data('m'), '-1'),
  );
  await step('multiRead', 'c', part('getChildren', '/m'), part('getData', '/x'));
  await step('events', 'c');
  await step('sync', 'c', '/');
  await step('getAcl', 'c', '/x');
  await step('getAllChildrenNumber', 'c', '/');
  await step('getChildren2', 'w', `${r}/top`, '');
  await step('removeWatches', 'c', '/', '3');
  await step('events', 'c');
  await step('delete', 'c', '/x', '-1');
  await step('exists', 'c', r, '');
  await step('close', 'c');
  await step('getChildren2', 'w', `${r}/top`, '');
  await step('close', 'w');
}

/** The leader deletes empty containers and TTL znodes whose time is over. */
async function reaping({ root: r, step, until, hosts }: Run): Promise<void> {
  await step('connect', 'w', hosts(0), LONG);
  await step('connect', 'a', hosts(1), LONG);
  for (const [name, mode, ttl] of [
    ['container', '4', ''],
    // Longer than a machine may stand still for between its creation and that of its child.
    ['ttl', '5', SHORT],
  ]) {
    const path = `${r}/${name}`;
    await step('create2', 'a', path, '', OPEN, mode, ttl);
    // Neither goes while it has a child, and a container not before it has had one.
    await step('create', 'a', `${path}/c`, '', OPEN, '0');
    await step('getData', 'a', path, name);
    await step('delete', 'a', `${path}/c`, '-1');
    await step('sync', 'w', path);
    await until(isGone, 'exists', 'w', path, '');
    await step('events', 'a');
    await step('getChildren2', 'w', r, '');
  }
  await step('close', 'a');
  await step('close', 'w');
}

export const sessionChapters: readonly Chapter[] = [
  { name: 'timeouts', play: timeouts },
  { name: 'closing', play: closing },
  { name: 'moving', play: moving },
  { name: 'reconnecting', play: reconnecting },
  { name: 'expiry', play: expiry },
  { name: 'chroot', play: chroot },
  { name: 'reaping', play: reaping },
];
