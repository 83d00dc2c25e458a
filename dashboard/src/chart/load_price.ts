/** Load over price against one time axis: pure, so that tests read the option. */
import type { Price } from '#gateway/schema/mod';
import { clockMinute, clockTime, kilowatts, percent, price as sek, priceExact } from '../format.ts';
import { slotMs } from '../live/prices.ts';
import { bandEnds } from '../parts/tier.ts';
import { t } from '../text/mod.ts';
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
  const at = (bp: number) => ((capacityW / 1_000) * bp) / 10_000;
  const peakKw = Math.max(0, ...inside.map(({ loadW }) => loadW / 1_000));
  const topKw = Math.max(at(bandEnds.triple), peakKw) * 1.04;

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
  const line = (bp: number, colour: string) => ({
    yAxis: at(bp),
    lineStyle: { color: colour, type: 'dashed', width: 1, opacity: 0.8 },
    label: { formatter: `${bp / 100} %`, color: colour, fontSize: 11, position: 'end', distance: 6 },
  });
  const band = (from: number, to: number, colour: string) => [
    { yAxis: at(from), itemStyle: { color: faded(colour, 0.06) } },
    { yAxis: to === Infinity ? topKw : at(to) },
  ];
  const named = (name: string) => ({
    name,
    nameGap: 14,
    nameTextStyle: { color: palette.muted, fontSize: 11, align: 'left', padding: [0, 0, 0, -38] },
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
              ...named(t.units.kw),
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
              ...named(t.units.price),
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
              markLine: {
                silent: true,
                symbol: 'none',
                data: [
                  line(bandEnds.normal, palette.normal),
                  line(bandEnds.double, palette.double),
                  line(bandEnds.triple, palette.triple),
                ],
              },
              markArea: {
                silent: true,
                data: [
                  band(bandEnds.normal, bandEnds.double, palette.double),
                  band(bandEnds.double, bandEnds.triple, palette.triple),
                ],
              },
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

/** The slot under the pointer, with all decimals. Holds numbers and words of ours only, so no escaping is needed. */
function tooltip(items: unknown, byTime: ReadonlyMap<number, Price>): string {
  const [first] = items as { axisValue: number }[];
  if (first === undefined) return '';
  const price = byTime.get(Math.floor(first.axisValue / slotMs) * slotMs);
  if (price === undefined) return clockTime(first.axisValue);
  const row = (name: string, value: string) =>
    `<tr><td style="padding:0 12px 0 0;height:20px;border:0">${name}</td><td class="number" style="padding:0;height:20px;border:0">${value}</td></tr>`;
  return `<strong>${clockTime(price.producedAt)}</strong><table>${[
    row(t.station.priceSeries, `${priceExact(price.priceE5SekPerKwh)} ${t.units.price}`),
    row(t.station.columns.tier, t.tiers[price.tier]),
    row(t.station.loadSeries, `${kilowatts(price.loadW)} ${t.units.kw}`),
    row(t.station.columns.use, `${percent(price.utilisationBp)} %`),
  ].join('')}</table>`;
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
