import { expect, test } from 'vitest';
import { Appearances, Keyed, Once } from './keyed.ts';

test('one value per key, made once', () => {
  const made: string[] = [];
  const keyed = new Keyed((key) => made.push(key));
  expect([keyed.of('a'), keyed.of('b'), keyed.of('a')]).toEqual([1, 2, 1]);
});

test('something is young until its time has passed, and so is what nobody has seen', () => {
  const seen = new Appearances();
  seen.see(['a'], 1_000);
  seen.see(['a'], 9_000);
  expect([1_000, 1_299, 1_300].map((now) => seen.youngerThan('a', 300, now))).toEqual([true, true, false]);
  expect(seen.youngerThan('b', 300, 9_999)).toBe(true);
});

test('what happened is told once, within what is remembered', () => {
  const once = new Once(2);
  expect(['a', 'a', 'b', 'c', 'a'].map((key) => once.first(key))).toEqual([true, false, true, true, true]);
});
