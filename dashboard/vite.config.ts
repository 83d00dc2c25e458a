import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

/** Where `vite dev` finds a running installation. */
const api = process.env.GRIDTICK_TEST_API ?? 'http://127.0.0.1:8080';

export default defineConfig({
  root: import.meta.dirname,
  cacheDir: '../node_modules/.vite/dashboard',
  plugins: [svelte()],
  build: {
    outDir: '../dist/dashboard',
    emptyOutDir: true,
    // Says which page needs what; budget.mjs reads it.
    manifest: true,
    target: 'es2022',
    // The page's policy allows files of its own only: no data: fonts, no inline helper script.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Charts are one lazy chunk; its own budget is checked by budget.mjs.
    chunkSizeWarningLimit: 800,
  },
  server: { proxy: { '/api': api, '/health': api, '/live': { target: api, ws: true } } },
});
