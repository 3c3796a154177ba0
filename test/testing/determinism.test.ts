import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { fixedRuns } from './fixed-runs.ts';

const run = promisify(execFile);
const PRINT = fileURLToPath(new URL('print-fixed-runs.ts', import.meta.url));
const runs = fixedRuns();

/*
 * The same seed gives the same run, event for event, on every machine and with every version of Node.
 *
 * `fixed-runs.txt` holds what these runs came to when they were last written down. It changes with nearly every change of the code below, since a run is every packet and every write to disk: then
 * look whether the change should have changed runs at all, and renew the file with
 *
 *     npx vitest run --config test/vitest.config.ts test/testing/determinism.test.ts -u
 *
 * What must never happen is that it differs between two machines, two versions of Node, or two times of the day.
 */
test('the same seed gives the same run as on every other machine', async () => {
  await expect(`${(await runs).join('\n')}\n`).toMatchFileSnapshot('fixed-runs.txt');
});

test('the same seed gives the same run twice in a process, and other seeds give others', async () => {
  const first = await runs;
  expect(await fixedRuns()).toEqual(first);
  expect(new Set(first.map((line) => line.split(' ')[2])).size).toBe(first.length);
});

test('the same seed gives the same run in a fresh process, in another time zone and language', async () => {
  const env = { ...process.env, TZ: 'Asia/Kathmandu', LANG: 'tr_TR.UTF-8', LC_ALL: 'tr_TR.UTF-8' };
  const { stdout } = await run(process.execPath, ['--import', 'tsx', PRINT], { env });
  expect(stdout.trimEnd().split('\n')).toEqual(await runs);
});
