import { expect, test } from 'vitest';
import fc from 'fast-check';
import { rendezvous } from './rendezvous.ts';

const partitions = Array.from({ length: 64 }, (_, p) => p);
const engines = fc.uniqueArray(fc.uuid({ version: 4 }), { minLength: 1, maxLength: 12 });

test('an engine that comes only takes, one that goes only gives, whatever order they are listed in', () => {
  fc.assert(
    fc.property(engines, fc.uuid({ version: 4 }), (before, newcomer) => {
      fc.pre(!before.includes(newcomer));
      for (const p of partitions) {
        const owner = rendezvous(p, before);
        const after = rendezvous(p, [newcomer, ...before.toReversed()]);
        expect([owner, newcomer]).toContain(after);
      }
    }),
    { numRuns: 30 },
  );
});

test('shares are about equal, and without engines there is no owner', () => {
  const four = ['a1b2c3d4', '0f9e8d7c', '5a5a5a5a', 'deadbeef'];
  const shares = four.map((engine) =>
    Array.from({ length: 4_000 }, (_, p) => p).filter((p) => rendezvous(p, four) === engine),
  );
  for (const { length } of shares) expect(Math.abs(length - 1_000)).toBeLessThan(120);
  expect(rendezvous(0, [])).toBe(null);
});
