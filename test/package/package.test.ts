import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

/*
 * What a user gets: the packed tarball, unpacked into the node_modules of an empty project that has nothing but the declared dependencies. Needs `npm run build` first
 * (`npm run pack:check` does both).
 */

// Type checkers and packers take their time on a small machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

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

test("the README's test on the in-memory network runs as it stands there", () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => match[1]);
  writeFileSync(join(project, 'readme.mjs'), blocks.find((block) => block.includes('MemoryNetwork')) ?? '');
  expect(node('readme.mjs')).toBe('hello\n');
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
  for (const name of ['use.mts', 'use.cts']) writeFileSync(join(project, name), text);
  const bad = "import { createEnsembleNode } from 'zab-ensemble';\ncreateEnsembleNode({ id: 'one' });\n";
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
  expect(check('use.mts', 'use.cts')).toBe('');
  writeFileSync(join(project, 'bad.mts'), bad);
  expect(() => check('bad.mts')).toThrow();
});
