import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { defineConfig } from '@playwright/test';

/** Debian's browser, by name or from the path; nothing is downloaded. */
const found = (process.env.PATH ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'chromium'))
  .find(existsSync);
const chromium = process.env.GRIDTICK_CHROMIUM || process.env.PLAYWRIGHT_CHROMIUM || (found ?? '/usr/bin/chromium');
const isRoot = process.getuid?.() === 0;

export default defineConfig({
  testDir: 'e2e',
  outputDir: '../test-results',
  globalSetup: './e2e/installation.ts',
  // One installation for all: its stations move on their own, so tests look and do not change it.
  fullyParallel: true,
  // The longest begins first: at the end nobody waits for it alone.
  projects: [
    { name: 'trader', testMatch: 'trader.e2e.ts' },
    { name: 'other pages', testMatch: '*.e2e.ts', testIgnore: 'trader.e2e.ts' },
  ],
  workers: 2,
  timeout: 45_000,
  expect: { timeout: 10_000 },
  use: {
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
    locale: 'en-GB',
    viewport: { width: 1440, height: 900 },
    launchOptions: {
      executablePath: chromium,
      args: [
        ...(isRoot ? ['--no-sandbox'] : []),
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--disable-quic',
        '--no-first-run',
      ],
    },
  },
});
