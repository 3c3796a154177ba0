import { part } from './driver.ts';
import { type Chapter, data, LONG, OPEN, type Run } from './run.ts';

/* Znodes: how they are made, changed, read and deleted, what Stats they have, and what is refused. */

const PERSISTENT = '0';
const EPHEMERAL = '1';
const SEQUENTIAL = '2';
const EPHEMERAL_SEQUENTIAL = '3';
const CONTAINER = '4';
const TTL = '5';
const SEQUENTIAL_TTL = '6';

async function createModes({ root: r, step, hosts }: Run): Promise<void> {
  await step('connect', 'a', hosts(0), LONG);
  await step('create', 'a', `${r}/modes`, data('parent'), OPEN, PERSISTENT);
  for (const verb of ['create', 'create2']) {
    for (const mode of [PERSISTENT, EPHEMERAL, SEQUENTIAL, EPHEMERAL_SEQUENTIAL, CONTAINER]) {
      await step(verb, 'a', `${r}/modes/${verb}-${mode}-`, data(`mode ${mode}`), OPEN, mode, '');
      await step('exists', 'a', `${r}/modes`, '');
    }
    for (const mode of [PERSISTENT, EPHEMERAL, CONTAINER]) await step('exists', 'a', `${r}/modes/${verb}-${mode}-`, '');
  }
  await step('create2', 'a', `${r}/modes/ttl`, data('t'), OPEN, TTL, '86400000');
  await step('create2', 'a', `${r}/modes/ttl-seq-`, data('t'), OPEN, SEQUENTIAL_TTL, '86400000');
  for (const ttl of ['1099511627775', '1099511627776', '0', '-1']) {
    await step('create2', 'a', `${r}/modes/ttl${ttl}`, data('t'), OPEN, TTL, ttl);
  }
  await step('create2', 'a', `${r}/modes/`, data('only a number'), OPEN, SEQUENTIAL, '');
  await step('delete', 'a', `${r}/modes/create-0-`, '-1');
  await step('create', 'a', `${r}/modes/after-delete-`, '', OPEN, SEQUENTIAL);
  await step('create', 'a', `${r}/modes/0000000019`, '', OPEN, PERSISTENT);
  await step('create', 'a', `${r}/modes/`, '', OPEN, SEQUENTIAL);
  await step('create', 'a', `${r}/modes/`, '', OPEN, SEQUENTIAL);
  await step('create', 'a', `${r}/modes/create-1-/child`, '', OPEN, PERSISTENT);
  await step('create', 'a', `${r}/modes/create-4-/child`, '', OPEN, PERSISTENT);
  await step('exists', 'a', `${r}/modes/create-4-`, '');
  await step('getChildren', 'a', `${r}/modes`, '');
  await step('getChildren2', 'a', `${r}/modes`, '');
  await step('getAllChildrenNumber', 'a', `${r}/modes`);
  await step('getEphemerals', 'a', `${r}/modes/create`);
  await step('getEphemerals', 'a', `${r}/nothing`);
  await step('close', 'a');
}

async function dataOfAllSizes({ root: r, step, hosts }: Run): Promise<void> {
  await step('connect', 'a', hosts(0), LONG);
  const variants: Record<string, string> = {
    null: '-',
    empty: '',
    zero: '00',
    text: data('däta \u{1f600}'),
    large: '61*1000000',
    small: '62*1000',
  };
  for (const [name, value] of Object.entries(variants)) {
    await step('create2', 'a', `${r}/${name}`, value, OPEN, PERSISTENT, '');
    await step('getData', 'a', `${r}/${name}`, '');
  }
  for (const [name, value] of Object.entries(variants)) {
    await step('setData', 'a', `${r}/text`, value, '-1');
    await step('getData', 'a', `${r}/text`, '');
    await step('exists', 'a', `${r}/${name}`, '');
  }
  await step('setData', 'a', `${r}/text`, data('v6'), '6');
  await step('setData', 'a', `${r}/text`, data('again v6'), '6');
  await step('setData', 'a', `${r}/text`, data('not yet'), '8');
  await step('getData', 'a', `${r}/text`, '');
  // With path and Stat this stays below the limit of jute.maxbuffer, 1048575, in both directions.
  await step('setData', 'a', `${r}/large`, '63*1048400', '-1');
  await step('getData', 'a', `${r}/large`, '');
  await step('close', 'a');
}

const CONNECTION_LOSS = -4;

