import { expect, test } from 'vitest';
import { bucketPoints, loadRangeOption, loadRangeSummary, type LoadRow } from './load_range.ts';
import type { Palette } from './palette.ts';

const row = (at: number, meanW: number, more: Partial<LoadRow> = {}): LoadRow => ({
  ...{ at, meanW, maxW: meanW + 5_000, capacityW: 195_000, maxUtilisationBp: 10_000 },
  ...more,
});
const palette = { load: '#123456', muted: '#123456', normal: '#1', double: '#123456', triple: '#123456' } as Palette;
const stepMs = 60_000;
type Series = {
  id: string;
  data: [number, number | null][];
  sampling: string;
  markLine?: { data: { yAxis: number }[] };
};
const option = (rows: LoadRow[]) =>
  loadRangeOption({ rows, stepMs, from: 0, to: 600_000, palette }) as {
    series: Series[];
    xAxis: { min: number; max: number };
    yAxis: { max: number | null };
  };

test('mean and peak of each step, in kW; steps that are missing are a hole', () => {
  const rows = [row(0, 100_000), row(60_000, 120_000), row(240_000, 90_000)];
  expect(bucketPoints(rows, stepMs, ({ meanW }) => meanW)).toEqual([
    [0, 100],
    [60_000, 120],
    [120_000, 120],
    [120_001, null],
    [240_000, 90],
    [300_000, 90],
  ]);
  expect(option(rows).series.map(({ id, data }) => [id, data[0]?.[1]])).toEqual([
    ['mean', 100],
    ['peak', 105],
  ]);
  expect(option(rows).series.every(({ sampling }) => sampling === 'minmax')).toBe(true);
});

test('the bands are those of the limit, and a peak far above it is still seen', () => {
  const { series, yAxis, xAxis } = option([row(0, 200_000, { maxW: 310_200, maxUtilisationBp: 15_908 })]);
  expect(series[0]?.markLine?.data.map(({ yAxis: kw }) => kw)).toEqual([156, 195, 234]);
  expect(yAxis.max).toBeGreaterThan(310.2);
  expect(xAxis).toMatchObject({ min: 0, max: 600_000 });
});

test('a node without a limit has no bands', () => {
  const { series, yAxis } = option([row(0, 10_000, { capacityW: 0, maxUtilisationBp: 0 })]);
  expect(series[0]?.markLine).toBeUndefined();
  expect(yAxis.max).toBeNull();
});

test('one sentence names the peak, when it was, and its share of the limit', () => {
  const rows = [row(0, 100_000), row(60_000, 300_000, { maxW: 310_200, maxUtilisationBp: 15_908 })];
  expect(loadRangeSummary(rows)).toMatch(/Peak 310\.2 kW at .*, 159\.1 % of the limit\.$/);
  expect(loadRangeSummary([])).toBeNull();
});
