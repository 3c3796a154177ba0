import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Rule } from './rules.ts';
import * as rules from './rules.ts';

/*
 * The repository checks itself. Each rule runs over the real files, where it must find nothing, and over a small made-up repository with one bad file,
 * where it must find just that: a rule that cannot fail protects nothing.
 */

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Tracked files and new ones that git does not ignore. */
function readRepository(): Map<string, string> {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' });
  const paths = listed.split('\0').filter((path) => path !== '' && existsSync(join(root, path)));
  return new Map(paths.map((path) => [path, readFileSync(join(root, path), 'utf8')]));
}

const repository = readRepository();

const good: Record<string, string> = {
  'package.json': '{ "dependencies": { "long": "^5.0.0" } }',
  'src/index.ts': "export { a } from './util/a.ts';\nexport { run } from './zab/run.ts';\nexport { open } from './storage/node-file.ts';",
  'src/testing/index.ts': "export { a } from '../util/a.ts';",
  'src/util/a.ts': "import Long from 'long';\nexport const a = Long.ZERO; // Date.now() in a comment is no use of it",
  'src/zab/run.ts':
    "import { a } from '../util/a.ts';\nexport const run = (time: number, o: { process: number }) => time + o.process + Number(a);",
  'src/storage/node-file.ts': "import { open } from 'node:fs';\nexport { open };\nexport const n = 1;",
  'README.md': 'Fine.',
};

interface Case {
  readonly rule: Rule;
  /** Files that break it, laid over the good ones. */
  readonly bad: Record<string, string>;
  readonly says: RegExp;
}

const line = 'export const x = 1;\n';

