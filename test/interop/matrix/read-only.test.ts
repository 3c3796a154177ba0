import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { part } from './driver.ts';
import { buildDrivers } from './play.ts';
import { record, type Step } from './record.ts';
import { type Chapter, data, LONG, OPEN, type Run } from './run.ts';
import { allServe, apacheThree, ourThree, type RunningEnsemble } from './servers.ts';
import { cDriver, javaDriver, oursDriver } from './tools.ts';

/*
 * Servers with readonlymode.enabled that have lost their quorum, with the clients that can connect to one: they read, all that would write is refused, and when
 * the quorum is back the same client goes on with a session that writes.
 */

const KINDS = [javaDriver, cDriver, oursDriver];
const LIMIT_MS = 60_000;
const POLL_MS = 50;

const dir = mkdtempSync(join(tmpdir(), 'zab-read-only-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function isReadOnly({ servers: [first] }: RunningEnsemble): Promise<void> {
  const end = Date.now() + LIMIT_MS;
  while ((await first.fourLetter('isro').catch(() => '')) !== 'ro') {
    if (Date.now() > end) throw new Error(`no read-only server:\n${first.log().slice(-3000)}`);
    await sleep(POLL_MS);
  }
}

function chapterAt(ensemble: RunningEnsemble): Chapter {
  const play = async ({ root: r, step, hosts }: Run): Promise<void> => {
    const others = ensemble.servers.slice(1);
    await step('connect', 'w', hosts(0), LONG);
    await step('create', 'w', `${r}/a`, data('a'), OPEN, '0');
    await step('create', 'w', `${r}/a/b`, '-', `1:world:anyone`, '0');
    await step('close', 'w');
    await Promise.all(others.map((server) => server.stop()));
    await isReadOnly(ensemble);

    await step('connect', 'a', hosts(0), LONG, 'read-only');
    await step('getData', 'a', `${r}/a`, 'data');
    await step('exists', 'a', `${r}/none`, 'exists');
    await step('getChildren2', 'a', r, 'children');
    await step('getAcl', 'a', `${r}/a/b`);
    await step('getData', 'a', `${r}/none`, '');
    await step('getAllChildrenNumber', 'a', r);
    await step('multiRead', 'a', part('getData', `${r}/a`), part('getChildren', r));
    for (const mode of ['0', '1', '2']) await step('create', 'a', `${r}/new`, '', OPEN, mode);
    await step('setData', 'a', `${r}/a`, '', '-1');
    await step('setAcl', 'a', `${r}/a`, OPEN, '-1');
    await step('delete', 'a', `${r}/a/b`, '-1');
    await step('multi', 'a', part('check', `${r}/a`, '-1'), part('setData', `${r}/a`, '', '-1'));
    await step('getData', 'a', `${r}/a`, '');

    await Promise.all(others.map((server) => server.start()));
    await allServe(ensemble.servers);
    await step('await', 'a', 'SyncConnected');
    await step('create', 'a', `${r}/new`, '', OPEN, '0');
    await step('setData', 'a', `${r}/none`, '', '-1');
    await step('close', 'a');
  };
  return { name: 'without a quorum', play };
}

async function stepsAt(start: typeof ourThree, name: string): Promise<Map<string, Step[]>> {
  const ensemble = await start(join(dir, name), { readOnly: true });
  const all = new Map<string, Step[]>();
  try {
    for (const { kind, dir: own } of buildDrivers(KINDS, join(dir, `${name}-drivers`))) {
      const steps: Step[] = [];
      all.set(kind.name, steps);
      const driver = kind.start(own);
      await record(driver, ensemble, [chapterAt(ensemble)], steps).finally(() => driver.end());
    }
    return all;
  } finally {
    await ensemble.stop();
  }
}

/** Apache's sessions are local ones here, which need no transactions, so that its zxids are others. */
function withoutZxids(steps: readonly Step[]): string[] {
  return steps.map(({ command, answer }) => `${command}: ${answer.replaceAll(/("[cmp]zxid":)\d+/g, '$1 a zxid')}`);
}

test('clients read from our server without a quorum as from Apache’s, and go on when there is one', async () => {
  const [apache, ours] = await Promise.all([stepsAt(apacheThree, 'apache'), stepsAt(ourThree, 'ours')]);
  for (const { name } of KINDS) expect(withoutZxids(ours.get(name)!), name).toEqual(withoutZxids(apache.get(name)!));
});
