import { afterEach, describe, expect, it } from 'vitest';
import { tcpTransport } from '../../src/index.ts';
import { makeZxid } from '../../src/model/zxid.ts';
import type { ServerAddress, Transport } from '../../src/seams/transport.ts';
import { MemoryNetwork } from '../../src/transport/memory.ts';
import { type ElectionMessage, Packet, type QuorumMessage } from '../../src/zab/messages.ts';
import { addresses, clock, type Station, start, until } from './rig.ts';

const vote = (leader: number): ElectionMessage => ({
  kind: 'notification',
  state: 0,
  leader,
  zxid: makeZxid(1, 1),
  electionEpoch: 1,
  peerEpoch: 1,
  version: 2,
  config: 'version=0',
});
const ack = (n: number): QuorumMessage => ({ type: Packet.ACK, zxid: makeZxid(1, n) });
const leaders = (station: Station, from: number) =>
  station.election_.filter((e) => e.from === from).map((e) => (e.message.kind === 'notification' ? e.message.leader : undefined));

const kinds: [string, () => () => Transport][] = [
  [
    'memory',
    () =>
      (
        (network) => () =>
          network.transport()
      )(new MemoryNetwork(clock)),
  ],
  ['tcp', () => () => tcpTransport()],
];

let stations: Station[] = [];
afterEach(async () => {
  await Promise.all(stations.map((station) => station.close()));
  stations = [];
});

async function run(transport: Transport, self: ServerAddress, servers: readonly ServerAddress[]): Promise<Station> {
  const station = await start(transport, self, servers);
  stations.push(station);
  return station;
}

async function pairOf(make: () => () => Transport): Promise<[Station, Station]> {
  const servers = await addresses([1, 2]);
  const next = make();
  return [await run(next(), servers[0], servers), await run(next(), servers[1], servers)];
}

describe.each(kinds)('quorum links over %s', (_name, make) => {
  const pair = () => pairOf(make);

  it('carry messages in order both ways, queued before the link stands too', async () => {
    const [a, b] = await pair();
    const out = a.dial(2);
    for (let i = 1; i <= 500; i++) out.link.send(ack(i));
    expect(out.link.buffered).toBeGreaterThan(0);
    const inn = await until(() => b.accepted[0]);
    await until(() => inn.got.length === 500);
    expect(inn.got).toEqual(Array.from({ length: 500 }, (_, i) => ack(i + 1)));
    expect(inn.batches).toBeLessThan(20);
    await until(() => out.drains > 0);
    expect(out.link.buffered).toBe(0);
    for (let i = 1; i <= 3; i++) inn.link.send({ type: Packet.COMMIT, zxid: makeZxid(2, i) });
    await until(() => out.got.length === 3);
    expect(out.got.map((m) => 'zxid' in m && m.zxid.low)).toEqual([1, 2, 3]);
  });

  it('never call back from inside a call', async () => {
    const [a, b] = await pair();
    const out = a.dial(2);
    expect(b.accepted.length).toBe(0);
    const inn = await until(() => b.accepted[0]);
    out.link.send(ack(1));
    expect(inn.got.length).toBe(0);
    inn.link.close('test');
    expect(out.ends.length).toBe(0);
    await until(() => out.ends.length > 0);
  });

  it('tell the other side, once, when one closes, and not the one that closed', async () => {
    const [a, b] = await pair();
    const out = a.dial(2);
    const inn = await until(() => b.accepted[0]);
    out.link.send(ack(1));
    await until(() => inn.got.length === 1);
    inn.link.close('enough');
    inn.link.close('enough');
    inn.link.send(ack(2));
    out.link.send(ack(3));
    await until(() => out.ends.length > 0);
    out.link.send(ack(4));
    out.link.close('after');
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(out.ends.length).toBe(1);
    expect(inn.ends.length).toBe(0);
    expect(inn.got.length).toBe(1);
  });
});

