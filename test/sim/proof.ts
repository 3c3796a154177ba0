import { ZabError } from '../../src/model/errors.ts';
import { Chance } from '../../src/testing/chance.ts';
import { drawPlan, type WorkloadPlan } from '../../src/testing/clients/plan.ts';
import { Workload, type WorkloadStatistics } from '../../src/testing/clients/workload.ts';
import { together } from '../../src/testing/finale.ts';
import { Blind, type Deed, Violation } from '../../src/testing/probe.ts';
import type { RunControl, RunOptions } from '../../src/testing/run.ts';
import type { SharedOptions, SimulatedServer, Simulation, SimulationOptions } from '../../src/testing/simulation.ts';
import { drawOptions } from '../../src/testing/vary.ts';
import { QuorumRules } from '../../src/zab/quorum.ts';
import { drawFaultPlan, isLonely } from './plans.ts';

const ensembleOf = (seed: number): SharedOptions => drawOptions(seed).ensemble ?? {};

const drawRare = (seed: number): Chance => new Chance(seed, 'rare plans');

/** A leader that alone has clients finds servers whose memory of the log is as short as can be. */
function drawEnsemble(seed: number): SimulationOptions {
  const options = drawOptions(seed);
  return isLonely(drawRare(seed)) ? { ...options, ensemble: { ...options.ensemble, commitLogCount: 1 } } : options;
}

/** The proof of the replica under one seed: a drawn ensemble, clients, faults, then calm. */
export function proof(seed: number): RunOptions {
  const options = drawEnsemble(seed);
  const { tickTime = 2000, initLimit = 10, syncLimit = 5 } = ensembleOf(seed);
  const servers = (options.servers as readonly SimulatedServer[]).map(({ id }) => id);
  const chance = new Chance(seed, 'proof');
  const duration = chance.between(20, 120) * tickTime;
  return {
    simulation: options,
    duration,
    faults: drawFaultPlan(chance, drawRare(seed), { duration, servers, tickTime, syncLimit }),
    setup: async (sim) => {
      for (let i = drawClients(seed); i > 0; i--) sim.client();
    },
    scenario: (sim, control) => run(sim, control, 8 * initLimit * tickTime + 4 * syncLimit * tickTime + 20_000),
  };
}

/** How many processes have their sessions over the wire. */
const drawClients = (seed: number): number => new Chance(seed, 'clients').pick([0, 0, 1, 2, 3]);

/** Where clients are in the servers' processes: mostly everywhere. With clients at one server alone nothing covers up what only that server has; and with none of them those over the wire are alone. */
function drawPlaces(sim: Simulation): readonly number[] {
  const chance = new Chance(sim.seed, 'places');
  if (isLonely(drawRare(sim.seed))) return [Math.max(...sim.participants)];
  if (sim.clients.length > 1 && chance.fork('none').chance(0.4)) return [];
  if (chance.chance(0.6)) return sim.servers;
  return [chance.chance(0.7) ? Math.max(...sim.participants) : chance.pick(sim.servers)];
}

async function run(sim: Simulation, control: RunControl, patience: number): Promise<Map<string, number>> {
  const workload = new Workload({
    chance: new Chance(sim.seed, 'workload'),
    plan: drawBounded(sim, control.duration),
    now: () => sim.now,
    report: (violation) => sim.kernel.fail(violation),
    tickTime: sim.tickTime,
  });
  sim.addProbe(workload.probe);
  sim.addProbe(new CleanLinks(sim));
  // A system without durable writes takes a write and a sync.
  if (new Chance(sim.seed, 'disks').chance(0.3)) for (const id of sim.servers) sim.disk(id).durableWrites = false;
  for (const id of drawPlaces(sim)) sim.spawn(id, (program) => workload.boot(program));
  for (const client of sim.clients) client.spawn((program) => workload.bootClient(program));
  await sim.advance(control.duration);
  await core(sim, control, patience);
  control.calm();
  await within(sim, patience, 'everybody serves', () => sim.leader !== undefined && sim.servers.every((id) => sim.serves(id, sim.leader!)));
  // The clients' pauses run out as well.
  workload.calm(Math.max(sim.now, ...sim.clients.map(({ machine }) => machine.pausedUntil)));
  await sim.advance(25 * sim.tickTime);
  workload.quiet();
  await sim.advance(10 * sim.tickTime);
  await within(sim, patience, 'everybody has the same', () => together(sim));
  const { containerCheckInterval = 60_000 } = ensembleOf(sim.seed);
  if (containerCheckInterval < patience / 4)
    await within(sim, patience, 'empty containers are gone', () => sim.servers.every((id) => isClean(sim, id)));
  return countsOf(workload.finish());
}

