import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { apacheClassPath, requirePackages } from '../apache.ts';
import { ourThree, type RunningEnsemble } from '../matrix/servers.ts';
import { JAVA_FLAGS } from '../matrix/tools.ts';
import { holdersIn } from './holders.ts';

/* Curator's lock and leader latch on our ensemble: several threads in several processes, and never two holders at once. */

const JARS = ['curator-client.jar', 'curator-framework.jar', 'curator-recipes.jar', 'guava.jar'];
const classPath = [apacheClassPath, ...JARS.map((jar) => `/usr/share/java/${jar}`)].join(':');

const PROCESSES = ['p', 'q'];
const THREADS = 3;
const ROUNDS = 8;

const dir = mkdtempSync(join(tmpdir(), 'zab-curator-'));
let ensemble: RunningEnsemble;

beforeAll(async () => {
  requirePackages('/usr/bin/javac', ...JARS);
  const source = fileURLToPath(new URL('Curator.java', import.meta.url));
  execFileSync('javac', ['-nowarn', '-cp', classPath, '-d', dir, source], { stdio: 'pipe' });
  ensemble = await ourThree(join(dir, 'servers'));
});

afterAll(async () => {
  await ensemble?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Resolves when the process has ended well. */
async function contend(recipe: string, file: string, name: string): Promise<void> {
  const hosts = ensemble.ports.map((port) => `127.0.0.1:${port}`).join(',');
  const java = ['java', ...JAVA_FLAGS, '-cp', `${dir}:${classPath}`, 'Curator', hosts, recipe, file, name, String(THREADS), String(ROUNDS)];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...java], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text) => {
    said += text;
  });
  const [code] = await once(child, 'close');
  expect(code, said).toBe(0);
}

test.each(['lock', 'latch'])('a %s has one holder at a time, and everybody has it in the end', async (recipe) => {
  const file = join(dir, recipe);
  await Promise.all(PROCESSES.map((name) => contend(recipe, file, name)));
  const holders = holdersIn(file);
  const names = PROCESSES.flatMap((name) => Array.from({ length: THREADS }, (_, i) => `${name}-${i}`));
  expect(new Set(holders)).toEqual(new Set(names));
  expect(holders).toHaveLength(names.length * ROUNDS);
});
