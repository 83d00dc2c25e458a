import { expect, test } from 'vitest';
import { Quota } from './quota.ts';

const minute = 60_000;
const at = (quota: { now: number }, limits: { queries: number; executionMs: number }) =>
  new Quota(limits, () => quota.now);

test('an hour holds so many queries, and room comes back minute by minute', () => {
  const clock = { now: 0 };
  const quota = at(clock, { queries: 3, executionMs: 1_000 });
  quota.enter();
  clock.now = 30 * minute;
  quota.enter();
  quota.enter();
  expect(() => quota.enter()).toThrow(/queries = 3\/3/);
  clock.now = 60 * minute;
  quota.enter();
  expect(() => quota.enter()).toThrow(expect.objectContaining({ code: 201, type: 'QUOTA_EXCEEDED' }) as Error);
  clock.now = 200 * minute;
  for (let i = 0; i < 3; i++) quota.enter();
});

test('an hour holds so much execution; what runs is let end', () => {
  const clock = { now: 0 };
  const quota = at(clock, { queries: 100, executionMs: 90_000 });
  quota.enter();
  quota.spend(89_999);
  quota.enter();
  quota.spend(20_000);
  expect(() => quota.enter()).toThrow(/execution_time = 110\/90 s/);
  clock.now = 61 * minute;
  quota.enter();
});
