import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Driver } from './driver.ts';
import { record, type Step } from './record.ts';
import type { Chapter } from './run.ts';
import { accessChapters } from './script-access.ts';
import { nodeChapters } from './script-nodes.ts';
import { sessionChapters } from './script-sessions.ts';
import { watchChapters } from './script-watches.ts';
import type { RunningEnsemble } from './servers.ts';
import type { DriverKind } from './tools.ts';

/* Every client at every ensemble. */

export const SCRIPT: readonly Chapter[] = [...nodeChapters, ...accessChapters, ...watchChapters, ...sessionChapters];

/** One client at one ensemble: all steps, or those before the error that ended it. */
export interface Play {
  readonly steps: readonly Step[];
  readonly error?: unknown;
  readonly seconds: number;
}

/** Plays by `client` and `size`. */
export type Plays = ReadonlyMap<string, Play>;

export const playKey = (client: string, servers: string): string => `${client} at ${servers}`;

/** A driver that could be built, or why not. */
export interface BuiltDriver {
  readonly kind: DriverKind;
  readonly dir: string;
  readonly missing?: string;
}

/** Builds each kind in a folder of its own. Only what may be missing is allowed to be. */
export function buildDrivers(kinds: readonly DriverKind[], dir: string): BuiltDriver[] {
  return kinds.map((kind) => {
    const own = join(dir, kind.name);
    mkdirSync(own, { recursive: true });
    try {
      kind.build(own);
      return { kind, dir: own };
    } catch (error) {
      if (!kind.mayBeMissing) throw error;
      return { kind, dir: own, missing: String(error) };
    }
  });
}

async function play({ kind, dir }: BuiltDriver, ensemble: RunningEnsemble): Promise<Play> {
  const steps: Step[] = [];
  const begin = Date.now();
  const seconds = (): number => (Date.now() - begin) / 1000;
  const chapters = SCRIPT.filter(({ name }) => kind.leavesOut?.[name] === undefined);
  const ports = kind.hasSync === false ? ensemble.ports.slice(0, 1) : ensemble.ports;
  let driver: Driver | undefined;
  try {
    driver = kind.start(dir);
    await record(driver, { name: ensemble.name, ports }, chapters, steps);
    return { steps, seconds: seconds() };
  } catch (error) {
    return { steps, error, seconds: seconds() };
  } finally {
    await driver?.end();
  }
}

/** Starts the ensemble and lets the clients play, one after the other: what one does would show in the zxids of another. */
export async function playAll(
  startEnsemble: () => Promise<RunningEnsemble>,
  drivers: readonly BuiltDriver[],
  plays: Map<string, Play>,
): Promise<void> {
  const ensemble = await startEnsemble();
  try {
    for (const driver of drivers) {
      if (driver.missing === undefined) plays.set(playKey(driver.kind.name, ensemble.name), await play(driver, ensemble));
    }
  } finally {
    await ensemble.stop();
  }
}
