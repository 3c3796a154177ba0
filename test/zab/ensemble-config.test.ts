import { describe, expect, it } from 'vitest';
import { ZXID_NONE } from '../../src/model/zxid.ts';
import type { ZabConfig } from '../../src/zab/context.ts';
import { EnsembleConfig } from '../../src/zab/ensemble-config.ts';
import { Follower } from '../../src/zab/learner.ts';
import { type Notification, Packet, PeerState, PROTOCOL_VERSION } from '../../src/zab/messages.ts';
import { Outbox } from '../../src/zab/outbox.ts';
import { Peer } from '../../src/zab/peer.ts';
import { FakeContext, FakeLink, FakeState, z } from './fake.ts';
import { Ensemble } from './leader-rig.ts';

const servers = [1, 2, 3].map((id) => ({ id, host: 'h', quorumPort: 10 + id, electionPort: 20 + id }));
const at = (id: number, rest: string): string => `server.${id}=${rest}`;
/** As Apache ZooKeeper writes it: names and client addresses of its own. */
const theirs = (version: string, third = '127.0.0.1:13:23:participant'): string =>
  [at(1, '127.0.0.1:11:21:participant;127.0.0.1:2181'), at(2, 'a:12:22|b:12:22:participant'), at(3, third), `version=${version}`].join(
    '\n',
  );

/** Who belongs to it, and where. */
const places = ({ servers }: EnsembleConfig): string[] =>
  servers.map(({ id, host, quorumPort, electionPort, role }) => `${id} ${host}:${quorumPort}:${electionPort} ${role ?? 'participant'}`);

describe('the configuration that a server knows', () => {
  it('is that of its options, of version 0 unless they say another', () => {
    const config = new EnsembleConfig(1, servers);
    expect(config.text).toContain('server.1=h:11:21:participant\n');
    expect(config.version).toEqual(ZXID_NONE);
    const agreed = new EnsembleConfig(1, servers, z(1, 0x12));
    expect(agreed.text).toMatch(/\nversion=100000012$/);
    expect(agreed.compare(theirs('100000012'))).toBe('old');
    // What the ensemble has agreed on are addresses too.
    expect(agreed.compare(theirs('100000013'))).toBe('changed');
  });

  it('is the text with the latest version; who is known keeps the address that is known, until the ensemble tells another', () => {
    const config = new EnsembleConfig(1, servers);
    expect(config.compare(theirs('0'))).toBe('old');
    expect(config.compare(theirs('100000000'))).toBe('newer');
    expect(config.version).toEqual(ZXID_NONE);
    config.take(theirs('100000000'));
    expect(config.text).toBe(theirs('100000000'));
    expect(config.version).toEqual(z(1, 0));
    expect(places(config)).toEqual(['1 h:11:21 participant', '2 h:12:22 participant', '3 h:13:23 participant']);
    expect(config.servers[0].client).toEqual({ host: '127.0.0.1', port: 2181 });
    expect(config.compare(theirs('100000000'))).toBe('old');
    expect(config.compare(theirs('ffffffff'))).toBe('old');
    expect(config.compare(theirs('100000001'))).toBe('newer');
    const moved = theirs('100000002', '[::1]:13:23:participant');
    expect(config.compare(moved)).toBe('changed');
    config.take(moved);
    expect(places(config)).toEqual(['1 h:11:21 participant', '2 h:12:22 participant', '3 ::1:13:23 participant']);
  });

  it.each([
    ['an observer that votes here', theirs('100000000', '127.0.0.1:13:23:observer;2181'), [1, 2], [1, 2, 3]],
    ['a server that is not known here', `${at(4, 'x:1:2:participant')}\n${theirs('100000000')}`, [4, 1, 2, 3], [4, 1, 2, 3]],
    ['one without a role', `${at(4, 'x:1:2')}\n${theirs('100000000')}`, [4, 1, 2, 3], [4, 1, 2, 3]],
    ['a server less', theirs('100000000').replace(/server\.3.*\n/, ''), [1, 2], [1, 2]],
    ['groups', `${theirs('100000000')}\ngroup.1=1:2:3\nweight.1=2`, [1, 2, 3], [1, 2, 3]],
  ])('has other members: %s', (_name, text, voters, all) => {
    const config = new EnsembleConfig(1, servers);
    expect(config.compare(text)).toBe('changed');
    expect(config.compare(text.replace('version=100000000', 'version=0'))).toBe('old');
    config.take(text);
    expect([config.quorum.ids, [...config.ids]]).toEqual([voters, all]);
    expect(places(config).slice(0, 2)).toEqual(
      all[0] === 4 ? ['4 x:1:2 participant', '1 h:11:21 participant'] : ['1 h:11:21 participant', '2 h:12:22 participant'],
    );
    expect(config.quorum.weight(1)).toBe(text.includes('weight') ? 2 : 1);
  });
});

