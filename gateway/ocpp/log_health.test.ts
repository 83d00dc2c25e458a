import { expect, test } from 'vitest';
import { LogHealth } from './log_health.ts';

test('the log is down after 5 s without an acknowledgement, and up again with the next', () => {
  const health = new LogHealth(5_000, 0);
  expect([health.look(1_000, 3), health.look(4_999, 3)]).toEqual(['up', 'up']);
  expect([health.look(5_000, 3), health.look(5_250, 3)]).toEqual(['went down', 'down']);
  expect(health.down).toBe(true);
  health.acknowledged(6_000);
  expect([health.down, health.look(6_250, 3)]).toEqual([false, 'up']);
});

test('nothing to acknowledge is no silence', () => {
  const health = new LogHealth(5_000, 0);
  for (let now = 0; now < 60_000; now += 250) expect(health.look(now, 0)).toBe('up');
  expect(health.look(64_000, 1)).toBe('up');
  expect(health.look(64_750, 1)).toBe('went down');
});
