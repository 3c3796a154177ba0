import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { formatZxid } from '../../src/index.ts';
import { octetsFromText } from '../../src/util/bytes.ts';
import { within } from '../ensemble/client.ts';
import { answersOf } from '../node/four-letter-vectors.ts';
import { type Asking, ask, linesOf } from './ask.ts';
import { ok, PortRig } from './rig.ts';

/* Four-letter words to an ensemble with a client at each server. */

const OPEN = [{ perms: 31, scheme: 'world', id: 'anyone' }];
const create = (path: string, flags = 0) => ({ op: 1, path, data: octetsFromText('data'), acl: OPEN, flags, ttl: 0 }) as const;

let rig: PortRig;
let folder: string;
const ids: string[] = [];
let leader = 0;
let follower = 0;
const OBSERVER = 4;
/** Of the sessions, whose clients say nothing while the tests last, with the number of the server added. */
const TIMEOUT = 40_000;
let begin = 0;

const word = (id: number, text: string, asking?: Asking) => ask(rig.port(id), text, asking);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'zab-words-'));
  begin = Date.now();
  const environment = (): [string, string][] => [['host.name', 'test']];
  rig = await PortRig.start({ voters: 3, observers: 1, tickTime: 500, fourLetterWords: ['*'], digest: true, environment }, folder);
  const roles = await rig.roles();
  leader = roles.leader.id;
  follower = roles.others[0].id;
  for (const { id } of rig.servers) {
    const client = await rig.client(id, { timeout: TIMEOUT + id });
    ids.push(formatZxid(client.sessionId));
    ok(await client.call(create(`/of-${id}`)));
    ok(await client.call(create(`/eph-${id}`, 1)));
  }
  for (const [i, client] of rig.clients.entries()) {
    ok(await client.call({ op: 4, path: `/of-${i + 1}`, watch: true }));
    ok(await client.call({ op: 8, path: '/', watch: true }));
    ok(await client.call({ op: 106, path: '/rec', mode: 1 }));
  }
  await rig.converge();
});
afterAll(async () => {
  await rig.end();
  rmSync(folder, { recursive: true, force: true });
});

it('ruok, isro and envi', async () => {
  expect(await word(1, 'ruok')).toBe('imok');
  expect(await word(1, 'isro')).toBe('rw');
  expect(await word(1, 'envi')).toMatch(
    /^Environment:\nzookeeper.version=3\.8\.0-zab-ensemble-\d+\.\d+\.\d+\S*, built on [\d-]+ 00:00 UTC\nhost.name=test\n$/,
  );
});

it('srvr and stat: each server in its role, at one zxid, with its clients', async () => {
  const zxid = formatZxid(rig.node(leader).tree.lastZxid);
  for (const [id, mode] of [
    [leader, 'leader'],
    [follower, 'follower'],
    [OBSERVER, 'observer'],
  ] as const) {
    const fields = linesOf(await word(id, 'srvr'), ': ');
    // Eight of ours, the five built-in ones, as ZooKeeper counts them.
    expect([fields.get('Mode'), fields.get('Zxid'), fields.get('Node count'), fields.get('Connections')]).toEqual([mode, zxid, '13', '2']);
    expect(fields.get('Outstanding')).toBe('0');
    expect(fields.get('Latency min/avg/max')).toMatch(/^\d+\/\d+\.\d+\/\d+$/);
    expect(fields.has('Proposal sizes last/min/max')).toBe(id === leader);
    const stat = await word(id, 'stat');
    expect(stat).toContain('\nClients:\n');
    expect(stat).toMatch(/^ \/127\.0\.0\.1:\d+\[0\]\(queued=0,recved=1,sent=0\)$/m);
    expect(stat).toMatch(/^ \/127\.0\.0\.1:\d+\[1\]\(queued=0,recved=6,sent=[67]\)$/m);
  }
  expect(linesOf(await word(leader, 'srvr'), ': ').get('Proposal sizes last/min/max')).toMatch(/^[1-9]\d+\/[1-9]\d+\/[1-9]\d+$/);
});