async function tooLarge({ root: r, step, until, hosts, proxied }: Run): Promise<void> {
  await step('connect', 'w', hosts(0), LONG);
  await step('connect', 'a', proxied, LONG);
  await step('create', 'a', `${r}/limit`, data('small'), OPEN, PERSISTENT);
  await step('setData', 'a', `${r}/limit`, '64*1048577', '-1');
  // The connection may be lost, and must be back before the session can be closed.
  await until(({ error }) => error !== CONNECTION_LOSS, 'exists', 'a', `${r}/limit`, '');
  await step('getData', 'w', `${r}/limit`, '');
  await step('close', 'a');
  await step('close', 'w');
}

async function errors({ root: r, step, hosts }: Run): Promise<void> {
  await step('connect', 'a', hosts(0), LONG);
  await step('create', 'a', `${r}/e`, data('x'), OPEN, PERSISTENT);
  await step('create', 'a', `${r}/e/c`, data('x'), OPEN, PERSISTENT);
  await step('create', 'a', `${r}/e`, data('x'), OPEN, PERSISTENT);
  await step('create2', 'a', `${r}/e/c`, data('x'), OPEN, PERSISTENT, '');
  await step('create', 'a', `${r}/none/c`, data('x'), OPEN, PERSISTENT);
  await step('create', 'a', '/', data('x'), OPEN, PERSISTENT);
  await step('create', 'a', `${r}/acl`, data('x'), '', PERSISTENT);
  await step('create', 'a', `${r}/acl`, data('x'), '31:nonsense:x', PERSISTENT);
  await step('delete', 'a', `${r}/e`, '-1');
  await step('delete', 'a', `${r}/e/c`, '1');
  await step('delete', 'a', `${r}/none`, '-1');
  await step('delete', 'a', '/', '-1');
  await step('delete', 'a', '/zookeeper', '-1');
  await step('delete', 'a', '/zookeeper/quota', '-1');
  for (const verb of ['exists', 'getData', 'getChildren', 'getChildren2', 'getAcl', 'getAllChildrenNumber']) {
    await step(verb, 'a', `${r}/none`, '');
  }
  await step('setData', 'a', `${r}/none`, data('x'), '-1');
  await step('setData', 'a', `${r}/e`, data('x'), '7');
  await step('setAcl', 'a', `${r}/none`, OPEN, '-1');
  await step('setAcl', 'a', `${r}/e`, OPEN, '7');
  await step('sync', 'a', `${r}/none`);
  await step('sync', 'a', '/');
  await step('exists', 'a', '/zookeeper', '');
  await step('getChildren', 'a', '/zookeeper', '');
  await step('getAcl', 'a', '/zookeeper/config');
  await step('setData', 'a', '/zookeeper/config', data('x'), '-1');
  await step('exists', 'a', `${r}/e`, '');
  await step('delete', 'a', `${r}/e/c`, '0');
  await step('exists', 'a', `${r}/e`, '');
  await step('delete', 'a', `${r}/e`, '0');
  await step('exists', 'a', r, '');
  await step('reconfig', 'a', '', '3', '');
  await step('close', 'a');
}

async function names({ root: r, step, hosts }: Run): Promise<void> {
  await step('connect', 'a', hosts(0), LONG);
  const good = [
    'ü',
    '日本語',
    '\u0e01\u0e33',
    'a b',
    '...',
    'a.b',
    '%41',
    '"quoted"',
    "it's\\",
    '\ud7ff',
    '\u00a0',
    '\uf900',
    '\uffef',
    'x'.repeat(1000),
  ];
  for (const name of good) await step('create', 'a', `${r}/${name}`, data(name), OPEN, PERSISTENT);
  for (const name of good) await step('getData', 'a', `${r}/${name}`, '');
  await step('getChildren', 'a', r, '');
  const bad = ['.', '..', 'a/', 'a//b', '\u0001', '\n', '\u007f', '\u009f', '\ue000', '\uf8ff', '\ufff0', '\u{1f600}', ''];
  for (const name of bad) {
    await step('create', 'a', `${r}/${name}`, '', OPEN, PERSISTENT);
    await step('exists', 'a', `${r}/${name}`, '');
    await step('setData', 'a', `${r}/${name}`, '', '-1');
    await step('delete', 'a', `${r}/${name}`, '-1');
    await step('multi', 'a', part('create', `${r}/${name}`, '', OPEN, PERSISTENT, ''));
  }
  await step('create', 'a', 'relative', '', OPEN, PERSISTENT);
  await step('create', 'a', '', '', OPEN, PERSISTENT);
  await step('getChildren2', 'a', r, '');
  await step('close', 'a');
}

export const nodeChapters: readonly Chapter[] = [
  { name: 'create modes', play: createModes },
  { name: 'data', play: dataOfAllSizes },
  { name: 'too large', play: tooLarge },
  { name: 'errors', play: errors },
  { name: 'names', play: names },
];
