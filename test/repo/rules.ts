import { builtinModules } from 'node:module';
import ts from 'typescript';
import { type Files, findInTree, importsOf, isReference, isSource, isTypeScript, parse, reachable, sourceImports } from './source.ts';

/** A rule of this repository: the breaches it finds, each as one line that names the file. */
export type Rule = (files: Files) => string[];

/** Who may import whom: a layer sees the layers of a lower rank, and itself. Layers of one rank do not see each other. */
const RANKS: Readonly<Record<string, number>> = {
  util: 0,
  model: 1,
  zab: 2,
  tree: 2,
  seams: 3,
  wire: 4,
  transport: 5,
  storage: 5,
  server: 5,
  node: 6,
  client: 7,
  config: 7,
  index: 8,
  cli: 9,
  testing: 9,
};

const ENTRIES = ['src/index.ts', 'src/testing/index.ts', 'src/cli.ts'];

function layerOf(path: string): string | undefined {
  const [, entry] = /^src\/(index|cli)\.ts$/.exec(path) ?? [];
  return entry ?? /^src\/([^/]+)\/./.exec(path)?.[1];
}

export const layers: Rule = (files) => {
  const unknown = [...files.keys()]
    .filter((path) => isSource(path) && RANKS[layerOf(path) ?? ''] === undefined)
    .map((path) => `${path}: in no layer`);
  const breaches = sourceImports(files).flatMap(({ from, target }) => {
    if (target === undefined) return [];
    const [own, other] = [layerOf(from) ?? '', layerOf(target) ?? ''];
    return own === other || RANKS[other] < RANKS[own] ? [] : [`${from} (${own}) imports ${target} (${other || 'outside src'})`];
  });
  return [...unknown, ...breaches];
};

export const relativeImportsResolve: Rule = (files) =>
  [...files]
    .filter(([path]) => isTypeScript(path))
    .flatMap(([path, text]) => importsOf(path, text))
    .filter(({ target }) => target !== undefined && !files.has(target))
    .map(({ from, specifier }) => `${from}: ${specifier} names no file (relative imports end in .ts)`);

/** Types included: a cycle of types is a cycle of the design. */
export const noCycles: Rule = (files) => {
  const state = new Map<string, 'open' | 'done'>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (state.get(path) === 'done') return;
    if (state.get(path) === 'open') {
      cycles.push(`cycle: ${[...trail.slice(trail.indexOf(path)), path].join(' -> ')}`);
      return;
    }
    state.set(path, 'open');
    for (const { target } of importsOf(path, files.get(path) ?? ''))
      if (target !== undefined && files.has(target)) visit(target, [...trail, path]);
    state.set(path, 'done');
  };
  for (const path of files.keys()) if (isSource(path)) visit(path, []);
  return cycles;
};

const isBuiltin = (specifier: string): boolean => specifier.startsWith('node:') || builtinModules.includes(specifier);

/** What a browser must be able to run: all but the entry for Node and the files that hold its built-ins, and whatever these import. */
const PORTABLE =
  /^src\/(?:util|model|zab|tree|seams|wire|node|client|testing)\/|^src\/config\/(?!node-)|^src\/storage\/(?!node-|process-lock\.ts)|^src\/transport\/(?!node-sockets\.ts)/;

export const portable: Rule = (files) => {
  const roots = [...files.keys()].filter((path) => isSource(path) && PORTABLE.test(path));
  return [...reachable(files, roots)].flatMap((path) => {
    const text = files.get(path) ?? '';
    const builtins = importsOf(path, text).filter(({ specifier }) => isBuiltin(specifier));
    const globals = findInTree(path, text, (node) =>
      ts.isIdentifier(node) && (node.text === 'Buffer' || node.text === 'process') && isReference(node) ? `uses ${node.text}` : undefined,
    );
    return [...builtins.map(({ specifier }) => `${path}: imports ${specifier}`), ...globals];
  });
};

