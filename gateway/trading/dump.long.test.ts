import { expect, test } from 'vitest';
import { hugeDump } from './testing.ts';

test.each([[], ['check']] as const)('a dump of 100 MB takes less than 64 MiB of memory (%s)', (...more) => {
  const { isValid, written, grownBytes } = hugeDump(...more);
  expect(isValid).toBe(more.length > 0 ? true : null);
  expect(written).toBeGreaterThan(100_000_000);
  expect(grownBytes).toBeLessThan(64 * 1_024 * 1_024);
});
