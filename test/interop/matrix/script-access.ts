import { part } from './driver.ts';
import { type Chapter, data, isGone, LONG, OPEN, type Run, SHORT } from './run.ts';

/* Identities and ACLs, and transactions of several operations. */

const ALICE = 'digest:alice:aYXlLOpEooaV1cRAvUL1fp9Qt7E=';

async function identities({ root: r, step, hosts }: Run): Promise<void> {
  await step('connect', 'a', hosts(0), LONG);
  await step('whoAmI', 'a');
  await step('create', 'a', `${r}/before`, '', '31:auth:', '0');
  await step('addAuth', 'a', 'digest', 'alice:secret');
  await step('whoAmI', 'a');
  await step('create', 'a', `${r}/mine`, data('m'), '31:auth:', '0');
  await step('getAcl', 'a', `${r}/mine`);
  await step('create', 'a', `${r}/mine/child`, data('m'), `31:${ALICE}`, '0');
  await step('addAuth', 'a', 'digest', 'bob:hidden');
  await step('whoAmI', 'a');
  await step('create', 'a', `${r}/both`, data('m'), '15:auth:', '0');
  await step('getAcl', 'a', `${r}/both`);
  await step('create', 'a', `${r}/twice`, data('m'), `1:${ALICE},1:${ALICE},2:${ALICE}`, '0');
  await step('getAcl', 'a', `${r}/twice`);
  await step('create', 'a', `${r}/ip`, data('m'), '31:ip:127.0.0.0/8', '0');
  await step('getData', 'a', `${r}/ip`, '');
  await step('create', 'a', `${r}/far`, data('m'), '31:ip:10.0.0.1', '0');
  await step('getData', 'a', `${r}/far`, '');
  for (const acl of [
    '31:world:somebody',
    '31:digest:alice',
    '31:digest:a:b:c',
    '31:ip:nonsense',
    '31:ip:1.2.3.4/33',
    '31:sasl:me',
    '31:x509:CN=me',
  ]) {
    await step('create', 'a', `${r}/acl-${acl}`.replace('/33', '-33'), '', acl, '0');
  }
  await step('create', 'a', `${r}/noperms`, data('n'), '0:world:anyone', '0');
  await step('getData', 'a', `${r}/noperms`, '');
  await step('close', 'a');
}

/** One znode for each permission, and an open one, under a parent that allows everything. */
async function refusals({ root: r, step, hosts }: Run): Promise<void> {
  await step('connect', 'a', hosts(0), LONG);
  await step('addAuth', 'a', 'digest', 'alice:secret');
  await step('connect', 'b', hosts(1), LONG);
  for (const perms of [0, 1, 2, 4, 8, 16, 31]) {
    const path = `${r}/p${perms}`;
    await step('create', 'a', path, data('x'), `31:${ALICE},${perms}:world:anyone`, '0');
    await step('create', 'a', `${path}/c`, data('x'), OPEN, '0');
    await step('sync', 'b', path);
    await step('getData', 'b', path, '');
    await step('getChildren', 'b', path, '');
    await step('exists', 'b', path, '');
    await step('getAcl', 'b', path);
    await step('getAllChildrenNumber', 'b', path);
    await step('setData', 'b', path, data('y'), '-1');
    await step('create', 'b', `${path}/d`, data('x'), OPEN, '0');
    await step('create', 'b', `${path}/c`, data('x'), OPEN, '0');
    await step('delete', 'b', `${path}/c`, '-1');
    await step('delete', 'b', `${path}/none`, '-1');
    await step('multi', 'b', part('check', path, '-1'), part('setData', path, data('z'), '-1'));
    await step('setAcl', 'b', path, `31:${ALICE}`, '-1');
    await step('getAcl', 'b', path);
    await step('sync', 'a', path);
    await step('getAcl', 'a', path);
    await step('getData', 'a', path, '');
  }
  await step('addAuth', 'b', 'digest', 'alice:wrong');
  await step('getData', 'b', `${r}/p16`, '');
  await step('addAuth', 'b', 'digest', 'alice:secret');
  await step('getData', 'b', `${r}/p16`, '');
  await step('setAcl', 'b', `${r}/p16`, OPEN, '1');
  await step('getAcl', 'b', `${r}/p16`);
  await step('close', 'b');
  await step('close', 'a');
}

