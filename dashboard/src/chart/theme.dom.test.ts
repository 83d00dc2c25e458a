import { cleanup, render } from '@testing-library/svelte';
import { flushSync } from 'svelte';
import { afterEach, expect, test, vi } from 'vitest';

const calls = vi.hoisted(() => {
  globalThis.matchMedia = (() => ({ matches: false, addEventListener: () => {} })) as unknown as typeof matchMedia;
  const Observer = class {
    observe() {}
    disconnect() {}
  };
  Object.assign(globalThis, { IntersectionObserver: Observer, ResizeObserver: Observer });
  return [] as string[];
});
vi.mock('./echarts.ts', () => ({
  init: () => ({
    setOption: ({ series }: { series: { itemStyle: { color: string } }[] }) =>
      calls.push(`option ${series[0]?.itemStyle.color}`),
    setTheme: () => calls.push('theme'),
    resize: () => {},
    dispose: () => {},
  }),
}));
vi.mock('./palette.ts', () => ({
  readPalette: (theme: string) => ({ load: theme }),
  chartTheme: () => ({}),
  faded: (colour: string) => colour,
}));
const { settings } = await import('../settings.svelte.ts');
const { default: ConsumptionChart } = await import('./ConsumptionChart.svelte');
afterEach(cleanup);

test('after a change of theme the option is drawn again in the new colours, and after the theme', () => {
  settings.theme = 'light';
  render(ConsumptionChart, { buckets: [{ at: 0, energyWh: 1 }], step: 'hour', zone: 'UTC' });
  flushSync();
  expect(calls.at(-1)).toBe('option light');
  calls.length = 0;
  settings.theme = 'dark';
  flushSync();
  // A theme takes the chart back to its first option, so the newest one must come last.
  expect(calls).toEqual(['theme', 'option dark']);
});
