/**
 * `npm test`: provides what is missing, builds, runs the server's tests, then whole installations beside the dashboard's and
 * the browser's (both mostly wait), each within its limit, and ends with the failed tests and one line of counts. `--long` runs the *.long.test.ts
 * files instead.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from './scripts/build.mjs';
import { checkNode, provideAll } from './scripts/provide.mjs';
import { entry, findProgram, Refusal, root, run, say } from './scripts/run.mjs';
import { readReport } from './scripts/test_report.mjs';

const minute = 60_000;

await entry(async () => {
  const long = process.argv.includes('--long');
  const filters = process.argv.slice(2).filter((argument) => argument !== '--long');
  checkNode();
  await provideAll(['nats-server', 'redis-server', ...(long ? [] : ['chromium'])]);
  await build();

  const reports = mkdtempSync(join(tmpdir(), 'gridtick-reports-'));
  const vitest = (config) => (report) => [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--config',
    config,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...(filters.length ? ['--passWithNoTests', ...filters] : []),
  ];
  const steps = [
    {
      name: 'server',
      config: 'vitest.config.ts',
      args: vitest('vitest.config.ts'),
      env: long ? { GRIDTICK_TEST_LONG: '1' } : {},
      limitMs: (long ? 120 : 25) * minute,
    },
    {
      name: 'system',
      config: 'deploy/system/vitest.config.ts',
      args: vitest('deploy/system/vitest.config.ts'),
      env: long ? { GRIDTICK_TEST_LONG: '1' } : {},
      limitMs: (long ? 240 : 20) * minute,
    },
    ...(long
      ? []
      : [
          {
            name: 'dashboard',
            config: 'dashboard/vitest.config.ts',
            args: vitest('dashboard/vitest.config.ts'),
            limitMs: 5 * minute,
          },
          {
            name: 'browser',
            config: 'dashboard/playwright.config.ts',
            args: () => [
              'node_modules/@playwright/test/cli.js',
              'test',
              '--config',
              'dashboard/playwright.config.ts',
              '--reporter=list,json',
              ...(filters.length ? ['--pass-with-no-tests', ...filters] : []),
            ],
            limitMs: 20 * minute,
          },
        ]),
  ];

  const total = { passed: 0, failed: 0, skipped: 0 };
  const failures = [];
  try {
    const take = async ({ name, config, args, env = {}, limitMs }, quiet) => {
      if (!existsSync(join(root, config))) return;
      if (!quiet) say(`\n── ${name} ──`);
      const report = join(reports, `${name}.json`);
      const { code, output } = await run(process.execPath, args(report), {
        allowFailure: true,
        quiet,
        shown: !quiet,
        limitMs,
        env: {
          PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD: '1',
          PLAYWRIGHT_JSON_OUTPUT_FILE: report,
          PLAYWRIGHT_CHROMIUM: findProgram('chromium') ?? '',
          ...env,
        },
      });
      if (quiet) say(`\n── ${name} ──\n${output}`);
      if (code === 124) say(`${name}: ended, longer than ${limitMs / minute} min`);
      const found = readReport(report, code, output);
      for (const key of Object.keys(total)) total[key] += found[key];
      failures.push(...found.failures);
    };
    const step = (name) => steps.find((candidate) => candidate.name === name);
    const [server, system, dashboard, browser] = ['server', 'system', 'dashboard', 'browser'].map(step);
    await take(server, false);
    const inBrowser = async () => {
      if (dashboard) await take(dashboard, false);
      if (browser) await take(browser, false);
    };
    // What two print at once nobody can read: the one is shown when it has ended.
    await Promise.all([take(system, browser !== undefined), inBrowser()]);
  } finally {
    rmSync(reports, { recursive: true, force: true });
  }
  // Once more at the very end: of a long log often only the end is looked at, or kept.
  for (const { name, error } of failures) say(`\n✗ ${name.replace(`${root}/`, '')}\n${error.replace(/^/gm, '    ')}`);
  say(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  if (total.failed > 0) process.exitCode = 1;
  else if (total.passed === 0 && !long) throw new Refusal('no test ran');
});
