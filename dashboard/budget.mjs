/**
 * What the built dashboard weighs against what it may weigh: `node dashboard/budget.mjs [folder]`. Exits with 1 when a
 * budget is broken. The shell is what every page needs; a page comes when it is opened, and counts with all that it needs
 * beyond the shell; charts come with the first page that has one; fonts are swapped in and count apart.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** Bytes. `page`: the heaviest one. */
export const budgets = { shell: 60_000, page: 30_000, charts: 220_000, fonts: 120_000 };

const chartsModule = 'src/chart/charts.ts';

/** Bytes by part, gzipped; fonts are compressed already. `pages`: each by its module. */
export function weigh(folder) {
  const size = (path) => gzipSync(readFileSync(join(folder, path)), { level: 9 }).length;
  const sum = (paths) => [...paths].reduce((total, path) => total + size(path), 0);
  const html = readFileSync(join(folder, 'index.html'), 'utf8');
  // What the page itself names is needed before anything is seen; every other chunk is loaded later.
  const shell = new Set(['index.html', ...[...html.matchAll(/(?:src|href)="\/([^"]+)"/g)].map(([, path]) => path)]);

  const manifest = JSON.parse(readFileSync(join(folder, '.vite/manifest.json'), 'utf8'));
  /** Files of a module and of all that it imports. */
  const needs = (module, found = new Set()) => {
    const { file, css = [], imports = [] } = manifest[module];
    if (found.has(file)) return found;
    for (const path of [file, ...css]) if (!shell.has(path)) found.add(path);
    for (const next of imports) if (!shell.has(manifest[next].file)) needs(next, found);
    return found;
  };
  const later = Object.keys(manifest).filter((module) => manifest[module].isDynamicEntry);
  const pages = Object.fromEntries(
    later.filter((module) => module !== chartsModule).map((module) => [module, sum(needs(module))]),
  );
  const fonts = readdirSync(join(folder, 'assets')).filter((name) => name.endsWith('.woff2'));
  return {
    shell: sum(shell),
    page: Math.max(...Object.values(pages)),
    charts: sum(needs(chartsModule)),
    fonts: fonts.reduce((total, name) => total + readFileSync(join(folder, 'assets', name)).length, 0),
    pages,
  };
}

if (process.argv[1] === import.meta.filename) {
  const weight = weigh(process.argv[2] ?? join(import.meta.dirname, '../dist/dashboard'));
  const kb = (bytes) => (bytes / 1_000).toFixed(1);
  for (const [part, most] of Object.entries(budgets)) {
    const kept = weight[part] <= most;
    process.stdout.write(`${kept ? '✓' : '✗'} ${part}: ${kb(weight[part])} of ${kb(most)} kB\n`);
    if (!kept) process.exitCode = 1;
  }
  for (const [module, bytes] of Object.entries(weight.pages)) process.stdout.write(`  ${module}: ${kb(bytes)} kB\n`);
}
