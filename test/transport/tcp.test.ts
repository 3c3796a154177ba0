import { connect, createServer, type LookupFunction, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type TcpTransportOptions, tcpTransport } from '../../src/index.ts';
import { makeZxid } from '../../src/model/zxid.ts';
import type { ServerAddress, TransportOptions } from '../../src/seams/transport.ts';
import type { LinkLog, Station } from '../../src/testing/transport-kit.ts';
import { ack, vote } from '../../src/testing/transport-samples.ts';
import { encodeElectionHeader, encodeElectionMessage } from '../../src/wire/election.ts';
import { JuteWriter } from '../../src/wire/jute.ts';
import { encodeQuorumMessage } from '../../src/wire/quorum.ts';
import { LogEntry } from '../../src/zab/entry.ts';
import { type ElectionMessage, Packet, type QuorumMessage } from '../../src/zab/messages.ts';
import { concat, frames, fromHex, toHex } from '../wire/vectors.ts';
import { addresses, clock, countingClock, start, until } from './rig.ts';

const frame = (message: ElectionMessage): Uint8Array => {
  const w = new JuteWriter();
  encodeElectionMessage(w, message);
  return w.copy();
};
const bytesOf = (messages: readonly QuorumMessage[]): Uint8Array => {
  const w = new JuteWriter();
  for (const message of messages) encodeQuorumMessage(w, message);
  return w.copy();
};

/** A payload that passes as a transaction of `zxid`. */
function entry(counter: number, size: number): LogEntry {
  const zxid = makeZxid(1, counter);
  const w = new JuteWriter(size);
  w.raw(new Uint8Array(12));
  w.long(zxid);
  w.raw(new Uint8Array(size - 20));
  return new LogEntry(zxid, w.copy());
}

let cleanup: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const step of cleanup.reverse()) await step();
  cleanup = [];
});

async function run(
  self: ServerAddress,
  servers: readonly ServerAddress[],
  tcp: TcpTransportOptions = {},
  options: Partial<TransportOptions> = {},
): Promise<Station> {
  const station = await start(tcpTransport(tcp), self, servers, options);
  cleanup.push(async () => {
    await station.close();
    station.referee.check();
  });
  return station;
}

/** A plain socket and what came over it: another implementation's side. */
class Raw {
  received = Buffer.alloc(0);
  ended = false;
  constructor(readonly socket: Socket) {
    socket.on('data', (chunk) => {
      this.received = Buffer.concat([this.received, chunk]);
    });
    socket.on('error', () => {});
    socket.on('end', () => {
      this.ended = true;
    });
    socket.on('close', () => {
      this.ended = true;
    });
    cleanup.push(() => socket.destroy());
  }
}
async function rawConnect(port: number): Promise<Raw> {
  const raw = new Raw(connect({ host: '127.0.0.1', port, allowHalfOpen: true }));
  await new Promise((resolve) => raw.socket.once('connect', resolve));
  return raw;
}
async function rawServer(port: number): Promise<{ server: Server; connections: Raw[] }> {
  const connections: Raw[] = [];
  const server = createServer((socket) => connections.push(new Raw(socket)));
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  cleanup.push(() => server.close());
  return { server, connections };
}

const alive = async (station: Station, servers: readonly ServerAddress[]): Promise<void> => {
  const before = station.accepted.length;
  const raw = await rawConnect(servers[station.self.id - 1].quorumPort);
  raw.socket.write(bytesOf([ack(77)]));
  await until(() => station.accepted.slice(before).some((log) => log.got.length === 1));
  raw.socket.destroy();
};

