import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { buildWith, mutated } from './build.ts';
import { hunt } from './hunt.ts';
import { mutants } from './list.ts';

/* The list fits the code, and the machinery works: the whole hunt is `npm run mutants`. */

const WORKER = 'test/mutants/worker.ts';
const MINUTES = 60_000;

const named = (name: string) => {
  const found = mutants.find((mutant) => mutant.name === name);
  if (found === undefined) throw new Error(`there is no mutant '${name}'`);
  return found;
};

async function built(change: Parameters<typeof buildWith>[0]): Promise<string> {
  const { file, dispose } = await buildWith(change, WORKER);
  const text = readFileSync(file, 'utf8');
  await dispose();
  return text;
}

describe('the list', () => {
  it('has enough of them, each with a name of its own and a limit', () => {
    expect(mutants.length).toBeGreaterThanOrEqual(45);
    expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
    expect(mutants.filter(({ seeds }) => !Number.isSafeInteger(seeds) || seeds < 1 || seeds > 300)).toEqual([]);
  });

  it.each(mutants.map((mutant) => [mutant.name, mutant] as const))('%s: finds its place once and changes it', (_name, mutant) => {
    const source = readFileSync(mutant.file, 'utf8');
    expect(mutated(mutant)).not.toBe(source);
  });

  it('does not take a place that is not there, or is there twice', () => {
    const change = { file: 'somewhere.ts', find: 'a', replace: 'b' };
    expect(mutated(change, 'xay')).toBe('xby');
    expect(() => mutated(change, 'xy')).toThrow('found 0 times');
    expect(() => mutated(change, 'aa')).toThrow('found 2 times');
  });
});

describe('a build', () => {
  it('has the fault, and without one it is the code as it is', { timeout: 2 * MINUTES }, async () => {
    const { file, find, replace } = named('commit without a quorum');
    const sound = await built(null);

    const faulty = await built({ file, find, replace });
    expect(faulty).not.toBe(sound);
    expect(sound).toContain('isQuorum(head.acks)');
    expect(faulty).not.toContain('isQuorum(head.acks)');
  });

  it('leaves the judges without the fault', { timeout: 2 * MINUTES }, async () => {
    const { file, find, replace } = named('a quorum is half of the votes');
    const faulty = await built({ file, find, replace });
    // One for those who are judged, one for the judges.
    expect(faulty.split('* 2 >= this.#count').length).toBe(2);
    expect(faulty.split('* 2 > this.#count').length).toBe(2);
  });
});

describe('a hunt', () => {
  it.each(['acknowledge before fsync: a proposal', 'commit without a quorum', 'a follower serves before UPTODATE'])(
    'kills: %s',
    async (name) => {
      const { failure, seeds } = await hunt(named(name), [1, 2, 3]);
      expect(failure).not.toBeNull();
      expect(seeds).toBeLessThanOrEqual(3);
    },
    3 * MINUTES,
  );

  it('finds nothing in the code as it is', { timeout: 3 * MINUTES }, async () => {
    expect(await hunt(null, [1, 2])).toEqual({ seeds: 2, seed: 2, failure: null });
  });

  it('takes the end of the process for a find', { timeout: 2 * MINUTES }, async () => {
    const start = 'start(done: (error: Error | null) => void): void {';
    const change = { file: 'src/node/replica.ts', find: start, replace: `${start} process.exit(3);` };
    expect((await hunt(change, [1])).failure).toContain('the process ended');
  });
});
