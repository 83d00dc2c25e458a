import fc from 'fast-check';
import { expect, test } from 'vitest';
import { affordableWh, cost, decimalText, mostOre, mostWh, readDecimal } from './amount.ts';

const ore = (typed: string) => readDecimal(typed, 2, mostOre);
const problem = (typed: string) => {
  const entry = ore(typed);
  return entry.ok ? entry.text : entry.problem;
};

test('comma and dot both mark decimals, and what was understood is echoed', () => {
  expect(ore('100')).toEqual({ ok: true, units: 10_000, text: '100.00' });
  expect(ore('99,5')).toEqual({ ok: true, units: 9_950, text: '99.50' });
  expect(ore(' 0.01 ')).toEqual({ ok: true, units: 1, text: '0.01' });
  expect(readDecimal('1,234', 3, mostWh)).toEqual({ ok: true, units: 1_234, text: '1.234' });
});

test.each([
  ['', 'empty'],
  ['  ', 'empty'],
  ['1 000', 'grouping'],
  ['1.000,00', 'grouping'],
  ['1,000,000', 'grouping'],
  ["1'000", 'grouping'],
  ['-5', 'not_a_number'],
  ['+5', 'not_a_number'],
  ['1e3', 'not_a_number'],
  ['NaN', 'not_a_number'],
  ['Infinity', 'not_a_number'],
  ['0x10', 'not_a_number'],
  ['.5', 'not_a_number'],
  ['5.', 'not_a_number'],
  ['٣', 'not_a_number'],
  ['1.234', 'decimals'],
  ['0', 'zero'],
  ['0,00', 'zero'],
  ['1000000000.01', 'too_much'],
  ['99999999999999999999', 'too_much'],
])('%j is refused as an amount: %s', (typed, why) => {
  expect(problem(typed)).toBe(why);
});

test('the greatest amount is allowed', () => {
  expect(problem('1000000000')).toBe('1000000000.00');
});

test('what is sent reads back as what was typed', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: mostOre }), (units) => {
      expect(ore(decimalText(units, 2))).toMatchObject({ ok: true, units });
      expect(ore(decimalText(units, 2).replace('.', ','))).toMatchObject({ ok: true, units });
    }),
  );
});

test('a price times energy is rounded half to even, as in the ledger', () => {
  expect(cost(10_000, 100_000)).toBe(1_000_000);
  expect([cost(1, 500), cost(1, 1_500), cost(1, 2_500), cost(1, 1_501)]).toEqual([0, 2, 2, 2]);
  expect(cost(3, -500)).toBe(-2);
});

test('what money pays for costs no more than it, and one watt-hour more would', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000_000 }), fc.integer({ min: 1, max: 900_000 }), (money, price) => {
      const wh = affordableWh(money, price);
      expect(cost(wh, price)).toBeLessThanOrEqual(money);
      if (wh < mostWh) expect(cost(wh + 1, price)).toBeGreaterThan(money);
    }),
  );
  expect([affordableWh(0, 100_000), affordableWh(-5, 100_000), affordableWh(5, 0)]).toEqual([0, 0, mostWh]);
});
