/** `npm run check`: the whole gate. Every step runs, so that one pass shows everything that is wrong. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkNode } from './provide.mjs';
import { entry, Refusal, root, run, say } from './run.mjs';

const tool = (path, ...args) => ({ args: [`node_modules/${path}`, ...args] });

function versions() {
  checkNode();
  const version = JSON.parse(readFileSync(join(root, 'node_modules/typescript/package.json'), 'utf8')).version;
  // svelte-check and the linters need the compiler API of 6.
  if (!version.startsWith('6.')) throw new Refusal(`TypeScript 6 is wanted, ${version} is installed: npm ci`);
}

/**
 * svelte-check can fall silent. One run checks the dashboard and itself: a file with a planted error lies beside the
 * sources, and exactly its error must be reported.
 */
async function svelteWithCanary() {
  const folder = existsSync(join(root, 'dashboard/src')) ? 'dashboard/src' : 'dashboard';
  const canary = join(root, folder, 'canary_check.svelte');
  writeFileSync(canary, '<script lang="ts">\n  export const planted: number = \'a string\';\n</script>\n');
  try {
    const { output } = await run(
      process.execPath,
      [
        'node_modules/svelte-check/bin/svelte-check',
        '--workspace',
        'dashboard',
        '--tsconfig',
        './tsconfig.json',
        '--threshold',
        'warning',
        '--output',
        'machine',
      ],
      { quiet: true, allowFailure: true, limitMs: 300_000 },
    );
    const problems = output.split('\n').filter((line) => / (ERROR|WARNING) "/.test(line));
    const planted = problems.filter((line) => line.includes('canary_check.svelte'));
    const real = problems.filter((line) => !planted.includes(line));
    if (real.length) throw new Refusal(real.join('\n'));
    if (!planted.length) throw new Refusal(`svelte-check did not see the planted error:\n${output.slice(-2_000)}`);
  } finally {
    rmSync(canary, { force: true });
  }
}

const steps = {
  versions: { work: versions },
  types: tool('typescript/bin/tsc', '--noEmit', '-p', '.'),
  'svelte-check': { when: 'dashboard/tsconfig.json', work: svelteWithCanary },
  lint: tool('eslint/bin/eslint.js', '.', '--cache', '--cache-location', '.cache/eslint', '--max-warnings', '0'),
  format: tool(
    'prettier/bin/prettier.cjs',
    '.',
    '--check',
    '--log-level',
    'warn',
    '--cache',
    '--cache-location',
    '.cache/prettier',
  ),
  'dead code': tool('knip/bin/knip.js', '--no-progress'),
  style: tool('vitest/vitest.mjs', 'run', 'deploy/scripts/style.test.ts', '--reporter=dot'),
};

await entry(async () => {
  const only = process.argv.slice(2);
  const failed = [];
  for (const [name, { args, work, when }] of Object.entries(steps)) {
    if (only.length && !only.includes(name)) continue;
    if (when && !existsSync(join(root, when))) continue;
    const startedAt = Date.now();
    try {
      if (work) await work();
      else await run(process.execPath, args, { quiet: true, limitMs: 600_000 });
      say(`✓ ${name} (${((Date.now() - startedAt) / 1000).toFixed(1)} s)`);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      failed.push(name);
      say(`✗ ${name}\n${error.message}\n`);
    }
  }
  if (failed.length) throw new Refusal(`check failed: ${failed.join(', ')}`);
  say('check passed');
});
