import { expect, test } from 'vitest';
import { fileStorage } from '../../src/storage/file-storage.ts';
import { finale } from '../../src/testing/finale.ts';
import { Violation } from '../../src/testing/probe.ts';
import { createSimulation, type ProcessParts, type SimulationOptions } from '../../src/testing/simulation.ts';
import { tcpTransport } from '../../src/transport/tcp.ts';

async function writeAndLosePower(options: Omit<SimulationOptions, 'seed'>): Promise<void> {
  using sim = createSimulation({ seed: 1, ...options });
  await sim.start();
  const session = await sim.openSession(1);
  for (let i = 0; i < 20; i++) await session.create(`/n${i}`, 'x');
  for (const id of sim.servers) sim.crash(id, { power: true, remains: 'nothing' });
  await sim.start();
  await finale(sim);
  expect(sim.node(2).tree.getData('/n19')?.text()).toBe('x');
}

test('a storage of the caller’s own runs on the simulated disk', async () => {
  const opened: number[] = [];
  const storage = ({ id, fs }: ProcessParts) => {
    opened.push(id);
    return fileStorage({ dataDir: '/elsewhere', fs, preAllocSize: 0 });
  };
  await writeAndLosePower({ storage });
  expect(opened).toEqual([1, 2, 3, 1, 2, 3]);
});

test('a storage that calls durable what is not is found out by a power loss', async () => {
  const storage = ({ fs }: ProcessParts) => fileStorage({ dataDir: '/data', fs, fsync: false });
  const failure = await writeAndLosePower({ storage }).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(Violation);
  expect((failure as Violation).rule).toBe('DurableIsKept');
});

test('a transport of the caller’s own runs on the simulated network', async () => {
  let dials = 0;
  const transport = ({ sockets }: ProcessParts) =>
    tcpTransport({
      sockets: {
        ...sockets,
        connect(host, port, handler) {
          dials++;
          return sockets.connect(host, port, handler);
        },
      },
    });
  await writeAndLosePower({ transport });
  expect(dials).toBeGreaterThan(4);
});
