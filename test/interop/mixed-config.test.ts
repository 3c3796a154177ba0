import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { freePorts } from '../../examples/support/ports.ts';
import { configFromZooCfg, connect } from '../../src/index.ts';
import { eventually } from '../ensemble/client.ts';
import { type ApacheMember, type Member, OurMember } from './members.ts';
import { MixedEnsemble, SUPER, SUPER_DIGEST } from './mixed.ts';
import { python } from './trees.ts';

/* Apache's servers with reconfig enabled give their configuration a version, and ours must go along with it. */

let ensemble: MixedEnsemble | undefined;
afterEach(async () => {
  await ensemble?.end();
  ensemble = undefined;
});

test.each(['aoa', 'oao'])('%s: with reconfig enabled a version above 0 goes round, whoever leads', async (servers) => {
  ensemble = await MixedEnsemble.make({ servers, apache: { config: { reconfigEnabled: 'true' } } });
  const { members, apaches, ledger } = ensemble;
  await ensemble.startAll();
  await ensemble.startClients();
  const led = new Set<string>();
  // The one with the largest id leads first; from then on the leader is killed in turn, until all were gone once and have nothing but their disks.
  for (let round = 0; round < 4; round++) {
    const leader = await ensemble.settled();
    led.add(leader.kind);
    await ensemble.progress(50);
    await ensemble.pauseClients();
    await ensemble.equalTrees();
    await leader.kill();
    await ensemble.settled(members.filter((m) => m !== leader));
    await leader.start();
    await ensemble.resumeClients();
  }
  await ensemble.settled();
  await ensemble.endClients();
  const tree = await ensemble.equalTrees();
  expect(led).toEqual(new Set(['apache', 'ours']));
  expect(tree.get('/zookeeper/config')?.data).toMatch(/^version=[1-9a-f][0-9a-f]{8}$/m);
  ledger.verify(tree);
  for (const m of apaches) expect(m.log()).not.toMatch(/stale config|ahead of the leader/);
});

test('our server starts from the files that Apache’s has left: its zoo.cfg, what that names, and the data', async () => {
  ensemble = await MixedEnsemble.make({ servers: 'aaa', apache: { config: { reconfigEnabled: 'true', superDigest: SUPER_DIGEST } } });
  const { members, ledger } = ensemble;
  await ensemble.startAll();
  await ensemble.startClients();
  await ensemble.progress(100);
  for (const id of [1, 2, 3]) {
    const { server } = members[id - 1] as ApacheMember;
    await server.stop();
    expect(readdirSync(server.dir).some((name) => /^zoo\.cfg\.dynamic\.[0-9a-f]{9}$/.test(name))).toBe(true);
    const { options, warnings } = await configFromZooCfg(join(server.dir, 'zoo.cfg'));
    expect(warnings.filter((text) => !/reconfigEnabled|admin\.enableServer|autopurge/.test(text))).toEqual([]);
    const other = ensemble.put(new OurMember({ ...options, logFile: join(server.dir, 'node.log') }, false, ledger.take));
    expect([other.id, other.clientPort, other.dataDir]).toEqual([id, server.clientPort, server.dataDir]);
    await other.start();
    await ensemble.settled();
    await ensemble.progress(100);
  }
  await ensemble.endClients();
  const tree = await ensemble.equalTrees();
  expect(tree.get('/zookeeper/config')?.data).toMatch(/\nversion=[1-9a-f][0-9a-f]{8}$/);
  ledger.verify(tree);
});

/** Another of our voters beside those of the ensemble, and its line in a configuration. */
async function oneMore(ensemble: MixedEnsemble): Promise<{ fifth: Member; line: string }> {
  const [quorumPort, electionPort, clientPort] = await freePorts(3);
  const { options } = ensemble.ours[0];
  const servers = [...options.servers, { id: 5, host: '127.0.0.1', quorumPort, electionPort }];
  const folder = join(ensemble.folder, '5');
  const own = { ...options, id: 5, servers, clientPort, dataDir: join(folder, 'data'), logFile: join(folder, 'node.log') };
  const fifth = ensemble.put(new OurMember(own, false, ensemble.ledger.take));
  return { fifth, line: `server.5=127.0.0.1:${quorumPort}:${electionPort}:participant;127.0.0.1:${clientPort}` };
}

