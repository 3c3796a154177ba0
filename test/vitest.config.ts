import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const fromRoot = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

export default defineConfig({
  root: fromRoot('.'),
  resolve: {
    alias: [
      { find: /^zab-ensemble$/, replacement: fromRoot('src/index.ts') },
      { find: /^zab-ensemble\/testing$/, replacement: fromRoot('src/testing/index.ts') },
    ],
  },
  test: { include: ['test/**/*.test.ts', 'examples/**/*.test.ts'], testTimeout: 30_000, hookTimeout: 30_000 },
});
