import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

/*
 * What a user gets: the packed tarball, unpacked into the node_modules of an empty project that has nothing but the declared dependencies. Needs `npm run build` first
 * (`npm run pack:check` does both).
 */

// Type checkers and packers take their time on a small machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const root = fileURLToPath(new URL('../..', import.meta.url));
const project = mkdtempSync(join(tmpdir(), 'zab-package-'));
const installed = join(project, 'node_modules', 'zab-ensemble');
let tarball = '';

const node = (...command: string[]): string => execFileSync(process.execPath, command, { cwd: project, encoding: 'utf8' });
const tool = (name: string, ...args: string[]): string =>
  execFileSync(join(root, 'node_modules', '.bin', name), args, { cwd: project, encoding: 'utf8' });

beforeAll(() => {
  const packed = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', project], {
    cwd: root,
    encoding: 'utf8',
  });
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  tarball = join(project, filename);
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1']);
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: Record<string, string> };
  for (const name of Object.keys(dependencies)) symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name));
  mkdirSync(join(project, 'node_modules', '@types'));
  symlinkSync(join(root, 'node_modules', '@types', 'node'), join(project, 'node_modules', '@types', 'node'));
});

afterAll(() => rmSync(project, { recursive: true, force: true }));

const files = (folder: string): string[] => readdirSync(folder, { recursive: true, encoding: 'utf8' });

test('the tarball holds the build, its types and the papers, and nothing else', () => {
  const names = files(installed);
  for (const name of [
    'LICENSE',
    'README.md',
    'CHANGELOG.md',
    'dist/index.js',
    'dist/index.cjs',
    'dist/index.d.ts',
    'dist/index.d.cts',
    'dist/testing/index.js',
    'dist/cli.js',
  ]) {
    expect(names).toContain(name);
  }
  expect(new Set(names.map((name) => name.split('/')[0]))).toEqual(
    new Set(['dist', 'package.json', 'LICENSE', 'README.md', 'CHANGELOG.md']),
  );
});

test('no script runs when it is installed', () => {
  const { scripts } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
  expect(Object.keys(scripts).filter((name) => /^(?:pre|post)?(?:install|prepare|pack)$/.test(name))).toEqual([]);
});

