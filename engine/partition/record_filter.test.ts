import { expect, test } from 'vitest';
import { RecordFilter } from './record_filter.ts';

const record = (epoch: number, batch: number) => ({ epoch, batch });
const accepted = (filter: RecordFilter, records: { epoch: number; batch: number }[]) =>
  records.filter((one) => filter.accepts(one)).map(({ epoch, batch }) => `${epoch}.${batch}`);

test('an undisturbed journal counts whole', () => {
  const journal = [record(1, 0), record(1, 1), record(1, 2), record(2, 0), record(2, 1)];
  expect(accepted(new RecordFilter(), journal)).toEqual(['1.0', '1.1', '1.2', '2.0', '2.1']);
});

test("a paused owner's second record behind its successor's epoch record is void", () => {
  const journal = [record(1, 0), record(1, 1), record(2, 0), record(1, 3), record(2, 1)];
  expect(accepted(new RecordFilter(), journal)).toEqual(['1.0', '1.1', '2.0', '2.1']);
});

test("a successor's record that slipped in before its first is void, its copy in order counts", () => {
  const journal = [record(1, 0), record(2, 0), record(1, 2), record(2, 2), record(2, 1), record(2, 2), record(2, 3)];
  expect(accepted(new RecordFilter(), journal)).toEqual(['1.0', '2.0', '2.1', '2.2', '2.3']);
});

test('the end of a journal is read from the newest epoch record of the window', () => {
  const window = [record(4, 7), record(4, 8), record(5, 0), record(4, 10), record(5, 1)];
  expect(accepted(RecordFilter.forWindow(window), window)).toEqual(['5.0', '5.1']);
});

test('without an epoch record in the window everything of the newest epoch counts', () => {
  const window = [record(5, 41), record(5, 42), record(5, 43)];
  expect(accepted(RecordFilter.forWindow(window), window)).toEqual(['5.41', '5.42', '5.43']);
});
