import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const fromRoot = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** What needs Debian's packages of Apache ZooKeeper and its clients. Two files at a time: most of the time they wait, but each starts several servers, and Java is large. */
export default defineConfig({
  root: fromRoot('.'),
  resolve: {
    alias: [
      { find: /^zab-ensemble$/, replacement: fromRoot('src/index.ts') },
      { find: /^zab-ensemble\/testing$/, replacement: fromRoot('src/testing/index.ts') },
    ],
  },
  test: { include: ['test/interop/**/*.test.ts'], testTimeout: 400_000, hookTimeout: 400_000, pool: 'forks', maxWorkers: 2 },
});