describe('the election port in ZooKeeper terms', () => {
  it('a smaller id knocks: header, then closed; the larger one connects back and stays', async () => {
    const servers = await addresses([1, 2]);
    const larger = await rawServer(servers[1].electionPort);
    const one = await run(servers[0], servers);
    one.open.sendElection(2, vote(1));
    const knock = await until(() => larger.connections[0]);
    await until(() => knock.ended);
    const header = encodeElectionHeader({ sid: 1, addresses: [`127.0.0.1:${servers[0].electionPort}`] });
    expect(toHex(knock.received)).toBe(toHex(header));
    expect(one.ups).toEqual([]);
    const back = await rawConnect(servers[0].electionPort);
    back.socket.write(concat([encodeElectionHeader({ sid: 2, addresses: ['x:1'] }), frame(vote(2))]));
    await until(() => one.elections.length === 1);
    expect(one.open.electionLinkUp(2)).toBe(true);
    await until(() => back.received.length > 0);
    expect(toHex(back.received)).toBe(toHex(frame(vote(1))));
  });

  it('a larger id answers a knock by closing it and connecting, to the address it knows', async () => {
    const servers = await addresses([1, 2]);
    const smaller = await rawServer(servers[0].electionPort);
    const two = await run(servers[1], servers);
    const knock = await rawConnect(servers[1].electionPort);
    knock.socket.write(encodeElectionHeader({ sid: 1, addresses: ['203.0.113.1:1'] }));
    await until(() => knock.ended);
    const link = await until(() => smaller.connections[0]);
    await until(() => two.open.electionLinkUp(1));
    link.socket.write(frame(vote(1)));
    await until(() => two.elections.length === 1);
    expect(toHex(link.received)).toBe(toHex(encodeElectionHeader({ sid: 2, addresses: [`127.0.0.1:${servers[1].electionPort}`] })));
  });

  it('a new valid connection replaces the old one, without a word of a loss', async () => {
    const servers = await addresses([1, 2]);
    const one = await run(servers[0], servers);
    const header = encodeElectionHeader({ sid: 2, addresses: ['x:1'] });
    const first = await rawConnect(servers[0].electionPort);
    first.socket.write(header);
    await until(() => one.open.electionLinkUp(2));
    const second = await rawConnect(servers[0].electionPort);
    second.socket.write(concat([header, frame(vote(2))]));
    await until(() => first.ended && one.elections.length === 1);
    expect(one.ups).toEqual(['2 up', '2 up']);
  });

  it('a knock long after its link came up drops the link and makes a new one', async () => {
    const servers = await addresses([1, 2]);
    const smaller = await rawServer(servers[0].electionPort);
    let ahead = 0;
    const two = await run(servers[1], servers, {}, { clock: { ...clock, now: () => clock.now() + ahead } });
    two.open.sendElection(1, vote(2));
    await until(() => smaller.connections.length === 1);
    ahead = 250;
    const knock = await rawConnect(servers[1].electionPort);
    knock.socket.write(encodeElectionHeader({ sid: 1, addresses: ['x:1'] }));
    await until(() => smaller.connections.length === 2);
    await until(() => smaller.connections[0].ended);
    await until(() => two.open.electionLinkUp(1));
    expect(two.ups).toEqual(['1 up', '1 down', '1 up']);
  });
});

