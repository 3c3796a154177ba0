import { describe, expect, test } from 'vitest';
import { parseZooCfg, type ZooCfgContext } from '../../src/config/zoo-cfg.ts';
import { createEnsembleNode, digestId, type NodeOptions, ZabError } from '../../src/index.ts';

const BASE = 'dataDir=/var/zk\nclientPort=2181\nautopurge.purgeInterval=1\n';
const THREE = 'server.1=a:2888:3888\nserver.2=b:2888:3888\nserver.3=c:2888:3888\n';

const read = (text: string, context?: ZooCfgContext) => parseZooCfg(BASE + text, context);

/** The lines of the error that a file gives. */
function errorsOf(text: string, context?: ZooCfgContext): string[] {
  try {
    parseZooCfg(text, context);
  } catch (error) {
    expect(error).toBeInstanceOf(ZabError);
    expect(error).toMatchObject({ code: 'BAD_OPTIONS', outcome: 'not-done' });
    return (error as ZabError).message.split('\n');
  }
  return [];
}

const server = (id: number, host: string, more: object = {}) => ({
  id,
  host,
  quorumPort: 2888,
  electionPort: 3888,
  role: 'participant',
  ...more,
});

describe('a file without server lines', () => {
  test('is a standalone server', () => {
    const { options, warnings, autocreate } = read('');
    expect(options).toEqual({
      id: 1,
      standalone: true,
      servers: [{ id: 1, host: 'localhost', quorumPort: 2888, electionPort: 3888 }],
      dataDir: '/var/zk',
      clientPort: 2181,
      // ZooKeeper's defaults, where they are not this library's.
      tickTime: 3000,
      digest: true,
      extendedTypes: false,
    });
    expect([warnings, autocreate]).toEqual([[], true]);
    expect(createEnsembleNode(options satisfies NodeOptions).id).toBe(1);
  });

  test('has the id that its data directory has', () => {
    expect(read('', { myid: '3\n' }).options).toMatchObject({ id: 3, standalone: true, servers: [{ id: 3 }] });
  });

  test('one server line is no more than none', () => {
    const { options } = read('server.7=a:2888:3888');
    expect(options).toMatchObject({ id: 7, standalone: true, servers: [server(7, 'a')] });
  });
});

test('an ensemble', () => {
  const { options, warnings } = read(`tickTime=2000\ninitLimit=5\nsyncLimit=2\n${THREE}`, { myid: '2\n' });
  expect(options).toMatchObject({ id: 2, standalone: false, tickTime: 2000, initLimit: 5, syncLimit: 2 });
  expect(options.servers).toEqual([server(1, 'a'), server(2, 'b'), server(3, 'c')]);
  expect(warnings).toEqual([]);
  expect(createEnsembleNode(options).id).toBe(2);
});

test('a lone server that is to be an ensemble is one', () => {
  expect(read('standaloneEnabled=false\nserver.1=a:1:2\nserver.2=b:1:2:observer', { myid: '2' }).options).toMatchObject({
    id: 2,
    standalone: false,
  });
  expect(read('standaloneEnabled=false\nserver.1=a:1:2', { myid: '1' }).options.standalone).toBe(false);
});

