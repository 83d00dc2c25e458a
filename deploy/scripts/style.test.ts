/** House rules that no other tool knows; they run in `npm test` and in `npm run check`. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { arrowProblem } from './arrows.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What is or will be committed. */
const paths = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: root })
  .toString()
  .split('\n')
  .filter((path) => path !== '' && existsSync(join(root, path)));
const withEnding = (...endings: string[]) => paths.filter((path) => endings.includes(extname(path)));
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const code = withEnding('.ts', '.mjs', '.js', '.svelte');
const texts = [...code, ...withEnding('.md', '.css', '.html', '.sql', '.json', '.yml', '.yaml')].filter(
  (path) => path !== 'package-lock.json' && path !== 'deploy/scripts/style.test.ts',
);

/** `path:line: text` of every line that matches. */
const found = (files: string[], pattern: RegExp, except = /^\b$/) =>
  files.flatMap((path) =>
    read(path)
      .split('\n')
      .flatMap((line, i) => (pattern.test(line) && !except.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : [])),
  );

test('nothing is left for later: no marker words and no excuses', () => {
  const words = /\b(TODO|FIXME|XXX|HACK)\b|not (yet )?implemented|\bplaceholder\b|for now,|simplified version/i;
  // An input's hint is called placeholder in HTML and CSS.
  expect(found(texts, words, /placeholder(=|\s*[:}]|\})|::placeholder|\bhack(s|ed|er)\b/)).toEqual([]);
});

test('no machine of ours, no package mirror and no download address is named', () => {
  expect(found(texts, /(^|[^\w.-])\/(work|farm|home|root)\//)).toEqual([]);
  expect(found(texts, /registry[.]np|deb[.]deb|nodesour[c]e/)).toEqual([]);
  expect(read('package-lock.json')).not.toContain('"resolved"');
  expect(read('.npmrc')).toContain('omit-lockfile-registry-resolved=true');
});

test('the lockfile names every optional package, also those of other platforms, or `npm ci` refuses it', () => {
  type Entry = { version?: string; optionalDependencies?: Record<string, string> };
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, Entry> };
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !packages[`node_modules/${name}`]?.version && !packages[`${path}/node_modules/${name}`]?.version,
    ),
  );
  expect(missing).toEqual([]);
});

test('every test runs: none is singled out, none is switched off without a condition', () => {
  const tests = code.filter((path) => /\.(test|spec)\.ts$/.test(path) && path !== 'deploy/scripts/style.test.ts');
  expect(found(tests, /\b(test|it|describe)\.(only|todo|fails)\b|\b(test|it|describe)\.skip\([^)]*,/)).toEqual([]);
});

test('imports follow actors ← engine ← gateway, also where lint does not look', () => {
  const imports = /(?:^|\n)\s*(?:import|export)(\s+type)?[^'";]*?from\s*'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/g;
  const problems = code
    .filter((path) => path !== 'deploy/scripts/style.test.ts')
    .flatMap((path) =>
      [...read(path).matchAll(imports)].flatMap(([, type, from, dynamic]) => {
        const problem = arrowProblem(path, from ?? dynamic ?? '', type !== undefined);
        return problem ? [`${path}: ${problem}`] : [];
      }),
    );
  expect(problems).toEqual([]);
});

test('the fence lets through what points down and stops what points up', () => {
  expect(arrowProblem('engine/a.ts', '#actors/units')).toBeNull();
  expect(arrowProblem('gateway/ocpp/a.ts', '#engine/log/mod')).toBeNull();
  expect(arrowProblem('gateway/ocpp/a.ts', '../schema/live.ts')).toBeNull();
  expect(arrowProblem('dashboard/src/a.ts', '#gateway/schema/live', true)).toBeNull();
  expect(arrowProblem('engine/a.ts', '#gateway/api/server')).toContain('other way');
  expect(arrowProblem('actors/a.ts', 'node:fs')).toContain('xstate and typebox only');
  expect(arrowProblem('actors/a.ts', '../engine/wire.ts')).toContain('climbs out');
  expect(arrowProblem('engine/a.ts', '../actors/units.ts')).toContain('climbs out');
  expect(arrowProblem('dashboard/src/a.ts', '#gateway/schema/live', false)).toContain('import type');
  expect(arrowProblem('dashboard/src/a.ts', '#engine/wire', true)).toContain('import type');
  expect(arrowProblem('engine/a.ts', '../deploy/scripts/run.mjs')).not.toBeNull();
});

test('lines stay readable: 160 characters at most in code, where prettier cannot break them', () => {
  const long = code.flatMap((path) =>
    read(path)
      .split('\n')
      .flatMap((line, i) => (line.length > 160 ? [`${path}:${i + 1} has ${line.length}`] : [])),
  );
  expect(long).toEqual([]);
});

test('no file is larger than half a megabyte', () => {
  expect(paths.filter((path) => statSync(join(root, path)).size > 500_000)).toEqual([]);
});
