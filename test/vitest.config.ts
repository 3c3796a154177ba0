import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';

const fromRoot = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

export default defineConfig({
  root: fromRoot('.'),
  resolve: {
    alias: [
      { find: /^zab-ensemble$/, replacement: fromRoot('src/index.ts') },
      { find: /^zab-ensemble\/testing$/, replacement: fromRoot('src/testing/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
    exclude: [...configDefaults.exclude, 'test/interop/**'],
    // Patience with a busy machine; what a test waits for it mostly waits for by name, and less long (test/ensemble/client.ts).
    testTimeout: 150_000,
    hookTimeout: 150_000,
    expect: { poll: { timeout: 60_000 } },
  },
});