describe('server lines', () => {
  test.each<[string, object]>([
    ['h:2888:3888', server(1, 'h')],
    ['10.0.0.1:2888:3888:participant', server(1, '10.0.0.1')],
    ['h:2888:3888:Observer', server(1, 'h', { role: 'observer' })],
    ['h:2888:3888;2181', server(1, 'h', { client: { host: '0.0.0.0', port: 2181 } })],
    ['h:2888:3888:participant;127.0.0.1:2181', server(1, 'h', { client: { host: '127.0.0.1', port: 2181 } })],
    ['[::1]:2888:3888', server(1, '::1')],
    ['[2001:db8::1]:2888:3888:observer;[::]:2181', server(1, '2001:db8::1', { role: 'observer', client: { host: '::', port: 2181 } })],
    ['h:2888:3888; 2181', server(1, 'h', { client: { host: '0.0.0.0', port: 2181 } })],
  ])('%s', (line, expected) => {
    expect(read(`server.1=${line}\nserver.2=b:2888:3888\nserver.3=c:2888:3888`, { myid: '3' }).options.servers[0]).toEqual(expected);
  });

  const FORM = 'must be host:quorumPort:electionPort[:participant|observer][;[clientHost:]clientPort]';
  test.each([
    ['h', FORM],
    ['h:2888', FORM],
    [':2888:3888', FORM],
    ['h:2888:3888:observer:x', FORM],
    ['h:2888:3888;1;2', FORM],
    ['h:2888:3888;', FORM],
    ['h:2888:3888;a:b:c', FORM],
    ['[::1:2888:3888', FORM],
    ['[::1]2888:3888', FORM],
    ['h:2888:3888:leader', 'the role must be participant or observer'],
    ['h:x:3888', 'quorumPort must be a whole number from 1 to 65535'],
    ['h:2888:0', 'electionPort must be a whole number from 1 to 65535'],
    ['h:2888:65536', 'electionPort must be a whole number from 1 to 65535'],
    ['h:2888:3888;x', 'clientPort must be a whole number from 1 to 65535'],
    ['h:2888:2888', 'the quorum port and the election port must differ'],
    ['h:2888:3888|i:2888:3888', 'must name one address: several for one server, separated by |, are not offered'],
  ])('%s is refused', (line, rule) => {
    expect(errorsOf(`${BASE}server.1=${line}`)).toContain(`line 4: server.1=${line}: ${rule}`);
  });

  test.each([
    ['server.0=a:1:2', 'line 4: server.0=a:1:2: must be a whole number from 1 to 255'],
    ['server.256=a:1:2', 'line 4: server.256=a:1:2: must be a whole number from 1 to 255'],
    ['server.x=a:1:2', 'line 4: server.x=a:1:2: the key must be server. and a number'],
    ['server.1=a:1:2:observer', 'server lines: at least one server must be a participant'],
    ['server.1=a:1:2\nserver.2=b:1:2:observer', 'server lines: one participant with observers needs standaloneEnabled=false'],
    [THREE, 'myid: there is no such file in dataDir, which must hold the number of this server'],
    ['standaloneEnabled=false', 'standaloneEnabled=false: needs server lines'],
  ])('%j is refused', (lines, message) => {
    expect(errorsOf(BASE + lines)).toContain(message);
  });
});

describe('myid', () => {
  test.each(['2', '2\n', ' 2 \r\n', '2\nmore'])('%j is 2', (myid) => {
    expect(read(THREE, { myid }).options.id).toBe(2);
  });

  test.each([
    ['x', 'myid: must be a whole number from 1 to 255, not "x"'],
    ['', 'myid: must be a whole number from 1 to 255, not ""'],
    ['0', 'myid: must be a whole number from 1 to 255, not "0"'],
    ['256', 'myid: must be a whole number from 1 to 255, not "256"'],
    ['replace this text with ...', 'myid: must be a whole number from 1 to 255, not "replace this text with ..."'],
    ['4', 'myid: there is no line server.4'],
  ])('%j is refused', (myid, message) => {
    expect(errorsOf(BASE + THREE, { myid })).toEqual([message]);
  });
});

describe('groups and weights', () => {
  const GROUPS = `${THREE}group.1=1:2\ngroup.2=3\n`;

  test('make a hierarchical quorum', () => {
    const { options } = read(`${GROUPS}weight.1=0\n`, { myid: '1' });
    expect(options.servers.map(({ id, group, weight }) => [id, group, weight])).toEqual([
      [1, 1, 0],
      [2, 1, 1],
      [3, 2, 1],
    ]);
    expect(createEnsembleNode(options).id).toBe(1);
  });

  test.each([
    [`${THREE}group.1=1:2`, 'group lines: server 3 is in none'],
    [`${GROUPS}group.3=3`, 'line 9: group.3=3: server 3 must be in one group only'],
    [`${GROUPS}group.3=9`, 'group lines: there is no line server.9'],
    [`${GROUPS}weight.9=1`, 'weight lines: there is no line server.9'],
    [`${THREE}weight.1=1`, 'weight lines: need group lines'],
    [`${GROUPS}weight.1=x`, 'line 9: weight.1=x: must be a whole number from 0 to 2147483647'],
    [`${THREE}group.1=1:x`, 'line 7: group.1=1:x: must be a whole number from 1 to 255'],
  ])('%j is refused', (lines, message) => {
    expect(errorsOf(BASE + lines, { myid: '1' })).toContain(message);
  });
});