const HIDDEN_INPUTS = new Set(['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'performance', 'process', 'Date']);

/** Time and chance come into the core as arguments, and nothing in it waits. */
export const deterministicCore: Rule = (files) =>
  [...files]
    .filter(([path]) => /^src\/(?:zab|tree)\//.test(path) && isSource(path))
    .flatMap(([path, text]) =>
      findInTree(path, text, (node) => {
        if (ts.isIdentifier(node) && HIDDEN_INPUTS.has(node.text) && isReference(node)) return `uses ${node.text}`;
        if (ts.isPropertyAccessExpression(node) && node.getText() === 'Math.random') return 'uses Math.random';
        if (node.kind === ts.SyntaxKind.AsyncKeyword || ts.isAwaitExpression(node)) return 'is asynchronous';
        return undefined;
      }),
    );

/** Tools that insist on it. */
const DEFAULT_EXPORT_ALLOWED = new Set(['tsup.config.ts', 'test/vitest.config.ts', 'test/interop/vitest.config.ts']);

export const noDefaultExports: Rule = (files) =>
  [...files]
    .filter(([path]) => isTypeScript(path) && !DEFAULT_EXPORT_ALLOWED.has(path))
    .flatMap(([path, text]) =>
      findInTree(path, text, (node) => {
        const isDefault =
          ts.isExportAssignment(node) ||
          (node.kind === ts.SyntaxKind.DefaultKeyword && !ts.isDefaultClause(node.parent)) ||
          (ts.isExportSpecifier(node) && node.name.text === 'default');
        return isDefault ? 'default export' : undefined;
      }),
    );

export const noBarrels: Rule = (files) =>
  [...files]
    .filter(([path]) => isSource(path) && !ENTRIES.includes(path))
    .filter(([path, text]) => {
      const statements = parse(path, text).statements;
      return statements.length > 0 && statements.every((s) => ts.isExportDeclaration(s) && s.moduleSpecifier !== undefined);
    })
    .map(([path]) => `${path}: only re-exports`);

export const noModuleState: Rule = (files) =>
  [...files]
    .filter(([path]) => isSource(path))
    .flatMap(([path, text]) =>
      parse(path, text)
        .statements.filter((s): s is ts.VariableStatement => ts.isVariableStatement(s))
        .filter(
          (s) => (s.declarationList.flags & ts.NodeFlags.Const) === 0 && !s.modifiers?.some((m) => m.kind === ts.SyntaxKind.DeclareKeyword),
        )
        .map((s) => `${path}: module-level ${s.declarationList.getText()}`),
    );

const MAX_LINES = 500;

export const shortFiles: Rule = (files) =>
  [...files]
    .filter(([path]) => isTypeScript(path))
    .map(([path, text]) => [path, text.split('\n').length - 1] as const)
    .filter(([, lines]) => lines > MAX_LINES)
    .map(([path, lines]) => `${path}: ${lines} lines, more than ${MAX_LINES}`);

export const noDeadFiles: Rule = (files) => {
  const live = reachable(files, ENTRIES);
  return [...files.keys()].filter((path) => isSource(path) && !live.has(path)).map((path) => `${path}: reachable from no entry`);
};

export const declaredPackages: Rule = (files) => {
  const manifest = JSON.parse(files.get('package.json') ?? '{}') as { dependencies?: object; devDependencies?: object };
  // p-queue is bundled into the build, so it is a development dependency on purpose.
  const shipped = new Set([...Object.keys(manifest.dependencies ?? {}), 'p-queue']);
  return sourceImports(files)
    .filter(({ target, specifier }) => target === undefined && !isBuiltin(specifier) && !shipped.has(specifier))
    .map(({ from, specifier }) => `${from}: imports ${specifier}, which is no dependency`);
};

// The character classes keep these patterns from finding themselves.
const FOREIGN: readonly RegExp[] = [
  /[/](?:wor[k]|far[m])[/]/,
  /[/]tmp[/]promp[t]s/,
  /shared[/](?:zookeepe[r]|benc[h]|hook[s]|DESIG[N]|scenario[s])/,
  /\.librar[y]\b/,
  /registr[y]\.[a-z]|npmmirro[r]|artifactor[y]|verdacci[o]/,
  /before-sto[p]\b/,
  /seed-[0-9a-f]{8}/,
];

/** What holds on one machine only has no place in the repository. */
export const noForeignNames: Rule = (files) => {
  const breaches = findLines(files, () => true, FOREIGN);
  const lock = files.get('package-lock.json') ?? '';
  return lock.includes('"resolved"') ? [...breaches, 'package-lock.json: names a registry host ("resolved")'] : breaches;
};

interface LockedPackage {
  readonly optionalDependencies?: Record<string, string>;
}

/** `npm ci` refuses a lock file in which a package for another platform has no entry; npm leaves such entries out when it can't look them up. */
export const completeLock: Rule = (files) => {
  const { packages = {} } = JSON.parse(files.get('package-lock.json') ?? '{}') as { packages?: Record<string, LockedPackage> };
  return Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => packages[`${path}/node_modules/${name}`] === undefined && packages[`node_modules/${name}`] === undefined)
      .map((name) => `package-lock.json: no entry for ${name}, which ${path} may need`),
  );
};

const MARKS: readonly RegExp[] = [/\b(?:TO[D]O|FIX[M]E|X[X]X|HAC[K])\b/];
const LOOPHOLES: readonly RegExp[] = [/\bas an[y]\b/, /@ts-(?:ignor[e]|nochec[k]|expect-erro[r])/];
const SKIPPED_TESTS: readonly RegExp[] = [/\b(?:it|test|describe)\.(?:ski[p]|onl[y]|tod[o])\b/];

export const noMarks: Rule = (files) =>
  findLines(files, (path) => /\.(?:ts|md|json)$/.test(path) && !path.startsWith('test/vectors/'), MARKS);
export const noLoopholes: Rule = (files) => findLines(files, isSource, LOOPHOLES);
export const noSkippedTests: Rule = (files) => findLines(files, (path) => /^(?:test|examples)\/.*\.ts$/.test(path), SKIPPED_TESTS);

function findLines(files: Files, wanted: (path: string) => boolean, patterns: readonly RegExp[]): string[] {
  return [...files]
    .filter(([path, text]) => wanted(path) && patterns.some((pattern) => pattern.test(text)))
    .flatMap(([path, text]) =>
      text
        .split('\n')
        .flatMap((line, i) => (patterns.some((pattern) => pattern.test(line)) ? [`${path}:${i + 1}: ${line.trim().slice(0, 120)}`] : [])),
    );
}

const TOP_LEVEL = new Set([
  'src',
  'test',
  'examples',
  '.ci',
  '.gitignore',
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'biome.json',
  'package-lock.json',
  'package.json',
  'tsconfig.json',
  'tsup.config.ts',
]);

export const topLevel: Rule = (files) =>
  [...new Set([...files.keys()].map((path) => path.split('/')[0]))]
    .filter((name) => !TOP_LEVEL.has(name))
    .map((name) => `${name}: unexpected at the top level`);
