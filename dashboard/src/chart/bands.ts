/** The bands of the tiers behind a load, kW. */
import { bandEnds } from '../parts/tier.ts';
import { faded, type Palette } from './palette.ts';

/** Top of the axis: every band is seen, and so is every peak. */
export const topKwOf = (capacityW: number, peakKw: number): number =>
  Math.max(((capacityW / 1_000) * bandEnds.triple) / 10_000, peakKw) * 1.04;

/** Dashed lines at 80, 100 and 120 % of the capacity, and what lies between them tinted. */
export function bandMarks(capacityW: number, palette: Palette) {
  const at = (bp: number) => ((capacityW / 1_000) * bp) / 10_000;
  const line = (bp: number, colour: string) => ({
    yAxis: at(bp),
    lineStyle: { color: colour, type: 'dashed', width: 1, opacity: 0.8 },
    label: { formatter: `${bp / 100} %`, color: colour, fontSize: 11, position: 'end', distance: 6 },
  });
  const band = (from: number, to: number, colour: string) => [
    { yAxis: at(from), itemStyle: { color: faded(colour, 0.06) } },
    { yAxis: at(to) },
  ];
  return {
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
  };
}

/** The name of an axis, above it and in line with its labels. */
export const namedAxis = (name: string, palette: Palette) => ({
  name,
  nameGap: 14,
  nameTextStyle: { color: palette.muted, fontSize: 11, align: 'left', padding: [0, 0, 0, -38] },
});

/** Rows of a tooltip: numbers and words of ours only, so no escaping is needed. */
export const tooltipTable = (title: string, rows: readonly (readonly [string, string])[]): string => {
  const row = ([name, value]: readonly [string, string]) =>
    `<tr><td style="padding:0 12px 0 0;height:20px;border:0">${name}</td><td class="number" style="padding:0;height:20px;border:0">${value}</td></tr>`;
  return `<strong>${title}</strong><table>${rows.map(row).join('')}</table>`;
};
