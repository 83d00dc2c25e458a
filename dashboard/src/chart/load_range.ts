/** Load of a node over any range: the mean as an area, the peak of each bucket as a line, against the bands. Pure. */
import type { LoadsReply } from '#gateway/schema/history';
import { clockMinute, dayMinute, dayMonth, kilowatts, percent } from '../format.ts';
import { monitoring as m } from '../text/monitoring.ts';
import { t } from '../text/mod.ts';
import { bandMarks, namedAxis, tooltipTable, topKwOf } from './bands.ts';
import type { ChartOption } from './echarts.ts';
import { faded, type Palette } from './palette.ts';

/** A step of the range; without a limit its capacity is 0. */
export type LoadRow = LoadsReply['rows'][number];

export interface LoadRangeInput {
  /** Oldest first. */
  rows: readonly LoadRow[];
  stepMs: number;
  /** unix ms. */
  from: number;
  to: number;
  palette: Palette;
}
/** [unix ms, kW]; null where nothing is known, so that a hole is a hole. */
type Point = [number, number | null];

/** Each bucket holds for its length; one that is missing ends the line. */
export function bucketPoints(rows: readonly LoadRow[], stepMs: number, wattsOf: (row: LoadRow) => number): Point[] {
  const points: Point[] = [];
  rows.forEach((row, i) => {
    const kw = wattsOf(row) / 1_000;
    points.push([row.at, kw]);
    const next = rows[i + 1];
    if (next === undefined) points.push([row.at + stepMs, kw]);
    else if (next.at - row.at > stepMs * 1.5) points.push([row.at + stepMs, kw], [row.at + stepMs + 1, null]);
  });
  return points;
}

/** The newest limit there was: bands are drawn once, for what holds now. */
export const capacityOf = (rows: readonly LoadRow[]): number | null =>
  rows.findLast(({ capacityW }) => capacityW > 0)?.capacityW ?? null;

export function loadRangeOption({ rows, stepMs, from, to, palette }: LoadRangeInput): ChartOption {
  const capacityW = capacityOf(rows);
  const peakKw = Math.max(0, ...rows.map(({ maxW }) => maxW / 1_000));
  const shared = {
    ...{ type: 'line', showSymbol: false, connectNulls: false, step: 'end' },
    ...{ sampling: 'minmax', emphasis: { disabled: true } },
  };
  return {
    animation: false,
    grid: { left: 46, right: 44, top: 32, bottom: 26 },
    tooltip: {
      trigger: 'axis',
      confine: true,
      padding: [8, 10],
      formatter: (items: unknown) => tooltip(items, rows, stepMs),
    },
    xAxis: {
      type: 'time',
      min: from,
      max: to,
      axisLabel: { hideOverlap: true, formatter: timeLabel },
      splitLine: { show: false },
      axisPointer: { label: { show: false } },
    },
    yAxis: {
      type: 'value',
      min: 0,
      max: capacityW === null ? null : topKwOf(capacityW, peakKw),
      splitNumber: 4,
      ...namedAxis(t.units.kw, palette),
      axisLabel: { formatter: (value: number) => String(Math.round(value)), showMaxLabel: capacityW === null },
      splitLine: { showMaxLine: false },
    },
    series: [
      {
        ...shared,
        id: 'mean',
        name: m.load.mean,
        data: bucketPoints(rows, stepMs, ({ meanW }) => meanW),
        lineStyle: { color: palette.load, width: 1.5 },
        itemStyle: { color: palette.load },
        areaStyle: { color: faded(palette.load, 0.16) },
        ...(capacityW === null ? {} : bandMarks(capacityW, palette)),
      },
      {
        ...shared,
        id: 'peak',
        name: m.load.peak,
        data: bucketPoints(rows, stepMs, ({ maxW }) => maxW),
        lineStyle: { color: palette.muted, width: 1, type: 'dotted' },
        itemStyle: { color: palette.muted },
      },
    ],
  };
}

/** A day begins with its date. */
function timeLabel(value: number): string {
  const time = clockMinute(value);
  return time === '00:00' ? dayMonth(value) : time;
}

function tooltip(items: unknown, rows: readonly LoadRow[], stepMs: number): string {
  const [first] = items as { axisValue: number }[];
  if (first === undefined) return '';
  const row = rows.findLast(({ at }) => at <= first.axisValue);
  if (row === undefined || first.axisValue > row.at + stepMs) return dayMinute(first.axisValue);
  return tooltipTable(dayMinute(row.at), [
    [m.load.mean, `${kilowatts(row.meanW)} ${t.units.kw}`],
    [m.load.peak, `${kilowatts(row.maxW)} ${t.units.kw}`],
    ...(row.capacityW > 0 ? ([[t.station.columns.use, `${percent(row.maxUtilisationBp)} %`]] as const) : []),
  ]);
}

/** One sentence for who does not see the picture; null when there is nothing in it. */
export function loadRangeSummary(rows: readonly LoadRow[]): string | null {
  const [first, last] = [rows[0], rows.at(-1)];
  if (first === undefined || last === undefined) return null;
  const peak = rows.reduce((most, row) => (row.maxW > most.maxW ? row : most), first);
  return m.load.summary({
    from: dayMinute(first.at),
    to: dayMinute(last.at),
    peak: kilowatts(peak.maxW),
    peakAt: dayMinute(peak.at),
    share: peak.capacityW > 0 ? percent(peak.maxUtilisationBp) : null,
  });
}