test('replicas go along when the ensemble gets other members, vote by them, and end when they are none any more', async () => {
  ensemble = await MixedEnsemble.make({ servers: 'aoaO', apache: { config: { reconfigEnabled: 'true' } } });
  const { ours, ledger } = ensemble;
  await ensemble.startAll();
  await ensemble.startClients();
  const [first, second, third, observer] = ensemble.members;
  const reconfig = (what: string) => python('reconfig.py', String(first.clientPort), SUPER, what);
  const knowsVoters = (member: Member, n: number) =>
    eventually(
      `server ${member.id} counts ${n} voters`,
      async () => (await member.fourLetter('mntr')).includes(`zk_quorum_size\t${n}\n`),
      60_000,
    );

  // One of ours joins as a voter. Those who run already have never heard of it.
  const { fifth, line } = await oneMore(ensemble);
  await fifth.start();
  await reconfig(line);
  await ensemble.settled();
  for (const member of [second, fifth, observer]) await knowsVoters(member, 4);
  await ensemble.progress(50);

  // Three of the four are a quorum, three of five with the observer would be too; two of the three before would have been another.
  await ensemble.pauseClients();
  await ensemble.equalTrees();
  await third.kill();
  expect(await ensemble.settled([first, second, observer, fifth])).toBe(fifth);
  await ensemble.resumeClients();
  await ensemble.progress(50);
  await first.kill();
  await eventually(
    'two of four do not serve',
    async () => (await second.mode()) === undefined && (await fifth.mode()) === undefined,
    60_000,
  );
  await Promise.all([third.start(), first.start()]);
  await ensemble.settled();
  await ensemble.progress(50);
  await ensemble.pauseClients();
  await ensemble.equalTrees();

  // What Apache's servers lead can lose members again: the one that is away, and one that is there.
  await fifth.kill();
  const four = [first, second, third, observer];
  expect(await ensemble.settled(four)).toBe(third);
  await reconfig('5');
  await ensemble.settled(four);
  for (const member of [second, observer]) await knowsVoters(member, 3);
  await fifth.start();
  await eventually('nobody has it any more', () => /is not heard: it knows a newer configuration/.test(fifth.log().slice(-3000)), 60_000);
  expect(await fifth.mode()).toBeUndefined();
  await fifth.kill();
  await reconfig('2');
  await eventually('our replica has stopped', () => /FATAL/.test(ours[0].log()));
  expect(ours[0].log()).toMatch(/option servers: .* server 2 does not belong to it any more/);
  await knowsVoters(observer, 2);
  const left = [first, third, observer];
  await ensemble.settled(left);
  const tree = await ensemble.equalTrees(left);
  ledger.verify(tree);
});

test.each(['aoo', 'oaa'])('%s: groups and weights mean the same to both', async (servers) => {
  ensemble = await MixedEnsemble.make({ servers, weights: [0, 1, 1] });
  const [weightless, second, third] = ensemble.members;
  await ensemble.startAll();
  const write = async (path: string) => {
    await using session = await connect(`127.0.0.1:${third.clientPort}`, { timeout: 20_000 });
    await session.create(path);
  };
  await write('/all');
  await weightless.kill();
  expect((await ensemble.settled([second, third])).id).toBeGreaterThan(1);
  await write('/two');
  await weightless.start();
  await ensemble.settled();
  await second.kill();
  // One vote of two is no quorum, whatever a server without a vote says.
  await eventually('nobody serves', async () => (await weightless.mode()) === undefined && (await third.mode()) === undefined);
  await second.start();
  expect((await ensemble.settled()).id).toBeGreaterThan(1);
  await write('/again');
  expect([...(await ensemble.equalTrees()).keys()]).toEqual(expect.arrayContaining(['/all', '/two', '/again']));
});
