import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { bold, green, red } from './support/print.ts';

/* Runs every example, one after the other; fails when one of them does. `npm run examples` */

const EXAMPLES = ['ensemble.ts', 'config-watcher.ts', 'leader-election.ts', 'lock.ts', 'custom-transport/main.ts', 'simulation/main.ts'];
const root = fileURLToPath(new URL('..', import.meta.url));
const LIMIT = 120_000;

function run(name: string, command: readonly string[]): boolean {
  console.log(`\n${bold(name)}`);
  const begin = performance.now();
  const { status, signal } = spawnSync(process.execPath, command, { cwd: root, stdio: 'inherit', timeout: LIMIT });
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  console.log(status === 0 ? green(`ok, ${seconds} s`) : red(`failed (${signal ?? `exit code ${status}`}), ${seconds} s`));
  return status === 0;
}

const results = [
  ...EXAMPLES.map((name) => run(`examples/${name}`, [...process.execArgv, `examples/${name}`])),
  run('examples/unit-test.test.ts', ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/vitest.config.ts', 'examples/unit-test']),
];
const failed = results.filter((good) => !good).length;
console.log(`\n${results.length - failed} examples passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
