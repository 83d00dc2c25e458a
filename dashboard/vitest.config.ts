import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vitest/config';

const withDom = 'src/**/*.{svelte,dom}.test.ts';

/** Components and modules without a browser; the browser's own tests are in e2e/. A document is made only where it is used. */
export default defineConfig({
  root: import.meta.dirname,
  cacheDir: '../node_modules/.vite/dashboard',
  test: {
    maxWorkers: 2,
    testTimeout: 20_000,
    projects: [
      {
        plugins: [svelte()],
        test: { name: 'plain', environment: 'node', include: ['src/**/*.test.ts', '*.test.ts'], exclude: [withDom] },
      },
      {
        plugins: [svelte(), svelteTesting()],
        test: { name: 'dom', environment: 'jsdom', include: [withDom] },
      },
    ],
  },
});
