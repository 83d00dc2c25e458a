import { flushSync } from 'svelte';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LiveMap } from './live_map.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Runs one animation frame, as a browser would. */
const frame = () => {
  vi.advanceTimersToNextFrame();
  flushSync();
};

function watched<K, V>(map: LiveMap<K, V>, read: (values: ReadonlyMap<K, V>) => unknown) {
  const seen: unknown[] = [];
  const stop = $effect.root(() => {
    $effect(() => {
      seen.push(read(map.values));
    });
  });
  flushSync();
  return { seen, stop };
}

test('a thousand values between two frames are one change on the screen', () => {
  const map = new LiveMap<string, number>();
  const { seen, stop } = watched(map, (values) => values.size);
  for (let i = 0; i < 1_000; i++) map.set(`cp-${i}`, i);
  expect(seen).toEqual([0]);
  frame();
  expect(seen).toEqual([0, 1_000]);
  frame();
  expect(seen).toHaveLength(2);
  stop();
});

test('only the latest value of a key is seen', () => {
  const map = new LiveMap<string, number>();
  const { seen, stop } = watched(map, (values) => values.get('w'));
  for (const w of [1, 2, 3]) map.set('w', w);
  frame();
  expect(seen).toEqual([undefined, 3]);
  stop();
});

test('a snapshot takes the place of all that was there', () => {
  const map = new LiveMap<string, number>();
  map.set('gone', 1);
  const { seen, stop } = watched(map, (values) => [...values.keys()].join());
  map.replace([['new', 2]]);
  frame();
  map.delete('new');
  map.delete('never there');
  frame();
  expect(seen).toEqual(['gone', 'new', '']);
  stop();
});

test('after the last reader has gone no frame is asked for, and a new reader sees what came meanwhile', async () => {
  const map = new LiveMap<string, number>();
  const first = watched(map, (values) => values.get('w'));
  map.set('w', 1);
  first.stop();
  await vi.advanceTimersByTimeAsync(0);
  frame();
  expect(first.seen).toEqual([undefined]);

  map.set('w', 2);
  const second = watched(map, (values) => values.get('w'));
  expect(second.seen).toEqual([2]);
  map.set('w', 3);
  frame();
  expect(second.seen).toEqual([2, 3]);
  second.stop();
});
