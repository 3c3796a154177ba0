import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OPEN_ACL } from '../../src/tree/acl.ts';
import { octetsFromText } from '../../src/util/bytes.ts';
import { eventually } from '../ensemble/client.ts';
import { type AnyRequest, bodyOf, frameOf, requestOf } from '../interop/raw.ts';
import { type Case, fatalCases, requestCases } from './hostile/cases.ts';
import { handshakes, outcomeOf } from './hostile/handshakes.ts';
import { Foe } from './hostile/play.ts';
import { Bystander, HostileRig } from './hostile/rig.ts';
import { bytesOf } from './hostile/values.ts';
import { ok } from './rig.ts';

/* Must-be-shown 5: whatever a client sends, the answer is the error of ZooKeeper's rules or a closed connection, nobody else notices, and the log replays. */

type Role = 'leader' | 'follower';

const NEW = { op: 1, acl: OPEN_ACL, flags: 0, ttl: 0 } as const;

let rig: HostileRig;
let bystanders: Bystander[];
let heapBefore: number;
const foes = new Map<number, Foe>();

const serverOf = (role: Role): number => {
  const leader = rig.leader()?.id as number;
  return role === 'leader' ? leader : (leader % 3) + 1;
};

function foeAt(id: number): Foe {
  const foe = foes.get(id) ?? new Foe(rig.port(id));
  foes.set(id, foe);
  return foe;
}

beforeAll(async () => {
  rig = await HostileRig.create();
  await rig.roles();
  const clients = await Promise.all([1, 2, 3].map((id) => rig.client(id, { timeout: 600_000 })));
  heapBefore = heapUsed();
  bystanders = clients.map((client, i) => new Bystander(client, `/bystander${i}`, () => foes.get(i + 1)?.answered ?? 0));
});
afterAll(() => rig.end());

/** Bytes that are still in use. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

/** The cases that are not answered as they must be. */
async function wrong(foe: Foe, cases: readonly Case[]): Promise<string[]> {
  const answers = await foe.answers(cases);
  return cases.flatMap(({ name, expected }, i) => {
    const [a, b] = [JSON.stringify(answers[i]), JSON.stringify(expected)];
    return a === b ? [] : [`${name}: ${a.slice(0, 80)} instead of ${b.slice(0, 80)}`];
  });
}

const at = test.each<Role>(['leader', 'follower']);

at(
  'a %s answers every operation with a field out of rule, cut, or with bytes behind it, by itself and in a multi',
  async (role) => {
    const cases = requestCases();
    expect(cases.length).toBeGreaterThan(3000);
    expect(await wrong(foeAt(serverOf(role)), cases)).toEqual([]);
  },
  300_000,
);

at(
  'a %s closes the connection behind operations that are none and identities that prove nothing',
  async (role) => {
    expect(await wrong(foeAt(serverOf(role)), fatalCases())).toEqual([]);
  },
  60_000,
);

at('a %s refuses a check outside a multi, with which Apache ZooKeeper spoils its log', async (role) => {
  const client = await rig.client(serverOf(role));
  const good = bodyOf({ op: 13, path: '/', version: -1 });
  for (const body of [good, good.subarray(0, 6), new Uint8Array(0)]) expect(await client.send(13, body)).toMatchObject({ err: -6 });
});

at('a %s counts on with quotas that are none, which end Apache ZooKeeper', async (role) => {
  const client = await rig.client(serverOf(role));
  const place = '/zookeeper/quota/q';
  const create = (path: string, text: string): AnyRequest => ({ ...NEW, path, data: octetsFromText(text) });
  const remove = (path: string): AnyRequest => ({ op: 2, path, version: -1 });
  const huge = '9'.repeat(400);
  for (const junk of ['', 'x', 'count', 'count=,bytes=', `count=${huge},bytes=-${huge}`, '=;,;=', '\0\uffff', 'y'.repeat(100_000)]) {
    const requests = [
      create(place, junk),
      create(`${place}/zookeeper_limits`, junk),
      create(`${place}/zookeeper_stats`, junk),
      create('/q', junk),
      { op: 5, path: `${place}/zookeeper_stats`, data: octetsFromText(junk), version: -1 } as const,
      create('/q/below', junk),
      ...['/q/below', '/q', `${place}/zookeeper_stats`, `${place}/zookeeper_limits`, place].map(remove),
    ];
    for (const request of requests) ok(await client.call(request));
  }
});

