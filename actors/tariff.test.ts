import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Tier } from './schema/events.ts';
import { priceOf, tierAfter, utilisationBp } from './tariff.ts';

test.each<[Tier | 'unpriced', number, Tier]>([
  ['normal', 7_999, 'normal'],
  ['normal', 8_000, 'normal'],
  ['normal', 8_001, 'double'],
  ['double', 9_999, 'double'],
  ['double', 10_000, 'double'],
  ['double', 10_001, 'triple'],
  ['triple', 11_999, 'triple'],
  ['triple', 12_000, 'triple'],
  ['triple', 12_001, 'capped'],
  ['capped', 12_000, 'capped'],
  ['capped', 11_999, 'capped'],
  ['capped', 11_801, 'capped'],
  ['capped', 11_800, 'triple'],
  ['triple', 10_000, 'triple'],
  ['triple', 9_801, 'triple'],
  ['triple', 9_800, 'double'],
  ['double', 8_000, 'double'],
  ['double', 7_999, 'double'],
  ['double', 7_801, 'double'],
  ['double', 7_800, 'normal'],
  ['normal', 13_000, 'capped'],
  ['capped', 0, 'normal'],
  ['capped', 9_900, 'triple'],
  ['unpriced', 8_000, 'normal'],
  ['unpriced', 12_001, 'capped'],
])('after %s at %i bp follows %s', (before, u, after) => {
  expect(tierAfter(before, u)).toBe(after);
});

test('80.00 % of capacity is normal and the smallest load above it is double', () => {
  const full = 138_000 * 12_000;
  expect(utilisationBp(full * 0.8, 138_000, 12_000)).toBe(8_000);
  expect(utilisationBp(full * 0.8 + 1, 138_000, 12_000)).toBe(8_001);
  expect(utilisationBp(0, 138_000, 12_000)).toBe(0);
  expect(utilisationBp(-5, 138_000, 12_000)).toBe(0);
  expect(utilisationBp(9_000_000_000_000_000, 690_000, 12_000)).toBe(10_869_565_218);
});

test('a sweep from 0 to 130 % and back changes the tier up after 80, 100, 120 and down at 118, 98, 78', () => {
  const changes: [number, Tier][] = [];
  let tier: Tier = 'normal';
  const at = (u: number) => {
    const next = tierAfter(tier, u);
    if (next !== tier) changes.push([u, next]);
    tier = next;
  };
  for (let u = 0; u <= 13_000; u++) at(u);
  for (let u = 13_000; u >= 0; u--) at(u);
  expect(changes).toEqual([
    [8_001, 'double'],
    [10_001, 'triple'],
    [12_001, 'capped'],
    [11_800, 'triple'],
    [9_800, 'double'],
    [7_800, 'normal'],
  ]);
});

test('noise of ± 1 point around a boundary does not make the price flap', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(8_000, 10_000, 12_000),
      fc.array(fc.integer({ min: -99, max: 100 }), { minLength: 2, maxLength: 200 }),
      (boundary, noise) => {
        let tier = tierAfter('normal', boundary);
        let changes = 0;
        for (const n of noise) {
          const next = tierAfter(tier, boundary + n);
          if (next !== tier) changes += 1;
          tier = next;
        }
        expect(changes).toBeLessThanOrEqual(1);
      },
    ),
  );
});

test('the price is base, twice, three times; a negative base never makes congestion cheaper', () => {
  expect((['normal', 'double', 'triple', 'capped'] as const).map((tier) => priceOf(tier, 100_000))).toEqual([
    100_000, 200_000, 300_000, 300_000,
  ]);
  expect((['normal', 'double', 'triple'] as const).map((tier) => priceOf(tier, -69_000))).toEqual([
    -69_000, -49_000, -29_000,
  ]);
});
