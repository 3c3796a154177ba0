import { Op } from '../../../src/model/codes.ts';
import { Chance } from '../../../src/testing/chance.ts';
import { type Difference, explain } from './differences.ts';
import { Generator, SUPER_SLOT } from './generator.ts';
import { Player, type Shown, type Target } from './player.ts';
import type { Step } from './steps.ts';
import { dump } from './tree-dump.ts';
import type { Plain } from './view.ts';

export interface RunOptions {
  readonly seed: number;
  /** Requests, at least. */
  readonly operations: number;
  readonly reference: Target;
  readonly other: Target;
}

export interface RunReport {
  readonly operations: number;
  readonly steps: number;
  readonly znodes: number;
  readonly events: number;
  /** How often each operation and each error came, by name. */
  readonly counts: Readonly<Record<string, number>>;
  /** The known differences that were met. */
  readonly known: ReadonlyMap<Difference, number>;
}

/** Plays the same steps on two targets, each step to its end on both, and throws an error that tells the first difference that is not known. */
export async function differentialRun({ seed, operations, reference, other }: RunOptions): Promise<RunReport> {
  const run = new Run(new Generator(new Chance(seed, 'differential')), new Player(reference), new Player(other));
  try {
    while (run.operations < operations) await run.step();
    return await run.finish();
  } finally {
    await run.end();
  }
}

class Run {
  operations = 0;
  readonly #generator: Generator;
  readonly #players: readonly [Player, Player];
  readonly #counts: Record<string, number> = {};
  readonly #known = new Map<Difference, number>();
  readonly #past: Step[] = [];
  #steps = 0;
  #events = 0;

  constructor(generator: Generator, reference: Player, other: Player) {
    this.#generator = generator;
    this.#players = [reference, other];
  }

  async step(): Promise<void> {
    const step = this.#generator.next();
    this.#steps++;
    this.#past.push(step);
    if (this.#past.length > 6) this.#past.shift();
    // The order in which the end of a session deletes its znodes is nobody's business: what it tells is looked at by itself.
    const isEnd = step.kind === 'close' || step.kind === 'expire';
    if (isEnd) this.#compare('before the end of a session', ...(await this.#both((player) => player.settle())));
    const [expected, found] = await this.#both((player) => player.play(step));
    this.#compare(step, expected, found);
    if (isEnd) this.#compare('after the end of a session', ...(await this.#both(async (player) => sorted(await player.settle()))));
    this.#generator.learn(step, expected);
    if (expected.outcome === 'closed' && step.kind === 'calls') throw this.#failure(step, expected, found);
    this.#count(step, expected);
  }

  async finish(): Promise<RunReport> {
    this.#compare('at the end', ...(await this.#both((player) => player.settle())));
    const [expected, found] = await this.#both((player) => dump(player.client(SUPER_SLOT), player.view));
    const paths = new Set([...expected.keys(), ...found.keys()]);
    for (const path of paths) this.#compare(`znode ${path}`, expected.get(path) ?? null, found.get(path) ?? null);
    return {
      operations: this.operations,
      steps: this.#steps,
      znodes: expected.size,
      events: this.#events,
      counts: this.#counts,
      known: this.#known,
    };
  }

  async end(): Promise<void> {
    await Promise.all(this.#players.map((player) => player.end()));
  }

  async #both<T>(act: (player: Player) => Promise<T>): Promise<[T, T]> {
    const [reference, other] = this.#players;
    return Promise.all([act(reference), act(other)]);
  }

  #compare(at: Step | string, expected: Shown | Plain, found: Shown | Plain): void {
    if (JSON.stringify(expected) === JSON.stringify(found)) return;
    const difference = explain(at, expected, found);
    if (difference === undefined) throw this.#failure(at, expected, found);
    this.#known.set(difference, (this.#known.get(difference) ?? 0) + 1);
  }

  #failure(at: Step | string, expected: Shown | Plain, found: Shown | Plain): Error {
    const [reference, other] = this.#players;
    const show = (value: unknown) => JSON.stringify(value, null, 1);
    const [a, b] = [show(expected).split('\n'), show(found).split('\n')];
    const first = a.findIndex((line, i) => line !== b[i]);
    const from = Math.max(0, first - 12);
    const lines = [
      `difference at step ${this.#steps} (${this.operations} operations): ${typeof at === 'string' ? at : show(at)}`,
      `${reference.target.name}, from line ${from}:`,
      ...a.slice(from, first + 12),
      `${other.target.name}:`,
      ...b.slice(from, first + 12),
      'before it:',
      ...this.#past.slice(0, -1).map((step) => JSON.stringify(step).slice(0, 2000)),
    ];
    return new Error(lines.join('\n'));
  }

  #count(step: Step, { frames }: Shown): void {
    const add = (name: string) => {
      this.#counts[name] = (this.#counts[name] ?? 0) + 1;
    };
    add(`step ${step.kind}`);
    for (const frame of frames) {
      if (frame.kind === 'event') this.#events++;
      else if (frame.err !== 0) add(`error ${frame.err}`);
    }
    if (step.kind !== 'calls') return;
    this.operations += step.requests.length;
    for (const { op } of step.requests) add(`op ${NAME_OF_OP.get(op)}`);
  }
}

const NAME_OF_OP = new Map(Object.entries(Op).map(([name, op]) => [op as number, name]));

/** The events of every session in an order of their own. */
function sorted(bySlot: Plain): Plain {
  const slots = Object.entries(bySlot as Readonly<Record<string, readonly Plain[]>>);
  return Object.fromEntries(slots.map(([slot, frames]) => [slot, [...frames].map((frame) => JSON.stringify(frame)).sort()]));
}
