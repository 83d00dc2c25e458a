/** Now, told once a second so that ages and staleness move by themselves; and the switch that stops all movement. */
import { createSubscriber } from 'svelte/reactivity';
import { serverClock } from './connection.svelte.ts';

const everySecond = createSubscriber((update) => {
  const timer = setInterval(update, 1_000);
  return () => clearInterval(timer);
});

let pausedAt: number | null = $state(null);

export const moment = {
  /** The server's time, unix ms; moves on even while paused. */
  get now(): number {
    everySecond();
    return serverClock.now();
  },
  /** The time that is shown: stands still while paused. */
  get shown(): number {
    return pausedAt ?? this.now;
  },
  get pausedAt(): number | null {
    return pausedAt;
  },
  /** WCAG 2.2.2: one switch for everything that moves. */
  togglePause(): void {
    pausedAt = pausedAt === null ? serverClock.now() : null;
  },
};

/** The newest value while things move, the one last shown while paused. */
export function shownOf<T>(read: () => T): { readonly current: T } {
  let last: { value: T } | undefined;
  return {
    get current() {
      if (pausedAt === null || last === undefined) last = { value: read() };
      return last.value;
    },
  };
}
