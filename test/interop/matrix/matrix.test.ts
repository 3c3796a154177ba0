import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asOtherClients, CLIENT_DIFFERENCES, compare, type Difference, SERVER_DIFFERENCES } from './differences.ts';
import { type BuiltDriver, buildDrivers, type Play, playAll, playKey } from './play.ts';
import { printMatrix } from './print.ts';
import { apacheAlone, apacheThree, ourAlone, ourThree } from './servers.ts';
import { cDriver, javaDriver, kazooDriver, nodeZookeeperClientDriver, oursDriver, zookeeperDriver } from './tools.ts';

/*
 * One script of operations, watches, sessions and errors (script-*.ts), played by every client library at Apache's servers and at ours. Answers, Stats, error
 * codes and events must be equal, or stand in differences.ts with the reason.
 */

const KINDS = [javaDriver, cDriver, kazooDriver, nodeZookeeperClientDriver, zookeeperDriver, oursDriver];
const SIZES = ['1 server', '3 servers'];
const LIMIT_MS = 1_800_000;

const dir = mkdtempSync(join(tmpdir(), 'zab-matrix-'));
const plays = new Map<string, Play>();
const usedDifferences = new Set<Difference>();
let drivers: BuiltDriver[] = [];

beforeAll(async () => {
  drivers = buildDrivers(KINDS, dir);
  const run = (name: string, start: (dir: string) => ReturnType<typeof ourAlone>) => playAll(() => start(join(dir, name)), drivers, plays);
  // Most of the time is waiting: for sessions to expire, for libraries to try again.
  const apaches = async (): Promise<void> => {
    await run('apache1', apacheAlone);
    await run('apache3', apacheThree);
  };
  const ours = async (): Promise<void> => {
    await run('ours1', ourAlone);
    await run('ours3', ourThree);
  };
  await Promise.all([apaches(), ours()]);
}, LIMIT_MS);

afterAll(() => {
  printMatrix(drivers, SIZES, plays);
  rmSync(dir, { recursive: true, force: true });
});

/** The steps of a play that came to its end. */
function stepsOf(client: string, servers: string): Play['steps'] {
  const play = plays.get(playKey(client, servers));
  if (play === undefined) throw new Error(`${client} was not played at ${servers}`);
  if (play.error !== undefined) throw new Error(`${client} at ${servers}, after ${play.steps.length} steps`, { cause: play.error });
  return play.steps;
}

function expectEqual(theirs: Play['steps'], ours: Play['steps'], differences: readonly Difference[], client: string): void {
  const { listed, unlisted, equal } = compare(theirs, ours, differences, client);
  for (const difference of listed) usedDifferences.add(difference);
  expect(unlisted).toEqual([]);
  expect(equal).toBeGreaterThan(500);
}

describe.each(SIZES)('at %s', (size) => {
  for (const { name, mayBeMissing } of KINDS) {
    test(`our server answers ${name} as Apache ZooKeeper does`, ({ skip }) => {
      const missing = drivers.find(({ kind }) => kind.name === name)?.missing;
      if (mayBeMissing && missing !== undefined) skip(`${name} can't be installed here: ${missing}`);
      expectEqual(stepsOf(name, `Apache, ${size}`), stepsOf(name, `ours, ${size}`), SERVER_DIFFERENCES, name);
    });
  }

  test('our client gets from Apache ZooKeeper what the Java client gets', () => {
    const [java, ours] = [stepsOf('java', `Apache, ${size}`), stepsOf('ours', `Apache, ${size}`)];
    expectEqual(asOtherClients(java), asOtherClients(ours), CLIENT_DIFFERENCES, 'ours');
  });
});

test('every difference that is listed was met', () => {
  const unused = [...SERVER_DIFFERENCES, ...CLIENT_DIFFERENCES].filter((difference) => !usedDifferences.has(difference));
  expect(unused).toEqual([]);
});
