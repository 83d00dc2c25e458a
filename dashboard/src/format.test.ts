import { expect, test } from 'vitest';
import * as format from './format.ts';

test('what is not known is a dash, never 0', () => {
  expect(format.price(null)).toBe('—');
  expect(format.kilowatts(null)).toBe('—');
  expect(format.percent(null)).toBe('—');
  expect(format.clockTime(null)).toBe('—');
  expect(format.kilowattHours(null)).toBe('—');
  expect(format.kilowatts(0)).toBe('0.0');
});

test('prices show two decimals and keep all five for who asks', () => {
  expect(format.price(210_000)).toBe('2.10');
  expect(format.priceExact(104_567)).toBe('1.04567');
  expect(format.price(104_567)).toBe('1.05');
});

test('a minus is a minus sign, and nothing is not negative', () => {
  expect(format.price(-12_000)).toBe('\u22120.12');
  expect(format.price(-1)).toBe('0.00');
  expect(format.fixed(-0.04, 1)).toBe('0.0');
});

test('utilisation is rounded up, so what is above a boundary never looks as if it were on it', () => {
  expect(format.percent(8_000)).toBe('80.0');
  expect(format.percent(8_001)).toBe('80.1');
  expect(format.utilisation(110_400, 138_000)).toBe(8_000);
  expect(format.utilisation(110_401, 138_000)).toBe(8_001);
  expect(format.utilisation(1, 0)).toBeNull();
});

test('power and energy come from whole units', () => {
  expect(format.kilowatts(11_040)).toBe('11.0');
  expect(format.kilowatts(138_000, 0)).toBe('138');
  expect(format.kilowattHours(6_123)).toBe('6.12');
});

test('ages grow from seconds to days and are never negative', () => {
  expect([-3_000, 0, 18_999, 99_000, 100_000, 7_200_000, 200_000_000].map(format.age)).toEqual([
    '0 s',
    '0 s',
    '18 s',
    '99 s',
    '1 min',
    '2 h',
    '2 d',
  ]);
});

test('countdowns have two digits each', () => {
  expect(format.countdown(43_900)).toBe('00:43');
  expect(format.countdown(3_661_000)).toBe('1:01:01');
  expect(format.hours(11_100_000)).toBe('3:05');
});

test('times are read with 24 hours in the zone of the user', () => {
  const noon = new Date(2026, 0, 5, 14, 5, 12).getTime();
  expect(format.clockTime(noon)).toBe('14:05:12');
  expect(format.clockMinute(noon)).toBe('14:05');
  expect(format.fullTime(noon)).toMatch(/^05 Jan 2026, 14:05:12 \S+/);
});

test('an amount of energy shows the Wh where there are any', () => {
  expect([format.amountText(10_000), format.amountText(2_345), format.amountText(10)]).toEqual([
    '10.00',
    '2.345',
    '0.01',
  ]);
});

test('balances have a thin space between thousands and the true minus', () => {
  expect([
    format.money(9_000_000),
    format.money(123_456_789_000),
    format.money(-250_000),
    format.money(-1),
    format.money(null),
  ]).toEqual([...['90.00', '1\u202f234\u202f567.89', '−2.50', '0.00', '—']]);
});