at('a %s gives a session to nothing but a first frame in order', async (role) => {
  const victim = await rig.client(serverOf(role));
  for (const handshake of handshakes(victim)) {
    expect(await outcomeOf(rig.port(serverOf(role)), handshake), handshake.name).toBe(handshake.expected);
  }
  ok(await victim.ping());
});

at('a %s takes a second first frame, and what comes behind the end of a session, for what they are', async (role) => {
  const id = serverOf(role);
  const twice = await rig.client(id);
  twice.write(frameOf(new Uint8Array(45)));
  await twice.closed;
  expect(twice.frames).toMatchObject([{ kind: 'reply', xid: 0, err: -6 }]);

  const ended = await rig.client(id);
  const behind: AnyRequest[] = [{ op: -11 }, { op: 4, path: '/', watch: true }, { op: 5, path: '/', data: null, version: -1 }, { op: -11 }];
  const answers = await Promise.all(behind.map((request, i) => ended.send(request.op, bodyOf(request), i + 1)));
  expect(answers.map((answer) => (answer === 'closed' ? answer : answer.err))).toEqual([0, 'closed', 'closed', 'closed']);
});

at('a %s waits for the rest of a frame, however slowly it comes, and for nobody else', async (role) => {
  const id = serverOf(role);
  const [slow, silent] = [await rig.client(id), await rig.client(id)];
  const request = frameOf(requestOf(7, 4, bodyOf({ op: 4, path: '/', watch: false })));
  silent.write(request.subarray(0, 9));
  const answer = slow.expect(7);
  for (const byte of request) {
    slow.write(Uint8Array.of(byte));
    await new Promise(setImmediate);
  }
  ok(await answer);
  silent.write(request.subarray(9));
  await silent.seen('the answer', (frame) => frame.kind === 'reply' && frame.xid === 7);
});

at('a %s answers thousands of requests at once, good ones and bad ones, in their order', async (role) => {
  const client = await rig.client(serverOf(role));
  const bad = bytesOf((w) => w.int(-2));
  const requests = Array.from({ length: 5000 }, (_, i): [op: number, body: Uint8Array, err: number] => {
    if (i % 4 === 0) return [5, bad, -5];
    if (i % 4 === 1) return [4, bad, -5];
    if (i % 4 === 2) return [2, bodyOf({ op: 2, path: '/absent', version: -1 }), -101];
    return [3, bodyOf({ op: 3, path: '/', watch: false }), 0];
  });
  const answers = await Promise.all(requests.map(([op, body]) => client.send(op, body)));
  expect(answers.map((answer) => answer !== 'closed' && answer.err)).toEqual(requests.map(([, , err]) => err));
  const xids = client.frames.map((frame) => (frame.kind === 'reply' ? frame.xid : 'event'));
  expect(xids).toEqual(requests.map((_, i) => i + 1));
});
test('nobody else has noticed, and every server comes back from its log with the same tree', async () => {
  await Promise.all([...foes.values()].map((foe) => foe.end()));
  await Promise.all(bystanders.map((bystander) => bystander.stop()));
  expect(rig.leader()?.epoch).toBe(1);
  for (const { rounds, longest } of bystanders) {
    expect(rounds).toBeGreaterThan(100);
    expect(longest).toBeLessThan(200);
  }
  await Promise.all(rig.clients.map((client) => client.drop()));
  for (const node of rig.nodes.values()) {
    await eventually('nothing is left of any connection', () => node.metrics().clientConnections === 0);
    expect(node.metrics()).toMatchObject({ clientSessions: 0, clientRequestsUnderWay: 0, clientBytesToSend: 0, clientWatches: 0 });
  }
  expect(heapUsed() - heapBefore).toBeLessThan(100 << 20);
  const { before, after } = await rig.restart();
  for (const tree of [...before, ...after]) expect(tree).toEqual(before[0]);
  for (const node of rig.nodes.values()) expect(node.metrics().digestMismatches).toBe(0);
});
