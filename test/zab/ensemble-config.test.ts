import { describe, expect, it } from 'vitest';
import { ZXID_NONE } from '../../src/model/zxid.ts';
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
  [
    at(1, '127.0.0.1:11:21:participant;127.0.0.1:2181'),
    at(2, 'a:12:22:participant|b:12:22:participant'),
    at(3, third),
    `version=${version}`,
  ].join('\n');

describe('the configuration that a server knows', () => {
  it('is that of its options, of version 0', () => {
    const config = new EnsembleConfig(servers);
    expect(config.text).toContain('server.1=h:11:21:participant\n');
    expect(config.version).toEqual(ZXID_NONE);
  });

  it('is the text with the latest version, if the members are the same', () => {
    const config = new EnsembleConfig(servers);
    expect(config.learn(theirs('0'))).toBe('old');
    expect(config.learn(theirs('100000000'))).toBe('newer');
    expect(config.text).toBe(theirs('100000000'));
    expect(config.version).toEqual(z(1, 0));
    expect(config.learn(theirs('100000000'))).toBe('old');
    expect(config.learn(theirs('ffffffff'))).toBe('old');
    expect(config.learn(theirs('100000001'))).toBe('newer');
  });

  it.each([
    ['an observer that votes here', theirs('100000000', '127.0.0.1:13:23:observer;2181')],
    ['a server that is not known here', `${at(4, 'h:1:2:participant')}\n${theirs('100000000')}`],
    ['a server less', theirs('100000000').replace(/server\.3.*\n/, '')],
    ['groups', `${theirs('100000000')}\ngroup.1=1:2:3\nweight.1=2`],
  ])('is not one of other members: %s', (_name, text) => {
    const config = new EnsembleConfig(servers);
    expect(config.learn(text)).toBe('foreign');
    expect(config.version).toEqual(ZXID_NONE);
    expect(config.learn(text.replace('version=100000000', 'version=0'))).toBe('old');
  });

  it('has the same members with groups, in whatever order they stand, and whatever is said of an observer', () => {
    const grouped = [1, 2, 3].map((id) => ({ ...servers[id - 1], group: id % 2, weight: 4 - id }));
    const watching = { id: 4, host: 'h', quorumPort: 14, electionPort: 24, role: 'observer' as const };
    const config = new EnsembleConfig([...grouped, watching]);
    const text = [
      ...config.text.split('\n').filter((line) => line.startsWith('server.')),
      'group.0=2',
      'group.1=3:1',
      'group.2=4',
      ...['weight.2=2', 'weight.4=9'],
    ];
    expect(config.learn([...text, 'version=5'].join('\n'))).toBe('foreign');
    expect(config.learn([...text, 'weight.1=3', 'version=5'].join('\n'))).toBe('newer');
  });

  it('is not changed by a text without a version, or with none that is a number', () => {
    const config = new EnsembleConfig(servers);
    for (const text of ['', 'version=', 'version=x', theirs('10000000000000000')]) expect(config.learn(text)).toBe('old');
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
    expect(ctx.config.ensemble.learn('version=100000000')).toBe('newer');
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
    rig.ctx.config.ensemble.learn('version=100000000');
    rig.leader.message(rig.link('b'), info);
    expect(rig.effects()).not.toContain('close b');
  });
});

/** Server 1 of three, while it looks for a leader. */
class Looking {
  readonly out = new Outbox();
  readonly ensemble = new EnsembleConfig(servers);
  readonly peer: Peer;

  constructor() {
    const { config, history } = new FakeContext();
    this.peer = new Peer({ ...config, ensemble: this.ensemble }, history, this.out, new FakeState(), 'fast', 7);
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

  it('hears nobody who knows later members, and says so once', () => {
    const looking = new Looking();
    const foreign = theirs('100000000', '127.0.0.1:13:23:observer');
    expect(looking.vote(foreign)).toEqual(['warn server 2 is not heard: ']);
    expect(looking.vote(foreign)).toEqual([]);
    expect(looking.peer.kind).toBe('looking');
    looking.vote(theirs('0'));
    expect(looking.peer.kind).toBe('following');
  });

  it('ends for a server whose leader has other members', () => {
    const looking = new Looking();
    looking.peer.adoptConfig(theirs('0'));
    looking.peer.adoptConfig(theirs('100000000'));
    const foreign = theirs('100000005', '127.0.0.1:13:23:observer');
    expect(() => looking.peer.adoptConfig(foreign)).toThrow(
      /^option servers: .* version 0x100000005: .*server\.3=127\.0\.0\.1:13:23:observer/,
    );
  });
});
