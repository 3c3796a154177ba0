import { describe, expect, it } from 'vitest';
import { Kernel } from '../../src/testing/kernel.ts';
import { Machine } from '../../src/testing/machine.ts';
import { Trace } from '../../src/testing/trace.ts';
import { TransportBench, type TransportHarness } from '../../src/testing/transport-bench.ts';
import { type TransportAbilities, transportConformance } from '../../src/testing/transport-conformance.ts';
import { acks } from '../../src/testing/transport-samples.ts';
import { MemoryNetwork } from '../../src/transport/memory.ts';
import { nodeSockets } from '../../src/transport/node-sockets.ts';
import { tcpTransport } from '../../src/transport/tcp.ts';
import { Cuts } from './cuttable.ts';
import { addresses, clock } from './rig.ts';

function memory(network: MemoryNetwork): Omit<TransportHarness, 'clock'> {
  return {
    addresses: async (ids) => ids.map((id) => ({ id, host: 'memory', quorumPort: 1, electionPort: 2 })),
    transport: () => network.transport(),
    cut: (a, b) => network.cut(a, b),
    stall: (a, b) => network.cut(a, b, { stall: true }),
    heal: () => network.heal(),
  };
}

async function memoryInRealTime(): Promise<TransportHarness> {
  return { clock, ...memory(new MemoryNetwork(clock)) };
}

const memoryInSimulatedTime = (delay: (from: number, to: number) => number) => async (): Promise<TransportHarness> => {
  const kernel = new Kernel(new Trace(0), 1_000_000);
  const machine = new Machine(kernel, 1);
  machine.boot();
  const network = new MemoryNetwork(machine.clock);
  network.setDelay(delay);
  return { clock: machine.clock, ...memory(network), until: (condition, what) => kernel.until(condition, 10_000, () => what) };
};

async function loopback(): Promise<TransportHarness> {
  const cuts = new Cuts(nodeSockets());
  return {
    clock,
    async addresses(ids) {
      cuts.servers = await addresses(ids);
      return cuts.servers;
    },
    transport: (id) => tcpTransport({ sockets: cuts.socketsOf(id) }),
    cut: (a, b) => cuts.cut(a, b),
    heal: () => cuts.heal(),
  };
}

const kinds: [string, () => Promise<TransportHarness>, TransportAbilities][] = [
  ['memory network', memoryInRealTime, { cuts: true, stalls: true }],
  ['memory network in simulated time', memoryInSimulatedTime(() => 0), { cuts: true, stalls: true }],
  ['memory network with delays', memoryInSimulatedTime((from, to) => 0.3 * from + 2.7 * to), { cuts: true, stalls: true }],
  ['TCP on this machine', loopback, { cuts: true }],
];

for (const [kind, make, abilities] of kinds) {
  describe(kind, () => {
    for (const { name, run } of transportConformance(make, abilities)) it(name, run);
  });
}

// No promise of the seam, but what makes both fast.
describe.each(kinds)('%s', (_kind, make) => {
  it('hands over in few calls what was sent in one turn', async () => {
    const bench = new TransportBench(await make());
    const [a, b] = await bench.pair();
    const [out, inn] = await bench.link(a, b);
    out.send(...acks(1, 500));
    await bench.until(() => inn.got.length === 500, 'all have come');
    expect(inn.batches).toBeLessThan(20);
    await bench.end();
  });
});
