import { rmSync } from 'node:fs';
import { defineConfig, type Options } from 'tsup';

// Both builds write there at the same time, so neither may clean it.
rmSync('dist', { recursive: true, force: true });

const common: Options = { target: 'node20', platform: 'node', removeNodeProtocol: false };

export default defineConfig([
  {
    ...common,
    entry: { index: 'src/index.ts', 'testing/index': 'src/testing/index.ts' },
    format: ['esm', 'cjs'],
    dts: true,
    sourcemap: true,
    // One copy of each class for both entries and so one `instanceof`, in CJS too.
    splitting: true,
    // Published as ESM only: a CJS build that required it would fail. The other dependencies stay outside.
    noExternal: ['p-queue', 'p-timeout'],
  },
  {
    ...common,
    entry: { cli: 'src/cli.ts' },
    format: ['esm'],
    // The command runs on the library beside it.
    esbuildPlugins: [
      {
        name: 'library',
        setup: (build) => build.onResolve({ filter: /^\.\/index\.ts$/ }, () => ({ path: './index.js', external: true })),
      },
    ],
  },
]);
