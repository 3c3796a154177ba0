import type { Session } from '../../src/node/api.ts';
import { runSeed } from '../../src/testing/run.ts';
import { createSimulation, type Simulation, type SimulationOptions } from '../../src/testing/simulation.ts';

/** An ensemble of which nothing is left to defaults that may change. */
const OPTIONS: Omit<SimulationOptions, 'seed'> = {
  servers: 3,
  observers: 1,
  latency: [0.2, 1.5],
  diskLatency: [0.1, 3],
  preAllocSize: 8192,
  logSizeLimit: 4096,
  ensemble: { tickTime: 500, initLimit: 10, syncLimit: 4, snapCount: 30, commitLogCount: 10, maxSessionTimeout: 10_000, digest: true },
};

/** Writes of all kinds one after the other, whatever becomes of each; the order of all answers is what counts. */
async function write(sim: Simulation, session: Session, count: number, pause = 40): Promise<void> {
  for (let i = 0; i < count; i++) {
    const path = `/n${sim.chance.below(8)}`;
    const kind = sim.chance.below(4);
    const mode = sim.chance.pick(['persistent', 'ephemeral', 'ephemeralSequential', 'container'] as const);
    const done =
      kind === 0
        ? session.create(path, `${i}`, { mode })
        : kind === 1
          ? session.delete(path)
          : kind === 2
            ? session.setData(path, `${i}`)
            : session.sync();
    await done.then(
      () => {},
      () => {},
    );
    await sim.advance(sim.chance.below(pause));
  }
}

/** A script: a follower and then the leader die, the power fails, and the network is cut in between. */
async function script(seed: number): Promise<string> {
  const sim = createSimulation({ ...OPTIONS, seed });
  await sim.start();
  const session = await sim.openSession(1);
  await write(sim, session, 30);
  sim.crash(2);
  await write(sim, session, 10);
  sim.restart(2);
  await sim.settled();
  sim.partition(
    [sim.leader!],
    sim.servers.filter((id) => id !== sim.leader),
  );
  await sim.advance(8000);
  sim.heal();
  await sim.settled();
  for (const id of sim.servers) sim.crash(id, { power: true });
  await sim.start();
  await write(sim, await sim.openSession(3), 20);
  return `${sim.digest} ${sim.kernel.trace.events} events`;
}

/** Faults that the seed draws, under writes at every server. */
async function faults(seed: number): Promise<string> {
  const { digest, events, failure } = await runSeed(seed, {
    simulation: OPTIONS,
    duration: 8000,
    scenario: async (sim) => {
      const writers = sim.servers.map(async (id) => {
        if (sim.isUp(id)) await write(sim, await sim.openSession(id), 40, 300);
      });
      await Promise.allSettled(writers);
    },
  });
  return `${digest} ${events} events, ${failure === null ? 'nothing found' : failure.message}`;
}

/** A line for each run: equal on every machine and with every version of Node, as long as the code is the same. */
export async function fixedRuns(): Promise<string[]> {
  const lines: string[] = [];
  for (const seed of [1, 2 ** 40 + 3]) lines.push(`script ${seed}: ${await script(seed)}`);
  for (const seed of [4, 5]) lines.push(`faults ${seed}: ${await faults(seed)}`);
  return lines;
}
