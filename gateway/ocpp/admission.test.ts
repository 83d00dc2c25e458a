import { expect, test } from 'vitest';
import { AdmissionControl } from './admission.ts';
import { Bucket } from './bucket.ts';
import { defaultLimits } from './limits.ts';

const limits = { ...defaultLimits, upgradesPerSecond: 10, upgradeBurst: 20, openHandshakes: 5 };
const askAndFinish = (admission: AdmissionControl, now: number, lagMs = 0) => {
  const { admitted } = admission.ask('CP-1', now, lagMs);
  if (admitted) admission.done();
  return admitted;
};

test('a burst comes in at once, then the rate', () => {
  const admission = new AdmissionControl(limits, 0);
  expect(Array.from({ length: 25 }, () => askAndFinish(admission, 0)).filter(Boolean)).toHaveLength(20);
  expect(Array.from({ length: 25 }, () => askAndFinish(admission, 1_000)).filter(Boolean)).toHaveLength(10);
});

test('a lagging event loop halves the rate', () => {
  const admission = new AdmissionControl(limits, 0);
  while (askAndFinish(admission, 0));
  expect(Array.from({ length: 25 }, () => askAndFinish(admission, 1_000, 51)).filter(Boolean)).toHaveLength(5);
});

test('only so many handshakes are open at once', () => {
  const admission = new AdmissionControl(limits, 0);
  for (let i = 0; i < 5; i++) expect(admission.ask(`CP-${i}`, 0, 0).admitted).toBe(true);
  expect(admission.ask('CP-6', 0, 0).admitted).toBe(false);
  admission.done();
  expect(admission.ask('CP-6', 0, 0).admitted).toBe(true);
});

test('those who wait outside come back spread over the time that they all need', () => {
  const admission = new AdmissionControl({ ...limits, openHandshakes: 0 }, 0);
  const waits = Array.from({ length: 1_000 }, (_, i) => {
    const answer = admission.ask(`CP-${i}`, 0, 0);
    return answer.admitted ? 0 : answer.retryAfterS;
  });
  // 1,000 at 10 a second need 100 s.
  const last = waits.slice(900);
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(2);
  expect(Math.max(...last)).toBeLessThanOrEqual(2 + 100);
  expect(Math.max(...last)).toBeGreaterThan(60);
  expect(new Set(last).size).toBeGreaterThan(40);
  expect(admission.retryAfterS('CP-1', 0)).toBe(admission.retryAfterS('CP-1', 0));
});

test('a bucket fills with time, up to its burst', () => {
  const bucket = new Bucket(3, 0);
  expect([bucket.take(0, 2), bucket.take(0, 2), bucket.take(0, 2), bucket.take(0, 2)]).toEqual([
    true,
    true,
    true,
    false,
  ]);
  expect(bucket.level(250, 2)).toBe(0.5);
  expect(bucket.take(500, 2)).toBe(true);
  expect(bucket.level(60_000, 2)).toBe(3);
});
