import { expect, test } from 'vitest';
import { rowWindow } from './row_window.ts';

const list = { count: 500, scrollTop: 0, height: 640, rowPx: 32, most: 60 };

test('of 500 rows only those near what is seen are in the document', () => {
  expect(rowWindow(list)).toEqual({ from: 0, to: 32 });
  expect(rowWindow({ ...list, scrollTop: 3_200 })).toEqual({ from: 88, to: 132 });
});

test('a list that got shorter while it was scrolled down shows its end', () => {
  expect(rowWindow({ ...list, count: 100, scrollTop: 15_000 })).toEqual({ from: 68, to: 100 });
});

test('a short list is there as a whole', () => {
  expect(rowWindow({ ...list, count: 60, scrollTop: 900 })).toEqual({ from: 0, to: 60 });
});

test('before it is laid out a list has a beginning', () => {
  expect(rowWindow({ ...list, height: 0, rowPx: 0 })).toEqual({ from: 0, to: 32 });
});
