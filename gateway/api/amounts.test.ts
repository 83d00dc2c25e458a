import { expect, test } from 'vitest';
import { amountE5Sek } from './amounts.ts';

test.each([
  ['100.00', 10_000_000],
  ['100', 10_000_000],
  ['0.01', 1_000],
  ['0.1', 10_000],
  ['0.29', 29_000],
  ['19.99', 1_999_000],
  ['4.35', 435_000],
  ['1000000000', 100_000_000_000_000],
  ['1000000000.00', 100_000_000_000_000],
  ['999999999.99', 99_999_999_999_000],
])('%s SEK are %i of 10⁻⁵ SEK', (text, expected) => {
  expect(amountE5Sek(text)).toBe(expected);
});

test.each([
  ['nothing', ''],
  ['zero', '0'],
  ['zero with decimals', '0.00'],
  ['a negative amount', '-1'],
  ['a plus sign', '+1'],
  ['three decimals', '1.001'],
  ['a thousandth of an öre', '0.001'],
  ['an exponent', '1e3'],
  ['a large exponent', '1E9'],
  ['not a number', 'NaN'],
  ['infinity', 'Infinity'],
  ['hexadecimal', '0x10'],
  ['a comma', '1,50'],
  ['a thousands separator', '1 000'],
  ['a space before', ' 1'],
  ['a line break after', '1\n'],
  ['a point without decimals', '1.'],
  ['a point without kronor', '.5'],
  ['two points', '1.2.3'],
  ['a leading zero', '01'],
  ['digits of another script', '١٢'],
  ['an öre more than 10⁹', '1000000000.01'],
  ['ten digits above the limit', '9999999999'],
  ['eleven digits', '10000000000'],
  ['a currency', '10 SEK'],
])('%s is refused', (_name, text) => {
  expect(() => amountE5Sek(text)).toThrow(expect.objectContaining({ code: 'bad_amount' }) as Error);
});

test('a limit of credit may be zero, an amount may not', () => {
  expect(amountE5Sek('0', 0)).toBe(0);
  expect(amountE5Sek('0.00', 0)).toBe(0);
  expect(() => amountE5Sek('-0', 0)).toThrow(expect.objectContaining({ code: 'bad_amount' }) as Error);
});
