import { expect, test } from 'vitest';
import { slopeOf } from './slope.ts';

test('memory that grows by 2 a minute has that slope, without doubt', () => {
  expect(slopeOf([0, 1, 2, 3].map((x) => [x, 100 + 2 * x]))).toEqual({ slope: 2, error: 0, mean: 103 });
});

test('memory that trembles has a slope within twice its error', () => {
  const { slope, error } = slopeOf([100, 103, 99, 102, 98, 101].map((y, x) => [x, y]));
  expect(Math.abs(slope)).toBeLessThan(2 * error);
});

test('two points say nothing', () => {
  expect(() =>
    slopeOf([
      [0, 1],
      [1, 2],
    ]),
  ).toThrow('a slope needs three points, not 2');
});
