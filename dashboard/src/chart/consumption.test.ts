import { expect, test } from 'vitest';
import {
  bucketName,
  consumptionOption,
  consumptionSummary,
  energyBuckets,
  startOfDay,
  totalWh,
} from './consumption.ts';
import type { Palette } from './palette.ts';

const hourMs = 3_600_000;
const losAngeles = 'America/Los_Angeles';
const at = (text: string) => Date.parse(text);
const week = { from: at('2019-05-13T07:00Z'), to: at('2019-05-20T07:00Z'), step: 'day', zone: losAngeles } as const;

test('a day begins at the midnight of the site, not of whoever looks', () => {
  expect(startOfDay(at('2019-05-15T14:32Z'), losAngeles)).toBe(at('2019-05-15T07:00Z'));
  expect(startOfDay(at('2019-05-15T06:59Z'), losAngeles)).toBe(at('2019-05-14T07:00Z'));
  expect(bucketName(at('2019-05-15T07:00Z'), 'day', losAngeles)).toBe('15 May');
  // The day on which clocks are put back has 25 hours.
  expect(startOfDay(at('2019-10-27T22:59Z'), 'Europe/Stockholm')).toBe(at('2019-10-26T22:00Z'));
  expect(startOfDay(at('2019-10-27T23:00Z'), 'Europe/Stockholm')).toBe(at('2019-10-27T23:00Z'));
});

test('days on which nothing was charged have their place, and the sum is that of the rows', () => {
  const rows = [
    { at: at('2019-05-13T07:00Z'), energyWh: 900_500 },
    { at: at('2019-05-16T07:00Z'), energyWh: 100_250 },
  ];
  const buckets = energyBuckets(rows, week);
  expect(buckets.map(({ energyWh }) => energyWh)).toEqual([900_500, 0, 0, 100_250, 0, 0, 0]);
  expect(totalWh(buckets)).toBe(1_000_750);
  expect(consumptionSummary(buckets, 'day', losAngeles)).toBe(
    'Energy per day from 13 May to 19 May: 1000.75 kWh in all, the most at 13 May with 900.50 kWh.',
  );
});

test('hours are those of the clock, from the one in which the range begins', () => {
  const rows = [{ at: 2 * hourMs, energyWh: 6_600 }];
  const buckets = energyBuckets(rows, { from: 1.5 * hourMs, to: 4 * hourMs, step: 'hour', zone: losAngeles });
  expect(buckets).toEqual([
    { at: hourMs, energyWh: 0 },
    { at: 2 * hourMs, energyWh: 6_600 },
    { at: 3 * hourMs, energyWh: 0 },
  ]);
});

test('bars are in kWh, one per day', () => {
  const buckets = energyBuckets([{ at: week.from, energyWh: 12_345 }], week);
  const palette = { load: '#123456', muted: '#123456' } as Palette;
  const { series } = consumptionOption({ buckets, step: 'day', zone: losAngeles, palette }) as {
    series: { type: string; data: number[] }[];
  };
  expect(series[0]).toMatchObject({ type: 'bar', data: [12.345, 0, 0, 0, 0, 0, 0] });
});