describe('the client port', () => {
  const client = (lines: string) => {
    const { options, warnings } = parseZooCfg(`dataDir=/d\nautopurge.purgeInterval=1\n${lines}`, { myid: '1' });
    return [options.clientHost, options.clientPort, ...warnings];
  };
  const own = 'server.1=a:1:2:participant';

  test.each<[string, unknown[]]>([
    ['clientPort=1000', [undefined, 1000]],
    ['clientPort=1000\nclientPortAddress=10.0.0.1', ['10.0.0.1', 1000]],
    [`${own};1000`, ['0.0.0.0', 1000]],
    [`${own};h:1000`, ['h', 1000]],
    [`clientPort=1000\n${own};h:1000`, ['h', 1000]],
    [`clientPort=1000\nclientPortAddress=0.0.0.0\n${own};h:1000`, ['h', 1000]],
    [`clientPort=1000\nclientPortAddress=h\n${own};h:1000`, ['h', 1000]],
    ['', [undefined, undefined, 'clientPort is not set: no client can connect']],
    ['clientPort=0', [undefined, undefined, 'clientPort is not set: no client can connect']],
  ])('%j', (lines, expected) => {
    expect(client(lines)).toEqual(expected);
  });

  test.each([
    ['clientPortAddress=h', 'clientPortAddress: needs clientPort'],
    [`clientPort=1001\n${own};1000`, 'clientPort: differs from what the line server.1 says'],
    [`clientPort=1000\nclientPortAddress=i\n${own};h:1000`, 'clientPort: differs from what the line server.1 says'],
  ])('%j is refused', (lines, message) => {
    expect(errorsOf(`dataDir=/d\n${lines}`)).toEqual([message]);
  });
});

describe('the dynamic file', () => {
  const context = { myid: '1', dynamicText: '# by reconfig\nserver.1=a:1:2:participant;2181\nserver.2=b:1:2:observer\nserver.3=c:1:2\n' };

  test('has the servers', () => {
    const { options } = parseZooCfg('dataDir=/d\ndynamicConfigFile=/etc/zoo.cfg.dynamic.1', context);
    expect(options.servers.map(({ id, role }) => [id, role])).toEqual([
      [1, 'participant'],
      [2, 'observer'],
      [3, 'participant'],
    ]);
    expect(options.clientPort).toBe(2181);
  });

  test.each<[string, ZooCfgContext, string]>([
    ['server.1=a:1:2', context, 'line 5: server.1=a:1:2: must be in the file that dynamicConfigFile names'],
    ['', { myid: '1' }, 'dynamicConfigFile: there is no such file'],
    [
      '',
      { dynamicText: 'server.1=a\n' },
      'dynamic file, line 1: server.1=a: must be host:quorumPort:electionPort[:participant|observer][;[clientHost:]clientPort]',
    ],
    [
      '',
      { dynamicText: 'tickTime=1\n' },
      'dynamic file, line 1: tickTime=1: has no place in a dynamic file: only server, group and weight lines have',
    ],
    [
      '',
      { dynamicText: 'version=0\n' },
      'dynamic file, line 1: version=0: has no place in a dynamic file: only server, group and weight lines have',
    ],
  ])('%j with %j is refused', (lines, more, message) => {
    expect(errorsOf(`${BASE}dynamicConfigFile=/x\n${lines}`, more)).toContain(message);
  });
});

