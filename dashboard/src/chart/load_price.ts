/** Load over price against one time axis: pure, so that tests read the option. */
import type { Price } from '#gateway/schema/mod';
import { clockMinute, clockTime, kilowatts, percent, price as sek, priceExact } from '../format.ts';
import { slotMs } from '../live/prices.ts';
import { t } from '../text/mod.ts';
import { bandMarks, namedAxis, tooltipTable, topKwOf } from './bands.ts';
import type { ChartOption } from './echarts.ts';
import { faded, type Palette } from './palette.ts';

/** [unix ms, value]; null where nothing is known, so that a hole is a hole. */
export type Point = [number, number | null];

/** A price is in force from its production to the next; the last one until it is 12 s old. */
export const pricePoints = (prices: readonly Price[]): Point[] =>
  steps(prices, ({ producedAt, priceE5SekPerKwh }) => [producedAt, priceE5SekPerKwh / 100_000]);

/** The load that made a price was drawn in the slot before it. */
export const loadPoints = (prices: readonly Price[]): Point[] =>
  steps(prices, ({ producedAt, loadW }) => [producedAt - slotMs, loadW / 1_000]);

/** Each value holds for one slot; a slot that is missing ends the line. */
function steps(prices: readonly Price[], valueOf: (price: Price) => [number, number]): Point[] {
  const points: Point[] = [];
  prices.forEach((price, i) => {
    const [at, value] = valueOf(price);
    points.push([at, value]);
    const next = prices[i + 1];
    if (next === undefined) points.push([at + slotMs, value]);
    else if (next.slot - price.slot > 1) points.push([at + slotMs, value], [at + slotMs + 1, null]);
  });
  return points;
}

export interface LoadPriceInput {
  /** Oldest first. */
  prices: readonly Price[];
  capacityW: number;
  now: number;
  windowMs: number;
  palette: Palette;
  /** Narrow screens show one of the two. */
  series: 'both' | 'load' | 'price';
}

export function loadPriceOption({ prices, capacityW, now, windowMs, palette, series }: LoadPriceInput): ChartOption {
  const min = now - windowMs;
  const inside = prices.filter(({ producedAt }) => producedAt + slotMs >= min);
  const byTime = new Map(inside.map((price) => [price.producedAt, price]));
  const topKw = topKwOf(capacityW, Math.max(0, ...inside.map(({ loadW }) => loadW / 1_000)));

  const showLoad = series !== 'price';
  const showPrice = series !== 'load';
  const both = showLoad && showPrice;
  const grids = [
    ...(showLoad ? [{ left: 46, right: 44, top: 32, bottom: both ? '39%' : 26 }] : []),
    ...(showPrice ? [{ left: 46, right: 44, top: both ? '75%' : 32, bottom: 26 }] : []),
  ];
  const priceGrid = both ? 1 : 0;
  const timeAxis = (gridIndex: number, labelled: boolean) => ({
    type: 'time',
    gridIndex,
    min,
    max: now,
    axisLabel: { show: labelled, hideOverlap: true, formatter: (value: number) => clockMinute(value) },
    axisTick: { show: labelled },
    splitLine: { show: false },
    axisPointer: { label: { show: false } },
  });
  const shared = { type: 'line', showSymbol: false, connectNulls: false, step: 'end', emphasis: { disabled: true } };

  return {
    animation: false,
    grid: grids,
    axisPointer: { link: [{ xAxisIndex: 'all' }] },
    tooltip: {
      trigger: 'axis',
      confine: true,
      padding: [8, 10],
      formatter: (items: unknown) => tooltip(items, byTime),
    },
    xAxis: [...(showLoad ? [timeAxis(0, !both)] : []), ...(showPrice ? [timeAxis(priceGrid, true)] : [])],
    yAxis: [
      ...(showLoad
        ? [
            {
              type: 'value',
              gridIndex: 0,
              min: 0,
              max: topKw,
              splitNumber: 4,
              ...namedAxis(t.units.kw, palette),
              axisLabel: { formatter: wholeKw, showMaxLabel: false },
              splitLine: { showMaxLine: false },
            },
          ]
        : []),
      ...(showPrice
        ? [
            {
              type: 'value',
              gridIndex: priceGrid,
              scale: false,
              splitNumber: 2,
              ...namedAxis(t.units.price, palette),
              minInterval: 0.5,
              axisLabel: { formatter: (v: number) => v.toFixed(2) },
            },
          ]
        : []),
    ],
    series: [
      ...(showLoad
        ? [
            {
              ...shared,
              id: 'load',
              name: t.station.loadSeries,
              xAxisIndex: 0,
              yAxisIndex: 0,
              data: loadPoints(inside),
              sampling: 'minmax',
              lineStyle: { color: palette.load, width: 1.5 },
              itemStyle: { color: palette.load },
              areaStyle: { color: faded(palette.load, 0.16) },
              ...bandMarks(capacityW, palette),
            },
          ]
        : []),
      ...(showPrice
        ? [
            {
              ...shared,
              id: 'price',
              name: t.station.priceSeries,
              xAxisIndex: priceGrid,
              yAxisIndex: priceGrid,
              data: pricePoints(inside),
              sampling: 'lttb',
              lineStyle: { color: palette.text, width: 1.5 },
              itemStyle: { color: palette.text },
            },
          ]
        : []),
    ],
  };
}

const wholeKw = (value: number) => String(Math.round(value));

/** The slot under the pointer, with all decimals. */
function tooltip(items: unknown, byTime: ReadonlyMap<number, Price>): string {
  const [first] = items as { axisValue: number }[];
  if (first === undefined) return '';
  const price = byTime.get(Math.floor(first.axisValue / slotMs) * slotMs);
  if (price === undefined) return clockTime(first.axisValue);
  return tooltipTable(clockTime(price.producedAt), [
    [t.station.priceSeries, `${priceExact(price.priceE5SekPerKwh)} ${t.units.price}`],
    [t.station.columns.tier, t.tiers[price.tier]],
    [t.station.loadSeries, `${kilowatts(price.loadW)} ${t.units.kw}`],
    [t.station.columns.use, `${percent(price.utilisationBp)} %`],
  ]);
}

/** One sentence for who does not see the picture; null when there is nothing in it. */
export function chartSummary(prices: readonly Price[], min: number): string | null {
  const inside = prices.filter(({ producedAt }) => producedAt >= min);
  const [first, last] = [inside[0], inside.at(-1)];
  if (first === undefined || last === undefined) return null;
  const loads = inside.map(({ loadW }) => loadW);
  return t.station.chartSummary(
    clockTime(first.producedAt),
    clockTime(last.producedAt),
    kilowatts(Math.min(...loads)),
    kilowatts(Math.max(...loads)),
    sek(last.priceE5SekPerKwh),
  );
}
