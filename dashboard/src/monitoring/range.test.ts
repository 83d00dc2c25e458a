import { expect, test } from 'vitest';
import { localMinute, rangeParams, readRange, refreshEveryMs, spanEntry, spanOf, stepOf, type Range } from './range.ts';

const hourMs = 3_600_000;
const address = (query: string) => readRange(new URLSearchParams(query));
const week: Range = { kind: 'span', from: Date.UTC(2019, 4, 13, 7), to: Date.UTC(2019, 4, 20, 7) };

test('a range that was chosen comes back out of the address as it was', () => {
  for (const range of [week, { kind: 'last', preset: '7d' }, { kind: 'last', preset: '24h' }] satisfies Range[]) {
    const params = new URLSearchParams();
    for (const [name, value] of Object.entries(rangeParams(range))) if (value !== null) params.set(name, value);
    expect(readRange(params)).toEqual(range);
  }
  expect(rangeParams(week)).toEqual({ range: null, from: '2019-05-13T07:00Z', to: '2019-05-20T07:00Z' });
});

test('an address that says nothing, or nonsense, shows the last 24 hours', () => {
  const last = { kind: 'last', preset: '24h' };
  expect(address('')).toEqual(last);
  expect(address('range=2y')).toEqual(last);
  expect(address('from=2019-05-20T07:00Z&to=2019-05-13T07:00Z')).toEqual(last);
  expect(address('from=yesterday&to=now')).toEqual(last);
});

test('the last hour moves with the clock, a span of the past stands still', () => {
  expect(spanOf({ kind: 'last', preset: '1h' }, 10 * hourMs)).toEqual({ from: 9 * hourMs, to: 10 * hourMs });
  expect(refreshEveryMs({ kind: 'last', preset: '1h' }, 0)).toBe(12_000);
  expect(spanOf(week, 0)).toEqual(week);
  expect(refreshEveryMs(week, week.kind === 'span' ? week.to : 0)).toBeNull();
});

test('bars are hours up to three days and days beyond', () => {
  expect(stepOf({ from: 0, to: 72 * hourMs })).toBe('hour');
  expect(stepOf({ from: 0, to: 72 * hourMs + 1 })).toBe('day');
});

test('what is typed says what is wrong with it', () => {
  const at = week.kind === 'span' ? week.from : 0;
  expect(spanEntry('', '2019-05-20T07:00')).toEqual({ ok: false, why: 'incomplete' });
  expect(spanEntry('2019-05-20T07:00', '2019-05-20T07:00')).toEqual({ ok: false, why: 'order' });
  expect(spanEntry(localMinute(at), localMinute(at + hourMs))).toEqual({
    ok: true,
    range: { kind: 'span', from: at, to: at + hourMs },
  });
});
