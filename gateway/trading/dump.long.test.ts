import { expect, test } from 'vitest';
import { hugeDump } from './testing.ts';

test('a dump of 100 MB is checked while it is written, in less than 64 MiB of memory', () => {
  const { isValid, written, grownBytes } = hugeDump('check');
  expect(isValid).toBe(true);
  expect(written).toBeGreaterThan(100_000_000);
  expect(grownBytes).toBeLessThan(64 * 1_024 * 1_024);
});
