/** Documents lead somewhere: what they link to exists, and so do the files that they name. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const documents = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], { cwd: root })
  .toString()
  .split('\n')
  .filter((path) => path !== '' && existsSync(join(root, path)))
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));

test('every relative link of a document leads to a file or folder', () => {
  const links = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map(([, target]) => target!)
      .filter((target) => !/^[a-z]+:/.test(target))
      .map((target) => ({ path, target, file: normalize(join(dirname(path), target)) })),
  );
  expect(links.length).toBeGreaterThan(20);
  expect(links.filter(({ file }) => !existsSync(join(root, file)))).toEqual([]);
});

test('every source file that a document names by its path exists', () => {
  const named = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/`((?:actors|engine|gateway|dashboard|deploy)\/[\w/.-]+\.\w+)`/g)].map(([, file]) => ({
      path,
      file: file!,
    })),
  );
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter(({ file }) => !existsSync(join(root, file)))).toEqual([]);
});

test('"How a watt-hour travels" passes at most eight files', () => {
  const readme = documents.find(({ path }) => path === 'README.md')!.text;
  const way = readme.split(/^## /m).find((section) => section.startsWith('How a watt-hour travels'))!;
  const files = [...way.matchAll(/\]\(([^)]+\.ts)\)/g)];
  expect(files.length).toBeGreaterThan(4);
  expect(files.length).toBeLessThanOrEqual(8);
});
