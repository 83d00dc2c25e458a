import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { build, buildOf } from './build.ts';

const root = mkdtempSync(join(tmpdir(), 'gridtick-build-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const write = (path: string, text: string) => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};
const dependencies = { machines: '5.1.0', screens: '2.0.0' };
const id = (versions = dependencies) =>
  buildOf(root, '.js', { version: '1.2.3', dependencies: versions }, ['engine/loop', 'actors/all']);

write('engine/loop.js', "import { pack } from './wire.js';\nimport { price } from '#actors/price';\n");
write('engine/wire.js', "import { inspect } from 'node:util';\n");
write('engine/reader.js', 'export const read = 1;\n');
write('actors/all.js', "export * from './price.js';\n");
write('actors/price.js', "import { setup } from 'machines/core';\nexport const price = 10;\n");

test('a build is the version and the code that decides: a changed rule is another one, a changed reader is not', () => {
  const before = id();
  expect(before).toMatch(/^1\.2\.3\+[0-9a-f]{12}$/);
  write('engine/reader.js', 'export const read = 2;\n');
  expect(id()).toBe(before);
  write('actors/price.js', "import { setup } from 'machines/core';\nexport const price = 11;\n");
  const changed = id();
  expect(changed).not.toBe(before);
  write('actors/price.js', "import { setup } from 'machines/core';\nexport const price = 10;\n");
  expect(id()).toBe(before);
});

test('packages count as far as rules import them', () => {
  const before = id();
  expect(id({ ...dependencies, screens: '3.0.0' })).toBe(before);
  expect(id({ ...dependencies, machines: '5.1.1' })).not.toBe(before);
});

test('a build that lacks its rules has no identity', () => {
  expect(() => buildOf(root, '.js', { version: '1', dependencies: {} }, ['engine/gone'])).toThrow(
    /gone\.js is not there/,
  );
});

test('this very build has one', () => {
  expect(build).toMatch(/^\d+\.\d+\.\d+\+[0-9a-f]{12}$/);
});