it('cons: what each client did last', async () => {
  const [own] = (await word(follower, 'cons')).split('\n').filter((line) => line.includes('sid='));
  const fields = linesOf(own.replace(/^.*\(|\)$/g, '').replaceAll(',', '\n'), '=');
  expect([...fields.keys()].join()).toBe('queued,recved,sent,sid,lop,est,to,lcxid,lzxid,lresp,llat,minlat,avglat,maxlat');
  expect([fields.get('sid'), fields.get('lop'), fields.get('to'), fields.get('lcxid')]).toEqual([
    ids[follower - 1],
    'ADDW',
    String(TIMEOUT + follower),
    '0x5',
  ]);
  expect(Math.abs(Number(fields.get('est')) - Date.now())).toBeLessThan(600_000);
  expect(Number(fields.get('maxlat'))).toBeGreaterThanOrEqual(Number(fields.get('avglat')));
});

it('dump: the leader says when sessions expire, the others which there are; all know the ephemerals', async () => {
  const dump = await word(leader, 'dump');
  expect(dump).toMatch(/^SessionTracker dump:\nSession Sets \(\d\)\/\(4\):\n\d expire at \w{3} \w{3} \d\d \d\d:\d\d:\d\d UTC \d{4}:\n\t0x/);
  for (const id of ids) expect(dump).toContain(`\t${id}\n`);
  const asked = Date.now();
  const other = await word(follower, 'dump');
  const told = Date.now();
  expect(other).toContain(`Global Sessions(4):\n${ids.map((id, i) => `${id}\t${TIMEOUT + 1 + i}ms\n`).join('')}`);
  for (const text of [dump, other]) {
    expect(text).toContain('Sessions with Ephemerals (4):\n');
    for (const [i, id] of ids.entries()) expect(text).toContain(`${id}:\n\t/eph-${i + 1}\n`);
    expect(text).toMatch(/\nConnections dump:\nConnections Sets \(2\)\/\(2\):\n/);
    expect(text).toMatch(/\n\tip: \/127\.0\.0\.1:\d+ sessionId: 0x0\n/);
  }
  // Whose client has not said who it is is ended in ten seconds, whose is silent by its timeout, and both by the wall clock. Time is counted in seconds.
  const times = [...other.matchAll(/expire at (.*):$/gm)].map(([, text]) => Date.parse(text)).sort((a, b) => a - b);
  const SLACK = 2000;
  for (const [i, [from, to]] of [
    [asked + 10_000, told + 10_000],
    [begin + TIMEOUT, told + TIMEOUT],
  ].entries()) {
    expect(times[i]).toBeGreaterThan(from - SLACK);
    expect(times[i]).toBeLessThan(to + SLACK);
  }
});

it('wchs, wchc and wchp: the watches for data at this server', async () => {
  const own = ids[follower - 1];
  const path = `/of-${follower}`;
  expect(await word(follower, 'wchs')).toBe('1 connections watching 2 paths\nTotal watches:2\n');
  expect(await word(follower, 'wchc')).toBe(`${own}\n\t${path}\n\t/rec\n\n`);
  expect(await word(follower, 'wchp')).toBe(`${path}\n\t${own}\n/rec\n\t${own}\n\n`);
});

it('conf, dirs and hash', async () => {
  const conf = await word(follower, 'conf');
  const fields = linesOf(conf, '=');
  const theirs = linesOf(answersOf('ensemble-follower').get('conf')!, '=');
  expect([...fields.keys()].filter((key) => !/^server\./.test(key))).toEqual([...theirs.keys()].filter((key) => !/^server\./.test(key)));
  expect([fields.get('clientPort'), fields.get('serverId'), fields.get('tickTime'), fields.get('maxClientCnxns')]).toEqual([
    String(rig.port(follower)),
    String(follower),
    '500',
    '0',
  ]);
  expect(fields.get('dataDir')).toBe(`${folder}/${follower}/version-2`);
  expect(conf).toContain('\nmembership: \nserver.1=');
  expect(conf).toContain('server.4=');
  expect(conf).toMatch(/:observer\nversion=0$/);
  expect(linesOf(await word(OBSERVER, 'conf'), '=').get('peerType')).toBe('1');
  const dirs = linesOf(await word(leader, 'dirs'), ': ');
  expect(Number(dirs.get('datadir_size'))).toBeGreaterThan(1000);
  expect(dirs.get('logdir_size')).toBe(dirs.get('datadir_size'));
  const hashes = await Promise.all(rig.servers.map(({ id }) => word(id, 'hash')));
  expect(new Set(hashes).size).toBe(1);
  expect(hashes[0]).toBe(`${formatZxid(rig.node(1).tree.lastZxid).slice(2)}: ${hashes[0].split(': ')[1]}`);
  expect(hashes[0]).toMatch(/: -?\d+\n$/);
});

