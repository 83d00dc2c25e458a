import { defineConfig } from 'vitest/config';

/** Server-side tests; the dashboard has its own projects beside its sources. */
export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source', 'node', 'import', 'default'], externalConditions: ['source', 'node'] } },
  test: {
    include: ['{actors,engine,gateway,deploy}/**/*.test.ts'],
    exclude: ['**/node_modules/**', 'dist/**'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
});
