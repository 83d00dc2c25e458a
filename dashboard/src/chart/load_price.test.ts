import { expect, test } from 'vitest';
import { aPrice } from '../live/a_price.ts';
import { chartSummary, loadPoints, loadPriceOption, pricePoints, type LoadPriceInput } from './load_price.ts';

const palette = Object.fromEntries(
  ['surface', 'text', 'muted', 'line', 'hairline', 'accent', 'load', 'normal', 'double', 'triple'].map((name) => [
    name,
    '#123456',
  ]),
) as LoadPriceInput['palette'];
const option = (changes: Partial<LoadPriceInput> = {}) =>
  loadPriceOption({
    ...{
      prices: [aPrice(10), aPrice(11)],
      capacityW: 138_000,
      now: 150_000,
      windowMs: 900_000,
      palette,
      series: 'both',
    },
    ...changes,
  }) as Record<'xAxis' | 'yAxis' | 'series', Record<string, unknown>[]> & { animation: boolean };

test('each value holds for its slot', () => {
  expect(pricePoints([aPrice(10), aPrice(11, { priceE5SekPerKwh: 200_000 })])).toEqual([
    [120_000, 1],
    [132_000, 2],
    [144_000, 2],
  ]);
});

test('the load that made a price is drawn where it was drawn from the grid, one slot earlier', () => {
  expect(loadPoints([aPrice(10)])).toEqual([
    [108_000, 110.4],
    [120_000, 110.4],
  ]);
});

test('slots that are missing are a hole, not a line and not a zero', () => {
  expect(pricePoints([aPrice(10), aPrice(14)])).toEqual([
    [120_000, 1],
    [132_000, 1],
    [132_001, null],
    [168_000, 1],
    [180_000, 1],
  ]);
  expect(option().series.every(({ connectNulls }) => connectNulls === false)).toBe(true);
});

test('the time axis moves with the clock, so silence is seen', () => {
  for (const axis of option({ now: 1_000_000 }).xAxis) expect(axis).toMatchObject({ min: 100_000, max: 1_000_000 });
});

test('the three boundaries of the bands are drawn at 80, 100 and 120 % of capacity', () => {
  const [load] = option().series as { markLine: { data: { yAxis: number }[] } }[];
  expect(load?.markLine.data.map(({ yAxis }) => yAxis)).toEqual([110.4, 138, 165.6]);
});

test('peaks survive on small screens: minmax for load, never an average', () => {
  expect(option().series.map(({ id, sampling }) => [id, sampling])).toEqual([
    ['load', 'minmax'],
    ['price', 'lttb'],
  ]);
  expect(option().animation).toBe(false);
});

test('a narrow screen shows one series on one axis', () => {
  expect(option({ series: 'price' }).series.map(({ id }) => id)).toEqual(['price']);
  expect(option({ series: 'load' }).xAxis).toHaveLength(1);
});

test('one sentence says what the picture shows; nothing is said about nothing', () => {
  const prices = [aPrice(10), aPrice(11, { loadW: 151_800, priceE5SekPerKwh: 300_000 })];
  expect(chartSummary(prices, 0)).toMatch(/from 110\.4 to 151\.8 kW\. Newest price 3\.00 SEK\/kWh/);
  expect(chartSummary(prices, 999_999)).toBeNull();
});
