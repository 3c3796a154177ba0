import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve, sep } from 'node:path';
import { build, type Options } from 'tsup';
import type { Mutant } from './mutant.ts';

type Plugin = NonNullable<Options['esbuildPlugins']>[number];
export type Change = Pick<Mutant, 'file' | 'find' | 'replace'>;

/** The text of a source file with the fault in it. Throws unless the place is found exactly once: a mutant must not outlive the code it changes. */
export function mutated({ file, find, replace }: Change, source = readFileSync(file, 'utf8')): string {
  const parts = source.split(find);
  if (parts.length !== 2) throw new Error(`${file}: found ${parts.length - 1} times instead of once: ${find}`);
  return parts.join(replace);
}

/** Who judges: a rule that is broken in a judge as well would be found to hold. */
const JUDGES = ['src/testing/checks', 'src/testing/clients', 'test'].map((folder) => resolve(folder) + sep);

/** Puts the fault into the file, for everybody but the judges: these get the file as it is. */
function plant(change: Change): Plugin {
  const target = resolve(change.file);
  return {
    name: 'mutant',
    setup(esbuild) {
      esbuild.onResolve({ filter: /^\./ }, ({ path, importer }) => {
        const isJudge = JUDGES.some((folder) => importer.startsWith(folder));
        return isJudge && resolve(dirname(importer), path) === target ? { path: target, namespace: 'sound' } : undefined;
      });
      esbuild.onLoad({ filter: /./, namespace: 'sound' }, ({ path }) => ({
        contents: readFileSync(path, 'utf8'),
        loader: 'ts',
        resolveDir: dirname(path),
      }));
      esbuild.onLoad({ filter: /\.ts$/, namespace: 'file' }, ({ path }) =>
        path === target ? { contents: mutated(change), loader: 'ts' } : undefined,
      );
    },
  };
}

/** Builds `entry` into a folder of its own, with a mutant's fault or without; `dispose` removes it. */
export async function buildWith(change: Change | null, entry: string): Promise<{ file: string; dispose: () => Promise<void> }> {
  const outDir = await mkdtemp(join(tmpdir(), 'zab-mutant-'));
  await build({
    entry: { worker: entry },
    outDir,
    format: ['esm'],
    target: 'node20',
    platform: 'node',
    config: false,
    silent: true,
    clean: false,
    dts: false,
    splitting: false,
    noExternal: [/.*/],
    esbuildPlugins: change === null ? [] : [plant(change)],
  });
  return { file: join(outDir, 'worker.js'), dispose: () => rm(outDir, { recursive: true, force: true }) };
}