describe.each(kinds)('the ends of links over %s', (_name, make) => {
  const pair = () => pairOf(make);

  it('fail when nobody listens there, or nobody of that id is known', async () => {
    const servers = await addresses([1, 2]);
    const a = await run(make()(), servers[0], servers);
    const refused = a.dial(2);
    refused.link.send(ack(1));
    const unknown = a.dial(9);
    expect([...refused.ends, ...unknown.ends]).toEqual([]);
    await until(() => refused.ends.length === 1 && unknown.ends.length === 1);
    expect(refused.ends[0]).toMatch(/refused/i);
  });

  it('break when the other side closes its transport, which tells its own handlers nothing', async () => {
    const [a, b] = await pair();
    const out = a.dial(2);
    const inn = await until(() => b.accepted[0]);
    const fromB = b.dial(1);
    const atA = await until(() => a.accepted[0]);
    await b.close();
    await until(() => out.ends.length === 1 && atA.ends.length === 1);
    expect([...inn.ends, ...fromB.ends]).toEqual([]);
    const again = a.dial(2);
    await until(() => again.ends.length === 1);
  });

  it('can be opened again on the same address after a close', async () => {
    const servers = await addresses([1, 2]);
    const next = make();
    const transport = next();
    const first = await start(transport, servers[0], servers);
    await expect(start(next(), servers[0], servers)).rejects.toThrow();
    await first.close();
    const second = await run(transport, servers[0], servers);
    const b = await run(next(), servers[1], servers);
    const out = b.dial(1);
    out.link.send(ack(1));
    await until(() => second.accepted[0]?.got.length === 1);
  });
});

describe.each(kinds)('election links over %s', (_name, make) => {
  it.each([
    [1, 2],
    [2, 1],
  ])('a message from %i comes to %i, whoever has the larger id', async (from, to) => {
    const servers = await addresses([1, 2]);
    const next = make();
    const one = await run(next(), servers[0], servers);
    const two = await run(next(), servers[1], servers);
    const [sender, receiver] = from === 1 ? [one, two] : [two, one];
    sender.open.sendElection(to, vote(from));
    await until(() => leaders(receiver, from).length > 0);
    expect(leaders(receiver, from)).toEqual([from]);
    await until(() => one.open.electionLinkUp(2) && two.open.electionLinkUp(1));
    expect(sender.ups.at(-1)).toBe(`${to} up`);
    receiver.open.sendElection(from, vote(9));
    await until(() => leaders(sender, to).length === 1);
  });

  it('keeps only the newest message while there is no link, and sends the last one again on a new link', async () => {
    const servers = await addresses([1, 2]);
    const next = make();
    const one = await run(next(), servers[0], servers);
    for (let i = 1; i <= 5; i++) one.open.sendElection(2, vote(i));
    await until(() => one.ups.includes('2 down'));
    let two = await start(next(), servers[1], servers);
    await until(() => leaders(two, 1).length > 0);
    expect(leaders(two, 1)).toEqual([5]);
    await two.close();
    await until(() => !one.open.electionLinkUp(2));
    two = await run(next(), servers[1], servers);
    two.open.reconnectElection();
    await until(() => leaders(two, 1).length > 0);
    expect(leaders(two, 1)).toEqual([5]);
  });

  it('connects a whole ensemble, all talking at once', async () => {
    const ids = [1, 2, 3, 4, 5];
    const servers = await addresses(ids);
    const next = make();
    const all = await Promise.all(servers.map((self) => run(next(), self, servers)));
    for (const station of all) for (const id of ids) if (id !== station.self.id) station.open.sendElection(id, vote(station.self.id));
    await until(() => all.every((station) => ids.every((id) => id === station.self.id || leaders(station, id).includes(id))));
    await until(() => all.every((station) => ids.every((id) => id === station.self.id || station.open.electionLinkUp(id))));
  });

  it('ignores unknown ids and itself', async () => {
    const servers = await addresses([1, 2]);
    const one = await run(make()(), servers[0], servers);
    one.open.sendElection(9, vote(1));
    one.open.sendElection(1, vote(1));
    expect(one.open.electionLinkUp(9)).toBe(false);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect([...one.ups, ...one.election_]).toEqual([]);
  });

  it('sees at once that a peer has gone, and comes back by itself', async () => {
    const servers = await addresses([1, 2]);
    const next = make();
    const one = await run(next(), servers[0], servers);
    let two = await start(next(), servers[1], servers);
    one.open.sendElection(2, vote(1));
    two.open.sendElection(1, vote(2));
    await until(() => one.open.electionLinkUp(2) && leaders(one, 2).length > 0);
    const before = performance.now();
    await two.close();
    await until(() => one.ups.at(-1) === '2 down');
    expect(performance.now() - before).toBeLessThan(500);
    two = await run(next(), servers[1], servers);
    await until(() => leaders(two, 1).length > 0);
  });
});
