import { posix } from 'node:path';
import ts from 'typescript';

/** The tracked text files of a repository, by path from its root. */
export type Files = ReadonlyMap<string, string>;

export interface Import {
  readonly from: string;
  /** As written. */
  readonly specifier: string;
  /** The file it names; undefined for a package or a Node built-in. */
  readonly target: string | undefined;
}

export const isSource = (path: string): boolean => path.startsWith('src/') && path.endsWith('.ts');
export const isTypeScript = (path: string): boolean => path.endsWith('.ts');

/** Every import and re-export of a file: types, dynamic imports and `import('x')` types included. */
export function importsOf(path: string, text: string): Import[] {
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => ({
    from: path,
    specifier: fileName,
    target: fileName.startsWith('.') ? posix.join(posix.dirname(path), fileName) : undefined,
  }));
}

export function sourceImports(files: Files): Import[] {
  return [...files].filter(([path]) => isSource(path)).flatMap(([path, text]) => importsOf(path, text));
}

export const parse = (path: string, text: string): ts.SourceFile => ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);

/** Calls `visit` for every node of a file and collects what it returns, with the line it stands on. */
export function findInTree(path: string, text: string, visit: (node: ts.Node) => string | undefined): string[] {
  const source = parse(path, text);
  const found: string[] = [];
  const walk = (node: ts.Node): void => {
    const what = visit(node);
    if (what !== undefined) found.push(`${path}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}: ${what}`);
    ts.forEachChild(node, walk);
  };
  walk(source);
  return found;
}

/** Whether an identifier stands for a variable, and is not just the name of a property or a member. */
export function isReference(node: ts.Identifier): boolean {
  const parent = node.parent;
  if (ts.isPropertyAccessExpression(parent)) return parent.name !== node;
  if (ts.isQualifiedName(parent)) return parent.right !== node;
  const named = parent as ts.Node & { name?: ts.Node };
  return named.name !== node;
}

/** The files that can be reached from `roots` over imports. */
export function reachable(files: Files, roots: readonly string[]): Set<string> {
  const seen = new Set<string>();
  const open = roots.filter((root) => files.has(root));
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    for (const { target } of importsOf(path, files.get(path) ?? '')) if (target !== undefined && files.has(target)) open.push(target);
  }
  return seen;
}
