import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { budgets, weigh } from './budget.mjs';

let folder: string;
let weight: ReturnType<typeof weigh>;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gridtick-dashboard-'));
  // A process of its own: inside a test run Svelte would build its development shape.
  const vite = join(import.meta.dirname, '../node_modules/vite/bin/vite.js');
  const config = join(import.meta.dirname, 'vite.config.ts');
  execFileSync(process.execPath, [vite, 'build', '--config', config, '--outDir', folder, '--emptyOutDir'], {
    env: { ...process.env, NODE_ENV: 'production', VITEST: undefined },
    stdio: 'pipe',
    timeout: 100_000,
  });
  weight = weigh(folder);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each(['shell', 'page', 'charts', 'fonts'] as const)('%s: inside its budget', (part) => {
  expect(weight[part]).toBeGreaterThan(1_000);
  expect(weight[part]).toBeLessThanOrEqual(budgets[part]);
});
