import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { buildWith, type Change } from './build.ts';

/** What the worker says of one seed. */
export interface Report {
  readonly seed: number;
  readonly failure: string | null;
}

/** How the search for a fault ended. */
export interface Hunt {
  /** How many seeds were run. */
  readonly seeds: number;
  /** The last of them. */
  readonly seed: number;
  /** What was found; null: nothing. */
  readonly failure: string | null;
}

/** A run that never ends is a fault that was found, too: no run of good code comes near this, s. */
const PATIENCE = 120;

/** Builds the code with a fault in it, or without, and runs seeds until one fails. */
export async function hunt(change: Change | null, seeds: readonly number[]): Promise<Hunt> {
  const { file, dispose } = await buildWith(change, 'test/mutants/worker.ts');
  try {
    return await run(file, seeds);
  } finally {
    await dispose();
  }
}

async function run(file: string, seeds: readonly number[]): Promise<Hunt> {
  const child = spawn(process.execPath, [file, ...seeds.map(String)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
  let done = 0;
  let complaint = '';
  let failure: string | null = null;
  let overdue = false;
  const late = (): void => {
    overdue = true;
    child.kill('SIGKILL');
  };
  let timer = setTimeout(late, PATIENCE * 1000);
  child.stderr.on('data', (text) => {
    complaint += text;
  });
  for await (const line of createInterface(child.stdout)) {
    clearTimeout(timer);
    timer = setTimeout(late, PATIENCE * 1000);
    done++;
    failure = (JSON.parse(line) as Report).failure;
  }
  const code = await closed;
  clearTimeout(timer);
  if (code !== 0) {
    failure = overdue ? `a run did not end within ${PATIENCE} s` : `the process ended: ${complaint.trim().split('\n').at(-1)}`;
    done++;
  }
  return { seeds: done, seed: seeds[done - 1], failure };
}
