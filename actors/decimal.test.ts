import fc from 'fast-check';
import { expect, test } from 'vitest';
import { measured, scaled } from './decimal.ts';

test.each([
  ['12.345', 3, 12_345],
  ['0', 0, 0],
  ['-0', 0, 0],
  ['-0.0', 3, 0],
  ['7', 3, 7_000],
  ['.5', 3, 500],
  ['5.', 0, 5],
  ['+3', 0, 3],
  ['0.0005', 3, 0],
  ['0.0015', 3, 2],
  ['0.0025', 3, 2],
  ['-0.0015', 3, -2],
  ['0.00050001', 3, 1],
  ['1.5e3', 0, 1_500],
  ['1E-3', 3, 1],
  ['25e-1', 0, 2],
  ['0012', 0, 12],
  ['9007199254740991', 0, 9_007_199_254_740_991],
  ['0.1', 17, null],
])('%s × 10^%i is %s, halves to even', (text, power, expected) => {
  expect(scaled(text, power)).toBe(expected);
});

test.each([
  '',
  '.',
  '-',
  'abc',
  '1,5',
  '1.2.3',
  '0x10',
  'NaN',
  'Infinity',
  ' 1',
  '1e',
  '1e999',
  '9007199254740992',
  '1'.repeat(65),
])("'%s' is no decimal that we can hold", (text) => {
  expect(scaled(text, 0)).toBeNull();
});

test('any decimal equals the one computed on its digits', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -1_000_000_000, max: 1_000_000_000 }),
      fc.integer({ min: 0, max: 6 }),
      (n, decimals) => {
        const digits = String(Math.abs(n)).padStart(decimals + 1, '0');
        const text = `${n < 0 ? '-' : ''}${digits.slice(0, digits.length - decimals)}.${digits.slice(digits.length - decimals)}`;
        expect(scaled(text, decimals)).toBe(n);
      },
    ),
  );
});

test('kWh become Wh, A become mA, an unknown unit is not understood', () => {
  expect(measured({ unit: 'kWh', value: '1.2345' })).toEqual({ quantity: 'energyWh', value: 1_234 });
  expect(measured({ unit: 'A', value: '16.02' })).toEqual({ quantity: 'currentMa', value: 16_020 });
  expect(measured({ unit: 'furlong', value: '1' })).toBeNull();
  expect(measured({ unit: 'toString', value: '1' })).toBeNull();
});