async function wrongScheme({ root: r, step, until, hosts, proxied, proxy }: Run): Promise<void> {
  await step('connect', 'w', hosts(0), LONG);
  for (const scheme of ['nonsense', 'world']) {
    await step('connect', 'a', proxied, SHORT);
    await step('create', 'a', `${r}/${scheme}`, '', OPEN, '1');
    await step('addAuth', 'a', scheme, 'alice:secret');
    await step('await', 'a', 'AuthFailed');
    // Some libraries would go on trying with what was refused, others have given the session up: it ends by itself.
    proxy.cut();
    await until(isGone, 'exists', 'w', `${r}/${scheme}`, '');
    await step('close', 'a');
    proxy.open();
  }
  await step('getChildren2', 'w', r, '');
  await step('close', 'w');
}

const create = (path: string, mode = '0', ttl = '') => part('create', path, data('m'), OPEN, mode, ttl);

async function transactions({ root: r, step, hosts }: Run): Promise<void> {
  await step('connect', 'a', hosts(0), LONG);
  await step('create', 'a', `${r}/m`, data('m'), OPEN, '0');
  const setParent = part('setData', `${r}/m`, data('set'), '-1');
  const check = part('check', `${r}/m`, '-1');
  await step('multi', 'a', create(`${r}/m/a`), create(`${r}/m/b`), setParent, part('delete', `${r}/m/b`, '0'), check);
  await step('getChildren2', 'a', `${r}/m`, '');
  await step('multi', 'a', create(`${r}/m/s-`, '2'), create(`${r}/m/s-`, '2'), create(`${r}/m/e`, '1'), create(`${r}/m/es-`, '3'));
  await step('multi', 'a', create(`${r}/m/cont`, '4'), create(`${r}/m/ttl`, '5', '86400000'), create(`${r}/m/ttls-`, '6', '86400000'));
  await step('getChildren2', 'a', `${r}/m`, '');
  await step('multi', 'a', create(`${r}/m/new`), create(`${r}/m/new/child`), part('setData', `${r}/m/new`, data('2'), '0'));
  await step('exists', 'a', `${r}/m/new`, '');
  await step(
    'multi',
    'a',
    part('setData', `${r}/m/a`, data('1'), '0'),
    part('setData', `${r}/m/a`, data('2'), '1'),
    part('check', `${r}/m/a`, '2'),
  );
  await step('getData', 'a', `${r}/m/a`, '');
  await step('multi', 'a', create(`${r}/m/twice`), create(`${r}/m/twice`));
  await step('multi', 'a', part('delete', `${r}/m/new`, '-1'));
  await step('multi', 'a', part('delete', `${r}/m/new/child`, '-1'), part('delete', `${r}/m/new`, '-1'), create(`${r}/m/new`));
  await step('multi', 'a');
  await step('exists', 'a', `${r}/m`, '');
  await step('multiRead', 'a', part('getData', `${r}/m/a`), part('getChildren', `${r}/m/new`), part('getData', `${r}/none`));
  await step('multiRead', 'a', part('getChildren', `${r}/none`), part('getChildren', `${r}/m`));
  await step('multiRead', 'a', part('getData', `${r}/m/e`));
  await step('close', 'a');
}

/** Each operation fails at each place among good ones; nothing of it may happen. */
async function failingParts({ root: r, step, hosts }: Run): Promise<void> {
  await step('connect', 'a', hosts(0), LONG);
  await step('create', 'a', `${r}/f`, data('m'), OPEN, '0');
  const failing: Record<string, string> = {
    exists: create(`${r}/f`),
    noParent: create(`${r}/none/x`),
    version: part('setData', `${r}/f`, data('x'), '9'),
    noNode: part('delete', `${r}/none`, '-1'),
    check: part('check', `${r}/f`, '9'),
    checkNone: part('check', `${r}/none`, '-1'),
    acl: part('create', `${r}/f/acl`, '', '31:nonsense:x', '0', ''),
  };
  for (const op of Object.values(failing)) {
    for (const place of [0, 1, 2]) {
      const parts = [create(`${r}/f/x-`, '2'), part('setData', `${r}/f`, data('x'), '-1')];
      parts.splice(place, 0, op);
      await step('multi', 'a', ...parts);
    }
  }
  await step('getData', 'a', `${r}/f`, '');
  await step('getChildren2', 'a', `${r}/f`, '');
  await step('multi', 'a', create(`${r}/f/x-`, '2'));
  await step('exists', 'a', `${r}/f`, '');
  await step('close', 'a');
}

export const accessChapters: readonly Chapter[] = [
  { name: 'identities', play: identities },
  { name: 'refusals', play: refusals },
  { name: 'wrong scheme', play: wrongScheme },
  { name: 'transactions', play: transactions },
  { name: 'failing transactions', play: failingParts },
];
