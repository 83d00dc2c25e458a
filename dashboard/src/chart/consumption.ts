/** Energy per hour or day as bars. Pure, so that tests read the option. */
import { clockMinute, dayMinute, dayMonth, fixed } from '../format.ts';
import { monitoring as m } from '../text/monitoring.ts';
import { t } from '../text/mod.ts';
import { namedAxis, tooltipTable } from './bands.ts';
import type { ChartOption } from './echarts.ts';
import type { Palette } from './palette.ts';

export type EnergyStep = 'hour' | 'day';
export interface Bucket {
  /** Start, unix ms. */
  at: number;
  energyWh: number;
}

const hourMs = 3_600_000;

/** One per zone: each costs more to make than all that it is asked. */
const clocks = new Map<string, Intl.DateTimeFormat>();
function clockOf(zone: string): Intl.DateTimeFormat {
  const known = clocks.get(zone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat('en', {
    ...{ timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric' },
    ...{ hour: 'numeric', minute: 'numeric', second: 'numeric' },
  });
  clocks.set(zone, made);
  return made;
}

/** How far the clock of a zone is ahead of UTC, ms. */
function offsetMs(at: number, zone: string): number {
  const parts = clockOf(zone).formatToParts(at);
  const of = (type: string) => Number(parts.find((part) => part.type === type)?.value);
  const local = Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'));
  return local - Math.floor(at / 1_000) * 1_000;
}

/** Midnight before `at` in a zone; days of 23 and 25 hours included. */
export function startOfDay(at: number, zone: string): number {
  const offset = offsetMs(at, zone);
  const localMidnight = Math.floor((at + offset) / (24 * hourMs)) * 24 * hourMs;
  return localMidnight - offsetMs(localMidnight - offset, zone);
}

/** Every hour or day that begins in [from, to), and the one in which `from` lies. */
function starts(from: number, to: number, step: EnergyStep, zone: string): number[] {
  const found: number[] = [];
  let at = step === 'hour' ? Math.floor(from / hourMs) * hourMs : startOfDay(from, zone);
  while (at < to) {
    found.push(at);
    // A day has at most 25 hours, so 30 hours after its midnight it is the next day.
    at = step === 'hour' ? at + hourMs : startOfDay(at + 30 * hourMs, zone);
  }
  return found;
}

/** The server leaves out where nothing was charged; here each hour or day has its place. Days are those of `zone`. */
export function energyBuckets(
  rows: readonly Bucket[],
  { from, to, step, zone }: { from: number; to: number; step: EnergyStep; zone: string },
): Bucket[] {
  const buckets = new Map(starts(from, to, step, zone).map((at) => [at, 0]));
  for (const { at, energyWh } of rows) buckets.set(at, energyWh);
  return [...buckets].sort(([a], [b]) => a - b).map(([at, energyWh]) => ({ at, energyWh }));
}

/** Days are those of `zone`, hours those of whoever looks. */
export const bucketName = (at: number, step: EnergyStep, zone: string): string =>
  step === 'day' ? dayMonth(at, zone) : dayMinute(at);

export interface ConsumptionInput {
  buckets: readonly Bucket[];
  step: EnergyStep;
  /** Whose days they are. */
  zone: string;
  palette: Palette;
}

export function consumptionOption({ buckets, step, zone, palette }: ConsumptionInput): ChartOption {
  const label = (index: number) => {
    const at = buckets[index]?.at ?? 0;
    const time = clockMinute(at);
    if (step === 'day') return dayMonth(at, zone);
    return time === '00:00' ? dayMonth(at) : time;
  };
  return {
    animation: false,
    grid: { left: 46, right: 16, top: 32, bottom: 26 },
    tooltip: {
      trigger: 'axis',
      confine: true,
      padding: [8, 10],
      axisPointer: { type: 'shadow' },
      formatter: (items: unknown) => tooltip(items, buckets, (at) => bucketName(at, step, zone)),
    },
    xAxis: {
      type: 'category',
      data: buckets.map(({ at }) => at),
      axisTick: { show: false },
      axisLabel: { hideOverlap: true, formatter: (_value: string, index: number) => label(index) },
    },
    yAxis: {
      type: 'value',
      min: 0,
      splitNumber: 4,
      ...namedAxis(t.units.kwh, palette),
      axisLabel: { formatter: (value: number) => String(value) },
    },
    series: [
      {
        type: 'bar',
        id: 'energy',
        name: m.consumption.energy,
        data: buckets.map(({ energyWh }) => energyWh / 1_000),
        barMaxWidth: 28,
        barCategoryGap: '25%',
        itemStyle: { color: palette.load, borderRadius: [2, 2, 0, 0] },
        emphasis: { disabled: true },
      },
    ],
  };
}

function tooltip(items: unknown, buckets: readonly Bucket[], nameOf: (at: number) => string): string {
  const [first] = items as { dataIndex: number }[];
  const bucket = first === undefined ? undefined : buckets[first.dataIndex];
  if (bucket === undefined) return '';
  return tooltipTable(nameOf(bucket.at), [
    [m.consumption.energy, `${fixed(bucket.energyWh / 1_000, 2)} ${t.units.kwh}`],
  ]);
}

/** Wh of all buckets. */
export const totalWh = (rows: readonly Bucket[]): number => rows.reduce((sum, { energyWh }) => sum + energyWh, 0);

/** One sentence for who does not see the picture; null when there is nothing in it. */
export function consumptionSummary(buckets: readonly Bucket[], step: EnergyStep, zone: string): string | null {
  const [first, last] = [buckets[0], buckets.at(-1)];
  if (first === undefined || last === undefined) return null;
  const most = buckets.reduce((a, b) => (b.energyWh > a.energyWh ? b : a), first);
  return m.consumption.summary({
    step: m.consumption.steps[step],
    from: bucketName(first.at, step, zone),
    to: bucketName(last.at, step, zone),
    total: fixed(totalWh(buckets) / 1_000, 2),
    most: fixed(most.energyWh / 1_000, 2),
    mostAt: bucketName(most.at, step, zone),
  });
}
