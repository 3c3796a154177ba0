import { readdirSync } from 'node:fs';
import Long from 'long';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  encodeElectionHeader,
  encodeElectionMessage,
  JuteWriter,
  makeZxid,
  Op,
  octetsFromText,
  Packet,
  type ServerSpec,
  ZXID_NONE,
} from '../../src/index.ts';
import type { SyncRequest, WriteRequest } from '../../src/model/records.ts';
import { OPEN_ACL } from '../../src/tree/acl.ts';
import { encodeRequestBody } from '../../src/wire/requests.ts';
import { NON_VOTER } from '../../src/zab/messages.ts';
import { Attacker, FakeObserver, frame, introduction, seeded } from './attacker.ts';
import { eventually, type Writer } from './client.ts';
import { DiskRig } from './disk-rig.ts';

/** A live ensemble with an observer's place (server 4) free for the attacker. */
let rig: DiskRig;
let writers: Writer[];
let leader: ServerSpec;
let follower: ServerSpec;

const VOTERS = [1, 2, 3];
const specOf = (id: number): ServerSpec => rig.servers.find((server) => server.id === id) as ServerSpec;

beforeEach(async () => {
  rig = await DiskRig.create({ voters: 3, observers: 1, tickTime: 100, initLimit: 10, maxSessionTimeout: 60_000 });
  await rig.startAll(VOTERS);
  const roles = await rig.roles();
  leader = specOf(roles.leader.id);
  follower = specOf(roles.others[0].id);
  writers = VOTERS.map((id) => rig.writer(id, 2));
  await rig.progress(writers, 50);
});
afterEach(() => rig.close());

/** Nothing of what was done has been noticed by those who work with the ensemble; and nothing of it comes back after a restart. */
async function unharmed(): Promise<void> {
  await rig.progress(writers, 50);
  for (const writer of writers) expect(Object.fromEntries(writer.errors), writer.name).toEqual({});
  expect(rig.leader()?.id).toBe(leader.id);
  expect(rig.leader()?.epoch).toBe(1);
  await rig.verify(writers);
  await rig.stopAll();
  await rig.startAll(VOTERS);
  await rig.verify([]);
}

/** Files and sockets of this process; where the system does not tell, none. */
const openFiles = (): number => (process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0);

const reasons = (id: number): string =>
  rig.log
    .filter(
      (line) =>
        line.includes(` ${id} info closing`) ||
        line.includes(` ${id} warn election connection`) ||
        line.includes(` ${id} debug quorum link closed`),
    )
    .join('\n');