it('mntr: names that ZooKeeper has too, in each role, and numbers that are right', async () => {
  const known = (file: string) => new Set(linesOf(answersOf(file).get('mntr')!, '\t').keys());
  for (const [id, file] of [
    [leader, 'leader'],
    [follower, 'follower'],
    [OBSERVER, 'observer'],
  ] as const) {
    const text = await word(id, 'mntr');
    const fields = linesOf(text, '\t');
    expect([...fields.keys()].filter((key) => !known(`ensemble-${file}`).has(key))).toEqual([]);
    expect(fields.get('zk_server_state')).toBe(file);
    expect(fields.get('zk_peer_state')).toMatch(/^(lead|follow|observ)ing - broadcast$/);
    const number = (name: string) => Number(fields.get(`zk_${name}`));
    expect(
      [
        'znode_count',
        'ephemerals_count',
        'watch_count',
        'global_sessions',
        'local_sessions',
        'num_alive_connections',
        'quorum_size',
        'connection_request_count',
      ].map(number),
    ).toEqual([13, 4, 3, 4, 0, 2, 3, 1]);
    expect(number('packets_received')).toBeGreaterThan(6);
    expect(number('bytes_received_count')).toBeGreaterThan(100);
    expect(number('response_bytes')).toBeGreaterThan(100);
    // A znode's path, and four bytes.
    const paths = ['/zookeeper', '/zookeeper/quota', '/zookeeper/config', ...[1, 2, 3, 4].flatMap((i) => [`/of-${i}`, `/eph-${i}`])];
    const config = rig.node(id).tree.getData('/zookeeper/config')!.text().length;
    expect(number('approximate_data_size')).toBe(1 + paths.join('').length + 8 * 4 + config);
    expect(number('uptime')).toBeGreaterThan(0);
  }
  const text = await word(leader, 'mntr');
  for (const line of ['learners\t3', 'synced_followers\t2', 'synced_observers\t1']) expect(text).toContain(`\nzk_${line}\n`);
  expect(await word(OBSERVER, 'mntr')).toContain(`\nzk_observer_master_id\t${leader}\n`);
});

it('answers as well who says at once that this was all, whose word comes in pieces, and who sends more behind it', async () => {
  for (const text of ['ruok', 'conf', 'dirs', 'mntr']) {
    const plain = await word(1, text);
    expect(plain.length).toBeGreaterThan(3);
    for (const asking of [{ ends: true }, { torn: true }, { ends: true, torn: true }])
      expect((await word(1, text, asking)).length).toBeGreaterThan(plain.length - 10);
    expect((await word(1, `${text}\r\nmore`)).length).toBeGreaterThan(plain.length - 10);
  }
});

it('knows words only at the beginning of a connection', async () => {
  expect(await word(1, 'nope')).toBe('');
  expect(await word(1, 'gtmk')).toBe('');
  const client = await rig.client(1);
  client.write(new TextEncoder().encode('ruok'));
  await within('the end of a client that sends no frame', client.closed);
});

it('srst and crst begin anew', async () => {
  expect(await word(leader, 'srst')).toBe('Server stats reset.\n');
  let srvr = await word(leader, 'srvr');
  // The answer to srst, and the question of srvr.
  expect(srvr).toContain('\nReceived: 1\nSent: 1\n');
  expect(srvr).toContain('\nProposal sizes last/min/max: -1/-1/-1\n');
  expect(await word(leader, 'crst')).toBe('Connection stats reset.\n');
  const cons = await word(leader, 'cons');
  expect(cons).toMatch(
    /\(queued=0,recved=0,sent=0,sid=0x\w+,lop=NA,est=\d+,to=\d+,lzxid=0xffffffffffffffff,lresp=0,llat=0,minlat=0,avglat=0,maxlat=0\)\n/,
  );
  srvr = await word(follower, 'srvr');
  expect(Number(linesOf(srvr, ': ').get('Received'))).toBeGreaterThan(6);
});