describe('settings that are taken', () => {
  test.each<[string, object]>([
    ['dataLogDir=/log', { dataLogDir: '/log' }],
    ['maxClientCnxns=0', { maxClientCnxns: 0 }],
    ['maxCnxns=500', { maxCnxns: 500 }],
    ['minSessionTimeout=1000\nmaxSessionTimeout=60000', { minSessionTimeout: 1000, maxSessionTimeout: 60_000 }],
    ['electionAlg=3', { election: 'fast' }],
    ['autopurge.snapRetainCount=10', { snapRetainCount: 10 }],
    ['quorumListenOnAllIPs=true', { listenHost: '0.0.0.0' }],
    ['snapCount=1000', { snapCount: 1000 }],
    ['zookeeper.snapCount=1000', { snapCount: 1000 }],
    ['commitLogCount=700', { commitLogCount: 700 }],
    ['globalOutstandingLimit=2000', { globalOutstandingLimit: 2000 }],
    ['maxConcurrentSnapSyncs=4', { snapshotConcurrency: 4 }],
    ['leader.maxConcurrentSnapSyncs=4', { snapshotConcurrency: 4 }],
    ['znode.container.checkIntervalMs=1000', { containerCheckInterval: 1000 }],
    ['jute.maxbuffer=0x400000', { maxRequestBytes: 4_194_304 }],
    ['jute.maxbuffer=4194304', { maxRequestBytes: 4_194_304 }],
    ['4lw.commands.whitelist=*', { fourLetterWords: ['*'] }],
    ['4lw.commands.whitelist=stat, ruok,conf,', { fourLetterWords: ['stat', 'ruok', 'conf'] }],
    ['4lw.commands.whitelist=', { fourLetterWords: [] }],
    ['readonlymode.enabled=true', { readOnlyMode: true }],
    ['skipACL=yes', { skipAcl: true }],
    ['skipACL=no', { skipAcl: false }],
    [`superDigest=${digestId('super:x')}`, { superDigest: digestId('super:x') }],
    [`DigestAuthenticationProvider.superDigest=${digestId('super:x')}`, { superDigest: digestId('super:x') }],
    ['enforceQuota=TRUE', { enforceQuota: true }],
    ['digest.enabled=false', { digest: false }],
    ['extendedTypesEnabled=true', { extendedTypes: true }],
    ['preAllocSize=65536', {}],
  ])('%s', (line, expected) => {
    const { options, warnings } = read(line);
    expect(options).toMatchObject(expected);
    expect(warnings).toEqual([]);
    expect(createEnsembleNode(options).id).toBe(1);
  });

  test('-1 is the default of a session timeout', () => {
    const { options } = read('minSessionTimeout=-1\nmaxSessionTimeout=-1');
    expect([options.minSessionTimeout, options.maxSessionTimeout]).toEqual([undefined, undefined]);
  });

  test('the last of two lines counts, and that is said', () => {
    const { options, warnings } = read('tickTime=1000\ntickTime=2000\nsuperDigest=a\nsuperDigest=b:AAAAAAAAAAAAAAAAAAAAAAAAAAA=');
    expect(options.tickTime).toBe(2000);
    expect(warnings).toEqual(['line 4: tickTime=1000 is overruled by line 5', 'line 6: superDigest=(not shown) is overruled by line 7']);
  });

  test('datadir.autocreate is handed on', () => {
    expect(read('datadir.autocreate=false').autocreate).toBe(false);
  });
});

