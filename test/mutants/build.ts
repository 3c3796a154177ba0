import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from 'tsup';
import type { Mutant } from './mutant.ts';

/** The text of a source file with the fault in it. Throws unless the place is found exactly once: a mutant must not outlive the code it changes. */
export function mutated({ file, find, replace }: Pick<Mutant, 'file' | 'find' | 'replace'>, source = readFileSync(file, 'utf8')): string {
  const parts = source.split(find);
  if (parts.length !== 2) throw new Error(`${file}: found ${parts.length - 1} times instead of once: ${find}`);
  return parts.join(replace);
}

/** Builds `entry` into a folder of its own, with a mutant's fault or without; `dispose` removes it. */
export async function buildWith(mutant: Mutant | null, entry: string): Promise<{ file: string; dispose: () => Promise<void> }> {
  const outDir = await mkdtemp(join(tmpdir(), 'zab-mutant-'));
  const target = mutant === null ? null : resolve(mutant.file);
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
    esbuildPlugins: [
      {
        name: 'mutant',
        setup(plugins) {
          plugins.onLoad({ filter: /\.ts$/ }, ({ path }) =>
            mutant !== null && path === target ? { contents: mutated(mutant), loader: 'ts' } : undefined,
          );
        },
      },
    ],
  });
  return { file: join(outDir, 'worker.js'), dispose: () => rm(outDir, { recursive: true, force: true }) };
}
