import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vitest/config';

/** Components and modules without a browser; the browser's own tests are in e2e/. */
export default defineConfig({
  root: import.meta.dirname,
  plugins: [svelte(), svelteTesting()],
  test: {
    environment: 'jsdom',
    include: ['src/**/*.test.ts', '*.test.ts'],
    testTimeout: 10_000,
    maxWorkers: 2,
  },
});
