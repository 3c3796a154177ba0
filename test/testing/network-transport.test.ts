import { describe, expect, it } from 'vitest';
import { makeZxid } from '../../src/model/zxid.ts';
import type { ServerAddress } from '../../src/seams/transport.ts';
import { Chance } from '../../src/testing/chance.ts';
import type { TransportHarness } from '../../src/testing/transport-bench.ts';
import { transportConformance } from '../../src/testing/transport-conformance.ts';
import type { LinkLog, Station } from '../../src/testing/transport-kit.ts';
import { tcpTransport } from '../../src/transport/tcp.ts';
import { Packet, type QuorumMessage } from '../../src/zab/messages.ts';
import { start } from '../transport/rig.ts';
import { Rig } from './network-kit.ts';

const IDS = [1, 2, 3, 4];

function serversOf(ids: readonly number[]): ServerAddress[] {
  return ids.map((id) => ({ id, host: `host${id}`, quorumPort: 2888, electionPort: 3888 }));
}

function harness(rig: Rig): TransportHarness {
  return {
    clock: rig.machines[0].clock,
    addresses: async (ids) => serversOf(ids),
    transport: (id) => tcpTransport({ sockets: rig.sockets[id] }),
    until: (condition, what) => rig.until(condition, what, 10_000),
    // A cut that is never healed in time: patience breaks what stands.
    cut: (a, b) => rig.network.partition([a], [b]),
    stall: (a, b) => rig.network.partition([a], [b]),
    heal: () => rig.network.heal(),
  };
}

describe('the TCP transport over simulated sockets keeps the contract of transports', () => {
  const torn = { latency: { min: 0.1, max: 5 }, tear: 1, segment: 2000, window: 30_000, bytesPerMs: 10_000 };
  const kinds = {
    'fast network whose connections break when they are cut': { make: async () => harness(new Rig(9, 1, { breakAfter: 300 })), cuts: true },
    'network that tears everything': { make: async () => harness(new Rig(9, 2, { ...torn, breakAfter: Infinity })), stalls: true },
  };
  for (const [kind, { make, ...abilities }] of Object.entries(kinds))
    for (const { name, run } of transportConformance(make, abilities)) it(`${kind}: ${name}`, run);
});

/** The two numbers of a message in a storm: of its link, and of itself. */
const numbersOf = (message: QuorumMessage): [number, number] => ('zxid' in message ? [message.zxid.high, message.zxid.low] : [0, 0]);

/** Transports of four servers that dial, send and close by chance, while the network has every fault there is. */
class Storm {
  readonly rig: Rig;
  readonly chance: Chance;
  readonly stations: Station[] = [];
  /** Numbers of the links, and how many messages were sent on each: by the dialling side, by the other one. */
  readonly sent: [number, number][] = [];
  readonly dialled: LinkLog[] = [];

  constructor(seed: number) {
    this.chance = new Chance(seed, 'storm');
    this.rig = new Rig(IDS.length, seed, { loss: 0.01, window: 20_000, breakAfter: 3000, bytesPerMs: 1000 });
  }

  async open(): Promise<void> {
    for (const id of IDS) {
      const { clock } = this.rig.machines[id];
      const transport = tcpTransport({ sockets: this.rig.sockets[id] });
      const servers = serversOf(IDS);
      this.stations.push(await this.rig.kernel.keepRunning(start(transport, servers[id - 1], servers, { clock })));
    }
  }

  step(): void {
    const { chance, rig } = this;
    const [a, b] = chance.shuffle(IDS);
    const { network } = rig;
    switch (chance.below(12)) {
      case 0:
        return network.cut(a, b);
      case 1:
        return network.isolate(a);
      case 2:
      case 3:
        return network.heal(...(chance.below(2) === 0 ? [] : [a]));
      case 4:
        return void network.reset(a, b);
      case 5:
        return rig.machines[a].pause(chance.below(2000));
      case 6:
        return network.slow(a, b, { bytesPerMs: chance.between(1, 50) });
      case 7:
        return network.failLookups(`host${a}`, chance.below(1000));
      case 8:
        return this.#dial(a, b);
      default:
        for (const link of chance.shuffle(this.dialled).slice(0, 5)) this.#send(link);
    }
  }

  #dial(from: number, to: number): void {
    const log = this.stations[from - 1].dial(to);
    this.dialled.push(log);
    this.sent.push([0, 0]);
    this.#send(log);
  }

  /** Message n of link l is an ACK of zxid l.n; the other side numbers its own. */
  #send(log: LinkLog): void {
    const at = this.dialled.indexOf(log);
    for (let i = this.chance.between(1, 20); i > 0; i--) log.link.send(this.#message(at, 0));
    const other = this.#acceptedOf(at);
    if (other !== undefined) for (let i = this.chance.between(1, 20); i > 0; i--) other.link.send(this.#message(at, 1));
    if (this.chance.below(40) === 0) log.link.close('chance');
  }

  #message(link: number, side: 0 | 1): QuorumMessage {
    return { type: Packet.ACK, zxid: makeZxid(link + 1, ++this.sent[link][side]) };
  }

  #acceptedOf(link: number): LinkLog | undefined {
    return this.stations.flatMap(({ accepted }) => accepted).find(({ got }) => got.length > 0 && numbersOf(got[0])[0] === link + 1);
  }

  /** What a side has got must be the beginning of what the other side has sent. */
  check(): number {
    let messages = 0;
    const prefix = ({ got }: LinkLog, link: number, sent: number): void => {
      messages += got.length;
      expect(got.length).toBeLessThanOrEqual(sent);
      expect(got.map(numbersOf)).toEqual(got.map((_, i) => [link + 1, i + 1]));
    };
    for (const [link, log] of this.dialled.entries()) {
      prefix(log, link, this.sent[link][1]);
      const other = this.#acceptedOf(link);
      if (other !== undefined) prefix(other, link, this.sent[link][0]);
    }
    return messages;
  }

  allLinked(): boolean {
    return this.stations.every(({ open, self }) => IDS.every((id) => id === self.id || open.electionLinkUp(id)));
  }
}

describe('an ensemble of TCP transports in a storm', () => {
  async function run(seed: number): Promise<{ digest: string; messages: number }> {
    const storm = new Storm(seed);
    await storm.open();
    for (const { open } of storm.stations) open.reconnectElection();
    await storm.rig.until(() => storm.allLinked(), 'all election links', 10_000);
    for (let i = 0; i < 300; i++) {
      storm.step();
      await storm.rig.pass(storm.chance.below(100));
    }
    storm.rig.network.heal();
    await storm.rig.pass(40_000);
    await storm.rig.until(() => storm.allLinked(), 'all election links again', 5000);
    const messages = storm.check();
    await storm.rig.kernel.keepRunning(Promise.all(storm.stations.map((station) => station.close())));
    await storm.rig.pass(5000);
    expect(storm.rig.network.connections()).toEqual([]);
    return { digest: storm.rig.kernel.trace.digest, messages };
  }

  it('every link gives the beginning of what was sent, in order; election links come up again; nothing is left after the close', async () => {
    let messages = 0;
    for (let seed = 1; seed <= 15; seed++) messages += (await run(seed)).messages;
    expect(messages).toBeGreaterThan(10_000);
  });

  it('the same seed gives the same storm', async () => {
    const [first, second, other] = [await run(99), await run(99), await run(100)];
    expect(second).toEqual(first);
    expect(other.digest).not.toBe(first.digest);
  });
});