test('p-queue is inside the build, the dependencies are not', () => {
  // The build writes its imports with double quotes; single quotes are in comments of what it holds.
  const imports = files(join(installed, 'dist'))
    .filter((name) => /\.c?js$/.test(name))
    .flatMap((name) => [
      ...readFileSync(join(installed, 'dist', name), 'utf8').matchAll(/(?:\bfrom |\brequire\(|\bimport\()"([^."][^"]*)"/g),
    ])
    .map((match) => match[1]);
  const outside = imports.filter((name) => !name.startsWith('node:'));
  expect([...new Set(outside)].sort()).toEqual(['eventemitter3', 'long']);
});

test('the command runs, from where npm puts it', () => {
  const { bin, version } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
    bin: Record<string, string>;
    version: string;
  };
  const file = join(installed, bin['zab-ensemble']);
  expect(statSync(file).mode & 0o111).toBe(0o111);
  mkdirSync(join(project, 'node_modules', '.bin'));
  const command = join(project, 'node_modules', '.bin', 'zab-ensemble');
  symlinkSync(file, command);
  expect(execFileSync(command, ['--version'], { encoding: 'utf8' })).toBe(`${version}\n`);
  writeFileSync(join(project, 'zoo.cfg'), 'dataDir=./data\nclientPort=2181\nautopurge.purgeInterval=1\n');
  expect(execFileSync(command, ['--check', 'zoo.cfg'], { cwd: project, encoding: 'utf8' })).toBe(
    'zoo.cfg is in order: server 1, standalone, data in ./data, clients on 0.0.0.0:2181\n',
  );
});

test('publint finds nothing', () => {
  expect(tool('publint', 'run', tarball, '--strict')).toMatch(/All good/);
});

test('the types are right for import and require', () => {
  // It fails by its exit code when it finds a problem.
  const report = tool('attw', tarball, '--format', 'ascii', '--no-emoji', '--profile', 'node16');
  expect(report.match(/node16 \(from CJS\): OK \(CJS\)/g)).toHaveLength(2);
  expect(report.match(/node16 \(from ESM\): OK \(ESM\)/g)).toHaveLength(2);
});

// One text for both module systems; `load` is how the package comes in.
const program = (load: string): string => `${load}
const clock = systemClock();
const network = new MemoryNetwork(clock);
const servers = [1, 2, 3].map((id) => ({ id, host: 'memory', quorumPort: 2000 + id, electionPort: 3000 + id }));
const nodes = servers.map(({ id }) => createEnsembleNode({ id, servers, clock, transport: network.transport(), storage: memoryStorage() }));
async function main() {
  await Promise.all(nodes.map((node) => node.start()));
  const session = await nodes[0].openSession();
  const { stat } = await session.create('/a', 'hello');
  await nodes[2].tree.reached(stat.czxid);
  const refused = await session.create('/a').catch((error) => error);
  if (!(refused instanceof ZabError)) throw refused;
  console.log(nodes[2].tree.getData('/a')?.text(), refused.code, typeof testing, Long.isLong(stat.czxid));
  await session.close();
  await Promise.all(nodes.map((node) => node.stop()));
}
main();
`;
const NAMES = '{ createEnsembleNode, MemoryNetwork, memoryStorage, systemClock, ZabError }';

test('an ES module can use it', () => {
  const load = `import ${NAMES} from 'zab-ensemble';\nimport * as testing from 'zab-ensemble/testing';\nimport Long from 'long';`;
  writeFileSync(join(project, 'run.mjs'), program(load));
  expect(node('run.mjs')).toBe('hello NODE_EXISTS object true\n');
});

test('a CommonJS module can use it', () => {
  const load = `const ${NAMES} = require('zab-ensemble');\nconst testing = require('zab-ensemble/testing');\nconst Long = require('long');`;
  writeFileSync(join(project, 'run.cjs'), program(load));
  expect(node('run.cjs')).toBe('hello NODE_EXISTS object true\n');
});

test('the entry for tests takes nothing of Node, directly or by what it imports', () => {
  const dist = join(installed, 'dist');
  for (const entry of ['testing/index.js', 'testing/index.cjs']) {
    const seen = new Set<string>();
    const visit = (path: string): void => {
      if (seen.has(path)) return;
      seen.add(path);
      const text = readFileSync(path, 'utf8');
      // The ES build writes double quotes, the CommonJS one single ones.
      for (const [, es, cjs] of text.matchAll(/^(?:\} from |import [^"\n]*)"([^"\n]+)"|\brequire\('([^'\n]+)'\)/gm)) {
        const name = es ?? cjs;
        if (name.startsWith('.')) visit(join(path, '..', name));
        else expect(['eventemitter3', 'long'], `${path} imports ${name}`).toContain(name);
      }
    };
    visit(join(dist, entry));
    expect(seen.size).toBeGreaterThan(1);
  }
});

// A whole life: a fault, a crash, a session that expires, and a broken rule with its report.
const simulation = (load: string): string => `${load}
async function main() {
  const sim = createSimulation({ seed: 7, observers: 1 });
  await sim.start();
  const leader = sim.leader;
  const session = await sim.openSession(leader === 1 ? 2 : 1);
  await session.create('/a', 'x');
  sim.crash(leader, { power: true });
  await sim.until(() => sim.leader !== undefined && sim.leader !== leader);
  await sim.start();
  await sim.node(leader).sync();
  console.log(sim.node(leader).tree.getData('/a')?.text(), sim.now < 60000);
  const lines = [];
  const failed = await explore({
    seeds: 5,
    print: (line) => lines.push(line),
    faults: [{ at: 100, kind: 'crash', servers: [0] }],
    scenario: async (sim, { duration }) => {
      const { leader } = sim;
      sim.always('TheLeaderLives', () => sim.isUp(leader));
      await sim.advance(duration);
    },
  }).catch((error) => error);
  console.log(failed instanceof ExplorationFailed, failed.result.failure instanceof Violation, failed.message.slice(0, 43), lines.length > 5);
  try {
    await sim.openSession(1).then((other) => other.delete('/none'));
  } catch (error) {
    console.log(error instanceof ZabError, error.code);
  }
}
main();
`;
const SIMULATION = '{ createSimulation, explore, ExplorationFailed, Violation }';
const SIMULATED = 'x true\ntrue true seed 1 fails, with 1 fault: TheLeaderLives: true\ntrue NO_NODE\n';

test('an ES module can simulate an ensemble', () => {
  const load = `import { ZabError } from 'zab-ensemble';\nimport ${SIMULATION} from 'zab-ensemble/testing';`;
  writeFileSync(join(project, 'simulate.mjs'), simulation(load));
  expect(node('simulate.mjs')).toBe(SIMULATED);
});

test('a CommonJS module can simulate an ensemble', () => {
  const load = `const { ZabError } = require('zab-ensemble');\nconst ${SIMULATION} = require('zab-ensemble/testing');`;
  writeFileSync(join(project, 'simulate.cjs'), simulation(load));
  expect(node('simulate.cjs')).toBe(SIMULATED);
});

test("the README's tests run as they stand there, as TypeScript and as plain JavaScript", () => {
  const readme = readFileSync(join(installed, 'README.md'), 'utf8');
  const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => match[1]).filter((block) => block.includes("'vitest'"));
  expect(blocks.length).toBe(4);
  symlinkSync(join(root, 'node_modules', 'vitest'), join(project, 'node_modules', 'vitest'));
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
  blocks.forEach((block, i) => {
    writeFileSync(join(project, `readme-${i}.test.ts`), block);
    // What is left without types is the same text, if there are none in it.
    if (!/\btype |: Promise</.test(block)) writeFileSync(join(project, `readme-${i}.test.js`), block);
  });
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  // A user's machine may do one thing at a time; this one has other tests beside.
  const report = JSON.parse(node(vitest, 'run', '--root', project, '--reporter=json', '--testTimeout=60000')) as {
    numPassedTests: number;
    numFailedTests: number;
    testResults: { name: string }[];
  };
  expect([report.numFailedTests, report.testResults.length]).toEqual([0, 7]);
  expect(report.numPassedTests).toBeGreaterThan(20);
  rmSync(join(project, 'package.json'));
});

test('a TypeScript project can use its types, by either module system', () => {
  const text = `import { createEnsembleNode, type EnsembleNode, type Session, type Stat, ZabError } from 'zab-ensemble';
export const node: EnsembleNode = createEnsembleNode({ id: 1, servers: [{ id: 1, host: 'a', quorumPort: 1, electionPort: 2 }], dataDir: 'x' });
export async function use(session: Session): Promise<Stat | undefined> {
  node.on('role', (role) => console.log(role.toUpperCase()));
  for await (const event of node.watch('/a')) if (event.zxid.equals(0)) break;
  const code: 'NO_NODE' | undefined = await session.delete('/a').then(() => undefined, (e: unknown) => (e instanceof ZabError && e.code === 'NO_NODE' ? e.code : undefined));
  return code === undefined ? node.tree.exists('/a') : (await session.setData('/a', null));
}
`;
  const tests = `import type { EnsembleNode } from 'zab-ensemble';
import { createSimulation, explore, type Fault, type Probe, type Program, replay, type RunOptions, type RunResult, type Simulation, Violation } from 'zab-ensemble/testing';
const work = async ({ node, chance, note }: Program): Promise<void> => note(node.role + chance.between(1, 2));
const plan: Fault[] = [{ at: 0, kind: 'pause', servers: [0] }];
const probe: Partial<Probe> = { applied: (server, { header }, tree) => void [server.toFixed(), header.zxid, tree.nodeCount], died: (server) => server };
const options: RunOptions = { faults: plan, simulation: { ensemble: { tickTime: 100 } }, scenario: async (sim: Simulation) => sim.spawn(1, work) };
export async function test(): Promise<RunResult> {
  using sim = createSimulation({ seed: 1 });
  sim.addProbe(probe);
  const node: EnsembleNode = sim.node(1);
  await sim.run(() => node.closed);
  await explore({ ...options, seeds: [1, 2] }).catch((error: unknown) => error instanceof Violation && error.rule);
  return replay(1, options);
}
`;
  for (const name of ['use.mts', 'use.cts']) writeFileSync(join(project, name), text);
  for (const name of ['tests.mts', 'tests.cts']) writeFileSync(join(project, name), tests);
  const bad = "import { createEnsembleNode } from 'zab-ensemble';\ncreateEnsembleNode({ id: 'one' });\n";
  const badFault =
    "import { runSeed } from 'zab-ensemble/testing';\nrunSeed(1, { scenario: async () => {}, faults: [{ at: 1, kind: 'crush', servers: [1] }] });\n";
  const check = (...names: string[]): string =>
    tool(
      'tsc',
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--lib',
      'es2022,esnext.disposable',
      '--types',
      'node',
      ...names,
    );
  expect(check('use.mts', 'use.cts', 'tests.mts', 'tests.cts')).toBe('');
  writeFileSync(join(project, 'bad.mts'), bad);
  expect(() => check('bad.mts')).toThrow();
  writeFileSync(join(project, 'bad.mts'), badFault);
  expect(() => check('bad.mts')).toThrow();
});