/** What a stranger may throw at a port of either kind. */
function garbage(next: (bound: number) => number): Uint8Array[] {
  const random = (length: number) => Uint8Array.from({ length }, () => next(256));
  const hello = introduction(4, { type: Packet.OBSERVERINFO });
  const w = new JuteWriter(64);
  encodeElectionMessage(w, {
    kind: 'notification',
    state: 0,
    leader: 3,
    zxid: ZXID_NONE,
    electionEpoch: 1,
    peerEpoch: 0,
    version: 2,
    config: null,
  });
  const vote = [...encodeElectionHeader({ sid: 9, addresses: ['127.0.0.1:1'] }), ...w.copy()];
  const huge = Uint8Array.from([0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, ...random(100)]);
  const negative = Uint8Array.from([0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, ...random(100)]);
  return [
    ...Array.from({ length: 30 }, () => random(1 + next(3000))),
    ...Array.from({ length: hello.length }, (_, k) => hello.slice(0, k)),
    ...Array.from({ length: 20 }, () => Uint8Array.from(vote.slice(0, next(vote.length)))),
    huge,
    negative,
    Uint8Array.from([...hello, ...random(2000)]),
    new TextEncoder().encode('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
  ];
}

test.each(['leader', 'follower'] as const)('random, cut and oversized frames at both ports of the %s', async (role) => {
  const target = role === 'leader' ? leader : follower;
  const before = openFiles();
  const next = seeded(20261);
  const attackers: Attacker[] = [];
  for (const port of [target.quorumPort, target.electionPort]) {
    for (const bytes of garbage(next)) attackers.push(new Attacker(port).send(bytes));
  }
  await eventually('all are connected', () => attackers.every(({ connected, closed }) => connected || closed));
  // Half of them go away in the middle, half wait to be thrown out.
  for (const [k, attacker] of attackers.entries()) if (k % 2 === 0) attacker.socket.end();
  await eventually('all connections are closed', () => attackers.every(({ closed }) => closed));
  await eventually('all files are closed', () => openFiles() <= before);
  await unharmed();
});

/** What a learner sends, and what the log says of it. */
const RULES: [string, () => Uint8Array[], RegExp][] = [
  ['is not in the ensemble', () => [introduction(9)], /server id 9 is not another one of ours/],
  [
    'has no id',
    () => [frame({ type: Packet.OBSERVERINFO, zxid: ZXID_NONE, serverId: -1, protocolVersion: 0x10000, configVersion: ZXID_NONE })],
    /server id -1/,
  ],
  ["has the leader's own id", () => [introduction(leader.id)], /is not another one of ours/],
  ['is an observer and says it follows', () => [introduction(4)], /another role/],
  ['is a voter and says it observes', () => [introduction(follower.id, { type: Packet.OBSERVERINFO })], /another role/],
  ['speaks an older protocol', () => [introduction(4, { type: Packet.OBSERVERINFO, protocolVersion: 1 })], /protocol version 0x1\b/],
  [
    'observes and has accepted an epoch that nobody can have reached',
    () => [introduction(4, { type: Packet.OBSERVERINFO, zxid: makeZxid(0x7ffffffe, 0) })],
    /nobody accepts epoch 2147483646/,
  ],
  [
    'follows and has accepted the last epoch of all',
    () => [introduction(follower.id, { zxid: makeZxid(0xffffffff, 0) })],
    /nobody accepts epoch 4294967295/,
  ],
  [
    'knows a newer configuration',
    () => [introduction(4, { type: Packet.OBSERVERINFO, configVersion: makeZxid(5, 1) })],
    /newer configuration/,
  ],
  [
    'sends a request before UPTODATE',
    () => [
      introduction(4, { type: Packet.OBSERVERINFO }),
      frame({
        type: Packet.REQUEST,
        request: { sessionId: Long.UZERO, cxid: 1, op: Op.sync, auth: [], record: { op: Op.sync, path: '/' }, body: null },
      }),
    ],
    /REQUEST before UPTODATE/,
  ],
  [
    'acknowledges the epoch twice',
    () => [
      introduction(4, { type: Packet.OBSERVERINFO }),
      ...Array.from({ length: 2 }, () => frame({ type: Packet.ACKEPOCH, zxid: ZXID_NONE, currentEpoch: 0 })),
    ],
    /ACKEPOCH out of turn/,
  ],
  [
    'acknowledges what was never proposed',
    () => [
      introduction(4, { type: Packet.OBSERVERINFO }),
      frame({ type: Packet.ACKEPOCH, zxid: ZXID_NONE, currentEpoch: 0 }),
      frame({ type: Packet.ACK, zxid: makeZxid(9, 9) }),
    ],
    /never proposed/,
  ],
  [
    'acknowledges before anything was sent to it',
    () => [introduction(4, { type: Packet.OBSERVERINFO }), frame({ type: Packet.ACK, zxid: makeZxid(1, 0) })],
    /before anything was sent/,
  ],
  ['sends what only a leader sends', () => [frame({ type: Packet.UPTODATE, zxid: ZXID_NONE })], /packet type 12 from a learner/],
  [
    'sends an unknown packet',
    () => [Uint8Array.from([0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255])],
    /unknown packet type 99/,
  ],
  [
    'sends its hello twice',
    () => [introduction(4, { type: Packet.OBSERVERINFO }), introduction(4, { type: Packet.OBSERVERINFO })],
    /FOLLOWERINFO twice/,
  ],
];
test('a learner that breaks a rule loses its link, for a reason that the log tells', async () => {
  for (const [what, parts, reason] of RULES) {
    rig.log.length = 0;
    const attacker = new Attacker(leader.quorumPort).send(...parts());
    await attacker.refused(what);
    await eventually(`${what}: the log tells`, () => reason.test(reasons(leader.id)));
  }
  await unharmed();
});

test('a learner that claims to have accepted a later epoch costs an election, and no write', async () => {
  const claims = [
    introduction(follower.id, { zxid: makeZxid(50, 0) }),
    introduction(4, { type: Packet.OBSERVERINFO, zxid: makeZxid(77, 0) }),
  ];
  for (const claim of claims) {
    const attacker = new Attacker(specOf(rig.leader()?.id ?? leader.id).quorumPort).send(claim);
    await attacker.refused('a later epoch');
    await rig.roles();
    await rig.progress(writers, 50);
  }
  for (const writer of writers) expect([...writer.errors.keys()].filter((code) => code !== 'CONNECTION_LOSS')).toEqual([]);
  await rig.verify(writers);
});
const X = octetsFromText('x');

/** Every kind of write. */
const REQUESTS: (WriteRequest | SyncRequest)[] = [
  { op: Op.create, path: '/evil', data: X, acl: OPEN_ACL, flags: 0, ttl: 0 },
  { op: Op.create2, path: '/evil', data: null, acl: OPEN_ACL, flags: 2, ttl: 0 },
  { op: Op.createContainer, path: '/evil', data: X, acl: OPEN_ACL, flags: 4, ttl: 0 },
  { op: Op.createTtl, path: '/evil', data: X, acl: OPEN_ACL, flags: 5, ttl: 1000 },
  { op: Op.delete, path: '/evil', version: -1 },
  { op: Op.setData, path: '/evil', data: X, version: -1 },
  { op: Op.setAcl, path: '/evil', acl: OPEN_ACL, version: -1 },
  {
    op: Op.multi,
    ops: [
      { op: Op.create, path: '/evil', data: X, acl: OPEN_ACL, flags: 0, ttl: 0 },
      { op: Op.delete, path: '/evil', version: -1 },
    ],
  },
  { op: Op.createSession, timeout: 1000 },
];

test('a learner whose requests are cut at every byte: an error each, and the log can be read again', async () => {
  const fake = new FakeObserver(leader, 4);
  await eventually('the observer is up to date', () => fake.active);
  let sent = 0;
  for (const request of REQUESTS) {
    const w = new JuteWriter(256);
    encodeRequestBody(w, request);
    const body = w.copy();
    for (let end = 0; end < body.length; end++) fake.request(request.op, body.slice(0, end), ++sent);
  }
  // Operations that are none, or are not for a learner to send, with bodies that are none.
  const next = seeded(4711);
  for (let op = -20; op <= 120; op++) {
    if (op === Op.sync || op === Op.closeSession) continue;
    fake.request(
      op,
      Uint8Array.from({ length: next(60) }, () => next(256)),
      ++sent,
    );
  }
  // A whole one at the end.
  const w = new JuteWriter(256);
  encodeRequestBody(w, { op: Op.create, path: '/whole', data: X, acl: OPEN_ACL, flags: 0, ttl: 0 });
  fake.request(Op.create, w.copy(), ++sent);
  await eventually('the last one is done', () => rig.node(leader.id).tree.exists('/whole') !== undefined);
  expect(fake.attacker.closed, reasons(leader.id)).toBe(false);
  expect(
    rig
      .node(leader.id)
      .tree.getChildren('/')
      ?.filter((name) => name.startsWith('evil')),
  ).toEqual([]);
  // Each used up a zxid and came back as an error, in the order sent, without a hole.
  await eventually('all came back', () => fake.informs.filter(({ type }) => type === -1).length >= sent - 10);
  for (const [k, { zxid }] of fake.informs.entries()) if (k > 0) expect(zxid.sub(fake.informs[k - 1].zxid).toNumber()).toBe(1);
  fake.attacker.end();
  await unharmed();
  expect(rig.node(follower.id).tree.exists('/whole')).toBeDefined();
});

test('a learner that syncs with a body that is none is answered', async () => {
  const fake = new FakeObserver(leader, 4);
  await eventually('the observer is up to date', () => fake.active);
  for (let k = 0; k < 10; k++) fake.request(Op.sync, new Uint8Array(k), k + 1);
  await eventually('all are answered', () => fake.synced === 10);
  fake.attacker.end();
  await unharmed();
});

test.each(['leader', 'follower'] as const)('hundreds of silent connections to the %s are closed at a limit', async (role) => {
  const target = role === 'leader' ? leader : follower;
  const before = openFiles();
  const attackers = [target.quorumPort, target.electionPort].flatMap((port) =>
    Array.from({ length: 250 }, (_, k) => (k % 2 === 0 ? new Attacker(port) : new Attacker(port).send(Uint8Array.of(0)))),
  );
  await eventually('all are connected', () => attackers.every(({ connected, closed }) => connected || closed));
  // initLimit is 10 ticks, so one second.
  await eventually('all are closed', () => attackers.every(({ closed }) => closed));
  await eventually('all files are closed', () => openFiles() <= before);
  await unharmed();
});

test('more silent connections than can be kept make room for each other long before their limit', async () => {
  await rig.close();
  rig = await DiskRig.create({ voters: 3, observers: 1, tickTime: 100, initLimit: 600 });
  await rig.startAll(VOTERS);
  const roles = await rig.roles();
  writers = VOTERS.map((id) => rig.writer(id, 2));
  leader = specOf(roles.leader.id);
  const attackers = Array.from({ length: 400 }, () => new Attacker(leader.quorumPort));
  await eventually(
    'only so many are left',
    () => attackers.every(({ connected }) => connected) && attackers.filter(({ closed }) => !closed).length <= 256,
  );
  // A learner gets in among them.
  await rig.start(4);
  expect(attackers.filter(({ closed }) => !closed).length).toBeGreaterThan(200);
  for (const attacker of attackers) attacker.end();
  await rig.stop(4);
  await unharmed();
});

test('silent connections to a server that looks for a leader are closed at a limit', async () => {
  await Promise.all(writers.map((writer) => writer.stop()));
  await rig.stopAll();
  const starting = rig.start(follower.id);
  starting.catch(() => {});
  await eventually('it looks', () => rig.node(follower.id).role === 'looking');
  let attackers: Attacker[] = [];
  await eventually('its port is open', () => {
    if (attackers.every(({ closed }) => closed)) attackers = Array.from({ length: 200 }, () => new Attacker(follower.quorumPort));
    return attackers.every(({ connected, closed }) => connected && !closed);
  });
  const [real] = attackers;
  await eventually('all are closed', () => attackers.every(({ closed }) => closed));
  expect(real.received).toBe(0);
  await rig.startAll(VOTERS.filter((id) => id !== follower.id));
  await starting;
  await rig.verify([]);
});

test('an election goes on among hostile voices (fault 3769)', async () => {
  const next = seeded(99);
  const attackers: Attacker[] = [];
  const shout = () => {
    for (const target of rig.servers.filter(({ id }) => id !== 4)) {
      for (const sid of [1, 2, 3, 4, 9, -5, 0]) {
        const w = new JuteWriter(512);
        const vote = {
          kind: 'notification',
          state: next(4) as 0,
          leader: next(2) === 0 ? next(6) : NON_VOTER,
          zxid: makeZxid(next(3), next(1000)),
          electionEpoch: next(5),
          peerEpoch: next(3),
          version: 2,
          config: null,
        } as const;
        encodeElectionMessage(w, vote);
        const body = w.copy();
        attackers.push(
          new Attacker(target.electionPort).send(
            encodeElectionHeader({ sid, addresses: ['127.0.0.1:1'] }),
            body.slice(0, next(body.length)),
          ),
        );
      }
    }
  };
  for (let turn = 0; turn < 3; turn++) {
    const { leader: current } = await rig.roles();
    shout();
    await rig.kill(current.id);
    shout();
    await rig.start(current.id);
    for (const attacker of attackers.splice(0)) attacker.end();
    await rig.roles();
    await rig.progress(writers, 50);
  }
  await rig.verify(writers);
});