describe('a configuration of an ensemble', () => {
  it.each([
    ['without this server', theirs('100000000').replace(/server\.1.*\n/, '')],
    ['with a line that is none', `${at(4, 'h:1')}\n${theirs('100000000')}`],
    ['in which one voter is in no group', `${theirs('100000000')}\ngroup.1=1:2`],
    ['without a voter', theirs('100000000').replaceAll('participant', 'observer')],
    ['with more voters than can be', `${Array.from({ length: 40 }, (_, i) => at(i + 4, 'h:1:2')).join('\n')}\n${theirs('100000000')}`],
  ])('is foreign %s', (_name, text) => {
    expect(new EnsembleConfig(1, servers).compare(text)).toBe('foreign');
  });

  it('has the same members with groups, in whatever order they stand, and whatever is said of an observer', () => {
    const grouped = [1, 2, 3].map((id) => ({ ...servers[id - 1], group: id % 2, weight: 4 - id }));
    const watching = { id: 4, host: 'h', quorumPort: 14, electionPort: 24, role: 'observer' as const };
    const config = new EnsembleConfig(1, [...grouped, watching]);
    const text = [
      ...config.text.split('\n').filter((line) => line.startsWith('server.')),
      'group.0=2',
      'group.1=3:1',
      'group.2=4',
      ...['weight.2=2', 'weight.4=9'],
    ];
    expect(config.compare([...text, 'version=5'].join('\n'))).toBe('changed');
    expect(config.compare([...text, 'weight.1=3', 'version=5'].join('\n'))).toBe('newer');
  });

  it('is not changed by a text without a version, or with none that is a number', () => {
    const config = new EnsembleConfig(1, servers);
    for (const text of ['', 'version=', 'version=x', theirs('10000000000000000')]) expect(config.compare(text)).toBe('old');
  });
});

describe('a learner', () => {
  it('holds to the leader’s configuration when the leader is established, and not before', () => {
    const ctx = new FakeContext();
    const learner = new Follower(ctx, 3);
    const link = new FakeLink('L');
    learner.start();
    learner.dialled(link);
    learner.message(link, { type: Packet.LEADERINFO, zxid: z(5, 0), protocolVersion: PROTOCOL_VERSION });
    learner.message(link, { type: Packet.DIFF, zxid: ZXID_NONE });
    learner.message(link, { type: Packet.NEWLEADER, zxid: z(5, 0), config: 'version=500000000' });
    expect(ctx.configs).toEqual([]);
    learner.message(link, { type: Packet.UPTODATE, zxid: ZXID_NONE });
    expect(ctx.configs).toEqual(['version=500000000']);
  });

  it('says which version it knows, and a leader that knows it too takes it', () => {
    const ctx = new FakeContext();
    ctx.config.ensemble.take(theirs('100000000'));
    const learner = new Follower(ctx, 3);
    learner.dialled(new FakeLink('L'));
    expect(ctx.out.sendMessages).toMatchObject([{ configVersion: z(1, 0) }]);

    const rig = new Ensemble();
    const info = {
      type: Packet.FOLLOWERINFO,
      zxid: ZXID_NONE,
      serverId: 2,
      protocolVersion: PROTOCOL_VERSION,
      configVersion: z(1, 0),
    } as const;
    rig.leader.message(rig.link('a'), info);
    expect(rig.effects()).toContain('close a');
    rig.ctx.config.ensemble.take(theirs('100000000'));
    rig.leader.message(rig.link('b'), info);
    expect(rig.effects()).not.toContain('close b');
  });
});

/** Without what follows from the configuration. */
const without = ({ quorum: _quorum, serverIds: _serverIds, ...rest }: ZabConfig) => rest;

/** Server 1 of three, while it looks for a leader. */
class Looking {
  readonly out = new Outbox();
  readonly ensemble = new EnsembleConfig(1, servers);
  readonly state = new FakeState();
  readonly peer: Peer;

  constructor() {
    const { config, history } = new FakeContext();
    const { ensemble } = this;
    const rules = {
      get quorum() {
        return ensemble.quorum;
      },
      get serverIds() {
        return ensemble.ids;
      },
    };
    this.peer = new Peer(Object.assign(Object.create(rules), without(config), { ensemble }), history, this.out, this.state, 'fast', 7);
    this.peer.start();
    this.peer.electionLink(2, true);
    this.out.clear();
  }
  /** Server 2 votes for itself; what is done about it. */
  vote(config: string): string[] {
    this.out.clear();
    const vote = { leader: 2, zxid: ZXID_NONE, electionEpoch: 1, peerEpoch: 0, state: PeerState.LOOKING };
    this.peer.electionMessage(2, { kind: 'notification', ...vote, version: 2, config } satisfies Notification);
    return this.out.actions.map((action) => (action.kind === 'log' ? `${action.level} ${action.text.slice(0, 23)}` : action.kind));
  }
}

