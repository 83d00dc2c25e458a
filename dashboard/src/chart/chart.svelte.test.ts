import { flushSync } from 'svelte';
import { expect, test, vi } from 'vitest';

const instances: { options: unknown[]; themes: unknown[]; disposed: number }[] = [];
vi.mock('./echarts.ts', () => ({
  init: (_node: HTMLElement, theme: unknown) => {
    const made = { options: [] as unknown[], themes: [theme], disposed: 0 };
    instances.push(made);
    return {
      setOption: (option: unknown) => made.options.push(option),
      setTheme: (next: unknown) => made.themes.push(next),
      resize: () => {},
      dispose: () => (made.disposed += 1),
    };
  },
}));
class Observer {
  observe() {}
  disconnect() {}
}
vi.stubGlobal('ResizeObserver', Observer);
vi.stubGlobal('IntersectionObserver', Observer);
const { chart } = await import('./chart.svelte.ts');

test('a chart is made once, drawn once per change, recoloured without being made anew, and disposed once', () => {
  let now = $state(1);
  let dark = $state(false);
  const attach = chart({ option: () => ({ now }), theme: () => ({ dark }) });
  const detached: (void | (() => void))[] = [];
  const stop = $effect.root(() => {
    detached.push(attach(document.createElement('div')));
  });
  flushSync();
  now = 2;
  flushSync();
  dark = true;
  flushSync();
  stop();
  for (const detach of detached) if (detach) detach();
  expect(instances).toHaveLength(1);
  expect(instances[0]).toMatchObject({ options: [{ now: 1 }, { now: 2 }], disposed: 1 });
  expect(instances[0]?.themes.at(-1)).toEqual({ dark: true });
});