describe('bad input on the election port', () => {
  it.each([
    ['an unknown id', encodeElectionHeader({ sid: 77, addresses: ['x:1'] })],
    ['our own id', encodeElectionHeader({ sid: 1, addresses: ['x:1'] })],
    ['a negative id', fromHex('ffffffffffff0000ffffffffffffffff0000000178')],
    ['another version', fromHex('fffffffffffffff0000000000000000200000001')],
    ['an address without end', fromHex('ffffffffffff000000000000000000027fffffff')],
    ['an HTTP request', new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n')],
  ])('closes a connection with %s', async (_what, bytes) => {
    const servers = await addresses([1, 2]);
    const logged: string[] = [];
    const one = await run(servers[0], servers, {}, { logger: (_level, message) => logged.push(message) });
    const raw = await rawConnect(servers[0].electionPort);
    raw.socket.write(bytes);
    await until(() => raw.ended);
    expect([...one.ups, ...one.elections]).toEqual([]);
    expect(logged.length).toBe(1);
    const two = await run(servers[1], servers);
    two.open.sendElection(1, vote(2));
    await until(() => one.elections.length === 1);
  });

  it('closes a connection that says nothing, and many of those keep nobody out', async () => {
    const servers = await addresses([1, 2]);
    const one = await run(servers[0], servers, {}, { connectTimeout: 400 });
    const silent = await Promise.all(Array.from({ length: 200 }, () => rawConnect(servers[0].electionPort)));
    const two = await run(servers[1], servers);
    two.open.sendElection(1, vote(2));
    await until(() => one.elections.length === 1);
    await until(() => silent.every((raw) => raw.ended));
  });

  it.each([
    ['00000000', 'an empty frame'],
    ['ffffffff', 'a negative frame'],
    ['00080001', 'an oversized frame'],
  ])('closes the link of a member that sends %s, %s, and takes it again', async (hex) => {
    const servers = await addresses([1, 2, 3]);
    const one = await run(servers[0], servers);
    const three = await run(servers[2], servers);
    three.open.sendElection(1, vote(3));
    const raw = await rawConnect(servers[0].electionPort);
    raw.socket.write(encodeElectionHeader({ sid: 2, addresses: ['x:1'] }));
    await until(() => one.open.electionLinkUp(2));
    raw.socket.write(concat([frame(vote(8)), fromHex('000000050102030405'), fromHex(hex)]));
    await until(() => raw.ended && one.ups.includes('2 down'));
    expect(one.elections.filter((e) => e.from === 2).length).toBe(1);
    expect(one.open.electionLinkUp(3)).toBe(true);
    const again = await rawConnect(servers[0].electionPort);
    again.socket.write(encodeElectionHeader({ sid: 2, addresses: ['x:1'] }));
    await until(() => one.open.electionLinkUp(2));
  });
});

describe('bad input on the quorum port', () => {
  const zxid = '0000000100000001';
  it.each([
    ['an unknown type', fromHex(`00000063${zxid}ffffffffffffffff`)],
    ['an oversized packet', fromHex(`00000002${zxid}00100000`)],
    ['a negative length', fromHex(`00000003${zxid}80000000`)],
    ['a SNAP from a learner', fromHex(`0000000f${zxid}ffffffffffffffff`)],
    ['text', new TextEncoder().encode('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
  ])('closes a link with %s after what came before it', async (_what, bytes) => {
    const servers = await addresses([1]);
    const one = await run(servers[0], servers);
    const good = await rawConnect(servers[0].quorumPort);
    const raw = await rawConnect(servers[0].quorumPort);
    raw.socket.write(concat([bytesOf([ack(1)]), bytes]));
    await until(() => raw.ended);
    const log = one.accepted.find((l) => l.ends.length > 0) as LinkLog;
    expect(log.got).toEqual([ack(1)]);
    expect(log.ends.length).toBe(1);
    expect(log.ends[0]).toMatch(/bad input/);
    good.socket.write(bytesOf([ack(2)]));
    await until(() => one.accepted.some((l) => l.got.length === 1 && l.ends.length === 0));
  });

  it('lives through random bytes, resets and cuts at any place', async () => {
    const servers = await addresses([1]);
    const one = await run(servers[0], servers);
    let seed = 99;
    const random = (n: number) => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) % n;
    for (let i = 0; i < 40; i++) {
      const quorum = i % 2 === 0;
      const raw = await rawConnect(quorum ? servers[0].quorumPort : servers[0].electionPort);
      const good = bytesOf([ack(1), { type: Packet.PROPOSAL, entry: entry(3, 90) }]);
      raw.socket.write(i % 4 < 2 ? Uint8Array.from({ length: random(500) }, () => random(256)) : good.subarray(0, random(good.length)));
      if (random(2) === 0) raw.socket.resetAndDestroy();
      else raw.socket.end();
    }
    await until(() => one.accepted.length === 20 && one.accepted.every((log) => log.ends.length === 1));
    await alive(one, servers);
  });
});

describe('links that end', () => {
  it.each(['end', 'resetAndDestroy'] as const)('%s of the other side closes the link at once, though it stays half open', async (how) => {
    const servers = await addresses([1, 2]);
    const peer = await rawServer(servers[1].quorumPort);
    const one = await run(servers[0], servers);
    const out = one.dial(2);
    const raw = await until(() => peer.connections[0]);
    out.link.send(ack(1));
    await until(() => raw.received.length > 0);
    raw.socket[how]();
    await until(() => out.ends.length === 1, undefined, 1000);
    out.link.send(ack(2));
  });

  it('an attempt to connect is given up in time', async () => {
    const servers = await addresses([1]);
    // A name that is never resolved stands for a host that never answers.
    const lookup: LookupFunction = () => {};
    const all = [...servers, { ...servers[0], id: 2, host: 'silent.invalid' }];
    const one = await run(servers[0], all, { lookup }, { connectTimeout: 100 });
    const out = one.dial(2);
    one.open.sendElection(2, vote(1));
    await until(() => out.ends.length === 1);
    expect(out.ends[0]).toMatch(/timeout/);
    await until(() => one.ups.includes('2 down'));
  });

  it('a slow reader is seen in `buffered`, keeps nobody waiting, and drains in the end', async () => {
    const servers = await addresses([1, 2, 3]);
    const peer = await rawServer(servers[1].quorumPort);
    const one = await run(servers[0], servers);
    const three = await run(servers[2], servers);
    const slow = one.dial(2);
    const raw = await until(() => peer.connections[0]);
    raw.socket.pause();
    const fast = one.dial(3);
    let sent = 0;
    const limit = 64 * 1024 * 1024;
    for (let i = 1; slow.link.buffered < 8 * 1024 * 1024 && sent < limit; i++) {
      for (let k = 0; k < 20; k++) {
        const message: QuorumMessage = { type: Packet.PROPOSAL, entry: entry(i * 20 + k, 50_000) };
        slow.link.send(message);
        sent += bytesOf([message]).length;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(slow.link.buffered).toBeGreaterThan(4 * 1024 * 1024);
    const drains = slow.drains;
    fast.link.send(ack(1));
    await until(() => three.accepted[0]?.got.length === 1);
    expect(slow.drains).toBe(drains);
    // Only counting from here on: putting the bytes together would take longer than sending them.
    let received = raw.received.length;
    raw.socket.removeAllListeners('data');
    raw.socket.on('data', (chunk) => {
      received += chunk.length;
    });
    raw.socket.resume();
    await until(() => received === sent, undefined, 20_000);
    await until(() => slow.drains > drains);
    expect(slow.link.buffered).toBe(0);
  }, 40_000);
});

describe('a captured ZooKeeper leader', () => {
  it('is understood through a real socket in odd chunks', async () => {
    const servers = await addresses([1, 2]);
    const peer = await rawServer(servers[1].quorumPort);
    const one = await run(servers[0], servers);
    const rows = frames('quorum-join-snap.jsonl').filter((row) => row.dir === 'leader->learner');
    const bytes = concat(rows.map((row) => fromHex(row.frame)));
    const out = one.dial(2);
    const raw = await until(() => peer.connections[0]);
    for (let at = 0; at < bytes.length; at += 1777) {
      raw.socket.write(bytes.subarray(at, at + 1777));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const packets = rows.filter((row) => row.decoded.kind === 'QuorumPacket');
    await until(() => out.got.filter((m) => m.type > 0).length === packets.length);
    expect(out.got.filter((m) => m.type > 0).map((m) => m.type)).toEqual(packets.map((row) => row.decoded.type));
    expect(toHex(bytesOf(out.got))).toBe(toHex(bytes));
  });
});

describe('names and ports', () => {
  it('a port in use is an error that names it, and nothing stays open', async () => {
    const servers = await addresses([1]);
    await rawServer(servers[0].electionPort);
    await expect(run(servers[0], servers)).rejects.toThrow(new RegExp(`${servers[0].electionPort}.*EADDRINUSE`));
    const { server } = await rawServer(servers[0].quorumPort);
    expect(server.listening).toBe(true);
  });

  it('a port that can be none is an error, not an exception', async () => {
    const [server] = await addresses([1]);
    await expect(run({ ...server, electionPort: 70_000 }, [server])).rejects.toThrow(/70000/);
    const one = await run(server, [server, { ...server, id: 2, quorumPort: 70_000, electionPort: 70_000 }]);
    const out = one.dial(2);
    one.open.sendElection(2, vote(1));
    await until(() => out.ends.length === 1 && one.ups.includes('2 down'));
  });

  it('a name that cannot be resolved is a failed attempt, and is tried again (faults 3320, 3756)', async () => {
    const servers = await addresses([1, 2]);
    let broken = true;
    const lookup: LookupFunction = (host, options, callback) => {
      const error: NodeJS.ErrnoException | null =
        broken && host !== '127.0.0.1' ? Object.assign(new Error(`ENOTFOUND ${host}`), { code: 'ENOTFOUND' }) : null;
      setImmediate(() => (options.all ? callback(error, [{ address: '127.0.0.1', family: 4 }]) : callback(error, '127.0.0.1', 4)));
    };
    const named = servers.map((server) => ({ ...server, host: `server${server.id}.invalid` }));
    setTimeout(() => {
      broken = false;
    }, 300);
    // Its own name cannot be resolved either at first: it waits and does not fail.
    const one = await run(named[0], named, { lookup }, { connectTimeout: 3000 });
    expect(broken).toBe(false);
    broken = true;
    const two = await run(named[1], named, { lookup, listenHost: '127.0.0.1' });
    const out = two.dial(1);
    two.open.sendElection(1, vote(2));
    await until(() => out.ends.length === 1 && two.ups.includes('1 down'));
    expect(out.ends[0]).toMatch(/ENOTFOUND/);
    broken = false;
    await until(() => one.elections.length > 0);
  });

  it('an own name that stays unknown is an error of open', async () => {
    const [server] = await addresses([1]);
    const lookup: LookupFunction = (_host, _options, callback) => callback(new Error('no such name'), '');
    await expect(run({ ...server, host: 'nobody.invalid' }, [server], { lookup }, { connectTimeout: 200 })).rejects.toThrow(
      /nobody.invalid.*no such name/,
    );
  });
});

describe('closing', () => {
  it('leaves no handle behind', async () => {
    const handles = () => process.getActiveResourcesInfo().filter((kind) => /TCP|GetAddrInfo/.test(kind)).length;
    const before = handles();
    const servers = await addresses([1, 2, 3]);
    const counting = countingClock();
    const one = await start(tcpTransport(), servers[0], servers, { clock: counting });
    const two = await start(tcpTransport(), servers[1], servers, { clock: counting });
    one.dial(2);
    one.dial(3);
    for (const [station, peer] of [
      [one, 2],
      [one, 3],
      [two, 1],
      [two, 3],
    ] as const) {
      station.open.sendElection(peer, vote(1));
    }
    await until(() => one.open.electionLinkUp(2) && two.accepted.length === 1);
    expect(counting.timers()).toBeGreaterThan(0);
    await Promise.all([one.close(), two.close()]);
    one.open.sendElection(2, vote(1));
    one.open.reconnectElection();
    one.dial(2).link.send(ack(1));
    expect(counting.timers()).toBe(0);
    await until(() => handles() <= before);
  });
});
