import { defineConfig } from 'vitest/config';

/** `npm run test:long` runs the long ones and nothing else. */
const long = process.env.GRIDTICK_TEST_LONG === '1';

/** Whole installations, one after the other, with the machine to themselves: prices are due to a fifth of a second. */
export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source', 'node'], externalConditions: ['source', 'node'] } },
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: [`deploy/system/**/*${long ? '.long' : ''}.test.ts`],
    exclude: long ? [] : ['**/*.long.test.ts'],
    fileParallelism: false,
    testTimeout: long ? 3_600_000 * 4 : 400_000,
    hookTimeout: 60_000,
    // Figures are for the reader of the run.
    disableConsoleIntercept: true,
  },
});
