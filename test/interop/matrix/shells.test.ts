import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { apacheClassPath, requirePackages } from '../apache.ts';
import { apacheAlone, ourAlone, type RunningEnsemble } from './servers.ts';
import { JAVA_FLAGS } from './tools.ts';

/* The command lines of the packages, zkCli (Java) and cli_mt (C), print the same at our server as at Apache's. */

const LIMIT_MS = 120_000;
const CLI_MT = '/usr/lib/zookeeper/bin/cli_mt';

const dir = mkdtempSync(join(tmpdir(), 'zab-shells-'));
let ensembles: RunningEnsemble[] = [];

beforeAll(async () => {
  requirePackages('/usr/bin/java', CLI_MT);
  const started = await Promise.allSettled([apacheAlone(join(dir, 'apache')), ourAlone(join(dir, 'ours'))]);
  ensembles = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  for (const result of started) if (result.status === 'rejected') throw result.reason;
});

afterAll(async () => {
  await Promise.all(ensembles.map((ensemble) => ensemble.stop()));
  rmSync(dir, { recursive: true, force: true });
});

/** A shell that has been given its commands, told to quit when `last` has been printed, and what it has printed on both outputs. */
async function run(shell: ChildProcess, commands: readonly string[], last: string): Promise<string[]> {
  const printed = ['', ''];
  let isLast = false;
  for (const [n, stream] of [shell.stdout, shell.stderr].entries()) {
    stream?.on('data', (chunk) => {
      printed[n] += chunk;
      if (isLast || !printed[n].includes(last)) return;
      isLast = true;
      shell.stdin?.end('quit\n');
    });
  }
  shell.stdin?.write(commands.map((command) => `${command}\n`).join(''));
  const patience = setTimeout(() => shell.kill('SIGKILL'), LIMIT_MS);
  await once(shell, 'close');
  clearTimeout(patience);
  expect(isLast, printed.join('\n')).toBe(true);
  return printed;
}

const EVENT = /^WatchedEvent .*$/gm;

/** zkCli's thread for events prints beside the one for answers, so only each by itself has an order; and the last event, that the client is closed, may not come to be printed. */
function eventsApart(text: string): string {
  const events = (text.match(EVENT) ?? []).filter((event) => !event.includes('state:Closed'));
  return [text.replaceAll(EVENT, '').replaceAll(/^(?:WATCHER::)?\n/gm, ''), ...events].join('\n');
}

/** Without times, session ids and ports, zxids told from the first, and lists of children in order. */
function comparable(text: string): string[] {
  let base: bigint | undefined;
  const zxid = (_: string, label: string, hex: string): string => {
    const value = BigInt(`0x${hex}`);
    base ??= value;
    return `${label}${value === 0n ? 'none' : value - base}`;
  };
  return (
    eventsApart(text)
      // What the C client says when it was kept waiting for a processor.
      .replaceAll(/^.*Exceeded deadline by \d+ms\n/gm, '')
      .replaceAll(/([cmp]Zxid = )0x([0-9a-f]+)/g, zxid)
      .replaceAll(/([cm]zxid=)([0-9a-f]+)/g, zxid)
      .replaceAll(/time ?=.*$/gm, 'time')
      .replaceAll(/(ephemeralOwner =|session id:) (0x)?[1-9a-f][0-9a-f]*/g, '$1 a session')
      .replaceAll(/127\.0\.0\.1:\d+/g, 'host')
      // Children and identities.
      .replaceAll(/(?:^\t[^=\n]+\n)+|(?:^(?:digest|ip): .*\n)+/gm, (names) => `${names.split('\n').slice(0, -1).sort().join('\n')}\n`)
      .split('\n')
  );
}

async function atBoth(start: (host: string) => ChildProcess, commands: readonly string[], last: string): Promise<void> {
  const [apache, ours] = await Promise.all(ensembles.map(({ ports }) => run(start(`127.0.0.1:${ports[0]}`), commands, last)));
  expect(ours.map(comparable)).toEqual(apache.map(comparable));
}

const ZK_CLI = `
ls /
create /a one
create -s -e /a/e- two
create /a/c three
create -c /cont x
create -t 100000 /ttl x
create /a again
create /none/x x
ls -s /a
ls -R /a
get -s /a
set /a four
set -v 0 /a five
stat /a
stat /none
addauth digest alice:secret
setAcl /a/c auth::cdrwa
getAcl -s /a/c
whoami
setquota -n 5 /a
listquota /a
delquota /a
getEphemerals
getAllChildrenNumber /a
sync /a
delete /a
deleteall /a
get /zookeeper/config
reconfig -remove 3
ls -w /
create /w x
get -w /w
set /w y
addWatch -m PERSISTENT_RECURSIVE /w
create /w/below x
removewatches /w
delete /w/below
delete /w
create /end-of-the-script x
get -w /end-of-the-script
set /end-of-the-script y
`;

const CLI_C = `
create /c-a
create +e /c-b
create +s /c-s
create2 /c-c
create +c /c-cont
create /c-none/x
create /c-a
set /c-a hello
get /c-a
set /c-a again
ls /
ls2 /
exists /c-a
exists /c-none
wexists /c-coming
create /c-coming
sync /c-a
delete /c-none
delete /c-b
reconfig -remove 3
create /c-end-of-the-script
`;

const lines = (script: string): string[] => script.trim().split('\n');

test('zkCli prints the same', async () => {
  const log = join(dir, 'log4j.properties');
  mkdirSync(dir, { recursive: true });
  writeFileSync(log, 'log4j.rootLogger=OFF\n');
  const args = [...JAVA_FLAGS, `-Dlog4j.configuration=file:${log}`, '-cp', apacheClassPath, 'org.apache.zookeeper.ZooKeeperMain'];
  await atBoth((host) => spawn('java', [...args, '-server', host]), lines(ZK_CLI), 'type:NodeDataChanged path:/end-of-the-script');
});

test('cli_mt prints the same', async () => {
  await atBoth((host) => spawn(CLI_MT, ['-h', host]), lines(CLI_C), 'name = /c-end-of-the-script');
});
