import { defineConfig } from 'tsup';

export default defineConfig({
  entry: { index: 'src/index.ts', 'testing/index': 'src/testing/index.ts' },
  format: ['esm', 'cjs'],
  dts: true,
  target: 'node20',
  platform: 'node',
  sourcemap: true,
  // One copy of each class for both entries and so one `instanceof`, in CJS too.
  splitting: true,
  clean: true,
  removeNodeProtocol: false,
  // Published as ESM only: a CJS build that required it would fail. The other dependencies stay outside.
  noExternal: ['p-queue', 'p-timeout'],
});
