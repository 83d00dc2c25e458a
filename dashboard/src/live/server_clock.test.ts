import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ServerClock } from './server_clock.ts';

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

test('the frame that was fastest says how far the clocks are apart', () => {
  const clock = new ServerClock();
  // The server is 5 s ahead; frames took 200, 20 and 900 ms.
  clock.heard(1_005_000 - 200);
  clock.heard(1_005_000 - 20);
  clock.heard(1_005_000 - 900);
  expect(clock.now()).toBe(1_004_980);
});

test('a clock that was set back is followed once the older frames are forgotten', () => {
  const clock = new ServerClock();
  clock.heard(1_060_000);
  for (let i = 0; i < 32; i++) clock.heard(1_000_000);
  expect(clock.now()).toBe(1_000_000);
});