describe('an election', () => {
  it('spreads a later version', () => {
    const looking = new Looking();
    expect(looking.vote(theirs('100000000'))).toEqual(expect.arrayContaining(['info the ensemble has given ', 'configChanged']));
    const told = looking.out.actions.find((action) => action.kind === 'election');
    expect(told).toMatchObject({ message: { config: theirs('100000000') } });
  });

  it('hears nobody who knows later members that this server is none of, and says so once', () => {
    const looking = new Looking();
    const foreign = theirs('100000000').replace('server.1=', 'server.4=');
    expect(looking.vote(foreign)).toEqual(['warn server 2 is not heard: ']);
    expect(looking.vote(foreign)).toEqual([]);
    expect(looking.peer.kind).toBe('looking');
    looking.vote(theirs('0'));
    expect(looking.peer.kind).toBe('following');
  });
});

describe('a server among other members', () => {
  it('ends where somebody knows later members, and begins anew among them', () => {
    const looking = new Looking();
    const later = theirs('100000000', '127.0.0.1:13:23:observer');
    expect(looking.vote(later)).toEqual(['info the ensemble has other ', 'configChanged', 'membersChanged']);
    expect([looking.peer.kind, looking.ensemble.quorum.ids]).toEqual(['stopped', [1, 2]]);
    looking.peer.start();
    looking.peer.electionLink(2, true);
    looking.vote(later);
    expect([looking.peer.kind, looking.peer.leaderId]).toEqual(['following', 2]);
  });

  it('hears nobody of later members while it follows: its leader will tell them', () => {
    const looking = new Looking();
    looking.vote(theirs('0'));
    expect(looking.vote(theirs('100000000', '127.0.0.1:13:23:observer'))).toEqual(['warn server 2 is not heard: ']);
    expect([looking.peer.kind, looking.ensemble.quorum.ids]).toEqual(['following', [1, 2, 3]]);
  });

  it('begins anew for a server whose leader has other members', () => {
    const looking = new Looking();
    looking.vote(theirs('0'));
    looking.out.clear();
    looking.peer.reconfigured(theirs('100000000'));
    expect(looking.peer.kind).toBe('following');
    looking.peer.reconfigured(theirs('100000005', '127.0.0.1:13:23:observer'));
    expect(looking.peer.kind).toBe('stopped');
    expect(looking.out.actions.map(({ kind }) => kind)).toContain('membersChanged');
  });

  it('ends for a server that its leader’s configuration has not', () => {
    const looking = new Looking();
    looking.peer.adoptConfig(theirs('0'));
    looking.peer.adoptConfig(theirs('100000000'));
    const foreign = theirs('100000005').replace('server.1=', 'server.4=');
    expect(() => looking.peer.adoptConfig(foreign)).toThrow(
      /^option servers: .* server 1 does not belong .* version 0x100000005: .*server\.4=127\.0\.0\.1:11:21:participant/,
    );
  });
});

describe('a server whose log has later members', () => {
  it('needs a quorum of both while the log has later members that nobody knows to be committed', () => {
    const looking = new Looking();
    const { ensemble, peer, state } = looking;
    const again = (): string[] => {
      peer.stop();
      looking.out.clear();
      peer.start();
      return looking.out.actions.flatMap((action) => (action.kind === 'log' ? [`${action.level} ${action.text.slice(0, 29)}`] : []));
    };
    // Servers 1, 4 and 5.
    state.config = theirs('100000000').replace('server.2=', 'server.4=').replace('server.3=', 'server.5=');
    expect(again()).toEqual(['warn the log knows later members, ']);
    expect([[...ensemble.ids], ensemble.version, ensemble.latest]).toEqual([[1, 2, 3, 4, 5], ZXID_NONE, state.config]);
    const isQuorum = (...ids: number[]) => ensemble.quorum.isQuorum(ids.reduce((set, id) => set | ensemble.quorum.bit(id), 0));
    expect([isQuorum(1, 2), isQuorum(1, 4), isQuorum(2, 3, 4), isQuorum(1, 2, 4), isQuorum(2, 3, 4, 5)]).toEqual([
      false,
      false,
      false,
      true,
      true,
    ]);
    expect(again()).toEqual([]);

    // It was never committed after all.
    state.config = theirs('0');
    again();
    expect([[...ensemble.ids], isQuorum(1, 2), ensemble.latest]).toEqual([[1, 2, 3], true, ensemble.text]);

    // Somebody knows.
    state.config = theirs('100000000').replace('server.3=', 'server.5=');
    again();
    looking.vote(state.config);
    expect([peer.kind, [...ensemble.ids], ensemble.pending]).toEqual(['stopped', [1, 2, 5], null]);
    expect(again()).toEqual([]);

    // This server belongs to none of them any more: all the more it must not go by the old ones alone.
    state.config = theirs('100000005').replace('server.1=', 'server.4=');
    expect(again()).toEqual(['warn the log knows later members, ']);
    expect([isQuorum(1, 2), isQuorum(1, 2, 3)]).toEqual([false, true]);
  });
});
