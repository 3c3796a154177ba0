import { Op } from '../../../src/model/codes.ts';
import { Chance } from '../../../src/testing/chance.ts';
import { DIFFERENCES, type Difference } from './differences.ts';
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
  /** How often each operation came with each error, and each kind of step. */
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
    if (isEnd) this.#same('before the end of a session', await this.#both((player) => player.settle()));
    const shown = await this.#both((player) => player.play(step));
    if (isEnd) this.#same('at the end of a session', [unordered(shown[0].frames), unordered(shown[1].frames)]);
    else this.#compare(step, shown);
    if (isEnd) this.#same('after the end of a session', await this.#both(async (player) => sorted(await player.settle())));
    this.#generator.learn(step, shown[0]);
    this.#count(step, shown[0]);
  }

  async finish(): Promise<RunReport> {
    this.#same('at the end', await this.#both((player) => player.settle()));
    const [expected, found] = await this.#both((player) => dump(player.client(SUPER_SLOT), player.view));
    for (const path of new Set([...expected.keys(), ...found.keys()])) {
      const [a, b] = [expected.get(path) ?? null, found.get(path) ?? null];
      if (!same(a, b) && !this.#isKnown((difference) => difference.znode?.(path, a, b))) throw this.#failure(`znode ${path}`, a, b);
    }
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

  #compare(step: Step, [expected, found]: readonly [Shown, Shown]): void {
    const isKnown =
      same(expected.outcome, found.outcome) || this.#isKnown((difference) => difference.outcome?.(step, expected.outcome, found.outcome));
    if (!isKnown || expected.frames.length !== found.frames.length) throw this.#failure(step, expected, found);
    let replies = 0;
    for (const [i, frame] of expected.frames.entries()) {
      const request = frame.kind === 'reply' && step.kind === 'calls' ? step.requests[replies++] : undefined;
      const other = found.frames[i];
      if (same(frame, other)) continue;
      if (!this.#isKnown((difference) => difference.frame?.(request, frame, other))) throw this.#failure(step, expected, found, i);
    }
  }

  #same(when: string, [expected, found]: readonly [Plain, Plain]): void {
    if (!same(expected, found)) throw this.#failure(when, expected, found);
  }

  #isKnown(explains: (difference: Difference) => boolean | undefined): boolean {
    const difference = DIFFERENCES.find(explains);
    if (difference === undefined) return false;
    this.#known.set(difference, (this.#known.get(difference) ?? 0) + 1);
    return true;
  }

  #failure(at: Step | string, expected: Shown | Plain, found: Shown | Plain, frame?: number): Error {
    const [reference, other] = this.#players;
    const pick = (shown: Shown | Plain) => (frame === undefined ? shown : (shown as Shown).frames.slice(Math.max(0, frame - 1), frame + 1));
    const lines = [
      `a difference at step ${this.#steps}, after ${this.operations} operations: ${show(at)}`,
      `${reference.target.name}: ${show(pick(expected))}`,
      `${other.target.name}: ${show(pick(found))}`,
      'before it:',
      ...this.#past.slice(0, -1).map(show),
    ];
    return new Error(lines.join('\n'));
  }

  #count(step: Step, { frames }: Shown): void {
    const add = (name: string) => {
      this.#counts[name] = (this.#counts[name] ?? 0) + 1;
    };
    add(`step ${step.kind}`);
    const replies = frames.filter((frame) => frame.kind === 'reply');
    this.#events += frames.length - replies.length;
    if (step.kind !== 'calls') return;
    this.operations += step.requests.length;
    for (const [i, { op }] of step.requests.entries()) add(`${NAME_OF_OP.get(op)} ${replies[i].err}`);
  }
}

const NAME_OF_OP = new Map(Object.entries(Op).map(([name, op]) => [op as number, name]));

/** The events of every session in an order of their own. */
function sorted(bySlot: Plain): Plain {
  const slots = Object.entries(bySlot as Readonly<Record<string, readonly Plain[]>>);
  return Object.fromEntries(slots.map(([slot, frames]) => [slot, unordered(frames)]));
}

const unordered = (frames: readonly unknown[]): string[] => frames.map((frame) => JSON.stringify(frame)).sort();

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
const show = (value: unknown): string =>
  JSON.stringify(value, (_, part) => (typeof part === 'string' && part.length > 60 ? `${part.slice(0, 50)}...` : part)).slice(0, 4000);
