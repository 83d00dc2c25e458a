import { defineConfig } from 'vitest/config';

/** Soaks and long chaos runs are files of their own: `npm run test:long` runs them and nothing else. */
const long = process.env.GRIDTICK_TEST_LONG === '1';

/** Server-side tests; the dashboard has its own projects beside its sources. */
export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source', 'node'], externalConditions: ['source', 'node'] } },
  test: {
    include: [`{actors,engine,gateway,deploy}/**/*${long ? '.long' : ''}.test.ts`],
    // Whole installations need the machine to themselves: deploy/system has a configuration of its own.
    exclude: ['**/node_modules/**', 'dist/**', 'deploy/system/**', ...(long ? [] : ['**/*.long.test.ts'])],
    passWithNoTests: long,
    testTimeout: long ? 3_600_000 : 30_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    // Files of a worker share its modules: loading them anew for each took a third of the time.
    isolate: false,
  },
});
