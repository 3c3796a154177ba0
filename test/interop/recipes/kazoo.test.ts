import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { modeOf, requirePackages } from '../apache.ts';
import { allServe, ourThree, type RunningEnsemble, type TestServer } from '../matrix/servers.ts';
import { holdersIn } from './holders.ts';

/*
 * kazoo's lock and election in several processes, on three of our servers that run from zoo.cfg files and are killed in turn, the leader first: never two holders
 * at once, and every session lives through it.
 */

const SCRIPT = fileURLToPath(new URL('kazoo_recipes.py', import.meta.url));
/** Holders that must come after each kill before the next: the recipes go on without the dead server. */
const PROGRESS = 10;
const ROUNDS = 2;
const LIMIT_MS = 60_000;
const POLL_MS = 20;

const dir = mkdtempSync(join(tmpdir(), 'zab-kazoo-'));
let ensemble: RunningEnsemble;
const contenders: Contender[] = [];

/** A process that contends, and what it has told of its session. */
class Contender {
  readonly name: string;
  readonly child: ChildProcess;
  readonly states: string[] = [];
  readonly sessions: string[] = [];
  readonly troubles: string[] = [];
  said = '';

  constructor(recipe: string, name: string) {
    this.name = name;
    const hosts = ensemble.ports.map((port) => `127.0.0.1:${port}`).join(',');
    const python = ['/usr/bin/python3', SCRIPT, hosts, recipe, fileOf(recipe), name];
    this.child = spawn('setpriv', ['--pdeathsig', 'KILL', ...python], { stdio: ['pipe', 'pipe', 'pipe'] });
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      const { state, session, trouble } = JSON.parse(line) as { state?: string; session?: string; trouble?: string };
      if (state !== undefined) this.states.push(state);
      if (session !== undefined) this.sessions.push(session);
      if (trouble !== undefined) this.troubles.push(trouble);
    });
    this.child.stderr?.on('data', (text) => {
      this.said += text;
    });
  }

  /** Lets it come to its end. */
  async finish(): Promise<void> {
    const gone = once(this.child, 'close');
    this.child.stdin?.end();
    const [code] = await gone;
    expect(code, this.said).toBe(0);
  }
}

const fileOf = (recipe: string): string => join(dir, recipe);

async function until(what: string, isDone: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + LIMIT_MS;
  while (!(await isDone())) {
    if (Date.now() > end) throw new Error(`not within ${LIMIT_MS} ms: ${what}`);
    await sleep(POLL_MS);
  }
}

async function findLeader(): Promise<TestServer> {
  let leader: TestServer | undefined;
  await until('a server leads', async () => {
    for (const server of ensemble.servers) if ((await modeOf(server)) === 'leader') leader = server;
    return leader !== undefined;
  });
  return leader!;
}

/** Both recipes have had `PROGRESS` more holders than they have now. */
async function progress(): Promise<void> {
  const begin = ['lock', 'election'].map((recipe) => holdersIn(fileOf(recipe)).length);
  await until('the recipes go on', () =>
    ['lock', 'election'].every((recipe, i) => holdersIn(fileOf(recipe)).length >= begin[i] + PROGRESS),
  );
}

/** Kills a server, waits until the recipes have gone on without it, and has it back. */
async function killAndRestart(server: TestServer): Promise<void> {
  await server.stop('SIGKILL');
  await progress();
  await server.start();
  await allServe(ensemble.servers);
  await progress();
}

beforeAll(async () => {
  requirePackages('/usr/bin/python3', '/usr/lib/python3/dist-packages/kazoo');
  ensemble = await ourThree(join(dir, 'servers'), { config: { tickTime: 1000, initLimit: 10, syncLimit: 5 } });
});

afterAll(async () => {
  for (const { child } of contenders) child.kill('SIGKILL');
  await ensemble?.stop();
  rmSync(dir, { recursive: true, force: true });
});

test('no two holders at once, and sessions survive the move, while servers are killed in turn', async () => {
  for (const recipe of ['lock', 'election']) for (const n of [1, 2, 3]) contenders.push(new Contender(recipe, `${recipe}${n}`));
  await progress();
  for (let round = 0; round < ROUNDS; round++) {
    const leader = await findLeader();
    await killAndRestart(leader);
    for (const server of ensemble.servers) if (server !== leader) await killAndRestart(server);
  }
  const states = contenders.map((contender) => [...contender.states]);
  await Promise.all(contenders.map((contender) => contender.finish()));

  for (const recipe of ['lock', 'election']) {
    const holders = holdersIn(fileOf(recipe));
    expect(new Set(holders)).toEqual(new Set([1, 2, 3].map((n) => `${recipe}${n}`)));
  }
  // Nobody has lost the session, everybody has had to move with it, and it is the same at the end as at the beginning.
  for (const [i, contender] of contenders.entries()) {
    expect(states[i], contender.name).not.toContain('LOST');
    expect(states[i], contender.name).toContain('SUSPENDED');
    expect(contender.sessions, contender.name).toHaveLength(2);
    expect(new Set(contender.sessions), contender.name).toHaveLength(1);
  }
});

test('two holders at once would be seen', () => {
  const file = fileOf('wrong');
  appendFileSync(file, 'begin a\nend a\nbegin b\n');
  expect(holdersIn(file)).toEqual(['a']);
  appendFileSync(file, 'begin a\nend a\nend b\n');
  expect(() => holdersIn(file)).toThrow('line 4: a holds while b does');
});