/** NoBadInput: servers that are all right never send what can't be read, wherever the stream is torn. */
class CleanLinks extends Blind {
  readonly #sim: Simulation;

  constructor(sim: Simulation) {
    super();
    this.#sim = sim;
  }

  override did(server: number, what: Deed): void {
    if (what === 'badInput') this.#sim.kernel.fail(new Violation('NoBadInput', `server ${server} can't read what another has sent`));
  }
}

/** Whether a server's tree has no container that had children and has none. */
function isClean(sim: Simulation, id: number): boolean {
  const tree = sim.treeOf(id);
  return [...tree.owners.containers].every((slot) => !tree.isCleanable(slot, 0));
}

/** Many small runs find more than a few large ones: clients pause long enough for about so many calls in a run. */
const CALLS = 1500;

function drawBounded(sim: Simulation, duration: number): WorkloadPlan {
  const plan = drawPlan(new Chance(sim.seed, 'plan'));
  const clients = plan.clientsPerServer * (sim.servers.length + sim.clients.length);
  const pause = Math.ceil((2 * clients * (duration + 35 * sim.tickTime)) / CALLS);
  return { ...plan, pause: [0, Math.max(plan.pause[1], pause)] };
}

/** Safety is not enough: with nothing but a quorum left there must be progress, and whoever is cut off from it must know that. */
async function core(sim: Simulation, control: RunControl, patience: number): Promise<void> {
  const chance = new Chance(sim.seed, 'core');
  if (!control.mayLose) return;
  const lost = drawLost(sim, chance);
  const cutOff = lost.length > 0 && chance.chance(0.5);
  sim.kernel.note(0, `only a quorum goes on, without ${lost}`);
  control.calmExcept(cutOff ? [] : lost);
  const core = sim.servers.filter((id) => !lost.includes(id));
  if (cutOff) sim.partition(lost, core);
  await within(sim, patience, `a quorum goes on without ${lost}`, () =>
    core.some((id) => sim.isUp(id) && sim.leader !== undefined && sim.serves(id, sim.leader)),
  );
  await writes(sim, chance, core, patience);
  const givenUp = (id: number): boolean => !sim.isUp(id) || sim.node(id).role === 'looking';
  await within(sim, patience, `nobody of ${lost} serves any more`, () => lost.every(givenUp));
}

/** Somebody can open and close a session. */
async function writes(sim: Simulation, chance: Chance, servers: readonly number[], patience: number): Promise<void> {
  const deadline = sim.now + patience;
  for (;;) {
    const id = chance.pick(servers);
    try {
      if (sim.isUp(id)) {
        const session = await sim.openSession(id);
        await session.close();
        return;
      }
    } catch (error) {
      if (sim.failure !== null || !(error instanceof ZabError)) throw error;
    }
    if (sim.now > deadline) throw new Violation('Liveness', `servers ${servers} alone can write nothing within ${patience} ms`);
    await sim.advance(100);
  }
}

/** Servers to give up, so that a quorum of the participants is left. */
function drawLost(sim: Simulation, chance: Chance): number[] {
  const quorum = new QuorumRules(sim.specs.filter((spec) => spec.role !== 'observer'));
  const lost: number[] = [];
  for (const id of chance.shuffle(sim.servers)) {
    const left = sim.participants.filter((other) => other !== id && !lost.includes(other));
    const bits = left.reduce((sum, other) => sum | quorum.bit(other), 0);
    if (quorum.isQuorum(bits)) lost.push(id);
  }
  return lost;
}

async function within(sim: Simulation, ms: number, what: string, condition: () => boolean): Promise<void> {
  try {
    await sim.until(condition, ms);
  } catch (error) {
    throw (
      sim.failure ??
      new Violation('Liveness', `not within ${ms} simulated ms after the faults: ${what}; ${sim.states()} (${(error as Error).name})`)
    );
  }
}

function countsOf(statistics: WorkloadStatistics): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [kind, outcomes] of Object.entries(statistics.calls))
    for (const [outcome, count] of Object.entries(outcomes)) counts.set(`${kind}: ${outcome}`, count);
  const { committed, sessions, resumed, expired, watchEvents, untold } = statistics;
  for (const [name, count] of Object.entries({ committed, sessions, resumed, expired, watchEvents, untold })) counts.set(name, count);
  return counts;
}
