/**
 * What the built dashboard weighs against what it may weigh: `node dashboard/budget.mjs [folder]`. Exits with 1 when a
 * budget is broken. The shell is what the first page needs; other pages come when they are opened, charts with the first
 * page that has one; fonts are swapped in and count apart.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

export const budgets = { shell: 60_000, pages: 40_000, charts: 220_000, fonts: 120_000 };

/** Bytes by part, gzipped; fonts are compressed already. */
export function weigh(folder) {
  const size = (path) => gzipSync(readFileSync(join(folder, path)), { level: 9 }).length;
  const html = readFileSync(join(folder, 'index.html'), 'utf8');
  // What the page itself names is needed before anything is seen; every other chunk is loaded later.
  const named = [...html.matchAll(/(?:src|href)="\/([^"]+)"/g)].map(([, path]) => path);
  const assets = readdirSync(join(folder, 'assets')).map((name) => `assets/${name}`);
  const fonts = assets.filter((path) => path.endsWith('.woff2'));
  const later = assets.filter((path) => !named.includes(path) && !fonts.includes(path) && !path.endsWith('.map'));
  const charts = later.filter((path) => path.includes('LoadPriceChart'));
  const pages = later.filter((path) => !charts.includes(path));
  const sum = (paths, of) => paths.reduce((total, path) => total + of(path), 0);
  return {
    shell: sum(['index.html', ...named], size),
    pages: sum(pages, size),
    charts: sum(charts, size),
    fonts: sum(fonts, (path) => readFileSync(join(folder, path)).length),
  };
}

if (process.argv[1] === import.meta.filename) {
  const weight = weigh(process.argv[2] ?? join(import.meta.dirname, '../dist/dashboard'));
  for (const [part, most] of Object.entries(budgets)) {
    const kept = weight[part] <= most;
    process.stdout.write(`${kept ? '✓' : '✗'} ${part}: ${(weight[part] / 1_000).toFixed(1)} of ${most / 1_000} kB\n`);
    if (!kept) process.exitCode = 1;
  }
}