const cases: Record<string, Case> = {
  'a lower layer does not import a higher one': {
    rule: rules.layers,
    bad: { 'src/util/a.ts': "import type { run } from '../zab/run.ts';\nexport type A = typeof run;" },
    says: /src\/util\/a\.ts \(util\) imports src\/zab\/run\.ts/,
  },
  'layers of one rank do not see each other': {
    rule: rules.layers,
    bad: { 'src/tree/t.ts': "export * from '../zab/run.ts';" },
    says: /\(tree\) imports .*\(zab\)/,
  },
  'nobody imports testing': {
    rule: rules.layers,
    bad: { 'src/node/n.ts': "export { a } from '../testing/index.ts';" },
    says: /\(node\) imports .*\(testing\)/,
  },
  'every source file is in a layer': { rule: rules.layers, bad: { 'src/misc/m.ts': line }, says: /src\/misc\/m\.ts: in no layer/ },
  'relative imports name a file': {
    rule: rules.relativeImportsResolve,
    bad: { 'src/node/n.ts': "import { a } from '../util/a';\nexport { a };" },
    says: /\.\.\/util\/a names no file/,
  },
  'no import cycles, types included': {
    rule: rules.noCycles,
    bad: {
      'src/zab/p.ts': "import type { Q } from './q.ts';\nexport type P = Q;",
      'src/zab/q.ts': "export type Q = import('./p.ts').P;",
    },
    says: /p\.ts -> src\/zab\/q\.ts -> src\/zab\/p\.ts/,
  },
  'no Node built-in in a portable layer': {
    rule: rules.portable,
    bad: { 'src/wire/w.ts': "import { crc32 } from 'zlib';\nexport { crc32 };" },
    says: /src\/wire\/w\.ts: imports zlib/,
  },
  'no Node built-in behind a portable file': {
    rule: rules.portable,
    bad: { 'src/storage/memory-storage.ts': "import { n } from './node-file.ts';\nexport const m = n;" },
    says: /src\/storage\/node-file\.ts: imports node:fs/,
  },
  'no Node global in a portable layer': {
    rule: rules.portable,
    bad: { 'src/node/n.ts': 'export const b = Buffer.alloc(1);' },
    says: /src\/node\/n\.ts:1: uses Buffer/,
  },
  'no clock in the core': {
    rule: rules.deterministicCore,
    bad: { 'src/zab/c.ts': 'export const t = () => Date.now();' },
    says: /uses Date/,
  },
  'no chance in the core': {
    rule: rules.deterministicCore,
    bad: { 'src/tree/c.ts': 'export const r = () => Math.random();' },
    says: /Math\.random/,
  },
  'no timers in the core': {
    rule: rules.deterministicCore,
    bad: { 'src/zab/c.ts': 'export const w = () => setTimeout(() => {}, 1);' },
    says: /uses setTimeout/,
  },
  'no process in the core': {
    rule: rules.deterministicCore,
    bad: { 'src/zab/c.ts': 'export const e = process.env;' },
    says: /uses process/,
  },
  'nothing waits in the core': {
    rule: rules.deterministicCore,
    bad: { 'src/zab/c.ts': 'export const w = async () => 1;' },
    says: /is asynchronous/,
  },
  'no default exports': {
    rule: rules.noDefaultExports,
    bad: { 'src/zab/d.ts': 'export default class D {}' },
    says: /d\.ts:1: default export/,
  },
  'no default exports by another way': {
    rule: rules.noDefaultExports,
    bad: { 'test/d.ts': 'const d = 1;\nexport { d as default };' },
    says: /d\.ts:2: default export/,
  },
  'no barrel files inside layers': {
    rule: rules.noBarrels,
    bad: { 'src/zab/index.ts': "export * from './run.ts';" },
    says: /src\/zab\/index\.ts: only re-exports/,
  },
  'no module-level mutable state': {
    rule: rules.noModuleState,
    bad: { 'src/zab/s.ts': 'export let count = 0;' },
    says: /module-level let count/,
  },
  'files stay short': { rule: rules.shortFiles, bad: { 'src/zab/long.ts': line.repeat(501) }, says: /501 lines/ },
  'no dead files': { rule: rules.noDeadFiles, bad: { 'src/zab/lost.ts': line }, says: /src\/zab\/lost\.ts: reachable from no entry/ },
  'only declared packages': {
    rule: rules.declaredPackages,
    bad: { 'src/zab/v.ts': "import { test } from 'vitest';\nexport { test };" },
    says: /imports vitest/,
  },
  'no paths of one machine': {
    rule: rules.noForeignNames,
    bad: { 'README.md': `see ${['', 'work', 'x'].join('/')}` },
    says: /README\.md:1/,
  },
  'no registry hosts': { rule: rules.noForeignNames, bad: { 'README.md': `https://${'registry'}.example.org/` }, says: /README\.md:1/ },
  'no registry hosts in the lock file': {
    rule: rules.noForeignNames,
    bad: { 'package-lock.json': '{ "packages": { "a": { "resolved": "x" } } }' },
    says: /package-lock\.json/,
  },
  'the lock file covers every platform': {
    rule: rules.completeLock,
    bad: { 'package-lock.json': '{ "packages": { "node_modules/a": { "optionalDependencies": { "a-win32": "1.0.0" } } } }' },
    says: /no entry for a-win32/,
  },
  'no marks of unfinished work': { rule: rules.noMarks, bad: { 'src/zab/m.ts': `// ${'TO'}${'DO'} later\n` }, says: /m\.ts:1/ },
  'no way around the type checker': {
    rule: rules.noLoopholes,
    bad: { 'src/zab/m.ts': `export const x = 1 as ${'an'}y;` },
    says: /m\.ts:1/,
  },
  'no skipped or focused tests': {
    rule: rules.noSkippedTests,
    bad: { 'test/m.test.ts': `${'it'}.${'only'}('x', () => {});` },
    says: /m\.test\.ts:1/,
  },
  'nothing unexpected at the top level': { rule: rules.topLevel, bad: { 'notes.txt': 'x' }, says: /notes\.txt: unexpected/ },
};

test('the repository is read', () => {
  expect(repository.has('src/model/zxid.ts')).toBe(true);
  expect(repository.size).toBeGreaterThan(20);
});

for (const [name, { rule, bad, says }] of Object.entries(cases)) {
  test(`${name}`, () => {
    expect(rule(repository)).toEqual([]);
  });

  test(`${name}: the rule can fail`, () => {
    expect(rule(new Map(Object.entries(good)))).toEqual([]);
    const breaches = rule(new Map(Object.entries({ ...good, ...bad })));
    expect(breaches).toHaveLength(1);
    expect(breaches[0]).toMatch(says);
  });
}
