import { expect, test } from 'vitest';
import type { ReplyResult } from '../wire.ts';
import { Outcomes, seriesMax, uuidKeptMs, uuidsKept } from './outcomes.ts';

const ok = (value: unknown): ReplyResult => ({ ok: true, value });
const uuid = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

test('a command that was applied answers its stored result, a new one is new', () => {
  const outcomes = new Outcomes();
  outcomes.remember(uuid(1), ok(7), 0);
  expect(outcomes.judge(uuid(1), 1)).toEqual({ kind: 'known', result: ok(7) });
  expect(outcomes.judge(uuid(2), 1)).toEqual({ kind: 'new' });
});

test('64 commands are kept for 10 minutes; more in that time are refused, later the oldest makes room', () => {
  const outcomes = new Outcomes();
  for (let n = 0; n < uuidsKept; n++) outcomes.remember(uuid(n), ok(n), 0);
  expect(outcomes.judge(uuid(99), uuidKeptMs - 1)).toEqual({ kind: 'refused', code: 'too_many_recent_commands' });
  expect(outcomes.judge(uuid(99), uuidKeptMs)).toEqual({ kind: 'new' });
  outcomes.remember(uuid(99), ok(99), uuidKeptMs);
  expect(outcomes.judge(uuid(0), uuidKeptMs)).toEqual({ kind: 'new' });
  expect(outcomes.judge(uuid(1), uuidKeptMs)).toEqual({ kind: 'known', result: ok(1) });
});

test('a series is dense: the next number is new, a gap is refused, old results are only in the history', () => {
  const outcomes = new Outcomes();
  expect(outcomes.judge('load:2', 0)).toEqual({ kind: 'refused', code: 'series_gap' });
  for (let n = 1; n <= 20; n++) {
    expect(outcomes.judge(`load:${n}`, 0)).toEqual({ kind: 'new' });
    outcomes.remember(`load:${n}`, ok(n), 0);
  }
  expect(outcomes.judge('load:20', 0)).toEqual({ kind: 'known', result: ok(20) });
  expect(outcomes.judge('load:5', 0)).toEqual({ kind: 'known', result: ok(5) });
  expect(outcomes.judge('load:4', 0)).toEqual({ kind: 'refused', code: 'result_forgotten' });
  expect(outcomes.judge('load:22', 0)).toEqual({ kind: 'refused', code: 'series_gap' });
});

test('series do not disturb each other, also when one name begins with the other', () => {
  const outcomes = new Outcomes();
  outcomes.remember('a:1', ok(1), 0);
  outcomes.remember('a:b:1', ok(2), 0);
  expect(outcomes.judge('a:1', 0)).toEqual({ kind: 'known', result: ok(1) });
  expect(outcomes.judge('a:b:1', 0)).toEqual({ kind: 'known', result: ok(2) });
  expect(outcomes.judge('a:2', 0)).toEqual({ kind: 'new' });
});

test('an entity has room for eight series', () => {
  const outcomes = new Outcomes();
  for (let s = 0; s < seriesMax; s++) outcomes.remember(`s${s}:1`, ok(s), 0);
  expect(outcomes.judge('one-more:1', 0)).toEqual({ kind: 'refused', code: 'too_many_recent_commands' });
});

test('numbers with leading zeros, signs or letters are no series: the whole id counts', () => {
  const outcomes = new Outcomes();
  for (const id of ['a:01', 'a:-1', 'a:1x', ':1', 'a:']) {
    expect(outcomes.judge(id, 0)).toEqual({ kind: 'new' });
    outcomes.remember(id, ok(id), 0);
    expect(outcomes.judge(id, 0)).toEqual({ kind: 'known', result: ok(id) });
  }
});

test('what is remembered comes back from a snapshot', () => {
  const outcomes = new Outcomes();
  outcomes.remember(uuid(1), ok({ a: 1 }), 5);
  for (let n = 1; n <= 18; n++) outcomes.remember(`s:${n}`, ok(n), 5);
  const restored = Outcomes.load(structuredClone(outcomes.dump()));
  expect(restored.judge(uuid(1), 6)).toEqual({ kind: 'known', result: ok({ a: 1 }) });
  expect(restored.judge('s:3', 6)).toEqual({ kind: 'known', result: ok(3) });
  expect(restored.judge('s:2', 6)).toEqual({ kind: 'refused', code: 'result_forgotten' });
  expect(restored.judge('s:19', 6)).toEqual({ kind: 'new' });
});