describe('values out of rule', () => {
  test.each([
    ['tickTime=0', 'must be a whole number from 1 to 3600000'],
    ['tickTime=2s', 'must be a whole number from 1 to 3600000'],
    ['tickTime=', 'must be a whole number from 1 to 3600000'],
    ['initLimit=-1', 'must be a whole number from 1 to 2147483647'],
    ['clientPort=65536', 'must be a whole number from 0 to 65535'],
    ['dataLogDir=', 'must not be empty'],
    ['electionAlg=1', 'must be 3, the fast election; the elections over UDP are gone'],
    ['electionAlg=4', 'must be a whole number from 0 to 3'],
    ['peerType=leader', 'the role must be participant or observer'],
    ['jute.maxbuffer=0x10', 'must be a whole number from 1024 to 2147483647'],
    ['jute.maxbuffer=0xffffffff', 'must be a whole number from 1024 to 2147483647'],
    ['skipACL=true', 'must be yes or no'],
    ['forceSync=false', 'must be yes or no'],
    ['enforceQuota=1', 'must be true or false'],
    ['4lw.commands.whitelist=stat ruok', 'must be words of four letters with commas between them, or *; stat ruok is none'],
    ['DigestAuthenticationProvider.digestAlg=SHA-256', 'must be SHA1: ids in ACLs that were made otherwise would match nobody'],
    ['preAllocSize=x', 'must be a whole number from 0 to 2147483647'],
  ])('%s: %s', (line, rule) => {
    expect(errorsOf(BASE + line)).toEqual([`line 4: ${line}: ${rule}`]);
  });

  test('a bad superDigest is not repeated', () => {
    expect(errorsOf(`${BASE}superDigest=super:secret`)).toEqual([
      'line 4: superDigest=(not shown): must be user:base64(sha1(user:password))',
    ]);
  });

  test.each([
    ['clientPort=2181', 'dataDir: must be set'],
    [`${BASE}minSessionTimeout=2000\nmaxSessionTimeout=1000`, 'minSessionTimeout: must not be above maxSessionTimeout'],
    [`${BASE}extendedTypesEnabled=true\nserver.255=a:1:2`, 'extendedTypesEnabled: must be false for server 255'],
    [`${BASE}a=\\u00`, 'line 4: \\u must be followed by four hexadecimal digits'],
  ])('%j', (text, message) => {
    expect(errorsOf(text)).toContain(message);
  });

  test('all of them are named at once', () => {
    expect(errorsOf('tickTime=x\nsslQuorum=true\nserver.1=a')).toEqual([
      'line 1: tickTime=x: must be a whole number from 1 to 3600000',
      'line 2: sslQuorum=true: TLS is not offered',
      'line 3: server.1=a: must be host:quorumPort:electionPort[:participant|observer][;[clientHost:]clientPort]',
      'dataDir: must be set',
    ]);
  });
});

describe('warnings', () => {
  test.each([
    ['tickTIme=2000', 'line 4: tickTIme=2000 is unknown and has no effect'],
    ['zookeeper.tickTime=2000', 'line 4: zookeeper.tickTime=2000 is unknown and has no effect'],
    ['toString=1', 'line 4: toString=1 is unknown and has no effect'],
    ['dataLogDir=log', 'line 4: dataLogDir=log is relative to the working directory; begin it with ./ if that is meant'],
    ['electionAlg=0', 'line 4: electionAlg=0 is the basic election, which no ZooKeeper since 3.6 takes part in'],
    ['autopurge.snapRetainCount=1', 'line 4: autopurge.snapRetainCount=1 is taken as 3, the least'],
    ['4lw.commands.whitelist=stat,gtmk,blah', 'line 4: 4lw.commands.whitelist=stat,gtmk,blah names words that are not offered: gtmk, blah'],
    ['autopurge.purgeInterval=0', 'autopurge.purgeInterval is 0: old snapshots and logs are never deleted'],
    ['forceSync=no', 'line 4: forceSync=no has no effect: a change is on disk before it is acknowledged, always'],
    ['version=100', 'line 4: version=100 has no effect: the version of a configuration is behind the name of its dynamic file'],
  ])('%s', (line, warning) => {
    expect(read(line).warnings).toContain(warning);
  });

  test('what contradicts a server line', () => {
    expect(read(`${THREE}peerType=observer`, { myid: '1' }).warnings).toEqual([
      'peerType=observer has no effect: the line server.1 says participant',
    ]);
    expect(read(`${THREE}peerType=participant`, { myid: '1' }).warnings).toEqual([]);
  });

  test('with purging off all snapshots are kept', () => {
    const { options } = read('autopurge.purgeInterval=0\nautopurge.snapRetainCount=5');
    expect(options.snapRetainCount).toBe(Number.POSITIVE_INFINITY);
    expect(createEnsembleNode(options).id).toBe(1);
  });
});
