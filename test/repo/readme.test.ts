import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';

/* What the README says can be checked: its code compiles against the sources, its links and its commands exist. */

const root = fileURLToPath(new URL('../..', import.meta.url));
const readme = readFileSync(join(root, 'README.md'), 'utf8');

/** What the pieces of code that begin in the middle of things may take for granted. */
const PRELUDE = "import type { EnsembleNode, Session } from 'zab-ensemble';\ndeclare const node: EnsembleNode;\n";
const SESSION = 'declare const session: Session;\n';

function complete(block: string): string {
  if (block.includes('createEnsembleNode(')) return block;
  return PRELUDE + (block.includes('const session =') ? '' : SESSION) + block;
}

const codeBlocks = (text: string): string[] => [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => match[1]);

/** The compiler's complaints about modules that stand in memory only. */
function compile(blocks: readonly string[]): string[] {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const files = new Map(blocks.map((block, i) => [join(root, `readme-${i}.ts`), complete(block)]));
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists } = host;
  host.readFile = (name) => files.get(name) ?? readFile(name);
  host.fileExists = (name) => files.has(name) || fileExists(name);
  const program = ts.createProgram([...files.keys()], { ...options, noUnusedLocals: false }, host);
  return [...files.keys()].flatMap((name) => {
    const source = program.getSourceFile(name);
    const diagnostics = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    return diagnostics.map(({ messageText }) => `${name}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`);
  });
}

test('the code in the README compiles', () => {
  const blocks = codeBlocks(readme);
  expect(blocks.length).toBeGreaterThan(4);
  expect(compile(blocks)).toEqual([]);
});

test('the check of the code can fail', () => {
  expect(compile(["await session.create(42);\nimport { nothing } from 'zab-ensemble';"]).length).toBe(2);
});

test('links lead somewhere', () => {
  const links = [...readme.matchAll(/\]\(([^)#]+)\)/g)].map((match) => match[1]);
  expect(links.length).toBeGreaterThan(5);
  expect(links.filter((link) => !/^https?:/.test(link) && !existsSync(join(root, link)))).toEqual([]);
});

test('commands exist', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
  const named = [...readme.matchAll(/npm run ([\w:]+)/g)].map((match) => match[1]);
  expect(named).toContain('demo');
  expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
});
