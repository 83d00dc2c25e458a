import { untrack } from 'svelte';
import type { Attachment } from 'svelte/attachments';
import { init, type ChartOption } from './echarts.ts';

export interface ChartSource {
  option: () => ChartOption;
  /** Colours; read again when the theme changes. */
  theme: () => object;
}

/**
 * `<div {@attach chart({ option, theme })}>`: created once, one setOption per change, disposed once.
 * Off screen or in a hidden page nothing is drawn; the newest option is drawn when it is seen again.
 */
export const chart =
  ({ option, theme }: ChartSource): Attachment<HTMLElement> =>
  (node) => {
    // Before its first option a chart forgets a theme that is set, so it is born with one.
    const instance = init(node, untrack(theme));
    let seen = $state(true);
    let onScreen = true;
    const look = () => (seen = onScreen && !document.hidden);

    const resizing = new ResizeObserver(() => instance.resize());
    resizing.observe(node);
    const watching = new IntersectionObserver((entries) => {
      // On a busy page several come at once; the last one is true now.
      onScreen = entries.at(-1)?.isIntersecting ?? true;
      look();
    });
    watching.observe(node);
    document.addEventListener('visibilitychange', look);

    $effect(() => instance.setTheme(theme()));
    $effect(() => {
      if (seen) instance.setOption(option(), { lazyUpdate: true });
    });

    return () => {
      document.removeEventListener('visibilitychange', look);
      watching.disconnect();
      resizing.disconnect();
      instance.dispose();
    };
  };
