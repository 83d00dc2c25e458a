/** The colours of the page as charts need them: canvases cannot read CSS variables. */

const names = {
  surface: '--surface',
  text: '--text',
  muted: '--muted',
  line: '--line',
  hairline: '--hairline',
  accent: '--accent',
  load: '--source-ev',
  normal: '--health-ok',
  double: '--health-warn',
  triple: '--health-fault',
} as const;
export type Palette = Record<keyof typeof names, string>;

export function readPalette(theme: 'light' | 'dark'): Palette {
  // Effects have no order among components: the variables must be those of the theme before they are read.
  document.documentElement.dataset.theme = theme;
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(
    Object.entries(names).map(([key, variable]) => [key, style.getPropertyValue(variable).trim()]),
  ) as Palette;
}

/** `#rrggbb` with an alpha of 0 to 1. */
export const faded = (hex: string, alpha: number): string =>
  `${hex}${Math.round(alpha * 255)
    .toString(16)
    .padStart(2, '0')}`;

/** What every chart has in common; applied with setTheme, so a change of theme re-creates nothing. */
export function chartTheme({ muted, hairline, line, surface, text }: Palette): object {
  const axis = {
    axisLine: { lineStyle: { color: hairline } },
    axisTick: { lineStyle: { color: hairline } },
    axisLabel: { color: muted, fontSize: 11 },
    splitLine: { lineStyle: { color: hairline, width: 1 } },
  };
  return {
    textStyle: { fontFamily: '"Inter Variable", system-ui, sans-serif' },
    timeAxis: axis,
    valueAxis: axis,
    categoryAxis: axis,
    tooltip: {
      backgroundColor: surface,
      borderColor: hairline,
      borderWidth: 1,
      textStyle: { color: text, fontSize: 12 },
      axisPointer: { lineStyle: { color: line, type: 'dashed' } },
    },
  };
}
